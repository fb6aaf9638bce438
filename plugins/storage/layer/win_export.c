/* SPDX-License-Identifier: MIT */
#include "layer/pack.h"
#include "layer/tree.h"
#include "layer/win_private.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

struct out {
	int root;
	const char *prefix; /* before names: "" or "Files/" */
	struct st_tar_writer *writer;
	struct plug_error *err;
};

static int failed(const struct out *o, const char *path, int r)
{
	return o->err->code ? o->err->code : plug_error_errno(o->err, r, "%.300s", path);
}

const char *st_win_data_path(int layer, const char *path)
{
	const char *bak = win_name_backup(path);
	struct stat st;

	return bak && st_tree_stat(layer, bak, &st) == 0 && S_ISREG(st.st_mode) ? bak : path;
}

/* Data behind the header that this puts; holes are the map's, where there is one. */
static int put_file(const struct out *o, const char *path, struct st_entry *entry, bool has_map)
{
	_cleanup_close_ int fd = st_tree_open(o->root, st_win_data_path(o->root, path),
					      O_RDONLY | O_NONBLOCK);
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return fd < 0 ? fd : -errno;
	if (!S_ISREG(st.st_mode))
		return -ESTALE;
	entry->size = (uint64_t)st.st_size;
	if (!has_map)
		entry->stored = entry->size;
	r = st_tar_put(o->writer, entry);
	return r == 0 ? st_pack_data(o->writer, fd, entry) : r;
}

/* entry has type, path and link; meta says the rest. */
static int put(const struct out *o, const char *path, const struct win_meta *meta,
	       struct st_entry *entry)
{
	int r = win_meta_fill(meta, entry);

	if (r == 0)
		r = entry->type == ST_TAR_FILE && path
			    ? put_file(o, path, entry, win_meta_get(meta, "mswindows.tar.map"))
			    : st_tar_put(o->writer, entry);
	for (size_t i = 0; i < entry->pax_count; i++)
		free(entry->pax[i].key);
	free(entry->pax);
	free(entry->extents);
	return r;
}

/* ---- as it was imported */

static int put_noted(const struct out *o, struct win_entry *noted)
{
	struct st_entry entry = { .type = noted->type, .path = noted->path, .link = noted->link };
	_cleanup_close_ int parent = -1;
	const char *base;
	uint32_t dosattrib;
	struct stat st;
	int r = 0;

	if (noted->type == 'w' || noted->type == 's')
		entry.type = ST_TAR_FILE;
	if (noted->type != 'w' && noted->type != ST_TAR_HARD_LINK) {
		parent = st_tree_parent(o->root, noted->path, &base);
		r = parent < 0 ? parent : st_tree_stat(o->root, st_win_data_path(o->root, noted->path), &st);
		if (r == 0)
			entry.mtime = st.st_mtim;
		if (r == 0 && noted->stored)
			r = win_meta_load(parent, base, &noted->meta, &dosattrib);
	}
	if (r == 0)
		r = put(o, noted->type == 'w' ? NULL : noted->path, &noted->meta, &entry);
	return r < 0 ? failed(o, noted->path, r) : 0;
}

static int export_noted(const struct out *o, FILE *file, const char *only)
{
	size_t n = only ? strlen(only) : 0;
	struct win_entry noted;
	bool found = !only;
	int r;

	while ((r = win_entries_next(file, &noted)) > 0) {
		if (!only || (!strncmp(noted.path, only, n) &&
			      (!noted.path[n] || (noted.type == 's' && noted.path[n] == ':')))) {
			found = true;
			r = put_noted(o, &noted);
		}
		win_entry_finish(&noted);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return failed(o, WIN_ENTRIES, r);
	return found ? 0 : failed(o, only, -ENOENT);
}

/* ---- as it is there */

/* What Windows would say of a file that Linux or Wine has made or changed. */
static int attributes_now(struct win_meta *meta, const struct st_entry *entry, mode_t mode,
			  uint32_t dosattrib)
{
	uint32_t old = win_meta_attributes(meta, entry), attr = old;
	char text[16];

	if (!win_meta_get(meta, "mswindows.fileattr"))
		attr = entry->type == ST_TAR_DIRECTORY ? WIN_ATTR_DIRECTORY : WIN_ATTR_ARCHIVE;
	if (dosattrib != UINT32_MAX)
		attr = (attr & ~(WIN_ATTR_HIDDEN | WIN_ATTR_SYSTEM)) |
		       (dosattrib & (WIN_ATTR_HIDDEN | WIN_ATTR_SYSTEM));
	if (entry->type == ST_TAR_FILE)
		attr = (attr & ~WIN_ATTR_READONLY) | (mode & 0222 ? 0 : WIN_ATTR_READONLY);
	(void)snprintf(text, sizeof(text), "%u", attr);
	return win_meta_set(meta, "mswindows.fileattr", text, strlen(text));
}

static char type_of(mode_t mode)
{
	return S_ISDIR(mode) ? ST_TAR_DIRECTORY : S_ISLNK(mode) ? ST_TAR_SYMLINK :
	       S_ISREG(mode) ? ST_TAR_FILE : 0;
}

static int put_found(const struct out *o, const char *path, bool stream)
{
	const char *base;
	_cleanup_close_ int parent = st_tree_parent(o->root, path, &base);
	_cleanup_free_ char *name = NULL;
	char target[4097] = "";
	struct win_meta meta = { 0 };
	struct st_entry entry = { .link = target };
	uint32_t dosattrib;
	struct stat st;
	int r;

	if (parent < 0 || fstatat(parent, base, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return parent < 0 ? parent : -errno;
	entry.type = type_of(st.st_mode);
	if (!entry.type)
		return 0; /* no such thing on Windows */
	if (entry.type == ST_TAR_SYMLINK &&
	    readlinkat(parent, base, target, sizeof(target) - 1) < 0)
		return -errno;
	entry.mtime = st.st_mtim;
	if (asprintf(&name, "%s%s", o->prefix, path) < 0) {
		name = NULL;
		return -ENOMEM;
	}
	entry.path = name;
	r = win_meta_load(parent, base, &meta, &dosattrib);
	if (r == 0 && !stream && entry.type != ST_TAR_SYMLINK)
		r = attributes_now(&meta, &entry, st.st_mode, dosattrib);
	if (r == 0)
		r = put(o, path, &meta, &entry);
	win_meta_finish(&meta);
	return r;
}

static int put_whiteout(const struct out *o, const char *dir, const char *name)
{
	struct st_entry entry = { .type = ST_TAR_FILE };
	int r = asprintf(&entry.path, "%s%s%s.wh.%s", o->prefix, dir, *dir ? "/" : "", name);

	if (r < 0)
		return -ENOMEM;
	r = st_tar_put(o->writer, &entry);
	free(entry.path);
	return r;
}

/* The tombstones of a directory come right behind it; streams right behind their file. */
static int walk(const struct out *o, const char *dir);

static int walk_one(const struct out *o, const char *dir, const struct st_names *names, size_t i)
{
	_cleanup_free_ char *path = st_tree_join(dir, names->name[i]);
	size_t n = strlen(names->name[i]);
	struct stat st;
	int r = path ? st_tree_stat(o->root, path, &st) : -ENOMEM;

	if (r < 0 || st_tree_is_whiteout(&st))
		return r;
	r = put_found(o, path, false);
	for (size_t j = 0; r == 0 && j < names->count; j++) {
		_cleanup_free_ char *stream = NULL;

		if (strncmp(names->name[j], names->name[i], n) != 0 || names->name[j][n] != ':')
			continue;
		stream = st_tree_join(dir, names->name[j]);
		r = stream ? put_found(o, stream, true) : -ENOMEM;
	}
	return r == 0 && S_ISDIR(st.st_mode) ? walk(o, path) : r;
}

static int walk(const struct out *o, const char *dir)
{
	struct st_names names = { 0 };
	int r = st_tree_list(o->root, dir, &names);

	for (size_t i = 0; r == 0 && i < names.count; i++) {
		_cleanup_free_ char *path = st_tree_join(dir, names.name[i]);
		struct stat st;

		r = path ? st_tree_stat(o->root, path, &st) : -ENOMEM;
		if (r == 0 && st_tree_is_whiteout(&st))
			r = put_whiteout(o, dir, names.name[i]);
	}
	for (size_t i = 0; r == 0 && i < names.count; i++)
		if (!strchr(names.name[i], ':'))
			r = walk_one(o, dir, &names, i);
	st_names_finish(&names);
	return r < 0 ? failed(o, dir, r) : 0;
}

static int export_found(const struct out *o, const char *only)
{
	static const char *const roots[] = { "Hives", "Files", "UtilityVM" };
	struct stat st;
	int r = 0;

	if (only) {
		r = put_found(o, only, false);
		return r < 0 ? failed(o, only, r) : 0;
	}
	for (size_t i = 0; r == 0 && i < PLUG_ELEMENTS(roots); i++) {
		if (st_tree_stat(o->root, roots[i], &st) < 0 || !S_ISDIR(st.st_mode))
			continue;
		r = put_found(o, roots[i], false);
		r = r < 0 ? failed(o, roots[i], r) : walk(o, roots[i]);
	}
	return r;
}

static int export_layer(int layer, const char *only, struct st_tar_writer *writer,
			struct plug_error *err)
{
	const struct out o = { layer, "", writer, err };
	FILE *file;
	int r = win_entries_open(layer, &file);

	if (r == -ENOENT)
		return export_found(&o, only);
	if (r < 0)
		return failed(&o, WIN_ENTRIES, r);
	r = export_noted(&o, file, only);
	(void)fclose(file);
	return r;
}

int st_win_export(int layer, struct st_tar_writer *writer, struct plug_error *err)
{
	return export_layer(layer, NULL, writer, err);
}

int st_win_export_file(int layer, const char *path, struct st_tar_writer *writer,
		       struct plug_error *err)
{
	return export_layer(layer, path, writer, err);
}

int st_win_export_upper(int upper, struct st_tar_writer *writer, struct plug_error *err)
{
	const struct out o = { upper, "Files/", writer, err };
	struct st_entry top = { .type = ST_TAR_DIRECTORY, .path = (char *)(uintptr_t) "Files" };
	struct win_meta meta = { 0 };
	int r = win_meta_set(&meta, "mswindows.fileattr", "16", 2);

	if (r == 0)
		r = put(&o, NULL, &meta, &top);
	win_meta_finish(&meta);
	return r < 0 ? failed(&o, "Files", r) : walk(&o, "");
}
