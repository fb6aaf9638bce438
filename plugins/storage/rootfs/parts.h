/* SPDX-License-Identifier: MIT */
/*
 * What each allocator does, on the pool: the plan says what, *stop asks to end soon (-ECANCELED).
 * Each may be called again for a container that has some of it already.
 */
#ifndef ST_ROOTFS_PARTS_H
#define ST_ROOTFS_PARTS_H

#include "disk/seal.h"
#include "rootfs/plan.h"

#include <stdatomic.h>

struct st_part {
	struct st_plan plan;
	const char *store_dir; /* of the images */
	const char *disk_dir;  /* of the table of attached disks */
	enum st_verify verify; /* packed layers, as they are mounted */
	atomic_bool stop;
	struct json_object *patch; /* of the spec: made by take */
	struct plug_error err;
};

/* scratch.c and base.c: the image is kept, and there is room to write. */
int st_scratch_take(struct st_part *part);
/* The same without waiting for anything, where that is possible; on the loop. */
bool st_scratch_take_now(struct st_part *part);
/* base.c: layers and scratch as one. */
int st_base_take(struct st_part *part);
/* The same with one that was mounted ahead, if there is one; on the loop. */
bool st_base_take_now(struct st_part *part);
/* volumes.c */
int st_volumes_take(struct st_part *part);
/* shares.c */
int st_shares_take(struct st_part *part);

/*
 * From what was announced; also what take had not come to.  record: the JSON object that take's
 * allocator announced.  0, or a negative errno with err.
 */
int st_scratch_give(struct json_object *record, struct plug_error *err);
int st_base_give(struct json_object *record, struct plug_error *err);
int st_volumes_give(struct json_object *record, struct plug_error *err);
int st_shares_give(struct json_object *record, struct plug_error *err);

/*
 * source.c: {digest, name, config} of an image in the store.  -ENOENT: "Unable to find image 'x:latest'
 * locally", or it is for another platform.
 */
int st_image_query(const char *store_dir, const char *reference, const char *platform, char **ret,
		   struct plug_error *err);

/* disks.c: a disk's file system at place; owner as in disk/attach.h. */
int st_disk_mount(const char *dir, const char *owner, const char *path, bool read_only,
		  const char *place, unsigned *ret_refs, struct plug_error *err);
/* All uses of owner and of OWNER/…; their mounts are gone already. */
int st_disk_release(const char *dir, const char *owner, struct plug_error *err);
/* A packed layer's file system, read-only, verified by its seal (disk/seal.h). */
int st_disk_mount_layer(const char *image, enum st_verify how, const char *place,
			struct plug_error *err);

#endif
