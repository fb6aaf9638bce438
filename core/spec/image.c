/* SPDX-License-Identifier: MIT */
/*
 * An image's configuration (image-spec, config.md) and the create parameters as one, the way Docker
 * joins them: what the user says wins; his command replaces Cmd; his entrypoint replaces Entrypoint
 * and drops Cmd.  Pure: no file is looked at.
 */
#include "spec/create.h"
#include "spec/options.h"
#include "spec/values.h"

#include "base/cleanup.h"
#include "base/strbuf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_MS 1000000

static struct json_object *member(struct json_object *o, const char *key)
{
	return json_object_is_type(o, json_type_object) ? json_object_object_get(o, key) : NULL;
}

/* The image's name, for messages. */
static const char *name_of(struct json_object *resolved)
{
	struct json_object *name = member(resolved, "name");

	return name ? json_object_get_string(name) : "?";
}

static struct json_object *inner(struct json_object *resolved)
{
	return member(member(resolved, "config"), "config");
}

enum shape { TEXT, TEXTS, SET, MAP };

static bool all_text(struct json_object *array)
{
	for (size_t i = 0; i < json_object_array_length(array); i++)
		if (!json_object_is_type(json_object_array_get_idx(array, i), json_type_string))
			return false;
	return true;
}

static bool map_text(struct json_object *map)
{
	json_object_object_foreach(map, key, value) {
		(void)key;
		if (!json_object_is_type(value, json_type_string))
			return false;
	}
	return true;
}

static bool fits(struct json_object *value, enum shape shape)
{
	switch (shape) {
	case TEXT:
		return json_object_is_type(value, json_type_string);
	case TEXTS:
		return json_object_is_type(value, json_type_array) && all_text(value);
	case SET:
		return json_object_is_type(value, json_type_object);
	case MAP:
		return json_object_is_type(value, json_type_object) && map_text(value);
	}
	return false;
}

static int check_health(struct json_object *config, const char *name, struct cow_error *err)
{
	static const char *const numbers[] = { "Interval", "Timeout", "StartPeriod", "Retries" };
	struct json_object *health = member(config, "Healthcheck"), *test, *value;

	if (!health)
		return 0;
	test = member(health, "Test");
	if (!fits(health, SET) || (test && !fits(test, TEXTS)))
		return cow_error_set(err, -EBADMSG, "image %s: Healthcheck is malformed", name);
	for (size_t i = 0; i < 4; i++) {
		value = member(health, numbers[i]);
		if (value && (!json_object_is_type(value, json_type_int) ||
			      json_object_get_int64(value) < 0))
			return cow_error_set(err, -EBADMSG,
					     "image %s: Healthcheck: %s is not a number", name,
					     numbers[i]);
	}
	return 0;
}

static int check(struct json_object *answer, struct cow_error *err)
{
	static const struct {
		const char *key;
		enum shape shape;
	} known[] = {
		{ "Entrypoint", TEXTS }, { "Cmd", TEXTS },        { "Env", TEXTS },
		{ "WorkingDir", TEXT },  { "User", TEXT },        { "Volumes", SET },
		{ "StopSignal", TEXT },  { "ExposedPorts", SET }, { "Labels", MAP },
		{ "Shell", TEXTS },
	};
	struct json_object *config = inner(answer), *value;
	const char *name = name_of(answer);

	if (!json_object_is_type(member(answer, "digest"), json_type_string) ||
	    !json_object_is_type(member(answer, "name"), json_type_string))
		return cow_error_set(err, -EBADMSG, "image: its source gave no digest or name");
	if (config && !json_object_is_type(config, json_type_object))
		return cow_error_set(err, -EBADMSG, "image %s: its configuration is no object",
				     name);
	for (size_t i = 0; i < COW_ELEMENTS(known); i++) {
		value = member(config, known[i].key);
		if (value && !fits(value, known[i].shape))
			return cow_error_set(err, -EBADMSG, "image %s: %s is malformed", name,
					     known[i].key);
	}
	return check_health(config, name, err);
}

/* What is kept: its history and layers are the store's. */
static int prune(struct json_object *answer, struct json_object **ret)
{
	struct json_object *kept = json_object_new_object(), *config, *copy = NULL;
	int r = kept ? 0 : -ENOMEM;

	if (r == 0)
		r = cow_json_put(kept, "digest", json_object_get(member(answer, "digest")));
	if (r == 0)
		r = cow_json_put(kept, "name", json_object_get(member(answer, "name")));
	if (r == 0 && inner(answer))
		r = json_object_deep_copy(inner(answer), &copy, NULL) < 0 ? -ENOMEM : 0;
	else if (r == 0)
		r = (copy = json_object_new_object()) ? 0 : -ENOMEM;
	config = r == 0 ? cow_json_want_object(kept, "config") : NULL;
	if (config)
		r = cow_json_put(config, "config", copy);
	else
		json_object_put(copy);
	if (r < 0 || !config) {
		json_object_put(kept);
		return -ENOMEM;
	}
	*ret = kept;
	return 0;
}

static int take_labels(struct cow_create *c, struct json_object *labels)
{
	int r = 0;

	if (!labels)
		return 0;
	if (!c->labels)
		c->labels = json_object_new_object();
	json_object_object_foreach(labels, key, value) {
		if (r == 0 && !json_object_object_get_ex(c->labels, key, NULL))
			r = cow_json_put(c->labels, key,
					 json_object_new_string(json_object_get_string(value)));
	}
	return r;
}

static uint32_t milliseconds(struct json_object *health, const char *key)
{
	struct json_object *value = member(health, key);
	int64_t ms = value ? json_object_get_int64(value) / NS_PER_MS : 0;

	return ms > INT32_MAX ? INT32_MAX : (uint32_t)ms;
}

/* ["CMD", argv…], ["CMD-SHELL", text]; anything else is no check. */
static int take_test(struct json_object *config, struct json_object *test, char ***ret)
{
	size_t n = test ? json_object_array_length(test) : 0, words = 0, first = 1;
	struct json_object *shell = member(config, "Shell");
	static const char *const plain[] = { "/bin/sh", "-c" };
	const char *kind =
		n > 1 ? json_object_get_string(json_object_array_get_idx(test, 0)) : "NONE";
	bool by_shell = strcmp(kind, "CMD-SHELL") == 0;
	size_t prefix = !by_shell ? 0 : shell ? json_object_array_length(shell) : 2;
	char **argv;

	if (!by_shell && strcmp(kind, "CMD") != 0)
		return 0;
	argv = calloc(n + prefix, sizeof(*argv));
	if (!argv)
		return -ENOMEM;
	for (; words < prefix; words++) {
		const char *word = shell ? json_object_get_string(
						   json_object_array_get_idx(shell, words)) :
					   plain[words];

		argv[words] = strdup(word);
		if (!argv[words])
			break;
	}
	for (; words >= prefix && first < n; first++, words++) {
		argv[words] = strdup(json_object_get_string(json_object_array_get_idx(test, first)));
		if (!argv[words])
			break;
	}
	if (first < n) {
		cow_strv_free(argv);
		return -ENOMEM;
	}
	*ret = argv;
	return 0;
}

static int take_health(struct cow_create *c, struct json_object *config)
{
	struct json_object *image = member(config, "Healthcheck"), *retries;
	struct cow_health *h = &c->health;
	int r = 0;

	if (image && !c->health_off) {
		retries = member(image, "Retries");
		if (!h->test)
			r = take_test(config, member(image, "Test"), &h->test);
		if (!h->interval_ms)
			h->interval_ms = milliseconds(image, "Interval");
		if (!h->timeout_ms)
			h->timeout_ms = milliseconds(image, "Timeout");
		if (!h->start_period_ms)
			h->start_period_ms = milliseconds(image, "StartPeriod");
		if (!h->retries && retries)
			h->retries = (uint32_t)json_object_get_int(retries);
	}
	cow_health_defaults(h);
	return r;
}

int cow_create_take_image(struct cow_create *c, struct json_object *answer, struct cow_error *err)
{
	struct json_object *resolved, *config, *signal;
	int r = check(answer, err), signo;

	if (r < 0)
		return r;
	r = prune(answer, &resolved);
	if (r < 0)
		return cow_error_errno(err, r, "image %s", c->image);
	json_object_put(c->resolved);
	c->resolved = resolved;
	config = inner(resolved);
	signal = member(config, "StopSignal");
	if (!c->stop_signal && signal &&
	    cow_signal_parse(json_object_get_string(signal), &signo) == 0)
		c->stop_signal = signo;
	r = take_labels(c, member(config, "Labels"));
	if (r == 0)
		r = take_health(c, config);
	return r < 0 ? cow_error_errno(err, r, "image %s", c->image) : 0;
}

/* ---- over the default spec */

static int add_words(struct json_object *args, char *const *words, struct json_object *array)
{
	int r = 0;

	for (size_t i = 0; r == 0 && words && words[i]; i++)
		r = cow_json_append(args, json_object_new_string(words[i]));
	for (size_t i = 0; r == 0 && array && i < json_object_array_length(array); i++)
		r = cow_json_append(args, json_object_get(json_object_array_get_idx(array, i)));
	return r;
}

static int apply_args(struct json_object *process, struct json_object *config,
		      struct cow_spec_options *o)
{
	struct json_object *args = json_object_new_array(), *entrypoint, *cmd;
	char **given = o->entrypoint;
	bool replaced = given && given[0], cleared = replaced && !given[0][0] && !given[1];
	int r = args ? 0 : -ENOMEM;

	entrypoint = given ? NULL : member(config, "Entrypoint");
	cmd = o->args || replaced ? NULL : member(config, "Cmd");
	if (r == 0)
		r = add_words(args, cleared ? NULL : given, entrypoint);
	if (r == 0)
		r = add_words(args, o->args, cmd);
	if (r == 0 && json_object_array_length(args) == 0)
		r = -EINVAL;
	cow_strv_free(o->args);
	o->args = NULL;
	if (r == 0)
		return cow_json_put(process, "args", args);
	json_object_put(args);
	return r;
}

static int apply_env(struct json_object *process, struct json_object *config, const char *hostname)
{
	struct json_object *env = cow_json_want_array(process, "env"), *image = member(config, "Env");
	char *entry = cow_asprintf("HOSTNAME=%s", hostname);
	int r = env && entry ? cow_spec_env_set(env, entry) : -ENOMEM;

	free(entry);
	for (size_t i = 0; r == 0 && image && i < json_object_array_length(image); i++) {
		const char *text = json_object_get_string(json_object_array_get_idx(image, i));
		const char *equals = strchr(text, '=');

		if (equals && equals != text)
			r = cow_spec_env_set(env, text);
	}
	return r;
}

static int apply_cwd(struct json_object *process, struct json_object *config)
{
	struct json_object *dir = member(config, "WorkingDir");
	const char *text = dir ? json_object_get_string(dir) : "";
	char *absolute;
	int r;

	if (!*text)
		return 0;
	absolute = cow_asprintf("%s%s", *text == '/' ? "" : "/", text);
	r = absolute ? cow_json_put(process, "cwd", json_object_new_string(absolute)) : -ENOMEM;
	free(absolute);
	return r;
}

/* By name: cow_create_settle_user() has the root file system to look it up in. */
static int apply_user(struct json_object *process, struct json_object *config,
		      struct cow_spec_options *o)
{
	struct json_object *image = member(config, "User"),
			   *user = cow_json_want_object(process, "user");
	const char *name = o->user ? o->user : image ? json_object_get_string(image) : "";
	int r = *name ? cow_json_put(user, "username", json_object_new_string(name)) : 0;

	free(o->user);
	o->user = NULL;
	return r;
}

int cow_image_apply(struct json_object *spec, struct json_object *resolved,
		    struct cow_spec_options *o, const char *hostname, struct cow_error *err)
{
	struct json_object *process = cow_json_want_object(spec, "process"), *config = inner(resolved);
	const char *name = name_of(resolved);
	int r = apply_args(process, config, o);

	if (r == -EINVAL)
		return cow_error_set(err, r, "image %s: no command specified", name);
	if (r == 0)
		r = apply_env(process, config, hostname);
	if (r == 0)
		r = apply_cwd(process, config);
	if (r == 0)
		r = apply_user(process, config, o);
	return r < 0 ? cow_error_errno(err, r, "image %s", name) : 0;
}
