/* SPDX-License-Identifier: MIT */
/* The verb `image`, and short ones that people know. */
#include "common/util.h"
#include "image/command.h"
#include "plugin.h"

int st_image_begin(struct plug_run *run)
{
	struct st_store *store = NULL;
	int r = st_plugin_store(&store, &run->error);

	run->data = store;
	return r;
}

static struct cowherd_verb image_verb = {
	.size = sizeof(image_verb),
	.name = "image",
	.usage = "image load|ls|inspect|tag|rm|gc|export [OPTIONS] [WORDS]",
	.help = "Load, list, show, remove and export images.",
	.call = plug_call,
	.cancel = plug_call_cancel,
};

static struct cowherd_verb aliases[] = {
	{ .name = "images", .usage = "images [OPTIONS] [NAME[:TAG]]",
	  .help = "List images (image ls)." },
	{ .name = "load", .usage = "load [OPTIONS] [FILE|DIRECTORY]",
	  .help = "Load images (image load)." },
	{ .name = "save", .usage = "save [OPTIONS] IMAGE...",
	  .help = "Write images as an archive (image export)." },
	{ .name = "rmi", .usage = "rmi [OPTIONS] IMAGE...", .help = "Remove images (image rm)." },
};
static struct plug_call_as alias_args[] = {
	{ &st_image_words, "ls" },
	{ &st_image_words, "load" },
	{ &st_image_words, "export" },
	{ &st_image_words, "rm" },
};
_Static_assert(PLUG_ELEMENTS(aliases) == PLUG_ELEMENTS(alias_args), "an alias without its word");

int st_image_register(void)
{
	static struct plug_text details;
	static struct plug_call_as image_arg = { &st_image_words, NULL };
	const struct cowherd_host *host = st_plugin.host;
	int r;

	/* The host keeps the file mapped, and with it the text. */
	if (!image_verb.details) {
		plug_help_text(&st_image_words, NULL, &details);
		image_verb.details = details.data;
	}
	r = host->register_verb(st_plugin.self, &image_verb, &image_arg);
	for (size_t i = 0; r == 0 && i < PLUG_ELEMENTS(aliases); i++) {
		aliases[i].size = sizeof(aliases[i]);
		aliases[i].call = plug_call;
		aliases[i].cancel = plug_call_cancel;
		r = host->register_verb(st_plugin.self, &aliases[i], &alias_args[i]);
	}
	return r;
}
