/* SPDX-License-Identifier: MIT */
/*
 * The docker daemon's shape of a seccomp profile: architectures in a map from the native one, and system
 * calls that are allowed only with some capabilities, architectures or kernels.  Here, as there, it
 * becomes the runtime specification's linux.seccomp for one container on this machine (moby,
 * profiles/seccomp/seccomp_linux.go).
 */
#include "spec/tuning.h"
#include "spec/values.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

/* Of the machine, as the profile's three tongues call it. */
static const struct {
	const char *uname, *go, *seccomp;
} machines[] = {
	{ "x86_64", "amd64", "SCMP_ARCH_X86_64" },   { "aarch64", "arm64", "SCMP_ARCH_AARCH64" },
	{ "i686", "386", "SCMP_ARCH_X86" },          { "armv7l", "arm", "SCMP_ARCH_ARM" },
	{ "riscv64", "riscv64", "SCMP_ARCH_RISCV64" }, { "ppc64le", "ppc64le", "SCMP_ARCH_PPC64LE" },
	{ "s390x", "s390x", "SCMP_ARCH_S390X" },     { "mips64", "mips64", "SCMP_ARCH_MIPS64" },
};

struct profile {
	struct json_object *bounding;
	const char *go, *seccomp;
	unsigned kernel[2];
};

static struct json_object *member(struct json_object *o, const char *key)
{
	struct json_object *v = NULL;

	return json_object_object_get_ex(o, key, &v) ? v : NULL;
}

static size_t length(struct json_object *array)
{
	return json_object_is_type(array, json_type_array) ? json_object_array_length(array) : 0;
}

static bool contains(struct json_object *array, const char *text)
{
	for (size_t i = 0; i < length(array); i++) {
		const char *s = json_object_get_string(json_object_array_get_idx(array, i));

		if (s && strcmp(s, text) == 0)
			return true;
	}
	return false;
}

static const char *text_at(struct json_object *array, size_t i)
{
	return json_object_get_string(json_object_array_get_idx(array, i)) ?: "";
}

/* 1: this kernel is as new; 0: it is older; -EINVAL: no version. */
static int kernel_reaches(const struct profile *p, struct json_object *version)
{
	const char *text = json_object_get_string(version);
	unsigned major, minor;

	if (!text || sscanf(text, "%u.%u", &major, &minor) != 2)
		return -EINVAL;
	return p->kernel[0] > major || (p->kernel[0] == major && p->kernel[1] >= minor);
}

/* All conditions hold: 1; one does not: 0. */
static int included(const struct profile *p, struct json_object *when)
{
	struct json_object *caps = member(when, "caps"), *arches = member(when, "arches");
	struct json_object *kernel = member(when, "minKernel");

	if (length(arches) && !contains(arches, p->go))
		return 0;
	for (size_t i = 0; i < length(caps); i++)
		if (!contains(p->bounding, text_at(caps, i)))
			return 0;
	return kernel ? kernel_reaches(p, kernel) : 1;
}

/* Any condition holds: 1. */
static int excluded(const struct profile *p, struct json_object *when)
{
	struct json_object *caps = member(when, "caps"), *kernel = member(when, "minKernel");

	if (contains(member(when, "arches"), p->go))
		return 1;
	for (size_t i = 0; i < length(caps); i++)
		if (contains(p->bounding, text_at(caps, i)))
			return 1;
	return kernel ? kernel_reaches(p, kernel) : 0;
}

/* What only the daemon's shape has goes; what both have stays as it is. */
static int plain_rule(struct json_object *rule, size_t i, struct cow_error *err)
{
	static const char *const daemons[] = { "includes", "excludes", "comment", "name" };
	struct json_object *name = member(rule, "name"), *names;
	int r = 0;

	if (name && length(member(rule, "names")))
		return cow_error_set(err, -EINVAL,
				     "/linux/seccomp/syscalls/%zu: either name or names goes", i);
	if (name) {
		names = json_object_new_array();
		r = cow_json_put(rule, "names", names)
			?: cow_json_append(names, json_object_get(name));
	}
	for (size_t k = 0; k < sizeof(daemons) / sizeof(daemons[0]); k++)
		json_object_object_del(rule, daemons[k]);
	return r;
}

static int judge_rules(const struct profile *p, struct json_object *rules, struct cow_error *err)
{
	size_t n = length(rules), kept = 0;

	for (size_t i = 0; i < n; i++) {
		struct json_object *rule = json_object_array_get_idx(rules, kept);
		int in = included(p, member(rule, "includes"));
		int out = excluded(p, member(rule, "excludes"));
		int r;

		if (in < 0 || out < 0)
			return cow_error_set(err, -EINVAL,
					     "/linux/seccomp/syscalls/%zu: minKernel: not a version "
					     "like 4.8", i);
		if (!in || out) {
			(void)json_object_array_del_idx(rules, kept, 1);
			continue;
		}
		r = json_object_is_type(rule, json_type_object) ? plain_rule(rule, i, err) : 0;
		if (r < 0)
			return r;
		kept++;
	}
	return 0;
}

static int map_arches(const struct profile *p, struct json_object *seccomp, struct cow_error *err)
{
	struct json_object *map = member(seccomp, "archMap"), *arches;
	int r = 0;

	if (!map)
		return 0;
	if (length(member(seccomp, "architectures")))
		return cow_error_set(err, -EINVAL,
				     "/linux/seccomp: either architectures or archMap goes");
	arches = json_object_new_array();
	r = cow_json_put(seccomp, "architectures", arches);
	for (size_t i = 0; !r && i < length(map); i++) {
		struct json_object *entry = json_object_array_get_idx(map, i);
		struct json_object *subs = member(entry, "subArchitectures");
		struct json_object *native = member(entry, "architecture");

		if (!native || strcmp(json_object_get_string(native), p->seccomp) != 0)
			continue;
		r = cow_json_append(arches, json_object_get(native));
		for (size_t k = 0; !r && k < length(subs); k++)
			r = cow_json_append(arches,
					    json_object_get(json_object_array_get_idx(subs, k)));
	}
	json_object_object_del(seccomp, "archMap");
	return r;
}

int cow_seccomp_profile(struct json_object *spec, struct cow_error *err)
{
	struct json_object *seccomp = member(member(spec, "linux"), "seccomp");
	struct profile p = { .go = "", .seccomp = "" };
	struct utsname u;
	int r;

	if (!json_object_is_type(seccomp, json_type_object))
		return 0;
	p.bounding = member(member(member(spec, "process"), "capabilities"), "bounding");
	if (uname(&u) < 0 || sscanf(u.release, "%u.%u", &p.kernel[0], &p.kernel[1]) != 2)
		return cow_error_set(err, -EINVAL, "seccomp: the kernel's version is not known");
	for (size_t i = 0; i < sizeof(machines) / sizeof(machines[0]); i++) {
		if (strcmp(machines[i].uname, u.machine) == 0) {
			p.go = machines[i].go;
			p.seccomp = machines[i].seccomp;
		}
	}
	r = map_arches(&p, seccomp, err);
	r = r ?: judge_rules(&p, member(seccomp, "syscalls"), err);
	return r == -ENOMEM ? cow_error_errno(err, r, "seccomp") : r;
}
