/* SPDX-License-Identifier: MIT */
/* Namespaces and id mappings; names, sysctls and paths that depend on which namespaces are new. */
#include "compile.h"

#include <ctype.h>
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/personality.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

#define IDMAP_ROWS_MAX 340 /* user_namespaces(7) */
#define NAME_MAX_BYTES 64  /* uts_namespaces(7): __NEW_UTS_LEN */

static const struct {
	const char *name;
	uint32_t flag;
} namespaces[] = {
	{ "cgroup", CLONE_NEWCGROUP }, { "ipc", CLONE_NEWIPC }, { "mount", CLONE_NEWNS },
	{ "network", CLONE_NEWNET },   { "pid", CLONE_NEWPID }, { "time", CLONE_NEWTIME },
	{ "user", CLONE_NEWUSER },     { "uts", CLONE_NEWUTS },
};

static uint32_t namespace_flag(const char *name)
{
	for (size_t i = 0; i < sizeof(namespaces) / sizeof(namespaces[0]); i++)
		if (!strcmp(name, namespaces[i].name))
			return namespaces[i].flag;
	return 0;
}

static bool has_namespace(const struct compile *c, uint32_t flag)
{
	return (c->plan.clone_flags | c->joined_flags) & flag;
}

static void namespace_compile(struct compile *c, const struct node *at, struct rows *joins)
{
	const char *type = node_text_required(c, at, "type");
	const char *path = node_text(c, at, "path");
	struct launch_ns_join join;

	if (c->code)
		return;
	join.type = namespace_flag(type);
	if (!join.type) {
		compile_fail(c, at, "type", -EINVAL, "\"%s\" is not known", type);
	} else if (has_namespace(c, join.type)) {
		compile_fail(c, at, "type", -EINVAL, "a second %s namespace", type);
	} else if (!path || !*path) {
		c->plan.clone_flags |= join.type;
	} else if (*path != '/') {
		compile_fail(c, at, "path", -EINVAL, "%s is not absolute", path);
	} else {
		c->joined_flags |= join.type;
		join.path = build_str(c, path);
		rows_add(c, joins, &join, sizeof(join));
	}
}

static void idmap_row(struct compile *c, const struct node *at, struct launch_idmap *ret)
{
	if (!node_u32(c, at, "containerID", &ret->inside))
		compile_fail(c, at, "containerID", -EINVAL, "is missing");
	if (!node_u32(c, at, "hostID", &ret->outside))
		compile_fail(c, at, "hostID", -EINVAL, "is missing");
	if (!node_u32(c, at, "size", &ret->count) || !ret->count)
		compile_fail(c, at, "size", -EINVAL, "is missing");
	if ((uint64_t)ret->inside + ret->count > UINT32_MAX ||
	    (uint64_t)ret->outside + ret->count > UINT32_MAX)
		compile_fail(c, at, NULL, -EINVAL, "goes beyond the last id");
}

struct launch_vec compile_idmap(struct compile *c, const struct node *at, const char *key)
{
	struct launch_vec maps = { 0, 0 };
	struct node array, element;

	if (!node_array(c, at, key, &array))
		return maps;
	if (node_length(&array) > IDMAP_ROWS_MAX) {
		compile_fail(c, &array, NULL, -EINVAL, "more than %d rows", IDMAP_ROWS_MAX);
		return maps;
	}
	maps = build_vec(c, node_length(&array), sizeof(struct launch_idmap));
	for (size_t i = 0; i < maps.n && node_row(c, &array, i, &element); i++) {
		struct launch_idmap map = { 0 };

		idmap_row(c, &element, &map);
		build_put(c, maps, i, &map, sizeof(map));
	}
	return maps;
}

static void compile_user_maps(struct compile *c, const struct node *os)
{
	bool rootless = c->options && c->options->rootless;
	struct launch_plan *plan = &c->plan;

	plan->uid_maps = compile_idmap(c, os, "uidMappings");
	plan->gid_maps = compile_idmap(c, os, "gidMappings");
	if ((plan->uid_maps.n || plan->gid_maps.n) && !has_namespace(c, CLONE_NEWUSER))
		compile_fail(c, os, plan->uid_maps.n ? "uidMappings" : "gidMappings", -EINVAL,
			     "there is no user namespace to map ids in");
	if (plan->clone_flags & CLONE_NEWUSER && rootless &&
	    (!plan->uid_maps.n || !plan->gid_maps.n))
		compile_fail(c, os, plan->uid_maps.n ? "gidMappings" : "uidMappings", -EINVAL,
			     "is missing, and the user namespace is new");
	if (rootless && !has_namespace(c, CLONE_NEWUSER))
		compile_fail(c, os, "namespaces", -EINVAL,
			     "without being root, a container needs a user namespace");
}

static void time_offset(struct compile *c, const struct node *at, const char *key, int64_t *ret_s,
			uint32_t *ret_ns)
{
	struct node offset;
	uint64_t ns;

	if (!node_object(c, at, key, &offset))
		return;
	c->plan.timens_set = 1;
	node_int(c, &offset, "secs", INT64_MIN / 2, INT64_MAX / 2, ret_s);
	if (node_uint(c, &offset, "nanosecs", 999999999, &ns))
		*ret_ns = (uint32_t)ns;
}

static void compile_time(struct compile *c, const struct node *os)
{
	struct launch_plan *plan = &c->plan;
	struct node offsets;

	if (!node_object(c, os, "timeOffsets", &offsets))
		return;
	time_offset(c, &offsets, "monotonic", &plan->time_monotonic_s, &plan->time_monotonic_ns);
	time_offset(c, &offsets, "boottime", &plan->time_boottime_s, &plan->time_boottime_ns);
	if (plan->timens_set && !(plan->clone_flags & CLONE_NEWTIME))
		compile_fail(c, &offsets, NULL, -EINVAL, "the time namespace is not a new one");
}

void compile_namespaces(struct compile *c, const struct node *os)
{
	struct node array, element;
	struct rows joins = { 0 };

	if (node_array(c, os, "namespaces", &array))
		for (size_t i = 0; i < node_length(&array) && node_row(c, &array, i, &element); i++)
			namespace_compile(c, &element, &joins);
	c->plan.joins = rows_take(c, &joins, sizeof(struct launch_ns_join));
	compile_user_maps(c, os);
	compile_time(c, os);
}

static launch_str uts_name(struct compile *c, const struct node *root, const char *key)
{
	const char *name = node_text(c, root, key);

	if (!name || !*name)
		return 0;
	if (!has_namespace(c, CLONE_NEWUTS))
		compile_fail(c, root, key, -EINVAL, "would be the host's without a uts namespace");
	if (strlen(name) > NAME_MAX_BYTES)
		compile_fail(c, root, key, -EINVAL, "longer than %d bytes", NAME_MAX_BYTES);
	return build_str(c, name);
}

/*
 * One setting only, and only below /proc/sys: an agent that joins settings with '+', ',' or lines
 * must not find a second one in it (CVE-2022-0811).
 */
static bool sysctl_key_valid(const char *file)
{
	size_t part;

	for (;; file += part + 1) {
		part = strcspn(file, "/");
		if (!part || (part == 1 && file[0] == '.') ||
		    (part == 2 && !strncmp(file, "..", 2)))
			return false;
		for (size_t i = 0; i < part; i++)
			if (!isascii(file[i]) || (!isalnum(file[i]) && !strchr("._-:@", file[i])))
				return false;
		if (!file[part])
			return true;
	}
}

static bool sysctl_value_valid(const char *value)
{
	for (; *value; value++)
		if (((unsigned char)*value < 0x20 && *value != '\t') || strchr("+=\x7f", *value))
			return false;
	return true;
}

/* As in sysctl(8): the first separator says which one separates, the other is part of a name. */
static void sysctl_file(const char *key, char *file)
{
	size_t first = strcspn(key, "./");
	bool dots = key[first] == '.';

	for (; *key; key++, file++)
		*file = !dots ? *key : *key == '.' ? '/' : *key == '/' ? '.' : *key;
	*file = '\0';
}

/* The namespace that holds a setting, and its name; 0: the whole machine's. */
static uint32_t sysctl_namespace(const char *file, const char **ret_name)
{
	static const struct {
		const char *prefix, *name;
		uint32_t flag;
	} owners[] = {
		{ "net/", "network", CLONE_NEWNET },   { "fs/mqueue/", "ipc", CLONE_NEWIPC },
		{ "kernel/msg", "ipc", CLONE_NEWIPC }, { "kernel/shm", "ipc", CLONE_NEWIPC },
		{ "kernel/sem", "ipc", CLONE_NEWIPC }, { "kernel/domainname", "uts", CLONE_NEWUTS },
	};

	for (size_t i = 0; i < sizeof(owners) / sizeof(owners[0]); i++) {
		if (strncmp(file, owners[i].prefix, strlen(owners[i].prefix)) != 0)
			continue;
		*ret_name = owners[i].name;
		return owners[i].flag;
	}
	return 0;
}

static void sysctl_compile(struct compile *c, const struct node *at, const char *key,
			   struct rows *rows)
{
	const char *value = node_text(c, at, key), *owner = NULL;
	struct launch_sysctl row = { 0 };
	char file[256];
	uint32_t flag;

	if (!value) {
		compile_fail(c, at, key, -EINVAL, "not a string");
		return;
	}
	if (strlen(key) >= sizeof(file)) {
		compile_fail(c, at, NULL, -EINVAL, "a key longer than 255 bytes");
		return;
	}
	sysctl_file(key, file);
	flag = sysctl_namespace(file, &owner);
	if (!sysctl_key_valid(file))
		compile_fail(c, at, key, -EINVAL, "not the name of a kernel setting");
	else if (!sysctl_value_valid(value))
		compile_fail(c, at, key, -EINVAL, "'+', '=' or a control character in the value");
	else if (!strcmp(file, "kernel/hostname"))
		compile_fail(c, at, key, -EINVAL, "is what /hostname is for");
	else if (!flag)
		compile_fail(c, at, key, -EINVAL,
			     "is not in a namespace of its own, but the host's");
	else if (!has_namespace(c, flag))
		compile_fail(c, at, key, -EINVAL, "would be the host's without %s %s namespace",
			     owner[0] == 'i' ? "an" : "a", owner);
	row.file = build_str(c, file);
	row.key = build_str(c, key);
	row.value = build_str(c, value);
	rows_add(c, rows, &row, sizeof(row));
}

static void compile_sysctls(struct compile *c, const struct node *os)
{
	struct node section;
	struct rows rows = { 0 };

	if (!node_object(c, os, "sysctl", &section))
		return;
	json_object_object_foreach(section.value, key, value) {
		(void)value;
		sysctl_compile(c, &section, key, &rows);
	}
	c->plan.sysctls = rows_take(c, &rows, sizeof(struct launch_sysctl));
}

static void compile_personality(struct compile *c, const struct node *os)
{
	struct node section, flags;
	const char *domain;

	if (!node_object(c, os, "personality", &section))
		return;
	domain = node_text_required(c, &section, "domain");
	if (node_array(c, &section, "flags", &flags) && node_length(&flags))
		compile_fail(c, &flags, NULL, -ENOTSUP, "no flags are defined");
	if (c->code)
		return;
	c->plan.personality_set = 1;
	if (!strcmp(domain, "LINUX32"))
		c->plan.personality = PER_LINUX32;
	else if (!strcmp(domain, "LINUX"))
		c->plan.personality = PER_LINUX;
	else
		compile_fail(c, &section, "domain", -EINVAL, "\"%s\" is not known", domain);
}

static struct launch_vec hidden_paths(struct compile *c, const struct node *os, const char *key)
{
	struct launch_vec paths = { 0, 0 };

	node_strings(c, os, key, &paths);
	for (uint32_t i = 0; i < paths.n; i++)
		if (*(c->block + *launch_at(c->block, paths, launch_str, i)) != '/')
			compile_fail(c, os, key, -EINVAL, "path %u is not absolute", i);
	if (paths.n && !has_namespace(c, CLONE_NEWNS))
		compile_fail(c, os, key, -EINVAL, "would be the host's without a mount namespace");
	return paths;
}

void compile_kernel(struct compile *c, const struct node *root, const struct node *os)
{
	struct node rdt;
	const char *path;

	c->plan.hostname = uts_name(c, root, "hostname");
	c->plan.domainname = uts_name(c, root, "domainname");
	compile_sysctls(c, os);
	compile_personality(c, os);
	c->plan.masked = hidden_paths(c, os, "maskedPaths");
	c->plan.readonly = hidden_paths(c, os, "readonlyPaths");
	path = node_text(c, os, "mountLabel");
	c->plan.mount_label = path && *path ? build_str(c, path) : 0;
	path = node_text(c, os, "cgroupsPath");
	c->plan.cgroup_path = path && *path ? build_str(c, path) : 0;
	if (node_object(c, os, "intelRdt", &rdt) && json_object_object_length(rdt.value))
		compile_fail(c, &rdt, NULL, -ENOTSUP,
			     "cache allocation (resctrl) is not supported");
}
