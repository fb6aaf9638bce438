/* SPDX-License-Identifier: MIT */
#include "spec/create.h"
#include "spec/config_parse.h"
#include "spec/options.h"
#include "spec/values.h"

#include "base/ids.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const cow_create_keys[] = {
	"id", "name", "owner", "bundle", "spec", "rootfs", "image", "args", "env", "cwd", "user",
	"hostname", "domainname", "labels", "annotations", "terminal", "height", "width", "memory",
	"cpus", "pids", "mounts", "cap_add", "cap_drop", "privileged", "read_only",
	"no_new_privileges", "network", "networks", "ports", "publish_all",
	"network_alias", "ip", "ip6", "mac_address", "dns", "dns_search", "dns_option", "add_host",
	"entrypoint", "platform", "pull", "storage_opt", "init",
	"open_stdin", "keep_on_failure", "auto_remove",
	"stop_signal", "stop_timeout_s", "restart", "health", "log", "backend", "isolation",
	"schema_version", "devices", "groups", "namespaces", "cgroup_parent", "hosting_system",
	"patch", NULL,
};

static const char *const policy_names[] = { "no", "on-failure", "always", "unless-stopped", NULL };

const char *cow_restart_policy_name(enum cow_restart_policy policy)
{
	return policy_names[policy];
}

/* What follows "RTMIN": "" or "+N". */
static int parse_realtime(const char *text, int *ret)
{
	char *end;
	long n = 0;

	if (*text) {
		if (text[0] != '+' || text[1] < '0' || text[1] > '9')
			return -EINVAL;
		n = strtol(text + 1, &end, 10);
		if (*end || n > SIGRTMAX - SIGRTMIN)
			return -EINVAL;
	}
	*ret = SIGRTMIN + (int)n;
	return 0;
}

int cow_signal_parse(const char *text, int *ret)
{
	if (*text >= '0' && *text <= '9') {
		char *end;
		long v = strtol(text, &end, 10);

		if (*end || v < 1 || v > SIGRTMAX)
			return -EINVAL;
		*ret = (int)v;
		return 0;
	}
	if (strncasecmp(text, "SIG", 3) == 0)
		text += 3;
	if (strncasecmp(text, "RTMIN", 5) == 0)
		return parse_realtime(text + 5, ret);
	for (int s = 1; s < NSIG; s++) {
		const char *name = sigabbrev_np(s);

		if (name && strcasecmp(name, text) == 0) {
			*ret = s;
			return 0;
		}
	}
	return -EINVAL;
}

static int parse_signal(const struct cow_json *at, const char *key, int *ret, struct cow_error *err)
{
	struct cow_json child;
	const char *text;

	if (!cow_json_member(at, key, &child))
		return 0;
	if (!json_object_is_type(child.value, json_type_string) &&
	    !json_object_is_type(child.value, json_type_int))
		return cow_json_fail(&child, err, -EINVAL, "not a signal");
	text = json_object_get_string(child.value);
	if (cow_signal_parse(text, ret) < 0)
		return cow_json_fail(&child, err, -EINVAL, "unknown signal \"%s\"", text);
	return 0;
}

/* "on-failure:5" and the like. */
static int parse_restart_text(const struct cow_json *at, struct cow_restart *restart,
			      struct cow_error *err)
{
	const char *text = json_object_get_string(at->value), *colon = strchrnul(text, ':');

	for (int i = 0; policy_names[i]; i++) {
		char *end;
		unsigned long n;

		if (strlen(policy_names[i]) != (size_t)(colon - text) ||
		    strncmp(policy_names[i], text, (size_t)(colon - text)) != 0)
			continue;
		restart->policy = (enum cow_restart_policy)i;
		if (!*colon)
			return 0;
		n = strtoul(colon + 1, &end, 10);
		if (i != COW_RESTART_ON_FAILURE || colon[1] < '0' || colon[1] > '9' || *end ||
		    n > INT32_MAX)
			break;
		restart->max_retries = (uint32_t)n;
		return 0;
	}
	return cow_json_fail(at, err, -EINVAL,
			     "\"%s\" is not one of no, on-failure[:N], always, unless-stopped",
			     text);
}

static int parse_restart(const struct cow_json *at, struct cow_restart *restart,
			 struct cow_error *err)
{
	static const char *const known[] = { "policy", "max_retries", "delay_s", "max_delay_s",
					     "reset_after_s", NULL };
	struct cow_json child, policy = { .parent = &child, .key = "policy" };
	int64_t retries = 0;
	int choice = -1, r;

	if (!cow_json_member(at, "restart", &child))
		return 0;
	if (json_object_is_type(child.value, json_type_string))
		return parse_restart_text(&child, restart, err);
	r = cow_json_known(&child, known, err);
	if (r == 0)
		r = cow_value_choice(&child, "policy", policy_names, &choice, err);
	if (r == 0 && choice < 0)
		r = cow_json_fail(&policy, err, -EINVAL, "missing");
	if (r == 0)
		r = cow_json_get_int(&child, "max_retries", 0, INT32_MAX, &retries, err);
	if (r == 0)
		r = cow_value_seconds(&child, "delay_s", 0, &restart->delay_ms, err);
	if (r == 0)
		r = cow_value_seconds(&child, "max_delay_s", 0, &restart->max_delay_ms, err);
	if (r == 0)
		r = cow_value_seconds(&child, "reset_after_s", 0, &restart->reset_after_ms, err);
	restart->policy = choice < 0 ? COW_RESTART_NO : (enum cow_restart_policy)choice;
	restart->max_retries = (uint32_t)retries;
	return r;
}

/* A text is for the container's shell, an array is the command itself. */
static int parse_test(const struct cow_json *at, char ***ret, struct cow_error *err)
{
	struct cow_json test = { .parent = at, .key = "test" };
	char **argv = NULL;
	int r = 0;

	if (!cow_json_member(at, "test", &test))
		return 0;
	if (json_object_is_type(test.value, json_type_string)) {
		const char *const words[] = { "/bin/sh", "-c", json_object_get_string(test.value) };

		argv = calloc(4, sizeof(*argv));
		r = argv ? 0 : -ENOMEM;
		for (size_t i = 0; r == 0 && i < 3; i++)
			r = (argv[i] = strdup(words[i])) ? 0 : -ENOMEM;
		if (r < 0)
			(void)cow_error_errno(err, r, "health");
	} else {
		r = cow_value_strings(at, "test", &argv, err);
		if (r == 0 && !argv[0])
			r = cow_json_fail(&test, err, -EINVAL, "empty");
	}
	if (r < 0)
		cow_strv_free(argv);
	else
		*ret = argv;
	return r;
}

/* What is run, or that nothing is. */
static int parse_probe(const struct cow_json *at, struct cow_create *c, struct cow_error *err)
{
	struct cow_json test = { .parent = at, .key = "test" };
	int r = cow_json_get_bool(at, "disable", &c->health_off, err);

	if (r == 0)
		r = parse_test(at, &c->health.test, err);
	if (r < 0)
		return r;
	if (c->health_off && c->health.test)
		return cow_json_fail(&test, err, -EINVAL, "there is none with \"disable\"");
	if (!c->health.test && !c->health_off && !c->from_image)
		return cow_json_fail(&test, err, -EINVAL, "missing");
	return 0;
}

static int parse_health(const struct cow_json *at, struct cow_create *c, struct cow_error *err)
{
	static const char *const known[] = { "test",	       "interval_s", "timeout_s",
					     "start_period_s", "retries",    "on_unhealthy",
					     "disable",	       NULL };
	static const char *const reactions[] = { "none", "restart", "stop", NULL };
	struct cow_health *health = &c->health;
	struct cow_json child;
	int64_t retries = 0;
	int reaction = COW_UNHEALTHY_NONE, r;

	if (!cow_json_member(at, "health", &child))
		return 0;
	r = cow_json_known(&child, known, err);
	if (r == 0)
		r = parse_probe(&child, c, err);
	if (r == 0)
		r = cow_value_seconds(&child, "interval_s", 1, &health->interval_ms, err);
	if (r == 0)
		r = cow_value_seconds(&child, "timeout_s", 1, &health->timeout_ms, err);
	if (r == 0)
		r = cow_value_seconds(&child, "start_period_s", 0, &health->start_period_ms, err);
	if (r == 0)
		r = cow_json_get_int(&child, "retries", 1, 1000000, &retries, err);
	if (r == 0)
		r = cow_value_choice(&child, "on_unhealthy", reactions, &reaction, err);
	health->retries = (uint32_t)retries;
	health->on_unhealthy = (enum cow_on_unhealthy)reaction;
	return r;
}

static int parse_log(const struct cow_json *at, struct cow_create *c, struct cow_error *err)
{
	static const char *const known[] = { "max_bytes", "files", NULL };
	struct cow_json child;
	int64_t files = c->log_files;
	int r;

	if (!cow_json_member(at, "log", &child))
		return 0;
	r = cow_json_known(&child, known, err);
	if (r == 0)
		r = cow_value_size(&child, "max_bytes", &c->log_max_bytes, err);
	if (r == 0)
		r = cow_json_get_int(&child, "files", 1, 1000, &files, err);
	c->log_files = (uint32_t)files;
	return r;
}

static int parse_schema_version(const struct cow_json *at, struct cow_create *c,
				struct cow_error *err)
{
	static const char *const known[] = { "Major", "Minor", NULL };
	struct cow_json child;
	int64_t major = 0, minor = 0;
	int r = 0;

	if (!cow_json_member(at, "schema_version", &child))
		return 0;
	if (json_object_is_type(child.value, json_type_string)) {
		unsigned a = 0, b = 0;
		char rest;

		if (sscanf(json_object_get_string(child.value), "%5u.%5u%c", &a, &b, &rest) != 2)
			return cow_json_fail(&child, err, -EINVAL, "not a version like 2.1");
		major = a;
		minor = b;
	} else {
		r = cow_json_known(&child, known, err);
		if (r == 0)
			r = cow_json_get_int(&child, "Major", 0, INT32_MAX, &major, err);
		if (r == 0)
			r = cow_json_get_int(&child, "Minor", 0, INT32_MAX, &minor, err);
	}
	c->schema_ignored = !((major == 1 && minor == 0) || (major == 2 && minor == 1));
	if (r == 0 && !c->schema_ignored) {
		c->schema_major = (uint32_t)major;
		c->schema_minor = (uint32_t)minor;
	}
	return r;
}

static int parse_id(const struct cow_json *at, const char *key, char **ret, struct cow_error *err)
{
	struct cow_json child = { .parent = at, .key = key };
	int r = cow_value_string(at, key, ret, err);

	if (r == 0 && *ret && !cow_id_valid(*ret))
		r = cow_json_fail(
			&child, err, -EINVAL,
			"\"%.40s\" is not 1 to %d of [A-Za-z0-9_.+-], a letter or digit first",
			*ret, COW_ID_MAX);
	return r;
}

static int parse_identity(const struct cow_json *at, const struct cow_create_defaults *defaults,
			  struct cow_create *c, struct cow_error *err)
{
	const char *owner = defaults && defaults->owner ? defaults->owner : "cowherd";
	char made_up[COW_UUID_LEN];
	int r = parse_id(at, "id", &c->id, err);

	if (r == 0)
		r = parse_id(at, "name", &c->name, err);
	if (r == 0)
		r = cow_value_string(at, "owner", &c->owner, err);
	if (r < 0)
		return r;
	if (!c->id) {
		cow_uuid_v4(made_up);
		c->id = strdup(made_up);
	}
	if (!c->name && c->id)
		c->name = strdup(c->id);
	if (!c->owner)
		c->owner = strdup(owner);
	return c->id && c->name && c->owner ? 0 : cow_error_errno(err, -ENOMEM, "create");
}

/* What the container is made from: exactly one of four. */
static int parse_source(const struct cow_json *at, struct cow_create *c, struct cow_error *err)
{
	static const char *const sources[] = { "bundle", "spec", "rootfs", "image" };
	struct cow_json child;
	int given = 0, r;

	for (size_t i = 0; i < 4; i++)
		given += cow_json_member(at, sources[i], &child);
	if (given == 0)
		return cow_json_fail(at, err, -EINVAL,
				     "spec must be supplied: one of bundle, spec, rootfs, image");
	if (given > 1)
		return cow_json_fail(at, err, -EINVAL,
				     "only one of bundle, spec, rootfs, image goes");
	r = cow_value_path(at, "bundle", &c->bundle, err);
	if (r == 0)
		r = cow_value_path(at, "rootfs", &c->rootfs, err);
	if (r == 0)
		r = cow_value_string(at, "image", &c->image, err);
	c->from_image = c->image != NULL;
	if (r == 0 && c->from_image && !*c->image)
		r = cow_json_fail(&(struct cow_json){ .parent = at, .key = "image" }, err, -EINVAL,
				  "empty");
	if (r == 0 && !c->image &&
	    !(c->image = strdup(c->bundle ? c->bundle : c->rootfs ? c->rootfs : "")))
		r = cow_error_errno(err, -ENOMEM, "create");
	return r;
}

/* What goes with "image" only. */
static int parse_image(const struct cow_json *at, struct cow_create *c, struct cow_error *err)
{
	static const char *const only[] = { "entrypoint", "platform", "pull", "storage_opt" };
	static const char *const pulls[] = { "missing", "never", "always", NULL };
	struct json_object *storage = NULL;
	struct cow_json child;
	int pull = 0, r = 0;

	for (size_t i = 0; i < 4 && !c->from_image; i++)
		if (cow_json_member(at, only[i], &child))
			return cow_json_fail(&child, err, -EINVAL, "goes with \"image\" only");
	r = cow_value_string(at, "platform", &c->platform, err);
	if (r == 0)
		r = cow_value_choice(at, "pull", pulls, &pull, err);
	if (r == 0 && pull == 2) {
		child = (struct cow_json){ .parent = at, .key = "pull" };
		r = cow_json_fail(&child, err, -ENOTSUP,
				  "nothing here fetches images: `cowherd image load` takes them in");
	}
	if (r == 0)
		r = cow_value_string_map(at, "storage_opt", &storage, err);
	json_object_put(storage); /* the plugin's to judge */
	return r;
}

static int parse_flags(const struct cow_json *at, struct cow_create *c, struct cow_error *err)
{
	int r = cow_json_get_bool(at, "init", &c->init, err);

	if (r == 0)
		r = cow_json_get_bool(at, "open_stdin", &c->open_stdin, err);
	if (r == 0)
		r = cow_json_get_bool(at, "keep_on_failure", &c->keep_on_failure, err);
	if (r == 0)
		r = cow_json_get_bool(at, "auto_remove", &c->auto_remove, err);
	return r;
}

static int parse_keeping(const struct cow_json *at, struct cow_create *c, struct cow_error *err)
{
	static const char *const isolations[] = { "process", "vm", "hyperv", NULL };
	int isolation = -1, r = cow_value_string_map(at, "labels", &c->labels, err);
	char *system = NULL; /* plugins read it themselves */

	if (r == 0)
		r = cow_value_string(at, "backend", &c->backend, err);
	if (r == 0)
		r = parse_id(at, "hosting_system", &system, err);
	free(system);
	if (r == 0)
		r = cow_value_choice(at, "isolation", isolations, &isolation, err);
	if (r == 0 && isolation >= 0 && !(c->isolation = strdup(isolation ? "vm" : "process")))
		r = cow_error_errno(err, -ENOMEM, "create");
	if (r == 0)
		r = parse_signal(at, "stop_signal", &c->stop_signal, err);
	if (r == 0)
		r = cow_value_seconds(at, "stop_timeout_s", 0, &c->stop_timeout_ms, err);
	if (r == 0)
		r = parse_restart(at, &c->restart, err);
	if (r == 0)
		r = parse_health(at, c, err);
	if (r == 0)
		r = parse_log(at, c, err);
	if (r == 0)
		r = parse_schema_version(at, c, err);
	return r;
}

/* What these say is not in the spec; of a key that is not among them nothing is assumed. */
static bool is_as_bundle(const struct cow_json *at)
{
	static const char *const beside[] = { "id",	    "name",	    "owner",	   "bundle",
					      "labels",	    "init",	    "open_stdin",  "log",
					      "auto_remove", "stop_signal", "restart",	   "health",
					      "backend",     "isolation",   "stop_timeout_s",
					      "keep_on_failure" };
	bool known = json_object_object_get(at->value, "bundle") != NULL;

	json_object_object_foreach(at->value, key, value) {
		bool found = false;

		(void)value;
		for (size_t i = 0; i < sizeof(beside) / sizeof(beside[0]) && !found; i++)
			found = strcmp(key, beside[i]) == 0;
		known = known && found;
	}
	return known;
}

int cow_create_parse(const struct cow_json *at, const struct cow_create_defaults *defaults,
		     struct cow_create **ret, struct cow_error *err)
{
	struct cow_create *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return cow_error_errno(err, -ENOMEM, "create");
	c->init = true;
	c->stop_timeout_ms = 10000;
	c->restart = (struct cow_restart){ .delay_ms = 100,
					   .max_delay_ms = 60000,
					   .reset_after_ms = 10000 };
	c->log_max_bytes = 0; /* all of it: a slow reader may come for every byte */
	c->log_files = 3;
	r = cow_json_known(at, cow_create_keys, err);
	if (r == 0)
		r = parse_identity(at, defaults, c, err);
	if (r == 0)
		r = parse_source(at, c, err);
	if (r == 0)
		r = parse_image(at, c, err);
	if (r == 0)
		r = parse_flags(at, c, err);
	if (r == 0)
		r = parse_keeping(at, c, err);
	if (r == 0)
		r = cow_spec_options_parse(at, &c->options, err);
	if (r < 0) {
		cow_create_destroy(c);
		return r;
	}
	c->as_bundle = is_as_bundle(at);
	c->network_plugin = c->options->network.plugin;
	if (c->options->network.mode == COW_NETWORK_CONTAINER)
		c->network_of = c->options->network.of;
	c->network_as_spec = c->options->network.mode == COW_NETWORK_AS_SPEC;
	if (!c->from_image) /* an image may have something to say to it yet */
		cow_health_defaults(&c->health);
	*ret = c;
	return 0;
}

void cow_health_defaults(struct cow_health *health)
{
	if (!health->interval_ms)
		health->interval_ms = 30000;
	if (!health->timeout_ms)
		health->timeout_ms = 30000;
	if (!health->retries)
		health->retries = 3;
}

void cow_create_destroy(struct cow_create *create)
{
	if (!create)
		return;
	free(create->id);
	free(create->name);
	free(create->owner);
	free(create->image);
	free(create->bundle);
	free(create->rootfs);
	free(create->backend);
	free(create->isolation);
	free(create->platform);
	json_object_put(create->labels);
	json_object_put(create->resolved);
	free(create->spec_text);
	cow_strv_free(create->health.test);
	cow_spec_options_destroy(create->options);
	json_object_put(create->spec);
	free(create);
}
