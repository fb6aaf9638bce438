/* SPDX-License-Identifier: MIT */
/*
 * The store, opened once; the images that containers were made from lately, since reading one is a file
 * per layer; and what was said of them lately.  All of it counts until something in the store comes or
 * goes.  Any thread.
 */
#ifndef ST_ROOTFS_CACHE_H
#define ST_ROOTFS_CACHE_H

#include "image/store.h"

int st_cache_store(const char *dir, struct st_store **ret, struct plug_error *err);
/* The same where it is open; false: it is not. */
bool st_cache_opened(struct st_store **ret);
/* By digest, to be put back. */
int st_cache_image(const char *dir, const char *digest, const struct st_image **ret,
		   struct plug_error *err);
/* Only if it is known, without looking at any file: NULL otherwise. */
const struct st_image *st_cache_known(const char *digest);
void st_cache_put(const struct st_image *image);
/* Takes over an image that was read anyway. */
void st_cache_keep(struct st_image *image);
/* What was said of a reference, or NULL; as st_cache_known().  platform may be NULL.  To be freed. */
char *st_cache_answer(const char *reference, const char *platform);
/* The mark is from before the store was asked. */
void st_cache_keep_answer(const char *reference, const char *platform, const struct st_mark *mark,
			  const char *text);
void st_cache_finish(void);

#endif
