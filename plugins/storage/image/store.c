/* SPDX-License-Identifier: MIT */
/* The store's directories, its lock, and small files in it. */
#include "image/internal.h"
#include "common/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

static int directory_open(const struct st_store *s, const char *name, int *ret,
			  struct plug_error *err)
{
	int fd;

	if (mkdirat(s->fd, name, 0700) < 0 && errno != EEXIST)
		return plug_error_errno(err, -errno, "%s/%s", s->dir, name);
	fd = openat(s->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return plug_error_errno(err, -errno, "%s/%s", s->dir, name);
	*ret = fd;
	return 0;
}

static int directories_open(struct st_store *s, struct plug_error *err)
{
	int above = -1, r;

	if (mkdir(s->dir, 0700) < 0 && errno != EEXIST)
		return plug_error_errno(err, -errno, "%s", s->dir);
	s->fd = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->fd < 0)
		return plug_error_errno(err, -errno, "%s", s->dir);
	r = directory_open(s, "blobs", &above, err);
	if (r == 0)
		r = directory_open(s, "blobs/sha256", &s->blobs, err);
	if (r == 0)
		r = directory_open(s, "layers", &s->layers, err);
	if (r == 0)
		r = directory_open(s, "names", &s->names, err);
	if (r == 0)
		r = directory_open(s, "refs", &s->refs, err);
	if (r == 0)
		r = directory_open(s, "tmp", &s->tmp, err);
	plug_closep(&above);
	return r;
}

int st_store_open(const char *dir, struct st_store **ret, struct plug_error *err)
{
	struct st_store *s = malloc(sizeof(*s));
	int r;

	if (!s)
		return plug_error_errno(err, -ENOMEM, "%s", dir);
	*s = (struct st_store){ .dir = strdup(dir), -1, -1, -1, -1, -1, -1, false };
	r = s->dir ? directories_open(s, err) : plug_error_errno(err, -ENOMEM, "%s", dir);
	if (r < 0)
		st_store_close(s);
	else
		*ret = s;
	return r;
}

void st_store_close(struct st_store *s)
{
	if (!s)
		return;
	plug_closep(&s->blobs);
	plug_closep(&s->layers);
	plug_closep(&s->names);
	plug_closep(&s->refs);
	plug_closep(&s->tmp);
	plug_closep(&s->fd);
	free(s->dir);
	free(s);
}

const char *st_store_dir(const struct st_store *s)
{
	return s->dir;
}

/* An open file of its own each time, so that threads exclude each other, too. */
int st_lock(const struct st_store *s, int op, int *ret, struct plug_error *err)
{
	int fd = openat(s->fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return plug_error_errno(err, -errno, "%s/lock", s->dir);
	while (flock(fd, op) < 0)
		if (errno != EINTR) {
			int r = plug_error_errno(err, -errno, "%s/lock", s->dir);

			(void)close(fd);
			return r;
		}
	*ret = fd;
	return 0;
}

int st_file_read(int dirfd, const char *name, size_t max, char **ret, size_t *ret_size)
{
	_cleanup_close_ int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char *text;
	struct stat st;
	size_t size = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EUCLEAN;
	if ((uint64_t)st.st_size > max)
		return -EFBIG;
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return -ENOMEM;
	while (size < (size_t)st.st_size) {
		ssize_t n = read(fd, text + size, (size_t)st.st_size - size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			int r = n < 0 ? -errno : -EUCLEAN;

			free(text);
			return r;
		}
		size += (size_t)n;
	}
	text[size] = 0;
	*ret = text;
	if (ret_size)
		*ret_size = size;
	return 0;
}

static const char making[] = ".making";

/* One writer at a time: the lock. */
int st_file_write(int dirfd, const char *name, const char *text, struct plug_error *err)
{
	int r = plug_file_write(dirfd, name, making, text, PLUG_FILE_DURABLE);

	return r < 0 ? plug_error_errno(err, r, "%s", name) : 0;
}

int st_file_sweep(int dirfd)
{
	return unlinkat(dirfd, making, 0) < 0 && errno != ENOENT ? -errno : 0;
}

int st_set_add(struct st_set *set, const char *digest)
{
	if (set->count == set->capacity) {
		size_t n = set->capacity ? 2 * set->capacity : 64;
		void *grown = reallocarray(set->items, n, sizeof(*set->items));

		if (!grown)
			return -ENOMEM;
		set->items = grown;
		set->capacity = n;
	}
	(void)snprintf(set->items[set->count++], ST_HEX_SIZE, "%s", st_hex(digest));
	set->sorted = false;
	return 0;
}

static int hex_compare(const void *a, const void *b)
{
	return memcmp(a, b, ST_HEX_SIZE - 1);
}

bool st_set_has(struct st_set *set, const char *hex)
{
	if (!set->count)
		return false;
	if (!set->sorted)
		qsort(set->items, set->count, sizeof(*set->items), hex_compare);
	set->sorted = true;
	return bsearch(hex, set->items, set->count, sizeof(*set->items), hex_compare) != NULL;
}

void st_set_finish(struct st_set *set)
{
	free(set->items);
	*set = (struct st_set){ 0 };
}
