/* SPDX-License-Identifier: MIT */
/*
 * Directories become tar entries.  What overlayfs keeps in a layer (0:0 devices, opaque directories)
 * becomes what the OCI image specification says (layer.md, "Whiteouts").  The same tree gives the same
 * bytes: names are sorted, and of a file with several names the first one has the data.
 */
#ifndef ST_LAYER_PACK_H
#define ST_LAYER_PACK_H

#include "archive/tar.h"
#include "common/error.h"

#include <stdbool.h>
#include <sys/stat.h>

struct st_pack;

/* Of the tree at root, which stays the caller's, like the writer.  -ENOMEM. */
int st_pack_open(int root, struct st_tar_writer *writer, struct st_pack **ret);
void st_pack_close(struct st_pack *pack); /* NULL: nothing */

/* Everything below path, and itself unless path is "". */
int st_pack_tree(struct st_pack *pack, const char *path, struct plug_error *err);
/* One file, with what an archive says of it; a whiteout becomes one. */
int st_pack_entry(struct st_pack *pack, const char *path, struct plug_error *err);
/* ".wh.NAME" of a path; with opaque ".wh..wh..opq" in it. */
int st_pack_whiteout(struct st_pack *pack, const char *path, bool opaque, struct plug_error *err);

/* The extended attributes that an archive would have are the same in both trees. */
bool st_pack_same_attributes(int root, int other, const char *path);

/*
 * Data of an open file: where something is, in *extents (allocated), NULL and 0 where the file has no
 * holes.  -ENOMEM.
 */
int st_pack_extents(int fd, const struct stat *st, struct st_extent **extents, size_t *count);
/* What the entry, which was put, says is stored.  -EIO: the file is shorter by now. */
int st_pack_data(struct st_tar_writer *writer, int fd, const struct st_entry *entry);

#endif
