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
/* Every missing directory of a path, with mode 0700. */
int plug_directories_make(const char *path);

#endif
