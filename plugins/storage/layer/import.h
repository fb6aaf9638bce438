/* SPDX-License-Identifier: MIT */
/*
 * A tar becomes a layer directory: made beside its place under another name, and moved there when it is
 * whole and on disk.  What an import that died left is removed by the next one, and by
 * st_layer_remove().
 */
#ifndef ST_LAYER_IMPORT_H
#define ST_LAYER_IMPORT_H

#include "archive/stream.h"
#include "layer/chain.h"

#include <stdbool.h>

enum st_layer_os {
	ST_LAYER_OS_DETECT, /* windows where the first entry is Files, Hives or UtilityVM */
	ST_LAYER_OS_LINUX,
	ST_LAYER_OS_WINDOWS,
};

struct st_layer_import {
	const char *path; /* absolute; absent, empty, or what st_layer_create() made */
	const struct st_chain *parents;
	enum st_layer_os os;
	bool vhd; /* a Linux layer stays packed: layer.vhd, ext4 with a VHD footer */
	bool verity; /* with a dm-verity tree between them */
	st_read_cb read; /* plain, gzip or zstd; called on a thread of its own */
	void *arg;
};

struct st_layer_imported {
	/* Sum of the sizes of regular files: no links, no alternate streams (hcs-behaviour.md §5.5). */
	uint64_t size;
	bool windows;
	char diff_id[ST_DIGEST_MAX];
};

/* All or nothing.  -EBUSY: another import of it is under way. */
int st_layer_import(const struct st_layer_import *import, struct st_layer_imported *ret,
		    struct plug_error *err);

/* CreateLayer: an empty read-only layer. */
int st_layer_create(const char *path, const struct st_chain *parents, struct plug_error *err);

#endif
