/* SPDX-License-Identifier: MIT */
#include "layer/feed.h"

#include "common/util.h"

#include <errno.h>
#include <fcntl.h>

static int feed_write(void *arg, const void *data, size_t size)
{
	struct st_feed *f = arg;

	return plug_write_all(f->to, data, size);
}

static void *feed_thread(void *arg)
{
	struct st_feed *f = arg;
	struct st_tar_writer *writer;
	int r = st_tar_writer_open(feed_write, f, &writer);

	if (r == 0) {
		r = f->fill(f->arg, writer, &f->error);
		if (r == 0)
			r = st_tar_finish(writer);
		st_tar_writer_close(writer);
	}
	f->code = r;
	(void)close(f->to);
	return NULL;
}

int st_feed_begin(struct st_feed *f,
		  int (*fill)(void *arg, struct st_tar_writer *writer, struct plug_error *err), void *arg)
{
	int fds[2], r;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	(void)fcntl(fds[1], F_SETPIPE_SZ, 1 << 20);
	*f = (struct st_feed){ .fill = fill, .arg = arg, .fd = fds[0], .to = fds[1] };
	/* Its signals are those of a verb's thread: none.  A pipe that nobody reads is an error. */
	r = pthread_create(&f->thread, NULL, feed_thread, f);
	if (r != 0) {
		(void)close(fds[0]);
		(void)close(fds[1]);
	}
	return -r;
}

static void feed_join(struct st_feed *f)
{
	if (!f->joined)
		(void)pthread_join(f->thread, NULL);
	f->joined = true;
}

ssize_t st_feed_read(void *arg, void *buffer, size_t size)
{
	struct st_feed *f = arg;
	ssize_t n;

	do
		n = read(f->fd, buffer, size);
	while (n < 0 && errno == EINTR);
	if (n != 0)
		return n < 0 ? -errno : n;
	feed_join(f);
	return f->code;
}

int st_feed_end(struct st_feed *f, int r, struct plug_error *err)
{
	(void)close(f->fd);
	feed_join(f);
	/* That nobody read is no error of its own. */
	if (f->code == 0 || f->code == -EPIPE || (f->code == -ECANCELED && r < 0))
		return r;
	if (f->error.code)
		*err = f->error;
	else
		(void)plug_error_errno(err, f->code, "archive");
	return f->code;
}
