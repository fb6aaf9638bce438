/* SPDX-License-Identifier: MIT */
/* image load, image tag */
#include "image/command.h"
#include "image/name.h"
#include "image/progress.h"
#include "common/util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int name_whole(const char *text, char **ret, struct plug_error *err)
{
	struct st_reference ref;
	int r = st_reference_parse(text, &ref, err);

	if (r < 0)
		return r;
	if (*ref.digest)
		r = plug_error_set(err, -EINVAL, "image name \"%s\": a digest cannot be given", text);
	else
		*ret = st_reference_name(&ref);
	st_reference_finish(&ref);
	return r == 0 && !*ret ? -ENOMEM : r;
}

/* A file or directory; without one standard input, which has to be something else than a keyboard. */
static int source_fill(struct plug_run *run, struct st_load_options *o, const char *file, char **path)
{
	o->what = "standard input";
	o->fd = run->in;
	if (file && strcmp(file, "-") != 0) {
		*path = plug_run_path(run, file);
		/* "dir/" is "dir": its last part may become a name. */
		for (size_t n = *path ? strlen(*path) : 0; n > 1 && (*path)[n - 1] == '/'; n--)
			(*path)[n - 1] = 0;
		o->what = file;
		o->path = *path;
		return *path ? 0 : -ENOMEM;
	}
	if (run->in < 0)
		return plug_error_set(&run->error, -EINVAL,
				      "image load: there is no standard input");
	if (isatty(run->in))
		return plug_error_set(&run->error, -EINVAL,
				      "image load: standard input is a terminal: give a file, or a pipe");
	return 0;
}

static int options_fill(struct plug_run *run, struct st_load_options *o, struct st_platform *platform,
			char **path, char **name)
{
	const char *file = plug_run_value(run, "input"), *tag = plug_run_value(run, "tag"),
		   *wanted = plug_run_value(run, "platform");
	int r;

	if (file && run->word_count)
		return plug_error_set(&run->error, -EINVAL,
				      "image load: both --input and \"%s\"", run->words[0]);
	file = run->word_count ? run->words[0] : file;
	r = source_fill(run, o, file, path);
	if (r == 0 && wanted) {
		r = st_platform_parse(wanted, platform, &run->error);
		o->platform = platform;
	}
	if (r == 0 && tag)
		r = name_whole(tag, name, &run->error);
	o->name = *name;
	return r;
}

static int loaded_print(struct plug_run *run, const struct st_loaded *loaded)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < loaded->count; i++)
		r = loaded->images[i].name
			    ? plug_run_print(run, "Loaded image: %s\n",
					     st_name_familiar(loaded->images[i].name))
			    : plug_run_print(run, "Loaded image ID: %s\n", loaded->images[i].id);
	return r;
}

int st_command_load(struct plug_run *run)
{
	struct st_load_options o = { .cancel = &run->cancel };
	_cleanup_free_ char *path = NULL, *name = NULL;
	struct st_platform platform;
	struct st_loaded loaded;
	struct st_bars *bars;
	int r = options_fill(run, &o, &platform, &path, &name);

	if (r < 0)
		return r;
	bars = st_bars_begin(run, plug_run_flag(run, "quiet"));
	o.progress = st_bars_progress(bars);
	r = st_load(st_run_store(run), &o, &loaded, &run->error);
	st_bars_end(bars);
	if (r < 0)
		return r;
	r = loaded_print(run, &loaded);
	st_loaded_finish(&loaded);
	return r;
}

int st_command_tag(struct plug_run *run)
{
	_cleanup_free_ char *name = NULL;
	struct st_image *image;
	int r = name_whole(run->words[1], &name, &run->error);

	if (r == 0)
		r = st_store_resolve(st_run_store(run), run->words[0], &image, &run->error);
	if (r < 0)
		return r;
	r = st_store_tag(st_run_store(run), name, image->digest, &run->error);
	st_image_free(image);
	return r;
}
