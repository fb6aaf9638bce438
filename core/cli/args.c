/* SPDX-License-Identifier: MIT */
#include "cli/options.h"
#include "cli/text.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct cow_option *find_in(const struct cow_option *o, const char *name, size_t len,
					char letter)
{
	for (; o->name; o++)
		if (name ? strlen(o->name) == len && !memcmp(o->name, name, len)
			 : letter && o->letter == letter)
			return o;
	return NULL;
}

static const struct cow_option *find(const struct cow_command *command, const char *name,
				     size_t len, char letter)
{
	const struct cow_option *o = find_in(command->options, name, len, letter);

	return o ? o : find_in(cow_options_common, name, len, letter);
}

static bool truth(const char *value, bool *ret)
{
	static const char *const words[][2] = { { "false", "true" },
						{ "0", "1" },
						{ "no", "yes" } };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		for (int b = 0; b < 2; b++)
			if (!strcmp(value, words[i][b])) {
				*ret = b;
				return true;
			}
	return false;
}

static const char *const wanted[] = {
	[COW_OPTION_FLAG] = "true or false",
	[COW_OPTION_INT] = "a whole number",
	[COW_OPTION_DURATION] = "a duration like 10s, 1m30s or 200ms",
	[COW_OPTION_SIZE] = "a size like 512, 64m or 1g",
	[COW_OPTION_DECIMAL] = "a number like 1.5",
};

static bool value_ok(enum cow_option_type type, const char *value)
{
	int64_t n;
	double d;
	bool b;

	switch (type) {
	case COW_OPTION_FLAG:
		return truth(value, &b);
	case COW_OPTION_INT:
		return !cow_text_int(value, &n);
	case COW_OPTION_DURATION:
		return !cow_text_duration_ms(value, &n);
	case COW_OPTION_SIZE:
		return !cow_text_size(value, &n);
	case COW_OPTION_DECIMAL:
		return !cow_text_decimal(value, &d) && d >= 0;
	default:
		return true;
	}
}

static int keep(struct cow_args *a, const struct cow_option *o, const char *value,
		struct cow_error *err)
{
	struct cow_args_value *grown;

	if (!value_ok(o->type, value))
		return cow_error_set(err, -EINVAL, "--%s: \"%s\" is not %s", o->name, value,
				     wanted[o->type]);
	grown = reallocarray(a->values, a->count + 1, sizeof(*grown));
	if (!grown)
		return cow_error_errno(err, -ENOMEM, "--%s", o->name);
	a->values = grown;
	a->values[a->count++] = (struct cow_args_value){ o, value };
	return 0;
}

struct cursor {
	int argc, at;
	char **argv;
};

/* The value of an option that needs one: what is attached to it, or the next word. */
static int value_of(struct cursor *c, const struct cow_option *o, const char *attached,
		    const char **ret, struct cow_error *err)
{
	if (attached)
		*ret = attached;
	else if (c->at < c->argc)
		*ret = c->argv[c->at++];
	else
		return cow_error_set(err, -EINVAL, "--%s needs a value (%s)", o->name, o->argument);
	return 0;
}

static int parse_long(struct cow_args *a, struct cursor *c, const char *word, struct cow_error *err)
{
	const char *equals = strchr(word, '=');
	size_t len = equals ? (size_t)(equals - word) : strlen(word);
	const struct cow_option *o = find(a->command, word, len, 0);
	const char *value = "true";
	int r;

	if (!o)
		return cow_error_set(err, -EINVAL, "no such option: --%.*s", (int)len, word);
	if (o->type == COW_OPTION_FLAG)
		return keep(a, o, equals ? equals + 1 : value, err);
	r = value_of(c, o, equals ? equals + 1 : NULL, &value, err);
	return r ? r : keep(a, o, value, err);
}

/* "-it", "-eK=V", "-e K=V", "-d=false" */
static int parse_short(struct cow_args *a, struct cursor *c, const char *word,
		       struct cow_error *err)
{
	for (const char *p = word; *p; p++) {
		const struct cow_option *o = find(a->command, NULL, 0, *p);
		const char *value;
		int r;

		/* -h is help wherever the verb has no use of its own for it. */
		if (!o && *p == 'h')
			o = find(a->command, "help", 4, 0);
		if (!o)
			return cow_error_set(err, -EINVAL, "no such option: -%c in -%s", *p, word);
		if (o->type == COW_OPTION_FLAG && p[1] != '=') {
			r = keep(a, o, "true", err);
			if (r)
				return r;
			continue;
		}
		r = value_of(c, o, p[1] ? p + 1 + (p[1] == '=') : NULL, &value, err);
		return r ? r : keep(a, o, value, err);
	}
	return 0;
}

int cow_args_parse(const struct cow_command *command, const struct cow_args *parent, int argc,
		   char **argv, struct cow_args *ret, struct cow_error *err)
{
	struct cow_args a = { .command = command, .parent = parent, .argv = argv };
	struct cursor c = { argc, 0, argv };
	bool options = true;
	int r = 0;

	while (!r && c.at < c.argc) {
		char *word = c.argv[c.at++];

		if (options && !strcmp(word, "--")) {
			options = false;
		} else if (options && word[0] == '-' && word[1] == '-') {
			r = parse_long(&a, &c, word + 2, err);
		} else if (options && word[0] == '-' && word[1]) {
			r = parse_short(&a, &c, word + 1, err);
		} else {
			a.argv[a.argc++] = word;
			options = options && !command->rest;
		}
	}
	if (r)
		cow_args_finish(&a);
	else
		*ret = a;
	return r;
}

void cow_args_finish(struct cow_args *args)
{
	free(args->values);
	args->values = NULL;
	args->count = 0;
}

/* The last one given here, else the last one before the verb. */
static const struct cow_args_value *last(const struct cow_args *args, const char *name)
{
	assert(find(args->command, name, strlen(name), 0));
	for (; args; args = args->parent)
		for (size_t i = args->count; i > 0; i--)
			if (!strcmp(args->values[i - 1].option->name, name))
				return &args->values[i - 1];
	return NULL;
}

bool cow_args_has(const struct cow_args *args, const char *name)
{
	return last(args, name) != NULL;
}

bool cow_args_flag(const struct cow_args *args, const char *name, bool absent)
{
	const struct cow_args_value *v = last(args, name);

	if (v)
		(void)truth(v->value, &absent);
	return absent;
}

const char *cow_args_string(const struct cow_args *args, const char *name)
{
	const struct cow_args_value *v = last(args, name);

	return v ? v->value : NULL;
}

int64_t cow_args_int(const struct cow_args *args, const char *name, int64_t absent)
{
	const struct cow_args_value *v = last(args, name);

	if (!v)
		return absent;
	if (v->option->type == COW_OPTION_DURATION)
		(void)cow_text_duration_ms(v->value, &absent);
	else if (v->option->type == COW_OPTION_SIZE)
		(void)cow_text_size(v->value, &absent);
	else
		(void)cow_text_int(v->value, &absent);
	return absent;
}

double cow_args_decimal(const struct cow_args *args, const char *name, double absent)
{
	const struct cow_args_value *v = last(args, name);

	if (v)
		(void)cow_text_decimal(v->value, &absent);
	return absent;
}

const char *cow_args_nth(const struct cow_args *args, const char *name, size_t i)
{
	assert(find(args->command, name, strlen(name), 0));
	for (size_t k = 0; k < args->count; k++)
		if (!strcmp(args->values[k].option->name, name) && i-- == 0)
			return args->values[k].value;
	return NULL;
}
