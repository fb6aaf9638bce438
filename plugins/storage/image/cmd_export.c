/* SPDX-License-Identifier: MIT */
/* image export */
#include "archive/unpack.h"
#include "image/command.h"
#include "image/export.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct target {
	struct plug_run *run;
	int fd;
	char *path, *making; /* a file that becomes another one when it is whole */
};

static int target_write(void *arg, const void *data, size_t size)
{
	struct target *t = arg;

	if (atomic_load(&t->run->cancel.set))
		return -ECANCELED;
	return plug_run_write(t->run, t->fd, data, size);
}

static int export_archive(struct plug_run *run, struct target *t, bool docker,
			  struct st_image *const *images, size_t count)
{
	const struct st_export_options o = { .write = target_write, .arg = t, .dirfd = -1,
					     .docker = docker };
	int r;

	if (!t->path) {
		t->fd = run->out;
		if (isatty(run->out))
			return plug_error_set(&run->error, -EINVAL,
					      "image export: standard output is a terminal: use --output, "
					      "or a pipe");
		return st_export(st_run_store(run), &o, images, count, &run->error);
	}
	if (asprintf(&t->making, "%s.XXXXXX", t->path) < 0) {
		t->making = NULL;
		return -ENOMEM;
	}
	t->fd = mkostemp(t->making, O_CLOEXEC);
	if (t->fd < 0)
		return plug_error_errno(&run->error, -errno, "%s", t->path);
	r = st_export(st_run_store(run), &o, images, count, &run->error);
	if (r == 0 && (fchmod(t->fd, 0644) < 0 || rename(t->making, t->path) < 0))
		r = plug_error_errno(&run->error, -errno, "%s", t->path);
	if (r < 0)
		(void)unlink(t->making);
	(void)close(t->fd);
	return r;
}

/* The directory is ours from the beginning, or there and empty. */
static int export_directory(struct plug_run *run, struct target *t, struct st_image *const *images,
			    size_t count)
{
	static const char *const made[] = { "blobs", "index.json", "oci-layout" };
	struct st_export_options o = { 0 };
	bool created = !mkdir(t->path, 0755);
	int r;

	if (!created && errno != EEXIST)
		return plug_error_errno(&run->error, -errno, "%s", t->path);
	o.dirfd = open(t->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (o.dirfd < 0)
		return plug_error_errno(&run->error, -errno, "%s", t->path);
	for (size_t i = 0; i < PLUG_ELEMENTS(made); i++)
		if (!faccessat(o.dirfd, made[i], F_OK, AT_SYMLINK_NOFOLLOW)) {
			(void)close(o.dirfd);
			return plug_error_set(&run->error, -EEXIST, "%s/%s: is there already", t->path,
					      made[i]);
		}
	r = st_export(st_run_store(run), &o, images, count, &run->error);
	for (size_t i = 0; r < 0 && i < PLUG_ELEMENTS(made); i++)
		(void)st_remove_tree(o.dirfd, made[i]);
	(void)close(o.dirfd);
	if (r < 0 && created)
		(void)rmdir(t->path);
	return r;
}

static int images_export(struct plug_run *run, struct st_image *const *images, size_t count)
{
	const char *format = plug_run_value(run, "format"), *output = plug_run_value(run, "output");
	struct target t = { .run = run, .fd = -1 };
	bool docker = format && !strcmp(format, "docker-archive"),
	     directory = format && !strcmp(format, "oci-dir");
	int r;

	if (format && !docker && !directory && strcmp(format, "oci-archive") != 0) {
		run->exit_code = 125;
		return plug_error_set(&run->error, -EINVAL,
				      "image export: --format: \"%.64s\" is not oci-archive, oci-dir or "
				      "docker-archive",
				      format);
	}
	if (directory && !output) {
		run->exit_code = 125;
		return plug_error_set(&run->error, -EINVAL,
				      "image export: --format oci-dir needs --output DIRECTORY");
	}
	if (output && strcmp(output, "-") != 0) {
		t.path = plug_run_path(run, output);
		if (!t.path)
			return -ENOMEM;
	}
	r = directory ? export_directory(run, &t, images, count)
		      : export_archive(run, &t, docker, images, count);
	free(t.making);
	free(t.path);
	return r;
}

int st_command_export(struct plug_run *run)
{
	struct st_image **images = calloc(run->word_count, sizeof(*images));
	size_t count = 0;
	int r = images ? 0 : -ENOMEM;

	for (; r == 0 && count < run->word_count; count += r == 0)
		r = st_store_resolve(st_run_store(run), run->words[count], &images[count], &run->error);
	if (r == 0)
		r = images_export(run, images, count);
	for (size_t i = 0; images && i < count; i++)
		st_image_free(images[i]);
	free(images);
	return r;
}
