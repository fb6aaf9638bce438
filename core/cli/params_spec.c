/* SPDX-License-Identifier: MIT */
#include "cli/params_spec.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "cli/client.h"
#include "cli/text.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROFILE_MAX (4u << 20)

/* Put value (taken) at "a.b.c" of root; `last` (may be NULL) is a further member with any name. */
static int set(struct json_object *root, const char *path, const char *last,
	       struct json_object *value)
{
	struct json_object *at = root, *next;

	for (;;) {
		size_t len = strcspn(path, ".");
		_cleanup_free_ char *name = strndup(path, len);
		bool leaf = !path[len] && !last;

		if (!name)
			break;
		if (leaf)
			return json_object_object_add(at, name, value) ? -ENOMEM : 0;
		if (!json_object_object_get_ex(at, name, &next)) {
			next = json_object_new_object();
			if (!next || json_object_object_add(at, name, next))
				break;
		}
		at = next;
		if (!path[len])
			return json_object_object_add(at, last, value) ? -ENOMEM : 0;
		path += len + 1;
	}
	json_object_put(value);
	return -ENOMEM;
}

static int set_int(struct json_object *root, const char *path, int64_t value)
{
	return set(root, path, NULL, json_object_new_int64(value));
}

static int set_text(struct json_object *root, const char *path, const char *value)
{
	return set(root, path, NULL, json_object_new_string(value));
}

/* What is a number or a text of the spec, and nothing more. */
static const struct {
	const char *option, *path;
} numbers[] = {
	{ "oom-score-adj", "process.oomScoreAdj" },
	{ "cpu-shares", "linux.resources.cpu.shares" },
	{ "cpu-period", "linux.resources.cpu.period" },
	{ "cpu-quota", "linux.resources.cpu.quota" },
	{ "blkio-weight", "linux.resources.blockIO.weight" },
	{ "memory-reservation", "linux.resources.memory.reservation" },
}, texts[] = {
	{ "cpuset-cpus", "linux.resources.cpu.cpus" },
	{ "cpuset-mems", "linux.resources.cpu.mems" },
};

static int simple(const struct cow_args *a, struct json_object *patch)
{
	int r = 0;

	for (size_t i = 0; !r && i < COW_ELEMENTS(numbers); i++)
		if (cow_args_has(a, numbers[i].option))
			r = set_int(patch, numbers[i].path, cow_args_int(a, numbers[i].option, 0));
	for (size_t i = 0; !r && i < COW_ELEMENTS(texts); i++)
		if (cow_args_has(a, texts[i].option))
			r = set_text(patch, texts[i].path, cow_args_string(a, texts[i].option));
	if (!r && cow_args_flag(a, "oom-kill-disable", false))
		r = set(patch, "linux.resources.memory.disableOOMKiller", NULL,
			json_object_new_boolean(1));
	return r;
}

/* Memory and swap together, -1: no limit. */
static int swap(const struct cow_args *a, struct json_object *patch, struct cow_error *err)
{
	const char *text = cow_args_string(a, "memory-swap");
	int64_t bytes = -1;

	if (!text)
		return 0;
	if (strcmp(text, "-1") != 0 && cow_text_size(text, &bytes))
		return cow_error_set(err, -EINVAL, "--memory-swap: \"%s\" is not a size, or -1", text);
	return set_int(patch, "linux.resources.memory.swap", bytes);
}

/* "=SOFT[:HARD]" */
static int limit_values(const char *text, long long *ret_soft, long long *ret_hard)
{
	char rest;
	int fields = sscanf(text, "=%lld:%lld%c", ret_soft, ret_hard, &rest);

	if (fields == 1 && !strchr(text, ':'))
		*ret_hard = *ret_soft;
	else if (fields != 2)
		return -EINVAL;
	return 0;
}

/* "NAME=SOFT[:HARD]" */
static int ulimit(struct json_object *list, const char *text, struct cow_error *err)
{
	struct json_object *limit;
	long long soft, hard;
	char name[32] = "RLIMIT_";
	size_t len = strlen(name), n;

	for (n = 0; text[n] && text[n] != '=' && len + n + 1 < sizeof(name); n++)
		name[len + n] = (char)toupper((unsigned char)text[n]);
	if (!n || limit_values(text + n, &soft, &hard))
		return cow_error_set(err, -EINVAL, "--ulimit: \"%s\" is not NAME=SOFT[:HARD]", text);
	limit = json_object_new_object();
	if (!limit || json_object_array_add(list, limit))
		return -ENOMEM;
	/* -1: unlimited, the largest there is. */
	return set_text(limit, "type", name)
		?: set(limit, "soft", NULL, json_object_new_uint64((uint64_t)soft))
		?: set(limit, "hard", NULL, json_object_new_uint64((uint64_t)hard));
}

static int ulimits(const struct cow_args *a, struct json_object *patch, struct cow_error *err)
{
	struct json_object *list;
	const char *v;
	int r;

	if (!cow_args_has(a, "ulimit"))
		return 0;
	list = json_object_new_array();
	r = list ? set(patch, "process.rlimits", NULL, list) : -ENOMEM;
	for (size_t i = 0; !r && (v = cow_args_nth(a, "ulimit", i)); i++)
		r = ulimit(list, v, err);
	return r;
}

static int sysctls(const struct cow_args *a, struct json_object *patch, struct cow_error *err)
{
	const char *v;
	int r = 0;

	for (size_t i = 0; !r && (v = cow_args_nth(a, "sysctl", i)); i++) {
		const char *equals = strchr(v, '=');
		_cleanup_free_ char *name = equals ? strndup(v, (size_t)(equals - v)) : NULL;

		if (!equals || equals == v)
			return cow_error_set(err, -EINVAL, "--sysctl: \"%s\" is not NAME=VALUE", v);
		r = name ? set(patch, "linux.sysctl", name, json_object_new_string(equals + 1))
			 : -ENOMEM;
	}
	return r;
}

/* A profile is the runtime spec's linux.seccomp, or the docker daemon's: the supervisor tells them apart. */
static int seccomp(struct json_object *patch, const char *cwd, const char *profile,
		   struct cow_error *err)
{
	_cleanup_free_ char *path = cow_fs_absolute(cwd, profile), *text = NULL;
	struct json_object *value;
	int r;

	if (!strcmp(profile, "unconfined"))
		return set(patch, "linux.seccomp", NULL, NULL);
	r = path ? cow_fs_read(path, PROFILE_MAX, &text, NULL) : -ENOMEM;
	if (r)
		return cow_error_errno(err, r, "--security-opt: seccomp: %s", profile);
	value = json_tokener_parse(text);
	if (!json_object_is_type(value, json_type_object)) {
		json_object_put(value);
		return cow_error_set(err, -EINVAL,
				     "--security-opt: seccomp: %s: not a profile: no JSON object",
				     profile);
	}
	return set(patch, "linux.seccomp", NULL, value);
}

static bool is(const char *text, size_t len, const char *word)
{
	return strlen(word) == len && !memcmp(text, word, len);
}

static int security_option(const char *text, struct json_object *patch, const char *cwd,
			   struct cow_strbuf *b, struct cow_error *err)
{
	size_t len = strcspn(text, "=:");
	const char *value = text[len] ? text + len + 1 : "";

	if (is(text, len, "no-new-privileges")) {
		cow_params_key(b, "no_new_privileges");
		cow_strbuf_add(b, strcmp(value, "false") ? "true" : "false");
		return 0;
	}
	if (is(text, len, "seccomp"))
		return seccomp(patch, cwd, value, err);
	if (is(text, len, "apparmor"))
		return set(patch, "process.apparmorProfile", NULL,
			   strcmp(value, "unconfined") ? json_object_new_string(value) : NULL);
	if (!strcmp(text, "systempaths=unconfined"))
		return set(patch, "linux.maskedPaths", NULL, NULL)
			?: set(patch, "linux.readonlyPaths", NULL, NULL);
	if (is(text, len, "label") && !strcmp(value, "disable"))
		return 0;
	return cow_error_set(err, -EINVAL,
			     "--security-opt: \"%s\" is not no-new-privileges, seccomp=, apparmor=, "
			     "systempaths=unconfined or label=disable",
			     text);
}

static int security(const struct cow_args *a, struct json_object *patch, const char *cwd,
		    struct cow_strbuf *b, struct cow_error *err)
{
	const char *v;
	int r = 0;

	for (size_t i = 0; !r && (v = cow_args_nth(a, "security-opt", i)); i++)
		r = security_option(v, patch, cwd, b, err);
	return r;
}

/* "container:NAME" is that one's namespace, as long as it runs. */
static int join_other(const struct cow_params_place *place, const char *kind, const char *other,
		      struct cow_strbuf *b, struct cow_error *err)
{
	char path[64];
	int64_t pid = 0;
	int r = place->pid_of ? place->pid_of(place->pid_of_arg, other, &pid, err)
			      : cow_error_set(err, -ENOTSUP, "container:%s: not here", other);

	if (r)
		return r;
	(void)snprintf(path, sizeof(path), "/proc/%lld/ns/%s", (long long)pid, kind);
	cow_params_string(b, kind, path);
	return 0;
}

static int namespaces(const struct cow_args *a, const struct cow_params_place *place,
		      struct cow_strbuf *b, struct cow_error *err)
{
	static const char *const kinds[][2] = { { "pid", "pid" },
						{ "ipc", "ipc" },
						{ "uts", "uts" },
						{ "userns", "user" },
						{ "cgroupns", "cgroup" } };
	struct cow_strbuf some = COW_STRBUF_INIT;
	int r = 0;

	cow_strbuf_add(&some, "{");
	for (size_t i = 0; !r && i < COW_ELEMENTS(kinds); i++) {
		const char *how = cow_args_string(a, kinds[i][0]);

		if (how && !strncmp(how, "container:", 10))
			r = join_other(place, kinds[i][1], how + 10, &some, err);
		else if (how && *how)
			cow_params_string(&some, kinds[i][1],
					  !strcmp(how, "shareable") ? "private" : how);
	}
	cow_strbuf_add(&some, "}");
	if (!r && some.len > 2) {
		cow_params_key(b, "namespaces");
		cow_strbuf_add(b, some.data);
	}
	if (some.error)
		b->error = some.error;
	cow_strbuf_finish(&some);
	return r;
}

static void list_of(const struct cow_args *a, const char *option, const char *key,
		    struct cow_strbuf *b)
{
	const char *v;

	if (!cow_args_has(a, option))
		return;
	cow_params_key(b, key);
	cow_strbuf_add(b, "[");
	for (size_t i = 0; (v = cow_args_nth(a, option, i)); i++) {
		cow_strbuf_add(b, i ? "," : "");
		cow_strbuf_json(b, v);
	}
	cow_strbuf_add(b, "]");
}

static int cgroup_parent(const struct cow_args *a, struct cow_strbuf *b, struct cow_error *err)
{
	const char *parent = cow_args_string(a, "cgroup-parent");
	_cleanup_free_ char *absolute = NULL;

	if (!parent || !*parent)
		return 0;
	absolute = cow_fs_absolute("/", parent);
	if (!absolute)
		return cow_error_errno(err, -ENOMEM, "--cgroup-parent");
	cow_params_string(b, "cgroup_parent", absolute);
	return 0;
}

int cow_params_spec(const struct cow_args *a, const struct cow_params_place *place,
		    struct cow_strbuf *b, struct cow_error *err)
{
	struct json_object *patch = json_object_new_object();
	struct cow_error why = { 0 };
	int r = patch ? simple(a, patch) : -ENOMEM;

	r = r ?: swap(a, patch, &why) ?: ulimits(a, patch, &why) ?: sysctls(a, patch, &why)
		?: security(a, patch, place->cwd, b, &why) ?: namespaces(a, place, b, &why)
		?: cgroup_parent(a, b, &why);
	list_of(a, "device", "devices", b);
	list_of(a, "group-add", "groups", b);
	if (!r && json_object_object_length(patch)) {
		cow_params_key(b, "patch");
		cow_strbuf_add(b, json_object_to_json_string_ext(patch, JSON_C_TO_STRING_PLAIN));
	}
	json_object_put(patch);
	if (r && why.code)
		*err = why;
	else if (r)
		(void)cow_error_errno(err, r, "parameters");
	return r;
}
