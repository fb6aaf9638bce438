/* SPDX-License-Identifier: MIT */
/* Owner, mode, attributes and times of what was made. */
#include "archive/unpack_private.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/xattr.h>

#define XATTR "SCHILY.xattr."
#define LATE_MEMORY (256 * 1024) /* what is more goes to a file */
#define MODE_KEEP UINT32_MAX

/* What a directory gets when all is in it; path follows, with its NUL. */
struct unpack_late {
	struct timespec atime, mtime;
	uint32_t mode; /* MODE_KEEP: it has its mode */
	uint32_t size; /* of path */
};

static int owner_of(struct unpack *u, uid_t *uid, gid_t *gid)
{
	const struct st_entry *entry = u->entry;

	/* The highest number means "no change" to the kernel. */
	if (entry->uid >= (uid_t)-1 || entry->gid >= (gid_t)-1)
		return unpack_fail(u, -EOVERFLOW, "an owner beyond what a file system holds");
	*uid = (uid_t)entry->uid;
	*gid = (gid_t)entry->gid;
	return 0;
}

static void times_of(const struct st_entry *entry, struct timespec ret[2])
{
	ret[0] = entry->has_atime ? entry->atime : entry->mtime;
	ret[1] = entry->mtime;
}

/* The name of an attribute that is set, or NULL: what the host's own file system means by others is
 * not for an archive to say. */
static const char *xattr_name(const struct unpack *u, const struct st_pax *pax)
{
	const char *name = pax->key + sizeof(XATTR) - 1;

	if (strncmp(pax->key, XATTR, sizeof(XATTR) - 1) != 0)
		return NULL;
	if (!strcmp(name, "security.capability"))
		return name;
	if (strncmp(name, "user.", 5) != 0)
		return NULL;
	return u->options->user_xattr && !strncmp(name, "user.overlay.", 13) ? NULL : name;
}

static int xattrs_set(struct unpack *u, int fd)
{
	const struct st_entry *entry = u->entry;

	for (size_t i = 0; i < entry->pax_count; i++) {
		const struct st_pax *pax = &entry->pax[i];
		const char *name = xattr_name(u, pax);

		if (!name) {
			if (!strncmp(pax->key, XATTR, sizeof(XATTR) - 1))
				u->result.xattrs_skipped++;
			continue;
		}
		if (!fsetxattr(fd, name, pax->value, pax->size, 0))
			continue;
		if (errno == EOPNOTSUPP || (errno == EPERM && u->options->no_owner))
			u->result.xattrs_skipped++;
		else
			return unpack_fail(u, -errno, "an extended attribute");
	}
	return 0;
}

/* Owner and mode as they are, so that what is right already costs nothing. */
int unpack_meta_file(struct unpack *u, int fd)
{
	const struct st_entry *entry = u->entry;
	struct timespec times[2];
	struct stat st;
	uid_t uid;
	gid_t gid;
	int r = owner_of(u, &uid, &gid);

	if (r)
		return r;
	if (fstat(fd, &st))
		return unpack_fail(u, -errno, "its state");
	if (!u->options->no_owner && (st.st_uid != uid || st.st_gid != gid)) {
		if (fchown(fd, uid, gid))
			return unpack_fail(u, -errno, "its owner");
		st.st_mode &= ~(mode_t)(S_ISUID | S_ISGID); /* the kernel took them */
	}
	if ((st.st_mode & 07777) != entry->mode && fchmod(fd, entry->mode))
		return unpack_fail(u, -errno, "its mode");
	r = entry->pax_count ? xattrs_set(u, fd) : 0;
	if (r)
		return r;
	times_of(entry, times);
	return futimens(fd, times) ? unpack_fail(u, -errno, "its times") : 0;
}

int unpack_meta_name(struct unpack *u)
{
	const struct st_entry *entry = u->entry;
	const char *base = u->name.base;
	struct timespec times[2];
	struct stat st;
	uid_t uid;
	gid_t gid;
	int r = owner_of(u, &uid, &gid);

	if (r)
		return r;
	if (fstatat(u->parent, base, &st, AT_SYMLINK_NOFOLLOW))
		return unpack_fail(u, -errno, "its state");
	if (!u->options->no_owner && (st.st_uid != uid || st.st_gid != gid)) {
		if (fchownat(u->parent, base, uid, gid, AT_SYMLINK_NOFOLLOW))
			return unpack_fail(u, -errno, "its owner");
		st.st_mode &= ~(mode_t)(S_ISUID | S_ISGID);
	}
	if (!S_ISLNK(st.st_mode) && (st.st_mode & 07777) != entry->mode &&
	    fchmodat(u->parent, base, entry->mode, AT_SYMLINK_NOFOLLOW))
		return unpack_fail(u, -errno, "its mode");
	for (size_t i = 0; i < entry->pax_count; i++)
		u->result.xattrs_skipped += !strncmp(entry->pax[i].key, XATTR, sizeof(XATTR) - 1);
	times_of(entry, times);
	if (utimensat(u->parent, base, times, AT_SYMLINK_NOFOLLOW))
		return unpack_fail(u, -errno, "its times");
	return 0;
}

static int late_add(struct unpack *u, uint32_t mode)
{
	struct unpack_late late = { .mode = mode, .size = (uint32_t)u->name.path.size + 1 };
	struct timespec times[2];
	int r;

	times_of(u->entry, times);
	late.atime = times[0];
	late.mtime = times[1];
	if (u->late.size > LATE_MEMORY) {
		if (u->late_fd < 0)
			u->late_fd = openat(u->root, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
		if (u->late_fd < 0)
			return unpack_fail(u, -errno, "a temporary file");
		r = plug_write_all(u->late_fd, u->late.data, u->late.size);
		if (r)
			return unpack_fail(u, r, "a temporary file");
		u->late.size = 0;
	}
	r = tar_text_add(&u->late, &late, sizeof(late));
	if (!r)
		r = tar_text_add(&u->late, u->name.path.data, late.size);
	return r ? unpack_fail(u, r, NULL) : 0;
}

static int directory_xattrs(struct unpack *u, int parent, const char *name)
{
	_cleanup_close_ int fd = -1;
	bool any = false;

	for (size_t i = 0; i < u->entry->pax_count; i++)
		any |= !strncmp(u->entry->pax[i].key, XATTR, sizeof(XATTR) - 1);
	if (!any)
		return 0;
	fd = unpack_dir_open(parent, name);
	return fd < 0 ? unpack_fail(u, fd, "its extended attributes") : xattrs_set(u, fd);
}

int unpack_meta_directory(struct unpack *u)
{
	const struct st_entry *entry = u->entry;
	bool is_root = !u->name.base[0];
	int at = is_root ? u->root : u->parent;
	const char *base = is_root ? "." : u->name.base;
	bool later = geteuid() && (entry->mode & 0700) != 0700;
	uint32_t mode = later ? entry->mode | 0700 : entry->mode;
	struct stat st;
	uid_t uid;
	gid_t gid;
	int r = owner_of(u, &uid, &gid);

	if (r)
		return r;
	if (fstatat(at, base, &st, AT_SYMLINK_NOFOLLOW))
		return unpack_fail(u, -errno, "its state");
	if (!u->options->no_owner && (st.st_uid != uid || st.st_gid != gid)) {
		if (fchownat(at, base, uid, gid, AT_SYMLINK_NOFOLLOW))
			return unpack_fail(u, -errno, "its owner");
		st.st_mode &= ~(mode_t)(S_ISUID | S_ISGID);
	}
	if ((st.st_mode & 07777) != mode && fchmodat(at, base, mode, AT_SYMLINK_NOFOLLOW))
		return unpack_fail(u, -errno, "its mode");
	r = directory_xattrs(u, at, base);
	return r ? r : late_add(u, later ? entry->mode : MODE_KEEP);
}

/* Whether a directory that was made made way for something else. */
static bool late_replaced(struct unpack *u, int at, const char *base)
{
	struct stat st;

	if (!u->removed_dirs || at < 0)
		return u->removed_dirs && (at == -ENOENT || at == -ENOTDIR);
	return fstatat(at, base, &st, AT_SYMLINK_NOFOLLOW) || !S_ISDIR(st.st_mode);
}

static int late_apply(struct unpack *u, const struct unpack_late *late, const char *path)
{
	const struct timespec times[2] = { late->atime, late->mtime };
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
	int at = *path ? unpack_dir_find(u, path, slash ? (size_t)(slash - path) : 0) : u->root;
	int r = at < 0 ? at : 0;

	if (!*path)
		base = ".";
	if (late_replaced(u, at, base))
		return 0;
	if (!r && late->mode != MODE_KEEP &&
	    fchmodat(at, base, late->mode, AT_SYMLINK_NOFOLLOW))
		r = -errno;
	if (!r && utimensat(at, base, times, AT_SYMLINK_NOFOLLOW))
		r = -errno;
	if (r && !u->error[0])
		(void)snprintf(u->error, u->error_size, "directory %s: its times: %s", path,
			       strerror(-r));
	return r;
}

/* Whole records of the text; *ret: the bytes that they took. */
static int late_records(struct unpack *u, const char *data, size_t size, size_t *ret)
{
	size_t at = 0;
	struct unpack_late late;
	int r = 0;

	while (!r && size - at >= sizeof(late)) {
		memcpy(&late, data + at, sizeof(late));
		if (size - at - sizeof(late) < late.size)
			break;
		r = late_apply(u, &late, data + at + sizeof(late));
		at += sizeof(late) + late.size;
	}
	*ret = at;
	return r;
}

int unpack_late(struct unpack *u)
{
	struct tar_text text = { 0 };
	char buffer[4096];
	size_t done;
	int r = 0;

	if (u->late_fd >= 0 && lseek(u->late_fd, 0, SEEK_SET) < 0)
		return unpack_fail(u, -errno, "a temporary file");
	while (!r && u->late_fd >= 0) {
		ssize_t n = read(u->late_fd, buffer, sizeof(buffer));

		if (!n)
			break;
		r = n < 0 ? -errno : tar_text_add(&text, buffer, (size_t)n);
		if (!r)
			r = late_records(u, text.data, text.size, &done);
		if (!r) {
			text.size -= done;
			memmove(text.data, text.data + done, text.size);
		}
	}
	free(text.data);
	return r ? r : late_records(u, u->late.data, u->late.size, &done);
}
