/* SPDX-License-Identifier: MIT */
/* The manifest.json of `docker save`, docker's own format: a list of images by paths. */
#include "image/oci.h"
#include "common/util.h"

#include <errno.h>
#include <string.h>

/* A path within the archive, without "./" and doubled slashes; -EINVAL where it would leave it. */
static int path_copy(struct json_object *value, char **ret, struct plug_error *err)
{
	const char *text = json_object_is_type(value, json_type_string)
				   ? json_object_get_string(value)
				   : NULL;

	if (!text || !*text || *text == '/' || strlen(text) > 4096 || !strncmp(text, "../", 3) ||
	    strstr(text, "/../"))
		return plug_error_set(err, -EINVAL, "manifest.json: \"%.100s\" is not a path within it",
				      text ? text : "null");
	*ret = strdup(text);
	return *ret ? 0 : plug_error_errno(err, -ENOMEM, "manifest.json");
}

static int list_read(struct json_object *array, size_t max, bool paths, char ***ret,
		     size_t *ret_count, struct plug_error *err)
{
	size_t n = plug_json_length(array);

	if (n > max)
		return plug_error_set(err, -E2BIG, "manifest.json: a list of %zu, at most %zu are possible",
				      n, max);
	*ret = calloc(n + 1, sizeof(**ret));
	if (!*ret)
		return plug_error_errno(err, -ENOMEM, "manifest.json");
	for (size_t i = 0; i < n; i++) {
		struct json_object *one = json_object_array_get_idx(array, i);
		int r = 0;

		if (paths) {
			r = path_copy(one, &(*ret)[i], err);
		} else if (!json_object_is_type(one, json_type_string)) {
			r = plug_error_set(err, -EBADMSG, "manifest.json: a tag that is no text");
		} else {
			(*ret)[i] = strdup(json_object_get_string(one));
			r = (*ret)[i] ? 0 : plug_error_errno(err, -ENOMEM, "manifest.json");
		}
		if (r < 0)
			return r;
		++*ret_count;
	}
	return 0;
}

static int image_read(struct json_object *o, struct st_docker_image *image, struct plug_error *err)
{
	int r = path_copy(plug_json_get(o, "Config"), &image->config, err);

	if (r == 0)
		r = list_read(plug_json_get(o, "Layers"), ST_LAYERS_MAX, true, &image->layers,
			      &image->layer_count, err);
	if (r == 0)
		r = list_read(plug_json_get(o, "RepoTags"), ST_INDEX_MAX, false, &image->tags,
			      &image->tag_count, err);
	return r;
}

int st_docker_parse(const char *text, size_t size, struct st_docker_image **ret, size_t *ret_count,
		    struct plug_error *err)
{
	_cleanup_json_ struct json_object *root = NULL;
	struct st_docker_image *images;
	size_t n;
	int r = plug_json_parse(text, size, "manifest.json", &root, err);

	if (r < 0)
		return r;
	n = plug_json_length(root);
	if (!n || n > ST_INDEX_MAX)
		return plug_error_set(err, -EBADMSG, "manifest.json: not a list of 1 to %d images",
				      ST_INDEX_MAX);
	images = calloc(n, sizeof(*images));
	if (!images)
		return plug_error_errno(err, -ENOMEM, "manifest.json");
	for (size_t i = 0; r == 0 && i < n; i++)
		r = image_read(json_object_array_get_idx(root, i), &images[i], err);
	if (r < 0) {
		st_docker_free(images, n);
		return r;
	}
	*ret = images;
	*ret_count = n;
	return 0;
}

void st_docker_free(struct st_docker_image *images, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(images[i].config);
		for (size_t k = 0; k < images[i].layer_count; k++)
			free(images[i].layers[k]);
		for (size_t k = 0; k < images[i].tag_count; k++)
			free(images[i].tags[k]);
		free(images[i].layers);
		free(images[i].tags);
	}
	free(images);
}
