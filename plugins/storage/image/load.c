/* SPDX-License-Identifier: MIT */
#include "image/load_internal.h"
#include "image/name.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* The source's bytes; the first ones are looked at before they are read. */
struct input {
	struct load *load;
	int fd;
	unsigned char start[4];
	size_t start_size, start_at;
};

static ssize_t input_fd(struct input *in, void *buffer, size_t size)
{
	ssize_t n;

	for (;;) {
		int r = plug_cancel_wait(in->load->options->cancel, in->fd, POLLIN);

		if (r < 0)
			return r;
		n = read(in->fd, buffer, size);
		if (n >= 0)
			return n;
		if (errno != EINTR && errno != EAGAIN)
			return -errno;
	}
}

static ssize_t input_read(void *arg, void *buffer, size_t size)
{
	struct input *in = arg;
	size_t n = in->start_size - in->start_at;

	if (!n)
		return input_fd(in, buffer, size);
	n = n < size ? n : size;
	memcpy(buffer, in->start + in->start_at, n);
	in->start_at += n;
	return (ssize_t)n;
}

static int input_begin(struct input *in)
{
	while (in->start_size < sizeof(in->start)) {
		ssize_t n = input_fd(in, in->start + in->start_size,
				     sizeof(in->start) - in->start_size);

		if (n < 0)
			return (int)n;
		if (n == 0)
			break;
		in->start_size += (size_t)n;
	}
	return 0;
}

/* Whole archives are compressed, too. */
static int stream_compressed(struct load *l, struct input *in, struct plug_error *err)
{
	const struct st_stream_options options = { .read = input_read, .arg = in };
	struct st_stream_result end;
	struct st_stream *stream;
	int r = st_stream_open(&options, &stream);

	if (r < 0)
		return plug_error_errno(err, r, "%s", l->options->what);
	r = load_stream(l, st_stream_read, stream, err);
	if (r == 0) {
		r = st_stream_finish(stream, &end);
		if (r < 0)
			(void)plug_error_set(err, r, "%s: %s", l->options->what,
					     st_stream_error(stream));
	} else if (*st_stream_error(stream)) {
		(void)plug_error_set(err, r, "%s: %s", l->options->what, st_stream_error(stream));
	}
	st_stream_close(stream);
	return r;
}

/* To its end, so that who writes into the pipe does not die of a closed one. */
static int drain(struct input *in)
{
	char buffer[4096];
	ssize_t n;

	while ((n = input_fd(in, buffer, sizeof(buffer))) > 0)
		;
	return (int)n;
}

static int stream_take(struct load *l, int fd, struct plug_error *err)
{
	struct input in = { .load = l, .fd = fd };
	int r = input_begin(&in);

	if (r < 0)
		return plug_error_errno(err, r, "%s", l->options->what);
	if (!in.start_size)
		return plug_error_set(err, -EBADMSG, "%s: empty", l->options->what);
	if ((in.start[0] == 0x1f && in.start[1] == 0x8b) ||
	    (in.start[0] == 0x28 && in.start[1] == 0xb5 && in.start[2] == 0x2f))
		return stream_compressed(l, &in, err);
	r = load_stream(l, input_read, &in, err);
	if (r < 0)
		return r;
	r = drain(&in);
	return r < 0 ? plug_error_errno(err, r, "%s", l->options->what) : 0;
}

static int docker_load(struct load *l, struct load_part *part, struct plug_error *err)
{
	_cleanup_free_ char *text = NULL;
	struct st_docker_image *images;
	size_t size, count;
	int r = load_text(l, part, NULL, &text, &size, err);

	if (r == 0)
		r = st_docker_parse(text, size, &images, &count, err);
	if (r < 0)
		return r;
	if (l->options->name && count > 1)
		r = plug_error_set(err, -EINVAL, "%s: has %zu images, a name is for one",
				   l->options->what, count);
	for (size_t i = 0; r == 0 && i < count; i++) {
		struct st_docker_image image = images[i];
		char *name = (char *)(uintptr_t)l->options->name;

		if (name) {
			image.tags = &name;
			image.tag_count = 1;
		}
		r = load_docker(l, &image, err);
	}
	st_docker_free(images, count);
	return r;
}

/* docker's archives are layouts as well since version 25: those have the digests as they were. */
static int images_load(struct load *l, struct plug_error *err)
{
	struct load_part *part;
	struct plug_error why;

	if (!load_find(l, "index.json", &part, &why))
		return load_layout(l, part, err);
	if (l->dir >= 0 && why.code != -ENOENT) {
		*err = why;
		return why.code;
	}
	if (!load_find(l, "manifest.json", &part, &why))
		return docker_load(l, part, err);
	return plug_error_set(err, -EBADMSG,
			      "%s: neither an OCI layout nor a docker archive: it has no index.json and no "
			      "manifest.json",
			      l->options->what);
}

/* What was unpacked for nothing need not be synced. */
static void drop_unclaimed(struct load *l)
{
	for (size_t i = 0; i < l->part_count; i++) {
		struct load_part *p = l->parts[i];

		for (size_t k = 0; k < p->job_count; k++)
			if (!p->jobs[k]->claimed && *p->jobs[k]->dir)
				(void)st_remove_tree(l->work->fd, p->jobs[k]->dir);
		if (!p->published && *p->file)
			(void)unlinkat(l->work->fd, p->file, 0);
	}
}

static int load_run(struct load *l, int fd, struct plug_error *err)
{
	int r = load_workers_start(l);

	if (r < 0)
		return plug_error_errno(err, r, "%s", l->options->what);
	r = l->dir >= 0 ? 0 : stream_take(l, fd, err);
	if (r == 0)
		r = images_load(l, err);
	if (r == 0 && load_jobs_wait(l) < 0)
		r = plug_error_set(err, -ECANCELED, "%s: cancelled", l->options->what);
	load_workers_stop(l);
	if (r == 0) {
		drop_unclaimed(l);
		r = st_work_commit(l->work, err);
	}
	return r;
}

/* The source: a directory into l->dir, anything else as a descriptor. */
static int source_open(struct load *l, int *ret_fd, struct plug_error *err)
{
	const char *path = l->options->path;
	struct stat st;
	int fd;

	if (!path)
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0) {
		int r = plug_error_errno(err, -errno, "%s", l->options->what);

		plug_closep(&fd);
		return r;
	}
	if (S_ISDIR(st.st_mode))
		l->dir = fd;
	else
		*ret_fd = fd;
	return 0;
}

int st_load(struct st_store *store, const struct st_load_options *options, struct st_loaded *ret,
	    struct plug_error *err)
{
	struct plug_error own = { 0 };
	struct st_loaded loaded = { 0 };
	struct load l = { .store = store, .options = options, .loaded = &loaded, .dir = -1 };
	int fd = -1, r;

	err = err ? err : &own;
	*err = own;
	(void)pthread_mutex_init(&l.mutex, NULL);
	(void)pthread_cond_init(&l.changed, NULL);
	r = st_store_sweep(store, NULL, err);
	if (r == 0)
		r = st_work_begin(store, &l.work, err);
	if (r == 0)
		r = source_open(&l, &fd, err);
	if (r == 0)
		r = load_run(&l, fd >= 0 ? fd : options->fd, err);
	load_parts_free(&l);
	st_work_end(l.work);
	plug_closep(&l.dir);
	plug_closep(&fd);
	(void)pthread_cond_destroy(&l.changed);
	(void)pthread_mutex_destroy(&l.mutex);
	if (r < 0)
		st_loaded_finish(&loaded);
	else
		*ret = loaded;
	return r;
}

void st_loaded_finish(struct st_loaded *loaded)
{
	for (size_t i = 0; i < loaded->count; i++)
		free(loaded->images[i].name);
	free(loaded->images);
	*loaded = (struct st_loaded){ 0 };
}
