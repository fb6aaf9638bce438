/* SPDX-License-Identifier: MIT */
/* launch_explain(): limits.  A row's JSON pointer says what it is for, its values how much. */
#include "explain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RESOURCES "/linux/resources/"

enum unit {
	UNIT_NONE,
	UNIT_BYTES,
	UNIT_US,
};

static const struct {
	const char *what, *words;
	enum unit unit;
} limits[] = {
	{ "memory/limit", "limits memory to ", UNIT_BYTES },
	{ "memory/swap", "limits memory and swap together to ", UNIT_BYTES },
	{ "memory/reservation", "protects memory up to ", UNIT_BYTES },
	{ "memory/swappiness", "sets swappiness to ", UNIT_NONE },
	{ "cpu/shares", "sets CPU shares to ", UNIT_NONE },
	{ "cpu/quota", "limits CPU time per period to ", UNIT_US },
	{ "cpu/period", "sets the CPU period to ", UNIT_US },
	{ "cpu/cpus", "runs on the CPUs ", UNIT_NONE },
	{ "cpu/mems", "uses the memory nodes ", UNIT_NONE },
	{ "pids/limit", "limits processes to ", UNIT_NONE },
};

static void explain_amount(const char *value, enum unit unit, FILE *out)
{
	char *end;
	uint64_t n;

	errno = 0;
	n = strtoull(value, &end, 10);
	if (*value == '-' || !strcmp(value, "max"))
		(void)fputs("no limit", out);
	else if (unit == UNIT_BYTES && !errno && !*end)
		explain_bytes(out, n);
	else
		explain_text(out, value);
	if (unit == UNIT_US && *value != '-')
		(void)fputs(" us", out);
}

static bool explain_limit(const char *what, const char *value, FILE *out)
{
	if (strncmp(what, RESOURCES, strlen(RESOURCES)) != 0 || !value)
		return false;
	what += strlen(RESOURCES);
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		if (strcmp(what, limits[i].what) != 0)
			continue;
		(void)fputs(limits[i].words, out);
		explain_amount(value, limits[i].unit, out);
		(void)fputc('\n', out);
		return true;
	}
	return false;
}

static void explain_setting(const struct launch_plan *plan, const struct launch_cgroup_setting *s,
			    FILE *out)
{
	const char *v1 = launch_text(plan, s->v1_file), *v2 = launch_text(plan, s->v2_file);
	const char *value = launch_text(plan, v1 ? s->v1_value : s->v2_value);

	if (s->optional && s->v1_file && !strcmp(v1, "memory.memsw.limit_in_bytes"))
		return; /* goes with memory's own "no limit" */
	if (explain_limit(launch_text(plan, s->what), value, out))
		return;
	(void)fputs("writes ", out);
	explain_text(out, value);
	(void)fputs(" to the cgroup's ", out);
	explain_text(out, v1 ? v1 : v2);
	if (v1 && v2 && strcmp(v1, v2) != 0) {
		(void)fputs(" (v2: ", out);
		explain_text(out, launch_text(plan, s->v2_value));
		(void)fputs(" to ", out);
		explain_text(out, v2);
		(void)fputc(')', out);
	}
	(void)fputs(s->optional ? ", where the kernel has it\n" : "\n", out);
}

static void explain_number(int64_t n, FILE *out)
{
	if (n < 0)
		(void)fputc('*', out);
	else
		(void)fprintf(out, "%lld", (long long)n);
}

/* Rules that follow each other in one line, as long as all allow or all deny. */
static void explain_rules(const struct launch_plan *plan, FILE *out)
{
	struct launch_vec rules = plan->cgroup_devices;
	uint32_t before = 2;

	for (uint32_t i = 0; i < rules.n; i++) {
		const struct launch_cgroup_device *r =
			launch_at(plan, rules, struct launch_cgroup_device, i);

		if (r->allow == before)
			(void)fputs(", ", out);
		else
			(void)fprintf(out, "%s%s the devices ", i ? "\n" : "",
				      r->allow ? "allows" : "denies");
		before = r->allow;
		if (r->type == 'a') {
			(void)fputs("of all kinds", out);
			continue;
		}
		(void)fputs(r->type == 'b' ? "block " : "char ", out);
		explain_number(r->major, out);
		(void)fputc(':', out);
		explain_number(r->minor, out);
		(void)fprintf(out, " (%s%s%s)", r->access & 1 ? "r" : "", r->access & 2 ? "w" : "",
			      r->access & 4 ? "m" : "");
	}
	if (rules.n)
		(void)fputc('\n', out);
}

void explain_cgroup(const struct launch_plan *plan, FILE *out)
{
	if (plan->cgroup_path) {
		(void)fputs("uses the cgroup ", out);
		explain_text(out, launch_text(plan, plan->cgroup_path));
		(void)fputc('\n', out);
	}
	for (uint32_t i = 0; i < plan->cgroup.n; i++)
		explain_setting(
			plan, launch_at(plan, plan->cgroup, struct launch_cgroup_setting, i), out);
	explain_rules(plan, out);
}
