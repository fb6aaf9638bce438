/* SPDX-License-Identifier: MIT */
/*
 * The parameters of container.create, and of an entry of "containers" in cowherd.json: the same
 * keys (docs/protocol.md, "Create parameters").
 *
 * Two steps: parse judges the JSON and touches nothing; compile reads the bundle or the root file
 * system and makes the final OCI spec.  compile may run on a pool thread: a cow_create shares no
 * JSON object with its caller.
 */
#ifndef COW_SPEC_CREATE_H
#define COW_SPEC_CREATE_H

#include "base/error.h"
#include "spec/json.h"

#include <stdbool.h>
#include <stdint.h>

#define COW_SPEC_MAX (32u << 20) /* bytes of a bundle's config.json */

enum cow_restart_policy {
	COW_RESTART_NO,
	COW_RESTART_ON_FAILURE,
	COW_RESTART_ALWAYS,
	COW_RESTART_UNLESS_STOPPED,
};
const char *cow_restart_policy_name(enum cow_restart_policy policy);

struct cow_restart {
	enum cow_restart_policy policy;
	uint32_t max_retries;    /* in a row; 0: no end */
	uint32_t delay_ms;       /* before the first one; doubles up to max_delay_ms */
	uint32_t max_delay_ms;
	uint32_t reset_after_ms; /* having run that long makes the next failure the first again */
};

enum cow_on_unhealthy { COW_UNHEALTHY_NONE, COW_UNHEALTHY_RESTART, COW_UNHEALTHY_STOP };

struct cow_health {
	char **test; /* argv, NULL-terminated; NULL: no health check */
	uint32_t interval_ms, timeout_ms;
	uint32_t start_period_ms; /* failures this early do not count */
	uint32_t retries;         /* failures in a row that make it unhealthy */
	enum cow_on_unhealthy on_unhealthy;
};

/* For what is 0. */
void cow_health_defaults(struct cow_health *health);

struct cow_spec_options; /* what shapes the default spec: private to core/spec */

struct cow_create {
	char *id;    /* valid, never NULL: made up where the caller gave none */
	char *name;  /* valid, never NULL: equal to id where the caller gave none */
	char *owner; /* never NULL */
	char *image; /* to show: as asked for, the bundle's or root file system's path, or "" */
	bool from_image; /* image is a reference: somebody has to resolve it before compile */
	char *platform; /* of the image; NULL: this machine's */
	/* {"digest", "name", "config": {"config": {…}}}: after cow_create_take_image() */
	struct json_object *resolved;
	char *bundle; /* absolute; NULL: made from rootfs or spec */
	char *rootfs; /* absolute; NULL: the spec says */
	char *backend; /* NULL: the one that likes it best */
	char *isolation; /* "process" or "vm"; NULL: not said */
	struct json_object *labels; /* object of strings; NULL: none */
	uint32_t schema_major, schema_minor; /* as asked for; 0: not */
	bool schema_ignored; /* asked for one that is not known */
	bool open_stdin, init, keep_on_failure, auto_remove;
	bool terminal; /* after compile: what the spec says in the end */
	int stop_signal;          /* 0: as the spec's annotation says, or SIGTERM */
	uint32_t stop_timeout_ms; /* default 10 s */
	struct cow_restart restart;
	struct cow_health health; /* complete after cow_create_take_image(), where from_image */
	bool health_off;          /* also what an image says */
	bool network_plugin; /* asks for a network that a plugin has to make */
	const char *network_of; /* the container whose network namespace it joins, or NULL */
	bool network_as_spec; /* the parameters name no network: the spec may */
	uint64_t log_max_bytes; /* of one file; 0: no bound */
	uint32_t log_files;     /* kept, the current one included */

	struct cow_spec_options *options; /* private */
	bool as_bundle; /* no parameter changes the bundle's spec */
	/* After compile: the OCI spec; relative paths in it are the bundle's. */
	struct json_object *spec;
	char *spec_text; /* the same, printed, where compile has it at hand; else NULL */
};

struct cow_create_defaults {
	const char *owner; /* NULL: "cowherd" */
};

/*
 * at: an object of parameters.  -EINVAL names the pointer of the first thing wrong.  defaults may
 * be NULL.
 */
int cow_create_parse(const struct cow_json *at, const struct cow_create_defaults *defaults,
		     struct cow_create **ret, struct cow_error *err);
/*
 * What the image says, where the parameters say nothing: labels, health check, stop signal; compile
 * does the rest.  answer: an image source's, or an earlier life's `resolved`; what is kept of it is
 * a copy.  Not for a create without from_image.  -EBADMSG: it is not what the OCI image
 * specification calls a configuration.
 */
int cow_create_take_image(struct cow_create *create, struct json_object *answer,
			  struct cow_error *err);
/*
 * In the end, once the root file system is there: the user that compile noted by name in
 * process.user.username becomes numbers, HOME is set.  Changes process, an OCI process object.
 */
int cow_create_settle_user(struct json_object *process, const char *rootfs, struct cow_error *err);
/* Fill in spec, once.  Reads files of the bundle and of the root file system, takes nothing. */
int cow_create_compile(struct cow_create *create, struct cow_error *err);

/*
 * The specs of bundles compiled last, found again by what is in config.json: a create from one of them
 * need not parse it anew.  Zeroed it is empty.  Used by one thread, like the creates that are compiled
 * with it, whose spec is not to be changed: it is shared.
 */
#define COW_SPECS_KEPT 4
struct cow_specs_kept {
	struct cow_spec_kept {
		char *config; /* NULL: not in use */
		size_t len;
		char *text;
		struct json_object *spec;
	} entry[COW_SPECS_KEPT]; /* the one used last comes first */
};
int cow_create_compile_kept(struct cow_create *create, struct cow_specs_kept *kept,
			    struct cow_error *err);
void cow_specs_kept_finish(struct cow_specs_kept *kept); /* and it is empty again */
void cow_create_destroy(struct cow_create *create); /* NULL is fine */

/*
 * The OCI process object of an exec: params as container.exec has them (args or process, env, cwd,
 * user, terminal, privileged, height, width); spec is the container's.  rootfs: absolute, where
 * names of users are looked up.  *ret is the caller's.
 */
int cow_create_exec_process(const struct cow_json *params, struct json_object *spec,
			    const char *rootfs, struct json_object **ret, struct cow_error *err);

/* A signal by number or name, with or without "SIG", any case: "KILL", "sigterm", "9".  -EINVAL. */
int cow_signal_parse(const char *text, int *ret);

#endif
