/* SPDX-License-Identifier: MIT */
/* What is in the making: a directory in tmp/ that lives as long as its maker. */
#include "image/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>

static void uuid_make(char ret[40])
{
	unsigned char b[16];
	char *p = ret;

	if (getrandom(b, sizeof(b), 0) != sizeof(b))
		memset(b, 0, sizeof(b)); /* before the pool is ready: mkdir tells who was first */
	b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
	b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
	for (size_t i = 0; i < sizeof(b); i++)
		p += sprintf(p, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", b[i]);
}

/* While the store is locked: nobody takes the directory for a dead one before it is locked. */
static int work_make(struct st_work *w)
{
	do
		uuid_make(w->name);
	while (mkdirat(w->store->tmp, w->name, 0700) < 0 && errno == EEXIST);
	w->fd = openat(w->store->tmp, w->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (w->fd < 0)
		return -errno;
	w->lock = openat(w->fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (w->lock < 0 || flock(w->lock, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	return 0;
}

int st_work_begin(struct st_store *store, struct st_work **ret, struct plug_error *err)
{
	struct st_work *w = calloc(1, sizeof(*w));
	_cleanup_close_ int lock = -1;
	int r;

	if (!w)
		return plug_error_errno(err, -ENOMEM, "%s/tmp", store->dir);
	w->store = store;
	w->fd = w->lock = -1;
	(void)pthread_mutex_init(&w->mutex, NULL);
	r = st_lock(store, LOCK_EX, &lock, err);
	if (r == 0) {
		r = work_make(w);
		if (r < 0)
			(void)plug_error_errno(err, r, "%s/tmp", store->dir);
	}
	if (r < 0)
		st_work_end(w);
	else
		*ret = w;
	return r;
}

void st_work_end(struct st_work *w)
{
	if (!w)
		return;
	if (w->fd >= 0)
		(void)st_remove_work(w->store->tmp, w->name, w->fd);
	plug_closep(&w->lock);
	plug_closep(&w->fd);
	for (size_t i = 0; i < w->pending_count; i++)
		free(w->pending[i].name);
	free(w->pending);
	(void)pthread_mutex_destroy(&w->mutex);
	free(w);
}

int st_work_dirfd(const struct st_work *w)
{
	return w->fd;
}

char *st_work_path(const struct st_work *w, const char *name)
{
	char *path;

	return asprintf(&path, "%s/tmp/%s/%s", w->store->dir, w->name, name) < 0 ? NULL : path;
}

void st_work_name(struct st_work *w, const char *prefix, char *ret, size_t size)
{
	(void)snprintf(ret, size, "%s-%u", prefix, atomic_fetch_add(&w->next, 1) + 1);
}

/* "use-b-HEX": a file that says to gc what this work keeps. */
static int use_mark(struct st_work *w, char kind, const char *hex)
{
	char name[80];
	int fd;

	(void)snprintf(name, sizeof(name), "use-%c-%s", kind, hex);
	fd = openat(w->fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	(void)close(fd);
	return 0;
}

static int use(struct st_work *w, char kind, int dirfd, const char *digest)
{
	_cleanup_close_ int lock = -1;
	struct stat st;
	int r;

	if (!st_digest_valid(digest))
		return -EINVAL;
	r = st_lock(w->store, LOCK_SH, &lock, NULL);
	if (r < 0)
		return r;
	if (fstatat(dirfd, st_hex(digest), &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return use_mark(w, kind, st_hex(digest));
}

int st_work_use_blob(struct st_work *w, const char *digest)
{
	return use(w, 'b', w->store->blobs, digest);
}

int st_work_use_layer(struct st_work *w, const char *chain)
{
	return use(w, 'l', w->store->layers, chain);
}

int st_work_uses(int dirfd, struct st_set *blobs, struct st_set *layers)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	_cleanup_closedir_ DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d) {
		r = -errno;
		plug_closep(&fd);
		return r;
	}
	while (r == 0 && (e = readdir(d))) {
		char digest[ST_DIGEST_SIZE];

		if (strlen(e->d_name) != 6 + 64 || strncmp(e->d_name, "use-", 4) != 0)
			continue;
		(void)snprintf(digest, sizeof(digest), "sha256:%.64s", e->d_name + 6);
		r = st_set_add(e->d_name[4] == 'b' ? blobs : layers, digest);
	}
	return r;
}

int st_work_claim(int dirfd, int *ret_lock)
{
	int lock = openat(dirfd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600), r;

	if (lock < 0)
		return -errno;
	if (flock(lock, LOCK_EX | LOCK_NB) < 0) {
		r = errno == EWOULDBLOCK ? -EBUSY : -errno;
		(void)close(lock);
		return r;
	}
	*ret_lock = lock;
	return 0;
}

static int pending_add(struct st_work *w, enum st_pending_kind kind, const char *name,
		       const char *digest)
{
	struct st_pending *grown, *p;
	char *copy = name ? strdup(name) : NULL;
	int r = name && !copy ? -ENOMEM : 0;

	(void)pthread_mutex_lock(&w->mutex);
	grown = r == 0 ? reallocarray(w->pending, w->pending_count + 1, sizeof(*grown)) : NULL;
	if (grown) {
		w->pending = grown;
		p = &grown[w->pending_count++];
		*p = (struct st_pending){ .kind = kind, .name = copy };
		(void)snprintf(p->digest, sizeof(p->digest), "%s", digest);
	} else {
		free(copy);
		r = -ENOMEM;
	}
	(void)pthread_mutex_unlock(&w->mutex);
	return r;
}

int st_work_add_blob(struct st_work *w, const char *name, const char *digest)
{
	return st_digest_valid(digest) ? pending_add(w, ST_PENDING_BLOB, name, digest) : -EINVAL;
}

int st_work_add_name(struct st_work *w, const char *name, const char *digest)
{
	return st_digest_valid(digest) ? pending_add(w, ST_PENDING_NAME, name, digest) : -EINVAL;
}

int st_work_layer(struct st_work *w, char *ret_name, size_t size, int *ret_fs,
		  struct plug_error *err)
{
	char fs[64];
	int fd;

	st_work_name(w, "layer", ret_name, size);
	(void)snprintf(fs, sizeof(fs), "%s/fs", ret_name);
	if (mkdirat(w->fd, ret_name, 0700) < 0 || mkdirat(w->fd, fs, 0755) < 0)
		return plug_error_errno(err, -errno, "%s/tmp/%s/%s", w->store->dir, w->name, fs);
	fd = openat(w->fd, fs, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return plug_error_errno(err, -errno, "%s/tmp/%s/%s", w->store->dir, w->name, fs);
	*ret_fs = fd;
	return 0;
}

static const char *const kinds[] = { "dir", "erofs", "squashfs", "ext4" };
_Static_assert(PLUG_ELEMENTS(kinds) == ST_LAYER_KIND_COUNT, "a kind without a name");

int st_work_add_layer(struct st_work *w, const char *name, const struct st_layer *layer,
		      struct plug_error *err)
{
	_cleanup_close_ int fd = -1;
	char path[80], text[512];
	int n, r = 0;

	if (!st_digest_valid(layer->chain) || !st_digest_valid(layer->diff) ||
	    (*layer->parent && !st_digest_valid(layer->parent)))
		return plug_error_errno(err, -EINVAL, "layer %s", layer->chain);
	n = snprintf(text, sizeof(text),
		     "{\"version\":1,\"chain_id\":\"%s\",\"diff_id\":\"%s\",\"parent\":\"%s\","
		     "\"size\":%llu,\"kind\":\"%s\"}\n",
		     layer->chain, layer->diff, layer->parent, (unsigned long long)layer->size,
		     kinds[layer->kind]);
	(void)snprintf(path, sizeof(path), "%s/layer.json", name);
	fd = openat(w->fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		r = -errno;
	else if (write(fd, text, (size_t)n) != n)
		r = -ENOSPC;
	if (r == 0)
		r = pending_add(w, ST_PENDING_LAYER, name, layer->chain);
	return r < 0 ? plug_error_errno(err, r, "layer %s", layer->chain) : 0;
}

static int publish_blob(struct st_work *w, const struct st_pending *p)
{
	/* Over what may be there: it is the same, and ours has just been verified. */
	return renameat(w->fd, p->name, w->store->blobs, st_hex(p->digest)) < 0 ? -errno : 0;
}

static int publish_layer(struct st_work *w, const struct st_pending *p)
{
	if (!renameat(w->fd, p->name, w->store->layers, st_hex(p->digest)))
		return 0;
	/* Somebody was faster: theirs is complete, ours goes with the work. */
	return errno == ENOTEMPTY || errno == EEXIST ? 0 : -errno;
}

static int publish(struct st_work *w, enum st_pending_kind kind, int dirfd, struct plug_error *err)
{
	bool any = false;
	int r = 0;

	for (size_t i = 0; i < w->pending_count; i++) {
		const struct st_pending *p = &w->pending[i];

		if (p->kind != kind)
			continue;
		any = true;
		r = use_mark(w, kind == ST_PENDING_BLOB ? 'b' : 'l', st_hex(p->digest));
		if (r == 0)
			r = kind == ST_PENDING_BLOB ? publish_blob(w, p) : publish_layer(w, p);
		if (r < 0)
			return plug_error_errno(err, r, "%s %s",
						kind == ST_PENDING_BLOB ? "blob" : "layer",
						p->digest);
	}
	if (any && fsync(dirfd) < 0)
		return plug_error_errno(err, -errno, "%s", w->store->dir);
	return 0;
}

int st_work_commit(struct st_work *w, struct plug_error *err)
{
	_cleanup_close_ int lock = -1;
	int r;

	/* One for all: what is renamed below is on the disk then, with all its files. */
	if (syncfs(w->fd) < 0)
		return plug_error_errno(err, -errno, "%s", w->store->dir);
	r = st_lock(w->store, LOCK_EX, &lock, err);
	if (r == 0)
		r = publish(w, ST_PENDING_BLOB, w->store->blobs, err);
	if (r == 0)
		r = publish(w, ST_PENDING_LAYER, w->store->layers, err);
	for (size_t i = 0; r == 0 && i < w->pending_count; i++)
		if (w->pending[i].kind == ST_PENDING_NAME)
			r = st_name_write(w->store, w->pending[i].name, w->pending[i].digest, err);
	return r;
}
