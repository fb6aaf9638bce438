/* SPDX-License-Identifier: MIT */
/* /process/scheduler and /process/ioPriority, as sched_setattr(2) and ioprio_set(2) take them. */
#include "compile.h"

#include <errno.h>
#include <linux/ioprio.h>
#include <linux/sched.h>
#include <string.h>

struct name_value {
	const char *name;
	uint32_t value;
};

static const struct name_value policies[] = {
	{ "SCHED_BATCH", SCHED_BATCH },	 { "SCHED_DEADLINE", SCHED_DEADLINE },
	{ "SCHED_FIFO", SCHED_FIFO },	 { "SCHED_IDLE", SCHED_IDLE },
	{ "SCHED_OTHER", SCHED_NORMAL }, { "SCHED_RR", SCHED_RR },
};

static const struct name_value flags[] = {
	{ "SCHED_FLAG_DL_OVERRUN", SCHED_FLAG_DL_OVERRUN },
	{ "SCHED_FLAG_KEEP_PARAMS", SCHED_FLAG_KEEP_PARAMS },
	{ "SCHED_FLAG_KEEP_POLICY", SCHED_FLAG_KEEP_POLICY },
	{ "SCHED_FLAG_RECLAIM", SCHED_FLAG_RECLAIM },
	{ "SCHED_FLAG_RESET_ON_FORK", SCHED_FLAG_RESET_ON_FORK },
	{ "SCHED_FLAG_UTIL_CLAMP_MAX", SCHED_FLAG_UTIL_CLAMP_MAX },
	{ "SCHED_FLAG_UTIL_CLAMP_MIN", SCHED_FLAG_UTIL_CLAMP_MIN },
};

static const struct name_value io_classes[] = {
	{ "IOPRIO_CLASS_BE", IOPRIO_CLASS_BE },
	{ "IOPRIO_CLASS_IDLE", IOPRIO_CLASS_IDLE },
	{ "IOPRIO_CLASS_RT", IOPRIO_CLASS_RT },
};
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static uint32_t name_find(struct compile *c, const struct node *at, const char *key,
			  const char *name, const struct name_value *table, size_t n)
{
	for (size_t i = 0; name && i < n; i++)
		if (!strcmp(name, table[i].name))
			return table[i].value;
	if (name)
		compile_fail(c, at, key, -EINVAL, "\"%s\" is not known", name);
	return 0;
}

static uint32_t scheduler_flags(struct compile *c, const struct node *scheduler)
{
	struct node array, element;
	uint32_t set = 0;

	if (!node_array(c, scheduler, "flags", &array))
		return 0;
	for (size_t i = 0; i < node_length(&array) && !c->code; i++) {
		element = node_element(&array, i);
		set |= name_find(c, &element, NULL, node_string(c, &element), flags, COUNT(flags));
	}
	return set;
}

static void compile_scheduler(struct compile *c, const struct node *process)
{
	struct launch_process *p = &c->plan.process;
	struct node at;
	int64_t nice = 0, priority = 0;

	if (!node_object(c, process, "scheduler", &at))
		return;
	p->scheduler_set = 1;
	p->sched_runtime = p->sched_deadline = p->sched_period = 0;
	p->sched_policy = name_find(c, &at, "policy", node_text_required(c, &at, "policy"),
				    policies, COUNT(policies));
	node_int(c, &at, "nice", -20, 19, &nice);
	node_int(c, &at, "priority", 0, 99, &priority);
	p->sched_flags = scheduler_flags(c, &at);
	node_uint(c, &at, "runtime", UINT64_MAX, &p->sched_runtime);
	node_uint(c, &at, "deadline", UINT64_MAX, &p->sched_deadline);
	node_uint(c, &at, "period", UINT64_MAX, &p->sched_period);
	p->sched_nice = (int32_t)nice;
	p->sched_priority = (uint32_t)priority;
}

void compile_scheduling(struct compile *c, const struct node *process)
{
	struct node at;
	int64_t priority = 0;
	uint32_t class;

	compile_scheduler(c, process);
	if (!node_object(c, process, "ioPriority", &at))
		return;
	class = name_find(c, &at, "class", node_text_required(c, &at, "class"), io_classes,
			  COUNT(io_classes));
	node_int(c, &at, "priority", 0, IOPRIO_NR_LEVELS - 1, &priority);
	c->plan.process.ioprio_set = 1;
	c->plan.process.ioprio = (class << IOPRIO_CLASS_SHIFT) | (uint32_t)priority;
}
