/* SPDX-License-Identifier: MIT */
/* What the cgroup files share. */
#ifndef LAUNCH_CGROUP_INTERNAL_H
#define LAUNCH_CGROUP_INTERNAL_H

#include "cgroup.h"
#include "parent.h"

#define CGROUP_HIERARCHIES_MAX CHILD_CGROUPS_MAX

/* One hierarchy as this host mounts it; lives as long as the process. */
struct cgroup_hierarchy {
	char *mount;	   /* "/sys/fs/cgroup/cpu,cpuacct" */
	const char *name;  /* its last component */
	char *controllers; /* "cpu,cpuacct", "name=systemd"; "" for the unified one */
	bool unified;
};

struct cgroup_host {
	enum launch_cgroup_mode mode;
	unsigned n;
	struct cgroup_hierarchy hierarchies[CGROUP_HIERARCHIES_MAX];
};

const struct cgroup_host *cgroup_host(void);
/* Parse a mountinfo text; for tests, too. */
int cgroup_host_parse(const char *mountinfo, struct cgroup_host *ret);
void cgroup_host_finish(struct cgroup_host *host);
const struct cgroup_hierarchy *cgroup_host_find(const struct cgroup_host *host,
						const char *controller);
/* Is word in the comma-separated list? */
bool cgroup_list_has(const char *list, const char *word);

struct launch_cgroup {
	enum launch_cgroup_mode mode;
	char *path; /* "/cowherd/x" */
	unsigned flags;
	bool own_above; /* the path is ours: directories above the last are removed when empty */
	unsigned n;	/* [0] is the tracking one */
	struct cgroup_dir {
		const struct cgroup_hierarchy *hierarchy; /* NULL: known from a record only */
		char *dir;
		char *controllers;
		bool unified;
		unsigned missing; /* how many of the last components had to be made */
	} dirs[CGROUP_HIERARCHIES_MAX];
};

/* The container's directory that has the controller, or NULL. */
const char *cgroup_dir_of(const struct launch_cgroup *cg, const char *controller);
static inline const struct cgroup_dir *cgroup_tracking(const struct launch_cgroup *cg)
{
	return &cg->dirs[0];
}

/* cgroup_file.c: one value, one write or read.  dir + "/" + file. */
int cgroup_open(const char *dir, const char *file, int flags);
int cgroup_write(const char *dir, const char *file, const char *value);
/* At most size - 1 bytes, NUL-terminated; their number. */
ssize_t cgroup_read(const char *dir, const char *file, char *buf, size_t size);
/* A number; "max" is UINT64_MAX. */
int cgroup_read_number(const char *dir, const char *file, uint64_t *ret);
/* "key 123" lines. */
int cgroup_read_key(const char *dir, const char *file, const char *key, uint64_t *ret);
bool cgroup_text_key(const char *text, const char *key, uint64_t *ret);

/* cgroup_tree.c: a directory and all below it. */
int cgroup_tree_pids(const char *dir, pid_t **pids, size_t *n, size_t *cap);
int cgroup_tree_remove(const char *dir);

/* cgroup_make.c, cgroup_enable.c, cgroup_apply.c, cgroup_devices.c, cgroup_bpf.c */
int cgroup_enable(const struct launch_cgroup *cg, const struct launch_plan *plan, unsigned flags,
		  struct launch_error *err);
int cgroup_apply(const struct launch_cgroup *cg, const struct launch_plan *plan, bool all,
		 struct launch_error *err);
/*
 * Not without root: such a container makes no devices, and opens those of the host as its user may.
 * Neither a rule (v1) nor a program (v2) can be set then.
 */
bool cgroup_devices_wanted(const struct launch_plan *plan);
int cgroup_devices(const struct launch_cgroup *cg, const struct launch_plan *plan,
		   struct launch_error *err);
/* One rule as v1's files take it: "c 1:3 rwm". */
void cgroup_device_text(const struct launch_cgroup_device *d, char *buf, size_t size);
struct bpf_insn;
/* The rules as a program, at most max instructions; how many there are. */
size_t cgroup_bpf_compile(const struct launch_plan *plan, struct bpf_insn *out, size_t max);
int cgroup_bpf_attach(const char *dir, const struct launch_plan *plan, struct launch_error *err);

/* cgroup_control.c: of one directory, whoever knows it. */
int cgroup_dir_populated(const struct cgroup_dir *d, bool *ret);
int cgroup_dir_kill(const struct cgroup_dir *d);

#endif
