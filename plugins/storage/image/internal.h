/* SPDX-License-Identifier: MIT */
/* What the files of the store share. */
#ifndef ST_IMAGE_INTERNAL_H
#define ST_IMAGE_INTERNAL_H

#include "image/store.h"
#include "common/util.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

#define ST_HEX_SIZE 65 /* the digits of a digest, NUL */

struct st_store {
	char *dir;
	int fd, blobs, layers, names, refs, tmp;
	atomic_bool owners; /* "owners" is as it should be */
};

/* op: LOCK_EX or LOCK_SH; closing *ret unlocks. */
int st_lock(const struct st_store *store, int op, int *ret, struct plug_error *err);

/* A set of digests, by their digits. */
struct st_set {
	char (*items)[ST_HEX_SIZE];
	size_t count, capacity;
	bool sorted;
};
int st_set_add(struct st_set *set, const char *digest);
bool st_set_has(struct st_set *set, const char *hex);
void st_set_finish(struct st_set *set);

/* The digits of a digest that is valid. */
static inline const char *st_hex(const char *digest)
{
	return digest + sizeof("sha256:") - 1;
}

/* Everything one image reaches: its manifest, configuration and layers. */
int st_image_reach(struct st_store *store, const char *digest, struct st_set *blobs,
		   struct st_set *chains, struct plug_error *err);
/* A chain id and those below it, by layer.json. */
int st_layer_reach(struct st_store *store, const char *chain, struct st_set *chains,
		   struct plug_error *err);
int st_image_open(struct st_store *store, const char *digest, struct st_image **ret,
		  struct plug_error *err);

struct st_work {
	struct st_store *store;
	char name[40];
	int fd, lock;
	atomic_uint next;
	pthread_mutex_t mutex; /* of what follows */
	struct st_pending *pending;
	size_t pending_count;
};

enum st_pending_kind { ST_PENDING_BLOB, ST_PENDING_LAYER, ST_PENDING_NAME };

struct st_pending {
	enum st_pending_kind kind;
	char *name; /* in the work's directory; or the image's name, or NULL */
	char digest[ST_DIGEST_SIZE];
};

/* What a work that is not ours keeps, from the files in its directory. */
int st_work_uses(int dirfd, struct st_set *blobs, struct st_set *layers);
/*
 * dirfd of a work in tmp/: 0 and its lock, held, where its maker is dead; -EBUSY where it lives.
 * Only while the store is locked exclusively.
 */
int st_work_claim(int dirfd, int *ret_lock);
/* Removes what is in the directory, and then the directory itself from its parent. */
int st_remove_work(int tmp, const char *name, int dirfd);

/* While the store is locked exclusively. */
int st_name_write(struct st_store *store, const char *name, const char *digest,
		  struct plug_error *err);
/* All of an image is there.  While the store is locked. */
int st_image_check(struct st_store *store, const struct st_image *image, struct plug_error *err);
/* refs/@OWNER; -ENOENT: also one whose owner is gone. */
int st_use_read(struct st_store *store, const char *file, struct st_ref *ret, struct plug_error *err);
void st_uses_sweep(struct st_store *store);
/* A whole small file of a directory of the store. */
int st_file_read(int dirfd, const char *name, size_t max, char **ret, size_t *ret_size);
int st_file_write(int dirfd, const char *name, const char *text, struct plug_error *err);
/* What a writer left that was interrupted.  While the store is locked exclusively. */
int st_file_sweep(int dirfd);

#endif
