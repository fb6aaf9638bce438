/* SPDX-License-Identifier: MIT */
#include "rootfs/plan.h"

#include "common/json.h"
#include "common/util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SPEC_MAX (32u << 20)

static void strings_free(char **strings)
{
	for (char **s = strings; s && *s; s++)
		free(*s);
	free(strings);
}

void st_plan_finish(struct st_plan *p)
{
	free(p->container);
	free(p->run_dir);
	free(p->state_dir);
	free(p->bundle);
	free(p->digest);
	strings_free(p->volumes);
	strings_free(p->folders);
	free(p->share);
	free(p->sandbox);
	json_object_put(p->mounts);
	*p = (struct st_plan){ 0 };
}

char *st_path_join(const char *dir, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s", dir, name) < 0 ? NULL : path;
}

char *st_path_clean(const char *path)
{
	char *clean = malloc(strlen(path) + 2), *end = clean;

	if (!clean)
		return NULL;
	while (*path) {
		size_t n = strcspn(path, "/");

		if (n == 2 && path[0] == '.' && path[1] == '.') {
			while (end > clean && *--end != '/')
				;
		} else if (n && !(n == 1 && path[0] == '.')) {
			*end++ = '/';
			(void)memcpy(end, path, n);
			end += n;
		}
		path += n;
		path += strspn(path, "/");
	}
	if (end == clean)
		*end++ = '/';
	*end = '\0';
	return clean;
}

int st_size_parse(const char *text, uint64_t *ret)
{
	static const char units[] = "kmgtp";
	unsigned shift = 0;
	const char *unit;
	uint64_t value;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno)
		return -EINVAL;
	unit = *end ? strchr(units, *end | 0x20) : NULL;
	if (unit) {
		shift = 10 * (unsigned)(unit - units + 1);
		end++;
		if ((*end | 0x20) == 'i')
			end++;
	}
	if ((*end | 0x20) == 'b')
		end++;
	if (*end || value == 0 || value > UINT64_MAX >> shift)
		return -EINVAL;
	*ret = value << shift;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted, so that one comes before those below it; twice the same place is one. */
static int read_volumes(struct st_plan *p, struct json_object *config)
{
	struct json_object *volumes = plug_json_get(config, "Volumes");
	size_t n = 0, kept = 0;

	if (!json_object_is_type(volumes, json_type_object))
		return 0;
	p->volumes = calloc((size_t)json_object_object_length(volumes) + 1, sizeof(char *));
	if (!p->volumes)
		return -ENOMEM;
	json_object_object_foreach(volumes, path, value) {
		(void)value;
		p->volumes[n] = st_path_clean(path);
		if (!p->volumes[n])
			return -ENOMEM;
		n++;
	}
	qsort(p->volumes, n, sizeof(char *), by_name);
	for (size_t i = 0; i < n; i++) {
		if (strcmp(p->volumes[i], "/") == 0 ||
		    (kept && strcmp(p->volumes[i], p->volumes[kept - 1]) == 0))
			free(p->volumes[i]);
		else
			p->volumes[kept++] = p->volumes[i];
	}
	p->volumes[kept] = NULL;
	return 0;
}

static int read_image(struct st_plan *p, struct json_object *options, struct plug_error *err)
{
	struct json_object *resolved = plug_json_get(options, "resolved");
	const char *digest = plug_json_string(resolved, "digest");
	const char *size = plug_json_string(plug_json_get(options, "storage_opt"), "size");
	struct json_object *storage = plug_json_get(options, "storage_opt");

	if (!digest)
		return 0;
	p->root = ST_ROOT_IMAGE;
	p->digest = strdup(digest);
	if (!p->digest ||
	    read_volumes(p, plug_json_get(plug_json_get(resolved, "config"), "config")) < 0)
		return plug_error_set(err, -ENOMEM, "image: out of memory");
	if (storage) {
		json_object_object_foreach(storage, key, value) {
			(void)value;
			if (strcmp(key, "size") != 0)
				return plug_error_set(err, -EINVAL, "storage_opt: unknown option: %s",
						      key);
		}
	}
	if (size && st_size_parse(size, &p->scratch_bytes) < 0)
		return plug_error_set(err, -EINVAL, "storage_opt: size: not a size like 10g: \"%s\"",
				      size);
	return 0;
}

static int read_folders(struct st_plan *p, struct json_object *folders, struct plug_error *err)
{
	size_t n = plug_json_length(folders);

	p->folders = calloc(n + 1, sizeof(char *));
	if (!p->folders)
		return plug_error_set(err, -ENOMEM, "layers: out of memory");
	for (size_t i = 0; i < n; i++) {
		struct json_object *folder = json_object_array_get_idx(folders, i);
		const char *path = json_object_is_type(folder, json_type_string) ?
					   json_object_get_string(folder) :
					   "";

		if (*path != '/')
			return plug_error_set(err, -EINVAL,
					      "failed to mount container storage: layer folder "
					      "\"%s\": not an absolute path",
					      path);
		p->folders[i] = strdup(path);
		if (!p->folders[i])
			return plug_error_set(err, -ENOMEM, "layers: out of memory");
		p->folder_count++;
	}
	return 0;
}

/* A Linux container on Windows: layers win over a path; neither is an error. */
static int read_lcow(struct st_plan *p, struct json_object *spec, struct plug_error *err)
{
	struct json_object *windows = plug_json_get(spec, "windows"),
			   *root = plug_json_get(spec, "root"), *layers, *storage;
	const char *path = plug_json_string(root, "path"), *sandbox;
	int64_t size;

	p->lcow = true;
	sandbox = plug_json_string(plug_json_get(spec, "annotations"),
				   "io.kubernetes.cri.sandbox-id");
	p->sandbox = strdup(sandbox ? sandbox : p->container);
	storage = plug_json_get(plug_json_get(windows, "resources"), "storage");
	size = plug_json_number(storage, "sandboxSize");
	if (size > 0)
		p->scratch_bytes = (uint64_t)size;
	layers = plug_json_get(windows, "layerFolders");
	if (!p->sandbox)
		return plug_error_set(err, -ENOMEM, "spec: out of memory");
	if (plug_json_length(layers)) {
		p->root = ST_ROOT_LAYERS;
		return read_folders(p, layers, err);
	}
	if (!path || !*path)
		return plug_error_set(err, -EINVAL,
				      "must provide either Windows.LayerFolders or Root.Path");
	p->root = ST_ROOT_SHARE;
	p->share_read_only = json_object_get_boolean(plug_json_get(root, "readonly"));
	p->share = strdup(path);
	return p->share ? 0 : plug_error_set(err, -ENOMEM, "spec: out of memory");
}

static int read_spec(struct st_plan *p, const char *text, struct plug_error *err)
{
	_cleanup_json_ struct json_object *spec = NULL;
	struct json_object *mounts;
	int r = 0;

	if (strlen(text) > SPEC_MAX)
		return plug_error_set(err, -E2BIG, "spec: too long");
	spec = json_tokener_parse(text);
	if (!spec)
		return plug_error_set(err, -EBADMSG, "spec: not JSON");
	mounts = plug_json_get(spec, "mounts");
	if (p->root == ST_ROOT_NONE && plug_json_get(spec, "linux") && plug_json_get(spec, "windows"))
		r = read_lcow(p, spec, err);
	if (r == 0 && json_object_is_type(mounts, json_type_array))
		p->mounts = json_object_get(mounts);
	return r;
}

/* Cheap, and never wrong in saying no. */
static bool may_want(const struct cowherd_request *request)
{
	return strstr(request->options, "\"resolved\"") || strstr(request->spec, "\"windows\"");
}

/* The spec of a container from an image, which is long, says nothing but where its volumes go. */
static bool needs_spec(const struct st_plan *p)
{
	return p->root == ST_ROOT_NONE || (p->volumes && p->volumes[0]);
}

int st_plan_read(const struct cowherd_request *request, uint64_t default_bytes, struct st_plan *ret,
		 struct plug_error *err)
{
	_cleanup_json_ struct json_object *options = NULL;
	struct st_plan p = { .scratch_bytes = default_bytes };
	int r;

	if (!may_want(request))
		return 0;
	options = json_tokener_parse(request->options);
	if (!options)
		return plug_error_set(err, -EBADMSG, "options: not JSON");
	p.container = strdup(request->container);
	p.run_dir = strdup(request->run_dir);
	p.state_dir = strdup(request->state_dir);
	p.bundle = strdup(request->bundle);
	r = p.container && p.run_dir && p.state_dir && p.bundle ? read_image(&p, options, err) :
						      plug_error_set(err, -ENOMEM, "spec: out of memory");
	if (r == 0 && needs_spec(&p))
		r = read_spec(&p, request->spec, err);
	if (r < 0 || p.root == ST_ROOT_NONE) {
		st_plan_finish(&p);
		return r;
	}
	*ret = p;
	return 1;
}
