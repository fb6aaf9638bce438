/* SPDX-License-Identifier: MIT */
/*
 * What a packed image has to be: its digest, the root hash of its dm-verity tree.  Kept in IMAGE.json or,
 * where there is none, in layer.json beside the image, as members "digest" and "verity".
 */
#ifndef ST_DISK_SEAL_H
#define ST_DISK_SEAL_H

#include <stddef.h>

enum st_verify {
	ST_VERIFY_NONE,
	ST_VERIFY_DIGEST, /* SHA-256 of the whole file */
	ST_VERIFY_VERITY, /* the root of the tree over the file system, computed anew */
	ST_VERIFY_COUNT,
};

/* "none", "digest", "verity" as an enum st_verify; -EINVAL. */
int st_verify_parse(const char *word);

struct st_seal {
	char digest[72]; /* "sha256:HEX"; "": not known */
	char verity[65]; /* HEX; "": not known */
};

/* Neither file: nothing is known.  -EBADMSG: "FILE: …". */
int st_seal_read(const char *image, struct st_seal *ret, char *error, size_t error_size);
/* What the image is now; verity is empty where no tree is behind it. */
int st_seal_measure(const char *image, struct st_seal *ret, char *error, size_t error_size);

/*
 * st_packed_mount() of an image that is what its seal says, each time read to its end.  -ENOKEY: the
 * seal says nothing of it; -EBADMSG: "IMAGE: digest FOUND, not EXPECTED".
 */
int st_seal_mount(const char *image, enum st_verify how, int *ret_fd, char *error, size_t error_size);
/* The same, moved to the directory `target`. */
int st_seal_mount_at(const char *image, enum st_verify how, const char *target, char *error,
		     size_t error_size);

#endif
