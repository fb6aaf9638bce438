/* SPDX-License-Identifier: MIT */
/*
 * The store of images: blobs as they came, layers unpacked, names, and who uses what.
 *
 *   lock                 flock: exclusive while names, refs, blobs or layers come or go, never for long
 *   blobs/sha256/HEX     manifests, configurations and layers as they came
 *   layers/HEX           one layer by its chain id: layer.json and fs/ (or a packed image)
 *   names/NAME           a name (or, for an image without one, its digest) and its manifest's digest
 *   refs/OWNER           what a container or a mount uses; @OWNER: a link to a manifest (use.c)
 *   tmp/UUID             in the making; whoever makes it holds a lock on the file "lock" in it
 *
 * What is there is complete: it was made in tmp/, synced, renamed, and the directory synced.  What a
 * name, a ref or somebody at work uses is never removed.  Several processes and threads may use one
 * store at once.  Functions return 0 or a negative errno, with the reason in err (which may be NULL);
 * all of them may block.
 */
#ifndef ST_IMAGE_STORE_H
#define ST_IMAGE_STORE_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ST_DIGEST_SIZE 72   /* "sha256:", 64 digits, NUL */
#define ST_LAYERS_MAX 128   /* of one image */
#define ST_JSON_MAX (4 << 20) /* of one manifest, index or configuration, in bytes */

struct st_store;
struct st_work;

enum st_layer_kind {
	ST_LAYER_DIR, /* fs/ is a directory as overlayfs wants it */
	ST_LAYER_EROFS,
	ST_LAYER_SQUASHFS,
	ST_LAYER_EXT4,
	ST_LAYER_KIND_COUNT,
};

struct st_layer {
	char chain[ST_DIGEST_SIZE]; /* chain id (OCI image-spec, config.md, "Layer ChainID") */
	char diff[ST_DIGEST_SIZE];
	char parent[ST_DIGEST_SIZE]; /* chain id; "" at the base */
	enum st_layer_kind kind;
	uint64_t size; /* bytes of its files, unpacked */
	char *path;    /* absolute: the directory fs/, or the packed image */
};

/* When names, blobs and layers came or went last; whether what comes next can be told from that. */
struct st_mark {
	int64_t names, blobs, layers;
	bool settled;
};

struct st_image {
	struct st_mark mark;         /* from before it was read */
	char digest[ST_DIGEST_SIZE]; /* of the manifest */
	char id[ST_DIGEST_SIZE];     /* of the configuration: what docker calls the image's id */
	char *name;                  /* whole: "docker.io/library/busybox:latest"; NULL: it has none */
	char *config;                /* the OCI image configuration, JSON */
	struct st_layer *layers;     /* base first */
	size_t layer_count;
	uint64_t size; /* of its layers together */
};

/* Opens or makes the store in the directory dir, whose parent exists. */
int st_store_open(const char *dir, struct st_store **ret, struct plug_error *err);
void st_store_close(struct st_store *store); /* NULL is fine */
const char *st_store_dir(const struct st_store *store);

/*
 * Find an image by name ("busybox", "quay.io/a/b:1", "busybox@sha256:…"), by id or digest, whole or the
 * first digits of it.  A name without a registry is looked for as docker does and then in
 * "localhost/".  -ENOENT: "image NAME: not in the store"; -EEXIST: the digits fit several.
 */
int st_store_resolve(struct st_store *store, const char *reference, struct st_image **ret,
		     struct plug_error *err);
void st_image_free(struct st_image *image); /* NULL is fine */

/*
 * Keep an image for an owner (a container's id, a mount) until unref, over restarts and reboots.  The
 * same owner again replaces.  -ENOENT: it was removed in the meantime.
 */
int st_store_ref(struct st_store *store, const char *owner, const struct st_image *image,
		 struct plug_error *err);
/* May be asked at any time: it reads nothing.  Unchanged: all that was there is there. */
void st_store_mark(struct st_store *store, struct st_mark *ret);
bool st_store_unchanged(struct st_store *store, const struct st_mark *mark);
/*
 * As st_store_ref(), until unref or until the owner's own directory PATH/OWNER (absolute) is gone.  It
 * is not on the disk before st_store_sync_refs().  now: nothing is read or waited for: -ESTALE where the
 * store has changed since the image was read, -EWOULDBLOCK where somebody else is at it.  -ENOENT: it was
 * removed in the meantime.  Others: it cannot be kept in this way.
 */
int st_store_use(struct st_store *store, const char *owner, const char *dir,
		 const struct st_image *image, bool now);
int st_store_sync_refs(struct st_store *store);
/* Keep layers, by chain id, with all below them. */
int st_store_ref_layers(struct st_store *store, const char *owner, const char *const *chains,
			size_t count, struct plug_error *err);
/* No longer; no such owner is success. */
int st_store_unref(struct st_store *store, const char *owner, struct plug_error *err);

/* One layer by chain id; strings of ret are freed by st_layer_finish().  -ENOENT: not there. */
int st_store_layer(struct st_store *store, const char *chain, struct st_layer *ret,
		   struct plug_error *err);
void st_layer_finish(struct st_layer *layer);
/* The chain id of a layer over parent ("" for none): sha256(parent + " " + diff). */
void st_chain_id(const char *parent, const char *diff, char ret[ST_DIGEST_SIZE]);
/* "sha256:" and 64 lower case digits. */
bool st_digest_valid(const char *digest);

/*
 * Work: a directory of one's own in tmp/, swept by others once its maker is dead.  What it uses, or has
 * added, is kept by gc until st_work_end().  One work may be used by several threads.
 */
int st_work_begin(struct st_store *store, struct st_work **ret, struct plug_error *err);
/* Removes what was not committed.  NULL is fine. */
void st_work_end(struct st_work *work);
int st_work_dirfd(const struct st_work *work);
/* Of a name in the work's directory, absolute; to be freed, NULL: no memory. */
char *st_work_path(const struct st_work *work, const char *name);
/* Keep a blob or a layer from now on.  -ENOENT: it is not there. */
int st_work_use_blob(struct st_work *work, const char *digest);
int st_work_use_layer(struct st_work *work, const char *chain);
/* A name for a new file or directory in the work's directory: "PREFIX-1". */
void st_work_name(struct st_work *work, const char *prefix, char *ret, size_t size);
/* A new directory for a layer and in it fs/, open; close *ret_fs. */
int st_work_layer(struct st_work *work, char *ret_name, size_t size, int *ret_fs,
		  struct plug_error *err);
/* What commit will publish; names are relative to the work's directory. */
int st_work_add_blob(struct st_work *work, const char *name, const char *digest);
int st_work_add_layer(struct st_work *work, const char *name, const struct st_layer *layer,
		      struct plug_error *err);
/* name NULL: the image is kept by its digest alone. */
int st_work_add_name(struct st_work *work, const char *name, const char *digest);
/*
 * Syncs, then makes all that was added visible: blobs, layers, names, in this order.  What is there
 * already is shared.  After an error some of it may be visible, but no name.
 */
int st_work_commit(struct st_work *work, struct plug_error *err);

struct st_freed {
	uint64_t bytes;
	size_t blobs, layers, works;
	/* Chain ids and blob digests, told as they go; may be NULL. */
	void (*removed)(void *arg, const char *kind, const char *digest);
	void *arg;
};
/*
 * Remove what nothing uses, and what dead makers left.  only: a manifest's digest: nothing but what
 * that image had; NULL: everything.  The caller sets freed->removed and arg.
 */
int st_store_gc(struct st_store *store, const char *only, struct st_freed *freed,
		struct plug_error *err);
/* Only what dead makers left. */
int st_store_sweep(struct st_store *store, struct st_freed *freed, struct plug_error *err);

/* One name of the store. */
struct st_name {
	char *name; /* NULL: an image without a name */
	char digest[ST_DIGEST_SIZE];
};
/* All names, sorted; free with st_names_free(). */
int st_store_names(struct st_store *store, struct st_name **ret, size_t *ret_count,
		   struct plug_error *err);
void st_names_free(struct st_name *names, size_t count);
/* name: whole.  -ENOENT: there is none. */
int st_store_untag(struct st_store *store, const char *name, struct plug_error *err);
int st_store_tag(struct st_store *store, const char *name, const char *digest,
		 struct plug_error *err);

struct st_ref {
	char *owner;
	char digest[ST_DIGEST_SIZE]; /* "": layers only */
	char **chains;
	size_t chain_count;
};
int st_store_refs(struct st_store *store, struct st_ref **ret, size_t *ret_count,
		  struct plug_error *err);
void st_refs_free(struct st_ref *refs, size_t count);

/* A blob of at most ST_JSON_MAX bytes, whole and verified, NUL-terminated. */
int st_store_read_blob(struct st_store *store, const char *digest, char **ret, size_t *ret_size,
		       struct plug_error *err);
/* Any blob, to read; close *ret. */
int st_store_open_blob(struct st_store *store, const char *digest, int *ret, struct plug_error *err);

#endif
