/* SPDX-License-Identifier: MIT */
#include "archive/unpack_private.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <sys/sysmacros.h>

#define PROGRESS_BYTES (1 << 20)
#define PROGRESS_ENTRIES 256

int unpack_fail(struct unpack *u, int code, const char *what)
{
	char name[128];

	if (u->error[0]) /* the first one counts */
		return code;
	tar_shown(u->entry ? u->entry->path : "", name, sizeof(name));
	(void)snprintf(u->error, u->error_size, "entry %s: %s%s%s", name, what ? what : "",
		       what && code != -EINVAL ? ": " : "",
		       what && code == -EINVAL ? "" : strerror(-code));
	return code;
}

int unpack_replace(struct unpack *u, int parent, const char *name, bool *was_whiteout)
{
	struct stat st;
	int r;

	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : -errno;
	*was_whiteout = u->options->whiteouts == ST_WHITEOUT_OVERLAY && unpack_is_whiteout(&st);
	if (!S_ISDIR(st.st_mode) && !S_ISLNK(st.st_mode))
		return unlinkat(parent, name, 0) ? -errno : 0;
	u->removed_dirs = true;
	r = st_remove_tree(parent, name);
	return r;
}

/* What is in the way goes; a directory takes the descriptors of what was in it along. */
static int make_way(struct unpack *u)
{
	bool was_whiteout, removed = u->removed_dirs;
	int r;

	u->removed_dirs = false;
	r = unpack_replace(u, u->parent, u->name.base, &was_whiteout);
	if (!r && u->removed_dirs) {
		unpack_dirs_forget(u);
		u->parent = unpack_dir_find(u, u->name.path.data, u->name.parent_size);
		r = u->parent < 0 ? u->parent : 0;
	}
	u->removed_dirs |= removed;
	return r ? unpack_fail(u, r, "what is there already") : 0;
}

static int progress(struct unpack *u, uint64_t bytes)
{
	const struct st_unpack_options *options = u->options;
	int r = 0;

	u->result.bytes += bytes;
	if (options->progress && (u->result.bytes - u->reported >= PROGRESS_BYTES ||
				  (!bytes && u->result.entries % PROGRESS_ENTRIES == 0))) {
		u->reported = u->result.bytes;
		r = options->progress(options->arg, u->result.bytes);
	}
	return r ? unpack_fail(u, r, "stopped") : 0;
}

/* The entry's data, each piece where the map says it goes; without one, one after another. */
static int file_data(struct unpack *u, int fd)
{
	const struct st_entry *entry = u->entry;
	const struct st_extent whole = { 0, entry->size };
	const struct st_extent *extent = entry->extent_count ? entry->extents : &whole;
	uint64_t at = 0; /* in the extent */
	const void *data;
	ssize_t left;
	int r = 0;

	while (!r && (left = st_tar_take(u->tar, &data)) > 0) {
		const uint8_t *from = data;

		while (!r && left > 0) {
			size_t n = (size_t)left;

			if (n > extent->size - at)
				n = (size_t)(extent->size - at);
			r = plug_pwrite_all(fd, from, n, extent->offset + at);
			from += n;
			left -= (ssize_t)n;
			at += n;
			if (at == extent->size) {
				extent++;
				at = 0;
			}
			if (r)
				return unpack_fail(u, r, "cannot be written");
			r = progress(u, n);
		}
	}
	if (!r && left < 0)
		return (int)left;
	if (!r && entry->stored != entry->size && ftruncate(fd, (off_t)entry->size))
		return unpack_fail(u, -errno, "its size");
	return r;
}

static int make_file(struct unpack *u)
{
	/* Set-id bits come when the file is what it will be, and belongs to whom it will. */
	mode_t mode = (mode_t)(u->entry->mode & 0777);
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	_cleanup_close_ int fd = openat(u->parent, u->name.base, flags, mode);
	int r;

	if (fd < 0 && errno == EEXIST) {
		r = make_way(u);
		if (r)
			return r;
		fd = openat(u->parent, u->name.base, flags, mode);
	}
	if (fd < 0)
		return unpack_fail(u, -errno, "cannot be made");
	r = file_data(u, fd);
	if (!r)
		u->result.sizes += u->entry->size;
	return r ? r : unpack_meta_file(u, fd);
}

static int make_directory(struct unpack *u)
{
	mode_t mode = (mode_t)(u->entry->mode & 0777) | 0700;
	bool was_whiteout = false;
	struct stat st;
	int r;

	if (!u->name.base[0])
		return unpack_meta_directory(u);
	if (mkdirat(u->parent, u->name.base, mode)) {
		if (errno != EEXIST ||
		    fstatat(u->parent, u->name.base, &st, AT_SYMLINK_NOFOLLOW))
			return unpack_fail(u, -errno, "cannot be made");
		if (!S_ISDIR(st.st_mode)) {
			was_whiteout = u->options->whiteouts == ST_WHITEOUT_OVERLAY &&
				       unpack_is_whiteout(&st);
			r = make_way(u);
			if (r)
				return r;
			if (mkdirat(u->parent, u->name.base, mode))
				return unpack_fail(u, -errno, "cannot be made");
		}
	}
	/* A whiteout of its own layer hides what the layers below have of that name. */
	r = was_whiteout ? unpack_opaque(u, u->parent, u->name.base) : 0;
	return r ? r : unpack_meta_directory(u);
}

static int make_symlink(struct unpack *u)
{
	int r;

	if (symlinkat(u->entry->link, u->parent, u->name.base)) {
		if (errno != EEXIST)
			return unpack_fail(u, -errno, "cannot be made");
		r = make_way(u);
		if (r)
			return r;
		if (symlinkat(u->entry->link, u->parent, u->name.base))
			return unpack_fail(u, -errno, "cannot be made");
	}
	return unpack_meta_name(u);
}

static int make_node(struct unpack *u)
{
	const struct st_entry *entry = u->entry;
	dev_t device = makedev(entry->major, entry->minor);
	mode_t mode = (mode_t)(entry->mode & 0777);
	int r;

	switch (entry->type) {
	case ST_TAR_CHAR:
		mode |= S_IFCHR;
		break;
	case ST_TAR_BLOCK:
		mode |= S_IFBLK;
		break;
	default:
		mode |= S_IFIFO;
		device = 0;
	}
	if (mknodat(u->parent, u->name.base, mode, device)) {
		if (errno == EPERM && u->options->skip_devices)
			return 0;
		if (errno != EEXIST)
			return unpack_fail(u, -errno, "cannot be made");
		r = make_way(u);
		if (r)
			return r;
		if (mknodat(u->parent, u->name.base, mode, device))
			return unpack_fail(u, -errno, "cannot be made");
	}
	return unpack_meta_name(u);
}

/* The same file under another name: a name in the archive, so it is looked up as one. */
static int make_hard_link(struct unpack *u)
{
	_cleanup_close_ int from = -1;
	struct stat to, st;
	int r = unpack_name_set(u, &u->link, u->entry->link), fd;

	if (r)
		return r;
	if (!u->link.base[0])
		return unpack_fail(u, -EINVAL, "refused: a hard link to the root");
	fd = unpack_dir_find(u, u->link.path.data, u->link.parent_size);
	if (fd >= 0) /* the cache may drop it */
		from = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (from < 0 || fstatat(from, u->link.base, &to, AT_SYMLINK_NOFOLLOW))
		return unpack_fail(u, -EXDEV, "a hard link to what is not in this layer");
	/* The cache may have dropped this one meanwhile. */
	u->parent = unpack_dir_find(u, u->name.path.data, u->name.parent_size);
	if (u->parent < 0)
		return unpack_fail(u, u->parent, "cannot be made");
	if (!linkat(from, u->link.base, u->parent, u->name.base, 0))
		return 0;
	if (errno != EEXIST)
		return unpack_fail(u, -errno, "cannot be made");
	if (!fstatat(u->parent, u->name.base, &st, AT_SYMLINK_NOFOLLOW) &&
	    st.st_dev == to.st_dev && st.st_ino == to.st_ino)
		return 0; /* it is already; above all, it may be the same name */
	r = make_way(u);
	if (r)
		return r;
	if (linkat(from, u->link.base, u->parent, u->name.base, 0))
		return unpack_fail(u, -errno, "cannot be made");
	return 0;
}

static int make_entry(struct unpack *u)
{
	switch (u->entry->type) {
	case ST_TAR_FILE:
		return make_file(u);
	case ST_TAR_DIRECTORY:
		return make_directory(u);
	case ST_TAR_SYMLINK:
		return make_symlink(u);
	case ST_TAR_HARD_LINK:
		return make_hard_link(u);
	case ST_TAR_CHAR:
	case ST_TAR_BLOCK:
	case ST_TAR_FIFO:
		return make_node(u);
	default:
		return unpack_fail(u, -EINVAL, "refused: an unknown type of entry");
	}
}

static int unpack_entry(struct unpack *u)
{
	int r = unpack_name_set(u, &u->name, u->entry->path);

	if (r)
		return r;
	if (!u->name.base[0] && u->entry->type != ST_TAR_DIRECTORY)
		return unpack_fail(u, -EINVAL, "refused: it would be in place of the root directory");
	u->parent = unpack_dir_make(u, u->name.path.data, u->name.parent_size);
	if (u->parent < 0)
		return unpack_fail(u, u->parent, "the directory it is in");
	r = unpack_whiteout(u);
	if (r)
		return r < 0 ? r : 0;
	r = make_entry(u);
	if (!r && u->options->whiteouts == ST_WHITEOUT_APPLY)
		r = unpack_made_add(u, u->name.path.data, u->name.path.size);
	return r;
}

static int unpack_all(struct unpack *u)
{
	int r;

	while ((r = st_tar_next(u->tar, &u->entry)) > 0) {
		u->result.entries++;
		r = unpack_entry(u);
		if (!r)
			r = progress(u, 0);
		if (r)
			break;
	}
	if (r && !u->error[0])
		(void)snprintf(u->error, u->error_size, "%s", st_tar_error(u->tar));
	u->entry = NULL;
	return r ? r : unpack_late(u);
}

static void unpack_free(struct unpack *u)
{
	unpack_dirs_forget(u);
	unpack_name_free(&u->name);
	unpack_name_free(&u->link);
	free(u->late.data);
	if (u->late_fd >= 0)
		(void)close(u->late_fd);
	free(u->implied.data);
	free(u->made);
}

int st_unpack(struct st_tar *tar, int dirfd, const struct st_unpack_options *options,
	      struct st_unpack_result *ret, char *error, size_t error_size)
{
	static const struct st_unpack_options none;
	struct unpack u = { .tar = tar,
			    .root = dirfd,
			    .options = options ? options : &none,
			    .error = error,
			    .error_size = error_size,
			    .late_fd = -1 };
	int r;

	error[0] = 0;
	(void)getrandom(&u.seed, sizeof(u.seed), GRND_NONBLOCK);
	r = unpack_all(&u);
	if (!r) {
		*ret = u.result;
		ret->implied = u.implied.data;
		ret->implied_size = u.implied.size;
		u.implied.data = NULL;
	}
	unpack_free(&u);
	return r;
}
