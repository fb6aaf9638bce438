/* SPDX-License-Identifier: MIT */
#include "server/internal.h"

#include "spec/create.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define TIMEOUT_MAX_S 31536000.0 /* a year */

static int get_timeout(const struct cow_json *params, int64_t *ret_ms, struct cow_error *err)
{
	struct cow_json at;
	double s;

	if (!cow_json_member(params, "timeout_s", &at))
		return 0;
	if (!json_object_is_type(at.value, json_type_int) &&
	    !json_object_is_type(at.value, json_type_double))
		return cow_json_fail(&at, err, -EINVAL, "not a number");
	s = json_object_get_double(at.value);
	if (!(s >= 0 && s <= TIMEOUT_MAX_S))
		return cow_json_fail(&at, err, -EINVAL, "not within 0 and %.0f", TIMEOUT_MAX_S);
	*ret_ms = (int64_t)(s * 1000.0);
	return 0;
}

static int get_signal(const struct cow_json *params, int *ret, struct cow_error *err)
{
	struct cow_json at;

	if (!cow_json_member(params, "signal", &at))
		return 0;
	if (!json_object_is_type(at.value, json_type_int) &&
	    !json_object_is_type(at.value, json_type_string))
		return cow_json_fail(&at, err, -EINVAL, "neither a name nor a number");
	if (cow_signal_parse(json_object_get_string(at.value), ret) < 0 || *ret <= 0)
		return cow_json_fail(&at, err, -EINVAL, "no such signal");
	return 0;
}

static int get_condition(const struct cow_json *params, enum cow_wait *ret, struct cow_error *err)
{
	static const char *const names[] = {
		[COW_WAIT_STOPPED] = "stopped",
		[COW_WAIT_HEALTHY] = "healthy",
		[COW_WAIT_RUNNING] = "running",
		[COW_WAIT_REMOVED] = "removed",
	};
	const char *text = "stopped";
	struct cow_json at;

	if (cow_json_get_string(params, "condition", &text, err) < 0)
		return -EINVAL;
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(names[i], text) == 0) {
			*ret = (enum cow_wait)i;
			return 0;
		}
	}
	(void)cow_json_member(params, "condition", &at);
	return cow_json_fail(&at, err, -EINVAL, "not stopped, healthy, running or removed");
}

static int get_words(const struct cow_json *params, struct json_object **ret, struct cow_error *err)
{
	struct cow_json list, item;

	if (!cow_json_member(params, "args", &list))
		return 0;
	if (cow_json_is_array(&list, err) < 0)
		return -EINVAL;
	for (size_t i = 0; cow_json_element(&list, i, &item); i++) {
		if (!json_object_is_type(item.value, json_type_string))
			return cow_json_fail(&item, err, -EINVAL, "not a string");
	}
	*ret = list.value;
	return 0;
}

static int get_strings(const struct cow_json *params, struct args *a, struct cow_error *err)
{
	const struct {
		const char *key;
		const char **value;
	} strings[] = { { "container", &a->container }, { "name", &a->name }, { "cwd", &a->cwd } };

	for (unsigned i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
		if (cow_json_get_string(params, strings[i].key, strings[i].value, err) < 0)
			return -EINVAL;
	}
	return 0;
}

static int get_bools(const struct cow_json *params, struct args *a, struct cow_error *err)
{
	const struct {
		const char *key;
		bool *value;
	} bools[] = {
		{ "all", &a->all },       { "force", &a->force },
		{ "kill", &a->kill },     { "stream", &a->stream },
		{ "follow", &a->follow }, { "timestamps", &a->timestamps },
		{ "stdin", &a->in },      { "stdout", &a->out },
		{ "stderr", &a->err },    { "logs", &a->logs },
	};

	for (unsigned i = 0; i < sizeof(bools) / sizeof(bools[0]); i++) {
		if (cow_json_get_bool(params, bools[i].key, bools[i].value, err) < 0)
			return -EINVAL;
	}
	return 0;
}

static int get_numbers(const struct cow_json *params, struct args *a, struct cow_error *err)
{
	const struct {
		const char *key;
		int64_t max, *value;
	} numbers[] = {
		{ "exec", INT64_MAX, &a->exec },         { "tail", INT64_MAX, &a->tail },
		{ "since_ns", INT64_MAX, &a->since_ns }, { "until_ns", INT64_MAX, &a->until_ns },
		{ "height", UINT16_MAX, &a->height },    { "width", UINT16_MAX, &a->width },
	};

	for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (cow_json_get_int(params, numbers[i].key, 0, numbers[i].max, numbers[i].value,
				     err) < 0)
			return -EINVAL;
	}
	return 0;
}

static int need(const struct cow_json *params, const char *key, struct cow_error *err)
{
	struct cow_json at;

	if (cow_json_member(params, key, &at))
		return 0;
	return cow_json_fail(params, err, -EINVAL, "\"%s\" is missing", key);
}

static int need_all(const struct method *method, const struct cow_json *params,
		    struct cow_error *err)
{
	static const struct {
		unsigned flag;
		const char *key;
	} needed[] = {
		{ METHOD_CONTAINER, "container" },
		{ METHOD_EXEC, "exec" },
		{ METHOD_NAME, "name" },
	};

	for (unsigned i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		if ((method->flags & needed[i].flag) && need(params, needed[i].key, err) < 0)
			return -EINVAL;
	}
	return 0;
}

static int get_all(const struct cow_json *params, struct args *a, struct cow_error *err)
{
	if (get_strings(params, a, err) < 0 || get_bools(params, a, err) < 0 ||
	    get_numbers(params, a, err) < 0 || get_timeout(params, &a->timeout_ms, err) < 0 ||
	    get_signal(params, &a->signo, err) < 0 ||
	    get_condition(params, &a->condition, err) < 0 || get_words(params, &a->words, err) < 0)
		return -EINVAL;
	return 0;
}

int args_decode(const struct method *method, const struct cow_json *params, struct args *ret,
		struct cow_error *err)
{
	struct args a = { .timeout_ms = -1,
			  .tail = -1,
			  .out = true,
			  .err = true,
			  .follow = (method->flags & METHOD_FOLLOW) != 0 };
	int r = cow_json_is_object(params, err);

	if (r == 0)
		r = need_all(method, params, err);
	/* What the engine parses itself shares no member with the others but the container. */
	if (r == 0 && !method->keys)
		r = cow_json_get_string(params, "container", &a.container, err);
	else if (r == 0)
		r = cow_json_known(params, method->keys, err);
	if (r == 0 && method->keys)
		r = get_all(params, &a, err);
	if (r == 0)
		*ret = a;
	return r;
}
