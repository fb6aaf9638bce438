/* SPDX-License-Identifier: MIT */
/*
 * Virtual hard disks: VHD (fixed, dynamic, differencing; Virtual Hard Disk Image Format 1.0) and VHDX
 * ([MS-VHDX]).  What an image claims is checked, checksums and ranges, before anything else uses it.
 */
#ifndef ST_DISK_VHD_H
#define ST_DISK_VHD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "disk/source.h"

#define ST_VHD_FOOTER 512u

enum st_disk_kind {
	ST_DISK_RAW,
	ST_DISK_VHD_FIXED,
	ST_DISK_VHD_DYNAMIC,
	ST_DISK_VHD_DIFFERENCING,
	ST_DISK_VHDX_FIXED,
	ST_DISK_VHDX_DYNAMIC,
	ST_DISK_VHDX_DIFFERENCING,
	ST_DISK_BLOCK, /* a block device: only from st_disk_probe() */
	ST_DISK_KIND_COUNT
};

struct st_disk_info {
	enum st_disk_kind kind;
	uint64_t size;       /* bytes of the disk inside */
	uint32_t block_size; /* of dynamic ones */
	uint32_t sector_size;
	bool log_pending;    /* VHDX: changes are only in its log; who opens it writes */
	uint8_t id[16];
};

const char *st_disk_kind_name(enum st_disk_kind); /* "vhd-fixed" */

/* The 512 bytes behind a fixed disk of `size` bytes (a multiple of 512). */
void st_vhd_footer(uint64_t size, const uint8_t id[16], uint8_t ret[ST_VHD_FOOTER]);
/* Appends it to a file that has the disk's bytes; -EINVAL: not a multiple of 512. */
int st_vhd_append_footer(int fd, uint64_t size);

/*
 * What an image is: by its content alone.  -EUCLEAN with a message: it says it is a VHD(X), and is
 * broken or lies; then nothing may attach it.
 */
int st_disk_judge(const struct st_source *, struct st_disk_info *ret, char *error, size_t error_size);
/* The same for a path, which may also be a block device; *ret_fd is open for reading. */
int st_disk_probe(const char *path, struct st_disk_info *ret, int *ret_fd, char *error,
		  size_t error_size);

#endif
