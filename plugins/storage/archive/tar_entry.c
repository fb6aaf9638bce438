/* SPDX-License-Identifier: MIT */
/* From a header block, and the extended headers before it, to an entry. */
#include "archive/tar_private.h"

#include <errno.h>
#include <string.h>

static int text_set(struct st_tar *tar, struct tar_text *text, const void *data, size_t size)
{
	int r;

	text->size = 0;
	r = tar_text_add(text, data, size);
	return r ? tar_fail(tar, r, "%s", strerror(-r)) : 0;
}

static int text_set_field(struct st_tar *tar, struct tar_text *text, const uint8_t *block,
			  struct tar_field field)
{
	const char *p = (const char *)block + field.at;

	return text_set(tar, text, p, strnlen(p, field.size));
}

/* A pax value that is a name: in whole, or not at all. */
static int text_set_value(struct st_tar *tar, struct tar_text *text, const char *value, size_t size)
{
	if (memchr(value, 0, size))
		return tar_fail(tar, -EBADMSG, "a name with a NUL in it");
	if (size > tar->limits.max_name)
		return tar_fail(tar, -ENAMETOOLONG, "a name of %zu bytes", size);
	return text_set(tar, text, value, size);
}

static enum tar_format format_of(const uint8_t *block)
{
	if (!memcmp(block + TAR_MAGIC.at, "ustar  ", 8))
		return TAR_GNU;
	if (memcmp(block + TAR_MAGIC.at, "ustar", 6) != 0)
		return TAR_V7;
	return memcmp(block + 508, "tar", 4) != 0 ? TAR_USTAR : TAR_STAR;
}

static int entry_path(struct st_tar *tar, const uint8_t *block, enum tar_format format)
{
	struct tar_field prefix = format == TAR_STAR ? TAR_STAR_PREFIX : TAR_PREFIX;
	const char *value;
	size_t size;
	int r;

	if (tar_sparse_pax(tar) && tar_value(tar, KEY_SPARSE_NAME, &value, &size))
		return text_set_value(tar, &tar->path, value, size);
	if (tar_value(tar, KEY_PATH, &value, &size))
		return text_set_value(tar, &tar->path, value, size);
	if (tar->long_path)
		return 0;
	tar->path.size = 0;
	if ((format == TAR_USTAR || format == TAR_STAR) && block[prefix.at]) {
		r = text_set_field(tar, &tar->path, block, prefix);
		if (!r)
			r = tar_text_add(&tar->path, "/", 1);
		if (r)
			return tar_fail(tar, r, "%s", strerror(-r));
	}
	r = tar_text_add(&tar->path, block, strnlen((const char *)block, TAR_NAME.size));
	return r ? tar_fail(tar, r, "%s", strerror(-r)) : 0;
}

static int entry_link(struct st_tar *tar, const uint8_t *block)
{
	const char *value;
	size_t size;

	if (tar->entry.type != ST_TAR_HARD_LINK && tar->entry.type != ST_TAR_SYMLINK)
		return text_set(tar, &tar->link, "", 0);
	if (tar_value(tar, KEY_LINK, &value, &size))
		return text_set_value(tar, &tar->link, value, size);
	return tar->long_link ? 0 : text_set_field(tar, &tar->link, block, TAR_LINK);
}

static int entry_owner_name(struct st_tar *tar, const uint8_t *block, enum tar_format format,
			    enum tar_key key, struct tar_text *text)
{
	const char *value;
	size_t size;

	if (tar_value(tar, key, &value, &size))
		return text_set_value(tar, text, value, size);
	if (format == TAR_V7)
		return text_set(tar, text, "", 0);
	return text_set_field(tar, text, block, key == KEY_UNAME ? TAR_UNAME : TAR_GNAME);
}

static int entry_number(struct st_tar *tar, const uint8_t *block, enum tar_key key,
			struct tar_field field, uint64_t *ret)
{
	const char *value;
	size_t size;
	int r = tar_value(tar, key, &value, &size) ? tar_decimal(value, size, ret)
						   : tar_field_unsigned(block, field, ret);

	if (r == -ERANGE)
		return tar_fail(tar, -EBADMSG, "a number in the header is out of range");
	return r ? tar_fail(tar, r, "a number in the header is none") : 0;
}

/* has: NULL for the time that every header has. */
static int entry_time(struct st_tar *tar, const uint8_t *block, enum tar_key key,
		      struct tar_field field, struct timespec *ret, bool *has)
{
	const char *value;
	size_t size;
	int64_t seconds;

	if (tar_value(tar, key, &value, &size)) {
		if (tar_time(value, size, ret))
			return tar_fail(tar, -EBADMSG, "a time that is none");
		if (has)
			*has = true;
		return 0;
	}
	if (!field.size || (has && !block[field.at]))
		return 0;
	if (tar_field_number(block, field, &seconds))
		return tar_fail(tar, -EBADMSG, "a time that is none");
	if (has && !seconds) /* GNU's and star's fields are 0 where there is no such time */
		return 0;
	*ret = (struct timespec){ .tv_sec = seconds };
	if (has)
		*has = true;
	return 0;
}

static int entry_times(struct st_tar *tar, const uint8_t *block, enum tar_format format)
{
	struct tar_field atime = { 0, 0 }, ctime = { 0, 0 };
	struct st_entry *entry = &tar->entry;
	int r;

	if (format == TAR_GNU) {
		atime = TAR_GNU_ATIME;
		ctime = TAR_GNU_CTIME;
	} else if (format == TAR_STAR) {
		atime = TAR_STAR_ATIME;
		ctime = TAR_STAR_CTIME;
	}
	r = entry_time(tar, block, KEY_MTIME, TAR_MTIME, &entry->mtime, NULL);
	if (!r)
		r = entry_time(tar, block, KEY_ATIME, atime, &entry->atime, &entry->has_atime);
	if (!r)
		r = entry_time(tar, block, KEY_CTIME, ctime, &entry->ctime, &entry->has_ctime);
	return r;
}

static int entry_device(struct st_tar *tar, const uint8_t *block)
{
	struct st_entry *entry = &tar->entry;
	uint64_t major, minor;
	int r;

	if (entry->type != ST_TAR_CHAR && entry->type != ST_TAR_BLOCK)
		return 0;
	r = entry_number(tar, block, KEY_MAJOR, TAR_MAJOR, &major);
	if (!r)
		r = entry_number(tar, block, KEY_MINOR, TAR_MINOR, &minor);
	if (r)
		return r;
	if (major > UINT32_MAX || minor > UINT32_MAX)
		return tar_fail(tar, -EBADMSG, "a device number out of range");
	entry->major = (uint32_t)major;
	entry->minor = (uint32_t)minor;
	return 0;
}

/* What the type is called here, and whether there is data behind the header. */
static int entry_type(struct st_tar *tar, const uint8_t *block, bool *has_data)
{
	char type = (char)block[TAR_TYPE];

	*has_data = false;
	switch (type) {
	case 0:
	case '0':
	case '7': /* contiguous */
	case 'S': /* sparse */
		*has_data = true;
		type = ST_TAR_FILE;
		/* Before there was a type for them, directories were files that end in a slash. */
		if (block[TAR_TYPE] != 'S' && tar->path.size &&
		    tar->path.data[tar->path.size - 1] == '/')
			type = ST_TAR_DIRECTORY;
		break;
	case 'D': /* GNU: a directory and the names in it */
		*has_data = true;
		type = ST_TAR_DIRECTORY;
		break;
	case '1' ... '6': /* whatever their size says */
		break;
	case 'M':
		return tar_fail(tar, -EBADMSG, "continues from another archive");
	default: /* POSIX: like a file, for those who do not know it */
		*has_data = true;
	}
	tar->entry.type = type;
	return 0;
}

static int entry_data(struct st_tar *tar, const uint8_t *block, bool has_data)
{
	struct st_entry *entry = &tar->entry;
	uint64_t size = 0, stored;
	int r = 0;

	if (has_data)
		r = entry_number(tar, block, KEY_SIZE, TAR_SIZE, &size);
	if (r)
		return r;
	if (size > INT64_MAX - TAR_BLOCK)
		return tar_fail(tar, -EBADMSG, "a size out of range");
	tar->left = size;
	tar->padding = tar_padding(size);
	entry->size = size;
	if (entry->type == ST_TAR_FILE && (block[TAR_TYPE] == 'S' || tar_sparse_pax(tar))) {
		r = tar_sparse(tar, block);
		if (r)
			return r;
	}
	stored = tar->left;
	if (entry->type != ST_TAR_FILE && strchr("123456", entry->type)) {
		entry->size = 0; /* old directories and GNU's lists of names: skipped */
		stored = 0;
	}
	entry->stored = stored;
	return 0;
}

static int entry_limits(struct st_tar *tar)
{
	const struct st_limits *limits = &tar->limits;

	if (tar->path.size > limits->max_name || tar->link.size > limits->max_name)
		return tar_fail(tar, -ENAMETOOLONG, "its name is too long");
	if (tar->entry.size > limits->max_bytes || tar->bytes > limits->max_bytes - tar->entry.size)
		return tar_fail(tar, -EFBIG, "more than %llu bytes, which is the limit",
				(unsigned long long)limits->max_bytes);
	tar->bytes += tar->entry.size;
	return 0;
}

int tar_entry_read(struct st_tar *tar, const uint8_t *block)
{
	enum tar_format format = format_of(block);
	struct st_entry *entry = &tar->entry;
	struct st_extent *extents = entry->extents;
	uint64_t mode;
	bool has_data;
	int r;

	*entry = (struct st_entry){ .extents = extents };
	tar->sparse = false;
	r = entry_path(tar, block, format);
	if (!r)
		r = entry_type(tar, block, &has_data);
	if (!r)
		r = entry_link(tar, block);
	if (!r)
		r = entry_owner_name(tar, block, format, KEY_UNAME, &tar->uname);
	if (!r)
		r = entry_owner_name(tar, block, format, KEY_GNAME, &tar->gname);
	if (!r && tar_field_unsigned(block, TAR_MODE, &mode))
		r = tar_fail(tar, -EBADMSG, "a mode that is none");
	if (!r)
		r = entry_number(tar, block, KEY_UID, TAR_UID, &entry->uid);
	if (!r)
		r = entry_number(tar, block, KEY_GID, TAR_GID, &entry->gid);
	if (!r)
		r = entry_times(tar, block, format);
	if (!r)
		r = entry_device(tar, block);
	if (!r)
		r = tar_pax_list(tar);
	if (!r) /* the last: it may read on, and then the block is gone */
		r = entry_data(tar, block, has_data);
	if (!r)
		r = entry_limits(tar);
	if (r)
		return r;
	entry->mode = (uint32_t)(mode & 07777);
	entry->type_bits = (uint32_t)(mode & 0170000);
	entry->path = tar->path.data;
	entry->link = tar->link.data;
	entry->uname = tar->uname.data;
	entry->gname = tar->gname.data;
	return 1;
}
