/* SPDX-License-Identifier: MIT */
/* What a container wants of storage: read from a request, without looking at any file. */
#ifndef ST_ROOTFS_PLAN_H
#define ST_ROOTFS_PLAN_H

#include "common/error.h"

#include <cowherd/plugin.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_object;

enum st_root_kind {
	ST_ROOT_NONE,   /* somebody else's */
	ST_ROOT_IMAGE,
	ST_ROOT_LAYERS, /* windows.layerFolders */
	ST_ROOT_SHARE,  /* root.path of a spec for a Linux container on Windows */
};

struct st_plan {
	char *container, *run_dir, *state_dir, *bundle;
	enum st_root_kind root;
	char *digest; /* of the image */
	char **volumes; /* of the image, cleaned absolute paths, sorted; NULL-terminated */
	char **folders; /* top first, scratch last; NULL-terminated */
	size_t folder_count;
	char *share; /* root.path */
	bool share_read_only;
	bool lcow;              /* it has sections linux and windows: mounts are shares */
	char *sandbox;          /* id of the sandbox container whose mounts sandbox:// means */
	uint64_t scratch_bytes; /* the most it may write; 0: no limit */
	struct json_object *mounts; /* of the spec, its own copy; NULL: none */
};

/*
 * 1: it wants something; 0: it does not, ret is untouched.  -EINVAL with the reason.  default_bytes:
 * the limit where the request says nothing.
 */
int st_plan_read(const struct cowherd_request *request, uint64_t default_bytes, struct st_plan *ret,
		 struct plug_error *err);
void st_plan_finish(struct st_plan *plan);

/* "1g", "512M", "1048576": powers of 1024, a trailing b or ib goes.  -EINVAL. */
int st_size_parse(const char *text, uint64_t *ret);
/* An absolute path without ".", ".." and "//", clamped at "/"; to be freed. */
char *st_path_clean(const char *path);
/* DIR/NAME, to be freed. */
char *st_path_join(const char *dir, const char *name);

#endif
