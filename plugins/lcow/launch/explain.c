/* SPDX-License-Identifier: MIT */
/* What a plan does, in the order in which it is done and in plain words. */
#include "explain.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <string.h>
#include <sys/personality.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

static const struct {
	uint32_t flag;
	const char *name;
} namespaces[] = {
	{ CLONE_NEWUSER, "user" },     { CLONE_NEWPID, "pid" },	  { CLONE_NEWNET, "network" },
	{ CLONE_NEWNS, "mount" },      { CLONE_NEWIPC, "ipc" },	  { CLONE_NEWUTS, "uts" },
	{ CLONE_NEWCGROUP, "cgroup" }, { CLONE_NEWTIME, "time" },
};
#define NAMESPACES (sizeof(namespaces) / sizeof(namespaces[0]))

static const char *const hook_names[LAUNCH_HOOK_COUNT] = {
	[LAUNCH_HOOK_PRESTART] = "before the start (prestart)",
	[LAUNCH_HOOK_CREATE_RUNTIME] = "when created, on the host (createRuntime)",
	[LAUNCH_HOOK_CREATE_CONTAINER] =
		"when created, in the container's namespaces (createContainer)",
	[LAUNCH_HOOK_START_CONTAINER] = "in the container, before its program (startContainer)",
	[LAUNCH_HOOK_POSTSTART] = "after the start (poststart)",
	[LAUNCH_HOOK_POSTSTOP] = "after the container is deleted (poststop)",
};

void explain_text(FILE *out, const char *text)
{
	for (; text && *text; text++) {
		unsigned char byte = (unsigned char)*text;

		if (byte < 0x20 || byte == 0x7f)
			(void)fprintf(out, "\\x%02x", byte);
		else
			(void)fputc(byte, out);
	}
}

void explain_and(FILE *out, uint32_t i, uint32_t n)
{
	if (i)
		(void)fputs(i + 1 == n ? " and " : ", ", out);
}

void explain_strings(FILE *out, const struct launch_plan *plan, struct launch_vec strings)
{
	for (uint32_t i = 0; i < strings.n; i++) {
		explain_and(out, i, strings.n);
		explain_text(out, launch_text(plan, *launch_at(plan, strings, launch_str, i)));
	}
}

void explain_bytes(FILE *out, uint64_t bytes)
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB" };
	unsigned int unit = 0;

	while (bytes && bytes % 1024 == 0 && unit < 4) {
		bytes /= 1024;
		unit++;
	}
	(void)fprintf(out, "%" PRIu64 " %s", bytes, units[unit]);
}

static void explain_new(const struct launch_plan *plan, FILE *out)
{
	uint32_t n = (uint32_t)__builtin_popcount(plan->clone_flags), i = 0;

	if (!n)
		return;
	(void)fputs("creates new ", out);
	for (size_t k = 0; k < NAMESPACES; k++) {
		if (!(plan->clone_flags & namespaces[k].flag))
			continue;
		explain_and(out, i++, n);
		(void)fputs(namespaces[k].name, out);
	}
	(void)fprintf(out, " namespace%s\n", n > 1 ? "s" : "");
}

static void explain_joins(const struct launch_plan *plan, FILE *out)
{
	for (uint32_t i = 0; i < plan->joins.n; i++) {
		const struct launch_ns_join *join =
			launch_at(plan, plan->joins, struct launch_ns_join, i);
		const char *name = "unknown";

		for (size_t k = 0; k < NAMESPACES; k++)
			if (namespaces[k].flag == join->type)
				name = namespaces[k].name;
		(void)fprintf(out, "joins the %s namespace at ", name);
		explain_text(out, launch_text(plan, join->path));
		(void)fputc('\n', out);
	}
}

static void explain_maps(const struct launch_plan *plan, struct launch_vec maps, const char *what,
			 FILE *out)
{
	for (uint32_t i = 0; i < maps.n; i++) {
		const struct launch_idmap *map = launch_at(plan, maps, struct launch_idmap, i);

		(void)fprintf(out,
			      "maps %s ids %u to %" PRIu64 " to the host's %u to %" PRIu64 "\n",
			      what, map->inside, (uint64_t)map->inside + map->count - 1,
			      map->outside, (uint64_t)map->outside + map->count - 1);
	}
}

static void explain_kernel(const struct launch_plan *plan, FILE *out)
{
	if (plan->timens_set)
		(void)fprintf(out,
			      "moves the monotonic clock by %" PRId64
			      ".%09u s and the boot clock by "
			      "%" PRId64 ".%09u s\n",
			      plan->time_monotonic_s, plan->time_monotonic_ns,
			      plan->time_boottime_s, plan->time_boottime_ns);
	if (plan->hostname) {
		(void)fputs("sets the host name to ", out);
		explain_text(out, launch_text(plan, plan->hostname));
		(void)fputc('\n', out);
	}
	if (plan->domainname) {
		(void)fputs("sets the NIS domain name to ", out);
		explain_text(out, launch_text(plan, plan->domainname));
		(void)fputc('\n', out);
	}
	for (uint32_t i = 0; i < plan->sysctls.n; i++) {
		const struct launch_sysctl *s =
			launch_at(plan, plan->sysctls, struct launch_sysctl, i);

		(void)fputs("sets the kernel setting ", out);
		explain_text(out, launch_text(plan, s->key));
		(void)fputs(" to ", out);
		explain_text(out, launch_text(plan, s->value));
		(void)fputc('\n', out);
	}
	if (plan->personality_set)
		(void)fprintf(out, "runs with the personality %s\n",
			      plan->personality == PER_LINUX32 ? "LINUX32" : "LINUX");
}

static void explain_hooks(const struct launch_plan *plan, unsigned int point, FILE *out)
{
	struct launch_vec hooks = plan->hooks[point];

	for (uint32_t i = 0; i < hooks.n; i++) {
		const struct launch_hook *hook = launch_at(plan, hooks, struct launch_hook, i);

		(void)fputs("runs the hook ", out);
		explain_text(out, launch_text(plan, hook->path));
		(void)fprintf(out, " %s", hook_names[point]);
		if (hook->timeout_s)
			(void)fprintf(out, ", for at most %u s", hook->timeout_s);
		(void)fputc('\n', out);
	}
}

static void explain_ignored(const struct launch_plan *plan, FILE *out)
{
	for (uint32_t i = 0; i < plan->ignored.n; i++) {
		(void)fputs("ignores ", out);
		explain_text(out, launch_text(plan, *launch_at(plan, plan->ignored, launch_str, i)));
		(void)fputc('\n', out);
	}
}

int launch_explain(const struct launch_plan *plan, FILE *out)
{
	explain_new(plan, out);
	explain_joins(plan, out);
	explain_maps(plan, plan->uid_maps, "user", out);
	explain_maps(plan, plan->gid_maps, "group", out);
	explain_cgroup(plan, out);
	explain_hooks(plan, LAUNCH_HOOK_PRESTART, out);
	explain_hooks(plan, LAUNCH_HOOK_CREATE_RUNTIME, out);
	explain_mounts(plan, out);
	explain_hooks(plan, LAUNCH_HOOK_CREATE_CONTAINER, out);
	explain_kernel(plan, out);
	explain_hooks(plan, LAUNCH_HOOK_START_CONTAINER, out);
	explain_process(plan, out);
	explain_hooks(plan, LAUNCH_HOOK_POSTSTART, out);
	explain_hooks(plan, LAUNCH_HOOK_POSTSTOP, out);
	explain_ignored(plan, out);
	return fflush(out) || ferror(out) ? -EIO : 0;
}
