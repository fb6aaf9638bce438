/* SPDX-License-Identifier: MIT */
/* launch_explain(): the file system. */
#include "compile.h"
#include "explain.h"

#include <linux/mount.h>
#include <string.h>
#include <sys/stat.h>

static void mount_line(const struct launch_plan *plan, const struct launch_mount *m, FILE *out)
{
	const char *type = launch_text(plan, m->type), *source = launch_text(plan, m->source);

	switch (m->kind) {
	case LAUNCH_MOUNT_BIND:
		(void)fputs(m->opts & LAUNCH_MOUNT_REC ? "binds the tree " : "binds ", out);
		explain_text(out, source);
		(void)fputs(" on ", out);
		break;
	case LAUNCH_MOUNT_CGROUP:
		(void)fputs("mounts the container's cgroups on ", out);
		break;
	case LAUNCH_MOUNT_REMOUNT:
		(void)fputs("changes the mount of ", out);
		break;
	default:
		(void)fputs("mounts ", out);
		explain_text(out, type);
		if (source && type && *source == '/') {
			(void)fputs(" from ", out);
			explain_text(out, source);
		}
		(void)fputs(" on ", out);
		break;
	}
	explain_text(out, launch_text(plan, m->target));
}

static void explain_mount(const struct launch_plan *plan, const struct launch_mount *m, FILE *out)
{
	char names[1024];
	size_t n = mount_option_names(m, names, sizeof(names));

	mount_line(plan, m, out);
	if (n || m->data)
		(void)fprintf(out, " (%s%s", names, n && m->data ? "; " : "");
	explain_text(out, launch_text(plan, m->data));
	(void)fputs(n || m->data ? ")\n" : "\n", out);
}

static void explain_devices(const struct launch_plan *plan, FILE *out)
{
	for (uint32_t i = 0; i < plan->devices.n; i++) {
		const struct launch_device *d =
			launch_at(plan, plan->devices, struct launch_device, i);

		(void)fputs(i ? ", " : "makes the devices ", out);
		explain_text(out, launch_text(plan, d->path));
		if (d->type == S_IFIFO)
			(void)fprintf(out, " (fifo, %o)", d->mode);
		else
			(void)fprintf(out, " (%s %u:%u, %o)", d->type == S_IFBLK ? "block" : "char",
				      d->major, d->minor, d->mode);
	}
	if (plan->devices.n)
		(void)fputc('\n', out);
	for (uint32_t i = 0; i < plan->symlinks.n; i++) {
		const struct launch_symlink *l =
			launch_at(plan, plan->symlinks, struct launch_symlink, i);

		(void)fputs(i ? ", " : "makes the links ", out);
		explain_text(out, launch_text(plan, l->path));
		(void)fputs(" to ", out);
		explain_text(out, launch_text(plan, l->target));
	}
	if (plan->symlinks.n)
		(void)fputc('\n', out);
}

static void explain_root(const struct launch_plan *plan, FILE *out)
{
	struct launch_mount propagation = { .propagation = { plan->rootfs_propagation } };
	char names[64];

	if (!plan->rootfs)
		return;
	(void)fputs("takes ", out);
	explain_text(out, launch_text(plan, plan->rootfs));
	(void)fprintf(out, " as root%s", plan->rootfs_readonly ? ", read-only" : "");
	if (plan->rootfs_propagation && mount_option_names(&propagation, names, sizeof(names)))
		(void)fprintf(out, ", %s", names);
	(void)fputc('\n', out);
}

static void explain_paths(const struct launch_plan *plan, struct launch_vec paths, const char *does,
			  const char *how, FILE *out)
{
	if (!paths.n)
		return;
	(void)fputs(does, out);
	explain_strings(out, plan, paths);
	(void)fprintf(out, "%s\n", how);
}

void explain_mounts(const struct launch_plan *plan, FILE *out)
{
	explain_root(plan, out);
	for (uint32_t i = 0; i < plan->mounts.n; i++)
		explain_mount(plan, launch_at(plan, plan->mounts, struct launch_mount, i), out);
	if (plan->mount_label) {
		(void)fputs("labels these mounts ", out);
		explain_text(out, launch_text(plan, plan->mount_label));
		(void)fputc('\n', out);
	}
	explain_devices(plan, out);
	explain_paths(plan, plan->masked, "hides ", "", out);
	explain_paths(plan, plan->readonly, "makes ", " read-only", out);
}
