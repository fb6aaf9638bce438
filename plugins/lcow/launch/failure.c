/* SPDX-License-Identifier: MIT */
/* What the child could not do, named by the plan's own words: "mount /proc: permission denied". */
#include "parent.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

static const char *const step_text[LAUNCH_STEP_COUNT] = {
#define X(name, text) [LAUNCH_STEP_##name] = text,
	LAUNCH_STEPS(X)
#undef X
};

static const char *failure_str(const struct launch_plan *p, launch_str s)
{
	return s ? launch_text(p, s) : "";
}

static const char *failure_rlimit(uint32_t resource, char *buf, size_t size)
{
	static const char *const names[] = {
		[RLIMIT_AS] = "AS",
		[RLIMIT_CORE] = "CORE",
		[RLIMIT_CPU] = "CPU",
		[RLIMIT_DATA] = "DATA",
		[RLIMIT_FSIZE] = "FSIZE",
		[RLIMIT_LOCKS] = "LOCKS",
		[RLIMIT_MEMLOCK] = "MEMLOCK",
		[RLIMIT_MSGQUEUE] = "MSGQUEUE",
		[RLIMIT_NICE] = "NICE",
		[RLIMIT_NOFILE] = "NOFILE",
		[RLIMIT_NPROC] = "NPROC",
		[RLIMIT_RSS] = "RSS",
		[RLIMIT_RTPRIO] = "RTPRIO",
		[RLIMIT_RTTIME] = "RTTIME",
		[RLIMIT_SIGPENDING] = "SIGPENDING",
		[RLIMIT_STACK] = "STACK",
	};

	if (resource < sizeof(names) / sizeof(names[0]) && names[resource])
		(void)snprintf(buf, size, "RLIMIT_%s", names[resource]);
	else
		(void)snprintf(buf, size, "%u", resource);
	return buf;
}

static const char *failure_mount(const struct launch_plan *p, const struct launch_msg *msg,
				 char *buf, size_t size)
{
	const struct launch_mount *m;
	uint32_t i = msg->index;

	if (i >= p->mounts.n)
		return "";
	m = launch_at(p, p->mounts, struct launch_mount, i);
	if (msg->step == LAUNCH_STEP_MOUNT_SOURCE)
		(void)snprintf(buf, size, "%s: source %s", failure_str(p, m->target),
			       failure_str(p, m->source));
	else if (msg->step == LAUNCH_STEP_MOUNT && msg->code == -ENODEV)
		(void)snprintf(buf, size, "%s: type %s", failure_str(p, m->target),
			       failure_str(p, m->type));
	else
		(void)snprintf(buf, size, "%s", failure_str(p, m->target));
	return buf;
}

/* The thing a step was about, or "". */
static const char *failure_object(const struct launch *l, const struct launch_msg *msg, char *buf,
				  size_t size)
{
	const struct launch_plan *p = l->plan;
	const struct launch_process *process = &(l->exec ? l->exec : p)->process;
	const struct launch_plan *pp = l->exec ? l->exec : p;
	uint32_t i = msg->index;

	switch ((enum launch_step)msg->step) {
	case LAUNCH_STEP_MOUNT:
	case LAUNCH_STEP_MOUNT_SOURCE:
	case LAUNCH_STEP_MOUNT_TARGET:
	case LAUNCH_STEP_MOUNT_OPTIONS:
	case LAUNCH_STEP_COPY_UP:
		return failure_mount(p, msg, buf, size);
	case LAUNCH_STEP_JOIN:
		return i < p->joins.n
			       ? failure_str(p,
					     launch_at(p, p->joins, struct launch_ns_join, i)->path)
			       : "";
	case LAUNCH_STEP_DEVICE:
		return failure_str(p, launch_at(p, p->devices, struct launch_device, i)->path);
	case LAUNCH_STEP_SYMLINK:
		return failure_str(p, launch_at(p, p->symlinks, struct launch_symlink, i)->path);
	case LAUNCH_STEP_MASKED:
		return failure_str(p, *launch_at(p, p->masked, launch_str, i));
	case LAUNCH_STEP_READONLY:
		return failure_str(p, *launch_at(p, p->readonly, launch_str, i));
	case LAUNCH_STEP_SYSCTL:
		return failure_str(p, launch_at(p, p->sysctls, struct launch_sysctl, i)->key);
	case LAUNCH_STEP_ROOTFS:
		return failure_str(p, p->rootfs);
	case LAUNCH_STEP_CWD:
		return failure_str(pp, process->cwd);
	case LAUNCH_STEP_RLIMIT:
		return failure_rlimit(
			launch_at(pp, process->rlimits, struct launch_rlimit, i)->resource, buf,
			size);
	case LAUNCH_STEP_LABEL:
		return failure_str(pp, process->apparmor ? process->apparmor : process->selinux);
	default:
		return "";
	}
}

/* The words that engines look for. */
static int failure_exec(const struct launch *l, int code)
{
	const struct launch_plan *p = l->exec ? l->exec : l->plan;
	const char *name = failure_str(p, *launch_at(p, p->process.args, launch_str, 0));

	if (code == -ENOENT && !strchr(name, '/'))
		return parent_error(l->err, code,
				    "exec: \"%s\": executable file not found in $PATH", name);
	return parent_fail(l->err, code, "exec: \"%s\"", name);
}

int parent_report(const struct launch *l, const struct launch_msg *msg)
{
	char buf[512], object[640] = "", detail[sizeof(msg->text) + 4] = "";
	const char *name, *text;
	int code = msg->code < 0 ? msg->code : -EIO;

	if (msg->step >= LAUNCH_STEP_COUNT)
		return parent_error(l->err, -EPROTO,
				    "launch: the child's report is not understood");
	if (msg->step == LAUNCH_STEP_EXEC)
		return failure_exec(l, code);
	text = step_text[msg->step];
	name = failure_object(l, msg, buf, sizeof(buf));
	if (name[0])
		(void)snprintf(object, sizeof(object), " %s", name);
	if (msg->text[0])
		(void)snprintf(detail, sizeof(detail), ": %.*s", (int)sizeof(msg->text) - 1,
			       msg->text);
	if (msg->step == LAUNCH_STEP_CWD && code == -EXDEV)
		return parent_error(l->err, code, "%s%s: it is outside of the container", text,
				    object);
	return parent_fail(l->err, code, "%s%s%s", text, object, detail);
}
