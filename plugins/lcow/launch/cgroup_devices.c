/* SPDX-License-Identifier: MIT */
/* Which devices the container may use: v1 takes rules as text, v2 a program. */
#include "cgroup_internal.h"

#include <errno.h>
#include <stdio.h>

void cgroup_device_text(const struct launch_cgroup_device *d, char *buf, size_t size)
{
	char major[24] = "*", minor[24] = "*";

	if (d->major >= 0)
		(void)snprintf(major, sizeof(major), "%lld", (long long)d->major);
	if (d->minor >= 0)
		(void)snprintf(minor, sizeof(minor), "%lld", (long long)d->minor);
	(void)snprintf(buf, size, "%c %s:%s %s%s%s", (char)d->type, major, minor,
		       d->access & 1 ? "r" : "", d->access & 2 ? "w" : "", d->access & 4 ? "m" : "");
}

int cgroup_devices(const struct launch_cgroup *cg, const struct launch_plan *plan,
		   struct launch_error *err)
{
	const char *dir;

	if (!plan->cgroup_devices.n)
		return 0;
	if (cg->mode == LAUNCH_CGROUP_V2)
		return cgroup_bpf_attach(cgroup_tracking(cg)->dir, plan, err);
	dir = cgroup_dir_of(cg, "devices");
	if (!dir)
		return parent_error(err, -ENOTSUP,
				    "/linux/resources/devices: the container has no such cgroup");
	for (uint32_t i = 0; i < plan->cgroup_devices.n; i++) {
		const struct launch_cgroup_device *d =
			launch_at(plan, plan->cgroup_devices, struct launch_cgroup_device, i);
		const char *file = d->allow ? "devices.allow" : "devices.deny";
		char rule[80];
		int r;

		cgroup_device_text(d, rule, sizeof(rule));
		r = cgroup_write(dir, file, rule);
		if (r < 0)
			return parent_fail(err, r, "/linux/resources/devices: write \"%s\" to %s/%s",
					   rule, dir, file);
	}
	return 0;
}
