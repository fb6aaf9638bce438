/* SPDX-License-Identifier: MIT */
#include "spec/tuning.h"
#include "spec/options.h"
#include "spec/values.h"

#include "base/cleanup.h"
#include "base/strbuf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static const char *const kinds[COW_NAMESPACE_COUNT + 1] = { "pid",  "ipc",    "uts",
							   "user", "cgroup", NULL };

void cow_tuning_finish(struct cow_tuning *t)
{
	cow_strv_free(t->devices);
	cow_strv_free(t->groups);
	for (size_t i = 0; i < COW_NAMESPACE_COUNT; i++)
		free(t->namespaces[i]);
	free(t->cgroup_parent);
	json_object_put(t->patch);
}

static int parse_namespace(const struct cow_json *map, const char *kind, char **ret,
			   struct cow_error *err)
{
	struct cow_json child = { .parent = map, .key = kind };
	bool user = !strcmp(kind, "user");
	int r = cow_value_string(map, kind, ret, err);
	const char *how = *ret;

	if (r < 0 || !how || *how == '/' || !strcmp(how, "host"))
		return r;
	/* A user namespace of one's own needs mappings: those are the spec's to give. */
	if (!user && !strcmp(how, "private"))
		return 0;
	return cow_json_fail(&child, err, -EINVAL, "\"%s\" is not host%s or a path", how,
			     user ? "" : ", private");
}

static int parse_namespaces(const struct cow_json *at, struct cow_tuning *t, struct cow_error *err)
{
	struct cow_json map;
	int r;

	if (!cow_json_member(at, "namespaces", &map))
		return 0;
	r = cow_json_known(&map, kinds, err);
	for (size_t i = 0; r == 0 && kinds[i]; i++)
		r = parse_namespace(&map, kinds[i], &t->namespaces[i], err);
	return r;
}

static int check_devices(const struct cow_json *at, struct cow_error *err)
{
	struct cow_json array, element;

	if (!cow_json_member(at, "devices", &array))
		return 0;
	for (size_t i = 0; cow_json_element(&array, i, &element); i++)
		if (*json_object_get_string(element.value) != '/')
			return cow_json_fail(&element, err, -EINVAL, "not an absolute path");
	return 0;
}

int cow_tuning_parse(const struct cow_json *at, struct cow_tuning *t, struct cow_error *err)
{
	struct cow_json patch;
	int r = cow_value_strings(at, "devices", &t->devices, err);

	if (r == 0)
		r = check_devices(at, err);
	if (r == 0)
		r = cow_value_strings(at, "groups", &t->groups, err);
	if (r == 0)
		r = parse_namespaces(at, t, err);
	if (r == 0)
		r = cow_value_path(at, "cgroup_parent", &t->cgroup_parent, err);
	if (r < 0 || !cow_json_member(at, "patch", &patch))
		return r;
	r = cow_json_is_object(&patch, err);
	if (r == 0 && json_object_deep_copy(patch.value, &t->patch, NULL) < 0)
		r = cow_error_errno(err, -ENOMEM, "patch");
	return r;
}

static int put_int(struct json_object *o, const char *key, int64_t value)
{
	return cow_json_put(o, key, json_object_new_int64(value));
}

static int put_text(struct json_object *o, const char *key, const char *value)
{
	return cow_json_put(o, key, json_object_new_string(value));
}

/* Parts of "/dev/x:/dev/y:rwm", in text; the last two may be missing. */
static int split_device(char *text, const char **ret_target, const char **ret_access)
{
	char *second = strchr(text, ':'), *third;

	*ret_target = text;
	*ret_access = "rwm";
	if (!second)
		return 0;
	*second++ = '\0';
	third = strchr(second, ':');
	if (third)
		*third++ = '\0';
	if (*second == '/')
		*ret_target = second;
	else if (third)
		return -EINVAL;
	else
		third = second;
	if (!third)
		return 0;
	*ret_access = third;
	return *third && !third[strspn(third, "rwm")] ? 0 : -EINVAL;
}

/* What a device is, for linux.devices and for the rules of the cgroup alike; NULL: out of memory. */
static struct json_object *device_numbers(const struct stat *st)
{
	struct json_object *o = json_object_new_object();
	int r = put_text(o, "type", S_ISCHR(st->st_mode) ? "c" : "b")
		?: put_int(o, "major", major(st->st_rdev)) ?: put_int(o, "minor", minor(st->st_rdev));

	if (!r)
		return o;
	json_object_put(o);
	return NULL;
}

static int put_device(struct json_object *linux_, const struct stat *st, const char *target,
		      const char *access)
{
	struct json_object *node = device_numbers(st), *rule = device_numbers(st);
	int r = cow_json_append(cow_json_want_array(linux_, "devices"), node)
		?: put_text(node, "path", target)
		?: put_int(node, "fileMode", st->st_mode & 07777)
		?: put_int(node, "uid", st->st_uid) ?: put_int(node, "gid", st->st_gid);

	return cow_json_append(cow_json_want_array(cow_json_want_object(linux_, "resources"),
						   "devices"),
			       rule)
		?: cow_json_put(rule, "allow", json_object_new_boolean(1))
		?: put_text(rule, "access", access) ?: r;
}

static int add_device(struct json_object *spec, const char *device, struct cow_error *err)
{
	_cleanup_free_ char *text = strdup(device);
	const char *target, *access;
	struct stat st;
	int r;

	if (!text)
		return cow_error_errno(err, -ENOMEM, "device %s", device);
	if (split_device(text, &target, &access))
		return cow_error_set(err, -EINVAL, "device %s: not /dev/HOST[:/dev/INSIDE][:rwm]",
				     device);
	if (stat(text, &st) < 0)
		return cow_error_errno(err, -errno, "device %s", text);
	if (!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode))
		return cow_error_set(err, -ENODEV, "device %s: not a device", text);
	r = put_device(cow_json_want_object(spec, "linux"), &st, target, access);
	return r ? cow_error_errno(err, r, "device %s", device) : 0;
}

static int add_group(struct json_object *spec, const char *group, const char *rootfs,
		     struct cow_error *err)
{
	_cleanup_free_ char *user = cow_asprintf("0:%s", group);
	struct json_object *where = cow_json_want_object(cow_json_want_object(spec, "process"), "user");
	struct cow_user resolved = { 0 };
	int r = user ? cow_user_resolve(rootfs, user, &resolved, err)
		     : cow_error_errno(err, -ENOMEM, "group %s", group);

	if (r < 0)
		return r;
	r = cow_json_append(cow_json_want_array(where, "additionalGids"),
			    json_object_new_int64(resolved.gid));
	cow_user_finish(&resolved);
	return r < 0 ? cow_error_errno(err, r, "group %s", group) : 0;
}

static void drop_namespace(struct json_object *list, const char *kind)
{
	for (size_t i = json_object_array_length(list); i > 0; i--) {
		struct json_object *type = json_object_object_get(
			json_object_array_get_idx(list, i - 1), "type");

		if (type && !strcmp(json_object_get_string(type), kind))
			(void)json_object_array_del_idx(list, i - 1, 1);
	}
}

static int set_namespace(struct json_object *spec, const char *kind, const char *how)
{
	struct json_object *list = cow_json_want_array(cow_json_want_object(spec, "linux"), "namespaces");
	struct json_object *entry;
	int r;

	if (!list)
		return -ENOMEM;
	drop_namespace(list, kind);
	if (strcmp(how, "host") != 0) {
		entry = json_object_new_object();
		r = cow_json_append(list, entry) ?: put_text(entry, "type", kind);
		return !r && *how == '/' ? put_text(entry, "path", how) : r;
	}
	/* The host's own name is not the container's to change. */
	if (!strcmp(kind, "uts")) {
		json_object_object_del(spec, "hostname");
		json_object_object_del(spec, "domainname");
	}
	return 0;
}

static int set_namespaces(struct json_object *spec, const struct cow_tuning *t)
{
	int r = 0;

	for (size_t i = 0; !r && i < COW_NAMESPACE_COUNT; i++)
		if (t->namespaces[i])
			r = set_namespace(spec, kinds[i], t->namespaces[i]);
	return r;
}

static int set_cgroup(struct json_object *spec, const char *parent, const char *id)
{
	_cleanup_free_ char *path = cow_asprintf("%s/%s", parent, id);

	return path ? put_text(cow_json_want_object(spec, "linux"), "cgroupsPath", path) : -ENOMEM;
}

static struct json_object *at(struct json_object *o, const char *section, const char *key)
{
	return json_object_object_get(json_object_object_get(o, section), key);
}

static bool limits(struct json_object *rlimits, struct json_object *type)
{
	for (size_t i = 0; i < json_object_array_length(rlimits); i++)
		if (json_object_equal(json_object_object_get(json_object_array_get_idx(rlimits, i),
							     "type"),
				      type))
			return true;
	return false;
}

/* A merge patch replaces arrays; a limit that is asked for replaces only the one of its own kind. */
static int keep_rlimits(struct json_object *rlimits, struct json_object *old)
{
	int r = 0;

	if (!json_object_is_type(rlimits, json_type_array) ||
	    !json_object_is_type(old, json_type_array))
		return 0;
	for (size_t i = 0; !r && i < json_object_array_length(old); i++) {
		struct json_object *entry = json_object_array_get_idx(old, i);

		if (!limits(rlimits, json_object_object_get(entry, "type")))
			r = cow_json_append(rlimits, json_object_get(entry));
	}
	return r;
}

static int apply_patch(struct json_object *spec, struct json_object *patch, struct cow_error *err)
{
	struct json_object *old = json_object_get(at(spec, "process", "rlimits"));
	bool profile = at(patch, "linux", "seccomp");
	int r;

	/* A profile is given as a whole: nothing of the one before goes into it. */
	if (profile)
		json_object_object_del(json_object_object_get(spec, "linux"), "seccomp");
	r = cow_json_merge_patch(spec, patch);
	if (!r && at(patch, "process", "rlimits"))
		r = keep_rlimits(at(spec, "process", "rlimits"), old);
	json_object_put(old);
	if (r)
		return cow_error_errno(err, r, "spec");
	return profile ? cow_seccomp_profile(spec, err) : 0;
}

int cow_tuning_overlay(struct json_object *spec, const struct cow_tuning *t, const char *rootfs,
		       const char *id, struct cow_error *err)
{
	int r = 0;

	for (size_t i = 0; !r && t->devices && t->devices[i]; i++)
		r = add_device(spec, t->devices[i], err);
	for (size_t i = 0; !r && t->groups && t->groups[i]; i++)
		r = add_group(spec, t->groups[i], rootfs, err);
	if (r)
		return r;
	r = set_namespaces(spec, t);
	if (!r && t->cgroup_parent)
		r = set_cgroup(spec, t->cgroup_parent, id);
	if (!r && t->patch)
		return apply_patch(spec, t->patch, err);
	return r ? cow_error_errno(err, r, "spec") : 0;
}
