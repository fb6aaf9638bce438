/* SPDX-License-Identifier: MIT */
/* Removal of what nothing uses.  Decided and moved away under the lock; deleted after it. */
#include "image/internal.h"
#include "image/name.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

static DIR *directory_open(int fd)
{
	int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = own < 0 ? NULL : fdopendir(own);

	if (!d)
		plug_closep(&own);
	return d;
}

/* The next work whose maker is dead, claimed. */
static int sweep_next(struct st_store *s, char name[256], int *ret_dir, int *ret_lock,
		      struct plug_error *err)
{
	_cleanup_close_ int lock = -1;
	int r = st_lock(s, LOCK_EX, &lock, err);
	_cleanup_closedir_ DIR *d = r < 0 ? NULL : directory_open(s->tmp);
	struct dirent *e;

	if (r < 0)
		return r;
	while (d && (e = readdir(d))) {
		int fd;

		if (e->d_name[0] == '.')
			continue;
		fd = openat(s->tmp, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (fd < 0)
			continue;
		if (st_work_claim(fd, ret_lock) < 0) {
			(void)close(fd);
			continue;
		}
		(void)snprintf(name, 256, "%s", e->d_name);
		*ret_dir = fd;
		return 1;
	}
	return 0;
}

int st_store_sweep(struct st_store *s, struct st_freed *freed, struct plug_error *err)
{
	char name[256];
	int dir, lock, r;

	while ((r = sweep_next(s, name, &dir, &lock, err)) > 0) {
		r = st_remove_work(s->tmp, name, dir);
		(void)close(dir);
		(void)close(lock);
		if (r < 0)
			return plug_error_errno(err, r, "%s/tmp/%s", s->dir, name);
		if (freed)
			freed->works++;
	}
	return r;
}

/* What somebody at work keeps.  A dead one keeps nothing. */
static int mark_works(struct st_store *s, const char *own, struct st_set *blobs,
		      struct st_set *chains, struct plug_error *err)
{
	_cleanup_closedir_ DIR *d = directory_open(s->tmp);
	struct st_set used = { 0 };
	struct dirent *e;
	int r = d ? 0 : plug_error_errno(err, -errno, "%s/tmp", s->dir);

	while (r == 0 && (e = readdir(d))) {
		_cleanup_close_ int fd = -1;
		int lock, claimed;

		if (e->d_name[0] == '.' || !strcmp(e->d_name, own))
			continue;
		fd = openat(s->tmp, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (fd < 0)
			continue;
		claimed = st_work_claim(fd, &lock);
		if (claimed == 0)
			(void)close(lock);
		else
			r = st_work_uses(fd, blobs, &used);
	}
	for (size_t i = 0; r == 0 && i < used.count; i++) {
		char digest[ST_DIGEST_SIZE];
		struct plug_error why;

		(void)snprintf(digest, sizeof(digest), "sha256:%s", used.items[i]);
		r = st_set_add(chains, digest);
		/* With all below; one that is marked and not published yet has none. */
		if (r == 0)
			(void)st_layer_reach(s, digest, chains, &why);
	}
	st_set_finish(&used);
	return r < 0 && err && !err->code ? plug_error_errno(err, r, "%s/tmp", s->dir) : r;
}

static int mark_names(struct st_store *s, struct st_set *blobs, struct st_set *chains,
		      struct plug_error *err)
{
	struct st_name *names;
	struct plug_error why = { 0 };
	size_t count;
	int r = st_store_names(s, &names, &count, err);

	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < count; i++) {
		r = st_image_reach(s, names[i].digest, blobs, chains, &why);
		if (r < 0)
			(void)plug_error_set(err, r, "image %s: %s",
					     names[i].name ? st_name_familiar(names[i].name)
							 : names[i].digest,
					     why.text);
	}
	st_names_free(names, count);
	return r;
}

static int mark_refs(struct st_store *s, struct st_set *blobs, struct st_set *chains,
		     struct plug_error *err)
{
	struct st_ref *refs;
	struct plug_error why = { 0 };
	size_t count;
	int r = st_store_refs(s, &refs, &count, err);

	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < count; i++) {
		if (*refs[i].digest)
			r = st_image_reach(s, refs[i].digest, blobs, chains, &why);
		for (size_t k = 0; r == 0 && k < refs[i].chain_count; k++)
			r = st_layer_reach(s, refs[i].chains[k], chains, &why);
		if (r < 0)
			(void)plug_error_set(err, r, "used by %s: %s", refs[i].owner, why.text);
	}
	st_refs_free(refs, count);
	return r;
}

struct removal {
	struct st_store *store;
	struct st_work *trash;
	struct st_set *keep, *only;
	struct st_freed *freed;
};

static uint64_t entry_bytes(struct removal *x, bool blob, int dirfd, const char *digest)
{
	struct st_layer l;
	struct stat st;
	uint64_t size;

	if (blob)
		return fstatat(dirfd, st_hex(digest), &st, AT_SYMLINK_NOFOLLOW) < 0
			       ? 0
			       : (uint64_t)st.st_size;
	if (st_store_layer(x->store, digest, &l, NULL) < 0)
		return 0;
	size = l.size;
	st_layer_finish(&l);
	return size;
}

static int entry_remove(struct removal *x, bool blob, int dirfd, const char *digest,
			struct plug_error *err)
{
	uint64_t bytes = entry_bytes(x, blob, dirfd, digest);
	char to[32];

	st_work_name(x->trash, "trash", to, sizeof(to));
	if (renameat(dirfd, st_hex(digest), st_work_dirfd(x->trash), to) < 0)
		return plug_error_errno(err, -errno, "%s %s", blob ? "blob" : "layer", digest);
	x->freed->bytes += bytes;
	if (blob)
		x->freed->blobs++;
	else
		x->freed->layers++;
	if (x->freed->removed)
		x->freed->removed(x->freed->arg, blob ? "blob" : "layer", digest);
	return 0;
}

static int remove_unused(struct removal *x, bool blob, struct plug_error *err)
{
	int dirfd = blob ? x->store->blobs : x->store->layers, r = 0;
	_cleanup_closedir_ DIR *d = directory_open(dirfd);
	struct dirent *e;

	if (!d)
		return plug_error_errno(err, -errno, "%s", x->store->dir);
	while (r == 0 && (e = readdir(d))) {
		char digest[ST_DIGEST_SIZE];

		(void)snprintf(digest, sizeof(digest), "sha256:%.64s", e->d_name);
		if (strlen(e->d_name) != 64 || !st_digest_valid(digest) ||
		    st_set_has(x->keep, e->d_name) || (x->only && !st_set_has(x->only, e->d_name)))
			continue;
		r = entry_remove(x, blob, dirfd, digest, err);
	}
	return r;
}

struct marks {
	struct st_set blobs, chains, only_blobs, only_chains;
};

/* One that writes holds the lock as we do: what is there has no writer any more. */
static int sweep_files(struct st_store *s, struct plug_error *err)
{
	int r = st_file_sweep(s->names) ?: st_file_sweep(s->refs);

	return r < 0 ? plug_error_errno(err, r, "%s", s->dir) : 0;
}

static int gc_locked(struct st_store *s, struct st_work *trash, const char *only, struct marks *m,
		     struct st_freed *freed, struct plug_error *err)
{
	struct removal x = { .store = s, .trash = trash, .freed = freed };
	int r = sweep_files(s, err) ?: mark_names(s, &m->blobs, &m->chains, err);

	st_uses_sweep(s);
	if (r == 0)
		r = mark_refs(s, &m->blobs, &m->chains, err);
	if (r == 0)
		r = mark_works(s, trash->name, &m->blobs, &m->chains, err);
	/* Of a damaged image at least what is left of its manifest. */
	if (r == 0 && only && st_image_reach(s, only, &m->only_blobs, &m->only_chains, NULL) < 0)
		r = st_set_add(&m->only_blobs, only);
	if (r < 0)
		return r;
	x.keep = &m->blobs;
	x.only = only ? &m->only_blobs : NULL;
	r = remove_unused(&x, true, err);
	x.keep = &m->chains;
	x.only = only ? &m->only_chains : NULL;
	return r ?: remove_unused(&x, false, err);
}

int st_store_gc(struct st_store *s, const char *only, struct st_freed *freed, struct plug_error *err)
{
	struct st_work *trash = NULL;
	struct marks m = { 0 };
	int lock, r = st_store_sweep(s, freed, err);

	if (r == 0)
		r = st_work_begin(s, &trash, err);
	if (r == 0)
		r = st_lock(s, LOCK_EX, &lock, err);
	if (r == 0) {
		r = gc_locked(s, trash, only, &m, freed, err);
		(void)close(lock);
	}
	st_set_finish(&m.blobs);
	st_set_finish(&m.chains);
	st_set_finish(&m.only_blobs);
	st_set_finish(&m.only_chains);
	st_work_end(trash);
	return r;
}
