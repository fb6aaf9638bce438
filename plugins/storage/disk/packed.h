/* SPDX-License-Identifier: MIT */
/* Layers that stay packed: EROFS, squashfs and ext4 images (also layer.vhd) mounted read-only. */
#ifndef ST_DISK_PACKED_H
#define ST_DISK_PACKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "disk/verity.h"

enum st_packed_kind { ST_PACKED_EROFS, ST_PACKED_SQUASHFS, ST_PACKED_EXT4, ST_PACKED_KIND_COUNT };

const char *st_packed_kind_name(enum st_packed_kind); /* "erofs", "squashfs", "ext4" */

/* By the image's own magic, within a VHD where it is one.  -ENOTSUP: none of them. */
int st_packed_probe(const char *path, enum st_packed_kind *ret, uint64_t *ret_size, char *error,
		    size_t error_size);

struct st_packed_options {
	const char *digest; /* "sha256:HEX" of the whole file; NULL: not checked */
	const char *verity; /* root hash, HEX, of an ext4 image with verity behind it; NULL: not checked */
};

/*
 * A mount of the image, attached nowhere yet: *ret_fd is for move_mount(), and with its close an
 * unplaced one is gone, loop device and all.  Mounted once placed: umount() is all a release needs.
 * -EBADMSG: "path: digest FOUND, not EXPECTED", and the like of verity.
 */
int st_packed_mount(const char *path, const struct st_packed_options *, int *ret_fd, char *error,
		    size_t error_size);
/* What st_packed_mount() gave, to its place; the descriptor stays the caller's. */
struct st_message;
int st_packed_place(int mount_fd, const char *target, const struct st_message *m);
/* Both. */
int st_packed_mount_at(const char *path, const struct st_packed_options *, const char *target,
		       char *error, size_t error_size);

/*
 * layer.vhd: ext4 of a tar, a VHD footer, with verity between them where asked (root hash in *ret).
 * Written to fd, an empty file; whiteouts for overlay.
 */
struct st_tar;
struct st_ext4_result;
struct st_layer_vhd_options {
	bool verity;
	bool keep_whiteouts; /* .wh. names stay what they are, as hcsshim does unless told */
	bool inline_data;
	bool no_footer;      /* plain ext4 */
};
int st_layer_vhd_write(struct st_tar *tar, int fd, const struct st_layer_vhd_options *,
		       struct st_ext4_result *ret, struct st_verity *ret_verity, char *error,
		       size_t error_size);

#endif
