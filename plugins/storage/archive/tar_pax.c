/* SPDX-License-Identifier: MIT */
/* Extended headers: records "LENGTH KEY=VALUE\n" (POSIX, pax, "pax Extended Header"). */
#include "archive/tar_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[KEY_COUNT] = {
	[KEY_PATH] = "path",
	[KEY_LINK] = "linkpath",
	[KEY_SIZE] = "size",
	[KEY_UID] = "uid",
	[KEY_GID] = "gid",
	[KEY_UNAME] = "uname",
	[KEY_GNAME] = "gname",
	[KEY_MTIME] = "mtime",
	[KEY_ATIME] = "atime",
	[KEY_CTIME] = "ctime",
	[KEY_MAJOR] = "SCHILY.devmajor",
	[KEY_MINOR] = "SCHILY.devminor",
	[KEY_SPARSE_MAJOR] = "GNU.sparse.major",
	[KEY_SPARSE_MINOR] = "GNU.sparse.minor",
	[KEY_SPARSE_NAME] = "GNU.sparse.name",
	[KEY_SPARSE_REAL_SIZE] = "GNU.sparse.realsize",
	[KEY_SPARSE_SIZE] = "GNU.sparse.size",
	[KEY_SPARSE_BLOCKS] = "GNU.sparse.numblocks",
	[KEY_SPARSE_MAP] = "GNU.sparse.map",
};

static int record_add(struct tar_records *records, struct tar_record record)
{
	const char *key = records->text.data + record.key;
	int r = tar_grow(&records->list, &records->cap, records->count, sizeof(record));

	if (r)
		return r;
	records->list[records->count++] = record;
	for (enum tar_key i = 0; i < KEY_COUNT; i++)
		if (!strcmp(key, names[i]))
			records->known[i] = records->count;
	return 0;
}

/* The length that a record begins with: itself, the space, key, '=', value and '\n'. */
static int record_length(const char *text, size_t left, size_t *digits, size_t *ret)
{
	uint64_t length;
	size_t n = 0;

	while (n < left && n < 20 && text[n] >= '0' && text[n] <= '9')
		n++;
	if (n == left || text[n] != ' ' || tar_decimal(text, n, &length) || length > left)
		return -EBADMSG;
	*digits = n + 1;
	*ret = (size_t)length;
	return 0;
}

int tar_records_parse(struct st_tar *tar, struct tar_records *records, size_t from)
{
	char *text = records->text.data;
	size_t size = records->text.size;

	while (from < size) {
		size_t digits, length;
		char *equals;
		struct tar_record record;
		int r = record_length(text + from, size - from, &digits, &length);

		if (r)
			return tar_fail(tar, r, "a pax record has a wrong length");
		if (length < digits + 3 || text[from + length - 1] != '\n')
			return tar_fail(tar, -EBADMSG, "a pax record does not end where it says");
		record.key = from + digits;
		equals = memchr(text + record.key, '=', length - digits - 1);
		if (!equals || equals == text + record.key)
			return tar_fail(tar, -EBADMSG, "a pax record without a key");
		if (memchr(text + record.key, 0, (size_t)(equals - text) - record.key))
			return tar_fail(tar, -EBADMSG, "a pax record with a NUL in its key");
		record.value = (size_t)(equals - text) + 1;
		record.size = from + length - 1 - record.value;
		*equals = 0;
		text[from + length - 1] = 0;
		r = record_add(records, record);
		if (r)
			return tar_fail(tar, r, "%s", strerror(-r));
		from += length;
	}
	return 0;
}

void tar_records_clear(struct tar_records *records)
{
	records->text.size = 0;
	if (records->count)
		memset(records->known, 0, sizeof(records->known));
	records->count = 0;
}

void tar_records_free(struct tar_records *records)
{
	free(records->text.data);
	free(records->list);
}

bool tar_value(const struct st_tar *tar, enum tar_key key, const char **ret, size_t *size)
{
	/* A sparse map belongs to one file. */
	const struct tar_records *records = tar->local.known[key] || key >= KEY_SPARSE_MAJOR
						    ? &tar->local
						    : &tar->global;
	const struct tar_record *record;

	if (!records->known[key])
		return false;
	record = &records->list[records->known[key] - 1];
	if (!record->size) /* takes back the global one, and leaves what the header says */
		return false;
	*ret = records->text.data + record->value;
	*size = record->size;
	return true;
}

static int list_add(struct st_tar *tar, const struct tar_records *records, size_t i, size_t at)
{
	const struct tar_record *record = &records->list[i];
	int r = tar_grow(&tar->pax, &tar->pax_cap, at, sizeof(*tar->pax));

	if (r)
		return tar_fail(tar, r, "%s", strerror(-r));
	tar->pax[at] = (struct st_pax){ .key = records->text.data + record->key,
					.value = records->text.data + record->value,
					.size = record->size };
	return 0;
}

int tar_pax_list(struct st_tar *tar)
{
	size_t global = tar->global.count;

	/* Only where a global header came since: else an entry costs no more than its own records. */
	for (; tar->pax_global < global; tar->pax_global++) {
		int r = list_add(tar, &tar->global, tar->pax_global, tar->pax_global);
		if (r)
			return r;
	}
	for (size_t i = 0; i < tar->local.count; i++) {
		int r = list_add(tar, &tar->local, i, global + i);
		if (r)
			return r;
	}
	tar->entry.pax = tar->pax;
	tar->entry.pax_count = global + tar->local.count;
	tar->bytes += tar->global.text.size + tar->local.text.size;
	return 0;
}

const struct st_pax *st_entry_pax(const struct st_entry *entry, const char *key)
{
	for (size_t i = entry->pax_count; i-- > 0;)
		if (!strcmp(entry->pax[i].key, key))
			return &entry->pax[i];
	return NULL;
}
