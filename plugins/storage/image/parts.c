/* SPDX-License-Identifier: MIT */
/* The files of an archive, as they come. */
#include "image/load_internal.h"
#include "image/sha.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define CHUNK (256 << 10)
#define BLOBS "blobs/sha256/"

bool load_cancelled(const struct load *l)
{
	return l->options->cancel && atomic_load(&l->options->cancel->set);
}

static int part_add(struct load *l, const char *path, struct load_part **ret)
{
	struct load_part *part = calloc(1, sizeof(*part)), **grown;

	if (!part)
		return -ENOMEM;
	part->path = strdup(path);
	if (l->part_count >= LOAD_PARTS_MAX || !part->path) {
		int r = part->path ? -E2BIG : -ENOMEM;

		free(part->path);
		free(part);
		return r;
	}
	grown = reallocarray(l->parts, l->part_count + 1, sizeof(part));
	if (!grown) {
		free(part->path);
		free(part);
		return -ENOMEM;
	}
	l->parts = grown;
	l->parts[l->part_count++] = part;
	*ret = part;
	return 0;
}

void load_parts_free(struct load *l)
{
	for (size_t i = 0; i < l->part_count; i++) {
		struct load_part *p = l->parts[i];

		for (size_t k = 0; k < p->job_count; k++) {
			free(p->jobs[k]->unpacked.implied);
			free(p->jobs[k]);
		}
		free(p->jobs);
		free(p->link);
		free(p->path);
		free(p);
	}
	free(l->parts);
}

/* "./a", "a": the same; "" is the archive itself. */
static const char *plain_path(const char *path)
{
	for (;;) {
		if (path[0] == '/')
			path++;
		else if (path[0] == '.' && path[1] == '/')
			path += 2;
		else
			return strcmp(path, ".") ? path : "";
	}
}

/* One component of a link's target, after the directory it is in. */
static size_t component_add(char *path, size_t len, const char *to, size_t n)
{
	if (n == 2 && !memcmp(to, "..", 2)) {
		while (len && path[len - 1] != '/')
			len--;
		return len - (len > 0);
	}
	if (!n || (n == 1 && *to == '.'))
		return len;
	if (len)
		path[len++] = '/';
	memcpy(path + len, to, n);
	return len + n;
}

/* "a/b" and a link's "../c/d" are "c/d". */
static char *link_target(const char *from, const char *to, bool hard)
{
	const char *slash = strrchr(from, '/');
	char *path = malloc(strlen(from) + strlen(to) + 2);
	size_t len = slash && !hard && *to != '/' ? (size_t)(slash - from) : 0;

	if (!path)
		return NULL;
	memcpy(path, from, len);
	to = hard || *to == '/' ? plain_path(to) : to;
	while (*to) {
		size_t n = strcspn(to, "/");

		len = component_add(path, len, to, n);
		to += n + (to[n] == '/');
	}
	path[len] = 0;
	return path;
}

/* One file's bytes, piece by piece: the same as st_tar_take(). */
struct origin {
	ssize_t (*take)(struct origin *o, const void **ret);
	struct st_tar *tar;
	int fd;
	char *buffer;
};

static ssize_t take_tar(struct origin *o, const void **ret)
{
	return st_tar_take(o->tar, ret);
}

static ssize_t take_fd(struct origin *o, const void **ret)
{
	ssize_t n;

	do
		n = read(o->fd, o->buffer, CHUNK);
	while (n < 0 && errno == EINTR);
	*ret = o->buffer;
	return n < 0 ? -errno : n;
}

/* The part has more; who unpacks it may go on. */
static void part_grow(struct load *l, struct load_part *part, size_t n, bool complete)
{
	(void)pthread_mutex_lock(&l->mutex);
	part->have += n;
	part->complete = complete;
	(void)pthread_cond_broadcast(&l->changed);
	(void)pthread_mutex_unlock(&l->mutex);
}

/* Its disk may be written to while the rest is unpacked: less is left for the end. */
static void write_early(int fd, uint64_t done)
{
	enum { STEP = 8 << 20 };

	if (done / STEP != (done - 1) / STEP)
		(void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

/* One piece of a part has come. */
static int piece_take(struct load *l, struct load_part *part, int fd, const void *data, size_t size)
{
	int r = load_cancelled(l) ? -ECANCELED : plug_write_all(fd, data, size);

	if (r == 0 && !part->have && load_looks_like_layer(data, size))
		r = load_job_queue(l, part);
	if (r < 0)
		return r;
	part_grow(l, part, size, false);
	write_early(fd, part->have);
	return 0;
}

static int part_write(struct load *l, struct load_part *part, struct origin *o, struct plug_error *err)
{
	_cleanup_close_ int fd = openat(l->work->fd, part->file,
					O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	const void *data;
	ssize_t n = 0;
	int r = fd < 0 ? -errno : 0;

	while (r == 0 && (n = o->take(o, &data)) > 0)
		r = piece_take(l, part, fd, data, (size_t)n);
	if (n < 0 && o->tar)
		return plug_error_set(err, (int)n, "%s: %s", l->options->what, st_tar_error(o->tar));
	r = n < 0 ? (int)n : r;
	if (r < 0)
		return plug_error_errno(err, r, "%s: %s", l->options->what, part->path);
	if (part->have != part->size)
		return plug_error_set(err, -EBADMSG, "%s: %s: changed while it was read",
				      l->options->what, part->path);
	part_grow(l, part, 0, true);
	return 0;
}

/* The store has it: its bytes are not needed again. */
static bool part_is_stored(struct load *l, struct load_part *part)
{
	if (strncmp(part->path, BLOBS, sizeof(BLOBS) - 1) != 0)
		return false;
	(void)snprintf(part->digest, sizeof(part->digest), "sha256:%.64s",
		       part->path + sizeof(BLOBS) - 1);
	part->stored = strlen(part->path) == sizeof(BLOBS) - 1 + 64 &&
		       st_work_use_blob(l->work, part->digest) == 0;
	part->complete = part->stored;
	if (!part->stored)
		*part->digest = 0;
	return part->stored;
}

/* A new part, or why there is none. */
static int part_new(struct load *l, const char *path, struct load_part **ret, struct plug_error *err)
{
	int r = part_add(l, path, ret);

	if (r == -E2BIG)
		return plug_error_set(err, r, "%s: more than %d files", l->options->what,
				      LOAD_PARTS_MAX);
	return r < 0 ? plug_error_errno(err, r, "%s: %s", l->options->what, path) : 0;
}

static int entry_take(struct load *l, struct st_tar *tar, const struct st_entry *e,
		      struct plug_error *err)
{
	struct origin o = { .take = take_tar, .tar = tar, .fd = -1 };
	const char *path = plain_path(e->path);
	struct load_part *part;
	int r;

	if (e->type != ST_TAR_FILE && e->type != ST_TAR_SYMLINK && e->type != ST_TAR_HARD_LINK)
		return 0;
	if (e->extent_count || e->stored != e->size)
		return plug_error_set(err, -EBADMSG, "%s: %s: a sparse file", l->options->what, path);
	r = part_new(l, path, &part, err);
	if (r < 0)
		return r;
	if (e->type != ST_TAR_FILE) {
		part->link = link_target(path, e->link, e->type == ST_TAR_HARD_LINK);
		return part->link ? 0 : plug_error_errno(err, -ENOMEM, "%s", path);
	}
	part->size = e->size;
	if (part_is_stored(l, part))
		return 0;
	st_work_name(l->work, "part", part->file, sizeof(part->file));
	return part_write(l, part, &o, err);
}

int load_stream(struct load *l, st_read_cb read, void *arg, struct plug_error *err)
{
	static const struct st_limits limits = { .max_entries = 4 * LOAD_PARTS_MAX };
	const struct st_entry *e;
	struct st_tar *tar;
	int r = st_tar_open(read, arg, &limits, &tar);

	if (r < 0)
		return plug_error_errno(err, r, "%s", l->options->what);
	while ((r = st_tar_next(tar, &e)) > 0) {
		r = entry_take(l, tar, e, err);
		if (r < 0)
			break;
	}
	if (r < 0 && (!err->code || err->code != r))
		(void)plug_error_set(err, r, "%s: %s", l->options->what,
				     r == -ECANCELED ? "cancelled" : st_tar_error(tar));
	st_tar_close(tar);
	return r;
}

/* A file of the layout in a directory, now that somebody needs it. */
static int file_take(struct load *l, const char *path, struct load_part **ret, struct plug_error *err)
{
	_cleanup_close_ int fd = openat(l->dir, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	_cleanup_free_ char *buffer = NULL;
	struct origin o = { .take = take_fd, .fd = fd };
	struct load_part *part;
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return plug_error_set(err, -errno, "%s: %s: %s", l->options->what, path,
				      errno == ENOENT ? "missing" : strerror(errno));
	if (!S_ISREG(st.st_mode))
		return plug_error_set(err, -EBADMSG, "%s: %s: not a file", l->options->what, path);
	o.buffer = buffer = malloc(CHUNK);
	r = buffer ? part_new(l, path, &part, err) : plug_error_errno(err, -ENOMEM, "%s", path);
	if (r < 0)
		return r;
	part->size = (uint64_t)st.st_size;
	*ret = part;
	if (part_is_stored(l, part))
		return 0;
	st_work_name(l->work, "part", part->file, sizeof(part->file));
	return part_write(l, part, &o, err);
}

int load_find(struct load *l, const char *path, struct load_part **ret, struct plug_error *err)
{
	const char *at = plain_path(path);

	for (int hops = 0; hops <= LOAD_LINKS_MAX; hops++) {
		size_t i = l->part_count;

		/* The last one of a name counts, as with tar. */
		while (i > 0 && strcmp(l->parts[i - 1]->path, at) != 0)
			i--;
		if (i == 0)
			return l->dir >= 0 ? file_take(l, at, ret, err)
					   : plug_error_set(err, -ENOENT, "%s: %s: missing",
							    l->options->what, at);
		if (!l->parts[i - 1]->link) {
			*ret = l->parts[i - 1];
			return 0;
		}
		at = l->parts[i - 1]->link;
	}
	return plug_error_set(err, -ELOOP, "%s: %s: links without end", l->options->what, path);
}

int load_find_blob(struct load *l, const char *digest, struct load_part **ret,
		     struct plug_error *err)
{
	char path[sizeof(BLOBS) + 64];

	(void)snprintf(path, sizeof(path), BLOBS "%s", st_hex(digest));
	return load_find(l, path, ret, err);
}

int load_open(struct load *l, const struct load_part *part)
{
	int fd = part->stored ? openat(l->store->blobs, st_hex(part->digest),
				       O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
			      : openat(l->work->fd, part->file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? -errno : fd;
}

static int file_digest(int fd, char ret[ST_DIGEST_SIZE])
{
	_cleanup_free_ char *buffer = malloc(CHUNK);
	struct st_hash *hash;
	ssize_t n;
	int r = buffer ? st_hash_create(&hash) : -ENOMEM;

	if (r < 0)
		return r;
	while ((n = read(fd, buffer, CHUNK)) > 0)
		st_hash_add(hash, buffer, (size_t)n);
	if (n < 0)
		r = -errno;
	else
		st_hash_end(hash, ret);
	st_hash_destroy(hash);
	return r;
}

int load_digest(struct load *l, struct load_part *part, struct plug_error *err)
{
	_cleanup_close_ int fd = -1;
	int r;

	for (size_t i = 0; i < part->job_count && !*part->digest; i++)
		if (part->jobs[i]->done && !part->jobs[i]->code)
			(void)strcpy(part->digest, part->jobs[i]->stream.raw);
	if (*part->digest)
		return 0;
	fd = load_open(l, part);
	r = fd < 0 ? fd : file_digest(fd, part->digest);
	return r < 0 ? plug_error_errno(err, r, "%s: %s", l->options->what, part->path) : 0;
}

int load_text(struct load *l, struct load_part *part, const struct st_descriptor *expected,
	      char **ret, size_t *ret_size, struct plug_error *err)
{
	char digest[ST_DIGEST_SIZE], *text;
	size_t size;
	int r = part->stored ? st_file_read(l->store->blobs, st_hex(part->digest), ST_JSON_MAX,
					    &text, &size)
			     : st_file_read(l->work->fd, part->file, ST_JSON_MAX, &text, &size);

	if (r < 0)
		return plug_error_errno(err, r, "%s: %s", l->options->what, part->path);
	st_sha256_text(text, size, digest);
	if (expected && strcmp(digest, expected->digest) != 0) {
		free(text);
		return plug_error_set(err, -EBADMSG, "%s: blob %s: its content has the digest %s",
				      l->options->what, expected->digest, digest);
	}
	if (expected && expected->size != size) {
		free(text);
		return plug_error_set(err, -EBADMSG,
				      "%s: blob %s: has %zu bytes, its descriptor says %llu",
				      l->options->what, expected->digest, size,
				      (unsigned long long)expected->size);
	}
	(void)strcpy(part->digest, digest);
	*ret = text;
	*ret_size = size;
	return 0;
}

int load_publish(struct load *l, struct load_part *part, struct plug_error *err)
{
	int r = part->stored || part->published
			? 0
			: st_work_add_blob(l->work, part->file, part->digest);

	part->published = true;
	return r < 0 ? plug_error_errno(err, r, "blob %s", part->digest) : 0;
}
