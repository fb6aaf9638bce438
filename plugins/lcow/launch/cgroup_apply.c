/* SPDX-License-Identifier: MIT */
/* Settings into files. */
#include "cgroup_internal.h"

#include <errno.h>

struct setting {
	const char *dir, *file, *value, *what;
	bool optional, again;
};

/* 1: there is nothing to write on this host. */
static int setting_get(const struct launch_cgroup *cg, const struct launch_plan *plan, uint32_t i,
		       struct setting *ret, struct launch_error *err)
{
	const struct launch_cgroup_setting *s =
		launch_at(plan, plan->cgroup, struct launch_cgroup_setting, i);
	bool v2 = cg->mode == LAUNCH_CGROUP_V2;
	launch_str file = v2 ? s->v2_file : s->v1_file, value = v2 ? s->v2_value : s->v1_value;
	const char *controller = s->controller ? launch_text(plan, s->controller) : "";

	if (!file || !value)
		return 1;
	ret->file = launch_text(plan, file);
	ret->value = launch_text(plan, value);
	ret->what = s->what ? launch_text(plan, s->what) : ret->file;
	ret->optional = s->optional != 0;
	ret->again = !v2 && s->again;
	ret->dir = v2 ? cgroup_tracking(cg)->dir : cgroup_dir_of(cg, controller);
	if (ret->dir)
		return 0;
	return ret->optional ? 1
			     : parent_error(err, -ENOTSUP,
					    "%s: the container has no cgroup with controller %s",
					    ret->what, controller);
}

static int setting_write(const struct setting *s, struct launch_error *err)
{
	int r = cgroup_write(s->dir, s->file, s->value);

	if (r < 0 && s->optional && (r == -ENOENT || r == -EOPNOTSUPP))
		return 0;
	return r < 0 ? parent_fail(err, r, "%s: write \"%s\" to %s/%s", s->what, s->value, s->dir,
				   s->file)
		     : 0;
}

static int apply_one(const struct launch_cgroup *cg, const struct launch_plan *plan, uint32_t i,
		     struct launch_error *err)
{
	struct setting s, next;
	int r = setting_get(cg, plan, i, &s, err);

	if (r)
		return r < 0 ? r : 0;
	r = setting_write(&s, err);
	if ((r != -EINVAL && r != -EBUSY) || !s.again || i + 1 >= plan->cgroup.n)
		return r;
	/* Two limits, one never above the other: the order depends on what they were. */
	if (setting_get(cg, plan, i + 1, &next, NULL) != 0 || setting_write(&next, NULL) < 0)
		return r;
	if (err)
		err->code = 0;
	return setting_write(&s, err);
}

/* all: go on after an error; the first one counts. */
int cgroup_apply(const struct launch_cgroup *cg, const struct launch_plan *plan, bool all,
		 struct launch_error *err)
{
	int first = 0;

	for (uint32_t i = 0; i < plan->cgroup.n && (all || first == 0); i++) {
		int r = apply_one(cg, plan, i, first ? NULL : err);

		first = first ? first : r;
	}
	return first;
}

int launch_cgroup_update(struct launch_cgroup *cg, const struct launch_plan *plan,
			 struct launch_error *err)
{
	int r = 0;

	if (err)
		err->code = 0;
	if (cg->mode == LAUNCH_CGROUP_V2)
		r = cgroup_enable(cg, plan, 0, err);
	return r < 0 ? r : cgroup_apply(cg, plan, true, err);
}
