/* SPDX-License-Identifier: MIT */
/*
 * A Windows layer in the format that ImportLayer takes and ExportLayer gives (hcs-behaviour.md §5.4):
 *
 *   Files/…            a file: 4 bytes of Win32 attributes, little-endian, and its backup streams; a
 *                      directory: the same, without data, in DIRECTORY.$wcidirs$ beside it
 *   Hives/… UtilityVM/…  files as they are
 *   tombstones.txt     what is removed below Files
 *
 * Windows keeps some of a file's metadata in the file that carries it.  Here that, and what only the
 * archive said, is in its attributes user.mswindows.*, as in a layer (layer/win.h).  What the format has
 * no place for is where its readers do not look: a hard link has a BACKUP_LINK stream with its target,
 * besides the data; a file below Hives or UtilityVM that has more than data has FILE.$wcidirs$, and one
 * that is removed below UtilityVM has the attributes 0xffffffff there, and nothing else.
 */
#ifndef ST_LAYER_TRANSPORT_H
#define ST_LAYER_TRANSPORT_H

#include "archive/tar.h"
#include "common/error.h"

#define ST_TRANSPORT_META ".$wcidirs$"
#define ST_TRANSPORT_LINK "cowherd:" /* before a link's target */
#define ST_TRANSPORT_REMOVED 0xffffffffu

/* The archive of a Windows layer into an empty directory; layer: where hard links have their data. */
int st_transport_write(struct st_tar *tar, int dir, int layer, struct plug_error *err);
/* The archive of a directory in the format, in the order of its names.  -EBADMSG: "NAME: cause". */
int st_transport_read(int dir, struct st_tar_writer *writer, struct plug_error *err);

#endif
