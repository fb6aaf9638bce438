/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive/tar.h"
#include "disk/ext4_writer.h"

#define MAX_DEFAULT (UINT64_C(128) << 30)
#define MAX_MAX (UINT64_C(16) << 40)
#define MAX_MIN (UINT64_C(1) << 20)
#define GROUP_BYTES ((uint64_t)ST_EXT4_BLOCK * ST_EXT4_BLOCK * 8)

/* Beside the image: there is room for what is as large, or the image fails, too. */
static int spill_dir(int fd)
{
	char link[64], path[4096];
	ssize_t n;
	int dir = -1;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n > 0) {
		path[n] = 0;
		if (path[0] == '/')
			dir = open(dirname(path), O_PATH | O_DIRECTORY | O_CLOEXEC);
	}
	return dir >= 0 ? dir : open("/var/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static int writer_open(struct writer *w, int fd, int dirfd)
{
	struct ext4_inode root = { .mode = S_IFDIR | 0755, .extra_isize = 32 };
	uint64_t max = w->options->max_bytes ? w->options->max_bytes : MAX_DEFAULT;
	struct ext4_inode *to;
	int r;

	max = max < MAX_MIN ? MAX_MIN : max > MAX_MAX ? MAX_MAX : max;
	/* Twice the groups: many small files make small groups. */
	w->gdt_blocks = (uint32_t)(((max + GROUP_BYTES - 1) / GROUP_BYTES * 2 * 32 + ST_EXT4_BLOCK - 1) /
				   ST_EXT4_BLOCK);
	w->level = malloc(EXT4_TREE_LEVELS * sizeof(*w->level));
	r = w->level ? ext4_out_open(&w->out, fd, max) : -ENOMEM;
	if (r == 0)
		r = ext4_names_open(&w->names, dirfd);
	if (r == 0)
		r = st_spill_create(dirfd, 1280, &w->inodes);
	if (r == 0)
		r = st_spill_create(dirfd, 64, &w->freed);
	if (r == 0)
		r = ext4_out_skip(&w->out, (uint64_t)(1 + w->gdt_blocks) * ST_EXT4_BLOCK);
	if (r < 0)
		return r;
	w->inode_count = EXT4_FIRST_INO - 1;
	ext4_dir_init(&root, EXT4_ROOT_INO);
	r = ext4_inode(w, EXT4_ROOT_INO, true, &to);
	if (r == 0)
		*to = root;
	return r;
}

static void writer_close(struct writer *w)
{
	st_xattrs_clear(&w->xattrs);
	ext4_names_close(&w->names);
	st_spill_destroy(w->inodes);
	st_spill_destroy(w->freed);
	ext4_out_close(&w->out);
	free(w->level);
}

static const char *entry_cause(int code)
{
	switch (code) {
	case -EINVAL: return "the name or the target is not one for an image";
	case -E2BIG: return "extended attributes take more than inode and block have";
	case -EFBIG: return "the image would be larger than it may be";
	case -ENOTSUP: return "of a type that is no file";
	case -EOVERFLOW: return "an owner or device number is out of range";
	case -EPERM: return "a hard link to a directory";
	case -ENOENT: return "a hard link to what is not there";
	default: return strerror(-code);
	}
}

static int entries(struct writer *w, struct st_tar *tar)
{
	const struct st_entry *entry;
	int r;

	for (;;) {
		r = st_tar_next(tar, &entry);
		if (r <= 0)
			break;
		w->result.entries++;
		r = ext4_entry(w, tar, entry);
		if (r < 0 && !*st_tar_error(tar))
			return st_fail(&w->message, r, "entry %s: %s", entry->path, entry_cause(r));
		if (r < 0)
			break;
	}
	return r < 0 ? st_fail(&w->message, r, "%s", st_tar_error(tar)) : 0;
}

int st_ext4_write(struct st_tar *tar, int fd, const struct st_ext4_options *options,
		  struct st_ext4_result *ret, char *error, size_t error_size)
{
	static const struct st_ext4_options defaults;
	struct writer *w = calloc(1, sizeof(*w));
	int r, dirfd = spill_dir(fd);

	if (!w) {
		r = -ENOMEM;
		goto out;
	}
	w->options = options ? options : &defaults;
	w->message = (struct st_message){ error, error_size };
	if (error && error_size)
		error[0] = 0;
	r = dirfd < 0 ? -errno : writer_open(w, fd, dirfd);
	if (r == 0)
		r = entries(w, tar);
	if (r == 0) {
		r = ext4_finish(w);
		if (r < 0)
			(void)st_fail(&w->message, r, "image: %s", entry_cause(r));
	} else if (!w->result.entries) {
		(void)st_fail(&w->message, r, "image: %s", strerror(-r));
	}
	if (r == 0)
		*ret = w->result;
	writer_close(w);
	free(w);
out:
	if (dirfd >= 0)
		(void)close(dirfd);
	return r;
}
