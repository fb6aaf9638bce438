/* SPDX-License-Identifier: MIT */
#include "verbs/command.h"
#include "attach/attach.h"
#include "attach/names.h"
#include "common/util.h"
#include "verbs/effects.h"

#include <string.h>
#include <strings.h>

int net_command_api(struct plug_run *run, struct net_api *ret)
{
	struct net_state *s;
	int r = net_state_get(&s, &run->error);

	if (r == 0)
		*ret = (struct net_api){ .store = s->store, .effects = &net_effects, .arg = s };
	return r;
}

int net_command_json(struct plug_run *run, const char *text, struct json_object **ret)
{
	_cleanup_free_ char *read = NULL;
	size_t size = strlen(text);
	int r = 0;

	if (!strcmp(text, "-")) {
		r = plug_run_read(run, NET_BODY_MAX, &read, &size);
		if (r < 0)
			return plug_error_errno(&run->error, r, "standard input");
		text = read;
	}
	r = plug_json_parse(text, size, "request", ret, &run->error);
	if (r == 0 && !json_object_is_type(*ret, json_type_object)) {
		json_object_put(plug_take_ptr(*ret));
		r = plug_error_set(&run->error, -EINVAL, "request: not an object");
	}
	return r;
}

/* ls */

static const char *row_key(const void *row)
{
	struct json_object *const *o = row, *name = net_json_get(*o, "Name");
	const char *text = name ? json_object_get_string(name) : "";

	return *text ? text : json_object_get_string(net_json_get(*o, "ID"));
}

static int row_compare(const void *a, const void *b)
{
	return strcmp(row_key(a), row_key(b));
}

static int rows_make(struct plug_run *run, const struct net_api *api, struct json_object *objects,
		     struct json_object *rows,
		     struct json_object *(*make)(struct plug_run *run, const struct net_api *api,
						 struct json_object *object))
{
	for (size_t i = 0; i < plug_json_length(objects); i++) {
		struct json_object *row = make(run, api, json_object_array_get_idx(objects, i));

		if (run->error.code < 0) {
			json_object_put(row);
			return run->error.code;
		}
		if (row && json_object_array_add(rows, row) < 0) {
			json_object_put(row);
			return -ENOMEM;
		}
	}
	return 0;
}

int net_command_ls(struct plug_run *run, enum net_kind kind, const struct plug_column *columns,
		   struct json_object *(*make)(struct plug_run *run, const struct net_api *api,
					       struct json_object *object))
{
	_cleanup_json_ struct json_object *objects = NULL, *rows = json_object_new_array();
	const char *format = plug_run_flag(run, "quiet") ? "{{.ID}}" : plug_run_value(run, "format");
	_cleanup_free_ char *text = NULL;
	struct net_api api;
	size_t size;
	FILE *out = NULL;
	int r = rows ? net_command_api(run, &api) : -ENOMEM;

	if (r == 0)
		r = net_api_query(&api, kind, NULL, false, &objects, &run->error);
	if (r == 0)
		r = rows_make(run, &api, objects, rows, make);
	if (r < 0)
		return r;
	json_object_array_sort(rows, row_compare);
	out = open_memstream(&text, &size);
	if (!out)
		return -ENOMEM;
	r = plug_format_rows(out, format, columns, rows, &run->error);
	if (fclose(out))
		return -ENOMEM;
	if (r == 0)
		plug_text_add(&run->text, "%s", text);
	return r;
}

static bool word_among(const char *words, const char *word, size_t len)
{
	for (const char *p = words; p; p = strchr(p, ' ')) {
		p += *p == ' ';
		if (!strncasecmp(p, word, len) && (p[len] == ' ' || !p[len]))
			return true;
	}
	return false;
}

/* Names and ids as docker filters them: what is contained; labels: "KEY" or "KEY=VALUE". */
static bool value_matches(struct json_object *value, const char *key, const char *wanted)
{
	const char *text;

	if (json_object_is_type(value, json_type_array)) {
		for (size_t i = 0; i < plug_json_length(value); i++)
			if (value_matches(json_object_array_get_idx(value, i), key, wanted))
				return true;
		return false;
	}
	text = value ? json_object_get_string(value) : "";
	if (!strcasecmp(key, "label"))
		return !strcmp(text, wanted) ||
		       (!strchr(wanted, '=') && !strncmp(text, wanted, strlen(wanted)) &&
			text[strlen(wanted)] == '=');
	if (!strcasecmp(key, "name") || !strcasecmp(key, "id"))
		return strstr(text, wanted) != NULL;
	return !strcasecmp(text, wanted);
}

bool net_command_filtered(struct plug_run *run, const char *keys, struct json_object *row)
{
	const char *filter;
	char key[32];

	for (size_t i = 0; (filter = plug_run_nth(run, "filter", i)); i++) {
		size_t len = strcspn(filter, "=");

		if (!filter[len] || len >= sizeof(key) || !word_among(keys, filter, len)) {
			(void)plug_error_set(&run->error, -EINVAL,
					     "--filter: \"%.64s\" is not KEY=VALUE with a KEY of: %s", filter,
					     keys);
			return false;
		}
		(void)snprintf(key, sizeof(key), "%.*s", (int)len, filter);
		if (!value_matches(net_json_get(row, !strcasecmp(key, "label") ? "labels" : key), key,
				   filter + len + 1))
			return false;
	}
	return true;
}

/* inspect, rm, modify */

static int inspect_print(struct plug_run *run, struct json_object *all)
{
	const char *format = plug_run_value(run, "format");
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *out;
	int r = 0;

	if (!format) {
		plug_text_add(&run->text, "%s\n",
			      json_object_to_json_string_ext(all, JSON_C_TO_STRING_PRETTY |
									 JSON_C_TO_STRING_SPACED |
									 JSON_C_TO_STRING_NOSLASHESCAPE));
		return 0;
	}
	out = open_memstream(&text, &size);
	for (size_t i = 0; out && r == 0 && i < plug_json_length(all); i++)
		r = plug_format_value(out, format, json_object_array_get_idx(all, i), &run->error);
	if (!out || fclose(out))
		return -ENOMEM;
	if (r == 0)
		plug_text_add(&run->text, "%s", text);
	return r;
}

/* One of several words did not work: the others' output is printed, too. */
static void one_failed(struct plug_run *run, struct plug_error *err)
{
	plug_text_add(&run->notes, "cowherd: %s\n", err->text);
	*err = (struct plug_error){ 0 };
	run->exit_code = 1;
}

int net_command_inspect(struct plug_run *run, enum net_kind kind)
{
	_cleanup_json_ struct json_object *all = json_object_new_array();
	struct net_api api;
	int r = all ? net_command_api(run, &api) : -ENOMEM;

	for (size_t i = 0; r == 0 && i < run->word_count; i++) {
		struct json_object *o = NULL;
		struct plug_error err = { 0 };

		if (net_api_get(&api, kind, run->words[i], plug_run_flag(run, "hns"), &o, &err) < 0)
			one_failed(run, &err);
		else if (json_object_array_add(all, o) < 0) {
			json_object_put(o);
			r = -ENOMEM;
		}
	}
	return r ?: inspect_print(run, all);
}

int net_command_rm(struct plug_run *run,
		   int (*remove)(const struct net_api *api, const char *ref, struct plug_error *err))
{
	bool force = plug_run_flag(run, "force");
	struct net_api api;
	int r = net_command_api(run, &api);

	for (size_t i = 0; r == 0 && i < run->word_count; i++) {
		struct plug_error err = { 0 };
		int failed = remove(&api, run->words[i], &err);

		if (failed == -ENOENT && force)
			continue;
		if (failed < 0)
			one_failed(run, &err);
		else
			plug_text_add(&run->text, "%s\n", run->words[i]);
	}
	return r;
}

void net_command_kept(struct plug_run *run, const struct net_policy *policies, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (policies[i].kind == NET_POLICY_KEPT)
			plug_text_add(&run->notes, "cowherd: policy %s: is kept, without effect on Linux\n",
				      policies[i].type);
}

/* What the object has by now. */
static void kept_after(struct plug_run *run, const struct net_api *api, enum net_kind kind)
{
	struct net_endpoint *e = NULL;
	struct net_network *n = NULL;

	if (kind == NET_ENDPOINTS && net_store_endpoint(api->store, run->words[0], &e, NULL) == 0)
		net_command_kept(run, e->policies, e->policy_count);
	if (kind == NET_NETWORKS && net_store_network(api->store, run->words[0], &n, NULL) == 0)
		net_command_kept(run, n->policies, n->policy_count);
	net_endpoint_free(e);
	net_network_free(n);
}

int net_command_modify(struct plug_run *run, enum net_kind kind)
{
	_cleanup_json_ struct json_object *request = NULL;
	struct net_api api;
	int r = net_command_json(run, run->words[1], &request);

	if (r == 0)
		r = net_command_api(run, &api);
	r = r ?: net_api_modify(&api, kind, run->words[0], request, &run->error);
	if (r == 0)
		kept_after(run, &api, kind);
	return r;
}

void net_command_end(struct plug_run *run)
{
	(void)run;
	net_live_tell();
	net_names_settle();
}
