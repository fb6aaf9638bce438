/* SPDX-License-Identifier: MIT */
/* ext4 images: every file is looked at, and read as far as a megabyte. */
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "disk/ext4.h"

#define ENTRIES_MAX 300

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct look {
	struct st_ext4 *fs;
	unsigned count;
};

static int xattr(void *arg, const char *name, const void *value, size_t size)
{
	volatile char sum = *name;

	(void)arg;
	for (size_t i = 0; i < size; i++)
		sum = (char)(sum + ((const char *)value)[i]);
	return 0;
}

static int file(void *arg, const char *path, const struct st_ext4_stat *st)
{
	struct look *l = arg;
	uint64_t start, end;
	char buf[8192];
	uint32_t ino;

	if (++l->count > ENTRIES_MAX)
		return 1;
	(void)st_ext4_xattrs(l->fs, st->ino, xattr, NULL);
	(void)st_ext4_lookup(l->fs, path, &ino);
	if (S_ISLNK(st->mode))
		(void)st_ext4_readlink(l->fs, st->ino, buf);
	if (S_ISREG(st->mode)) {
		for (uint64_t at = 0; at < 1 << 20; at += sizeof(buf))
			if (st_ext4_read(l->fs, st->ino, buf, sizeof(buf), at) <= 0)
				break;
		(void)st_ext4_next_data(l->fs, st->ino, 4096, &start, &end);
	}
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct st_source source;
	struct look l = { 0 };
	char error[256];

	st_source_memory(&source, data, size);
	if (st_ext4_open(&source, &l.fs, error, sizeof(error)) == 0) {
		(void)st_ext4_walk(l.fs, file, &l);
		st_ext4_close(l.fs);
	}
	return 0;
}
