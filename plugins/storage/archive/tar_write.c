/* SPDX-License-Identifier: MIT */
#include "archive/tar_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define WRITE_BYTES (64 * 1024)
#define OCTAL_7 07777777u     /* what fits 7 digits, and 11 */
#define OCTAL_11 077777777777u

struct st_tar_writer {
	st_write_cb write;
	void *arg;
	struct tar_text records, map; /* of the entry that is begun */
	uint64_t left;                /* of its data */
	uint32_t padding;
	int error;
	size_t filled;
	uint8_t buffer[WRITE_BYTES];
};

static int writer_flush(struct st_tar_writer *writer)
{
	if (!writer->error && writer->filled)
		writer->error = writer->write(writer->arg, writer->buffer, writer->filled);
	writer->filled = 0;
	return writer->error;
}

static int writer_add(struct st_tar_writer *writer, const void *data, size_t size)
{
	if (size > WRITE_BYTES - writer->filled && writer_flush(writer))
		return writer->error;
	if (size >= WRITE_BYTES) {
		writer->error = writer->write(writer->arg, data, size);
		return writer->error;
	}
	memcpy(writer->buffer + writer->filled, data, size);
	writer->filled += size;
	return writer->error;
}

static int writer_pad(struct st_tar_writer *writer, uint32_t size)
{
	static const uint8_t zeros[TAR_BLOCK];

	return writer_add(writer, zeros, size);
}

static unsigned digits_of(size_t n)
{
	unsigned digits = 1;

	for (; n >= 10; n /= 10)
		digits++;
	return digits;
}

/* "LENGTH KEY=VALUE\n", where LENGTH counts its own digits. */
static int record_put(struct st_tar_writer *writer, const char *key, const char *value, size_t size)
{
	size_t rest = strlen(key) + size + 3, length = rest + digits_of(rest);
	char head[32];
	int r, n;

	if (digits_of(length) != digits_of(rest))
		length = rest + digits_of(length);
	n = snprintf(head, sizeof(head), "%zu ", length);
	r = tar_text_add(&writer->records, head, (size_t)n);
	if (!r)
		r = tar_text_add(&writer->records, key, strlen(key));
	if (!r)
		r = tar_text_add(&writer->records, "=", 1);
	if (!r)
		r = tar_text_add(&writer->records, value, size);
	return r ? r : tar_text_add(&writer->records, "\n", 1);
}

static int record_text(struct st_tar_writer *writer, const char *key, const char *value)
{
	return record_put(writer, key, value, strlen(value));
}

static int record_number(struct st_tar_writer *writer, const char *key, uint64_t value)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%" PRIu64, value);
	return record_text(writer, key, text);
}

static int record_time(struct st_tar_writer *writer, const char *key, struct timespec time)
{
	bool negative = time.tv_sec < 0;
	uint64_t seconds = negative ? -(uint64_t)time.tv_sec : (uint64_t)time.tv_sec;
	long nanos = time.tv_nsec;
	char text[48];
	int n;

	if (negative && nanos) { /* two before and three quarters is -1.25 */
		seconds--;
		nanos = 1000000000 - nanos;
	}
	n = snprintf(text, sizeof(text), "%s%" PRIu64, negative ? "-" : "", seconds);
	if (nanos) {
		n += snprintf(text + n, sizeof(text) - (size_t)n, ".%09ld", nanos);
		while (text[n - 1] == '0')
			text[--n] = 0;
	}
	return record_text(writer, key, text);
}

/* The field in octal; a value that does not fit is 0 there and has a record. */
static int number_put(struct st_tar_writer *writer, uint8_t *block, struct tar_field field,
		      const char *key, uint64_t value)
{
	uint64_t max = field.size == 12 ? OCTAL_11 : OCTAL_7;
	uint64_t rest = value <= max ? value : 0;

	block[field.at + field.size - 1] = 0;
	for (unsigned i = field.size - 1; i-- > 0; rest >>= 3)
		block[field.at + i] = (uint8_t)('0' + (rest & 7));
	return value <= max ? 0 : record_number(writer, key, value);
}

static int mtime_put(struct st_tar_writer *writer, uint8_t *block, struct timespec time)
{
	bool fits = time.tv_sec >= 0 && time.tv_sec <= (time_t)OCTAL_11;
	int r = number_put(writer, block, TAR_MTIME, "mtime", fits ? (uint64_t)time.tv_sec : 0);

	return r || (fits && !time.tv_nsec) ? r : record_time(writer, "mtime", time);
}

static int name_put(struct st_tar_writer *writer, uint8_t *block, struct tar_field field,
		    const char *key, const char *name)
{
	size_t size = name ? strlen(name) : 0;
	size_t max = field.size == 32 ? 31 : field.size; /* owners' names end in a NUL */

	if (size)
		memcpy(block + field.at, name, size < max ? size : max);
	return size <= max ? 0 : record_put(writer, key, name, size);
}

/* The path in one field, or cut at a slash into two; else there is a record too. */
static int path_put(struct st_tar_writer *writer, uint8_t *block, const char *path, size_t size)
{
	const struct tar_field name = TAR_NAME, prefix = TAR_PREFIX;
	size_t cut;

	if (size <= name.size) {
		memcpy(block, path, size);
		return 0;
	}
	/* The first slash that leaves little enough behind it; the name must not be empty. */
	for (cut = size - name.size - 1; cut < size - 1 && path[cut] != '/'; cut++)
		;
	if (cut && cut < size - 1 && cut <= prefix.size) {
		memcpy(block, path + cut + 1, size - cut - 1);
		memcpy(block + prefix.at, path, cut);
		return 0;
	}
	memcpy(block, path, name.size);
	return record_put(writer, "path", path, size);
}

static int header_put(struct st_tar_writer *writer, uint8_t *block, char type)
{
	const struct tar_field magic = TAR_MAGIC, checksum = TAR_CHECKSUM;
	unsigned sum = 0;
	char text[8];

	block[TAR_TYPE] = (uint8_t)type;
	memcpy(block + magic.at, "ustar\00000", 8);
	memset(block + checksum.at, ' ', checksum.size);
	for (unsigned i = 0; i < TAR_BLOCK; i++)
		sum += block[i];
	(void)snprintf(text, sizeof(text), "%06o", sum);
	memcpy(block + checksum.at, text, 7);
	return writer_add(writer, block, TAR_BLOCK);
}

static const char *base_of(const char *path, size_t size, size_t *ret)
{
	size_t end = size;

	while (end > 1 && path[end - 1] == '/')
		end--;
	for (size = end; size && path[size - 1] != '/'; size--)
		;
	*ret = end - size;
	return path + size;
}

/* The records of the entry, as a file of their own before it. */
static int records_write(struct st_tar_writer *writer, const char *path, size_t path_size)
{
	static const char directory[] = "PaxHeaders/";
	uint8_t block[TAR_BLOCK] = { 0 };
	size_t size = writer->records.size, base_size;
	const char *base = base_of(path, path_size, &base_size);
	int r;

	if (!size)
		return 0;
	if (base_size > 100 - (sizeof(directory) - 1))
		base_size = 100 - (sizeof(directory) - 1);
	memcpy(block, directory, sizeof(directory) - 1);
	memcpy(block + sizeof(directory) - 1, base, base_size);
	(void)number_put(writer, block, TAR_MODE, "", 0644);
	(void)number_put(writer, block, TAR_UID, "", 0);
	(void)number_put(writer, block, TAR_GID, "", 0);
	(void)number_put(writer, block, TAR_MTIME, "", 0);
	if (size > OCTAL_11)
		return -EINVAL;
	(void)number_put(writer, block, TAR_SIZE, "", size);
	r = header_put(writer, block, 'x');
	if (!r)
		r = writer_add(writer, writer->records.data, size);
	return r ? r : writer_pad(writer, tar_padding(size));
}

/* Records that the entry's members do not say already. */
static bool record_kept(const struct st_pax *pax)
{
	static const char *const said[] = {
		"path", "linkpath", "size", "uid", "gid", "uname", "gname", "mtime", "atime",
		"ctime", "SCHILY.devmajor", "SCHILY.devminor",
	};

	for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++)
		if (!strcmp(pax->key, said[i]))
			return false;
	return strncmp(pax->key, "GNU.sparse.", 11) != 0;
}

static int records_kept(struct st_tar_writer *writer, const struct st_entry *entry)
{
	int r = 0;

	if (entry->has_atime)
		r = record_time(writer, "atime", entry->atime);
	if (!r && entry->has_ctime)
		r = record_time(writer, "ctime", entry->ctime);
	for (size_t i = 0; !r && i < entry->pax_count; i++) {
		const struct st_pax *pax = &entry->pax[i];

		if (!pax->key[0] || strchr(pax->key, '='))
			return -EINVAL;
		if (record_kept(pax))
			r = record_put(writer, pax->key, pax->value, pax->size);
	}
	return r;
}

static bool entry_sparse(const struct st_entry *entry)
{
	return entry->type == ST_TAR_FILE &&
	       (entry->extent_count || (entry->size && !entry->stored));
}

/* The map of a sparse file, which its data begins with, and the records that go with it. */
static int sparse_put(struct st_tar_writer *writer, const struct st_entry *entry, const char *path,
		      size_t path_size)
{
	static const char zeros[TAR_BLOCK];
	size_t count = entry->extent_count;
	const struct st_extent *last = count ? &entry->extents[count - 1] : NULL;
	/* GNU tar takes the end of the map for the end of the file. */
	bool ends_in_hole = !last || last->offset + last->size < entry->size;
	char line[64];
	int n = snprintf(line, sizeof(line), "%zu\n", count + ends_in_hole);
	int r = tar_text_add(&writer->map, line, (size_t)n);

	for (size_t i = 0; !r && i < entry->extent_count; i++) {
		n = snprintf(line, sizeof(line), "%" PRIu64 "\n%" PRIu64 "\n",
			     entry->extents[i].offset, entry->extents[i].size);
		r = tar_text_add(&writer->map, line, (size_t)n);
	}
	if (!r && ends_in_hole) {
		n = snprintf(line, sizeof(line), "%" PRIu64 "\n0\n", entry->size);
		r = tar_text_add(&writer->map, line, (size_t)n);
	}
	if (!r)
		r = tar_text_add(&writer->map, zeros, tar_padding(writer->map.size));
	if (!r)
		r = record_text(writer, "GNU.sparse.major", "1");
	if (!r)
		r = record_text(writer, "GNU.sparse.minor", "0");
	if (!r)
		r = record_put(writer, "GNU.sparse.name", path, path_size);
	return r ? r : record_number(writer, "GNU.sparse.realsize", entry->size);
}

/* The extents in order, within the file, and all that is stored. */
static bool extents_good(const struct st_entry *entry)
{
	uint64_t sum = 0, end = 0;

	for (size_t i = 0; i < entry->extent_count; i++) {
		const struct st_extent *extent = &entry->extents[i];

		if (extent->offset < end || extent->offset > entry->size ||
		    extent->size > entry->size - extent->offset)
			return false;
		end = extent->offset + extent->size;
		sum += extent->size;
	}
	return entry->stored == (entry_sparse(entry) ? sum : entry->size);
}

static int entry_check(const struct st_entry *entry)
{
	size_t size = entry->path ? strlen(entry->path) : 0;

	if (!size || entry->mode > 07777 || (entry->type_bits & ~0170000u) ||
	    !entry->type || !strchr("0123456", entry->type))
		return -EINVAL;
	if (entry->type == ST_TAR_FILE)
		return entry->path[size - 1] == '/' || entry->size > INT64_MAX / 2 ||
				       !extents_good(entry)
			       ? -EINVAL
			       : 0;
	return entry->size || entry->stored ? -EINVAL : 0;
}

/* The names in the block, and the records for what does not fit in it. */
static int names_put(struct st_tar_writer *writer, const struct st_entry *entry, uint8_t *block,
		     const char *path, size_t path_size)
{
	static const char directory[] = "GNUSparseFile.0/";
	const size_t room = 101 - sizeof(directory);
	const char *base;
	size_t base_size;
	int r;

	if (entry_sparse(entry)) {
		r = sparse_put(writer, entry, path, path_size);
		base = base_of(path, path_size, &base_size);
		memcpy(block, directory, sizeof(directory) - 1);
		memcpy(block + sizeof(directory) - 1, base, base_size < room ? base_size : room);
	} else {
		r = path_put(writer, block, path, path_size);
	}
	if (!r && (entry->type == ST_TAR_HARD_LINK || entry->type == ST_TAR_SYMLINK))
		r = name_put(writer, block, TAR_LINK, "linkpath", entry->link);
	if (!r)
		r = name_put(writer, block, TAR_UNAME, "uname", entry->uname);
	return r ? r : name_put(writer, block, TAR_GNAME, "gname", entry->gname);
}

static int numbers_put(struct st_tar_writer *writer, const struct st_entry *entry, uint8_t *block)
{
	bool device = entry->type == ST_TAR_CHAR || entry->type == ST_TAR_BLOCK;
	int r = number_put(writer, block, TAR_SIZE, "size", entry->stored + writer->map.size);

	(void)number_put(writer, block, TAR_MODE, "", entry->mode | entry->type_bits);
	if (!r)
		r = number_put(writer, block, TAR_UID, "uid", entry->uid);
	if (!r)
		r = number_put(writer, block, TAR_GID, "gid", entry->gid);
	if (!r)
		r = mtime_put(writer, block, entry->mtime);
	if (!r)
		r = number_put(writer, block, TAR_MAJOR, "SCHILY.devmajor",
			       device ? entry->major : 0);
	return r ? r : number_put(writer, block, TAR_MINOR, "SCHILY.devminor",
				  device ? entry->minor : 0);
}

static int entry_write(struct st_tar_writer *writer, const struct st_entry *entry, const char *path,
		       size_t path_size)
{
	uint8_t block[TAR_BLOCK] = { 0 };
	int r = names_put(writer, entry, block, path, path_size);

	if (!r)
		r = numbers_put(writer, entry, block);
	if (!r)
		r = records_kept(writer, entry);
	if (!r)
		r = records_write(writer, path, path_size);
	if (!r)
		r = header_put(writer, block, entry->type);
	if (!r && writer->map.size)
		r = writer_add(writer, writer->map.data, writer->map.size);
	if (r) /* half an entry may be out: what follows would not be read as it was meant */
		return r;
	writer->left = entry->stored;
	writer->padding = tar_padding(entry->stored);
	return 0;
}

int st_tar_put(struct st_tar_writer *writer, const struct st_entry *entry)
{
	size_t size;
	char *slashed = NULL;
	int r;

	if (writer->error)
		return writer->error;
	if (writer->left)
		return -EPROTO;
	r = entry_check(entry);
	if (!r)
		r = writer_pad(writer, writer->padding);
	if (r)
		return r;
	writer->padding = 0;
	writer->records.size = writer->map.size = 0;
	size = strlen(entry->path);
	if (entry->type == ST_TAR_DIRECTORY && entry->path[size - 1] != '/') {
		slashed = malloc(size + 2);
		if (!slashed)
			return -ENOMEM;
		memcpy(slashed, entry->path, size);
		memcpy(slashed + size++, "/", 2);
	}
	r = entry_write(writer, entry, slashed ? slashed : entry->path, size);
	free(slashed);
	return r;
}

int st_tar_put_data(struct st_tar_writer *writer, const void *data, size_t size)
{
	if (writer->error)
		return writer->error;
	if (size > writer->left)
		return -EPROTO;
	writer->left -= size;
	return writer_add(writer, data, size);
}

int st_tar_finish(struct st_tar_writer *writer)
{
	int r = writer->error;

	if (!r && writer->left)
		r = -EPROTO;
	if (r)
		return r;
	r = writer_pad(writer, writer->padding);
	writer->padding = 0;
	if (!r)
		r = writer_pad(writer, TAR_BLOCK);
	if (!r)
		r = writer_pad(writer, TAR_BLOCK);
	return r ? r : writer_flush(writer);
}

int st_tar_writer_open(st_write_cb write, void *arg, struct st_tar_writer **ret)
{
	struct st_tar_writer *writer = calloc(1, sizeof(*writer));

	if (!writer)
		return -ENOMEM;
	writer->write = write;
	writer->arg = arg;
	*ret = writer;
	return 0;
}

void st_tar_writer_close(struct st_tar_writer *writer)
{
	if (!writer)
		return;
	free(writer->records.data);
	free(writer->map.data);
	free(writer);
}
