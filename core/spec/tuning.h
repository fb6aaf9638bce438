/* SPDX-License-Identifier: MIT */
/*
 * Create parameters for what is seldom asked for: devices, groups, namespaces, cgroup_parent, and
 * `patch`, which reaches everything else of the spec.  Private to core/spec.
 */
#ifndef COW_SPEC_TUNING_H
#define COW_SPEC_TUNING_H

#include "base/error.h"
#include "spec/json.h"

#define COW_NAMESPACE_COUNT 5

struct cow_tuning {
	char **devices; /* "/dev/x[:/dev/y][:rwm]" */
	char **groups;  /* names or numbers */
	char *namespaces[COW_NAMESPACE_COUNT]; /* "host", "private" or a path; NULL: not said */
	char *cgroup_parent;
	struct json_object *patch;
};

int cow_tuning_parse(const struct cow_json *at, struct cow_tuning *t, struct cow_error *err);
/* Last of all overlays.  rootfs: where names of groups are looked up; id: the cgroup's name. */
int cow_tuning_overlay(struct json_object *spec, const struct cow_tuning *t, const char *rootfs,
		       const char *id, struct cow_error *err);
/*
 * Make the runtime specification's linux.seccomp of one in the docker daemon's shape, by the capabilities
 * that the spec gives; one that has that shape already stays.  -EINVAL: not a profile; -ENOMEM.
 */
int cow_seccomp_profile(struct json_object *spec, struct cow_error *err);
void cow_tuning_finish(struct cow_tuning *t);

#endif
