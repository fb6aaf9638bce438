/* SPDX-License-Identifier: MIT */
/*
 * Layers in directories that are given by their path, as wclayer and Docker's graph driver for Windows
 * have them (hcs-behaviour.md §5).  What a layer directory holds:
 *
 *   layer.json       kind and size; written last: a layer is there when this is
 *   layerchain.json  its parents (layer/chain.h)
 *   fs/              dir: the files of a Linux layer, as overlayfs has them
 *   Files/ Hives/ UtilityVM/ tombstones.txt bcd*.bak entries   windows: see layer/win.h
 *   upper/ work/     scratch: what is written on top of the parents
 *   layer.vhd        packed: an ext4 image with a VHD footer, or another one; or image, as in the store
 *
 * A directory without layer.json is a layer too: by its layer.vhd, its Files and Hives, or as it is.
 */
#ifndef ST_LAYER_LAYER_H
#define ST_LAYER_LAYER_H

#include "disk/seal.h"
#include "common/error.h"

#include <stdint.h>

enum st_layer_form {
	ST_FORM_DIR,     /* fs/ */
	ST_FORM_PLAIN,   /* the directory itself */
	ST_FORM_WINDOWS, /* Files/ */
	ST_FORM_SCRATCH, /* upper/ */
	ST_FORM_PACKED,  /* an image file */
};

struct st_layer_at {
	enum st_layer_form form;
	char *path;    /* absolute */
	char *content; /* absolute: the directory of files, or the image */
	int fd;        /* the directory (packed images given as a file: -1) */
};

/* -ENOENT and the like, as "layer PATH: cause". */
int st_layer_find(const char *path, struct st_layer_at *ret, struct plug_error *err);
void st_layer_leave(struct st_layer_at *layer); /* zeroed with fd -1: fine */
/*
 * The directory of its files, the caller's.  Packed ones are mounted where nobody else sees it, verified
 * as asked, until this descriptor and all that was opened by it are closed.
 */
int st_layer_content(const struct st_layer_at *layer, enum st_verify how, struct plug_error *err);

struct st_layer_mark {
	const char *kind;
	uint64_t size;
	const char *diff_id;        /* may be NULL */
	const struct st_seal *seal; /* of a packed image; may be NULL */
};

/* layer.json: synced, and with it all that the layer's file system holds. */
int st_layer_mark(int dirfd, const struct st_layer_mark *mark, struct plug_error *err);

/* The directory that an absolute path is in, and its last part: -EINVAL for "/" and "..". */
int st_layer_split(const char *path, int *ret_dir, const char **base, struct plug_error *err);

#endif
