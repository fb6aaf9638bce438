/* SPDX-License-Identifier: MIT */
/* A container's definition: from create parameters, or read back from its record. */
#include "engine/container.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "engine/record.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>

#define BUILD_RS5 17763 /* the first Windows build with schema 2.1 */

void definition_destroy(struct definition *d)
{
	if (!d)
		return;
	if (d->health.test)
		for (char **s = d->health.test; *s; s++)
			free(*s);
	free(d->health.test);
	free(d->id);
	free(d->name);
	free(d->owner);
	free(d->image);
	free(d->bundle);
	free(d->rootfs);
	free(d->backend);
	free(d->isolation);
	free(d->labels);
	free(d->network_of);
	free(d->annotations);
	free(d->args);
	free(d->options);
	free(d->resolved);
	free(d->request_options);
	free(d->spec);
	free(d);
}

static char *text_of(struct json_object *o)
{
	const char *s = o ? json_object_to_json_string_ext(o, JSON_PLAIN) :
			    NULL;

	return s ? strdup(s) : NULL;
}

/* The parameters without the spec, which has its own place. */
static char *options_text(struct json_object *params)
{
	struct cow_strbuf b = COW_STRBUF_INIT;
	const char *between = "";

	cow_strbuf_add(&b, "{");
	json_object_object_foreach(params, key, value) {
		const char *text = strcmp(key, "spec") == 0 ?
					   "{}" :
					   json_object_to_json_string_ext(value, JSON_PLAIN);

		cow_strbuf_add(&b, between);
		cow_strbuf_json(&b, key);
		cow_strbuf_addf(&b, ":%s", text ? text : "null");
		between = ",";
	}
	cow_strbuf_add(&b, "}");
	return cow_strbuf_take(&b);
}

/* What plugins get: the options, and what their image was found to be. */
static int add_resolved(struct definition *d, struct json_object *resolved)
{
	size_t n = d->options ? strlen(d->options) : 0;

	if (!resolved)
		return 0;
	d->resolved = text_of(resolved);
	if (!d->resolved || !n)
		return -ENOMEM;
	d->request_options = cow_asprintf("%.*s,\"resolved\":%s}", (int)(n - 1), d->options,
					  d->resolved);
	return d->request_options ? 0 : -ENOMEM;
}

static struct json_object *member(struct json_object *o, const char *key)
{
	return o && json_object_is_type(o, json_type_object) ? json_object_object_get(o, key) :
							       NULL;
}

static int stop_signal_of(const struct cow_create *create, struct json_object *annotations)
{
	struct json_object *named = member(annotations, "org.opencontainers.image.stopSignal");
	int signo = create->stop_signal;

	if (!signo && named && cow_signal_parse(json_object_get_string(named), &signo) < 0)
		signo = 0;
	return signo ? signo : SIGTERM;
}

/*
 * Schema 1.0 goes everywhere, 2.1 from Windows RS5 on, where it is also what goes without a wish; other
 * wishes are ignored.
 */
static void schema_choose(struct definition *d, const struct cow_create *create, uint32_t build)
{
	bool modern = build >= BUILD_RS5;
	bool ignored = create->schema_ignored || (create->schema_major == 2 && !modern);
	bool wished = create->schema_major && !ignored;

	d->schema_major = wished ? create->schema_major : modern ? 2 : 1;
	d->schema_minor = wished ? create->schema_minor : modern ? 1 : 0;
	if (ignored)
		cow_log(.level = COW_LOG_WARN, .event = "schema.ignored", .container = create->id,
			.msg = "Ignoring unsupported requested schema version");
}

static bool sandbox_type_known(const char *type)
{
	return strcmp(type, "sandbox") == 0 || strcmp(type, "container") == 0;
}

static int sandbox_check(struct json_object *annotations, struct cow_error *err)
{
	struct json_object *type = member(annotations, "io.kubernetes.cri.container-type");
	struct json_object *id = member(annotations, "io.kubernetes.cri.sandbox-id");
	const char *t = type ? json_object_get_string(type) : "",
		   *i = id ? json_object_get_string(id) : "";

	if (type && !sandbox_type_known(t))
		return cow_error_set(err, -EINVAL,
				     "invalid 'io.kubernetes.cri.container-type': '%s'", t);
	if (*t && !*i)
		return cow_error_set(err, -EINVAL,
				     "cannot specify 'io.kubernetes.cri.container-type' "
				     "without 'io.kubernetes.cri.sandbox-id'");
	if (*i && !*t)
		return cow_error_set(err, -EINVAL, "cannot specify 'io.kubernetes.cri.sandbox-id' "
						   "without 'io.kubernetes.cri.container-type'");
	return 0;
}

/* What core reads of the spec: the rest is for the backend. */
static void take_spec(struct definition *d, struct json_object *spec)
{
	struct json_object *process = member(spec, "process"),
			   *path = member(member(spec, "root"), "path");

	d->args = text_of(member(process, "args"));
	d->annotations = text_of(member(spec, "annotations"));
	d->terminal = json_object_get_boolean(member(process, "terminal"));
	d->has_linux = member(spec, "linux") != NULL;
	if (!d->rootfs && path && !d->from_image)
		d->rootfs = strdup(json_object_get_string(path));
}

/* Whose network it joins: as the parameters say, else the spec's Windows section. */
static const char *network_of(const struct cow_create *create)
{
	struct json_object *network = member(member(create->spec, "windows"), "network");
	struct json_object *name = member(network, "networkSharedContainerName");

	if (!create->network_as_spec || !json_object_is_type(name, json_type_string) ||
	    !json_object_get_string_len(name))
		return create->network_of;
	return json_object_get_string(name);
}

static void take_create(struct definition *d, struct cow_create *create)
{
	d->id = cow_take_ptr(create->id);
	d->name = cow_take_ptr(create->name);
	d->owner = cow_take_ptr(create->owner);
	d->image = cow_take_ptr(create->image);
	d->bundle = cow_take_ptr(create->bundle);
	d->rootfs = cow_take_ptr(create->rootfs);
	d->backend = cow_take_ptr(create->backend);
	d->isolation = cow_take_ptr(create->isolation);
	d->labels = text_of(create->labels);
	d->from_image = create->from_image;
	d->network_plugin = create->network_plugin;
	d->network_of = network_of(create) ? strdup(network_of(create)) : NULL;
	d->open_stdin = create->open_stdin;
	d->keep_on_failure = create->keep_on_failure;
	d->auto_remove = create->auto_remove;
	d->stop_ms = create->stop_timeout_ms;
	d->restart = create->restart;
	d->health = create->health;
	create->health.test = NULL;
	d->log_max_bytes = create->log_max_bytes;
	d->log_files = create->log_files ? create->log_files : 1;
}

/* Whether there was memory for all of it. */
static bool is_whole(const struct definition *d, const struct cow_create *create)
{
	return d->options && d->spec && d->id && d->name && d->owner &&
	       (d->network_of || !network_of(create));
}

int definition_make(struct cow_create *create, struct json_object *params, uint32_t windows_build,
		    struct definition **ret, struct cow_error *err)
{
	struct definition *d = calloc(1, sizeof(*d));
	int rc;

	if (!d)
		return cow_error_set(err, -ENOMEM, "container: out of memory");
	schema_choose(d, create, windows_build);
	d->stop_signal = stop_signal_of(create, member(create->spec, "annotations"));
	take_create(d, create);
	take_spec(d, create->spec);
	d->created_ns = cow_realtime_ns();
	d->options = options_text(params);
	d->spec = create->spec_text ? cow_take_ptr(create->spec_text) : text_of(create->spec);
	rc = sandbox_check(member(create->spec, "annotations"), err);
	if (rc == 0 && d->schema_major == 1 && d->has_linux)
		rc = cow_error_set(err, -ENOTSUP, "LCOW v1 not supported");
	if (rc == 0 && add_resolved(d, create->resolved) < 0)
		rc = cow_error_set(err, -ENOMEM, "container: out of memory");
	if (rc == 0 && !is_whole(d, create))
		rc = cow_error_set(err, -ENOMEM, "container: out of memory");
	if (rc < 0)
		definition_destroy(d);
	else
		*ret = d;
	return rc;
}

static int read_string(struct json_object *o, const char *key, char **ret)
{
	struct json_object *value = member(o, key);
	char *copy;

	if (!value)
		return 0;
	copy = strdup(json_object_get_string(value));
	if (!copy)
		return -ENOMEM;
	free(*ret);
	*ret = copy;
	return 0;
}

static int read_definition(struct json_object *record, struct definition **ret, char **ret_backend,
			   struct cow_error *err)
{
	struct json_object *options = member(record, "options"), *spec = member(record, "spec");
	struct json_object *schema = member(record, "schema");
	struct cow_json at = { .value = options, .name = "definition" };
	struct cow_create *create;
	struct definition *d;
	int rc;

	if (!json_object_is_type(options, json_type_object) ||
	    !json_object_is_type(spec, json_type_object))
		return cow_error_set(err, -EBADMSG,
				     "definition record: options or spec are missing");
	rc = cow_create_parse(&at, NULL, &create, err);
	if (rc < 0)
		return rc;
	if (create->from_image) {
		rc = cow_create_take_image(create, member(record, "resolved"), err);
		if (rc < 0) {
			cow_create_destroy(create);
			return rc;
		}
	}
	json_object_put(create->spec);
	create->spec = json_object_get(spec);
	create->schema_ignored = false;
	create->schema_major = 0;
	rc = definition_make(create, options, UINT32_MAX, &d, err);
	cow_create_destroy(create);
	if (rc < 0)
		return rc;
	if (read_string(record, "id", &d->id) < 0 || read_string(record, "name", &d->name) < 0 ||
	    read_string(record, "owner", &d->owner) < 0 ||
	    read_string(record, "backend", ret_backend) < 0) {
		definition_destroy(d);
		return cow_error_set(err, -ENOMEM, "definition record: out of memory");
	}
	d->created_ns = (uint64_t)json_object_get_int64(member(record, "created_ns"));
	if (json_object_is_type(schema, json_type_array) && json_object_array_length(schema) == 2) {
		d->schema_major =
			(uint32_t)json_object_get_int(json_object_array_get_idx(schema, 0));
		d->schema_minor =
			(uint32_t)json_object_get_int(json_object_array_get_idx(schema, 1));
	}
	*ret = d;
	return 0;
}

int record_open(const char *state_dir, struct opened_record *ret, struct cow_error *err)
{
	struct json_object *record, *state;
	int rc = record_read(state_dir, &record, &state, err);

	*ret = (struct opened_record){ 0 };
	if (rc < 0)
		return rc;
	ret->failed = json_object_get_boolean(member(record, "failed"));
	rc = read_definition(record, &ret->def, &ret->backend, err);
	if (rc == 0 && member(record, "patched"))
		ret->patched = text_of(member(record, "patched"));
	if (state)
		record_take_state(state, &ret->state);
	json_object_put(record);
	json_object_put(state);
	return rc;
}
