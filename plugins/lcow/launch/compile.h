/* SPDX-License-Identifier: MIT */
/*
 * Inside of the compiler.  Everything hangs on one struct compile, which keeps the first failure:
 * after it every function below does nothing and gives "absent", so that the code which reads the
 * spec says what it reads, and the failure is looked at once, at the end.
 */
#ifndef LAUNCH_COMPILE_H
#define LAUNCH_COMPILE_H

#include "plan.h"

#include <json-c/json.h>

/* An array that grows; rows_take() moves it into the block and frees it, on failure too. */
struct rows {
	char *data;
	size_t n, room;
};

struct compile {
	int code;                 /* the first failure; 0: none yet */
	struct launch_error *err; /* its text; may be NULL */
	const struct launch_compile_options *options;
	struct launch_plan plan;  /* the block's head, put into it at the end */
	char *block;
	size_t used, room;
	uint32_t joined_flags;    /* CLONE_NEW... that are joined by path */
	struct rows ignored;      /* launch_str */
};

/* A place in the spec, on the stack; it knows its way from the root for error texts. */
struct node {
	struct json_object *value;
	const struct node *up; /* NULL: the root */
	const char *key;       /* of the member; NULL: element `index` */
	size_t index;
};

/* compile_build.c: the block */
void compile_begin(struct compile *c, const struct launch_compile_options *options,
		   struct launch_error *err);
/* Gives the block away (or frees it) and returns c->code. */
int compile_end(struct compile *c, struct launch_plan **ret);
/* "/pointer/of/at[/key]: text" becomes the failure, if there was none. */
void compile_fail(struct compile *c, const struct node *at, const char *key, int code,
		  const char *format, ...) __attribute__((format(printf, 5, 6)));
void compile_oom(struct compile *c);
/* The same as a warning: the spec is good without.  A cause is told once, at the first such place. */
void compile_ignore(struct compile *c, const struct node *at, const char *cause);
launch_str build_str(struct compile *c, const char *s); /* NULL: 0 */
launch_str build_strn(struct compile *c, const char *s, size_t n);
launch_str build_format(struct compile *c, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
struct launch_vec build_vec(struct compile *c, size_t n, size_t size); /* n zeroed rows */
void build_put(struct compile *c, struct launch_vec vec, size_t i, const void *row, size_t size);
struct launch_vec build_copy(struct compile *c, const void *rows, size_t n, size_t size);
void rows_add(struct compile *c, struct rows *rows, const void *row, size_t size);
struct launch_vec rows_take(struct compile *c, struct rows *rows, size_t size);

/* compile_json.c: the spec's text and strict types.  null counts as absent. */
struct json_object *node_parse(struct compile *c, const char *text, size_t len);
void node_pointer(const struct node *at, const char *key, char *buf, size_t size);
bool node_object(struct compile *c, const struct node *at, const char *key, struct node *ret);
bool node_array(struct compile *c, const struct node *at, const char *key, struct node *ret);
size_t node_length(const struct node *array);
struct node node_element(const struct node *array, size_t i);
/* Element i must be an object; false (and the failure set) when it is not. */
bool node_row(struct compile *c, const struct node *array, size_t i, struct node *ret);
/* Strings: borrowed from the document, without NUL inside; NULL: absent (node_text) or failed. */
const char *node_string(struct compile *c, const struct node *at);
const char *node_text(struct compile *c, const struct node *at, const char *key);
const char *node_text_required(struct compile *c, const struct node *at, const char *key);
/* True when the member is there and an integer from min to max. */
bool node_int(struct compile *c, const struct node *at, const char *key, int64_t min, int64_t max,
	      int64_t *ret);
bool node_uint(struct compile *c, const struct node *at, const char *key, uint64_t max,
	       uint64_t *ret);
bool node_u32(struct compile *c, const struct node *at, const char *key, uint32_t *ret);
bool node_bool(struct compile *c, const struct node *at, const char *key, bool *ret);
/* A member that is an array of strings, as launch_str. */
bool node_strings(struct compile *c, const struct node *at, const char *key,
		  struct launch_vec *ret);

/* The sections of the spec; at is the object that contains them. */
void compile_namespaces(struct compile *c, const struct node *os);
struct launch_vec compile_idmap(struct compile *c, const struct node *at, const char *key);
/* What stands behind crun's "idmap=". */
void compile_idmap_option(struct compile *c, const struct node *at, const char *s,
			  struct launch_mount *m);
void compile_kernel(struct compile *c, const struct node *root, const struct node *os);
void compile_mounts(struct compile *c, const struct node *root);
void compile_devices(struct compile *c, const struct node *os);
void compile_resources(struct compile *c, const struct node *resources);
void compile_blkio(struct compile *c, const struct node *resources, struct rows *rows);
void compile_others(struct compile *c, const struct node *resources, struct rows *rows);
/* Rules of the spec and, behind them, what every container may use.  resources may be NULL. */
void compile_device_rules(struct compile *c, const struct node *resources);
void compile_process(struct compile *c, const struct node *process, const struct launch_plan *base);
void compile_scheduling(struct compile *c, const struct node *process);
void compile_seccomp(struct compile *c, const struct node *os);
void compile_hooks(struct compile *c, const struct node *root);

/* One row for c->plan.cgroup; strings may be on the caller's stack. */
struct cgroup_setting {
	const char *controller, *v1_file, *v1_value; /* file NULL: nothing to do on v1 */
	const char *v2_controller, *v2_file, *v2_value;
	bool optional, again;
};
void cgroup_add(struct compile *c, struct rows *rows, const struct node *at, const char *key,
		const struct cgroup_setting *setting);

/* mount_options.c */
enum mount_option_field {
	MOUNT_OPTION_ATTR,        /* set: attr_set, clear: attr_clear */
	MOUNT_OPTION_REC_ATTR,
	MOUNT_OPTION_SB,
	MOUNT_OPTION_PROPAGATION,
	MOUNT_OPTION_BIND,        /* a bind; set: opts */
	MOUNT_OPTION_REMOUNT,
	MOUNT_OPTION_OPTS,
	MOUNT_OPTION_NOTHING,     /* known, and without effect */
};
struct mount_option {
	const char *name;
	enum mount_option_field field;
	uint64_t set, clear;
};
/* The option of that name (len bytes), or NULL: it is for the file system. */
const struct mount_option *mount_option_find(const char *name, size_t len);
/* For texts: the names of what mount sets, in the order of the table, into buf. */
size_t mount_option_names(const struct launch_mount *mount, char *buf, size_t size);

/* caps.c: names with "CAP_".  -1: unknown; leaving it out is the safe side. */
int launch_cap_parse(const char *name);
const char *launch_cap_name(unsigned int cap); /* NULL: unknown */
unsigned int launch_cap_count(void);

#endif
