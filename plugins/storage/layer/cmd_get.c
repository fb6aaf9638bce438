/* SPDX-License-Identifier: MIT */
/* layer get: any file of a layer, without anything else of it (DiffGetter, hcs-behaviour.md §9.1). */
#include "disk/ext4.h"
#include "disk/packed.h"
#include "layer/command.h"
#include "layer/layer.h"
#include "layer/pack.h"
#include "layer/tree.h"
#include "layer/win.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define BUFFER (64 * 1024)

struct getting {
	struct plug_run *run;
	struct st_layer_at at;
	int root;             /* what names begin at; of an ext4 image: -1, */
	int image;            /* its file, */
	struct st_source source;
	struct st_ext4 *ext4; /* and a reader, for which nothing need be mounted */
};

static void getting_close(struct getting *g)
{
	st_ext4_close(g->ext4);
	plug_closep(&g->root);
	plug_closep(&g->image);
	st_layer_leave(&g->at);
}

static int image_open(struct getting *g, struct plug_error *err)
{
	char text[256] = "";
	struct stat st;
	int r;

	g->image = open(g->at.content, O_RDONLY | O_CLOEXEC);
	if (g->image < 0 || fstat(g->image, &st) < 0)
		return plug_error_errno(err, -errno, "layer %.300s", g->at.content);
	st_source_fd(&g->source, &g->image, (uint64_t)st.st_size);
	r = st_ext4_open(&g->source, &g->ext4, text, sizeof(text));
	return r < 0 ? plug_error_set(err, r, "layer %.200s: %s", g->at.content, text) : 0;
}

static bool is_ext4(const struct st_layer_at *at)
{
	enum st_packed_kind kind;
	uint64_t size;

	return at->form == ST_FORM_PACKED && st_packed_probe(at->content, &kind, &size, NULL, 0) == 0 &&
	       kind == ST_PACKED_EXT4;
}

static int getting_open(struct plug_run *run, struct getting *g)
{
	_cleanup_free_ char *path = plug_run_path(run, run->words[0]);
	enum st_verify how;
	int r;

	*g = (struct getting){ .run = run, .at = { .fd = -1 }, .root = -1, .image = -1 };
	r = path ? st_layer_verify(run, &how) : -ENOMEM;
	if (r == 0)
		r = st_layer_find(path, &g->at, &run->error);
	if (r == 0 && how == ST_VERIFY_NONE && is_ext4(&g->at))
		r = image_open(g, &run->error);
	else if (r == 0 && g->at.form == ST_FORM_WINDOWS)
		g->root = fcntl(g->at.fd, F_DUPFD_CLOEXEC, 3); /* Files/, Hives/ … */
	else if (r == 0)
		g->root = st_layer_content(&g->at, how, &run->error);
	if (r == 0 && g->root < 0 && g->image < 0)
		r = -errno;
	if (r < 0)
		getting_close(g);
	return r;
}

static int none(struct getting *g, const char *path, int r)
{
	return g->run->error.code ? g->run->error.code
				  : plug_error_errno(&g->run->error, r, "%.300s", path);
}

/* ---- the data alone */

/* A descriptor, or a number within the image; -EINVAL: it is not a regular file. */
static int data_open(struct getting *g, const char *path, int *fd, uint32_t *ino)
{
	const char *from = g->at.form == ST_FORM_WINDOWS ? st_win_data_path(g->root, path) : path;
	struct st_ext4_stat est;
	struct stat st;
	int r;

	if (g->ext4) {
		r = st_ext4_lookup(g->ext4, path, ino);
		if (r == 0)
			r = st_ext4_stat(g->ext4, *ino, &est);
		if (r == 0)
			st.st_mode = est.mode;
	} else {
		r = *fd = st_tree_open(g->root, from, O_RDONLY | O_NONBLOCK);
		if (r >= 0)
			r = fstat(*fd, &st) < 0 ? -errno : 0;
	}
	if (r < 0)
		return none(g, path, r);
	if (!S_ISREG(st.st_mode))
		return plug_error_set(&g->run->error, -EINVAL, "%.300s: not a file: use --tar", path);
	return 0;
}

static int get_data(struct getting *g, const char *path)
{
	_cleanup_free_ uint8_t *buffer = malloc(BUFFER);
	_cleanup_close_ int fd = -1;
	uint64_t offset = 0;
	uint32_t ino = 0;
	int r = buffer ? data_open(g, path, &fd, &ino) : none(g, path, -ENOMEM);

	while (r == 0) {
		ssize_t n = g->ext4 ? st_ext4_read(g->ext4, ino, buffer, BUFFER, offset)
				    : pread(fd, buffer, BUFFER, (off_t)offset);

		if (n <= 0)
			return n == 0 ? 0 : none(g, path, g->ext4 ? (int)n : -errno);
		r = plug_run_write(g->run, g->run->out, buffer, (size_t)n);
		offset += (uint64_t)n;
	}
	return r;
}

/* ---- with what an archive says of them */

struct attributes {
	struct st_pax *pax;
	size_t count;
};

static int attribute_add(void *arg, const char *name, const void *value, size_t size)
{
	struct attributes *a = arg;
	struct st_pax *more;

	if (strncmp(name, "user.", 5) != 0 && strcmp(name, "security.capability") != 0)
		return 0;
	more = realloc(a->pax, (a->count + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	a->pax = more;
	more[a->count] = (struct st_pax){ .value = malloc(size + 1), .size = size };
	if (!more[a->count].value || asprintf(&more[a->count].key, "SCHILY.xattr.%s", name) < 0) {
		free(more[a->count].value);
		return -ENOMEM;
	}
	memcpy(more[a->count].value, value, size);
	more[a->count++].value[size] = 0;
	return 0;
}

static char type_of(uint32_t mode)
{
	static const struct {
		uint32_t mode;
		char type;
	} types[] = { { S_IFREG, ST_TAR_FILE },	   { S_IFDIR, ST_TAR_DIRECTORY },
		      { S_IFLNK, ST_TAR_SYMLINK }, { S_IFCHR, ST_TAR_CHAR },
		      { S_IFBLK, ST_TAR_BLOCK },   { S_IFIFO, ST_TAR_FIFO } };

	for (size_t i = 0; i < PLUG_ELEMENTS(types); i++)
		if ((mode & S_IFMT) == types[i].mode)
			return types[i].type;
	return 0;
}

static int put_data(struct getting *g, struct st_tar_writer *writer, uint32_t ino, uint64_t size)
{
	_cleanup_free_ uint8_t *buffer = malloc(BUFFER);
	int r = buffer ? 0 : -ENOMEM;

	for (uint64_t offset = 0; r == 0 && offset < size;) {
		ssize_t n = st_ext4_read(g->ext4, ino, buffer, BUFFER, offset);

		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		r = st_tar_put_data(writer, buffer, (size_t)n);
		offset += (uint64_t)n;
	}
	return r;
}

static int put_packed(struct getting *g, const char *path, struct st_tar_writer *writer)
{
	struct attributes a = { 0 };
	char target[4096] = "";
	struct st_ext4_stat st;
	struct st_entry entry;
	uint32_t ino;
	int r = st_ext4_lookup(g->ext4, path, &ino);

	if (r == 0)
		r = st_ext4_stat(g->ext4, ino, &st);
	if (r < 0)
		return r;
	entry = (struct st_entry){ .path = (char *)(uintptr_t)path, .link = target,
				   .type = type_of(st.mode), .mode = st.mode & 07777, .uid = st.uid,
				   .gid = st.gid, .mtime = st.mtime, .major = st.major,
				   .minor = st.minor };
	if (entry.type == ST_TAR_FILE)
		entry.size = entry.stored = st.size;
	if (entry.type == ST_TAR_SYMLINK)
		r = st_ext4_readlink(g->ext4, ino, target);
	if (r == 0)
		r = st_ext4_xattrs(g->ext4, ino, attribute_add, &a);
	entry.pax = a.pax;
	entry.pax_count = a.count;
	if (r == 0)
		r = st_tar_put(writer, &entry);
	if (r == 0 && entry.type == ST_TAR_FILE)
		r = put_data(g, writer, ino, st.size);
	for (size_t i = 0; i < a.count; i++) {
		free(a.pax[i].key);
		free(a.pax[i].value);
	}
	free(a.pax);
	return r;
}

static int get_fill(void *arg, struct st_tar_writer *writer, struct plug_error *err)
{
	struct getting *g = arg;
	struct st_pack *pack = NULL;
	int r = g->ext4 || g->at.form == ST_FORM_WINDOWS ? 0 : st_pack_open(g->root, writer, &pack);

	for (size_t i = 1; r == 0 && i < g->run->word_count; i++) {
		const char *path = g->run->words[i] + strspn(g->run->words[i], "/");

		if (g->ext4)
			r = put_packed(g, path, writer);
		else if (pack)
			r = st_pack_entry(pack, path, err);
		else
			r = st_win_export_file(g->root, path, writer, err);
		if (r < 0)
			r = none(g, path, r);
	}
	st_pack_close(pack);
	return r;
}

int st_layer_cmd_get(struct plug_run *run)
{
	struct getting g;
	int r;

	if (!plug_run_flag(run, "tar") && run->word_count > 2)
		return plug_error_set(&run->error, -EINVAL, "layer get: several files need --tar");
	r = getting_open(run, &g);
	if (r < 0)
		return r;
	r = plug_run_flag(run, "tar") ? st_layer_archive(run, get_fill, &g)
				    : get_data(&g, run->words[1] + strspn(run->words[1], "/"));
	getting_close(&g);
	return r;
}
