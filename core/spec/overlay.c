/* SPDX-License-Identifier: MIT */
/* Create parameters laid over a spec, whoever wrote it. */
#include "spec/options.h"
#include "spec/values.h"

#include "base/strbuf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CPU_PERIOD_US 100000

int cow_spec_env_set(struct json_object *env, const char *entry)
{
	size_t name = strcspn(entry, "=") + 1;

	for (size_t i = 0; i < json_object_array_length(env); i++) {
		const char *old = json_object_get_string(json_object_array_get_idx(env, i));
		struct json_object *value;

		if (!old || strncmp(old, entry, name) != 0)
			continue;
		value = json_object_new_string(entry);
		if (value && json_object_array_put_idx(env, i, value) == 0)
			return 0;
		json_object_put(value);
		return -ENOMEM;
	}
	return cow_json_append(env, json_object_new_string(entry));
}

bool cow_spec_env_has(struct json_object *env, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; env && i < json_object_array_length(env); i++) {
		const char *entry = json_object_get_string(json_object_array_get_idx(env, i));

		if (entry && strncmp(entry, name, n) == 0 && entry[n] == '=')
			return true;
	}
	return false;
}

static int put_string(struct json_object *object, const char *key, const char *value)
{
	return value ? cow_json_put(object, key, json_object_new_string(value)) : 0;
}

static int put_flag(struct json_object *object, const char *key, int value)
{
	return value >= 0 ? cow_json_put(object, key, json_object_new_boolean(value)) : 0;
}

static int overlay_user(struct json_object *process, const char *user, const char *rootfs,
			struct cow_error *err)
{
	struct cow_user resolved = { 0 };
	int r;

	if (!user)
		return 0;
	r = cow_user_resolve(rootfs, user, &resolved, err);
	if (r < 0)
		return r;
	r = cow_json_put(process, "user", cow_user_json(&resolved));
	cow_user_finish(&resolved);
	return r < 0 ? cow_error_errno(err, r, "user %s", user) : 0;
}

static int overlay_terminal(struct json_object *process, const struct cow_spec_options *o)
{
	struct json_object *size;
	int r = put_flag(process, "terminal", o->terminal);

	if (r < 0 || !o->height || !o->width)
		return r;
	size = cow_json_want_object(process, "consoleSize");
	r = cow_json_put(size, "height", json_object_new_int64(o->height));
	return r < 0 ? r : cow_json_put(size, "width", json_object_new_int64(o->width));
}

static int edit_cap_set(struct json_object *caps, const char *set, uint64_t add, uint64_t drop)
{
	struct json_object *old, *edited = json_object_new_array();
	uint64_t mask = 0, bit;
	int r = edited ? 0 : -ENOMEM;

	old = json_object_object_get(caps, set);
	for (size_t i = 0;
	     json_object_is_type(old, json_type_array) && i < json_object_array_length(old); i++) {
		const char *name = json_object_get_string(json_object_array_get_idx(old, i));

		/* A name that is not known here is the launcher's to judge. */
		if (name && cow_cap_parse(name, &bit) == 0)
			mask |= bit;
		else if (r == 0 && name)
			r = cow_json_append(edited, json_object_new_string(name));
	}
	mask = (mask & ~drop) | add;
	for (size_t i = 0; r == 0 && i < COW_CAP_COUNT; i++)
		if (mask & UINT64_C(1) << i)
			r = cow_json_append(edited, json_object_new_string(cow_cap_names[i]));
	if (r == 0)
		return cow_json_put(caps, set, edited);
	json_object_put(edited);
	return r;
}

/* "drop ALL, add X" leaves X: dropping comes first, as in the docker client. */
static int overlay_caps(struct json_object *process, const struct cow_spec_options *o)
{
	static const char *const sets[] = { "bounding", "effective", "permitted" };
	static const char *const inherited[] = { "inheritable", "ambient" };
	uint64_t add = o->privileged ? cow_cap_all() : o->cap_add;
	struct json_object *caps;
	int r = 0;

	if (!add && !o->cap_drop)
		return 0;
	caps = cow_json_want_object(process, "capabilities");
	for (size_t i = 0; r == 0 && i < 3; i++)
		r = edit_cap_set(caps, sets[i], add, o->cap_drop);
	for (size_t i = 0; r == 0 && i < 2; i++)
		if (json_object_object_get(caps, inherited[i]))
			r = edit_cap_set(caps, inherited[i], 0, o->cap_drop & ~add);
	return r;
}

static int overlay_env(struct json_object *process, char *const *entries)
{
	struct json_object *env;
	int r = 0;

	if (!entries)
		return 0;
	env = cow_json_want_array(process, "env");
	for (size_t i = 0; r == 0 && entries[i]; i++)
		r = env ? cow_spec_env_set(env, entries[i]) : -ENOMEM;
	return r;
}

int cow_spec_overlay_process(struct json_object *process, const struct cow_spec_options *o,
			     const char *rootfs, struct cow_error *err)
{
	int r = process ? 0 : -ENOMEM;

	if (r == 0 && o->args)
		r = cow_json_put(process, "args", cow_json_from_strings(o->args));
	if (r == 0)
		r = overlay_env(process, o->env);
	if (r == 0)
		r = put_string(process, "cwd", o->cwd);
	if (r == 0)
		r = overlay_terminal(process, o);
	if (r == 0)
		r = overlay_caps(process, o);
	if (r == 0)
		r = put_flag(process, "noNewPrivileges", o->privileged ? 0 : o->no_new_privileges);
	if (r < 0)
		return cow_error_errno(err, r, "process");
	return overlay_user(process, o->user, rootfs, err);
}

static int overlay_resources(struct json_object *spec, const struct cow_spec_options *o)
{
	struct json_object *resources, *cpu;
	int r = 0;

	if (!o->memory_bytes && !o->pids && !(o->cpus > 0))
		return 0;
	resources = cow_json_want_object(cow_json_want_object(spec, "linux"), "resources");
	if (o->memory_bytes)
		r = cow_json_put(cow_json_want_object(resources, "memory"), "limit",
				 json_object_new_int64((int64_t)o->memory_bytes));
	if (r == 0 && o->pids)
		r = cow_json_put(cow_json_want_object(resources, "pids"), "limit",
				 json_object_new_int64(o->pids));
	if (r < 0 || !(o->cpus > 0))
		return r;
	cpu = cow_json_want_object(resources, "cpu");
	r = cow_json_put(cpu, "period", json_object_new_int64(CPU_PERIOD_US));
	return r < 0 ? r
		     : cow_json_put(
			       cpu, "quota",
			       json_object_new_int64((int64_t)(o->cpus * CPU_PERIOD_US + 0.5)));
}

/* The index of the array's first object whose member says that; its length: there is none. */
static size_t find_by(struct json_object *array, const char *key, const char *value)
{
	size_t i, n = json_object_array_length(array);

	for (i = 0; i < n; i++) {
		struct json_object *member =
			json_object_object_get(json_object_array_get_idx(array, i), key);

		if (member && strcmp(json_object_get_string(member), value) == 0)
			break;
	}
	return i;
}

static int overlay_mount(struct json_object *mounts, const struct cow_mount_option *m)
{
	struct json_object *o = json_object_new_object(), *options;
	size_t old = find_by(mounts, "destination", m->target);
	int r = cow_json_put(o, "destination", json_object_new_string(m->target));

	if (r == 0)
		r = put_string(o, "type", m->type);
	if (r == 0)
		r = put_string(o, "source", m->source ? m->source : m->type);
	options = cow_json_from_strings(m->options);
	if (r == 0)
		r = cow_json_put(o, "options", options);
	else
		json_object_put(options);
	if (r == 0 && !m->options && strcmp(m->type, "bind") == 0)
		r = cow_json_append(options, json_object_new_string("rbind"));
	if (r == 0 && !m->options && strcmp(m->type, "bind") == 0)
		r = cow_json_append(options, json_object_new_string("rprivate"));
	if (r == 0 && m->read_only)
		r = cow_json_append(options, json_object_new_string("ro"));
	if (r < 0) {
		json_object_put(o);
		return r;
	}
	if (old < json_object_array_length(mounts))
		(void)json_object_array_del_idx(mounts, old, 1);
	return cow_json_append(mounts, o);
}

static int overlay_mounts(struct json_object *spec, const struct cow_spec_options *o)
{
	struct json_object *mounts;
	int r = 0;

	if (!o->mount_count)
		return 0;
	mounts = cow_json_want_array(spec, "mounts");
	for (size_t i = 0; r == 0 && i < o->mount_count; i++)
		r = mounts ? overlay_mount(mounts, &o->mounts[i]) : -ENOMEM;
	return r;
}

static int overlay_network(struct json_object *spec, const struct cow_network_option *network)
{
	struct json_object *namespaces, *entry;
	size_t i;
	int r;

	if (network->mode == COW_NETWORK_AS_SPEC)
		return 0;
	namespaces = cow_json_want_array(cow_json_want_object(spec, "linux"), "namespaces");
	if (!namespaces)
		return -ENOMEM;
	i = find_by(namespaces, "type", "network");
	if (i < json_object_array_length(namespaces))
		(void)json_object_array_del_idx(namespaces, i, 1);
	if (network->mode == COW_NETWORK_HOST)
		return 0;
	entry = json_object_new_object();
	r = put_string(entry, "type", "network");
	if (r == 0 && network->mode == COW_NETWORK_PATH)
		r = put_string(entry, "path", network->of);
	if (r == 0)
		return cow_json_append(namespaces, entry);
	json_object_put(entry);
	return r;
}

static int drop_read_only(struct json_object *mount)
{
	struct json_object *options = json_object_object_get(mount, "options");

	for (size_t i = 0; options && i < json_object_array_length(options); i++) {
		if (strcmp(json_object_get_string(json_object_array_get_idx(options, i)), "ro") ==
		    0)
			return json_object_array_del_idx(options, i, 1);
	}
	return 0;
}

static int overlay_privileged(struct json_object *spec)
{
	static const char *const freed[] = { "maskedPaths", "readonlyPaths", "seccomp" };
	struct json_object *linux_ = cow_json_want_object(spec, "linux"), *mounts, *rules, *all;
	int r;

	for (size_t i = 0; linux_ && i < 3; i++)
		json_object_object_del(linux_, freed[i]);
	mounts = json_object_object_get(spec, "mounts");
	for (size_t i = 0; mounts && i < json_object_array_length(mounts); i++) {
		struct json_object *mount = json_object_array_get_idx(mounts, i);
		struct json_object *type = json_object_object_get(mount, "type");

		if (type && (strcmp(json_object_get_string(type), "sysfs") == 0 ||
			     strncmp(json_object_get_string(type), "cgroup", 6) == 0))
			(void)drop_read_only(mount);
	}
	rules = json_object_new_array();
	r = cow_json_put(cow_json_want_object(linux_, "resources"), "devices", rules);
	if (r < 0)
		return r;
	all = json_object_new_object();
	r = cow_json_append(rules, all);
	if (r == 0)
		r = cow_json_put(all, "allow", json_object_new_boolean(1));
	return r < 0 ? r : put_string(all, "access", "rwm");
}

static int overlay_annotations(struct json_object *spec, struct json_object *annotations)
{
	struct json_object *target;
	int r = 0;

	if (!annotations)
		return 0;
	target = cow_json_want_object(spec, "annotations");
	json_object_object_foreach(annotations, key, value) {
		if (r == 0)
			r = put_string(target, key, json_object_get_string(value));
	}
	return r;
}

int cow_spec_overlay(struct json_object *spec, const struct cow_spec_options *o, const char *rootfs,
		     struct cow_error *err)
{
	struct json_object *process = cow_json_want_object(spec, "process");
	int r = cow_spec_overlay_process(process, o, rootfs, err);

	if (r < 0)
		return r;
	r = put_string(spec, "hostname", o->hostname);
	if (r == 0)
		r = put_string(spec, "domainname", o->domainname);
	if (r == 0 && o->read_only >= 0)
		r = put_flag(cow_json_want_object(spec, "root"), "readonly", o->read_only);
	if (r == 0)
		r = overlay_annotations(spec, o->annotations);
	if (r == 0)
		r = overlay_resources(spec, o);
	if (r == 0)
		r = overlay_network(spec, &o->network);
	if (r == 0)
		r = overlay_mounts(spec, o);
	if (r == 0 && o->privileged)
		r = overlay_privileged(spec);
	return r < 0 ? cow_error_errno(err, r, "spec") : 0;
}
