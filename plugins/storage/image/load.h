/* SPDX-License-Identifier: MIT */
/*
 * Loading images: from a stream (an OCI layout or `docker save`, as tar, which may be compressed) or an
 * OCI layout in a directory.  One pass, bounded memory: blobs go into files of the work's directory,
 * layers are unpacked while they come, also before anybody has said which image they belong to.
 */
#ifndef ST_IMAGE_LOAD_H
#define ST_IMAGE_LOAD_H

#include "common/cancel.h"
#include "image/oci.h"
#include "image/store.h"


/* How far each layer is.  Functions may be called on any thread; all may be NULL. */
struct st_progress {
	void (*at)(void *arg, const char *layer, uint64_t done, uint64_t total);
	void (*finished)(void *arg, const char *layer, uint64_t unpacked);
	void *arg;
};

struct st_load_options {
	const char *what;     /* the source, in errors */
	const char *path;     /* absolute: a file or a directory; NULL: read fd to its end */
	int fd;
	const char *name;     /* for the one image that is loaded; NULL: as the archive says */
	const struct st_platform *platform; /* NULL: this machine's, where there is a choice */
	struct st_progress progress;
	struct plug_cancel *cancel; /* may be NULL */
};

struct st_loaded {
	struct st_loaded_image {
		char *name; /* NULL: it has none */
		char id[ST_DIGEST_SIZE];
	} *images;
	size_t count;
};

/* All or nothing.  -ECANCELED; -EBADMSG (what comes is wrong: err says what), those of the store. */
int st_load(struct st_store *store, const struct st_load_options *options, struct st_loaded *ret,
	    struct plug_error *err);
void st_loaded_finish(struct st_loaded *loaded);

#endif
