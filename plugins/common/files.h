/* SPDX-License-Identifier: MIT */
/* Small files, whole; directories with those above them. */
#ifndef PLUG_FILES_H
#define PLUG_FILES_H

#include <stddef.h>

/*
 * What an open file holds, with a NUL behind it, to be freed.  -EINVAL: not a regular file; -EFBIG: more
 * than max bytes.
 */
int plug_file_read(int fd, size_t max, char **ret, size_t *ret_size);
/* How plug_file_write() puts a file into its place. */
enum plug_file_how {
	PLUG_FILE_REPLACE = 0,
	PLUG_FILE_NEW = 1,     /* -EEXIST where there is one */
	PLUG_FILE_DURABLE = 2, /* a power cut after the return does not undo it */
};
/*
 * DIR/NAME with this text and mode 0600, whole or not at all.  It is written as DIR/MAKING first: what a
 * killed writer left there is written over, so each name has one writer at a time.
 */
int plug_file_write(int dir, const char *name, const char *making, const char *text, unsigned how);
/* Every missing directory of a path, with mode 0700. */
int plug_directories_make(const char *path);

#endif
