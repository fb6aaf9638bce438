/* SPDX-License-Identifier: MIT */
/* Words and options, as the client's own verbs take them. */
#include "image/command.h"
#include "util.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct st_option help_option = { "help", 'h', NULL, "this text" };

static const struct st_option load_options[] = {
	{ "input", 'i', "FILE", "read this file or directory instead of standard input" },
	{ "tag", 't', "NAME", "call the image so, whatever the archive says" },
	{ "platform", 0, "OS/ARCH[/VARIANT]", "of several images take the one for this platform" },
	{ "quiet", 'q', NULL, "no progress" },
	{ 0 },
};

static const struct st_option ls_options[] = {
	{ "all", 'a', NULL, NULL },
	{ "digests", 0, NULL, "show the digest of each manifest" },
	{ "filter", 'f', "KEY=VALUE",
	  "only some: reference=PATTERN, dangling=true, label=KEY[=VALUE], before=IMAGE, since=IMAGE" },
	{ "format", 0, "FORMAT", "\"json\", or a template like \"{{.Repository}}:{{.Tag}}\"" },
	{ "no-trunc", 0, NULL, "whole ids" },
	{ "quiet", 'q', NULL, "ids only" },
	{ 0 },
};

static const struct st_option inspect_options[] = {
	{ "format", 'f', "FORMAT", "a template like \"{{.Config.Cmd}}\" or \"{{json .RootFS}}\"" },
	{ 0 },
};

static const struct st_option rm_options[] = {
	{ "force", 'f', NULL, "also where containers use it, or it has several names" },
	{ 0 },
};

static const struct st_option none[] = { { 0 } };

static const struct st_option export_options[] = {
	{ "format", 0, "FORMAT", "oci-archive (as usual), oci-dir or docker-archive" },
	{ "output", 'o', "FILE", "write to this file or directory instead of standard output" },
	{ 0 },
};

static const struct st_command commands[] = {
	{ "load", "[FILE|DIRECTORY]", "Load images from an archive, a directory or standard input",
	  "  An archive is an OCI layout or what `docker save` writes, as tar, plain or compressed with\n"
	  "  gzip or zstd; a directory is an OCI layout.\n",
	  load_options, 0, 1, st_command_load },
	{ "ls", "[NAME[:TAG]]", "List images", NULL, ls_options, 0, 1, st_command_ls },
	{ "inspect", "IMAGE...", "Show all about images, as JSON", NULL, inspect_options, 1,
	  SIZE_MAX, st_command_inspect },
	{ "tag", "IMAGE NAME[:TAG]", "Give an image another name", NULL, none, 2, 2,
	  st_command_tag },
	{ "rm", "IMAGE...", "Remove names and, with the last one, images", NULL, rm_options, 1,
	  SIZE_MAX, st_command_rm },
	{ "gc", "", "Remove what no image and no container uses", NULL, none, 0, 0, st_command_gc },
	{ "export", "IMAGE... [> FILE]", "Write images as one OCI archive, with their own digests",
	  NULL, export_options, 1, SIZE_MAX, st_command_export },
	{ 0 },
};

static const char *const others[][2] = {
	{ "list", "ls" },   { "import", "load" }, { "save", "export" },
	{ "remove", "rm" }, { "prune", "gc" },	  { NULL, NULL },
};

const struct st_words st_image_words = { "image", commands, others, true };

static void options_help(FILE *out, const struct st_option *options)
{
	for (; options->name; options++) {
		char left[64], letter[8] = "    ";

		if (!options->help)
			continue;
		if (options->letter)
			(void)snprintf(letter, sizeof(letter), "-%c, ", options->letter);
		(void)snprintf(left, sizeof(left), "%s--%s%s%s", letter, options->name,
			       options->argument ? " " : "",
			       options->argument ? options->argument : "");
		(void)fprintf(out, "  %-32s %s\n", left, options->help);
	}
}

char *st_help_text(const struct st_words *verb, const struct st_command *command)
{
	size_t size;
	char *text = NULL;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	if (command) {
		(void)fprintf(out, "usage: cowherd %s %s%s%s%s\n\n%s\n", verb->verb,
			      command->name, command->options->name ? " [OPTIONS]" : "",
			      *command->usage ? " " : "", command->usage, command->help);
		if (command->details)
			(void)fprintf(out, "\n%s", command->details);
		(void)fprintf(out, "\noptions:\n");
		options_help(out, command->options);
	} else {
		for (command = verb->commands; command->name; command++)
			(void)fprintf(out, "  %-30s %s\n", command->name, command->help);
		(void)fprintf(out, "\n`cowherd %s WORD --help` tells more.\n", verb->verb);
	}
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}

static int refuse(struct st_run *run, const char *format, ...)
{
	char text[320];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	run->exit_code = 125;
	return st_error_set(&run->error, -EINVAL, "%s%s%s: %s", run->verb->verb,
			    run->command ? " " : "", run->command ? run->command->name : "", text);
}

static const struct st_option *find(const struct st_command *command, const char *name, size_t len,
				    char letter)
{
	for (const struct st_option *o = command->options; o->name; o++)
		if (name ? strlen(o->name) == len && !memcmp(o->name, name, len)
			 : o->letter == letter)
			return o;
	if (name ? len == 4 && !memcmp(name, "help", 4) : letter == 'h')
		return &help_option;
	return NULL;
}

static int keep(struct st_run *run, const struct st_option *o, const char *value)
{
	if (run->value_count == ST_VALUES_MAX)
		return refuse(run, "too many options");
	run->values[run->value_count].option = o;
	run->values[run->value_count++].value = value;
	return 0;
}

/* Which word is next. */
struct cursor {
	char **words;
	size_t at, count;
};

static int long_option(struct st_run *run, struct cursor *c, const char *word)
{
	const char *equals = strchr(word, '=');
	size_t len = equals ? (size_t)(equals - word) : strlen(word);
	const struct st_option *o = find(run->command, word, len, 0);

	if (!o)
		return refuse(run, "no such option: --%.*s", (int)len, word);
	if (!o->argument && equals && strcmp(equals, "=true") != 0 && strcmp(equals, "=false") != 0)
		return refuse(run, "--%s: \"%s\" is not true or false", o->name, equals + 1);
	if (!o->argument)
		return keep(run, o, equals ? equals + 1 : "true");
	if (!equals && c->at == c->count)
		return refuse(run, "--%s needs a value (%s)", o->name, o->argument);
	return keep(run, o, equals ? equals + 1 : c->words[c->at++]);
}

static int short_options(struct st_run *run, struct cursor *c, const char *word)
{
	for (const char *p = word; *p; p++) {
		const struct st_option *o = find(run->command, NULL, 0, *p);
		int r;

		if (!o)
			return refuse(run, "no such option: -%c in -%s", *p, word);
		if (o->argument) {
			if (!p[1] && c->at == c->count)
				return refuse(run, "--%s needs a value (%s)", o->name, o->argument);
			return keep(run, o, p[1] ? p + 1 + (p[1] == '=') : c->words[c->at++]);
		}
		r = keep(run, o, "true");
		if (r < 0)
			return r;
	}
	return 0;
}

static const struct st_command *command_find(const struct st_words *verb, const char *name)
{
	for (size_t i = 0; verb->others[i][0]; i++)
		if (!strcmp(name, verb->others[i][0]))
			name = verb->others[i][1];
	for (const struct st_command *c = verb->commands; c->name; c++)
		if (!strcmp(c->name, name))
			return c;
	return NULL;
}

/* "load, ls, inspect, tag, rm, gc or export" */
static void commands_list(const struct st_words *verb, char *text, size_t size)
{
	size_t n = 0;

	for (const struct st_command *c = verb->commands; c->name && n < size; c++) {
		int m = snprintf(text + n, size - n, "%s%s", c->name,
				 !c[1].name ? "" : c[2].name ? ", " : " or ");

		n += m > 0 ? (size_t)m : 0;
	}
}

static int words_parse(struct st_run *run, struct cursor *c)
{
	bool options = true;
	int r = 0;

	while (r == 0 && c->at < c->count) {
		char *word = c->words[c->at++];

		if (options && !strcmp(word, "--"))
			options = false;
		else if (options && word[0] == '-' && word[1] == '-')
			r = long_option(run, c, word + 2);
		else if (options && word[0] == '-' && word[1])
			r = short_options(run, c, word + 1);
		else
			c->words[run->word_count++] = word;
	}
	return r;
}

int st_run_parse(struct st_run *run, char **words, size_t count)
{
	struct cursor c = { words, 1, count };
	char list[224] = "";
	int r;

	commands_list(run->verb, list, sizeof(list));
	if (!count)
		return refuse(run, "something is missing: %s", list);
	run->command = command_find(run->verb, words[0]);
	if (!run->command)
		return refuse(run, "no such word: %.64s (%s)", words[0], list);
	run->words = words;
	r = words_parse(run, &c);
	if (r < 0 || st_run_flag(run, "help"))
		return r;
	if (run->word_count < run->command->min)
		return refuse(run, "something is missing: %s", run->command->usage);
	if (run->word_count > run->command->max)
		return refuse(run, "too many words: \"%.64s\"", words[run->command->max]);
	return 0;
}

const char *st_run_value(const struct st_run *run, const char *name)
{
	for (size_t i = run->value_count; i > 0; i--)
		if (!strcmp(run->values[i - 1].option->name, name))
			return run->values[i - 1].value;
	return NULL;
}

const char *st_run_nth(const struct st_run *run, const char *name, size_t n)
{
	for (size_t i = 0; i < run->value_count; i++)
		if (!strcmp(run->values[i].option->name, name) && n-- == 0)
			return run->values[i].value;
	return NULL;
}

bool st_run_flag(const struct st_run *run, const char *name)
{
	const char *value = st_run_value(run, name);

	return value && !strcmp(value, "true");
}
