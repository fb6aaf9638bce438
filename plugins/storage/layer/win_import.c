/* SPDX-License-Identifier: MIT */
#include "layer/tree.h"
#include "layer/win_private.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/xattr.h>

#define WHITEOUT ".wh."

/* What a directory gets when all is in it. */
struct late {
	struct timespec times[2];
	char *path;
};

struct win {
	struct st_tar *tar;
	int root;
	const int *parents;
	size_t parent_count;
	const struct st_entry *entry;
	char *path;     /* of the entry, cleaned */
	char *main;     /* the last one that may have streams; "" */
	bool has_uvm;
	FILE *entries, *tombstones;
	struct late *late;
	size_t late_count;
	uint64_t size;
	struct plug_error *err;
};

__attribute__((format(printf, 3, 4))) static int refuse(struct win *w, int code, const char *format,
							 ...)
{
	char text[300];
	va_list args;

	if (w->err->code) /* the first one counts */
		return code;
	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return plug_error_set(w->err, code, "entry %.150s: %s", w->entry->path, text);
}

static int failed(struct win *w, int code, const char *what)
{
	if (code == -ELOOP)
		return refuse(w, code, "path leads through a link");
	return refuse(w, code, "%s%s%s", what, *what ? ": " : "", strerror(-code));
}

static char *directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return strndup(path, slash ? (size_t)(slash - path) : 0);
}

/* The directory it is to be in, made where it is missing; a tombstone there makes way. */
static int place_make(struct win *w, const char *path)
{
	_cleanup_free_ char *dir = directory_of(path);
	int r = dir ? st_tree_mkdirs(w->root, dir) : -ENOMEM;

	return r < 0 ? failed(w, r, "the directory it is in") : 0;
}

static int note(struct win *w, char type, const char *link, struct win_meta *meta, bool stored)
{
	const struct win_entry entry = { .type = type,
					 .stored = stored,
					 .path = w->path,
					 .link = (char *)(uintptr_t)link,
					 .meta = *meta };
	int r = win_entries_put(w->entries, &entry);

	return r < 0 ? failed(w, r, WIN_ENTRIES) : 0;
}

/* ---- UtilityVM of a layer that has parents: the parent's, changed */

static int uvm_begin(struct win *w)
{
	int r;

	if (w->has_uvm || !w->parent_count)
		return 0;
	r = win_clone_uvm(w->parents[0], w->root);
	if (r < 0)
		return refuse(w, r, "cloning the parent utility VM image failed: %s", strerror(-r));
	w->has_uvm = true;
	return 0;
}

static int uvm_check(struct win *w, bool link)
{
	if (!strcmp(w->path, WIN_UVM) && !link)
		return uvm_begin(w);
	if (!w->parent_count || !win_name_below(w->path, WIN_UVM))
		return 0;
	if (!w->has_uvm)
		return refuse(w, -EINVAL, "missing UtilityVM directory");
	if (!win_name_below(w->path, WIN_UVM_FILES) && strcmp(w->path, WIN_UVM_FILES) != 0)
		return refuse(w, -EINVAL, "invalid UtilityVM layer");
	return 0;
}

/* ---- data */

static int write_data(struct win *w, int fd, bool holes)
{
	int r = win_data_write(w->tar, w->entry, fd, holes);

	if (r < 0 && *st_tar_error(w->tar))
		return plug_error_set(w->err, r, "%s", st_tar_error(w->tar));
	return r < 0 ? failed(w, r, "its data") : 0;
}

/* ---- what Linux knows of the metadata, and the rest beside it */

static void times_of(const struct st_entry *e, struct timespec ret[2])
{
	ret[0] = e->has_atime ? e->atime : e->mtime;
	ret[1] = e->mtime;
}

static int late_add(struct win *w)
{
	struct late *more;

	if (w->late_count % 256 == 0) {
		more = realloc(w->late, (w->late_count + 256) * sizeof(*more));
		if (!more)
			return failed(w, -ENOMEM, "");
		w->late = more;
	}
	w->late[w->late_count].path = strdup(w->path);
	if (!w->late[w->late_count].path)
		return failed(w, -ENOMEM, "");
	times_of(w->entry, w->late[w->late_count++].times);
	return 0;
}

/* Hidden and system as Wine keeps them; read-only is the mode's. */
static int wine_attributes(int fd, const struct win_meta *meta, const struct st_entry *e)
{
	uint32_t attr = win_meta_attributes(meta, e);
	uint32_t kept = attr & (WIN_ATTR_HIDDEN | WIN_ATTR_SYSTEM);
	mode_t mode = e->type == ST_TAR_DIRECTORY ? 0755 : attr & WIN_ATTR_READONLY ? 0444 : 0644;
	char text[16];
	int n = snprintf(text, sizeof(text), "0x%x", kept);

	if (fchmod(fd, mode) < 0)
		return -errno;
	if (kept && fsetxattr(fd, "user.DOSATTRIB", text, (size_t)n, 0) < 0 && errno != ENOSPC &&
	    errno != EOPNOTSUPP)
		return -errno;
	return 0;
}

static int meta_apply(struct win *w, int fd, char type)
{
	struct win_meta meta = { 0 };
	struct timespec times[2];
	bool kept = false;
	struct stat st;
	int r = 0, stored = 1;

	times_of(w->entry, times);
	if (fd >= 0 && w->entry->type == ST_TAR_FILE) {
		if (futimens(fd, times) < 0 || fstat(fd, &st) < 0)
			return failed(w, -errno, "its times");
		kept = st.st_mtim.tv_sec == times[1].tv_sec && st.st_mtim.tv_nsec == times[1].tv_nsec;
	}
	r = win_meta_of(w->entry, kept, &meta);
	if (r == 0 && fd >= 0)
		r = wine_attributes(fd, &meta, w->entry);
	if (r == 0 && fd >= 0)
		r = stored = win_meta_store(fd, &meta);
	if (r < 0)
		r = failed(w, r, "its metadata");
	else
		r = note(w, type, w->entry->type == ST_TAR_SYMLINK ? w->entry->link : NULL, &meta,
			 stored == 0);
	win_meta_finish(&meta);
	return r;
}

/* ---- entries */

static int backup(struct win *w, const char *name)
{
	int r = st_tree_remove(w->root, name);
	_cleanup_close_ int in = st_tree_open(w->root, w->path, O_RDONLY),
			    out = r < 0 ? -1 : st_tree_create(w->root, name, 0644);
	struct timespec times[2];
	uint8_t buffer[16384];
	ssize_t n;

	times_of(w->entry, times);
	if (in < 0 || out < 0)
		return failed(w, in < 0 ? in : out < 0 ? out : r, name);
	while ((n = read(in, buffer, sizeof(buffer))) > 0) {
		r = plug_write_all(out, buffer, (size_t)n);
		if (r < 0)
			return failed(w, r, name);
	}
	return n < 0 || futimens(out, times) < 0 ? failed(w, -errno, name) : 0;
}

static int add_file(struct win *w)
{
	const struct st_pax *attr = st_entry_pax(w->entry, "MSWINDOWS.fileattr");
	_cleanup_close_ int fd = st_tree_create(w->root, w->path, 0600);
	const char *bak = win_name_backup(w->path);
	bool sparse = attr && strtoul(attr->value, NULL, 10) & WIN_ATTR_SPARSE;
	int r;

	if (fd < 0)
		return failed(w, fd, "cannot be made");
	r = write_data(w, fd, sparse);
	if (r == 0)
		r = meta_apply(w, fd, ST_TAR_FILE);
	if (r == 0 && bak)
		r = backup(w, bak);
	w->size += w->entry->size;
	return r;
}

static int add_directory(struct win *w, bool there, bool opaque)
{
	_cleanup_close_ int parent = -1, fd = -1;
	const char *base;

	parent = st_tree_parent(w->root, w->path, &base);
	if (parent < 0 || (!there && mkdirat(parent, base, 0755) < 0))
		return failed(w, parent < 0 ? parent : -errno, "cannot be made");
	fd = st_tree_open(w->root, w->path, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return failed(w, fd, "cannot be made");
	if (opaque && fsetxattr(fd, "trusted.overlay.opaque", "y", 1, 0) < 0 &&
	    fsetxattr(fd, "user.overlay.opaque", "y", 1, 0) < 0)
		return failed(w, -errno, "cannot hide what is below");
	return meta_apply(w, fd, ST_TAR_DIRECTORY) ?: late_add(w);
}

static int add_symlink(struct win *w)
{
	_cleanup_free_ char *target = win_name_target(w->path, w->entry->link);
	struct timespec times[2];
	_cleanup_close_ int parent = -1;
	const char *base;

	if (!target)
		return failed(w, -ENOMEM, "");
	parent = st_tree_parent(w->root, w->path, &base);
	times_of(w->entry, times);
	if (parent < 0 || symlinkat(target, parent, base) < 0)
		return failed(w, parent < 0 ? parent : -errno, "cannot be made");
	(void)utimensat(parent, base, times, AT_SYMLINK_NOFOLLOW);
	return meta_apply(w, -1, ST_TAR_SYMLINK);
}

/* What is there makes way, unless it is a directory and stays one. */
static int make_way(struct win *w, bool directory, bool *there, bool *opaque)
{
	struct stat st;
	int r = place_make(w, w->path);

	*there = *opaque = false;
	if (r < 0)
		return r;
	r = st_tree_stat(w->root, w->path, &st);
	if (r == -ENOENT)
		return 0;
	if (r == 0 && directory && S_ISDIR(st.st_mode)) {
		*there = true;
		return 0;
	}
	*opaque = r == 0 && directory && st_tree_is_whiteout(&st);
	if (r == 0)
		r = st_tree_remove(w->root, w->path);
	return r < 0 ? failed(w, r, "what is there already") : 0;
}

static int add(struct win *w)
{
	bool there, opaque;
	int r = uvm_check(w, false);

	if (r == 0)
		r = make_way(w, w->entry->type == ST_TAR_DIRECTORY, &there, &opaque);
	if (r < 0)
		return r;
	switch (w->entry->type) {
	case ST_TAR_FILE:
		return add_file(w);
	case ST_TAR_DIRECTORY:
		return add_directory(w, there, opaque);
	case ST_TAR_SYMLINK:
		return add_symlink(w);
	default:
		return refuse(w, -EINVAL, "a type of entry that Windows does not have");
	}
}

static int add_stream(struct win *w, const char *name)
{
	const char *slash = strrchr(w->main, '/'), *base = slash ? slash + 1 : w->main;
	_cleanup_close_ int fd = -1;
	int r;

	if (w->entry->type != ST_TAR_FILE)
		return refuse(w, -EINVAL, "path contains invalid character `:`");
	if (w->entry->extent_count || w->entry->stored != w->entry->size)
		return refuse(w, -ENOTSUP,
			      "tar of sparse alternate data streams is unsupported");
	if (strlen(base) + 1 + strlen(name) > 255)
		return failed(w, -ENAMETOOLONG, "");
	free(w->path);
	if (asprintf(&w->path, "%s:%s", w->main, name) < 0) {
		w->path = NULL;
		return failed(w, -ENOMEM, "");
	}
	r = st_tree_remove(w->root, w->path);
	fd = r < 0 ? r : st_tree_create(w->root, w->path, 0600);
	if (fd < 0)
		return failed(w, fd, "cannot be made");
	r = write_data(w, fd, false);
	return r < 0 ? r : meta_apply(w, fd, 's');
}

/* ---- hard links */

static bool linkable(const char *path)
{
	return win_name_below(path, WIN_FILES) || win_name_below(path, WIN_UVM_FILES);
}

/* The layer that has the target, this one first. */
static int link_find(struct win *w, const char *target)
{
	struct stat st;
	int r = st_tree_stat(w->root, target, &st);

	if (r == 0)
		return S_ISDIR(st.st_mode) || st_tree_is_whiteout(&st) ? -ENOENT : w->root;
	for (size_t i = 0; r == -ENOENT && i < w->parent_count; i++) {
		r = st_tree_stat(w->parents[i], target, &st);
		if (r == 0)
			return S_ISREG(st.st_mode) ? w->parents[i] : -ENOENT;
	}
	return r;
}

static int make_link(struct win *w, const char *target)
{
	int layer = link_find(w, target), r;
	bool there, opaque;

	if (layer == -ENOMEM)
		return failed(w, layer, "");
	if (layer < 0) {
		_cleanup_free_ char *from = win_name_windows(w->path),
				    *to = win_name_windows(target);

		return refuse(w, -EXDEV, "failed to find link target for '%s' -> '%s'",
			      from ? from : "", to ? to : "");
	}
	if (!strcmp(target, w->path) && layer == w->root)
		return 0;
	r = make_way(w, false, &there, &opaque);
	if (r < 0)
		return r;
	r = win_link_or_copy(layer, target, w->root, w->path);
	return r < 0 ? failed(w, r, "cannot be made") : 0;
}

static int add_link(struct win *w)
{
	_cleanup_free_ char *target = NULL;
	struct win_meta meta = { 0 };
	const char *cause;
	int r = uvm_check(w, true);

	if (r < 0)
		return r;
	r = win_name_clean(w->entry->link, &target, &cause);
	if (r < 0)
		return r == -EINVAL ? refuse(w, r, "invalid hard link in layer: %s", cause)
				    : failed(w, r, "");
	if (!linkable(w->path) || !linkable(target))
		return refuse(w, -EINVAL, "invalid hard link in layer");
	r = make_link(w, target);
	if (r == 0)
		r = win_meta_of(w->entry, false, &meta);
	if (r == 0)
		r = note(w, ST_TAR_HARD_LINK, w->entry->link, &meta, false);
	win_meta_finish(&meta);
	return r;
}

/* ---- tombstones */

static int tombstone_write(struct win *w, const char *path)
{
	_cleanup_free_ char *name = win_name_windows(path + sizeof(WIN_FILES) - 1);

	if (!w->tombstones) {
		int fd = st_tree_create(w->root, WIN_TOMBSTONES, 0644);

		w->tombstones = fd < 0 ? NULL : fdopen(fd, "we");
		if (!w->tombstones) {
			if (fd >= 0)
				(void)close(fd);
			return failed(w, fd < 0 ? fd : -ENOMEM, WIN_TOMBSTONES);
		}
		(void)fputs("\xEF\xBB\xBFVersion 1.0\n", w->tombstones);
	}
	if (!name || fprintf(w->tombstones, "%s\n", name) < 0)
		return failed(w, name ? -errno : -ENOMEM, WIN_TOMBSTONES);
	return 0;
}

static int hide(struct win *w, const char *path)
{
	_cleanup_close_ int parent = -1;
	const char *base;
	int r = place_make(w, path);

	if (r < 0)
		return r;
	r = st_tree_remove(w->root, path);
	parent = r < 0 ? r : st_tree_parent(w->root, path, &base);
	if (parent < 0 || mknodat(parent, base, S_IFCHR, 0) < 0)
		return failed(w, parent < 0 ? parent : -errno, "cannot be hidden");
	return tombstone_write(w, path);
}

/* UtilityVM is no overlay: what is removed there is not there. */
static int uvm_remove(struct win *w, const char *path)
{
	struct stat st;
	int r = uvm_begin(w);

	if (r == 0) {
		r = st_tree_stat(w->root, path, &st);
		if (r == 0)
			r = st_tree_remove(w->root, path);
		r = r < 0 ? failed(w, r, "cannot be removed") : 0;
	}
	return r;
}

static int add_tombstone(struct win *w, const char *base)
{
	_cleanup_free_ char *path = NULL, *shown = NULL;
	struct win_meta meta = { 0 };
	int r;

	if (!w->parent_count)
		return refuse(w, -EINVAL, "base layer cannot have tombstones");
	base += sizeof(WHITEOUT) - 1;
	if (!*base || !strcmp(base, ".") || !strcmp(base, "..") ||
	    !strncmp(base, WHITEOUT, sizeof(WHITEOUT) - 1))
		return refuse(w, -EINVAL, "invalid tombstone %s", base);
	if (asprintf(&path, "%.*s%s", (int)(base - sizeof(WHITEOUT) + 1 - w->path), w->path, base) < 0) {
		path = NULL;
		return failed(w, -ENOMEM, "");
	}
	shown = win_name_windows(path);
	if (!linkable(path))
		return refuse(w, -EINVAL, "invalid tombstone %s", shown ? shown : path);
	r = win_name_below(path, WIN_FILES) ? hide(w, path) : uvm_remove(w, path);
	if (r == 0)
		r = win_meta_of(w->entry, false, &meta);
	if (r == 0)
		r = note(w, 'w', NULL, &meta, false);
	win_meta_finish(&meta);
	return r;
}

/* ---- all of it */

static int entry_import(struct win *w)
{
	const char *cause, *stream = win_name_stream(w->entry->path, w->main, &cause), *base;
	int r;

	if (stream)
		return cause ? refuse(w, -EINVAL, "%s", cause) : add_stream(w, stream);
	free(w->path);
	w->path = NULL;
	r = win_name_clean(w->entry->path, &w->path, &cause);
	if (r < 0)
		return r == -EINVAL ? refuse(w, r, "%s", cause) : failed(w, r, "");
	*w->main = 0;
	base = strrchr(w->path, '/') ? strrchr(w->path, '/') + 1 : w->path;
	if (!strncmp(base, WHITEOUT, sizeof(WHITEOUT) - 1))
		return add_tombstone(w, base);
	if (w->entry->type == ST_TAR_HARD_LINK)
		return add_link(w);
	r = add(w);
	if (r == 0 && w->entry->type != ST_TAR_SYMLINK) {
		free(w->main);
		w->main = strdup(w->path);
		r = w->main ? 0 : failed(w, -ENOMEM, "");
	}
	return r;
}

static int finish(struct win *w)
{
	int r = 0;

	for (size_t i = w->late_count; r == 0 && i-- > 0;) {
		const struct late *late = &w->late[i];
		_cleanup_close_ int fd = st_tree_open(w->root, late->path, O_RDONLY | O_DIRECTORY);

		/* It may have made way for something else. */
		if (fd >= 0 && futimens(fd, late->times) < 0)
			r = plug_error_errno(w->err, -errno, "%.200s: its times", late->path);
	}
	if (r == 0 && (ferror(w->entries) || fflush(w->entries) ||
		       (w->tombstones && (ferror(w->tombstones) || fflush(w->tombstones)))))
		r = plug_error_errno(w->err, errno ? -errno : -EIO, WIN_ENTRIES);
	return r;
}

static int begin(struct win *w)
{
	int fd = st_tree_create(w->root, WIN_ENTRIES, 0600);

	w->entries = fd < 0 ? NULL : fdopen(fd, "we");
	if (!w->entries) {
		if (fd >= 0)
			(void)close(fd);
		return plug_error_errno(w->err, fd < 0 ? fd : -ENOMEM, WIN_ENTRIES);
	}
	w->main = calloc(1, 1);
	return w->main ? 0 : plug_error_errno(w->err, -ENOMEM, "archive");
}

static void finish_free(struct win *w)
{
	for (size_t i = 0; i < w->late_count; i++)
		free(w->late[i].path);
	free(w->late);
	free(w->path);
	free(w->main);
	if (w->entries)
		(void)fclose(w->entries);
	if (w->tombstones)
		(void)fclose(w->tombstones);
}

int st_win_import(struct st_tar *tar, int stage, const int *parents, size_t parent_count,
		  uint64_t *size, struct plug_error *err)
{
	struct win w = { .tar = tar, .root = stage, .parents = parents,
			 .parent_count = parent_count, .err = err };
	int r = begin(&w);

	while (r == 0 && (r = st_tar_next(tar, &w.entry)) > 0)
		r = entry_import(&w);
	if (r < 0 && !err->code)
		(void)plug_error_set(err, r, "%s", st_tar_error(tar));
	if (r == 0)
		r = finish(&w);
	if (r == 0)
		*size = w.size;
	finish_free(&w);
	return r;
}
