/* SPDX-License-Identifier: MIT */
#include "cli/filter.h"
#include "cli/client.h"

#include <errno.h>
#include <string.h>

#define SHORT_ID 12 /* what ps shows of an id; a name is seldom that and the beginning of another's id */

/* The value of "KEY=VALUE", if it is that key; else NULL. */
static const char *value_for(const char *text, const char *key)
{
	size_t len = strlen(key);

	return !strncmp(text, key, len) && text[len] == '=' ? text + len + 1 : NULL;
}

int cow_filter_check(const struct cow_args *args, const struct cow_filter_key *keys,
		     struct cow_error *err)
{
	const char *text;

	for (size_t i = 0; (text = cow_args_nth(args, "filter", i)); i++) {
		const struct cow_filter_key *k = keys;

		while (k->key && !value_for(text, k->key))
			k++;
		if (!k->key)
			return cow_error_set(err, -EINVAL,
					     "--filter: \"%s\" is not one of its KEY=VALUE", text);
	}
	return 0;
}

bool cow_filter_has(const struct cow_args *args, const char *key)
{
	const char *text;

	for (size_t i = 0; (text = cow_args_nth(args, "filter", i)); i++)
		if (value_for(text, key))
			return true;
	return false;
}

static bool label_matches(struct json_object *labels, const char *want)
{
	const char *equals = strchrnul(want, '=');

	if (!labels || !json_object_is_type(labels, json_type_object))
		return false;
	json_object_object_foreach(labels, name, value)
		if (strlen(name) == (size_t)(equals - want) && !memcmp(name, want, strlen(name)) &&
		    (!*equals || !strcmp(json_object_get_string(value), equals + 1)))
			return true;
	return false;
}

static bool matches(const struct cow_filter_key *k, struct json_object *row, const char *want)
{
	struct json_object *v = cow_get(row, k->member);
	const char *have = v ? json_object_get_string(v) : NULL, *id;

	switch (k->match) {
	case COW_FILTER_LABEL:
		return label_matches(v, want);
	case COW_FILTER_OBJECT:
		id = cow_get_string(row, "container", "");
		return (have && !strcmp(have, want)) || !strcmp(id, want) ||
		       (strlen(want) >= SHORT_ID && !strncmp(id, want, strlen(want)));
	case COW_FILTER_PREFIX:
		return have && !strncmp(have, want, strlen(want));
	case COW_FILTER_PART:
		return have && strstr(have, want);
	default:
		return have && !strcmp(have, want);
	}
}

bool cow_filter_holds(const struct cow_args *args, const struct cow_filter_key *keys,
		      struct json_object *row)
{
	for (; keys->key; keys++) {
		bool asked = false, any = false;
		const char *text;

		for (size_t i = 0; (text = cow_args_nth(args, "filter", i)); i++) {
			const char *want = value_for(text, keys->key);
			bool holds = want && matches(keys, row, want);

			if (want && !holds && keys->match == COW_FILTER_LABEL)
				return false;
			asked = asked || want;
			any = any || holds;
		}
		if (asked && !any)
			return false;
	}
	return true;
}
