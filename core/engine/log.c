/* SPDX-License-Identifier: MIT */
#include "engine/log.h"

#include "base/cleanup.h"
#include "base/ids.h"
#include "base/strbuf.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

struct log *log_new(const char *dir, uint64_t max_bytes, uint32_t files)
{
	struct log *log = calloc(1, sizeof(*log));

	if (!log)
		return NULL;
	log->path = cow_asprintf("%s/log", dir);
	if (!log->path) {
		free(log);
		return NULL;
	}
	log->refs = 1;
	log->fd = -1;
	log->max_bytes = max_bytes;
	log->files = files;
	cow_list_init(&log->followers);
	return log;
}

struct log *log_ref(struct log *log)
{
	log->refs++;
	return log;
}

void log_rest(struct log *log)
{
	if (log->fd >= 0)
		(void)close(log->fd);
	log->fd = -1;
}

void log_unref(struct log *log)
{
	if (!log || --log->refs > 0)
		return;
	log_rest(log);
	for (uint32_t i = 0; i < log->kept_count; i++)
		(void)close(log->kept[i]);
	free(log->kept);
	free(log->path);
	free(log);
}

char *log_name(const char *path, uint32_t n)
{
	return n ? cow_asprintf("%s.%u", path, n) : strdup(path);
}

static bool read_head(int fd, struct log_head *ret)
{
	return pread(fd, ret, sizeof(*ret), 0) == (ssize_t)sizeof(*ret) && ret->magic == LOG_MAGIC;
}

uint64_t log_end(int fd)
{
	uint64_t at = sizeof(struct log_head);
	struct log_frame frame;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return at;
	while (pread(fd, &frame, sizeof(frame), (off_t)at) == (ssize_t)sizeof(frame) &&
	       frame.length <= LOG_CHUNK &&
	       at + sizeof(frame) + frame.length <= (uint64_t)st.st_size)
		at += sizeof(frame) + frame.length;
	return at;
}

int log_open_from(const char *path, uint32_t files, uint64_t generation, uint64_t *ret)
{
	int best = -1;

	/*
	 * A rotation meanwhile only moves files to higher numbers: going down cannot miss one
	 * twice.
	 */
	for (uint32_t n = files; n-- > 0;) {
		_cleanup_free_ char *name = log_name(path, n);
		_cleanup_close_ int fd = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
		struct log_head head;

		if (fd < 0 || !read_head(fd, &head) || head.generation < generation ||
		    (best >= 0 && head.generation >= *ret))
			continue;
		if (best >= 0)
			(void)close(best);
		best = cow_take_fd(&fd);
		*ret = head.generation;
	}
	return best;
}

int log_open_next(const struct log *log, uint64_t generation, uint64_t *ret)
{
	int fd = log_open_from(log->path, log->files, generation, ret), best = -1;
	/* Looked at after the path: it was set before the files went. */
	uint32_t n = __atomic_load_n(&log->kept_count, __ATOMIC_ACQUIRE);
	struct log_head head;

	if (fd >= 0)
		return fd;
	for (uint32_t i = 0; i < n; i++) {
		if (!read_head(log->kept[i], &head) || head.generation < generation ||
		    (best >= 0 && head.generation >= *ret))
			continue;
		best = log->kept[i];
		*ret = head.generation;
	}
	return best < 0 ? -1 : fcntl(best, F_DUPFD_CLOEXEC, 3);
}

void log_keep(struct log *log)
{
	uint32_t n = 0;

	if (log->kept)
		return;
	log->kept = calloc(log->files, sizeof(log->kept[0]));
	if (!log->kept)
		return; /* followers end where they are */
	for (uint32_t i = 0; i < log->files; i++) {
		_cleanup_free_ char *name = log_name(log->path, i);
		int fd = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;

		if (fd >= 0)
			log->kept[n++] = fd;
	}
	__atomic_store_n(&log->kept_count, n, __ATOMIC_RELEASE);
}

void log_remove(const char *path, uint32_t files)
{
	for (uint32_t n = 0; n < files; n++) {
		_cleanup_free_ char *name = log_name(path, n);

		if (name && unlink(name) < 0 && n > 0)
			return; /* none beyond a gap */
	}
}

/* ---- the writer */

static bool log_fresh(struct log *log, int fd)
{
	const struct log_head head = { LOG_MAGIC, log->generation + 1 };

	if (pwrite(fd, &head, sizeof(head), 0) != (ssize_t)sizeof(head))
		return false;
	log->generation++;
	log->size = sizeof(head);
	return true;
}

/* Take up the file that is there, without what a predecessor left half written. */
static bool log_continue(struct log *log, int fd)
{
	struct log_head head;

	if (!read_head(fd, &head))
		return ftruncate(fd, 0) == 0 && log_fresh(log, fd);
	log->generation = head.generation;
	log->size = log_end(fd);
	return ftruncate(fd, (off_t)log->size) == 0;
}

static bool log_open(struct log *log)
{
	_cleanup_close_ int fd = open(log->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || !log_continue(log, fd))
		return false;
	log->fd = cow_take_fd(&fd);
	return true;
}

static void log_rotate(struct log *log)
{
	for (uint32_t n = log->files; n-- > 0;) {
		_cleanup_free_ char *from = log_name(log->path, n),
				    *to = log_name(log->path, n + 1);

		if (!from || !to)
			continue;
		if (n + 1 == log->files)
			(void)unlink(from);
		else
			(void)rename(from, to);
	}
	log_rest(log);
}

static bool log_write(struct log *log, const void *data, size_t len)
{
	ssize_t n = pwrite(log->fd, data, len, (off_t)log->size);

	if (n >= 0 && (size_t)n == len) {
		log->size += len;
		return true;
	}
	(void)ftruncate(log->fd, (off_t)log->size); /* readers never take half a chunk */
	return false;
}

size_t log_room(const struct log *log, size_t size)
{
	uint64_t at = log->fd >= 0 ? log->size : sizeof(struct log_head);

	return size - sizeof(struct log_frame) - at % 4096;
}

static bool log_ready(struct log *log, size_t len)
{
	if (log->fd < 0)
		return log_open(log);
	if (!log->max_bytes || log->size == sizeof(struct log_head) ||
	    log->size + len <= log->max_bytes)
		return true;
	log_rotate(log);
	return log_open(log);
}

void log_append(struct log *log, uint8_t stream, void *buffer, size_t len)
{
	struct log_frame *frame = buffer;

	*frame = (struct log_frame){ .length = (uint32_t)len, .stream = stream,
				     .time_ns = cow_realtime_ns() };
	if (!log_ready(log, sizeof(*frame) + len) || !log_write(log, buffer, sizeof(*frame) + len))
		log->dropped_bytes += len;
}
