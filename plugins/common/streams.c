/* SPDX-License-Identifier: MIT */
/* What a call reads from its client and writes to it, as long as that is there. */
#include "common/util.h"
#include "common/words.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* A write that cannot block, also where the client has a pipe and does not read. */
static int piece_write(struct plug_run *run, int fd, const char **data, size_t *size, bool file)
{
	ssize_t n;
	int r = file ? 0 : plug_cancel_wait(&run->cancel, fd, POLLOUT);

	if (r < 0)
		return r;
	n = write(fd, *data, file || *size < 4096 ? *size : 4096);
	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : -errno;
	*data += n;
	*size -= (size_t)n;
	return 0;
}

int plug_run_write(struct plug_run *run, int fd, const void *data, size_t size)
{
	const char *p = data;
	struct stat st;
	bool file;
	int r = 0;

	if (fd < 0)
		return 0;
	file = !fstat(fd, &st) && S_ISREG(st.st_mode);
	while (r == 0 && size)
		r = piece_write(run, fd, &p, &size, file);
	return r;
}

int plug_run_print(struct plug_run *run, const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list args;
	int n;

	va_start(args, format);
	n = vasprintf(&text, format, args);
	va_end(args);
	if (n < 0) {
		text = NULL;
		return -ENOMEM;
	}
	return plug_run_write(run, run->out, text, (size_t)n);
}

/* Room for one more byte, at least, and the NUL. */
static int text_room(char **text, size_t size, size_t *room, size_t max)
{
	char *grown;

	if (size + 1 < *room)
		return 0;
	if (size > max)
		return -E2BIG;
	*room = *room ? 2 * *room : 16384;
	grown = realloc(*text, *room);
	if (!grown)
		return -ENOMEM;
	*text = grown;
	return 0;
}

int plug_run_read(struct plug_run *run, size_t max, char **ret, size_t *ret_size)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0, room = 0;
	ssize_t n = 1;

	if (run->in < 0)
		return -EBADF;
	while (n) {
		int r = plug_cancel_wait(&run->cancel, run->in, POLLIN);

		if (r == 0)
			r = text_room(&text, size, &room, max);
		if (r < 0)
			return r;
		n = read(run->in, text + size, room - size - 1);
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return -errno;
		if (n > 0)
			size += (size_t)n;
	}
	if (size > max)
		return -E2BIG;
	text[size] = 0;
	*ret = plug_take_ptr(text);
	*ret_size = size;
	return 0;
}
