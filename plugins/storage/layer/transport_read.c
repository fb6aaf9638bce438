/* SPDX-License-Identifier: MIT */
#include "layer/transport.h"

#include "layer/backup.h"
#include "layer/pack.h"
#include "layer/tree.h"
#include "layer/tombstones.h"
#include "layer/win_private.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <nettle/base64.h>
#include <string.h>
#include <strings.h>

#define META_SIZE (sizeof(ST_TRANSPORT_META) - 1)

struct in {
	int dir;
	struct st_tar_writer *writer;
	struct tombstones tombstones;
	char **links; /* paths of hard links, which come when all that they may lead to has come */
	size_t link_count;
	struct plug_error *err;
};

/* A file or directory, and what is said of it in streams. */
struct found {
	const char *path;
	bool raw, directory;
	struct stat st;
	int fd; /* of the streams; -1: there are none */
	bool said; /* attributes and backup count */
	uint32_t attributes;
	struct st_backup backup;
	struct win_meta meta;
	struct timespec mtime;
};

static int refuse(struct in *in, const char *path, const char *cause)
{
	return in->err->code ? in->err->code : plug_error_set(in->err, -EBADMSG, "%.300s: %s", path, cause);
}

static int failed(struct in *in, const char *path, int r)
{
	return in->err->code ? in->err->code : plug_error_errno(in->err, r, "%.300s", path);
}

static bool is_meta(const char *name)
{
	size_t n = strlen(name);

	return n > META_SIZE && !strcmp(name + n - META_SIZE, ST_TRANSPORT_META);
}

/* ---- what is there */

static void found_close(struct found *f)
{
	plug_closep(&f->fd);
	st_backup_finish(&f->backup);
	win_meta_finish(&f->meta);
}

static int streams_read(struct in *in, struct found *f, const char *path)
{
	struct st_source source;
	const char *cause;
	uint8_t head[4];
	struct stat st;
	int r;

	f->fd = st_tree_open(in->dir, path, O_RDONLY | O_NONBLOCK);
	if (f->fd < 0 || fstat(f->fd, &st) < 0)
		return failed(in, path, f->fd < 0 ? f->fd : -errno);
	if (!S_ISREG(st.st_mode))
		return refuse(in, path, "not a file");
	f->mtime = st.st_mtim;
	st_source_fd(&source, &f->fd, (uint64_t)st.st_size);
	if (source.size < sizeof(head))
		return refuse(in, path, "it is truncated");
	r = st_source_read(&source, head, sizeof(head), 0);
	if (r < 0)
		return failed(in, path, r);
	f->attributes = head[0] | (uint32_t)head[1] << 8 | (uint32_t)head[2] << 16 | (uint32_t)head[3] << 24;
	r = st_backup_scan(&source, sizeof(head), &f->backup, &cause);
	f->said = r == 0;
	return r < 0 ? refuse(in, path, cause) : 0;
}

static int attributes_load(struct in *in, const char *path, struct win_meta *ret)
{
	const char *base;
	_cleanup_close_ int parent = st_tree_parent(in->dir, path, &base);
	uint32_t ignored;

	return parent < 0 ? parent : win_meta_load(parent, base, ret, &ignored);
}

static int found_look(struct in *in, const char *path, struct found *f)
{
	_cleanup_free_ char *clean = NULL;
	const char *cause;
	int r = win_name_clean(path, &clean, &cause);

	*f = (struct found){ .path = path, .fd = -1,
			     .raw = !win_name_below(path, WIN_FILES) && strcmp(path, WIN_FILES) != 0 };
	if (r < 0)
		return r == -EINVAL ? refuse(in, path, cause) : failed(in, path, r);
	r = st_tree_stat(in->dir, path, &f->st);
	if (r < 0)
		return failed(in, path, r);
	if (!S_ISREG(f->st.st_mode) && !S_ISDIR(f->st.st_mode))
		return refuse(in, path, "neither a file nor a directory");
	f->directory = S_ISDIR(f->st.st_mode);
	f->mtime = f->st.st_mtim;
	return 0;
}

/* Where the streams are, and where the rest: in the file, or beside it. */
static int found_open(struct in *in, const char *path, struct found *f)
{
	_cleanup_free_ char *side = NULL;
	bool has_side;
	struct stat st;
	int r = found_look(in, path, f);

	if (r < 0)
		return r;
	if (asprintf(&side, "%s" ST_TRANSPORT_META, path) < 0) {
		side = NULL;
		return failed(in, path, -ENOMEM);
	}
	has_side = (f->raw || f->directory) && st_tree_stat(in->dir, side, &st) == 0;
	if (has_side || (!f->raw && !f->directory))
		r = streams_read(in, f, has_side ? side : path);
	if (r == 0) {
		r = attributes_load(in, f->raw || !has_side ? path : side, &f->meta);
		r = r < 0 ? failed(in, path, r) : 0;
	}
	if (f->raw)
		f->mtime = f->st.st_mtim;
	return r;
}

/* ---- streams become records */

static int set_base64(struct win_meta *meta, const char *key, const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = malloc(BASE64_ENCODE_RAW_LENGTH(size) + 1);

	if (!text)
		return -ENOMEM;
	base64_encode_raw(text, size, data);
	return win_meta_set(meta, key, text, BASE64_ENCODE_RAW_LENGTH(size));
}

static int set_eas(struct found *f)
{
	struct st_ea ea;
	size_t at = 0;
	int r;

	while ((r = st_ea_next(&f->backup.ea, &at, &ea)) > 0) {
		_cleanup_free_ char *key = NULL;

		if (asprintf(&key, "mswindows.xattr.%.*s", (int)ea.name_size, ea.name) < 0) {
			key = NULL;
			return -ENOMEM;
		}
		r = set_base64(&f->meta, key, ea.value, ea.value_size);
		if (r < 0)
			break;
	}
	return r;
}

static int records_set(struct in *in, struct found *f)
{
	const struct st_backup *b = &f->backup;
	uint32_t usual = f->directory ? WIN_ATTR_DIRECTORY : WIN_ATTR_ARCHIVE;
	char text[16];
	int r = 0;

	/* Of files that are as they are nobody has said it, unless the archive did. */
	if (!f->raw) {
		(void)snprintf(text, sizeof(text), "%u", f->said ? f->attributes : usual);
		r = win_meta_set(&f->meta, "mswindows.fileattr", text, strlen(text));
	}
	if (r == 0 && b->security.data)
		r = set_base64(&f->meta, "mswindows.rawsd", b->security.data, b->security.size);
	if (r == 0 && b->ea.data)
		r = set_eas(f);
	if (r == -EBADMSG)
		return refuse(in, f->path, "its extended attributes are broken");
	return r < 0 ? failed(in, f->path, r) : 0;
}

/* ---- entries */

static int put_bytes(struct in *in, int fd, uint64_t at, uint64_t size)
{
	uint8_t buffer[65536];
	int r = 0;

	while (r == 0 && size) {
		size_t want = size < sizeof(buffer) ? (size_t)size : sizeof(buffer);
		ssize_t n = pread(fd, buffer, want, (off_t)at);

		r = n < 0 ? -errno : n == 0 ? -EIO : st_tar_put_data(in->writer, buffer, (size_t)n);
		at += n > 0 ? (uint64_t)n : 0;
		size -= n > 0 ? (uint64_t)n : 0;
	}
	return r;
}

/* The main data of a file below Files. */
static int put_pieces(struct in *in, const struct found *f, struct st_entry *entry)
{
	const struct st_backup *b = &f->backup;
	int r;

	entry->size = entry->stored = b->size;
	if (b->sparse) {
		entry->extents = calloc(b->piece_count + 1, sizeof(*entry->extents));
		if (!entry->extents)
			return -ENOMEM;
		entry->extent_count = b->piece_count;
		entry->stored = 0;
		for (size_t i = 0; i < b->piece_count; i++) {
			entry->extents[i] = (struct st_extent){ b->piece[i].offset, b->piece[i].size };
			entry->stored += b->piece[i].size;
		}
	}
	r = st_tar_put(in->writer, entry);
	for (size_t i = 0; r == 0 && i < b->piece_count; i++)
		r = put_bytes(in, f->fd, b->piece[i].at, b->piece[i].size);
	return r;
}

/* A file below Hives or UtilityVM; its holes are those that the archive had. */
static int put_raw(struct in *in, const struct found *f, struct st_entry *entry)
{
	_cleanup_close_ int fd = st_tree_open(in->dir, f->path, O_RDONLY | O_NONBLOCK);
	int r;

	if (fd < 0)
		return fd;
	entry->size = (uint64_t)f->st.st_size;
	if (!win_meta_get(&f->meta, "mswindows.tar.map"))
		entry->stored = entry->size;
	r = st_tar_put(in->writer, entry);
	return r == 0 ? st_pack_data(in->writer, fd, entry) : r;
}

/* entry has type, path and link; times of it are those of its streams. */
static int put(struct in *in, struct found *f, struct st_entry *entry)
{
	int r;

	entry->mtime = f->mtime;
	r = win_meta_fill(&f->meta, entry);
	if (r == 0 && entry->type == ST_TAR_FILE)
		r = f->raw ? put_raw(in, f, entry) : put_pieces(in, f, entry);
	else if (r == 0)
		r = st_tar_put(in->writer, entry);
	for (size_t i = 0; i < entry->pax_count; i++)
		free(entry->pax[i].key);
	free(entry->pax);
	free(entry->extents);
	entry->pax = NULL;
	entry->pax_count = 0;
	return r < 0 ? failed(in, f->path, r) : 0;
}

static int put_alternates(struct in *in, const struct found *f, const struct st_entry *of)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < f->backup.alternate_count; i++) {
		const struct st_backup_alternate *a = &f->backup.alternate[i];
		struct st_entry entry = { .type = ST_TAR_FILE, .type_bits = of->type_bits,
					  .mode = of->mode, .size = a->size,
					  .stored = a->size, .mtime = of->mtime, .atime = of->atime,
					  .ctime = of->ctime, .has_atime = of->has_atime,
					  .has_ctime = of->has_ctime };

		if (of->type == ST_TAR_DIRECTORY)
			entry.type_bits = S_IFREG;
		if (asprintf(&entry.path, "%s:%s", f->path, a->name) < 0)
			return failed(in, f->path, -ENOMEM);
		r = st_tar_put(in->writer, &entry);
		free(entry.path);
		if (r == 0)
			r = put_bytes(in, f->fd, a->at, a->size);
	}
	return r < 0 ? failed(in, f->path, r) : 0;
}

static int put_symlink(struct in *in, struct found *f)
{
	_cleanup_free_ char *target = NULL;
	struct st_entry entry = { .type = ST_TAR_SYMLINK, .path = (char *)(uintptr_t)f->path };
	bool mount_point;
	char cause[64];
	uint32_t tag;
	int r = st_reparse_decode(&f->backup.reparse, &target, &mount_point, &tag);

	if (r == -ENOTSUP) {
		(void)snprintf(cause, sizeof(cause), "a reparse point of the unknown kind 0x%x", tag);
		return refuse(in, f->path, cause);
	}
	if (r < 0 && r != -ENOMEM)
		return refuse(in, f->path, "its reparse point is broken");
	if (f->backup.alternate_count)
		return refuse(in, f->path, "a link with alternate streams");
	if (r == 0 && mount_point)
		r = win_meta_set(&f->meta, "mswindows.mountpoint", "1", 1);
	entry.link = target;
	return r < 0 ? failed(in, f->path, r) : put(in, f, &entry);
}

/* The target that this program has written; to be freed, NULL: it is none, or *r. */
static char *link_of(const struct found *f, int *r)
{
	size_t n = sizeof(ST_TRANSPORT_LINK) - 1;
	char *text = NULL;

	*r = f->backup.link.data ? st_utf16_decode(f->backup.link.data, f->backup.link.size, &text) : 0;
	if (*r == -EILSEQ)
		*r = 0;
	if (!text || strncmp(text, ST_TRANSPORT_LINK, n) != 0) {
		free(text);
		return NULL;
	}
	memmove(text, text + n, strlen(text) + 1 - n);
	return text;
}

static int put_hard_link(struct in *in, const char *path)
{
	struct found f;
	int r = found_open(in, path, &f), rc;
	_cleanup_free_ char *target = r == 0 ? link_of(&f, &rc) : NULL;
	struct st_entry entry = { .type = ST_TAR_HARD_LINK, .path = (char *)(uintptr_t)path, .link = target };

	if (r == 0)
		r = target ? put(in, &f, &entry) : failed(in, path, rc < 0 ? rc : -ESTALE);
	found_close(&f);
	return r;
}

static int link_later(struct in *in, const char *path)
{
	if (in->link_count % 256 == 0) {
		char **more = realloc(in->links, (in->link_count + 256) * sizeof(*more));

		if (!more)
			return failed(in, path, -ENOMEM);
		in->links = more;
	}
	in->links[in->link_count] = strdup(path);
	return in->links[in->link_count++] ? 0 : failed(in, path, -ENOMEM);
}

static int put_whiteout(struct in *in, const char *dir, const char *name)
{
	struct st_entry entry = { .type = ST_TAR_FILE, .type_bits = S_IFREG };
	int r = asprintf(&entry.path, "%s/.wh.%s", dir, name) < 0 ? -ENOMEM : 0;

	if (r == 0) {
		r = st_tar_put(in->writer, &entry);
		free(entry.path);
	}
	return r < 0 ? failed(in, name, r) : 0;
}

/* ---- the tree */

/* The times that Windows leaves out: those of the hive that is changed last. */
static void root_time(struct in *in, struct found *f)
{
	struct stat st;

	if (!f->said && !f->meta.count && !strchr(f->path, '/') &&
	    st_tree_stat(in->dir, "Hives/System_Delta", &st) == 0)
		f->mtime = st.st_mtim;
}

static int walk(struct in *in, const char *dir);

static int walk_directory(struct in *in, struct found *f)
{
	struct st_entry entry = { .type = ST_TAR_DIRECTORY, .path = (char *)(uintptr_t)f->path };
	size_t at = tombstones_of(&in->tombstones, f->path);
	int r;

	root_time(in, f);
	r = records_set(in, f) ?: put(in, f, &entry) ?: put_alternates(in, f, &entry);
	for (; r == 0 && at < in->tombstones.count && !strcmp(in->tombstones.one[at].dir, f->path); at++) {
		in->tombstones.one[at].told = true;
		r = put_whiteout(in, f->path, in->tombstones.one[at].name);
	}
	return r == 0 ? walk(in, f->path) : r;
}

static int walk_found(struct in *in, struct found *f)
{
	struct st_entry entry = { .type = ST_TAR_FILE, .path = (char *)(uintptr_t)f->path };
	_cleanup_free_ char *target = NULL;
	int r;

	if (f->backup.reparse.data)
		return records_set(in, f) ?: put_symlink(in, f);
	target = link_of(f, &r);
	if (target)
		return link_later(in, f->path);
	if (r < 0)
		return failed(in, f->path, r);
	if (f->directory)
		return walk_directory(in, f);
	return records_set(in, f) ?: put(in, f, &entry) ?: put_alternates(in, f, &entry);
}

/* Something below UtilityVM that is not there any more, only what is said of it is. */
static int walk_removed(struct in *in, const char *dir, const char *name)
{
	_cleanup_free_ char *path = st_tree_join(dir, name), *base = strndup(name, strlen(name) - META_SIZE);
	struct found f = { .path = path, .fd = -1 };
	int r = path && base ? streams_read(in, &f, path) : -ENOMEM;

	if (r == 0 && f.attributes == ST_TRANSPORT_REMOVED)
		r = put_whiteout(in, dir, base);
	found_close(&f);
	return r;
}

static int walk(struct in *in, const char *dir)
{
	struct st_names names = { 0 };
	bool raw = !win_name_below(dir, WIN_FILES) && strcmp(dir, WIN_FILES) != 0;
	int r = st_tree_list(in->dir, dir, &names);

	if (r < 0)
		return failed(in, dir, r);
	for (size_t i = 0; r == 0 && i < names.count; i++) {
		_cleanup_free_ char *path = st_tree_join(dir, names.name[i]);
		struct found f;

		if (is_meta(names.name[i])) {
			r = raw ? walk_removed(in, dir, names.name[i]) : 0;
			continue;
		}
		if (!strcmp(dir, WIN_FILES) && !strcasecmp(names.name[i], "$Recycle.Bin"))
			continue;
		r = path ? found_open(in, path, &f) : -ENOMEM;
		if (r == 0)
			r = walk_found(in, &f);
		if (path)
			found_close(&f);
	}
	st_names_finish(&names);
	return r;
}

static int walk_roots(struct in *in)
{
	static const char *const roots[] = { WIN_FILES, "Hives", WIN_UVM };
	struct stat st;
	size_t any = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < PLUG_ELEMENTS(roots); i++) {
		struct found f;

		if (st_tree_stat(in->dir, roots[i], &st) == -ENOENT)
			continue;
		any++;
		r = found_open(in, roots[i], &f);
		if (r == 0)
			r = f.directory ? walk_directory(in, &f) : refuse(in, roots[i], "not a directory");
		found_close(&f);
	}
	return r < 0 || any ? r : refuse(in, ".", "not a layer: no Files, Hives or UtilityVM");
}

int st_transport_read(int dir, struct st_tar_writer *writer, struct plug_error *err)
{
	struct in in = { .dir = dir, .writer = writer, .err = err };
	int r = tombstones_read(dir, &in.tombstones, err);

	if (r == 0)
		r = walk_roots(&in);
	for (size_t i = 0; r == 0 && i < in.tombstones.count; i++)
		if (!in.tombstones.one[i].told)
			r = put_whiteout(&in, in.tombstones.one[i].dir, in.tombstones.one[i].name);
	for (size_t i = 0; r == 0 && i < in.link_count; i++)
		r = put_hard_link(&in, in.links[i]);
	for (size_t i = 0; i < in.link_count; i++)
		free(in.links[i]);
	free(in.links);
	tombstones_finish(&in.tombstones);
	return r;
}
