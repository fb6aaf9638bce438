/* SPDX-License-Identifier: MIT */
/* What vhd.c, vhdx.c and disk.c know of one another. */
#ifndef ST_DISK_VHD_PRIVATE_H
#define ST_DISK_VHD_PRIVATE_H

#include "disk/error.h"
#include "disk/vhd.h"

static inline uint32_t st_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline uint64_t st_be64(const uint8_t *p)
{
	return (uint64_t)st_be32(p) << 32 | st_be32(p + 4);
}

static inline uint32_t st_le32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t st_le64(const uint8_t *p)
{
	return st_le32(p) | (uint64_t)st_le32(p + 4) << 32;
}

struct vhd_dynamic {
	uint64_t table; /* of 4-byte sector numbers */
	uint32_t entries, block_size;
};

struct vhdx {
	uint64_t bat, bat_size; /* bytes */
	uint32_t block_size, sector_size;
	uint64_t ratio; /* payload entries between two of bitmaps */
};

/* *ret_dynamic is set for other than fixed ones. */
int vhd_judge(const struct st_source *image, struct st_disk_info *ret,
	      struct vhd_dynamic *ret_dynamic, const struct st_message *m);
int vhdx_judge(const struct st_source *image, struct st_disk_info *ret, struct vhdx *ret_vhdx,
	       const struct st_message *m);

/* CRC-32C, as VHDX uses it. */
uint32_t vhdx_crc(uint32_t crc, const void *data, size_t size);

#endif
