/* SPDX-License-Identifier: MIT */
/*
 * The documents of images: OCI image-spec 1.1 (image-layout.md, image-index.md, manifest.md, config.md),
 * docker's schema 2, and the manifest.json of `docker save`.  Pure: text in, structure or reason out.
 */
#ifndef ST_IMAGE_OCI_H
#define ST_IMAGE_OCI_H

#include "common/json.h"
#include "image/store.h"

#define ST_MEDIA_INDEX "application/vnd.oci.image.index.v1+json"
#define ST_MEDIA_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define ST_MEDIA_CONFIG "application/vnd.oci.image.config.v1+json"
#define ST_MEDIA_LAYER "application/vnd.oci.image.layer.v1.tar"
#define ST_INDEX_MAX 1024 /* descriptors of one index */

/* "linux/arm/v7"; empty parts: not said. */
struct st_platform {
	char os[16], arch[16], variant[16];
};
/* "OS/ARCH[/VARIANT]", also "ARCH"; aliases as containerd knows them (x86_64, aarch64). */
int st_platform_parse(const char *text, struct st_platform *ret, struct plug_error *err);
/* This machine. */
void st_platform_host(struct st_platform *ret);
/* How well an image for `is` suits `want`: 0 not at all, more is better. */
int st_platform_match(const struct st_platform *want, const struct st_platform *is);
/* "linux/amd64" */
void st_platform_text(const struct st_platform *p, char ret[64]);

struct st_descriptor {
	char digest[ST_DIGEST_SIZE];
	uint64_t size;
	char *media; /* "" where there is none */
	char *name;  /* of an index's member, from its annotations: the whole name, or what there is */
	struct st_platform platform;
	bool has_platform;
	bool attestation; /* says something about another manifest, is no image */
};

enum st_document {
	ST_DOCUMENT_INDEX,
	ST_DOCUMENT_MANIFEST,
};

struct st_manifest {
	enum st_document kind;
	struct st_descriptor config;  /* of a manifest */
	struct st_descriptor *items;  /* of a manifest its layers, base first; of an index its members */
	size_t count;
};
/* what: the document's name in errors.  Layers are at most ST_LAYERS_MAX. */
int st_manifest_parse(const char *text, size_t size, const char *what, struct st_manifest *ret,
		      struct plug_error *err);
void st_manifest_finish(struct st_manifest *m);

struct st_config {
	struct st_platform platform;
	char (*diffs)[ST_DIGEST_SIZE]; /* base first */
	size_t count;
};
int st_config_parse(const char *text, size_t size, const char *what, struct st_config *ret,
		    struct plug_error *err);
void st_config_finish(struct st_config *c);

/* One image of a docker archive: paths within the archive. */
struct st_docker_image {
	char *config;
	char **layers;
	size_t layer_count;
	char **tags;
	size_t tag_count;
};
/* manifest.json.  -EINVAL for a path that leaves the archive. */
int st_docker_parse(const char *text, size_t size, struct st_docker_image **ret, size_t *ret_count,
		    struct plug_error *err);
void st_docker_free(struct st_docker_image *images, size_t count);

/* An OCI manifest for what came without one, to be freed; the same parts give the same bytes. */
char *st_manifest_make(const struct st_descriptor *config, const struct st_descriptor *layers,
		       size_t count);

#endif
