/* SPDX-License-Identifier: MIT */
#include "image/oci.h"
#include "common/util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SIZE_MAX_BLOB ((int64_t)1 << 42)

static void descriptor_finish(struct st_descriptor *d)
{
	free(d->media);
	free(d->name);
}

static void text_keep(char *to, size_t size, const char *from)
{
	if (from && strlen(from) < size)
		(void)strcpy(to, from);
}

static void platform_read(struct json_object *o, struct st_platform *ret)
{
	text_keep(ret->os, sizeof(ret->os), plug_json_string(o, "os"));
	text_keep(ret->arch, sizeof(ret->arch), plug_json_string(o, "architecture"));
	text_keep(ret->variant, sizeof(ret->variant), plug_json_string(o, "variant"));
}

/* containerd and docker keep the whole name beside the specification's, which may be a mere tag. */
static const char *annotated_name(struct json_object *annotations)
{
	const char *name = plug_json_string(annotations, "io.containerd.image.name");

	return name && *name ? name
			     : plug_json_string(annotations, "org.opencontainers.image.ref.name");
}

static int descriptor_read(struct json_object *o, const char *what, struct st_descriptor *ret,
			   struct plug_error *err)
{
	const char *digest = plug_json_string(o, "digest"), *media = plug_json_string(o, "mediaType");
	struct json_object *platform = plug_json_get(o, "platform"),
			   *annotations = plug_json_get(o, "annotations");
	const char *name = annotated_name(annotations);
	int64_t size = plug_json_number(o, "size");

	if (!digest)
		return plug_error_set(err, -EBADMSG, "%s: a descriptor without a digest", what);
	if (!st_digest_valid(digest))
		return plug_error_set(err, -EBADMSG, "%s: \"%.80s\" is not a SHA-256 digest", what,
				      digest);
	if (size < 0 || size > SIZE_MAX_BLOB)
		return plug_error_set(err, -EBADMSG, "%s: %s: no size, or an impossible one", what,
				      digest);
	*ret = (struct st_descriptor){ .size = (uint64_t)size, .media = strdup(media ? media : "") };
	(void)strcpy(ret->digest, digest);
	if (name && *name)
		ret->name = strdup(name);
	if (!ret->media || (name && *name && !ret->name)) {
		descriptor_finish(ret);
		return plug_error_errno(err, -ENOMEM, "%s", what);
	}
	ret->has_platform = json_object_is_type(platform, json_type_object);
	platform_read(platform, &ret->platform);
	ret->attestation = plug_json_string(annotations, "vnd.docker.reference.type") != NULL ||
			   !strcmp(ret->platform.os, "unknown");
	return 0;
}

static int descriptors_read(struct json_object *array, size_t max, const char *what,
			    struct st_manifest *m, struct plug_error *err)
{
	size_t n = plug_json_length(array);

	if (!json_object_is_type(array, json_type_array))
		return plug_error_set(err, -EBADMSG, "%s: no list of %s", what,
				      m->kind == ST_DOCUMENT_INDEX ? "manifests" : "layers");
	if (n > max)
		return plug_error_set(err, -E2BIG, "%s: has %zu %s, at most %zu are possible", what, n,
				      m->kind == ST_DOCUMENT_INDEX ? "manifests" : "layers", max);
	m->items = calloc(n + 1, sizeof(*m->items));
	if (!m->items)
		return plug_error_errno(err, -ENOMEM, "%s", what);
	for (size_t i = 0; i < n; i++) {
		int r = descriptor_read(json_object_array_get_idx(array, i), what, &m->items[i],
					err);

		if (r < 0)
			return r;
		m->count++;
	}
	return 0;
}

static bool is_image_config(const char *media)
{
	return !*media || !strcmp(media, ST_MEDIA_CONFIG) ||
	       !strcmp(media, "application/vnd.docker.container.image.v1+json");
}

static int manifest_read(struct json_object *root, const char *what, struct st_manifest *m,
			 struct plug_error *err)
{
	int64_t version = plug_json_number(root, "schemaVersion");
	struct json_object *config = plug_json_get(root, "config");
	int r;

	if (version != 2)
		return plug_error_set(err, -EBADMSG, "%s: schema version %s, only 2 is supported",
				      what, version == 1 ? "1" : "is missing or unknown");
	if (plug_json_get(root, "manifests") && config)
		return plug_error_set(err, -EBADMSG,
				      "%s: both an index and a manifest (CVE-2021-41190)", what);
	if (plug_json_get(root, "manifests")) {
		m->kind = ST_DOCUMENT_INDEX;
		return descriptors_read(plug_json_get(root, "manifests"), ST_INDEX_MAX, what, m, err);
	}
	m->kind = ST_DOCUMENT_MANIFEST;
	if (!config)
		return plug_error_set(err, -EBADMSG, "%s: neither an index nor a manifest", what);
	r = descriptor_read(config, what, &m->config, err);
	if (r == 0 && !is_image_config(m->config.media))
		r = plug_error_set(err, -EBADMSG, "%s: not a container image but %.100s", what,
				   m->config.media);
	if (r == 0)
		r = descriptors_read(plug_json_get(root, "layers"), ST_LAYERS_MAX, what, m, err);
	return r;
}

int st_manifest_parse(const char *text, size_t size, const char *what, struct st_manifest *ret,
		      struct plug_error *err)
{
	_cleanup_json_ struct json_object *root = NULL;
	struct st_manifest m = { 0 };
	int r = plug_json_parse(text, size, what, &root, err);

	if (r < 0)
		return r;
	if (!json_object_is_type(root, json_type_object))
		return plug_error_set(err, -EBADMSG, "%s: not an object", what);
	r = manifest_read(root, what, &m, err);
	if (r < 0)
		st_manifest_finish(&m);
	else
		*ret = m;
	return r;
}

void st_manifest_finish(struct st_manifest *m)
{
	descriptor_finish(&m->config);
	for (size_t i = 0; i < m->count; i++)
		descriptor_finish(&m->items[i]);
	free(m->items);
	*m = (struct st_manifest){ 0 };
}

int st_config_parse(const char *text, size_t size, const char *what, struct st_config *ret,
		    struct plug_error *err)
{
	_cleanup_json_ struct json_object *root = NULL;
	struct json_object *rootfs, *diffs;
	struct st_config c = { 0 };
	size_t n;
	int r = plug_json_parse(text, size, what, &root, err);

	if (r < 0)
		return r;
	rootfs = plug_json_get(root, "rootfs");
	diffs = plug_json_get(rootfs, "diff_ids");
	n = plug_json_length(diffs);
	if (!rootfs || (diffs && !json_object_is_type(diffs, json_type_array) &&
			!json_object_is_type(diffs, json_type_null)))
		return plug_error_set(err, -EBADMSG, "%s: no rootfs with a list of diff_ids", what);
	if (n > ST_LAYERS_MAX)
		return plug_error_set(err, -E2BIG, "%s: has %zu layers, at most %d are possible", what,
				      n, ST_LAYERS_MAX);
	c.diffs = calloc(n + 1, sizeof(*c.diffs));
	if (!c.diffs)
		return plug_error_errno(err, -ENOMEM, "%s", what);
	for (; c.count < n; c.count++) {
		struct json_object *one = json_object_array_get_idx(diffs, c.count);
		const char *digest = json_object_is_type(one, json_type_string)
					     ? json_object_get_string(one)
					     : "";

		if (!st_digest_valid(digest)) {
			free(c.diffs);
			return plug_error_set(err, -EBADMSG,
					      "%s: diff id \"%.80s\" is not a SHA-256 digest", what,
					      digest);
		}
		(void)strcpy(c.diffs[c.count], digest);
	}
	platform_read(root, &c.platform);
	*ret = c;
	return 0;
}

void st_config_finish(struct st_config *c)
{
	free(c->diffs);
	*c = (struct st_config){ 0 };
}

static void descriptor_write(char **p, const struct st_descriptor *d, const char *media)
{
	*p += sprintf(*p, "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%llu}", media, d->digest,
		      (unsigned long long)d->size);
}

char *st_manifest_make(const struct st_descriptor *config, const struct st_descriptor *layers,
		       size_t count)
{
	char *text = malloc(512 + 256 * (count + 1)), *p = text;

	if (!text)
		return NULL;
	p += sprintf(p, "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"config\":", ST_MEDIA_MANIFEST);
	descriptor_write(&p, config, ST_MEDIA_CONFIG);
	p += sprintf(p, ",\"layers\":[");
	for (size_t i = 0; i < count; i++) {
		p += sprintf(p, "%s", i ? "," : "");
		descriptor_write(&p, &layers[i], layers[i].media);
	}
	(void)sprintf(p, "]}");
	return text;
}
