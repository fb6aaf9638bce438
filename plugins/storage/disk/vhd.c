/* SPDX-License-Identifier: MIT */
/* VHD: the footer, and what images claim.  Big-endian; Virtual Hard Disk Image Format 1.0. */
#include "disk/vhd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk/error.h"
#include "disk/vhd_private.h"

#define FIXED 2u
#define DYNAMIC 3u
#define DIFFERENCING 4u
#define SIZE_MAX_BYTES (UINT64_C(64) << 40)
#define EPOCH_2000 946684800

const char *st_disk_kind_name(enum st_disk_kind kind)
{
	static const char *const names[ST_DISK_KIND_COUNT] = {
		[ST_DISK_RAW] = "raw",
		[ST_DISK_VHD_FIXED] = "vhd-fixed",
		[ST_DISK_VHD_DYNAMIC] = "vhd-dynamic",
		[ST_DISK_VHD_DIFFERENCING] = "vhd-differencing",
		[ST_DISK_VHDX_FIXED] = "vhdx-fixed",
		[ST_DISK_VHDX_DYNAMIC] = "vhdx-dynamic",
		[ST_DISK_VHDX_DIFFERENCING] = "vhdx-differencing",
		[ST_DISK_BLOCK] = "block",
	};

	return kind < ST_DISK_KIND_COUNT ? names[kind] : "?";
}

static void put32(uint8_t *p, uint32_t v)
{
	for (int i = 3; i >= 0; i--, v >>= 8)
		p[i] = (uint8_t)v;
}

static void put64(uint8_t *p, uint64_t v)
{
	put32(p, (uint32_t)(v >> 32));
	put32(p + 4, (uint32_t)v);
}

/* The complement of the sum of all bytes but the checksum's own. */
static uint32_t checksum(const uint8_t *data, size_t size, size_t at)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < size; i++)
		sum += i >= at && i < at + 4 ? 0 : data[i];
	return ~sum;
}

/* Cylinders, heads, sectors, as the format's appendix computes them. */
static uint32_t geometry(uint64_t size)
{
	uint64_t sectors = size / 512, cylinders_heads;
	uint32_t per_track, heads;

	if (sectors > UINT64_C(65535) * 16 * 255)
		sectors = UINT64_C(65535) * 16 * 255;
	if (sectors >= UINT64_C(65535) * 16 * 63) {
		per_track = 255;
		heads = 16;
		cylinders_heads = sectors / per_track;
	} else {
		per_track = 17;
		cylinders_heads = sectors / per_track;
		heads = (uint32_t)((cylinders_heads + 1023) / 1024);
		heads = heads < 4 ? 4 : heads;
		if (cylinders_heads >= heads * 1024 || heads > 16) {
			per_track = 31;
			heads = 16;
			cylinders_heads = sectors / per_track;
		}
		if (cylinders_heads >= heads * 1024) {
			per_track = 63;
			heads = 16;
			cylinders_heads = sectors / per_track;
		}
	}
	return (uint32_t)(cylinders_heads / heads) << 16 | heads << 8 | per_track;
}

void st_vhd_footer(uint64_t size, const uint8_t id[16], uint8_t ret[ST_VHD_FOOTER])
{
	memset(ret, 0, ST_VHD_FOOTER);
	memcpy(ret, "conectix", 8);
	put32(ret + 8, 2); /* always set */
	put32(ret + 12, 0x10000);
	put64(ret + 16, UINT64_MAX); /* no dynamic header */
	/* Who says "win " is believed in the size; of others QEMU takes the geometry instead. */
	memcpy(ret + 28, "win ", 4);
	put32(ret + 32, 0xa0000);
	put64(ret + 40, size);
	put64(ret + 48, size);
	put32(ret + 56, geometry(size));
	put32(ret + 60, FIXED);
	memcpy(ret + 68, id, 16);
	put32(ret + 64, checksum(ret, ST_VHD_FOOTER, 64));
}

int st_vhd_append_footer(int fd, uint64_t size)
{
	uint8_t id[16], footer[ST_VHD_FOOTER];
	ssize_t n;

	if (size == 0 || size % 512 || size > SIZE_MAX_BYTES)
		return -EINVAL;
	if (getrandom(id, sizeof(id), 0) != sizeof(id))
		return -errno;
	st_vhd_footer(size, id, footer);
	n = pwrite(fd, footer, sizeof(footer), (off_t)size);
	return n == sizeof(footer) ? 0 : n < 0 ? -errno : -EIO;
}

/* The footer's own claims; what they mean for the file is the caller's. */
static int footer_judge(const uint8_t *f, struct st_disk_info *ret, uint64_t *ret_header)
{
	static const enum st_disk_kind kinds[] = { [FIXED] = ST_DISK_VHD_FIXED,
						   [DYNAMIC] = ST_DISK_VHD_DYNAMIC,
						   [DIFFERENCING] = ST_DISK_VHD_DIFFERENCING };
	uint32_t type = st_be32(f + 60);

	if (st_be32(f + 64) != checksum(f, ST_VHD_FOOTER, 64))
		return -EBADMSG;
	*ret = (struct st_disk_info){ .size = st_be64(f + 48), .sector_size = 512 };
	memcpy(ret->id, f + 68, 16);
	if (type < FIXED || type > DIFFERENCING || st_be32(f + 12) >> 16 != 1 || ret->size == 0 ||
	    ret->size % 512 || ret->size > SIZE_MAX_BYTES)
		return -EUCLEAN;
	ret->kind = kinds[type];
	*ret_header = st_be64(f + 16);
	return 0;
}

static int dynamic_judge(const struct st_source *image, uint64_t at, struct vhd_dynamic *ret)
{
	uint8_t h[1024];
	int r;

	if (at < 512 || at % 512)
		return -EUCLEAN;
	r = st_source_read(image, h, sizeof(h), at);
	if (r < 0)
		return r == -EIO ? -EUCLEAN : r;
	if (memcmp(h, "cxsparse", 8) != 0 || st_be32(h + 36) != checksum(h, sizeof(h), 36) ||
	    st_be32(h + 24) >> 16 != 1)
		return -EUCLEAN;
	ret->table = st_be64(h + 16);
	ret->entries = st_be32(h + 28);
	ret->block_size = st_be32(h + 32);
	if (ret->block_size < 4096 || ret->block_size > 256u << 20 ||
	    ret->block_size & (ret->block_size - 1) || ret->table % 512)
		return -EUCLEAN;
	if (ret->table >= image->size || (uint64_t)ret->entries * 4 > image->size - ret->table)
		return -EUCLEAN;
	return 0;
}

int vhd_judge(const struct st_source *image, struct st_disk_info *ret, struct vhd_dynamic *ret_dynamic,
	      const struct st_message *m)
{
	uint8_t footer[ST_VHD_FOOTER];
	uint64_t header;
	int r;

	r = st_source_read(image, footer, sizeof(footer), image->size - ST_VHD_FOOTER);
	if (r == 0 && memcmp(footer, "conectix", 8) != 0) /* dynamic ones begin with a copy */
		r = st_source_read(image, footer, sizeof(footer), 0);
	if (r == 0)
		r = footer_judge(footer, ret, &header);
	if (r < 0)
		return st_fail(m, r == -EBADMSG ? -EUCLEAN : r, "VHD footer: %s",
			       r == -EBADMSG ? "wrong checksum" : "values that cannot be");
	if (ret->kind == ST_DISK_VHD_FIXED)
		return ret->size <= image->size - ST_VHD_FOOTER
			       ? 0
			       : st_fail(m, -EUCLEAN, "VHD footer: the disk is larger than the file");
	r = dynamic_judge(image, header, ret_dynamic);
	if (r == 0 && (uint64_t)ret_dynamic->entries * ret_dynamic->block_size < ret->size)
		r = -EUCLEAN;
	if (r < 0)
		return st_fail(m, r, "VHD dynamic header: wrong checksum, or values that cannot be");
	ret->block_size = ret_dynamic->block_size;
	return 0;
}

int st_disk_judge(const struct st_source *image, struct st_disk_info *ret, char *error,
		  size_t error_size)
{
	struct st_message m = { error, error_size };
	struct vhd_dynamic dynamic;
	struct vhdx vhdx;
	uint8_t head[8] = { 0 }, tail[8] = { 0 };
	int r = 0;

	if (image->size >= sizeof(head))
		r = st_source_read(image, head, sizeof(head), 0);
	if (r == 0 && image->size >= ST_VHD_FOOTER)
		r = st_source_read(image, tail, sizeof(tail), image->size - ST_VHD_FOOTER);
	if (r < 0)
		return st_fail(&m, r, "disk image: %s", strerror(-r));
	if (memcmp(head, "vhdxfile", 8) == 0)
		return vhdx_judge(image, ret, &vhdx, &m);
	if (memcmp(tail, "conectix", 8) == 0 || memcmp(head, "conectix", 8) == 0)
		return vhd_judge(image, ret, &dynamic, &m);
	*ret = (struct st_disk_info){ .kind = ST_DISK_RAW,
				      .size = image->size & ~(uint64_t)511,
				      .sector_size = 512 };
	return 0;
}

int st_disk_probe(const char *path, struct st_disk_info *ret, int *ret_fd, char *error,
		  size_t error_size)
{
	struct st_message m = { error, error_size };
	struct st_source source;
	char why[256] = "";
	struct stat st;
	int r = 0, fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 || fstat(fd, &st) < 0)
		r = -errno;
	else if (S_ISBLK(st.st_mode)) {
		*ret = (struct st_disk_info){ .kind = ST_DISK_BLOCK, .sector_size = 512 };
		r = ioctl(fd, BLKGETSIZE64, &ret->size) < 0 ? -errno : 0;
	} else if (S_ISREG(st.st_mode)) {
		st_source_fd(&source, &fd, (uint64_t)st.st_size);
		r = st_disk_judge(&source, ret, why, sizeof(why));
	} else {
		r = S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	}
	if (r == 0 && ret_fd) {
		*ret_fd = fd;
		return 0;
	}
	if (fd >= 0)
		(void)close(fd);
	return r < 0 ? st_fail(&m, r, "%s: %s", path, *why ? why : strerror(-r)) : 0;
}
