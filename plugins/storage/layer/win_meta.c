/* SPDX-License-Identifier: MIT */
#include "layer/tree.h"
#include "layer/win_private.h"
#include "common/util.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/xattr.h>

#define USER "user."
#define OURS "mswindows."
#define TAR OURS "tar."
#define PAX OURS "pax."
#define XATTR_NAME_MAX 255
#define DOSATTRIB "user.DOSATTRIB"

/* What the header's fields say, or what is no record of a file: not kept as one. */
static bool said_elsewhere(const char *key)
{
	static const char *const said[] = {
		"path", "linkpath", "size", "uid", "gid", "uname", "gname", "mtime", "atime",
		"ctime", "SCHILY.devmajor", "SCHILY.devminor",
	};

	for (size_t i = 0; i < PLUG_ELEMENTS(said); i++)
		if (!strcmp(key, said[i]))
			return true;
	return !strncmp(key, "GNU.sparse.", 11);
}

/* The key of a record here, to be freed. */
static char *key_in(const char *key)
{
	static const char *const known[] = { "fileattr", "rawsd", "sd", "mountpoint" };
	bool ours = !strncmp(key, "MSWINDOWS.xattr.", 16);
	char *name;
	int n;

	for (size_t i = 0; !ours && i < PLUG_ELEMENTS(known); i++)
		ours = !strncmp(key, "MSWINDOWS.", 10) && !strcmp(key + 10, known[i]);
	if (!strcmp(key, "LIBARCHIVE.creationtime"))
		n = asprintf(&name, OURS "crtime");
	else if (ours)
		n = asprintf(&name, OURS "%s", key + 10);
	else
		n = asprintf(&name, PAX "%s", key);
	return n < 0 ? NULL : name;
}

/* And back; NULL with *ret 0: it is no record; out of memory: -ENOMEM. */
static int key_out(const char *name, char **ret)
{
	int n = 0;

	*ret = NULL;
	if (!strncmp(name, TAR, sizeof(TAR) - 1))
		return 0;
	if (!strcmp(name, OURS "crtime"))
		n = asprintf(ret, "LIBARCHIVE.creationtime");
	else if (!strncmp(name, PAX, sizeof(PAX) - 1))
		n = asprintf(ret, "%s", name + sizeof(PAX) - 1);
	else
		n = asprintf(ret, "MSWINDOWS.%s", name + sizeof(OURS) - 1);
	if (n < 0)
		*ret = NULL;
	return n < 0 ? -ENOMEM : 0;
}

void win_meta_finish(struct win_meta *meta)
{
	for (size_t i = 0; i < meta->count; i++) {
		free(meta->record[i].key);
		free(meta->record[i].value);
	}
	free(meta->record);
	*meta = (struct win_meta){ 0 };
}

const struct st_pax *win_meta_get(const struct win_meta *meta, const char *key)
{
	for (size_t i = 0; i < meta->count; i++)
		if (!strcmp(meta->record[i].key, key))
			return &meta->record[i];
	return NULL;
}

int win_meta_set(struct win_meta *meta, const char *key, const void *value, size_t size)
{
	struct st_pax *old = (struct st_pax *)(uintptr_t)win_meta_get(meta, key), *more;
	_cleanup_free_ char *name = NULL, *copy = malloc(size + 1);

	if (!copy)
		return -ENOMEM;
	if (size)
		memcpy(copy, value, size);
	copy[size] = 0;
	if (old) { /* the later one counts */
		free(old->value);
		old->value = plug_take_ptr(copy);
		old->size = size;
		return 0;
	}
	name = strdup(key);
	more = name ? realloc(meta->record, (meta->count + 1) * sizeof(*more)) : NULL;
	if (!more)
		return -ENOMEM;
	meta->record = more;
	more[meta->count++] = (struct st_pax){ plug_take_ptr(name), plug_take_ptr(copy), size };
	return 0;
}

static int set_text(struct win_meta *meta, const char *key, const char *text)
{
	return win_meta_set(meta, key, text, strlen(text));
}

static int set_number(struct win_meta *meta, const char *key, uint64_t value)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%" PRIu64, value);
	return set_text(meta, key, text);
}

static int set_time(struct win_meta *meta, const char *key, struct timespec t)
{
	char text[48];

	(void)snprintf(text, sizeof(text), "%" PRId64 ".%09ld", (int64_t)t.tv_sec, t.tv_nsec);
	return set_text(meta, key, text);
}

/* "OFFSET SIZE,…": as it came, since what a file system calls a hole depends on its blocks. */
static int set_map(struct win_meta *meta, const struct st_entry *entry)
{
	_cleanup_free_ char *text = malloc(entry->extent_count * 42 + 1);
	size_t n = 0;

	if (!text)
		return -ENOMEM;
	text[0] = 0;
	for (size_t i = 0; i < entry->extent_count; i++)
		n += (size_t)sprintf(text + n, "%" PRIu64 " %" PRIu64 ",", entry->extents[i].offset,
				     entry->extents[i].size);
	return win_meta_set(meta, TAR "map", text, n);
}

static uint32_t usual_bits(char type)
{
	return type == ST_TAR_DIRECTORY ? S_IFDIR : type == ST_TAR_SYMLINK ? S_IFLNK : S_IFREG;
}

static int set_owner(struct win_meta *meta, const struct st_entry *entry)
{
	int r = 0;

	if (entry->uid)
		r = set_number(meta, TAR "uid", entry->uid);
	if (!r && entry->gid)
		r = set_number(meta, TAR "gid", entry->gid);
	if (!r && *entry->uname)
		r = set_text(meta, TAR "uname", entry->uname);
	if (!r && *entry->gname)
		r = set_text(meta, TAR "gname", entry->gname);
	return r;
}

static int set_header(struct win_meta *meta, const struct st_entry *entry, bool mtime_kept)
{
	int r = 0;

	if (entry->mode || entry->type_bits != usual_bits(entry->type))
		r = set_number(meta, TAR "mode", entry->mode | entry->type_bits);
	if (!r)
		r = set_owner(meta, entry);
	if (!r && !mtime_kept)
		r = set_time(meta, TAR "mtime", entry->mtime);
	if (!r && entry->has_atime)
		r = set_time(meta, TAR "atime", entry->atime);
	if (!r && entry->has_ctime)
		r = set_time(meta, TAR "ctime", entry->ctime);
	if (!r && (entry->extent_count || entry->stored != entry->size))
		r = set_map(meta, entry);
	return r;
}

int win_meta_of(const struct st_entry *entry, bool mtime_kept, struct win_meta *ret)
{
	struct win_meta meta = { 0 };
	int r = set_header(&meta, entry, mtime_kept);

	for (size_t i = 0; r == 0 && i < entry->pax_count; i++) {
		const struct st_pax *pax = &entry->pax[i];
		_cleanup_free_ char *key = NULL;

		if (said_elsewhere(pax->key))
			continue;
		key = key_in(pax->key);
		r = key ? win_meta_set(&meta, key, pax->value, pax->size) : -ENOMEM;
	}
	if (r < 0)
		win_meta_finish(&meta);
	else
		*ret = meta;
	return r;
}

/* ---- back into an entry */

static struct timespec time_of(const char *text)
{
	struct timespec t = { 0 };
	char *end;

	t.tv_sec = (time_t)strtoll(text, &end, 10);
	if (*end == '.')
		t.tv_nsec = strtol(end + 1, NULL, 10);
	if (t.tv_nsec < 0 || t.tv_nsec > 999999999)
		t.tv_nsec = 0;
	return t;
}

static int map_of(const char *text, struct st_entry *entry)
{
	size_t count = 0;
	char *end;

	for (const char *p = text; *p; p++)
		count += *p == ',';
	entry->extents = malloc((count + 1) * sizeof(*entry->extents));
	if (!entry->extents)
		return -ENOMEM;
	entry->stored = 0;
	for (size_t i = 0; i < count; i++) {
		entry->extents[i].offset = strtoull(text, &end, 10);
		entry->extents[i].size = strtoull(end, &end, 10);
		entry->stored += entry->extents[i].size;
		if (*end != ',')
			return -EBADMSG;
		text = end + 1;
	}
	entry->extent_count = count;
	return 0;
}

static void fill_number(char key, uint64_t number, struct st_entry *entry)
{
	switch (key) {
	case 'm':
		entry->mode = (uint32_t)(number & 07777);
		entry->type_bits = (uint32_t)(number & 0170000);
		break;
	case 'u':
		entry->uid = number;
		break;
	default:
		entry->gid = number;
	}
}

static void fill_time(char key, struct timespec t, struct st_entry *entry)
{
	if (key == 'm') {
		entry->mtime = t;
	} else if (key == 'a') {
		entry->atime = t;
		entry->has_atime = true;
	} else {
		entry->ctime = t;
		entry->has_ctime = true;
	}
}

static int fill_field(const char *key, const struct st_pax *r, struct st_entry *entry)
{
	if (!strcmp(key, "mode") || !strcmp(key, "uid") || !strcmp(key, "gid"))
		fill_number(*key, strtoull(r->value, NULL, 10), entry);
	else if (!strcmp(key, "uname"))
		entry->uname = r->value;
	else if (!strcmp(key, "gname"))
		entry->gname = r->value;
	else if (!strcmp(key, "mtime") || !strcmp(key, "atime") || !strcmp(key, "ctime"))
		fill_time(*key, time_of(r->value), entry);
	else if (!strcmp(key, "map"))
		return map_of(r->value, entry);
	return 0;
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct st_pax *)a)->key, ((const struct st_pax *)b)->key);
}

int win_meta_fill(const struct win_meta *meta, struct st_entry *entry)
{
	int r = 0;

	entry->type_bits = usual_bits(entry->type);
	entry->pax = calloc(meta->count + 1, sizeof(*entry->pax));
	entry->pax_count = 0;
	if (!entry->pax)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < meta->count; i++) {
		const struct st_pax *record = &meta->record[i];
		char *key;

		r = key_out(record->key, &key);
		if (r == 0 && key)
			entry->pax[entry->pax_count++] =
				(struct st_pax){ key, record->value, record->size };
		else if (r == 0)
			r = fill_field(record->key + sizeof(TAR) - 1, record, entry);
	}
	/* One order, as Go's writer has it. */
	if (entry->pax_count)
		qsort(entry->pax, entry->pax_count, sizeof(*entry->pax), by_key);
	return r;
}

uint32_t win_meta_attributes(const struct win_meta *meta, const struct st_entry *entry)
{
	const struct st_pax *record = win_meta_get(meta, OURS "fileattr");

	if (record)
		return (uint32_t)strtoul(record->value, NULL, 10);
	return entry->type == ST_TAR_DIRECTORY ? WIN_ATTR_DIRECTORY : 0;
}

/* ---- attributes of files */

static int record_name(const char *key, char name[static XATTR_NAME_MAX + 1])
{
	int n = snprintf(name, XATTR_NAME_MAX + 1, USER "%s", key);

	return n > XATTR_NAME_MAX ? -ERANGE : 0;
}

/* The file system has no room for it, or no such attributes at all. */
static bool no_room(int code)
{
	static const int codes[] = { ENOSPC, E2BIG, ERANGE, EDQUOT, EOPNOTSUPP, EPERM };

	for (size_t i = 0; i < PLUG_ELEMENTS(codes); i++)
		if (codes[i] == code)
			return true;
	return false;
}

int win_meta_store(int fd, const struct win_meta *meta)
{
	char name[XATTR_NAME_MAX + 1];
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < meta->count; i++) {
		r = record_name(meta->record[i].key, name);
		if (r == 0 && fsetxattr(fd, name, meta->record[i].value, meta->record[i].size, 0) < 0)
			r = -errno;
	}
	if (r == 0)
		return 0;
	while (i-- > 0)
		if (record_name(meta->record[i].key, name) == 0)
			(void)fremovexattr(fd, name);
	return no_room(-r) ? 1 : r;
}

static int load_one(const char *path, const char *name, struct win_meta *meta)
{
	ssize_t size = lgetxattr(path, name, NULL, 0);
	_cleanup_free_ char *value = NULL;

	if (size < 0)
		return errno == ENODATA ? 0 : -errno;
	value = malloc((size_t)size + 1);
	if (!value)
		return -ENOMEM;
	size = lgetxattr(path, name, value, (size_t)size);
	return size < 0 ? -errno : win_meta_set(meta, name + sizeof(USER) - 1, value, (size_t)size);
}

int win_meta_load(int parent, const char *base, struct win_meta *ret, uint32_t *dosattrib)
{
	char path[ST_TREE_PATH], value[16] = "";
	_cleanup_free_ char *names = NULL;
	ssize_t size;
	int r = st_tree_path(parent, base, path);

	*dosattrib = UINT32_MAX;
	size = r < 0 ? 0 : llistxattr(path, NULL, 0);
	if (size <= 0)
		return r < 0 || !size || errno == EOPNOTSUPP ? r : -errno;
	names = malloc((size_t)size);
	size = names ? llistxattr(path, names, (size_t)size) : -1;
	if (size < 0)
		return names ? -errno : -ENOMEM;
	for (char *p = names; r == 0 && p < names + size; p += strlen(p) + 1) {
		if (!strncmp(p, USER OURS, sizeof(USER OURS) - 1))
			r = load_one(path, p, ret);
		else if (!strcmp(p, DOSATTRIB) && lgetxattr(path, p, value, sizeof(value) - 1) > 0)
			*dosattrib = (uint32_t)strtoul(value, NULL, 0);
	}
	if (ret->count)
		qsort(ret->record, ret->count, sizeof(*ret->record), by_key);
	return r;
}
