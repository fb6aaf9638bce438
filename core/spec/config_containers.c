/* SPDX-License-Identifier: MIT */
/* The containers of the configuration: their parameters, and who waits for whom. */
#include "spec/config_parse.h"
#include "spec/create.h"
#include "spec/values.h"

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/ids.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const condition_names[] = { "started", "healthy", "completed", NULL };

static void complain(struct cow_config_errors *errors, const struct cow_json *at,
		     const char *format, const char *arg)
{
	struct cow_error err = { 0 };
	_cleanup_free_ char *cause = cow_asprintf(format, arg);

	(void)cow_json_fail(at, &err, -EINVAL, "%s", cause ? cause : format);
	cow_config_complain(errors, err.message);
}

void cow_config_container_finish(struct cow_config_container *c)
{
	for (size_t i = 0; i < c->dependency_count; i++)
		free(c->dependencies[i].name);
	free(c->dependencies);
	free(c->name);
	free(c->fingerprint);
	json_object_put(c->params);
}

/* ---- paths */

static int make_absolute(struct json_object *object, const char *key, const char *dir)
{
	struct json_object *value;
	const char *text;
	char *absolute;
	int r;

	if (!json_object_object_get_ex(object, key, &value) ||
	    !json_object_is_type(value, json_type_string))
		return 0;
	text = json_object_get_string(value);
	if (*text == '/' || !*text)
		return 0;
	absolute = cow_fs_absolute(dir, text);
	r = absolute ? cow_json_put(object, key, json_object_new_string(absolute)) : -ENOMEM;
	free(absolute);
	return r;
}

static int resolve_paths(struct json_object *params, const struct cow_config_file *file)
{
	size_t n = (size_t)(strrchr(file->path, '/') - file->path);
	_cleanup_free_ char *dir = n ? strndup(file->path, n) : strdup("/");
	struct json_object *mounts = json_object_object_get(params, "mounts");
	int r = dir ? make_absolute(params, "bundle", dir) : -ENOMEM;

	if (r == 0)
		r = make_absolute(params, "rootfs", dir);
	if (r < 0 || !json_object_is_type(mounts, json_type_array))
		return r;
	for (size_t i = 0; r == 0 && i < json_object_array_length(mounts); i++) {
		struct json_object *mount = json_object_array_get_idx(mounts, i), *type = NULL;

		/* The source of a tmpfs is only a word. */
		if (json_object_is_type(mount, json_type_object) &&
		    (!json_object_object_get_ex(mount, "type", &type) ||
		     (type && strcmp(json_object_get_string(type), "bind") == 0)))
			r = make_absolute(mount, "source", dir);
	}
	return r;
}

/* ---- fingerprint */

static uint64_t hash_bytes(uint64_t hash, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		hash = (hash ^ (unsigned char)p[i]) * UINT64_C(1099511628211);
	return hash;
}

/* A sum over the members: the order of keys does not count. */
static uint64_t hash_value(uint64_t hash, struct json_object *value)
{
	uint64_t sum = 0;
	const char *text;

	if (json_object_is_type(value, json_type_object)) {
		json_object_object_foreach(value, key, member) {
			sum += hash_value(hash_bytes(hash, key, strlen(key) + 1), member);
		}
		return hash_bytes(hash, (const char *)&sum, sizeof(sum));
	}
	if (json_object_is_type(value, json_type_array)) {
		size_t n = json_object_array_length(value);

		hash = hash_bytes(hash, "[", 1);
		for (size_t i = 0; i < n; i++)
			hash = hash_value(hash, json_object_array_get_idx(value, i));
		return hash_bytes(hash, "]", 1);
	}
	text = json_object_to_json_string(value);
	return text ? hash_bytes(hash, text, strlen(text) + 1) : hash;
}

static char *fingerprint(struct json_object *params)
{
	_cleanup_free_ char *path = NULL, *text = NULL;
	struct json_object *bundle;
	uint64_t hash = hash_value(UINT64_C(14695981039346656037), params);
	size_t len = 0;

	/*
	 * An edited bundle is a changed container; one that cannot be read is the start's to
	 * report.
	 */
	if (json_object_object_get_ex(params, "bundle", &bundle)) {
		path = cow_fs_join(json_object_get_string(bundle), "config.json");
		if (path && cow_fs_read(path, COW_SPEC_MAX, &text, &len) == 0)
			hash = hash_bytes(hash, text, len);
	}
	return cow_asprintf("%016llx", (unsigned long long)hash);
}

/* ---- depends_on */

static int add_dependency(struct cow_config_container *c, const char *name, int condition)
{
	struct cow_config_dependency *more;

	more = reallocarray(c->dependencies, c->dependency_count + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	c->dependencies = more;
	more += c->dependency_count;
	*more = (struct cow_config_dependency){ .name = strdup(name),
						.condition = (enum cow_condition)condition };
	if (!more->name)
		return -ENOMEM;
	c->dependency_count++;
	return 0;
}

/* An array of names, or {NAME: {"condition": ...}}. */
static int read_dependencies(struct cow_config_container *c, const struct cow_json *at,
			     struct cow_config_errors *errors)
{
	static const char *const known[] = { "condition", NULL };
	struct cow_json element;
	int r = 0;

	if (json_object_is_type(at->value, json_type_array)) {
		for (size_t i = 0; r == 0 && cow_json_element(at, i, &element); i++) {
			if (json_object_is_type(element.value, json_type_string))
				r = add_dependency(c, json_object_get_string(element.value),
						   COW_CONDITION_STARTED);
			else
				complain(errors, &element, "not a string%s", "");
		}
		return r;
	}
	if (!json_object_is_type(at->value, json_type_object)) {
		complain(errors, at, "not an object or array%s", "");
		return 0;
	}
	json_object_object_foreach(at->value, name, value) {
		struct cow_json child = { .value = value, .parent = at, .key = name };
		int condition = COW_CONDITION_STARTED;
		struct cow_error err = { 0 };

		if (cow_json_known(&child, known, &err) < 0 ||
		    cow_value_choice(&child, "condition", condition_names, &condition, &err) < 0)
			cow_config_complain(errors, err.message);
		else if (r == 0)
			r = add_dependency(c, name, condition);
	}
	return r;
}

/* ---- one entry */

static int label(struct json_object *params, const char *print)
{
	struct json_object *labels = cow_json_want_object(params, "labels");

	return cow_json_put(labels, COW_CONFIG_LABEL, json_object_new_string(print));
}

/* What the engine would say to the parameters, with this file's line. */
static bool judge(const struct cow_json *at, struct cow_config_errors *errors)
{
	struct cow_create *create = NULL;
	struct cow_error err = { 0 };

	if (cow_create_parse(at, NULL, &create, &err) < 0) {
		cow_config_complain(errors, err.message);
		return false;
	}
	cow_create_destroy(create);
	return true;
}

static void drop_unknown(struct json_object *params)
{
	json_object_object_foreach(params, key, value) {
		size_t i = 0;

		(void)value;
		while (cow_create_keys[i] && strcmp(cow_create_keys[i], key) != 0)
			i++;
		if (!cow_create_keys[i])
			json_object_object_del(params, key);
	}
}

static int read_container(struct cow_config_container *c, const struct cow_json *at,
			  struct cow_config_errors *errors)
{
	static const char *const more[] = { "depends_on", NULL };
	struct cow_json entry = *at, child;
	int r = 0;

	(void)cow_config_only(at, cow_create_keys, more, errors);
	if (cow_json_member(at, "name", &child))
		complain(errors, &child, "the key is the name: %s", c->name);
	if (cow_json_member(at, "depends_on", &child))
		r = read_dependencies(c, &child, errors);
	if (r == 0 && json_object_deep_copy(at->value, &c->params, NULL) < 0)
		r = -ENOMEM;
	if (r == 0) {
		drop_unknown(c->params);
		r = resolve_paths(c->params, c->file);
	}
	if (r == 0)
		r = cow_json_put(c->params, "name", json_object_new_string(c->name));
	if (r < 0)
		return r;
	entry.value = c->params;
	if (!judge(&entry, errors))
		return 0;
	c->fingerprint = fingerprint(c->params);
	return c->fingerprint ? label(c->params, c->fingerprint) : -ENOMEM;
}

/* Is the name good, and new?  What is wrong is reported. */
static bool name_fits(const struct cow_config *config, const struct cow_json *at,
		      struct cow_config_errors *errors)
{
	size_t other = cow_config_find(config, at->key);
	struct cow_error err = { 0 };

	if (!cow_id_valid(at->key)) {
		complain(errors, at, "\"%.40s\" is not a name of a container", at->key);
		return false;
	}
	if (cow_json_is_object(at, &err) < 0) {
		cow_config_complain(errors, err.message);
		return false;
	}
	if (other < config->container_count) {
		complain(errors, at, "is in %s too", config->containers[other].file->path);
		return false;
	}
	return true;
}

int cow_config_read_containers(struct cow_config *config, const struct cow_config_file *file,
			       const struct cow_json *containers, struct cow_config_errors *errors)
{
	json_object_object_foreach(containers->value, name, value) {
		struct cow_json at = { .value = value, .parent = containers, .key = name };
		struct cow_config_container *c;
		int r;

		if (!name_fits(config, &at, errors))
			continue;
		c = reallocarray(config->containers, config->container_count + 1, sizeof(*c));
		if (!c)
			return -ENOMEM;
		config->containers = c;
		c += config->container_count++;
		*c = (struct cow_config_container){ .name = strdup(name), .file = file };
		r = c->name ? read_container(c, &at, errors) : -ENOMEM;
		if (r < 0)
			return r;
	}
	return 0;
}
