/* SPDX-License-Identifier: MIT */
/* Specs to try an allocator with. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/strbuf.h"
#include "host/check.h"
#include "spec/json.h"

#include <errno.h>
#include <string.h>

#define SAMPLES_FILE_MAX (4u << 20)

static const char *const builtin[] = {
	/* The least there is. */
	"{\"ociVersion\":\"1.0.2\",\"process\":{\"args\":[\"/bin/true\"],\"cwd\":\"/\"},"
	"\"root\":{\"path\":\"rootfs\"}}",
	/* What most are like. */
	"{\"ociVersion\":\"1.0.2\",\"process\":{\"terminal\":false,\"user\":{\"uid\":0,\"gid\":0},"
	"\"args\":[\"/bin/sh\",\"-c\",\"exit 0\"],\"env\":[\"PATH=/bin\"],\"cwd\":\"/\"},"
	"\"root\":{\"path\":\"rootfs\",\"readonly\":true},\"hostname\":\"check\","
	"\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"},"
	"{\"destination\":\"/tmp\",\"type\":\"tmpfs\",\"source\":\"tmpfs\",\"options\":[\"nosuid\"]}],"
	"\"annotations\":{\"org.example.note\":\"a, \\\"b\\\"\"},"
	"\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"mount\"},{\"type\":\"network\"},"
	"{\"type\":\"ipc\"},{\"type\":\"uts\"}],\"cgroupsPath\":\"/check\","
	"\"resources\":{\"memory\":{\"limit\":67108864},\"cpu\":{\"shares\":512}}}}",
	/* One of another world. */
	"{\"ociVersion\":\"1.0.2\",\"process\":{\"args\":[\"cmd\",\"/c\",\"exit\"],\"cwd\":\"C:\\\\\"},"
	"\"root\":{},\"windows\":{\"layerFolders\":[\"C:\\\\layers\\\\1\",\"C:\\\\scratch\"],"
	"\"hyperv\":{},\"resources\":{\"memory\":{\"limit\":67108864}}}}",
};

void check_samples_finish(struct check_samples *samples)
{
	for (uint32_t i = 0; i < samples->count; i++)
		free(samples->specs[i]);
	free(samples->specs);
	*samples = (struct check_samples){ 0 };
}

static int samples_add(struct check_samples *samples, const char *spec)
{
	char **specs = reallocarray(samples->specs, samples->count + 1, sizeof(*specs));

	if (!specs)
		return -ENOMEM;
	samples->specs = specs;
	specs[samples->count] = strdup(spec);
	if (!specs[samples->count])
		return -ENOMEM;
	samples->count++;
	return 0;
}

/* "x.so" -> "x.check.json" */
static char *own_file(const char *plugin)
{
	size_t n = strlen(plugin);

	if (n > 3 && strcmp(plugin + n - 3, ".so") == 0)
		n -= 3;
	return cow_asprintf("%.*s.check.json", (int)n, plugin);
}

static int samples_add_own(struct check_samples *samples, const char *plugin, struct cow_error *err)
{
	_cleanup_free_ char *path = own_file(plugin), *text = NULL;
	struct json_object *array;
	size_t len;
	int rc;

	if (!path)
		return -ENOMEM;
	rc = cow_fs_read(path, SAMPLES_FILE_MAX, &text, &len);
	if (rc < 0)
		return rc == -ENOENT ? 0 : cow_error_errno(err, rc, "%s", path);
	rc = cow_json_parse(path, text, len, &array, err);
	if (rc < 0)
		return rc;
	if (!json_object_is_type(array, json_type_array))
		rc = cow_error_set(err, -EINVAL, "%s: not an array of specs", path);
	for (size_t i = 0; rc == 0 && i < json_object_array_length(array); i++)
		rc = samples_add(samples, json_object_to_json_string(json_object_array_get_idx(array, i)));
	json_object_put(array);
	return rc;
}

int check_samples_read(const char *plugin, struct check_samples *ret, struct cow_error *err)
{
	struct check_samples samples = { 0 };
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < COW_ELEMENTS(builtin); i++)
		rc = samples_add(&samples, builtin[i]);
	if (rc == 0)
		rc = samples_add_own(&samples, plugin, err);
	if (rc < 0) {
		check_samples_finish(&samples);
		return cow_error_errno(err, rc, "sample specs");
	}
	*ret = samples;
	return 0;
}
