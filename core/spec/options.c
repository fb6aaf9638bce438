/* SPDX-License-Identifier: MIT */
#include "spec/options.h"
#include "spec/values.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void mount_finish(struct cow_mount_option *m)
{
	free(m->type);
	free(m->source);
	free(m->target);
	cow_strv_free(m->options);
}

void cow_spec_options_destroy(struct cow_spec_options *options)
{
	if (!options)
		return;
	json_object_put(options->spec);
	json_object_put(options->annotations);
	cow_strv_free(options->args);
	cow_strv_free(options->entrypoint);
	cow_strv_free(options->env);
	free(options->cwd);
	free(options->user);
	free(options->hostname);
	free(options->domainname);
	for (size_t i = 0; i < options->mount_count; i++)
		mount_finish(&options->mounts[i]);
	free(options->mounts);
	cow_tuning_finish(&options->tuning);
	cow_network_finish(&options->network);
	free(options);
}

static int parse_mount(const struct cow_json *at, struct cow_mount_option *m, struct cow_error *err)
{
	static const char *const known[] = { "type",	"source",    "target",
					     "options", "read_only", NULL };
	static const char *const types[] = { "bind", "tmpfs", NULL };
	struct cow_json child = { .parent = at, .key = "target" };
	int type = 0, r = cow_json_known(at, known, err);

	if (r == 0)
		r = cow_value_choice(at, "type", types, &type, err);
	if (r == 0)
		r = cow_value_path(at, "target", &m->target, err);
	if (r == 0)
		r = type == 0 ? cow_value_path(at, "source", &m->source, err) :
				cow_value_string(at, "source", &m->source, err);
	if (r == 0)
		r = cow_value_strings(at, "options", &m->options, err);
	if (r == 0)
		r = cow_json_get_bool(at, "read_only", &m->read_only, err);
	if (r == 0 && !m->target)
		r = cow_json_fail(&child, err, -EINVAL, "missing");
	child.key = "source";
	if (r == 0 && type == 0 && !m->source)
		r = cow_json_fail(&child, err, -EINVAL, "missing");
	if (r == 0 && !(m->type = strdup(types[type])))
		r = cow_error_errno(err, -ENOMEM, "mounts");
	return r;
}

static int parse_mounts(const struct cow_json *at, struct cow_spec_options *o,
			struct cow_error *err)
{
	struct cow_json array, element;
	size_t n;
	int r;

	if (!cow_json_member(at, "mounts", &array))
		return 0;
	r = cow_json_is_array(&array, err);
	n = cow_json_length(&array);
	if (r < 0 || n == 0)
		return r;
	o->mounts = calloc(n, sizeof(*o->mounts));
	if (!o->mounts)
		return cow_error_errno(err, -ENOMEM, "mounts");
	o->mount_count = n;
	for (size_t i = 0; r == 0 && cow_json_element(&array, i, &element); i++)
		r = parse_mount(&element, &o->mounts[i], err);
	return r;
}

static int parse_caps(const struct cow_json *at, const char *key, uint64_t *ret,
		      struct cow_error *err)
{
	struct cow_json array, element;
	uint64_t bit;
	int r;

	if (!cow_json_member(at, key, &array))
		return 0;
	r = cow_json_is_array(&array, err);
	for (size_t i = 0; r == 0 && cow_json_element(&array, i, &element); i++) {
		if (!json_object_is_type(element.value, json_type_string))
			r = cow_json_fail(&element, err, -EINVAL, "not a string");
		else if (cow_cap_parse(json_object_get_string(element.value), &bit) < 0)
			r = cow_json_fail(&element, err, -EINVAL, "unknown capability \"%s\"",
					  json_object_get_string(element.value));
		else
			*ret |= bit;
	}
	return r;
}

static int parse_cpus(const struct cow_json *at, double *ret, struct cow_error *err)
{
	struct cow_json child;
	double v;

	if (!cow_json_member(at, "cpus", &child))
		return 0;
	if (!json_object_is_type(child.value, json_type_int) &&
	    !json_object_is_type(child.value, json_type_double))
		return cow_json_fail(&child, err, -EINVAL, "not a number");
	v = json_object_get_double(child.value);
	if (!(v >= 0.01 && v <= 65536))
		return cow_json_fail(&child, err, -EINVAL, "not between 0.01 and 65536");
	*ret = v;
	return 0;
}

static int check_env(const struct cow_json *at, struct cow_error *err)
{
	struct cow_json array, element;

	if (!cow_json_member(at, "env", &array))
		return 0;
	for (size_t i = 0; cow_json_element(&array, i, &element); i++) {
		const char *entry = json_object_get_string(element.value), *eq;

		eq = strchr(entry, '=');
		if (!eq || eq == entry)
			return cow_json_fail(&element, err, -EINVAL, "not NAME=VALUE");
	}
	return 0;
}

static int parse_process(const struct cow_json *at, struct cow_spec_options *o,
			 struct cow_error *err)
{
	struct cow_json child = { .parent = at, .key = "args" };
	int r = cow_value_strings(at, "args", &o->args, err);

	if (r == 0 && o->args && !o->args[0])
		r = cow_json_fail(&child, err, -EINVAL, "empty");
	if (r == 0)
		r = cow_value_strings(at, "env", &o->env, err);
	if (r == 0)
		r = check_env(at, err);
	if (r == 0)
		r = cow_value_path(at, "cwd", &o->cwd, err);
	if (r == 0)
		r = cow_value_string(at, "user", &o->user, err);
	if (r == 0)
		r = cow_value_flag(at, "terminal", &o->terminal, err);
	if (r == 0)
		r = cow_json_get_int(at, "height", 0, UINT16_MAX, &o->height, err);
	if (r == 0)
		r = cow_json_get_int(at, "width", 0, UINT16_MAX, &o->width, err);
	if (r == 0)
		r = cow_value_flag(at, "no_new_privileges", &o->no_new_privileges, err);
	if (r == 0)
		r = parse_caps(at, "cap_add", &o->cap_add, err);
	if (r == 0)
		r = parse_caps(at, "cap_drop", &o->cap_drop, err);
	if (r == 0)
		r = cow_json_get_bool(at, "privileged", &o->privileged, err);
	return r;
}

static int parse_surroundings(const struct cow_json *at, struct cow_spec_options *o,
			      struct cow_error *err)
{
	int r = cow_value_string(at, "hostname", &o->hostname, err);

	if (r == 0)
		r = cow_value_string(at, "domainname", &o->domainname, err);
	if (r == 0)
		r = cow_network_parse(at, &o->network, err);
	if (r == 0)
		r = cow_value_string_map(at, "annotations", &o->annotations, err);
	if (r == 0)
		r = cow_value_flag(at, "read_only", &o->read_only, err);
	if (r == 0)
		r = cow_value_size(at, "memory", &o->memory_bytes, err);
	if (r == 0)
		r = parse_cpus(at, &o->cpus, err);
	if (r == 0)
		r = cow_json_get_int(at, "pids", 1, INT32_MAX, &o->pids, err);
	if (r == 0)
		r = parse_mounts(at, o, err);
	if (r == 0)
		r = cow_tuning_parse(at, &o->tuning, err);
	return r;
}

int cow_spec_options_parse_process(const struct cow_json *at, struct cow_spec_options **ret,
				   struct cow_error *err)
{
	struct cow_spec_options *o = calloc(1, sizeof(*o));
	int r;

	if (!o)
		return cow_error_errno(err, -ENOMEM, "options");
	o->terminal = o->read_only = o->no_new_privileges = -1;
	r = parse_process(at, o, err);
	if (r < 0) {
		cow_spec_options_destroy(o);
		return r;
	}
	*ret = o;
	return 0;
}

/* A text is a program without arguments, as the docker client has it. */
static int parse_entrypoint(const struct cow_json *at, struct cow_spec_options *o,
			    struct cow_error *err)
{
	struct cow_json child;

	if (!cow_json_member(at, "entrypoint", &child) ||
	    !json_object_is_type(child.value, json_type_string))
		return cow_value_strings(at, "entrypoint", &o->entrypoint, err);
	o->entrypoint = calloc(2, sizeof(*o->entrypoint));
	if (o->entrypoint)
		o->entrypoint[0] = strdup(json_object_get_string(child.value));
	return o->entrypoint && o->entrypoint[0] ? 0 : cow_error_errno(err, -ENOMEM, "entrypoint");
}

int cow_spec_options_parse(const struct cow_json *at, struct cow_spec_options **ret,
			   struct cow_error *err)
{
	struct cow_spec_options *o = NULL;
	struct cow_json spec;
	int r = cow_spec_options_parse_process(at, &o, err);

	if (r < 0)
		return r;
	r = parse_surroundings(at, o, err);
	if (r == 0)
		r = parse_entrypoint(at, o, err);
	if (r == 0 && cow_json_member(at, "spec", &spec)) {
		r = cow_json_is_object(&spec, err);
		if (r == 0 && json_object_deep_copy(spec.value, &o->spec, NULL) < 0)
			r = cow_error_errno(err, -ENOMEM, "spec");
	}
	if (r < 0) {
		cow_spec_options_destroy(o);
		return r;
	}
	*ret = o;
	return 0;
}
