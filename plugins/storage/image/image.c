/* SPDX-License-Identifier: MIT */
/* From a name or digest to an image: its documents, its layers, and where they are. */
#include "image/internal.h"
#include "image/name.h"
#include "image/oci.h"
#include "image/sha.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int st_store_open_blob(struct st_store *s, const char *digest, int *ret, struct plug_error *err)
{
	int fd = st_digest_valid(digest)
			 ? openat(s->blobs, st_hex(digest), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
			 : -1;

	if (fd < 0)
		return plug_error_set(err, errno == ENOENT ? -ENOENT : -errno, "blob %s: %s", digest,
				      errno == ENOENT ? "missing" : strerror(errno));
	*ret = fd;
	return 0;
}

int st_store_read_blob(struct st_store *s, const char *digest, char **ret, size_t *ret_size,
		       struct plug_error *err)
{
	char is[ST_DIGEST_SIZE];
	char *text;
	size_t size;
	int r = st_digest_valid(digest)
			? st_file_read(s->blobs, st_hex(digest), ST_JSON_MAX, &text, &size)
			: -EINVAL;

	if (r < 0)
		return plug_error_errno(err, r, "blob %s", digest);
	st_sha256_text(text, size, is);
	if (strcmp(is, digest) != 0) {
		free(text);
		return plug_error_set(err, -EUCLEAN, "blob %s: damaged: its content has the digest %s",
				      digest, is);
	}
	*ret = text;
	if (ret_size)
		*ret_size = size;
	return 0;
}

static const char *const kinds[] = { "dir", "erofs", "squashfs", "ext4" };

static enum st_layer_kind kind_of(struct json_object *o)
{
	const char *kind = plug_json_string(o, "kind");

	for (size_t i = 0; kind && i < PLUG_ELEMENTS(kinds); i++)
		if (!strcmp(kind, kinds[i]))
			return (enum st_layer_kind)i;
	return ST_LAYER_KIND_COUNT;
}

static int layer_fill(struct st_store *s, const char *chain, struct json_object *o,
		      struct st_layer *ret)
{
	const char *diff = plug_json_string(o, "diff_id"), *parent = plug_json_string(o, "parent"),
		   *id = plug_json_string(o, "chain_id");
	struct st_layer l = { .kind = kind_of(o) };
	int64_t size = plug_json_number(o, "size");

	if (!diff || !parent || !id || size < 0 || l.kind == ST_LAYER_KIND_COUNT ||
	    plug_json_number(o, "version") != 1)
		return -EUCLEAN;
	if (!st_digest_valid(diff) || (*parent && !st_digest_valid(parent)) || strcmp(id, chain))
		return -EUCLEAN;
	(void)strcpy(l.chain, chain);
	(void)strcpy(l.diff, diff);
	(void)strcpy(l.parent, parent);
	l.size = (uint64_t)size;
	if (asprintf(&l.path, "%s/layers/%s/%s", s->dir, st_hex(chain),
		     l.kind == ST_LAYER_DIR ? "fs" : "image") < 0)
		return -ENOMEM;
	*ret = l;
	return 0;
}

int st_store_layer(struct st_store *s, const char *chain, struct st_layer *ret,
		   struct plug_error *err)
{
	_cleanup_json_ struct json_object *o = NULL;
	_cleanup_free_ char *text = NULL;
	char file[ST_HEX_SIZE + 16];
	size_t size;
	int r;

	if (!st_digest_valid(chain))
		return plug_error_set(err, -EINVAL, "layer \"%.80s\": not a chain id", chain);
	(void)snprintf(file, sizeof(file), "%s/layer.json", st_hex(chain));
	r = st_file_read(s->layers, file, 4096, &text, &size);
	if (r == -ENOENT)
		return plug_error_set(err, r, "layer %s: missing", chain);
	if (r < 0)
		return plug_error_errno(err, r, "%s/layers/%s", s->dir, file);
	r = plug_json_parse(text, size, file, &o, err);
	if (r == 0)
		r = layer_fill(s, chain, o, ret);
	if (r == -EUCLEAN || r == -EBADMSG)
		return plug_error_set(err, -EUCLEAN, "%s/layers/%s: damaged", s->dir, file);
	return r;
}

void st_layer_finish(struct st_layer *l)
{
	free(l->path);
	l->path = NULL;
}

int st_layer_reach(struct st_store *s, const char *chain, struct st_set *chains,
		   struct plug_error *err)
{
	char at[ST_DIGEST_SIZE];
	int r = 0;

	(void)snprintf(at, sizeof(at), "%s", chain);
	/* A damaged store has no endless chains either. */
	for (unsigned n = 0; r == 0 && *at && n < 1024; n++) {
		struct st_layer l;

		r = st_store_layer(s, at, &l, err);
		if (r < 0)
			break;
		r = st_set_add(chains, at);
		(void)strcpy(at, l.parent);
		st_layer_finish(&l);
	}
	return r;
}

/* The two documents of an image. */
struct documents {
	struct st_manifest manifest;
	struct st_config config;
	char *config_text;
};

static void documents_finish(struct documents *d)
{
	st_manifest_finish(&d->manifest);
	st_config_finish(&d->config);
	free(d->config_text);
	d->config_text = NULL;
}

static int documents_read(struct st_store *s, const char *digest, struct documents *d,
			  struct plug_error *err)
{
	_cleanup_free_ char *text = NULL;
	size_t size;
	int r = st_store_read_blob(s, digest, &text, &size, err);

	*d = (struct documents){ 0 };
	if (r == 0)
		r = st_manifest_parse(text, size, digest, &d->manifest, err);
	if (r == 0 && d->manifest.kind != ST_DOCUMENT_MANIFEST)
		r = plug_error_set(err, -EBADMSG, "%s: an index, no image", digest);
	if (r == 0)
		r = st_store_read_blob(s, d->manifest.config.digest, &d->config_text, &size, err);
	if (r == 0)
		r = st_config_parse(d->config_text, size, d->manifest.config.digest, &d->config,
				    err);
	if (r == 0 && d->config.count != d->manifest.count)
		r = plug_error_set(err, -EBADMSG, "%s: %zu layers, but %zu diff ids", digest,
				   d->manifest.count, d->config.count);
	if (r < 0)
		documents_finish(d);
	return r;
}

int st_image_reach(struct st_store *s, const char *digest, struct st_set *blobs,
		   struct st_set *chains, struct plug_error *err)
{
	char chain[ST_DIGEST_SIZE] = "", next[ST_DIGEST_SIZE];
	struct documents d;
	int r = documents_read(s, digest, &d, err);

	if (r < 0)
		return r;
	r = st_set_add(blobs, digest);
	if (r == 0)
		r = st_set_add(blobs, d.manifest.config.digest);
	for (size_t i = 0; r == 0 && i < d.manifest.count; i++) {
		st_chain_id(chain, d.config.diffs[i], next);
		(void)strcpy(chain, next);
		r = st_set_add(blobs, d.manifest.items[i].digest) ?: st_set_add(chains, chain);
	}
	documents_finish(&d);
	return r;
}

int st_image_open(struct st_store *s, const char *digest, struct st_image **ret,
		  struct plug_error *err)
{
	struct st_image *image = calloc(1, sizeof(*image));
	struct documents d = { 0 };
	char above[ST_DIGEST_SIZE] = "", chain[ST_DIGEST_SIZE];
	int r = image ? documents_read(s, digest, &d, err)
		      : plug_error_errno(err, -ENOMEM, "image %s", digest);

	if (r == 0) {
		(void)strcpy(image->digest, digest);
		(void)strcpy(image->id, d.manifest.config.digest);
		image->config = plug_take_ptr(d.config_text);
		image->layers = calloc(d.config.count + 1, sizeof(*image->layers));
		if (!image->layers)
			r = plug_error_errno(err, -ENOMEM, "image %s", digest);
	}
	for (size_t i = 0; r == 0 && i < d.config.count; i++) {
		st_chain_id(above, d.config.diffs[i], chain);
		(void)strcpy(above, chain);
		r = st_store_layer(s, chain, &image->layers[i], err);
		if (r == 0) {
			image->layer_count++;
			image->size += image->layers[i].size;
		}
	}
	if (image)
		documents_finish(&d);
	if (r < 0)
		st_image_free(image);
	else
		*ret = image;
	return r;
}

void st_image_free(struct st_image *image)
{
	if (!image)
		return;
	for (size_t i = 0; i < image->layer_count; i++)
		st_layer_finish(&image->layers[i]);
	free(image->layers);
	free(image->name);
	free(image->config);
	free(image);
}
