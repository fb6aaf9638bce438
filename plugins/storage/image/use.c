/* SPDX-License-Identifier: MIT */
/*
 * refs/@OWNER: what an image is kept by for as long as a directory of its owner exists.  It is a hard
 * link to the image's manifest: it is made whole by one call, costs no inode, and needs no sync to be
 * either there or not after a power cut.  "owners" leads to the directory above those of the owners;
 * a link whose owner has none any more, because a power cut took him, counts as gone.
 */
#include "image/internal.h"
#include "image/name.h"
#include "image/sha.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#define TICK_NS 20000000 /* more than the file system's clock may lag behind */

/* ---- marks */

static int64_t changed(int dirfd)
{
	struct stat st;

	return fstat(dirfd, &st) < 0 ? -1 : st.st_ctim.tv_sec * 1000000000 + st.st_ctim.tv_nsec;
}

void st_store_mark(struct st_store *s, struct st_mark *ret)
{
	struct timespec now = { 0 };
	int64_t last;

	*ret = (struct st_mark){ changed(s->names), changed(s->blobs), changed(s->layers), false };
	last = ret->names > ret->blobs ? ret->names : ret->blobs;
	last = ret->layers > last ? ret->layers : last;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	/* What comes in the same tick as the last change would not be seen. */
	ret->settled = ret->names >= 0 && ret->blobs >= 0 && ret->layers >= 0 &&
		       now.tv_sec * 1000000000 + now.tv_nsec - last > TICK_NS;
}

bool st_store_unchanged(struct st_store *s, const struct st_mark *mark)
{
	return mark->settled && mark->names == changed(s->names) &&
	       mark->blobs == changed(s->blobs) && mark->layers == changed(s->layers);
}

/* ---- links */

static bool same_place(struct st_store *s, const char *parent)
{
	struct stat own, other;

	return fstatat(s->fd, "owners", &own, 0) == 0 && stat(parent, &other) == 0 &&
	       own.st_dev == other.st_dev && own.st_ino == other.st_ino;
}

static int owners_put(struct st_store *s, const char *target)
{
	static const char making[] = ".owners";

	(void)unlinkat(s->fd, making, 0);
	return symlinkat(target, s->fd, making) < 0 || renameat(s->fd, making, s->fd, "owners") < 0 ?
		       -errno :
		       0;
}

/* A link to where dir is; one that moves with the store, where the two have the same parent. */
static int owners_write(struct st_store *s, const char *dir)
{
	_cleanup_free_ char *parent = strndup(dir, (size_t)(strrchr(dir, '/') - dir)), *near = NULL;
	int r = 0;

	if (!parent || asprintf(&near, "..%s", strrchr(parent, '/') ?: "/") < 0) {
		near = NULL;
		return -ENOMEM;
	}
	if (!same_place(s, parent))
		r = owners_put(s, near);
	if (r == 0 && !same_place(s, parent))
		r = owners_put(s, parent);
	return r == 0 && !same_place(s, parent) ? -EOPNOTSUPP : r;
}

/* dir ends in "/OWNER", and OWNER is a file's name as it is. */
static bool fits(const char *owner, const char *dir)
{
	size_t len = strlen(dir), end = strlen(owner);
	char file[256];

	st_name_escape(owner, file);
	return *owner && strcmp(file, owner) == 0 && *dir == '/' && len > end + 1 &&
	       dir[len - end - 1] == '/' && strcmp(dir + len - end, owner) == 0;
}

static int link_make(struct st_store *s, const char *owner, const char *digest)
{
	char file[256];
	struct stat own, other;

	(void)snprintf(file, sizeof(file), "@%s", owner);
	if (linkat(s->blobs, st_hex(digest), s->refs, file, 0) == 0)
		return 0;
	if (errno != EEXIST)
		return -errno;
	if (fstatat(s->refs, file, &own, AT_SYMLINK_NOFOLLOW) == 0 &&
	    fstatat(s->blobs, st_hex(digest), &other, AT_SYMLINK_NOFOLLOW) == 0 &&
	    own.st_ino == other.st_ino)
		return 0;
	(void)unlinkat(s->refs, file, 0);
	return linkat(s->blobs, st_hex(digest), s->refs, file, 0) < 0 ? -errno : 0;
}

int st_store_use(struct st_store *s, const char *owner, const char *dir,
		 const struct st_image *image, bool now)
{
	_cleanup_close_ int lock = -1;
	int r = fits(owner, dir) ? st_lock(s, now ? LOCK_EX | LOCK_NB : LOCK_EX, &lock, NULL) :
				   -EOPNOTSUPP;

	/* Under the lock: what is there now stays. */
	if (r == 0 && !st_store_unchanged(s, &image->mark))
		r = now ? -ESTALE : st_image_check(s, image, NULL);
	if (r == 0 && !s->owners) {
		r = owners_write(s, dir);
		s->owners = r == 0;
	}
	return r < 0 ? r : link_make(s, owner, image->digest);
}

/* No owner has no directory where that is not known. */
static bool is_stale(struct st_store *s, const char *file)
{
	_cleanup_close_ int owners = openat(s->fd, "owners", O_PATH | O_DIRECTORY | O_CLOEXEC);

	return owners >= 0 && faccessat(owners, file + 1, F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
	       errno == ENOENT;
}

int st_use_read(struct st_store *s, const char *file, struct st_ref *ret, struct plug_error *err)
{
	_cleanup_free_ char *text = NULL;
	size_t size;
	int r = is_stale(s, file) ? -ENOENT : st_file_read(s->refs, file, ST_JSON_MAX, &text, &size);

	if (r < 0)
		return plug_error_errno(err, r, "%s/refs/%s", s->dir, file);
	*ret = (struct st_ref){ .owner = strdup(file + 1), .chains = calloc(1, sizeof(char *)) };
	st_sha256_text(text, size, ret->digest);
	return ret->owner && ret->chains ? 0 : plug_error_errno(err, -ENOMEM, "refs/%s", file);
}

void st_uses_sweep(struct st_store *s)
{
	int own = openat(s->refs, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *d = own < 0 ? NULL : fdopendir(own);

	if (!d)
		plug_closep(&own);
	for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d))
		if (e->d_name[0] == '@' && is_stale(s, e->d_name))
			(void)unlinkat(s->refs, e->d_name, 0);
}

int st_store_sync_refs(struct st_store *s)
{
	return fsync(s->refs) < 0 || fsync(s->fd) < 0 ? -errno : 0;
}
