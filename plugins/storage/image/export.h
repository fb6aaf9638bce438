/* SPDX-License-Identifier: MIT */
/* Writing images as an OCI layout, with the digests that they came with. */
#ifndef ST_IMAGE_EXPORT_H
#define ST_IMAGE_EXPORT_H

#include "image/store.h"

struct st_export_options {
	/* Where the archive goes; NULL: dirfd. */
	int (*write)(void *arg, const void *data, size_t size);
	void *arg;
	int dirfd;   /* an empty directory that becomes the layout */
	bool docker; /* also docker's manifest.json and repositories' names */
};

/* Each image once, with all the names that were asked for.  Verifies what it reads. */
int st_export(struct st_store *store, const struct st_export_options *options,
	      struct st_image *const *images, size_t count, struct plug_error *err);

#endif
