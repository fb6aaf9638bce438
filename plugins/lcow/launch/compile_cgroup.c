/* SPDX-License-Identifier: MIT */
/*
 * /linux/resources as rows for v1 and v2.  Conversions between the two are those of runc and crun:
 * a spec names v1's limits, and engines count on v2 getting the same from every runtime.
 */
#include "compile.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define SHARES_MAX 262144u
#define PERIOD_DEFAULT 100000u /* both versions' default, microseconds */

struct number {
	char text[24];
};

static struct number number_of(int64_t n)
{
	struct number number;

	(void)snprintf(number.text, sizeof(number.text), "%" PRId64, n);
	return number;
}

/* -1 is "no limit": v1 writes it so, v2 has a word. */
static const char *v1_limit(int64_t n, struct number *number)
{
	*number = number_of(n < 0 ? -1 : n);
	return number->text;
}

static const char *v2_limit(int64_t n, struct number *number)
{
	*number = number_of(n);
	return n < 0 ? "max" : number->text;
}

void cgroup_add(struct compile *c, struct rows *rows, const struct node *at, const char *key,
		const struct cgroup_setting *s)
{
	struct launch_cgroup_setting row = { 0 };
	char pointer[256];

	node_pointer(at, key, pointer, sizeof(pointer));
	row.what = build_str(c, pointer);
	row.optional = s->optional;
	row.again = s->again;
	if (s->v1_file) {
		row.controller = build_str(c, s->controller);
		row.v1_file = build_str(c, s->v1_file);
		row.v1_value = build_str(c, s->v1_value);
	}
	if (s->v2_file) {
		row.v2_controller =
			build_str(c, s->v2_controller ? s->v2_controller : s->controller);
		row.v2_file = build_str(c, s->v2_file);
		row.v2_value = build_str(c, s->v2_value);
	}
	rows_add(c, rows, &row, sizeof(row));
}

/* v1 counts memory and swap together, v2 swap alone. */
static void memory_swap(struct compile *c, const struct node *at, struct rows *rows, int64_t limit,
			int64_t swap, bool given)
{
	struct cgroup_setting s = { .controller = "memory", .optional = !given };
	struct number v1, v2;

	if (swap > 0 && limit <= 0)
		compile_fail(c, at, "swap", -EINVAL,
			     "counts memory and swap, and memory has no limit");
	if (swap > 0 && swap < limit)
		compile_fail(c, at, "swap", -EINVAL,
			     "counts memory and swap, and is below memory's limit");
	s.v1_file = "memory.memsw.limit_in_bytes";
	s.v1_value = v1_limit(swap, &v1);
	s.v2_file = "memory.swap.max";
	s.v2_value = v2_limit(swap < 0 ? -1 : swap - limit, &v2);
	cgroup_add(c, rows, at, given ? "swap" : "limit", &s);
}

/*
 * On v1 the limit must stay at or below memory plus swap at every moment: lowering needs it first,
 * raising needs it last.  Which of both an update is, only the kernel knows: hence "again".
 */
static void memory_limits(struct compile *c, const struct node *at, struct rows *rows)
{
	struct cgroup_setting s = { .controller = "memory" };
	struct number v1, v2;
	int64_t limit = 0, swap = 0;
	bool given;

	node_int(c, at, "limit", -1, INT64_MAX, &limit);
	given = node_int(c, at, "swap", -1, INT64_MAX, &swap) && swap;
	if (limit < 0 && !given)
		swap = -1; /* unlimited memory cannot be below a limit of both */
	s.v1_file = "memory.limit_in_bytes";
	s.v1_value = v1_limit(limit, &v1);
	s.v2_file = "memory.max";
	s.v2_value = v2_limit(limit, &v2);
	s.again = swap != 0;
	if (limit)
		cgroup_add(c, rows, at, "limit", &s);
	if (swap)
		memory_swap(c, at, rows, limit, swap, given);
}

static void memory_others(struct compile *c, const struct node *at, struct rows *rows)
{
	struct number v1, v2;
	int64_t n;

	if (node_int(c, at, "reservation", -1, INT64_MAX, &n) && n)
		cgroup_add(c, rows, at, "reservation",
			   &(struct cgroup_setting){ .controller = "memory",
						     .v1_file = "memory.soft_limit_in_bytes",
						     .v1_value = v1_limit(n, &v1),
						     .v2_file = "memory.low",
						     .v2_value = v2_limit(n, &v2) });
	if (node_int(c, at, "kernel", -1, INT64_MAX, &n) &&
	    n) /* kernels from 5.16 have it no more */
		cgroup_add(c, rows, at, "kernel",
			   &(struct cgroup_setting){ .controller = "memory",
						     .v1_file = "memory.kmem.limit_in_bytes",
						     .v1_value = v1_limit(n, &v1),
						     .optional = true });
	if (node_int(c, at, "kernelTCP", -1, INT64_MAX, &n) && n)
		cgroup_add(c, rows, at, "kernelTCP",
			   &(struct cgroup_setting){ .controller = "memory",
						     .v1_file = "memory.kmem.tcp.limit_in_bytes",
						     .v1_value = v1_limit(n, &v1) });
	if (node_int(c, at, "swappiness", 0, 100, &n))
		cgroup_add(c, rows, at, "swappiness",
			   &(struct cgroup_setting){ .controller = "memory",
						     .v1_file = "memory.swappiness",
						     .v1_value = v1_limit(n, &v1) });
}

static void compile_memory(struct compile *c, const struct node *resources, struct rows *rows)
{
	struct node at;
	bool flag = false;

	if (!node_object(c, resources, "memory", &at))
		return;
	if (node_bool(c, &at, "useHierarchy", &flag) && flag)
		cgroup_add(c, rows, &at, "useHierarchy",
			   &(struct cgroup_setting){ .controller = "memory",
						     .v1_file = "memory.use_hierarchy",
						     .v1_value = "1",
						     .optional = true });
	memory_limits(c, &at, rows);
	memory_others(c, &at, rows);
	if (node_bool(c, &at, "disableOOMKiller", &flag) && flag)
		cgroup_add(c, rows, &at, "disableOOMKiller",
			   &(struct cgroup_setting){ .controller = "memory",
						     .v1_file = "memory.oom_control",
						     .v1_value = "1" });
	/* Compares with what is used now, which is nothing in a new cgroup. */
	node_bool(c, &at, "checkBeforeUpdate", &flag);
}

/* 2..262144 shares to a weight of 1..10000 */
static int64_t shares_weight(uint64_t shares)
{
	if (shares < 2)
		shares = 2;
	if (shares > SHARES_MAX)
		shares = SHARES_MAX;
	return (int64_t)(1 + (shares - 2) * 9999 / (SHARES_MAX - 2));
}

static void cpu_bandwidth(struct compile *c, const struct node *at, struct rows *rows)
{
	struct number v1;
	int64_t quota = 0;
	uint64_t period = 0, burst;
	char both[64], text[24];

	node_uint(c, at, "period", INT64_MAX, &period);
	node_int(c, at, "quota", INT64_MIN, INT64_MAX, &quota);
	(void)snprintf(text, sizeof(text), "%" PRIu64, period ? period : PERIOD_DEFAULT);
	if (quota > 0)
		(void)snprintf(both, sizeof(both), "%" PRId64 " %s", quota, text);
	else
		(void)snprintf(both, sizeof(both), "max %s", text);
	if (period) /* refused while the quota of before is too much for it */
		cgroup_add(c, rows, at, "period",
			   &(struct cgroup_setting){ .controller = "cpu",
						     .v1_file = "cpu.cfs_period_us",
						     .v1_value = text,
						     .v2_file = quota ? NULL : "cpu.max",
						     .v2_value = both,
						     .again = quota != 0 });
	if (quota)
		cgroup_add(c, rows, at, "quota",
			   &(struct cgroup_setting){ .controller = "cpu",
						     .v1_file = "cpu.cfs_quota_us",
						     .v1_value = v1_limit(quota, &v1),
						     .v2_file = "cpu.max",
						     .v2_value = both });
	if (!node_uint(c, at, "burst", INT64_MAX, &burst))
		return;
	v1 = number_of((int64_t)burst);
	cgroup_add(c, rows, at, "burst",
		   &(struct cgroup_setting){ .controller = "cpu",
					     .v1_file = "cpu.cfs_burst_us",
					     .v1_value = v1.text,
					     .v2_file = "cpu.max.burst",
					     .v2_value = v1.text });
}

static void cpu_realtime(struct compile *c, const struct node *at, struct rows *rows)
{
	struct cgroup_setting s = { .controller = "cpu", .v1_file = "cpu.rt_period_us" };
	struct number number;
	int64_t runtime = 0;
	uint64_t period = 0;

	node_uint(c, at, "realtimePeriod", INT64_MAX, &period);
	node_int(c, at, "realtimeRuntime", INT64_MIN, INT64_MAX, &runtime);
	if (period) {
		number = number_of((int64_t)period);
		s.v1_value = number.text;
		s.again = runtime != 0;
		cgroup_add(c, rows, at, "realtimePeriod", &s);
	}
	if (runtime) {
		s.v1_file = "cpu.rt_runtime_us";
		s.v1_value = v1_limit(runtime, &number);
		s.again = false;
		cgroup_add(c, rows, at, "realtimeRuntime", &s);
	}
}

static void cpuset_list(struct compile *c, const struct node *at, const char *key, const char *file,
			struct rows *rows)
{
	const char *list = node_text(c, at, key);

	if (!list || !*list)
		return;
	if (list[strspn(list, "0123456789,-:/ ")])
		compile_fail(c, at, key, -EINVAL, "not a list such as 0-3,7");
	cgroup_add(c, rows, at, key,
		   &(struct cgroup_setting){ .controller = "cpuset",
					     .v1_file = file,
					     .v1_value = list,
					     .v2_file = file,
					     .v2_value = list });
}

static void compile_cpu(struct compile *c, const struct node *resources, struct rows *rows)
{
	struct number v1, v2;
	struct node at;
	uint64_t n;

	if (!node_object(c, resources, "cpu", &at))
		return;
	if (node_uint(c, &at, "shares", INT64_MAX, &n) && n) {
		v1 = number_of((int64_t)n);
		v2 = number_of(shares_weight(n));
		cgroup_add(c, rows, &at, "shares",
			   &(struct cgroup_setting){ .controller = "cpu",
						     .v1_file = "cpu.shares",
						     .v1_value = v1.text,
						     .v2_file = "cpu.weight",
						     .v2_value = v2.text });
	}
	cpu_bandwidth(c, &at, rows);
	cpu_realtime(c, &at, rows);
	cpuset_list(c, &at, "cpus", "cpuset.cpus", rows);
	cpuset_list(c, &at, "mems", "cpuset.mems", rows);
	if (node_uint(c, &at, "idle", 1, &n)) /* after the shares: an idle group has none */
		cgroup_add(c, rows, &at, "idle",
			   &(struct cgroup_setting){ .controller = "cpu",
						     .v1_file = "cpu.idle",
						     .v1_value = n ? "1" : "0",
						     .v2_file = "cpu.idle",
						     .v2_value = n ? "1" : "0" });
}

static void compile_pids(struct compile *c, const struct node *resources, struct rows *rows)
{
	struct number number;
	struct node at;
	int64_t limit = 0;
	const char *text;

	if (!node_object(c, resources, "pids", &at) ||
	    !node_int(c, &at, "limit", INT64_MIN, INT64_MAX, &limit) || !limit)
		return;
	text = v2_limit(limit, &number);
	cgroup_add(c, rows, &at, "limit",
		   &(struct cgroup_setting){ .controller = "pids",
					     .v1_file = "pids.max",
					     .v1_value = text,
					     .v2_file = "pids.max",
					     .v2_value = text });
}

void compile_resources(struct compile *c, const struct node *resources)
{
	struct rows rows = { 0 };

	compile_memory(c, resources, &rows);
	compile_cpu(c, resources, &rows);
	compile_pids(c, resources, &rows);
	compile_blkio(c, resources, &rows);
	compile_others(c, resources, &rows);
	c->plan.cgroup = rows_take(c, &rows, sizeof(struct launch_cgroup_setting));
}
