/* SPDX-License-Identifier: MIT */
#include "layer/pack.h"

#include "layer/tree.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#define XATTR "SCHILY.xattr."
#define EXTENTS_MAX 20000 /* more of them make a larger map than a reader has to take */
#define BUFFER (64 * 1024)

/* A file that has more names, by the first of them. */
struct seen {
	dev_t dev;
	ino_t ino;
	char *path;
};

struct st_pack {
	int root;
	struct st_tar_writer *writer;
	struct seen *seen; /* a hash table: path NULL is a free place */
	size_t seen_count, seen_cap;
	uint8_t buffer[BUFFER];
};

int st_pack_open(int root, struct st_tar_writer *writer, struct st_pack **ret)
{
	struct st_pack *pack = calloc(1, sizeof(*pack));

	if (!pack)
		return -ENOMEM;
	pack->root = root;
	pack->writer = writer;
	*ret = pack;
	return 0;
}

void st_pack_close(struct st_pack *pack)
{
	if (!pack)
		return;
	for (size_t i = 0; i < pack->seen_cap; i++)
		free(pack->seen[i].path);
	free(pack->seen);
	free(pack);
}

/* ---- hard links */

static struct seen *seen_place(struct seen *table, size_t cap, dev_t dev, ino_t ino)
{
	uint64_t hash = ((uint64_t)ino ^ (uint64_t)dev << 40) * 0x9e3779b97f4a7c15u;
	size_t i = (size_t)(hash >> 20) & (cap - 1);

	while (table[i].path && (table[i].dev != dev || table[i].ino != ino))
		i = (i + 1) & (cap - 1);
	return &table[i];
}

static int seen_grow(struct st_pack *pack)
{
	size_t cap = pack->seen_cap ? pack->seen_cap * 2 : 64;
	struct seen *table = calloc(cap, sizeof(*table));

	if (!table)
		return -ENOMEM;
	for (size_t i = 0; i < pack->seen_cap; i++)
		if (pack->seen[i].path)
			*seen_place(table, cap, pack->seen[i].dev, pack->seen[i].ino) =
				pack->seen[i];
	free(pack->seen);
	pack->seen = table;
	pack->seen_cap = cap;
	return 0;
}

/* *first: the name under which the file is in the archive already; NULL: this is the first. */
static int seen_look(struct st_pack *pack, const char *path, const struct stat *st,
		     const char **first)
{
	struct seen *place;

	*first = NULL;
	if (st->st_nlink < 2 || S_ISDIR(st->st_mode))
		return 0;
	if (pack->seen_count * 4 >= pack->seen_cap * 3 && seen_grow(pack) < 0)
		return -ENOMEM;
	place = seen_place(pack->seen, pack->seen_cap, st->st_dev, st->st_ino);
	*first = place->path;
	if (place->path)
		return 0;
	place->path = strdup(path);
	if (!place->path)
		return -ENOMEM;
	place->dev = st->st_dev;
	place->ino = st->st_ino;
	pack->seen_count++;
	return 0;
}

/* ---- data */

int st_pack_extents(int fd, const struct stat *st, struct st_extent **extents, size_t *count)
{
	_cleanup_free_ struct st_extent *list = NULL;
	off_t at = 0, data;
	size_t n = 0;

	*extents = NULL;
	*count = 0;
	if ((uint64_t)st->st_blocks * 512 >= (uint64_t)st->st_size)
		return 0;
	while (at < st->st_size && (data = lseek(fd, at, SEEK_DATA)) >= 0) {
		off_t end = lseek(fd, data, SEEK_HOLE);

		if (n == EXTENTS_MAX || end < 0)
			return 0;
		if (n % 64 == 0) {
			struct st_extent *more = realloc(list, (n + 64) * sizeof(*more));

			if (!more)
				return -ENOMEM;
			list = more;
		}
		end = end < st->st_size ? end : st->st_size;
		if (end > data)
			list[n++] = (struct st_extent){ (uint64_t)data, (uint64_t)(end - data) };
		at = end;
	}
	if (n == 1 && !list[0].offset && list[0].size == (uint64_t)st->st_size)
		return 0; /* all of it: compressed, or the like */
	if (!n) { /* nothing but a hole: a list that is there and empty */
		list = malloc(sizeof(*list));
		if (!list)
			return -ENOMEM;
	}
	*extents = plug_take_ptr(list);
	*count = n;
	return 0;
}

static int copy_range(struct st_tar_writer *writer, int fd, uint64_t offset, uint64_t size,
		      uint8_t *buffer)
{
	int r = 0;

	while (r == 0 && size) {
		size_t want = size < BUFFER ? (size_t)size : BUFFER;
		ssize_t n = pread(fd, buffer, want, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		r = st_tar_put_data(writer, buffer, (size_t)n);
		offset += (uint64_t)n;
		size -= (uint64_t)n;
	}
	return r;
}

int st_pack_data(struct st_tar_writer *writer, int fd, const struct st_entry *entry)
{
	_cleanup_free_ uint8_t *buffer = entry->stored ? malloc(BUFFER) : NULL;
	int r = 0;

	if (!entry->stored)
		return 0;
	if (!buffer)
		return -ENOMEM;
	if (!entry->extent_count)
		return copy_range(writer, fd, 0, entry->stored, buffer);
	for (size_t i = 0; r == 0 && i < entry->extent_count; i++)
		r = copy_range(writer, fd, entry->extents[i].offset, entry->extents[i].size, buffer);
	return r;
}

/* ---- extended attributes */

struct attributes {
	struct st_pax *pax;
	size_t count;
};

static void attributes_finish(struct attributes *a)
{
	for (size_t i = 0; i < a->count; i++) {
		free(a->pax[i].key);
		free(a->pax[i].value);
	}
	free(a->pax);
}

/* Those that unpacking sets; what overlayfs keeps for itself is said otherwise. */
static bool attribute_wanted(const char *name)
{
	if (!strcmp(name, "security.capability"))
		return true;
	return !strncmp(name, "user.", 5) && strncmp(name, "user.overlay.", 13) != 0;
}

static int attribute_add(struct attributes *a, const char *path, const char *name)
{
	struct st_pax *more = realloc(a->pax, (a->count + 1) * sizeof(*more)), *pax;
	ssize_t size;

	if (!more)
		return -ENOMEM;
	a->pax = more;
	size = lgetxattr(path, name, NULL, 0);
	if (size < 0)
		return errno == ENODATA ? 0 : -errno;
	pax = &a->pax[a->count];
	pax->value = malloc((size_t)size + 1);
	if (!pax->value)
		return -ENOMEM;
	size = lgetxattr(path, name, pax->value, (size_t)size);
	if (size < 0 || asprintf(&pax->key, XATTR "%s", name) < 0) {
		int r = size < 0 ? -errno : -ENOMEM;

		free(pax->value);
		return r;
	}
	pax->value[size] = 0;
	pax->size = (size_t)size;
	a->count++;
	return 0;
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct st_pax *)a)->key, ((const struct st_pax *)b)->key);
}

static int attributes_read(const char *path, struct attributes *ret)
{
	ssize_t size = llistxattr(path, NULL, 0);
	_cleanup_free_ char *names = NULL;
	int r = 0;

	if (size <= 0)
		return size == 0 || errno == EOPNOTSUPP ? 0 : -errno;
	names = malloc((size_t)size);
	if (!names)
		return -ENOMEM;
	size = llistxattr(path, names, (size_t)size);
	if (size < 0)
		return -errno;
	for (char *p = names; r == 0 && p < names + size; p += strlen(p) + 1)
		if (attribute_wanted(p))
			r = attribute_add(ret, path, p);
	if (ret->count)
		qsort(ret->pax, ret->count, sizeof(*ret->pax), by_key);
	return r;
}

static bool attributes_at(int root, const char *path, struct attributes *ret)
{
	char proc[ST_TREE_PATH];
	const char *base;
	_cleanup_close_ int parent = st_tree_parent(root, path, &base);

	return parent >= 0 && st_tree_path(parent, base, proc) == 0 && attributes_read(proc, ret) == 0;
}

bool st_pack_same_attributes(int root, int other, const char *path)
{
	struct attributes a = { 0 }, b = { 0 };
	bool same = attributes_at(root, path, &a) && attributes_at(other, path, &b) &&
		    a.count == b.count;

	for (size_t i = 0; same && i < a.count; i++)
		same = !strcmp(a.pax[i].key, b.pax[i].key) && a.pax[i].size == b.pax[i].size &&
		       !memcmp(a.pax[i].value, b.pax[i].value, a.pax[i].size);
	attributes_finish(&a);
	attributes_finish(&b);
	return same;
}

/* ---- entries */

static char type_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return ST_TAR_FILE;
	case S_IFDIR:
		return ST_TAR_DIRECTORY;
	case S_IFLNK:
		return ST_TAR_SYMLINK;
	case S_IFCHR:
		return ST_TAR_CHAR;
	case S_IFBLK:
		return ST_TAR_BLOCK;
	case S_IFIFO:
		return ST_TAR_FIFO;
	default:
		return 0; /* a socket: no archive holds any */
	}
}

static int fail(struct plug_error *err, int r, const char *path)
{
	return err->code ? err->code : plug_error_errno(err, r, "%.300s", *path ? path : ".");
}

int st_pack_whiteout(struct st_pack *pack, const char *path, bool opaque, struct plug_error *err)
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
	struct st_entry entry = { .type = ST_TAR_FILE, .mode = 0 };
	_cleanup_free_ char *name = NULL;
	int r, n;

	n = opaque ? asprintf(&name, "%s%s.wh..wh..opq", path, *path ? "/" : "")
		   : asprintf(&name, "%.*s.wh.%s", (int)(base - path), path, base);
	if (n < 0) {
		name = NULL;
		return fail(err, -ENOMEM, path);
	}
	entry.path = name;
	r = st_tar_put(pack->writer, &entry);
	return r < 0 ? fail(err, r, path) : 0;
}

/* The data of a file, which may be sparse. */
static int put_file(struct st_pack *pack, int parent, const char *base, struct st_entry *entry)
{
	_cleanup_close_ int fd =
		openat(parent, base, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	_cleanup_free_ struct st_extent *extents = NULL;
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	r = st_pack_extents(fd, &st, &extents, &entry->extent_count);
	if (r < 0)
		return r;
	entry->size = entry->stored = (uint64_t)st.st_size;
	if (extents) {
		entry->extents = extents;
		entry->stored = 0;
		for (size_t i = 0; i < entry->extent_count; i++)
			entry->stored += extents[i].size;
	}
	r = st_tar_put(pack->writer, entry);
	if (r == 0)
		r = st_pack_data(pack->writer, fd, entry);
	entry->extents = NULL;
	return r;
}

static int put_entry(struct st_pack *pack, int parent, const char *base, struct st_entry *entry)
{
	struct attributes a = { 0 };
	char proc[ST_TREE_PATH];
	int r = st_tree_path(parent, base, proc);

	if (r == 0 && entry->type != ST_TAR_HARD_LINK)
		r = attributes_read(proc, &a);
	entry->pax = a.pax;
	entry->pax_count = a.count;
	if (r == 0)
		r = entry->type == ST_TAR_FILE ? put_file(pack, parent, base, entry)
					       : st_tar_put(pack->writer, entry);
	attributes_finish(&a);
	return r;
}

static int link_read(int parent, const char *base, const struct stat *st, char **ret)
{
	size_t size = st->st_size > 0 ? (size_t)st->st_size : 4096;
	char *text = malloc(size + 1);
	ssize_t n = text ? readlinkat(parent, base, text, size) : -1;

	if (n < 0) {
		int r = text ? -errno : -ENOMEM;

		free(text);
		return r;
	}
	text[n] = 0;
	*ret = text;
	return 0;
}

int st_pack_entry(struct st_pack *pack, const char *path, struct plug_error *err)
{
	const char *base, *first = NULL;
	_cleanup_close_ int parent = st_tree_parent(pack->root, path, &base);
	_cleanup_free_ char *target = NULL;
	struct st_entry entry = { .path = (char *)(uintptr_t)(*path ? path : "./") };
	struct stat st;
	int r = parent < 0 ? parent : 0;

	if (r == 0 && fstatat(parent, base, &st, AT_SYMLINK_NOFOLLOW) < 0)
		r = -errno;
	if (r < 0)
		return fail(err, r, path);
	if (st_tree_is_whiteout(&st))
		return st_pack_whiteout(pack, path, false, err);
	entry.type = type_of(st.st_mode);
	if (!entry.type)
		return 0;
	entry.mode = st.st_mode & 07777;
	entry.uid = st.st_uid;
	entry.gid = st.st_gid;
	entry.mtime = st.st_mtim;
	entry.major = major(st.st_rdev);
	entry.minor = minor(st.st_rdev);
	r = seen_look(pack, path, &st, &first);
	if (r == 0 && first) {
		entry.type = ST_TAR_HARD_LINK;
		entry.link = (char *)(uintptr_t)first;
	} else if (r == 0 && entry.type == ST_TAR_SYMLINK) {
		r = link_read(parent, base, &st, &target);
		entry.link = target;
	}
	if (r == 0)
		r = put_entry(pack, parent, base, &entry);
	return r < 0 ? fail(err, r, path) : 0;
}

static int pack_below(struct st_pack *pack, const char *path, struct plug_error *err)
{
	struct st_names names = { 0 };
	int r = st_tree_list(pack->root, path, &names);

	if (r < 0)
		return fail(err, r, path);
	if (st_tree_is_opaque(pack->root, path))
		r = st_pack_whiteout(pack, path, true, err);
	for (size_t i = 0; r == 0 && i < names.count; i++) {
		_cleanup_free_ char *child = st_tree_join(path, names.name[i]);

		r = child ? st_pack_tree(pack, child, err) : fail(err, -ENOMEM, path);
	}
	st_names_finish(&names);
	return r;
}

int st_pack_tree(struct st_pack *pack, const char *path, struct plug_error *err)
{
	struct stat st;
	int r = st_tree_stat(pack->root, path, &st);

	if (r < 0)
		return fail(err, r, path);
	if (*path)
		r = st_pack_entry(pack, path, err);
	return r == 0 && S_ISDIR(st.st_mode) ? pack_below(pack, path, err) : r;
}
