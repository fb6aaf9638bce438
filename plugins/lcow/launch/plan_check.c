/* SPDX-License-Identifier: MIT */
/*
 * A block from a file or a peer: may every reader follow its offsets?  Its last byte must be 0, so
 * that every string that starts inside also ends inside, and none needs to be walked here.
 */
#include "plan.h"

#include <errno.h>
#include <linux/filter.h>
#include <sys/resource.h>
#include <sys/stat.h>

struct check {
	const struct launch_plan *plan;
	bool bad;
};

static void check_str(struct check *k, launch_str s)
{
	k->bad |= s && (s < sizeof(struct launch_plan) || s >= k->plan->size);
}

static void check_required(struct check *k, launch_str s)
{
	k->bad |= !s;
	check_str(k, s);
}

/* The number of rows that can be read: 0 once something is wrong. */
static uint32_t check_vec(struct check *k, struct launch_vec vec, size_t size, size_t align)
{
	uint64_t end = vec.off + (uint64_t)vec.n * size;

	if (!vec.n)
		return 0;
	k->bad |= vec.off < sizeof(struct launch_plan) || vec.off % align || end > k->plan->size;
	return k->bad ? 0 : vec.n;
}
#define CHECK_VEC(k, vec, type) check_vec(k, vec, sizeof(type), _Alignof(type))

static void check_strings(struct check *k, struct launch_vec vec)
{
	for (uint32_t i = 0, n = CHECK_VEC(k, vec, launch_str); i < n; i++)
		check_required(k, *launch_at(k->plan, vec, launch_str, i));
}

static void check_mounts(struct check *k)
{
	struct launch_vec vec = k->plan->mounts;

	for (uint32_t i = 0, n = CHECK_VEC(k, vec, struct launch_mount); i < n; i++) {
		const struct launch_mount *m = launch_at(k->plan, vec, struct launch_mount, i);

		k->bad |= m->kind > LAUNCH_MOUNT_REMOUNT;
		check_required(k, m->target);
		check_str(k, m->source);
		check_str(k, m->type);
		check_str(k, m->data);
		k->bad |= m->kind == LAUNCH_MOUNT_FS && !m->type;
		k->bad |= m->kind == LAUNCH_MOUNT_BIND && !m->source;
		(void)CHECK_VEC(k, m->uid_maps, struct launch_idmap);
		(void)CHECK_VEC(k, m->gid_maps, struct launch_idmap);
	}
}

static void check_files(struct check *k)
{
	const struct launch_plan *plan = k->plan;

	for (uint32_t i = 0, n = CHECK_VEC(k, plan->devices, struct launch_device); i < n; i++) {
		const struct launch_device *d =
			launch_at(plan, plan->devices, struct launch_device, i);

		check_required(k, d->path);
		k->bad |= d->type != S_IFCHR && d->type != S_IFBLK && d->type != S_IFIFO;
	}
	for (uint32_t i = 0, n = CHECK_VEC(k, plan->symlinks, struct launch_symlink); i < n; i++) {
		const struct launch_symlink *l =
			launch_at(plan, plan->symlinks, struct launch_symlink, i);

		check_required(k, l->path);
		check_required(k, l->target);
	}
	check_strings(k, plan->masked);
	check_strings(k, plan->readonly);
	check_str(k, plan->rootfs);
	check_str(k, plan->mount_label);
}

static void check_namespaces(struct check *k)
{
	const struct launch_plan *plan = k->plan;

	for (uint32_t i = 0, n = CHECK_VEC(k, plan->joins, struct launch_ns_join); i < n; i++)
		check_required(k, launch_at(plan, plan->joins, struct launch_ns_join, i)->path);
	(void)CHECK_VEC(k, plan->uid_maps, struct launch_idmap);
	(void)CHECK_VEC(k, plan->gid_maps, struct launch_idmap);
	check_str(k, plan->hostname);
	check_str(k, plan->domainname);
	for (uint32_t i = 0, n = CHECK_VEC(k, plan->sysctls, struct launch_sysctl); i < n; i++) {
		const struct launch_sysctl *s =
			launch_at(plan, plan->sysctls, struct launch_sysctl, i);

		check_required(k, s->file);
		check_required(k, s->key);
		check_required(k, s->value);
	}
}

static void check_cgroup(struct check *k)
{
	const struct launch_plan *plan = k->plan;

	check_str(k, plan->cgroup_path);
	for (uint32_t i = 0, n = CHECK_VEC(k, plan->cgroup, struct launch_cgroup_setting); i < n;
	     i++) {
		const struct launch_cgroup_setting *s =
			launch_at(plan, plan->cgroup, struct launch_cgroup_setting, i);

		check_required(k, s->what);
		check_str(k, s->controller);
		check_str(k, s->v1_file);
		check_str(k, s->v1_value);
		check_str(k, s->v2_controller);
		check_str(k, s->v2_file);
		check_str(k, s->v2_value);
		k->bad |= s->v1_file && (!s->controller || !s->v1_value);
		k->bad |= s->v2_file && (!s->v2_controller || !s->v2_value);
	}
	for (uint32_t i = 0, n = CHECK_VEC(k, plan->cgroup_devices, struct launch_cgroup_device);
	     i < n; i++) {
		uint32_t type =
			launch_at(plan, plan->cgroup_devices, struct launch_cgroup_device, i)->type;

		k->bad |= type != 'a' && type != 'b' && type != 'c';
	}
}

static void check_process(struct check *k)
{
	const struct launch_process *p = &k->plan->process;

	check_strings(k, p->args);
	check_strings(k, p->env);
	check_str(k, p->cwd);
	check_str(k, p->apparmor);
	check_str(k, p->selinux);
	k->bad |= k->plan->has_process && (!p->args.n || !p->cwd);
	(void)CHECK_VEC(k, p->groups, uint32_t);
	for (uint32_t i = 0, n = CHECK_VEC(k, p->rlimits, struct launch_rlimit); i < n; i++)
		k->bad |= launch_at(k->plan, p->rlimits, struct launch_rlimit, i)->resource >=
			  RLIM_NLIMITS;
}

static void check_seccomp(struct check *k)
{
	const struct launch_seccomp *s = &k->plan->seccomp;

	(void)CHECK_VEC(k, s->filter, struct sock_filter);
	k->bad |= s->filter.n > BPF_MAXINSNS;
	check_str(k, s->listener_path);
	check_str(k, s->listener_metadata);
}

static void check_hooks(struct check *k)
{
	for (unsigned int point = 0; point < LAUNCH_HOOK_COUNT; point++) {
		struct launch_vec vec = k->plan->hooks[point];

		for (uint32_t i = 0, n = CHECK_VEC(k, vec, struct launch_hook); i < n; i++) {
			const struct launch_hook *hook =
				launch_at(k->plan, vec, struct launch_hook, i);

			check_required(k, hook->path);
			check_strings(k, hook->args);
			check_strings(k, hook->env);
			k->bad |= !hook->args.n;
		}
	}
	check_strings(k, k->plan->annotations);
	check_strings(k, k->plan->ignored);
	k->bad |= k->plan->annotations.n % 2;
}

int launch_plan_check(const struct launch_plan *plan, size_t len)
{
	struct check k = { .plan = plan };

	if ((uintptr_t)plan % _Alignof(struct launch_plan) || len <= sizeof(*plan) ||
	    plan->magic != LAUNCH_PLAN_MAGIC || plan->version != LAUNCH_PLAN_VERSION ||
	    plan->size != len || ((const char *)plan)[len - 1])
		return -EINVAL;
	check_namespaces(&k);
	check_mounts(&k);
	check_files(&k);
	check_cgroup(&k);
	check_process(&k);
	check_seccomp(&k);
	check_hooks(&k);
	return k.bad ? -EINVAL : 0;
}
