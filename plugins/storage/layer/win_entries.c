/* SPDX-License-Identifier: MIT */
/*
 * The file is records as pax has them, "LENGTH KEY=VALUE\n" where LENGTH counts all of it: path begins
 * an entry; type, link and x (its other records are attributes of the file) follow, then the records.
 */
#include "layer/tree.h"
#include "layer/win_private.h"
#include "common/util.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define RECORD_MAX (4u << 20)
#define RECORDS_MAX 4096u

void win_entry_finish(struct win_entry *entry)
{
	free(entry->path);
	free(entry->link);
	win_meta_finish(&entry->meta);
	*entry = (struct win_entry){ 0 };
}

static int put_record(FILE *file, const char *key, const char *value, size_t size)
{
	size_t rest = strlen(key) + size + 3, length = rest;
	char head[24];

	for (size_t n; (n = (size_t)snprintf(head, sizeof(head), "%zu", length)) + rest != length;)
		length = rest + n;
	if (fprintf(file, "%s %s=", head, key) < 0 || fwrite(value, 1, size, file) != size ||
	    putc('\n', file) == EOF)
		return errno ? -errno : -EIO;
	return 0;
}

int win_entries_put(FILE *file, const struct win_entry *entry)
{
	int r = put_record(file, "path", entry->path, strlen(entry->path));

	if (r == 0)
		r = put_record(file, "type", &entry->type, 1);
	if (r == 0 && entry->link)
		r = put_record(file, "link", entry->link, strlen(entry->link));
	if (r == 0 && entry->stored)
		r = put_record(file, "x", "1", 1);
	for (size_t i = 0; r == 0 && !entry->stored && i < entry->meta.count; i++)
		r = put_record(file, entry->meta.record[i].key, entry->meta.record[i].value,
			       entry->meta.record[i].size);
	return r;
}

struct record {
	char *text; /* KEY, NUL, VALUE, NUL */
	const char *value;
	size_t size;
};

/* 1, 0 at the end, or -EBADMSG. */
static int read_record(FILE *file, struct record *ret)
{
	size_t length = 0, digits = 0;
	_cleanup_free_ char *text = NULL;
	char *equals;
	int c;

	while ((c = getc(file)) != EOF && isdigit(c) && length <= RECORD_MAX) {
		length = length * 10 + (size_t)(c - '0');
		digits++;
	}
	if (c == EOF && !digits)
		return ferror(file) ? -EIO : 0;
	if (c != ' ' || length > RECORD_MAX || length < digits + 4)
		return -EBADMSG;
	length -= digits + 1;
	text = malloc(length + 1);
	if (!text)
		return -ENOMEM;
	if (fread(text, 1, length, file) != length || text[length - 1] != '\n')
		return -EBADMSG;
	text[length - 1] = 0;
	equals = memchr(text, '=', length - 1);
	if (!equals || equals == text)
		return -EBADMSG;
	*equals = 0;
	ret->value = equals + 1;
	ret->size = length - 1 - (size_t)(equals + 1 - text);
	ret->text = plug_take_ptr(text);
	return 1;
}

static int take_record(struct win_entry *entry, const struct record *record)
{
	const char *key = record->text;

	if (!strcmp(key, "type")) {
		entry->type = record->value[0];
		return 0;
	}
	if (!strcmp(key, "x")) {
		entry->stored = true;
		return 0;
	}
	if (!strcmp(key, "link")) {
		free(entry->link);
		entry->link = strdup(record->value);
		return entry->link ? 0 : -ENOMEM;
	}
	if (strncmp(key, "mswindows.", 10) != 0 || entry->meta.count == RECORDS_MAX)
		return -EBADMSG;
	return win_meta_set(&entry->meta, key, record->value, record->size);
}

int win_entries_next(FILE *file, struct win_entry *ret)
{
	struct win_entry entry = { 0 };
	int r;

	for (;;) {
		struct record record;
		long at = ftell(file);

		r = read_record(file, &record);
		if (r <= 0)
			break;
		if (!strcmp(record.text, "path") && entry.path) {
			free(record.text);
			r = fseek(file, at, SEEK_SET) < 0 ? -errno : 0;
			break; /* the next one's */
		}
		if (!strcmp(record.text, "path")) {
			entry.path = strdup(record.value);
			r = entry.path ? 0 : -ENOMEM;
		} else {
			r = entry.path ? take_record(&entry, &record) : -EBADMSG;
		}
		free(record.text);
		if (r < 0)
			break;
	}
	if (r == 0 && entry.path && !entry.type)
		r = -EBADMSG;
	if (r < 0 || !entry.path) {
		win_entry_finish(&entry);
		return r;
	}
	*ret = entry;
	return 1;
}

int win_entries_open(int layer, FILE **ret)
{
	_cleanup_close_ int fd = st_tree_open(layer, WIN_ENTRIES, O_RDONLY);
	FILE *file;

	if (fd < 0)
		return fd;
	file = fdopen(fd, "re");
	if (!file)
		return -errno;
	(void)plug_take_fd(&fd);
	*ret = file;
	return 0;
}
