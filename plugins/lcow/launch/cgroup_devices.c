/* SPDX-License-Identifier: MIT */
/* Which devices the container may use: v1 takes rules as text, v2 a program. */
#include "cgroup_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void cgroup_device_text(const struct launch_cgroup_device *d, char *buf, size_t size)
{
	char major[24] = "*", minor[24] = "*";

	if (d->major >= 0)
		(void)snprintf(major, sizeof(major), "%lld", (long long)d->major);
	if (d->minor >= 0)
		(void)snprintf(minor, sizeof(minor), "%lld", (long long)d->minor);
	(void)snprintf(buf, size, "%c %s:%s %s%s%s", (char)d->type, major, minor,
		       d->access & 1 ? "r" : "", d->access & 2 ? "w" : "",
		       d->access & 4 ? "m" : "");
}

/* One rule per write; a dozen of them is common, so each file is opened once. */
static int devices_v1(const char *dir, const struct launch_plan *plan, struct launch_error *err)
{
	static const char *const files[] = { "devices.deny", "devices.allow" };
	int fds[2] = { -1, -1 }, r = 0;

	for (uint32_t i = 0; i < plan->cgroup_devices.n && r == 0; i++) {
		const struct launch_cgroup_device *d =
			launch_at(plan, plan->cgroup_devices, struct launch_cgroup_device, i);
		int *fd = &fds[d->allow != 0];
		char rule[80];

		cgroup_device_text(d, rule, sizeof(rule));
		if (*fd < 0)
			*fd = cgroup_open(dir, files[d->allow != 0], O_WRONLY);
		if (*fd < 0)
			r = *fd;
		else if (write(*fd, rule, strlen(rule)) < 0)
			r = -errno;
		if (r < 0)
			(void)parent_fail(err, r, "/linux/resources/devices: write \"%s\" to %s/%s",
					  rule, dir, files[d->allow != 0]);
	}
	for (int i = 0; i < 2; i++) {
		if (fds[i] >= 0)
			(void)close(fds[i]);
	}
	return r;
}

bool cgroup_devices_wanted(const struct launch_plan *plan)
{
	return plan->cgroup_devices.n && geteuid() == 0;
}

int cgroup_devices(const struct launch_cgroup *cg, const struct launch_plan *plan,
		   struct launch_error *err)
{
	const char *dir;

	if (!cgroup_devices_wanted(plan))
		return 0;
	if (cg->mode == LAUNCH_CGROUP_V2)
		return cgroup_bpf_attach(cgroup_tracking(cg)->dir, plan, err);
	dir = cgroup_dir_of(cg, "devices");
	if (!dir)
		return parent_error(err, -ENOTSUP,
				    "/linux/resources/devices: the container has no such cgroup");
	return devices_v1(dir, plan, err);
}
