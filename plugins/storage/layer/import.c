/* SPDX-License-Identifier: MIT */
#include "layer/import.h"

#include "archive/unpack.h"
#include "disk/ext4.h"
#include "disk/packed.h"
#include "layer/layer.h"
#include "layer/stage.h"
#include "layer/tree.h"
#include "layer/win.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* What the reader takes before it has the first entry: a header, its records, a buffer ahead. */
#define PEEK_MAX (8u << 20)

/* A stream whose beginning is read twice. */
struct peek {
	struct st_stream *stream;
	uint8_t *data;
	size_t size, cap, at;
	bool recording;
};

static ssize_t peek_read(void *arg, void *buffer, size_t size)
{
	struct peek *p = arg;
	ssize_t n;

	if (!p->recording && p->at < p->size) {
		size_t left = p->size - p->at;

		size = size < left ? size : left;
		memcpy(buffer, p->data + p->at, size);
		p->at += size;
		return (ssize_t)size;
	}
	n = st_stream_read(p->stream, buffer, size);
	if (n <= 0 || !p->recording)
		return n;
	if (p->size + (size_t)n > p->cap) {
		size_t cap = 2 * (p->size + (size_t)n);
		uint8_t *more = cap <= PEEK_MAX ? realloc(p->data, cap) : NULL;

		if (!more)
			return cap <= PEEK_MAX ? -ENOMEM : -EFBIG;
		p->data = more;
		p->cap = cap;
	}
	memcpy(p->data + p->size, buffer, (size_t)n);
	p->size += (size_t)n;
	return n;
}

static int tar_fail(struct peek *p, struct st_tar *tar, int r, struct plug_error *err)
{
	const char *text = st_stream_error(p->stream);

	if (!*text && tar)
		text = st_tar_error(tar);
	return *text ? plug_error_set(err, r, "%s", text) : plug_error_errno(err, r, "archive");
}

/* What it has become is sealed: a mount may ask for that, and nothing else. */
static int pack_seal(int fd, struct st_seal *ret, struct plug_error *err)
{
	char text[400] = "", path[48];
	int r;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = st_seal_measure(path, ret, text, sizeof(text));
	return r < 0 ? plug_error_set(err, r, "layer.vhd: %s", text) : 0;
}

static int pack_vhd(struct st_tar *tar, int stage, bool with_verity, struct st_seal *seal,
		    uint64_t *size, struct plug_error *err)
{
	const struct st_layer_vhd_options options = { .verity = with_verity };
	_cleanup_close_ int fd = openat(stage, "layer.vhd", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct st_ext4_result result;
	struct st_verity verity;
	char text[400] = "";
	int r;

	if (fd < 0)
		return plug_error_errno(err, -errno, "layer.vhd");
	r = st_layer_vhd_write(tar, fd, &options, &result, &verity, text, sizeof(text));
	if (r < 0)
		return plug_error_set(err, r, "%s", text);
	*size = result.data_bytes;
	return pack_seal(fd, seal, err);
}

/* Whether the first entry is one of a Windows layer. */
static int detect(struct peek *p, bool *windows, struct plug_error *err)
{
	const struct st_entry *entry;
	struct st_tar *tar;
	int r = st_tar_open(peek_read, p, NULL, &tar);

	if (r < 0)
		return plug_error_errno(err, r, "archive");
	p->recording = true;
	r = st_tar_next(tar, &entry);
	if (r < 0)
		r = tar_fail(p, tar, r, err);
	else
		*windows = r > 0 && st_win_is_root(entry->path);
	p->recording = false;
	st_tar_close(tar);
	return r < 0 ? r : 0;
}

/* Descriptors of what the parents hold. */
struct lowers {
	int fd[ST_CHAIN_MAX];
	size_t count;
};

static int lowers_open(const struct st_chain *chain, bool windows, struct lowers *l,
		       struct plug_error *err)
{
	int r = 0;

	for (size_t i = 0; chain && r == 0 && i < chain->count; i++) {
		struct st_layer_at at;

		r = st_layer_find(chain->path[i], &at, err);
		if (r < 0)
			return r;
		if (windows && at.form != ST_FORM_WINDOWS)
			r = plug_error_set(err, -EINVAL, "layer %.300s: not a Windows layer", at.path);
		else if (windows)
			l->fd[l->count++] = plug_take_fd(&at.fd);
		else if (at.form == ST_FORM_WINDOWS)
			r = plug_error_set(err, -EINVAL, "layer %.300s: a Windows layer", at.path);
		else {
			r = st_layer_content(&at, ST_VERIFY_NONE, err);
			if (r >= 0) {
				l->fd[l->count++] = r;
				r = 0;
			}
		}
		st_layer_leave(&at);
	}
	return r;
}

static void lowers_close(struct lowers *l)
{
	for (size_t i = 0; i < l->count; i++)
		(void)close(l->fd[i]);
}

static int unpack_linux(struct st_tar *tar, int stage, const struct lowers *l, uint64_t *size,
			struct plug_error *err)
{
	static const struct st_unpack_options options = { .whiteouts = ST_WHITEOUT_OVERLAY };
	_cleanup_close_ int fs = -1;
	struct st_unpack_result result;
	char text[400];
	int r;

	if (mkdirat(stage, "fs", 0755) < 0)
		return plug_error_errno(err, -errno, "fs");
	fs = openat(stage, "fs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fs < 0 || fchmod(fs, 0755) < 0)
		return plug_error_errno(err, -errno, "fs");
	r = st_unpack(tar, fs, &options, &result, text, sizeof(text));
	if (r < 0)
		return plug_error_set(err, r, "%s", text);
	r = st_unpack_implied(fs, &result, l->fd, l->count);
	free(result.implied);
	*size = result.sizes;
	return r < 0 ? plug_error_errno(err, r, "directories that the archive implies") : 0;
}

static int unpack(struct peek *p, int stage, const struct st_layer_import *import,
		  struct st_layer_imported *ret, struct st_seal *seal, struct plug_error *err)
{
	struct lowers l = { .count = 0 };
	struct st_tar *tar = NULL;
	int r = import->vhd ? 0 : lowers_open(import->parents, ret->windows, &l, err);

	if (r == 0)
		r = st_tar_open(peek_read, p, NULL, &tar);
	if (r == 0) {
		if (ret->windows)
			r = st_win_import(tar, stage, l.fd, l.count, &ret->size, err);
		else
			r = import->vhd ? pack_vhd(tar, stage, import->verity, seal, &ret->size, err)
					: unpack_linux(tar, stage, &l, &ret->size, err);
		/* A stream that fails makes a broken archive: what it says is the cause. */
		if (r < 0 && *st_stream_error(p->stream))
			r = tar_fail(p, NULL, r, err);
	}
	st_tar_close(tar);
	lowers_close(&l);
	return r < 0 && !err->code ? plug_error_errno(err, r, "archive") : r;
}

static int stream_import(const struct st_layer_import *import, int stage,
			 struct st_layer_imported *ret, struct st_seal *seal, struct plug_error *err)
{
	const struct st_stream_options options = { .read = import->read, .arg = import->arg,
						   .copy_fd = -1 };
	struct peek p = { .recording = false };
	struct st_stream_result result;
	int r = st_stream_open(&options, &p.stream);

	if (r < 0)
		return plug_error_errno(err, r, "archive");
	ret->windows = import->os == ST_LAYER_OS_WINDOWS;
	if (import->os == ST_LAYER_OS_DETECT)
		r = detect(&p, &ret->windows, err);
	if (r == 0)
		r = unpack(&p, stage, import, ret, seal, err);
	if (r == 0) {
		r = st_stream_finish(p.stream, &result);
		if (r < 0)
			r = tar_fail(&p, NULL, r, err);
		else
			memcpy(ret->diff_id, result.plain, sizeof(ret->diff_id));
	}
	st_stream_close(p.stream);
	free(p.data);
	return r;
}

static int chain_write(int stage, const struct st_chain *parents, struct plug_error *err)
{
	return parents && parents->count ? st_chain_write(stage, parents, err) : 0;
}

int st_layer_import(const struct st_layer_import *import, struct st_layer_imported *ret,
		    struct plug_error *err)
{
	struct st_layer_imported result = { 0 };
	struct st_seal seal = { "", "" };
	struct st_layer_mark mark;
	struct st_stage stage;
	int r = st_stage_begin(import->path, &stage, err);

	if (r < 0)
		return r;
	r = stream_import(import, stage.fd, &result, &seal, err);
	if (r == 0)
		r = chain_write(stage.fd, import->parents, err);
	mark = (struct st_layer_mark){ .kind = result.windows ? "windows" :
					       import->vhd    ? "ext4" :
								"dir",
				       .size = result.size,
				       .diff_id = result.diff_id,
				       .seal = &seal };
	if (r == 0)
		r = st_layer_mark(stage.fd, &mark, err);
	if (r == 0)
		r = st_stage_commit(&stage, err);
	st_stage_abort(&stage);
	if (r == 0)
		*ret = result;
	return r;
}

int st_layer_create(const char *path, const struct st_chain *parents, struct plug_error *err)
{
	struct st_stage stage;
	int r = st_stage_begin(path, &stage, err);

	if (r < 0)
		return r;
	if (mkdirat(stage.fd, "fs", 0755) < 0)
		r = plug_error_errno(err, -errno, "layer %.300s", path);
	if (r == 0)
		r = chain_write(stage.fd, parents, err);
	if (r == 0)
		r = st_layer_mark(stage.fd, &(struct st_layer_mark){ .kind = "dir" }, err);
	if (r == 0)
		r = st_stage_commit(&stage, err);
	st_stage_abort(&stage);
	return r;
}
