/* SPDX-License-Identifier: MIT */
#include "layer/transport.h"

#include "layer/backup.h"
#include "layer/tree.h"
#include "layer/win_private.h"
#include "common/util.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <nettle/base64.h>
#include <stdarg.h>
#include <string.h>

#define WHITEOUT ".wh."

struct out {
	struct st_tar *tar;
	int dir, layer;
	const struct st_entry *entry;
	char *path; /* of the entry, cleaned */
	char *main; /* the last one that may have streams; "" */
	bool raw;   /* below Hives or UtilityVM */
	/* What is open, since streams may follow: the file, or what is said of it beside it. */
	int data, side;
	uint32_t attributes;
	struct win_meta meta;
	struct timespec times[2];
	FILE *tombstones;
	struct plug_error *err;
};

__attribute__((format(printf, 3, 4))) static int refuse(struct out *o, int code, const char *format,
							 ...)
{
	char text[300];
	va_list args;

	if (o->err->code)
		return code;
	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return plug_error_set(o->err, code, "entry %.150s: %s", o->entry ? o->entry->path : o->main, text);
}

static int failed(struct out *o, int code)
{
	return refuse(o, code, "%s", strerror(-code));
}

/* ---- what is kept as attributes of the file */

static bool in_streams(const char *key)
{
	static const char *const said[] = { "mswindows.rawsd", "mswindows.mountpoint" };

	for (size_t i = 0; i < PLUG_ELEMENTS(said); i++)
		if (!strcmp(key, said[i]))
			return true;
	return !strncmp(key, "mswindows.xattr.", 16);
}

static void meta_drop(struct win_meta *meta, size_t i)
{
	free(meta->record[i].key);
	free(meta->record[i].value);
	memmove(&meta->record[i], &meta->record[i + 1], (--meta->count - i) * sizeof(meta->record[0]));
}

static void meta_drop_said(struct out *o, bool mtime)
{
	for (size_t i = o->meta.count; i-- > 0;) {
		const char *key = o->meta.record[i].key;

		if (in_streams(key) || (mtime && !strcmp(key, "mswindows.tar.mtime")) ||
		    (!o->raw && (!strcmp(key, "mswindows.fileattr") || !strcmp(key, "mswindows.tar.map"))))
			meta_drop(&o->meta, i);
	}
}

/* Times come last: writing changes them. */
static int current_finish(struct out *o)
{
	int fd = o->data >= 0 ? o->data : o->side, r = 0;
	struct stat st;

	if (fd >= 0 && (futimens(fd, o->times) < 0 || fstat(fd, &st) < 0))
		r = failed(o, -errno);
	if (fd >= 0 && r == 0) {
		meta_drop_said(o, S_ISREG(st.st_mode) && st.st_mtim.tv_sec == o->times[1].tv_sec &&
					  st.st_mtim.tv_nsec == o->times[1].tv_nsec);
		r = win_meta_store(fd, &o->meta);
		if (r > 0)
			r = refuse(o, -ENOSPC, "what else is said of it does not fit beside the file");
		else if (r < 0)
			r = failed(o, r);
	}
	plug_closep(&o->data);
	plug_closep(&o->side);
	o->data = o->side = -1;
	win_meta_finish(&o->meta);
	return r;
}

/* ---- streams */

static int blob_write(int fd, struct st_blob *blob, int r)
{
	if (r == 0)
		r = plug_write_all(fd, (const char *)blob->data, blob->size);
	st_blob_finish(blob);
	return r;
}

static int begin(int fd, uint32_t attributes)
{
	uint32_t head = htole32(attributes);

	return plug_write_all(fd, (const char *)&head, sizeof(head));
}

static int create(struct out *o, const char *path)
{
	int r = st_tree_remove(o->dir, path);

	return r < 0 ? r : st_tree_create(o->dir, path, 0600);
}

/* FILE.$wcidirs$, for what has no place in FILE. */
static int side_open(struct out *o, const char *path)
{
	_cleanup_free_ char *name = NULL;
	int r;

	if (o->side >= 0)
		return 0;
	if (asprintf(&name, "%s" ST_TRANSPORT_META, path) < 0) {
		name = NULL;
		return -ENOMEM;
	}
	r = create(o, name);
	if (r < 0)
		return r;
	o->side = r;
	return begin(o->side, o->attributes);
}

/* Where the entry's streams go. */
static int stream_fd(struct out *o, const char *path)
{
	int r = o->raw || o->data < 0 ? side_open(o, path) : 0;

	return r < 0 ? r : o->raw || o->data < 0 ? o->side : o->data;
}

static int put_stream(struct out *o, enum st_backup_id id, uint32_t attributes,
		      const struct st_blob *content)
{
	struct st_blob blob = { 0 };
	int fd = stream_fd(o, o->path);
	int r = fd < 0 ? fd : st_backup_header(&blob, id, attributes, content->size, NULL);

	if (r == 0)
		r = st_blob_add(&blob, content->data, content->size);
	return blob_write(fd, &blob, r);
}

static int base64(const struct st_pax *record, struct st_blob *ret)
{
	struct base64_decode_ctx ctx;
	size_t n;

	ret->data = malloc(BASE64_DECODE_LENGTH(record->size) + 1);
	if (!ret->data)
		return -ENOMEM;
	n = BASE64_DECODE_LENGTH(record->size);
	base64_decode_init(&ctx);
	if (!base64_decode_update(&ctx, &n, ret->data, record->size, record->value) ||
	    !base64_decode_final(&ctx)) {
		st_blob_finish(ret);
		return -EILSEQ;
	}
	ret->size = n;
	return 0;
}

static int put_security(struct out *o)
{
	const struct st_pax *record = win_meta_get(&o->meta, "mswindows.rawsd");
	struct st_blob value = { 0 };
	int r = record ? base64(record, &value) : 0;

	if (record && r == 0)
		r = put_stream(o, ST_BACKUP_SECURITY, ST_BACKUP_HAS_SECURITY, &value);
	st_blob_finish(&value);
	return r == -EILSEQ ? refuse(o, r, "its security descriptor is not base64") : r;
}

static int put_ea(struct out *o)
{
	struct st_blob all = { 0 };
	size_t last = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < o->meta.count; i++) {
		const struct st_pax *record = &o->meta.record[i];
		struct st_blob value = { 0 };

		if (strncmp(record->key, "mswindows.xattr.", 16) != 0)
			continue;
		r = base64(record, &value);
		if (r == 0)
			r = st_ea_add(&all, &last, &(struct st_ea){ .name = record->key + 16,
								    .name_size = strlen(record->key + 16),
								    .value = value.data,
								    .value_size = value.size });
		st_blob_finish(&value);
	}
	if (r == 0 && all.size)
		r = put_stream(o, ST_BACKUP_EA, 0, &all);
	st_blob_finish(&all);
	return r == -EILSEQ ? refuse(o, r, "an extended attribute is not base64") : r;
}

static int put_reparse(struct out *o)
{
	struct st_blob blob;
	int r = st_reparse_encode(o->entry->link, win_meta_get(&o->meta, "mswindows.mountpoint"), &blob);

	if (r < 0)
		return r == -EILSEQ ? refuse(o, r, "its target is not UTF-8") : r;
	r = put_stream(o, ST_BACKUP_REPARSE, 0, &blob);
	st_blob_finish(&blob);
	return r;
}

/* ---- data */

static int take(struct out *o, int fd, uint64_t size)
{
	char buffer[65536];

	while (size) {
		size_t want = size < sizeof(buffer) ? (size_t)size : sizeof(buffer);
		ssize_t n = st_tar_read(o->tar, buffer, want);
		int r = n < 0 ? (int)n : n == 0 ? -EIO : plug_write_all(fd, buffer, (size_t)n);

		if (r < 0)
			return r;
		size -= (uint64_t)n;
	}
	return 0;
}

static int put_block(struct out *o, int fd, uint64_t offset, uint64_t size)
{
	struct st_blob blob = { 0 };
	uint64_t at = htole64(offset);
	int r = st_backup_header(&blob, ST_BACKUP_SPARSE_BLOCK, ST_BACKUP_SPARSE, size + sizeof(at), NULL);

	if (r == 0)
		r = st_blob_add(&blob, &at, sizeof(at));
	return blob_write(fd, &blob, r) ?: take(o, fd, size);
}

static int put_data(struct out *o, int fd)
{
	const struct st_entry *e = o->entry;
	bool sparse = e->extent_count || e->stored != e->size;
	struct st_blob blob = { 0 };
	int r = st_backup_header(&blob, ST_BACKUP_DATA, sparse ? ST_BACKUP_SPARSE : 0,
				 sparse ? 0 : e->size, NULL);

	r = blob_write(fd, &blob, r);
	if (r == 0 && !sparse)
		return take(o, fd, e->size);
	for (size_t i = 0; r == 0 && i < e->extent_count; i++)
		r = put_block(o, fd, e->extents[i].offset, e->extents[i].size);
	return r == 0 ? put_block(o, fd, e->size, 0) : r;
}

/* ---- entries */

static int add_stream(struct out *o, const char *name)
{
	_cleanup_free_ char *full = NULL;
	struct st_blob blob = { 0 };
	int fd, r;

	if (o->entry->type != ST_TAR_FILE || o->entry->stored != o->entry->size)
		return refuse(o, -ENOTSUP, "not an alternate stream");
	if (asprintf(&full, ":%s:$DATA", name) < 0) {
		full = NULL;
		return failed(o, -ENOMEM);
	}
	fd = stream_fd(o, o->main);
	r = fd < 0 ? fd : st_backup_header(&blob, ST_BACKUP_ALTERNATE, 0, o->entry->size, full);
	r = blob_write(fd, &blob, r);
	if (r == 0)
		r = take(o, fd, o->entry->size);
	return r < 0 ? failed(o, r) : 0;
}

static int add_file(struct out *o)
{
	int r = create(o, o->path);

	if (r < 0)
		return failed(o, r);
	o->data = r;
	r = o->raw ? 0 : begin(o->data, o->attributes);
	if (r == 0)
		r = put_security(o) ?: put_ea(o);
	if (r == 0)
		r = o->raw ? win_data_write(o->tar, o->entry, o->data, o->attributes & WIN_ATTR_SPARSE)
			   : put_data(o, o->data);
	return r < 0 ? failed(o, r) : 0;
}

static int add_directory(struct out *o)
{
	int r = st_tree_mkdirs(o->dir, o->path);

	if (r == 0 && o->raw)
		r = o->data = st_tree_open(o->dir, o->path, O_RDONLY | O_DIRECTORY);
	else if (r == 0)
		r = side_open(o, o->path);
	if (r >= 0)
		r = put_security(o) ?: put_ea(o);
	return r < 0 ? failed(o, r) : 0;
}

static int add_symlink(struct out *o)
{
	bool directory = o->attributes & WIN_ATTR_DIRECTORY;
	int r = st_tree_remove(o->dir, o->path);

	if (r == 0 && directory)
		r = st_tree_mkdirs(o->dir, o->path);
	if (r == 0 && directory && o->raw)
		r = o->data = st_tree_open(o->dir, o->path, O_RDONLY | O_DIRECTORY);
	else if (r == 0 && !directory)
		r = o->data = create(o, o->path);
	if (r >= 0 && !directory && !o->raw)
		r = begin(o->data, o->attributes);
	if (r >= 0)
		r = put_security(o) ?: put_ea(o) ?: put_reparse(o);
	return r < 0 ? failed(o, r) : 0;
}

static int copy(int from, int to)
{
	char buffer[65536];
	ssize_t n;
	int r = 0;

	while (r == 0 && (n = read(from, buffer, sizeof(buffer))) != 0)
		r = n < 0 ? -errno : plug_write_all(to, buffer, (size_t)n);
	return r;
}

static int put_link(struct out *o)
{
	_cleanup_free_ char *text = NULL;
	struct st_blob name = { 0 };
	int r;

	if (asprintf(&text, ST_TRANSPORT_LINK "%s", o->entry->link) < 0) {
		text = NULL;
		return -ENOMEM;
	}
	r = st_utf16_add(&name, text);
	if (r == 0)
		r = put_stream(o, ST_BACKUP_LINK, 0, &name);
	st_blob_finish(&name);
	return r == -EILSEQ ? refuse(o, r, "its target is not UTF-8") : r;
}

/* The data of a link whose target is in another layer: the layer's own. */
static int link_data(struct out *o)
{
	_cleanup_close_ int from = st_tree_open(o->layer, st_win_data_path(o->layer, o->path), O_RDONLY);
	struct st_blob blob = { 0 };
	struct stat st;
	int r;

	if (from < 0 || fstat(from, &st) < 0)
		return from < 0 ? from : -errno;
	if (o->raw)
		return copy(from, o->data);
	r = st_backup_header(&blob, ST_BACKUP_DATA, 0, (uint64_t)st.st_size, NULL);
	return blob_write(o->data, &blob, r) ?: copy(from, o->data);
}

/* The link comes first: what follows is the target's, links of its own among it. */
static int add_link(struct out *o)
{
	_cleanup_free_ char *target = NULL;
	_cleanup_close_ int from = -1;
	const char *cause;
	uint8_t head[4];
	int r = win_name_clean(o->entry->link, &target, &cause);

	if (r < 0)
		return r == -EINVAL ? refuse(o, r, "%s", cause) : failed(o, r);
	from = o->raw ? -1 : st_tree_open(o->dir, target, O_RDONLY);
	if (from >= 0 && read(from, head, sizeof(head)) == sizeof(head))
		o->attributes = head[0] | (uint32_t)head[1] << 8 | (uint32_t)head[2] << 16 |
				(uint32_t)head[3] << 24;
	r = o->data = create(o, o->path);
	if (r >= 0)
		r = o->raw ? 0 : begin(o->data, o->attributes);
	if (r == 0)
		r = put_link(o);
	if (r == 0)
		r = from >= 0 ? copy(from, o->data) : link_data(o);
	return r < 0 ? failed(o, r) : 0;
}

/* ---- tombstones */

static int tombstone_line(struct out *o, const char *path)
{
	_cleanup_free_ char *name = win_name_windows(path + sizeof(WIN_FILES) - 1);

	if (!name)
		return -ENOMEM;
	if (!o->tombstones) {
		int fd = st_tree_create(o->dir, WIN_TOMBSTONES, 0644);

		o->tombstones = fd < 0 ? NULL : fdopen(fd, "we");
		if (!o->tombstones) {
			plug_closep(&fd);
			return fd < 0 ? fd : -ENOMEM;
		}
		(void)fputs("\xEF\xBB\xBFVersion 1.0\n", o->tombstones);
	}
	return fprintf(o->tombstones, "%s\n", name) < 0 ? -EIO : 0;
}

static int add_tombstone(struct out *o, const char *base)
{
	_cleanup_free_ char *path = NULL, *dir = strndup(o->path, (size_t)(base - o->path));
	int r;

	if (!dir || asprintf(&path, "%s%s", dir, base + sizeof(WHITEOUT) - 1) < 0) {
		path = NULL;
		return failed(o, -ENOMEM);
	}
	if (win_name_below(path, WIN_FILES)) {
		r = tombstone_line(o, path);
	} else {
		dir[strlen(dir) - 1] = 0;
		o->attributes = ST_TRANSPORT_REMOVED;
		r = st_tree_mkdirs(o->dir, dir) ?: side_open(o, path);
	}
	return r < 0 ? failed(o, r) : 0;
}

/* ---- all of it */

static int place_make(struct out *o)
{
	const char *slash = strrchr(o->path, '/');
	_cleanup_free_ char *dir = strndup(o->path, slash ? (size_t)(slash - o->path) : 0);
	int r = dir ? st_tree_mkdirs(o->dir, dir) : -ENOMEM;

	return r < 0 ? failed(o, r) : 0;
}

static int current_begin(struct out *o)
{
	int r = win_meta_of(o->entry, false, &o->meta);

	if (r < 0)
		return failed(o, r);
	o->times[0] = o->entry->has_atime ? o->entry->atime : o->entry->mtime;
	o->times[1] = o->entry->mtime;
	o->raw = !win_name_below(o->path, WIN_FILES) && strcmp(o->path, WIN_FILES) != 0;
	o->attributes = win_meta_attributes(&o->meta, o->entry);
	if (o->entry->type == ST_TAR_HARD_LINK)
		o->attributes = WIN_ATTR_ARCHIVE;
	return place_make(o);
}

static int entry_write(struct out *o)
{
	const char *cause, *stream = win_name_stream(o->entry->path, o->main, &cause), *base;
	int r;

	if (stream)
		return cause ? refuse(o, -EINVAL, "%s", cause) : add_stream(o, stream);
	r = current_finish(o);
	if (r < 0)
		return r;
	free(o->path);
	o->path = NULL;
	*o->main = 0;
	r = win_name_clean(o->entry->path, &o->path, &cause);
	if (r < 0)
		return r == -EINVAL ? refuse(o, r, "%s", cause) : failed(o, r);
	if (strstr(o->path, ST_TRANSPORT_META))
		return refuse(o, -EINVAL, "the format has its own use of that name");
	r = current_begin(o);
	if (r < 0)
		return r;
	base = strrchr(o->path, '/') ? strrchr(o->path, '/') + 1 : o->path;
	if (!strncmp(base, WHITEOUT, sizeof(WHITEOUT) - 1))
		return add_tombstone(o, base);
	if (o->entry->type == ST_TAR_HARD_LINK)
		return add_link(o);
	if (o->entry->type == ST_TAR_SYMLINK)
		return add_symlink(o);
	free(o->main);
	o->main = strdup(o->path);
	if (!o->main)
		return failed(o, -ENOMEM);
	return o->entry->type == ST_TAR_DIRECTORY ? add_directory(o) : add_file(o);
}

int st_transport_write(struct st_tar *tar, int dir, int layer, struct plug_error *err)
{
	struct out o = { .tar = tar, .dir = dir, .layer = layer, .main = calloc(1, 1), .data = -1,
			 .side = -1, .err = err };
	int r = o.main ? 0 : -ENOMEM, rc;

	while (r == 0 && (r = st_tar_next(tar, &o.entry)) > 0)
		r = entry_write(&o);
	if (r < 0 && !err->code)
		(void)plug_error_set(err, r, "%s", st_tar_error(tar));
	o.entry = NULL;
	rc = current_finish(&o);
	r = r < 0 ? r : rc;
	if (o.tombstones && (fclose(o.tombstones) != 0) && r == 0)
		r = plug_error_errno(err, -errno, WIN_TOMBSTONES);
	free(o.path);
	free(o.main);
	return r;
}
