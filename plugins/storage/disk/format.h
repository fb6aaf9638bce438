/* SPDX-License-Identifier: MIT */
/* Scratch disks, and ext4 on disks: hcs-behaviour.md §1.2 and §4.7.  Both block. */
#ifndef ST_DISK_FORMAT_H
#define ST_DISK_FORMAT_H

#include <stddef.h>

#define ST_SCRATCH_GB_DEFAULT 20u

/*
 * A new disk of size_gb GB with an empty ext4: a dynamic VHDX (1 MiB blocks) where dest ends in
 * ".vhdx", a fixed VHD where it ends in ".vhd", else a raw file; all sparse.  cache NULL: none; of the
 * default size it is taken from there, or kept there.  dest appears whole or not at all.
 */
int st_scratch_disk_create(const char *dest, unsigned size_gb, const char *cache, char *error,
			   size_t error_size);
/* ext4 on a block device, or on the disk in a file, whatever its kind; dir: see struct st_attach_options. */
int st_disk_format(const char *dest, const char *dir, char *error, size_t error_size);

#endif
