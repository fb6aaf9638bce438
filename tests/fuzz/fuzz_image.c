/* SPDX-License-Identifier: MIT */
/*
 * The documents of images, and names: the first byte says as which one.  What is accepted holds what the
 * headers promise, and what is refused says why.
 */
#include "image/name.h"
#include "image/oci.h"
#include "image/sha.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool good)
{
	if (!good)
		abort();
}

static void refused(const struct plug_error *err)
{
	require(err->code < 0 && *err->text && memchr(err->text, 0, sizeof(err->text)));
}

static void descriptor_good(const struct st_descriptor *d)
{
	require(st_digest_valid(d->digest) && d->media && (!d->name || *d->name));
	require(memchr(d->platform.os, 0, sizeof(d->platform.os)) != NULL);
}

static void try_manifest(const char *text, size_t size)
{
	struct plug_error err = { 0 };
	struct st_platform host;
	struct st_manifest m;

	if (st_manifest_parse(text, size, "fuzz", &m, &err)) {
		refused(&err);
		return;
	}
	st_platform_host(&host);
	require(m.count <= (m.kind == ST_DOCUMENT_INDEX ? ST_INDEX_MAX : ST_LAYERS_MAX));
	if (m.kind == ST_DOCUMENT_MANIFEST)
		descriptor_good(&m.config);
	for (size_t i = 0; i < m.count; i++) {
		descriptor_good(&m.items[i]);
		require(st_platform_match(&host, &m.items[i].platform) >= 0);
	}
	st_manifest_finish(&m);
}

static void try_config(const char *text, size_t size)
{
	struct plug_error err = { 0 };
	struct st_config c;

	if (st_config_parse(text, size, "fuzz", &c, &err)) {
		refused(&err);
		return;
	}
	require(c.count <= ST_LAYERS_MAX);
	for (size_t i = 0; i < c.count; i++)
		require(st_digest_valid(c.diffs[i]));
	st_config_finish(&c);
}

static void try_docker(const char *text, size_t size)
{
	struct st_docker_image *images;
	struct plug_error err = { 0 };
	size_t count;

	if (st_docker_parse(text, size, &images, &count, &err)) {
		refused(&err);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		require(images[i].config && *images[i].config != '/');
		for (size_t k = 0; k < images[i].layer_count; k++)
			require(*images[i].layers[k] != '/');
	}
	st_docker_free(images, count);
}

/* A whole name is itself; what stands in JSON unescaped must not need it. */
static void try_name(const char *text)
{
	struct st_reference r, again;
	struct plug_error err = { 0 };
	char file[256], *name;

	st_name_escape(text, file);
	require(strlen(file) < 256 && !strchr(file, '/') && *file != '.');
	if (st_reference_parse(text, &r, &err)) {
		refused(&err);
		return;
	}
	name = st_reference_name(&r);
	require(name && !strpbrk(name, "\"\\") && !st_reference_parse(name, &again, &err));
	require(!strcmp(again.repository, r.repository) && again.qualified);
	require(!strcmp(st_name_familiar(name) + strlen(st_name_familiar(name)), ""));
	st_reference_finish(&again);
	st_reference_finish(&r);
	free(name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct st_platform p;
	struct plug_error err = { 0 };
	char *text;

	if (!size || !(text = malloc(size)))
		return 0;
	memcpy(text, data + 1, size - 1);
	text[size - 1] = 0;
	switch (data[0]) {
	case 'm':
		try_manifest(text, size - 1);
		break;
	case 'c':
		try_config(text, size - 1);
		break;
	case 'd':
		try_docker(text, size - 1);
		break;
	case 'p':
		if (st_platform_parse(text, &p, &err))
			refused(&err);
		break;
	default:
		try_name(text);
	}
	free(text);
	return 0;
}
