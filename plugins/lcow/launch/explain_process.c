/* SPDX-License-Identifier: MIT */
/* launch_explain(): what runs, as whom, and what it may. */
#include "compile.h"
#include "explain.h"

#include <inttypes.h>
#include <sys/resource.h>

static const char *const rlimit_words[RLIM_NLIMITS] = {
	[RLIMIT_AS] = "address space (bytes)",
	[RLIMIT_CORE] = "core dumps (bytes)",
	[RLIMIT_CPU] = "CPU seconds",
	[RLIMIT_DATA] = "data (bytes)",
	[RLIMIT_FSIZE] = "file size (bytes)",
	[RLIMIT_LOCKS] = "file locks",
	[RLIMIT_MEMLOCK] = "locked memory (bytes)",
	[RLIMIT_MSGQUEUE] = "message queues (bytes)",
	[RLIMIT_NICE] = "nice ceiling",
	[RLIMIT_NOFILE] = "open files",
	[RLIMIT_NPROC] = "processes of the user",
	[RLIMIT_RSS] = "resident memory (bytes)",
	[RLIMIT_RTPRIO] = "real-time priority",
	[RLIMIT_RTTIME] = "real-time CPU (us)",
	[RLIMIT_SIGPENDING] = "pending signals",
	[RLIMIT_STACK] = "stack (bytes)",
};

static void explain_rlimit(uint64_t value, FILE *out)
{
	if (value == UINT64_MAX)
		(void)fputs("unlimited", out);
	else
		(void)fprintf(out, "%" PRIu64, value);
}

static void explain_rlimits(const struct launch_plan *plan, FILE *out)
{
	struct launch_vec rlimits = plan->process.rlimits;

	for (uint32_t i = 0; i < rlimits.n; i++) {
		const struct launch_rlimit *r = launch_at(plan, rlimits, struct launch_rlimit, i);

		(void)fprintf(out, "limits %s to ", rlimit_words[r->resource]);
		explain_rlimit(r->soft, out);
		if (r->soft != r->hard) {
			(void)fputs(", at most ", out);
			explain_rlimit(r->hard, out);
		}
		(void)fputc('\n', out);
	}
}

static void explain_cap_names(uint64_t set, FILE *out)
{
	uint32_t n = (uint32_t)__builtin_popcountll(set), i = 0;

	for (unsigned int cap = 0; cap < 64; cap++) {
		const char *name = launch_cap_name(cap);

		if (!(set & UINT64_C(1) << cap))
			continue;
		explain_and(out, i++, n);
		if (name)
			(void)fputs(name, out);
		else
			(void)fprintf(out, "capability %u", cap);
	}
}

static void explain_cap_set(const char *words, uint64_t set, FILE *out)
{
	if (!set)
		return;
	(void)fputs(words, out);
	explain_cap_names(set, out);
	(void)fputc('\n', out);
}

static void explain_caps(const struct launch_process *p, FILE *out)
{
	uint64_t all = (UINT64_C(1) << launch_cap_count()) - 1;
	uint64_t kept = p->cap_permitted;

	if (!p->caps_set)
		return;
	if ((kept & all) == all) {
		(void)fputs("keeps all capabilities\n", out);
	} else if (!kept) {
		(void)fputs("drops all capabilities\n", out);
	} else {
		(void)fputs("drops all capabilities but ", out);
		explain_cap_names(kept, out);
		(void)fputc('\n', out);
	}
	explain_cap_set("does not use at first ", kept & ~p->cap_effective, out);
	explain_cap_set("can gain from a program's file ", p->cap_bounding & ~kept & all, out);
	explain_cap_set("can never gain again from a program's file ", kept & ~p->cap_bounding,
			out);
	explain_cap_set("lets programs inherit ", p->cap_inheritable, out);
	explain_cap_set("gives every program ", p->cap_ambient, out);
}

static void explain_label(const struct launch_plan *plan, const char *words, launch_str label,
			  FILE *out)
{
	if (!label)
		return;
	(void)fputs(words, out);
	explain_text(out, launch_text(plan, label));
	(void)fputc('\n', out);
}

static void explain_security(const struct launch_plan *plan, FILE *out)
{
	const struct launch_process *p = &plan->process;

	explain_caps(p, out);
	explain_label(plan, "confines it by the AppArmor profile ", p->apparmor, out);
	explain_label(plan, "confines it by the SELinux label ", p->selinux, out);
	if (p->no_new_privs)
		(void)fputs("forbids gaining privileges by programs (no_new_privs)\n", out);
	if (plan->seccomp.filter.n)
		(void)fputs("filters system calls (seccomp)\n", out);
	explain_label(plan, "hands filtered system calls to ", plan->seccomp.listener_path, out);
}

static void explain_run(const struct launch_plan *plan, FILE *out)
{
	const struct launch_process *p = &plan->process;

	(void)fputs("runs ", out);
	for (uint32_t i = 0; i < p->args.n; i++) {
		if (i)
			(void)fputc(' ', out);
		explain_text(out, launch_text(plan, *launch_at(plan, p->args, launch_str, i)));
	}
	(void)fprintf(out, " as uid %u, gid %u", p->uid, p->gid);
	for (uint32_t i = 0; i < p->groups.n; i++)
		(void)fprintf(out, "%s%u", i ? ", " : ", groups ",
			      *launch_at(plan, p->groups, uint32_t, i));
	(void)fputs(" in ", out);
	explain_text(out, launch_text(plan, p->cwd));
	(void)fprintf(out, "%s\n", p->terminal ? ", on a terminal" : "");
}

void explain_process(const struct launch_plan *plan, FILE *out)
{
	const struct launch_process *p = &plan->process;

	if (!plan->has_process)
		return;
	explain_rlimits(plan, out);
	if (p->oom_score_adj_set)
		(void)fprintf(out, "adjusts the OOM score by %d\n", p->oom_score_adj);
	if (p->scheduler_set)
		(void)fprintf(out, "sets scheduling policy %u, nice %d, priority %u\n",
			      p->sched_policy, p->sched_nice, p->sched_priority);
	if (p->ioprio_set)
		(void)fprintf(out, "sets I/O class %u, priority %u\n", p->ioprio >> 13,
			      p->ioprio & 0x1fff);
	if (p->umask_set)
		(void)fprintf(out, "sets the umask to %03o\n", p->umask);
	explain_security(plan, out);
	if (p->env.n)
		(void)fprintf(out, "sets %u environment variable%s\n", p->env.n,
			      p->env.n > 1 ? "s" : "");
	explain_run(plan, out);
}
