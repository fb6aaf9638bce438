/* SPDX-License-Identifier: MIT */
/* What the host asks of an image: its digest, name and configuration. */
#include "rootfs/parts.h"

#include "common/json.h"
#include "image/name.h"
#include "rootfs/cache.h"
#include "common/util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int not_found(const char *reference, struct plug_error *err)
{
	struct st_reference parsed;
	_cleanup_free_ char *name = NULL;

	/* As docker says it: with the tag that was meant. */
	if (st_reference_parse(reference, &parsed, NULL) == 0) {
		name = *parsed.digest ? NULL : st_reference_name(&parsed);
		st_reference_finish(&parsed);
	}
	return plug_error_set(err, -ENOENT, "Unable to find image '%s' locally",
			      name ? st_name_familiar(name) : reference);
}

/* "linux/arm64", "linux/arm/v7": as much of it as is said. */
static int check_platform(struct json_object *config, const char *reference, const char *wanted,
			  struct plug_error *err)
{
	static const char *const keys[] = { "os", "architecture", "variant" };
	char actual[128] = "";
	const char *rest = wanted;
	bool same = true;

	for (size_t i = 0; i < PLUG_ELEMENTS(keys); i++) {
		const char *value = plug_json_string(config, keys[i]);
		size_t n = strcspn(rest, "/");

		if (value && *value)
			(void)snprintf(actual + strlen(actual), sizeof(actual) - strlen(actual),
				       "%s%.32s", i ? "/" : "", value);
		if (n && (!value || strlen(value) != n || strncmp(value, rest, n) != 0))
			same = false;
		rest += n;
		rest += *rest == '/';
	}
	if (same && !*rest)
		return 0;
	return plug_error_set(err, -ENOENT,
			      "image with reference %s was found but does not provide the specified "
			      "platform (%s): it is for %s",
			      reference, wanted, actual);
}

static int describe(const struct st_image *image, const char *reference, const char *platform,
		    struct json_object **ret, struct plug_error *err)
{
	_cleanup_json_ struct json_object *config = NULL;
	struct json_object *o;
	int r = plug_json_parse(image->config, strlen(image->config), "image configuration", &config,
				err);

	if (r == 0 && platform)
		r = check_platform(config, reference, platform, err);
	if (r < 0)
		return r;
	o = json_object_new_object();
	r = st_json_put_string(o, "digest", image->digest) ?:
		    st_json_put_string(o, "name", image->name ? image->name : image->digest) ?:
		    st_json_put(o, "config", json_object_get(config));
	if (r < 0) {
		json_object_put(o);
		return plug_error_set(err, r, "image %s: out of memory", reference);
	}
	*ret = o;
	return 0;
}

int st_image_query(const char *store_dir, const char *reference, const char *platform, char **ret,
		   struct plug_error *err)
{
	_cleanup_json_ struct json_object *answer = NULL;
	const char *said;
	char *text = NULL;
	struct st_store *store;
	struct st_image *image;
	int r;

	r = st_cache_store(store_dir, &store, err);
	if (r < 0)
		return r;
	r = st_store_resolve(store, reference, &image, err);
	if (r == -ENOENT)
		r = not_found(reference, err);
	if (r < 0)
		return r;
	r = describe(image, reference, platform, &answer, err);
	if (r == 0) {
		said = json_object_to_json_string_ext(answer, JSON_C_TO_STRING_PLAIN);
		text = said ? strdup(said) : NULL;
		r = text ? 0 : plug_error_set(err, -ENOMEM, "image %s: out of memory", reference);
	}
	if (r == 0)
		st_cache_keep_answer(reference, platform, &image->mark, text);
	if (r == 0)
		*ret = text;
	st_cache_keep(image); /* what is asked for is going to be run */
	return r;
}
