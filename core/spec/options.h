/* SPDX-License-Identifier: MIT */
/* What create parameters say about the spec; private to core/spec. */
#ifndef COW_SPEC_OPTIONS_H
#define COW_SPEC_OPTIONS_H

#include "base/error.h"
#include "spec/json.h"
#include "spec/network.h"
#include "spec/tuning.h"

#include <stdint.h>

struct cow_mount_option {
	char *type, *source, *target; /* source NULL: none */
	char **options;               /* NULL-terminated, or NULL */
	bool read_only;
};

/* NULL, 0 and -1 (where noted): nothing said. */
struct cow_spec_options {
	struct json_object *spec; /* the parameter "spec", a copy */
	char **args, **env;
	char **entrypoint; /* over the image's; [""]: none, and not its command either */
	char *cwd, *user, *hostname, *domainname;
	struct json_object *annotations;
	int terminal, read_only, no_new_privileges; /* -1, 0, 1 */
	int64_t height, width;
	uint64_t memory_bytes;
	double cpus;
	int64_t pids;
	struct cow_mount_option *mounts;
	size_t mount_count;
	uint64_t cap_add, cap_drop; /* masks */
	bool privileged;
	struct cow_network_option network;
	struct cow_tuning tuning;
};

/* ---- options.c */
int cow_spec_options_parse(const struct cow_json *at, struct cow_spec_options **ret,
			   struct cow_error *err);
/* Of these only what concerns a process: for an exec. */
int cow_spec_options_parse_process(const struct cow_json *at, struct cow_spec_options **ret,
				   struct cow_error *err);
void cow_spec_options_destroy(struct cow_spec_options *options); /* NULL is fine */

/* ---- defaults.c: the spec that `rootfs` starts from; the caller's.  NULL: out of memory. */
struct json_object *cow_spec_default(const char *rootfs, const char *hostname, bool privileged);

/*
 * ---- rootless.c: such a spec, for a supervisor that is not root but uid and gid: root inside is that user,
 * there are no others.  0 or -ENOMEM.  cow_spec_default() does it where it has to.
 */
int cow_spec_rootless(struct json_object *spec, uint32_t uid, uint32_t gid);

/* ---- caps.c */
#define COW_CAP_COUNT 41
extern const char *const cow_cap_names[COW_CAP_COUNT]; /* "CAP_CHOWN", indexed by number */
/* "NET_ADMIN", "cap_net_admin" or "ALL" into a mask; -EINVAL. */
int cow_cap_parse(const char *name, uint64_t *ret);
/* All that this kernel knows. */
uint64_t cow_cap_all(void);

/* ---- overlay.c: change spec as the options say; rootfs: absolute, for the names of users. */
int cow_spec_overlay(struct json_object *spec, const struct cow_spec_options *options,
		     const char *rootfs, struct cow_error *err);
/* The same for only its process. */
int cow_spec_overlay_process(struct json_object *process, const struct cow_spec_options *options,
			     const char *rootfs, struct cow_error *err);
bool cow_spec_env_has(struct json_object *env, const char *name);
/* Put NAME=VALUE over an array of such.  0 or -ENOMEM. */
int cow_spec_env_set(struct json_object *env, const char *entry);

/* ---- image.c: over the default spec; takes args, user and entrypoint out of options. */
int cow_image_apply(struct json_object *spec, struct json_object *resolved,
		    struct cow_spec_options *options, const char *hostname, struct cow_error *err);

/* ---- user.c */
struct cow_user {
	uint32_t uid, gid;
	uint32_t *groups;
	size_t group_count;
	char *home; /* NULL: not known */
};
/*
 * "name", "uid", "name:group", "uid:gid", looked up in etc/passwd and etc/group of rootfs, whose
 * symlinks cannot lead out of it.  Groups are those of the user where no group is named.
 */
int cow_user_resolve(const char *rootfs, const char *user, struct cow_user *ret,
		     struct cow_error *err);
void cow_user_finish(struct cow_user *user);
/* {uid, gid, additionalGids}; NULL: out of memory. */
struct json_object *cow_user_json(const struct cow_user *user);

#endif
