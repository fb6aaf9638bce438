/* SPDX-License-Identifier: MIT */
/*
 * Windows layers (hcs-behaviour.md §5.4, §5.5; wcow-on-wine.md §6).  In the layer directory:
 *
 *   Files/, Hives/, UtilityVM/   as in the archive; alternate streams beside their file as NAME:STREAM,
 *                                where Wine finds them; what a tombstone removes is a 0:0 device
 *   tombstones.txt               the same removals, as Windows writes them
 *   bcd.bak bcd.log.bak …        the four boot files as they came: the ones in UtilityVM are changed
 *   entries                      every entry of the archive in its order, with what the file system
 *                                could not keep of it (symlinks, links, what is too large)
 *
 * What Linux has no place for is in extended attributes: user.mswindows.fileattr, .rawsd, .sd,
 * .mountpoint, .xattr.NAME, .crtime as the archive says them, user.mswindows.pax.KEY for other records,
 * user.mswindows.tar.* for fields of its header; user.DOSATTRIB as Wine wants it.  With these an export
 * gives back the entries, records, data and order of the archive.
 */
#ifndef ST_LAYER_WIN_H
#define ST_LAYER_WIN_H

#include "archive/tar.h"
#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>

/* Files, Hives or UtilityVM is what the path of the first entry begins with. */
bool st_win_is_root(const char *path);

/*
 * Into the empty directory stage; parents: layer directories, the nearest first; none: a base layer.
 * *size: the sum of regular main streams.  Nothing is written outside of stage.
 */
int st_win_import(struct st_tar *tar, int stage, const int *parents, size_t parent_count,
		  uint64_t *size, struct plug_error *err);

/* What was imported, as it was; without `entries` what is there. */
int st_win_export(int layer, struct st_tar_writer *writer, struct plug_error *err);
/* The overlay directory of a scratch layer over Windows layers, as Files/. */
int st_win_export_upper(int upper, struct st_tar_writer *writer, struct plug_error *err);
/* One file of a layer with its streams, by its name in the archive. */
int st_win_export_file(int layer, const char *path, struct st_tar_writer *writer,
		       struct plug_error *err);
/* Where the data of a file is: the boot files' is in their backups. */
const char *st_win_data_path(int layer, const char *path);

#endif
