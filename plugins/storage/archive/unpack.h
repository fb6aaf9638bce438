/* SPDX-License-Identifier: MIT */
/*
 * An archive becomes a directory.  Nothing is ever made, changed or removed outside of it, whatever
 * the archive holds and whatever an earlier archive left there: names are resolved by the kernel
 * within the directory (openat2, RESOLVE_IN_ROOT), as they will be by who has it as root; a name
 * with ".." is refused, a leading "/" means the directory.
 */
#ifndef ST_ARCHIVE_UNPACK_H
#define ST_ARCHIVE_UNPACK_H

#include "archive/tar.h"

/* What ".wh.NAME" and ".wh..wh..opq" mean (OCI image specification, layer.md, "Whiteouts"). */
enum st_whiteouts {
	ST_WHITEOUT_OVERLAY, /* become the kernel's: character device 0:0, trusted.overlay.opaque */
	ST_WHITEOUT_APPLY,   /* remove what is in the directory already */
	ST_WHITEOUT_KEEP,    /* names like any other */
};

struct st_unpack_options {
	enum st_whiteouts whiteouts;
	bool user_xattr;   /* overlay mounted by users: user.overlay.opaque instead of trusted… */
	bool no_owner;     /* everything belongs to the caller (who is not root) */
	bool skip_devices; /* leave devices out instead of failing where they are not allowed */
	/* Called now and then, on the caller's thread, with the bytes so far; not 0: stop with that. */
	int (*progress)(void *arg, uint64_t bytes);
	void *arg;
};

struct st_unpack_result {
	uint64_t entries; /* of the archive */
	uint64_t bytes;   /* of data that was written */
	uint64_t sizes;   /* sum of the sizes of files, holes included */
	uint64_t xattrs_skipped; /* neither user.* nor security.capability, or not supported there */
	/*
	 * Directories that the archive implies and does not describe (bazel's layers): made 0755, owned
	 * by root.  Layers below know better: st_unpack_implied().  NUL-terminated names one after
	 * another, allocated; the caller frees.
	 */
	char *implied;
	size_t implied_size;
};

/*
 * Unpacks what is left of the archive.  On failure what was made stays (remove the directory);
 * error says "entry NAME: cause".  Errors: those of st_tar_next(); -EINVAL (a name, link or
 * whiteout that is refused), -EXDEV (a hard link to a file that is not in this archive or
 * directory), those of the kernel.  Does not sync.  result is written on success only.
 */
int st_unpack(struct st_tar *tar, int dirfd, const struct st_unpack_options *options,
	      struct st_unpack_result *ret, char *error, size_t error_size);

/*
 * Gives the implied directories the mode, owner, times and attributes that they have in the first
 * of `lower` (directories, uppermost first) that knows them.  Those that no one knows stay.
 */
int st_unpack_implied(int dirfd, const struct st_unpack_result *result, const int *lower,
		      size_t lower_count);

/* Removes a name below dirfd and all below it, following no symlink, in bounded memory. */
int st_remove_tree(int dirfd, const char *name);

#endif
