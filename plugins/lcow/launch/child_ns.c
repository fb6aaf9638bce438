/* SPDX-License-Identifier: MIT */
/* Namespaces, cgroups, identity and what the kernel keeps per namespace. */
#include "child.h"
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/openat2.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* The user namespace first: it gives the right to join those that it owns. */
int child_join(struct child *c)
{
	for (int pass = 0; pass < 2; pass++) {
		for (uint32_t i = 0; i < c->n_joins; i++) {
			long r;

			if ((c->join_type[i] == CLONE_NEWUSER) != (pass == 0))
				continue;
			r = child_step(c, LAUNCH_STEP_JOIN, i);
			if (r == 0)
				r = sys(setns, c->join_fd[i], c->join_type[i]);
			if (r < 0)
				return (int)r;
		}
	}
	return 0;
}

/* It comes as the answer to the first "go": no request may be made before. */
int child_take_netns(struct child *c)
{
	int fd = -1, r;

	if (!c->netns_to_come)
		return 0;
	c->netns_to_come = false;
	r = child_wait(c, &fd);
	if (r == 0)
		r = (int)sys(setns, fd, CLONE_NEWNET);
	if (fd >= 0)
		(void)sys(close, fd);
	return r;
}

/* Where 0 is not mapped, the capabilities must survive the stub's execve some other way. */
static int child_keep_caps(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];
	long r = sys(capget, &head, data);

	if (r < 0)
		return (int)r;
	data[0].inheritable = data[0].permitted;
	data[1].inheritable = data[1].permitted;
	r = sys(capset, &head, data);
	for (unsigned cap = 0; cap < 64 && r == 0; cap++) {
		if (data[cap / 32].permitted & (1u << cap % 32))
			r = sys(prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0);
	}
	return (int)r;
}

/*
 * In a user namespace, be its root: so that what is made belongs to it, and execve keeps our
 * rights.
 */
int child_identity(struct child *c)
{
	long r;

	if (!c->userns)
		return 0;
	r = child_step(c, LAUNCH_STEP_IDS, 0);
	if (r == 0)
		r = sys(setresgid, 0, 0, 0);
	if (r == 0)
		r = sys(setresuid, 0, 0, 0);
	return r == -EINVAL ? child_keep_caps() : (int)r;
}

/* "0" is the writer, one task: unlike a pid in cgroup.procs, this waits for no other process. */
int child_join_cgroups(struct child *c)
{
	for (uint32_t i = 0; i < c->n_cgroup_fds; i++) {
		long r = child_step(c, LAUNCH_STEP_CGROUP_JOIN, i);

		if (r == 0)
			r = sys(write, c->cgroup_fd[i], "0", 1);
		if (r < 0)
			return (int)r;
		(void)sys(close, c->cgroup_fd[i]);
		c->cgroup_fd[i] = -1;
	}
	return 0;
}

static int child_loopback(struct child *c)
{
	struct ifreq request = { .ifr_name = "lo" };
	long fd, r = child_step(c, LAUNCH_STEP_LOOPBACK, 0);

	if (r < 0 || c->lo_to_come)
		return (int)r;
	fd = sys(socket, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		fd = sys(socket, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return (int)fd;
	r = sys(ioctl, fd, SIOCGIFFLAGS, &request);
	if (r == 0) {
		request.ifr_flags = (short)(request.ifr_flags | IFF_UP | IFF_RUNNING);
		r = sys(ioctl, fd, SIOCSIFFLAGS, &request);
	}
	(void)sys(close, fd);
	return (int)r;
}

/*
 * By the host's procfs, which shows a task its own namespaces' settings, and never by the
 * container's, over which something else may be mounted.
 */
static int child_sysctl(struct child *c, uint32_t i)
{
	const struct launch_sysctl *s =
		launch_at(c->plan, c->plan->sysctls, struct launch_sysctl, i);
	const char *value = launch_text(c->plan, s->value);
	struct open_how how = {
		.flags = O_WRONLY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
	};
	size_t pos = sys_append(c->buf, sizeof(c->buf), 0, "sys/");
	long fd, r = child_step(c, LAUNCH_STEP_SYSCTL, i);

	if (r < 0)
		return (int)r;
	if (sys_append(c->buf, sizeof(c->buf), pos, launch_text(c->plan, s->file)) >=
	    sizeof(c->buf))
		return -ENAMETOOLONG;
	fd = sys(openat2, c->proc, c->buf, &how, sizeof(how));
	if (fd < 0)
		return (int)fd;
	r = sys(write, fd, value, sys_strlen(value));
	(void)sys(close, fd);
	return r < 0 ? (int)r : 0;
}

int child_kernel_settings(struct child *c)
{
	const char *host = launch_text(c->plan, c->plan->hostname);
	const char *domain = launch_text(c->plan, c->plan->domainname);
	long r = child_take_netns(c);

	if (r == 0 && c->netns)
		r = child_loopback(c);
	for (uint32_t i = 0; i < c->plan->sysctls.n && r == 0; i++)
		r = child_sysctl(c, i);
	if (r == 0 && host) {
		r = child_step(c, LAUNCH_STEP_HOSTNAME, 0);
		if (r == 0)
			r = sys(sethostname, host, sys_strlen(host));
	}
	if (r == 0 && domain) {
		r = child_step(c, LAUNCH_STEP_DOMAINNAME, 0);
		if (r == 0)
			r = sys(setdomainname, domain, sys_strlen(domain));
	}
	return (int)r;
}
