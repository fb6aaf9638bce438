/* SPDX-License-Identifier: MIT */
/*
 * A whole cowherd plugin: gives each container a directory of its own to keep things in, and tells
 * where it is in the annotation "org.example.hello.dir".  Start your allocator from here.
 */
#include <cowherd/plugin.h>
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct cowherd_host *host;
static struct cowherd_self *self;

/* {"key":"value"}, to be released with json_object_put(); NULL: out of memory. */
static json_object *object_of(const char *key, json_object *value)
{
	json_object *object = json_object_new_object();

	if (object && value && json_object_object_add(object, key, value) == 0)
		return object;
	json_object_put(value);
	json_object_put(object);
	return NULL;
}

/* What the next phases are to see: a merge patch of the spec. */
static int announce(cowherd_op op, const char *dir)
{
	json_object *annotation = object_of("org.example.hello.dir", json_object_new_string(dir));
	json_object *patch = annotation ? object_of("annotations", annotation) : NULL;
	int rc = patch ? host->patch_spec(self, op, json_object_to_json_string(patch)) : -ENOMEM;

	json_object_put(patch);
	return rc;
}

static int hello_acquire(void *arg, cowherd_op op, const struct cowherd_request *request)
{
	char dir[4096];
	json_object *record;
	int rc;

	(void)arg;
	if (snprintf(dir, sizeof(dir), "%s/hello", request->run_dir) >= (int)sizeof(dir))
		return -ENAMETOOLONG;
	/* First the ledger ... */
	record = object_of("dir", json_object_new_string(dir));
	rc = record ? host->intend(self, op, "dir", json_object_to_json_string(record)) : -ENOMEM;
	json_object_put(record);
	if (rc < 0)
		return rc;
	/* ... then the machine.  Should this fail, the host calls release with that record. */
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return -errno;
	return announce(op, dir);
}

/* From the record alone, any number of times; "already gone" is success. */
static int hello_release(void *arg, cowherd_op op, const struct cowherd_record *record)
{
	json_object *object = json_tokener_parse(record->record), *dir;
	int rc = -EINVAL;

	(void)arg, (void)op;
	if (json_object_object_get_ex(object, "dir", &dir))
		rc = rmdir(json_object_get_string(dir)) == 0 || errno == ENOENT ? 0 : -errno;
	json_object_put(object);
	return rc;
}

static int hello_init(const struct cowherd_host *the_host, struct cowherd_self *the_self)
{
	static const struct cowherd_allocator allocator = {
		.size = sizeof(allocator), .name = "hello.dir", .phase = COWHERD_PHASE_STORAGE,
		.acquire = hello_acquire, .release = hello_release,
	};

	host = the_host;
	self = the_self;
	return host->register_allocator(self, &allocator, NULL);
}

const struct cowherd_plugin *cowherd_plugin_entry(uint32_t host_major, uint32_t host_minor)
{
	static const struct cowherd_plugin plugin = {
		.size = sizeof(plugin), .abi_major = COWHERD_ABI_MAJOR, .abi_minor = COWHERD_ABI_MINOR,
		.name = "hello", .version = "1.0", .description = "A directory for each container",
		.init = hello_init,
	};

	(void)host_minor;
	return host_major == COWHERD_ABI_MAJOR ? &plugin : NULL;
}
