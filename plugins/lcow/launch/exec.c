/* SPDX-License-Identifier: MIT */
/* Another process in a running container: one clone, one setns by the init's pidfd. */
#include "parent.h"

#include <errno.h>
#include <linux/sched.h>
#include <unistd.h>

uint64_t parent_ns_flags(const struct launch_plan *plan)
{
	uint64_t flags = plan->clone_flags;

	for (uint32_t i = 0; i < plan->joins.n; i++)
		flags |= launch_at(plan, plan->joins, struct launch_ns_join, i)->type;
	return flags;
}

static int exec_check(const struct launch_plan *exec_plan, struct launch_error *err)
{
	if (err)
		err->code = 0;
	if (exec_plan->magic != LAUNCH_PLAN_MAGIC || exec_plan->version != LAUNCH_PLAN_VERSION)
		return parent_error(err, -EINVAL, "plan: not one of this version");
	if (!exec_plan->has_process || !exec_plan->process.args.n)
		return parent_error(err, -EINVAL, "plan: no process to run");
	return 0;
}

/* The right to enter the pid namespace may come from the user namespace only: then in two steps. */
static void exec_flags(struct launch *l, int pidfd)
{
	uint64_t flags = parent_ns_flags(l->plan);
	struct child *c = &l->child;

	c->userns = (flags & CLONE_NEWUSER) != 0;
	c->two_stage = c->userns && flags & CLONE_NEWPID && geteuid() != 0;
	c->dumpable = false;
	c->setns_flags = c->two_stage ? flags : flags & ~(uint64_t)CLONE_NEWPID;
	if (flags & CLONE_NEWPID && !c->two_stage)
		l->join_pid = pidfd;
}

int launch_exec(const struct launch_plan *exec_plan, const struct launch_plan *base,
		const struct launch_child *container, const struct launch_run_options *options,
		struct launch_child *ret, struct launch_error *err)
{
	int r = exec_check(exec_plan, err);
	struct launch *l = r < 0 ? NULL : parent_new(base, exec_plan, options, err);

	if (!l)
		return r < 0 ? r : -ENOMEM;
	l->child.container_pidfd = container->pidfd;
	l->child.root_fd = container->root_fd;
	exec_flags(l, container->pidfd);
	r = parent_prepare(l);
	if (r == 0)
		r = parent_clone(l);
	if (r == 0)
		r = parent_first_go(l);
	if (r == 0)
		r = parent_serve(l);
	if (r == 0)
		parent_hand_over(l, ret);
	else
		parent_undo(l);
	parent_free(l);
	return r;
}
