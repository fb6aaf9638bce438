/* SPDX-License-Identifier: MIT */
/*
 * The store, opened once, and the images that containers were made from lately: reading one is a file
 * per layer.  What is remembered may be gone; who uses it has taken a reference in the store, or finds
 * out and forgets it.  Any thread.
 */
#ifndef ST_ROOTFS_CACHE_H
#define ST_ROOTFS_CACHE_H

#include "image/store.h"

int st_cache_store(const char *dir, struct st_store **ret, struct st_error *err);
/* By digest, to be put back; *ret_fresh: read just now. */
int st_cache_image(const char *dir, const char *digest, const struct st_image **ret, bool *ret_fresh,
		   struct st_error *err);
/* forget: it is not what the store has. */
void st_cache_put(const struct st_image *image, bool forget);
/* Takes over an image that was read anyway. */
void st_cache_keep(struct st_image *image);
void st_cache_finish(void);

#endif
