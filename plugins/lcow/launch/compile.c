/* SPDX-License-Identifier: MIT */
/* From the text of a spec to a launch plan: the order of the sections, and the three entries. */
#include "compile.h"

#include <ctype.h>
#include <errno.h>
#include <sched.h>
#include <string.h>

/* 1.x.y, with whatever semver allows behind it. */
static bool version_known(const char *version)
{
	const char *p = version;

	if (strncmp(p, "1.", 2) != 0)
		return false;
	p += 2;
	for (int part = 0; part < 2; part++) {
		if (!isdigit((unsigned char)*p))
			return false;
		p += strspn(p, "0123456789");
		if (part == 0 && *p++ != '.')
			return false;
	}
	return !*p || ((*p == '-' || *p == '+') && p[1]);
}

static void compile_version(struct compile *c, const struct node *root)
{
	const char *version = node_text_required(c, root, "ociVersion");

	if (version && !version_known(version))
		compile_fail(c, root, "ociVersion", -EINVAL, "\"%s\" is not 1.x.y", version);
}

/*
 * podman leaves the mappings out at times; then the process gets root's ids and there are no
 * others, as crun does it.
 */
static void compile_default_maps(struct compile *c)
{
	struct launch_plan *plan = &c->plan;
	struct launch_idmap uid = { plan->process.uid, 0, 1 }, gid = { plan->process.gid, 0, 1 };

	if (!(plan->clone_flags & CLONE_NEWUSER))
		return;
	if (!plan->uid_maps.n)
		plan->uid_maps = build_copy(c, &uid, 1, sizeof(uid));
	if (!plan->gid_maps.n)
		plan->gid_maps = build_copy(c, &gid, 1, sizeof(gid));
}

static void compile_spec(struct compile *c, const struct node *root)
{
	struct node none = { .value = NULL, .up = root, .key = "linux" };
	struct node os = none, resources, process;
	bool limited;

	compile_version(c, root);
	if (!node_object(c, root, "linux", &os))
		os = none; /* a member of nothing is absent */
	compile_namespaces(c, &os);
	compile_mounts(c, root);
	compile_devices(c, &os);
	compile_kernel(c, root, &os);
	limited = node_object(c, &os, "resources", &resources);
	if (limited)
		compile_resources(c, &resources);
	compile_device_rules(c, limited ? &resources : NULL);
	if (node_object(c, root, "process", &process))
		compile_process(c, &process, NULL);
	compile_default_maps(c);
	compile_seccomp(c, &os);
	compile_hooks(c, root);
}

int launch_compile(const char *spec, size_t len, const struct launch_compile_options *options,
		   struct launch_plan **ret, struct launch_error *err)
{
	struct compile c;
	struct node root = { 0 };

	compile_begin(&c, options, err);
	root.value = node_parse(&c, spec, len);
	if (!c.code)
		compile_spec(&c, &root);
	json_object_put(root.value);
	return compile_end(&c, ret);
}

int launch_compile_exec(const char *process, size_t len, const struct launch_plan *base,
			const struct launch_compile_options *options, struct launch_plan **ret,
			struct launch_error *err)
{
	const struct launch_seccomp *from = &base->seccomp;
	struct compile c;
	struct node root = { 0 };

	compile_begin(&c, options, err);
	root.value = node_parse(&c, process, len);
	if (!c.code)
		compile_process(&c, &root, base);
	json_object_put(root.value);
	c.plan.seccomp.flags = from->flags;
	c.plan.seccomp.filter =
		build_copy(&c, (const char *)base + from->filter.off, from->filter.n, 8);
	c.plan.seccomp.listener_path = build_str(&c, launch_text(base, from->listener_path));
	c.plan.seccomp.listener_metadata =
		build_str(&c, launch_text(base, from->listener_metadata));
	return compile_end(&c, ret);
}

int launch_compile_resources(const char *resources, size_t len, struct launch_plan **ret,
			     struct launch_error *err)
{
	struct compile c;
	struct node root = { 0 }, devices;

	compile_begin(&c, NULL, err);
	root.value = node_parse(&c, resources, len);
	if (!c.code)
		compile_resources(&c, &root);
	if (!c.code && node_array(&c, &root, "devices", &devices))
		compile_device_rules(&c, &root);
	json_object_put(root.value);
	return compile_end(&c, ret);
}
