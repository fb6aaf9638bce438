/* SPDX-License-Identifier: MIT */
/* Who the user's process is, and what it may. */
#include "stub.h"
#include "../launch/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/openat2.h>
#include <linux/prctl.h>

/*
 * Written through a procfs that the launcher opened, for which nothing of the container's stands.
 */
static int label_write(struct stub *s, const char *file, const char *before, const char *label)
{
	struct open_how how = {
		.flags = O_WRONLY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS,
	};
	char text[1024];
	size_t n;
	long fd, r;

	if (s->job->proc_fd < 0)
		return -ENOENT;
	n = sys_append(text, sizeof(text), 0, before);
	n = sys_append(text, sizeof(text), n, label);
	if (n >= sizeof(text))
		return -ENAMETOOLONG;
	fd = sys(openat2, s->job->proc_fd, file, &how, sizeof(how));
	if (fd < 0)
		return (int)fd;
	r = sys(write, fd, text, n);
	(void)sys(close, fd);
	return r < 0 ? (int)r : 0;
}

/* Takes effect with the next execve. */
int stub_label(struct stub *s)
{
	const struct launch_process *p = &s->plan->process;
	int r = 0;

	if (p->apparmor) {
		r = stub_step(s, LAUNCH_STEP_LABEL, 0);
		if (r == 0)
			r = label_write(s, "thread-self/attr/apparmor/exec", "exec ",
					launch_text(s->plan, p->apparmor));
		if (r == -ENOENT) /* before Linux 5.8, and where it is the only one */
			r = label_write(s, "thread-self/attr/exec", "exec ",
					launch_text(s->plan, p->apparmor));
	}
	if (r == 0 && p->selinux) {
		r = stub_step(s, LAUNCH_STEP_LABEL, 1);
		if (r == 0)
			r = label_write(s, "thread-self/attr/exec", "",
					launch_text(s->plan, p->selinux));
	}
	return r;
}

static int credentials_bounding(struct stub *s, const struct launch_process *p)
{
	int r = stub_step(s, LAUNCH_STEP_BOUNDING, 0);

	for (uint32_t cap = 0; cap <= s->job->last_cap && r == 0; cap++) {
		if (p->cap_bounding >> cap & 1)
			continue;
		r = (int)sys(prctl, PR_CAPBSET_DROP, cap, 0, 0, 0);
		/* What is not in it need not be dropped, for which one may lack the right. */
		if (r < 0 && sys(prctl, PR_CAPBSET_READ, cap, 0, 0, 0) != 1)
			r = 0;
	}
	return r;
}

static int credentials_ids(struct stub *s, const struct launch_process *p)
{
	long r = stub_step(s, LAUNCH_STEP_GROUPS, 0);

	if (r == 0 && !(s->job->flags & LAUNCH_JOB_NO_SETGROUPS && p->groups.n == 0))
		r = sys(setgroups, p->groups.n,
			p->groups.n ? launch_at(s->plan, p->groups, uint32_t, 0) : NULL);
	if (r == 0)
		r = stub_step(s, LAUNCH_STEP_GID, 0);
	if (r == 0)
		r = sys(setresgid, p->gid, p->gid, p->gid);
	if (r == 0)
		r = stub_step(s, LAUNCH_STEP_UID, 0);
	if (r == 0)
		r = sys(setresuid, p->uid, p->uid, p->uid);
	return (int)r;
}

/* The sets as far as we have them to give; the specification wants no failure for the rest. */
static int credentials_caps(struct stub *s, const struct launch_process *p)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];
	long r = stub_step(s, LAUNCH_STEP_CAPS, 0);
	uint64_t have;

	if (r == 0)
		r = sys(capget, &head, data);
	if (r < 0)
		return (int)r;
	have = data[0].permitted | (uint64_t)data[1].permitted << 32;
	for (int i = 0; i < 2; i++) {
		data[i].effective = (uint32_t)((p->cap_effective & have) >> (32 * i));
		data[i].permitted = (uint32_t)((p->cap_permitted & have) >> (32 * i));
		data[i].inheritable = (uint32_t)((p->cap_inheritable & have) >> (32 * i));
	}
	(void)sys(prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	r = sys(capset, &head, data);
	for (uint32_t cap = 0; cap <= s->job->last_cap && r == 0; cap++) {
		if ((p->cap_ambient & have) >> cap & 1)
			r = sys(prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0);
	}
	return (int)r;
}

int stub_credentials(struct stub *s)
{
	const struct launch_process *p = &s->plan->process;
	long r = 0;

	/* Without no_new_privs a filter needs rights that are about to go. */
	if (!p->no_new_privs)
		r = stub_seccomp(s);
	if (r == 0 && p->caps_set)
		r = credentials_bounding(s, p);
	if (r == 0)
		r = sys(prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0);
	if (r == 0)
		r = credentials_ids(s, p);
	if (r == 0 && p->caps_set)
		r = credentials_caps(s, p);
	(void)sys(prctl, PR_SET_KEEPCAPS, 0, 0, 0, 0);
	if (r == 0 && p->no_new_privs) {
		r = stub_step(s, LAUNCH_STEP_NO_NEW_PRIVS, 0);
		if (r == 0)
			r = sys(prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	}
	return (int)r;
}
