/* SPDX-License-Identifier: MIT */
/* Between the files of templates: the state of an expansion, and how an action is read. */
#ifndef COW_CLI_TEMPLATE_INTERNAL_H
#define COW_CLI_TEMPLATE_INTERNAL_H

#include "cli/template.h"

#include <stdbool.h>

#define VARIABLES_MAX 32
#define DEPTH_MAX 64

struct variable {
	const char *name; /* without '$'; borrowed from the text */
	size_t len;
	struct json_object *value; /* owned */
};

struct template {
	struct cow_strbuf *out;
	const char *p;
	struct json_object *root;
	cow_template_field_cb field;
	void *arg;
	struct cow_error *err;
	struct variable variables[VARIABLES_MAX];
	size_t count;
	unsigned depth;
};

/* What stands between {{ and }}; p moves. */
struct words {
	const char *p, *end, *start;
};

enum stop { STOP_TEXT, STOP_ELSE, STOP_END };

/* -EINVAL with the action's text and the cause. */
int template_fail(const struct template *t, const struct words *w, const char *cause);
void template_skip_space(struct words *w);
/* The length of the name (with dots: path) that stands here. */
size_t template_span(const struct words *w, bool dots);
/* The next word is that keyword: then it is passed. */
bool template_keyword(struct words *w, const char *word);
/* The innermost variable of that name, or NULL. */
struct variable *template_variable(struct template *t, const char *name, size_t len);
/* All of what is left of the action, as one pipeline; *ret (NULL: nothing) is the caller's. */
int template_pipeline(struct template *t, struct words *w, struct json_object *dot,
		      struct json_object **ret);

/* ---- template_call.c */
struct template_call {
	const char *name;
	size_t name_len;
	struct json_object **args;
	size_t count;
};
/* -ENOENT: there is no such function; -EINVAL: not with these arguments. */
int template_call(const struct template_call *call, struct json_object **ret);
bool template_truth(struct json_object *value);
/* As Go prints it: "[a b]", "map[k:v]", "<no value>". */
void template_print(struct cow_strbuf *out, struct json_object *value);

#endif
