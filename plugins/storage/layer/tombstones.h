/* SPDX-License-Identifier: MIT */
/* tombstones.txt of the transport format: what a layer removes below Files. */
#ifndef ST_LAYER_TOMBSTONES_H
#define ST_LAYER_TOMBSTONES_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>

struct tombstones {
	struct tombstone {
		char *dir, *name; /* "Files/a" and "b"; one allocation */
		bool told;
	} *one; /* by dir, then by name */
	size_t count;
};

/* No file: none.  -EBADMSG: "invalid tombstones file", or a line that leads out of Files. */
int tombstones_read(int dir, struct tombstones *ret, struct plug_error *err);
/* The first one in dir, or where it would be. */
size_t tombstones_of(const struct tombstones *tombstones, const char *dir);
void tombstones_finish(struct tombstones *tombstones);

#endif
