/* SPDX-License-Identifier: MIT */
/* What stands between {{ and }}: values, functions, pipelines. */
#include "base/cleanup.h"
#include "cli/format.h"
#include "cli/template_internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ARGS_MAX 16

int template_fail(const struct template *t, const struct words *w, const char *cause)
{
	size_t len = (size_t)(w->end - w->start);

	return cow_error_set(t->err, -EINVAL, "--format: \"{{%.*s}}\": %s", (int)(len < 80 ? len : 80),
			     w->start, cause);
}

void template_skip_space(struct words *w)
{
	while (w->p < w->end && isspace((unsigned char)*w->p))
		w->p++;
}

static bool is_name(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

size_t template_span(const struct words *w, bool dots)
{
	size_t n = 0;

	while (w->p + n < w->end && (is_name(w->p[n]) || (dots && w->p[n] == '.')))
		n++;
	return n;
}

/* The next word is that keyword: then it is passed. */
bool template_keyword(struct words *w, const char *word)
{
	size_t len = strlen(word);

	template_skip_space(w);
	if (template_span(w, false) != len || memcmp(w->p, word, len) != 0)
		return false;
	w->p += len;
	return true;
}

static int pipeline(struct template *t, struct words *w, struct json_object *dot,
		    struct json_object **ret);

struct variable *template_variable(struct template *t, const char *name, size_t len)
{
	for (size_t i = t->count; i > 0; i--)
		if (t->variables[i - 1].len == len &&
		    !memcmp(t->variables[i - 1].name, name, len))
			return &t->variables[i - 1];
	return NULL;
}

/* ".A.B" of a value; of the document itself it is the caller's to say. */
static int field(struct template *t, struct words *w, struct json_object *of,
		 struct json_object **ret)
{
	const char *path = w->p;
	size_t len = template_span(w, true);

	w->p += len;
	if (len > 1 && (path[len - 1] == '.' || memmem(path, len, "..", 2)))
		return template_fail(t, w, "a name is missing behind \".\"");
	if (len <= 1) {
		*ret = json_object_get(of);
		return 0;
	}
	if (of == t->root)
		return t->field(t->arg, of, path, len, ret, t->err);
	*ret = json_object_get(cow_format_lookup(of, path, len));
	return 0;
}

/* What "(...)" or "$x" gave may go on with ".A.B"; takes base. */
static int suffix(struct template *t, struct words *w, struct json_object *base,
		  struct json_object **ret)
{
	int r = 0;

	*ret = base;
	if (w->p < w->end && *w->p == '.') {
		r = field(t, w, base, ret);
		json_object_put(base);
	}
	if (r)
		*ret = NULL;
	return r;
}

static int quoted(struct template *t, struct words *w, struct json_object **ret)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf b = COW_STRBUF_INIT;
	char quote = *w->p++;

	for (; w->p < w->end && *w->p != quote; w->p++) {
		char c = *w->p;

		if (c == '\\' && quote == '"' && w->p + 1 < w->end) {
			c = *++w->p;
			c = c == 'n' ? '\n' : c == 't' ? '\t' : c;
		}
		cow_strbuf_addn(&b, &c, 1);
	}
	if (w->p == w->end)
		return template_fail(t, w, "a quote is not closed");
	w->p++;
	*ret = b.error ? NULL : json_object_new_string_len(b.data ? b.data : "", (int)b.len);
	return *ret ? 0 : cow_error_errno(t->err, -ENOMEM, "--format");
}

static int number(struct template *t, struct words *w, struct json_object **ret)
{
	char *end_int, *end;
	long long i = strtoll(w->p, &end_int, 10);
	double d = strtod(w->p, &end);

	if (end <= end_int) {
		end = end_int;
		*ret = json_object_new_int64(i);
	} else {
		*ret = json_object_new_double(d);
	}
	w->p = end;
	if (*ret && (end > w->end || is_name(*end))) {
		json_object_put(*ret);
		*ret = NULL;
		return template_fail(t, w, "not a number");
	}
	return *ret ? 0 : cow_error_errno(t->err, -ENOMEM, "--format");
}

static int dollar(struct template *t, struct words *w, struct json_object **ret)
{
	const struct variable *v;
	const char *name = ++w->p;
	size_t len = template_span(w, false);

	w->p += len;
	if (!len)
		return suffix(t, w, json_object_get(t->root), ret);
	v = template_variable(t, name, len);
	return v ? suffix(t, w, json_object_get(v->value), ret)
		 : template_fail(t, w, "a variable is not defined");
}

static int call(struct template *t, struct words *w, struct template_call *c,
		struct json_object **ret)
{
	int r = template_call(c, ret);

	if (r == -ENOENT)
		return template_fail(t, w, "there is no such function");
	if (r == -EINVAL)
		return template_fail(t, w, "not with these arguments");
	return r ? cow_error_errno(t->err, r, "--format") : 0;
}

/* true, false, nil, or a function without arguments. */
static int word(struct template *t, struct words *w, struct json_object **ret)
{
	struct template_call c = { .name = w->p };

	*ret = NULL;
	if (template_keyword(w, "nil"))
		return 0;
	if (template_keyword(w, "true") || template_keyword(w, "false")) {
		*ret = json_object_new_boolean(w->p[-2] == 'u');
		return *ret ? 0 : cow_error_errno(t->err, -ENOMEM, "--format");
	}
	c.name_len = template_span(w, false);
	w->p += c.name_len;
	return call(t, w, &c, ret);
}

static int operand(struct template *t, struct words *w, struct json_object *dot,
		   struct json_object **ret)
{
	int r;

	*ret = NULL;
	if (*w->p == '.')
		return field(t, w, dot, ret);
	if (*w->p == '$')
		return dollar(t, w, ret);
	if (*w->p == '"' || *w->p == '`')
		return quoted(t, w, ret);
	if (isdigit((unsigned char)*w->p) || *w->p == '-')
		return number(t, w, ret);
	if (*w->p == '(') {
		w->p++;
		if (++t->depth > DEPTH_MAX)
			return template_fail(t, w, "too deep");
		r = pipeline(t, w, dot, ret);
		t->depth--;
		if (r)
			return r;
		template_skip_space(w);
		if (w->p == w->end || *w->p != ')') {
			json_object_put(*ret);
			*ret = NULL;
			return template_fail(t, w, "\")\" is missing");
		}
		w->p++;
		return suffix(t, w, *ret, ret);
	}
	return isalpha((unsigned char)*w->p) ? word(t, w, ret) : template_fail(t, w, "not a value");
}

/* The operands behind a function or method, up to '|', ')' or the end. */
static int arguments(struct template *t, struct words *w, struct json_object *dot,
		     struct template_call *c)
{
	int r = 0;

	template_skip_space(w);
	while (!r && w->p < w->end && *w->p != '|' && *w->p != ')') {
		if (c->count == ARGS_MAX)
			return template_fail(t, w, "too many arguments");
		r = operand(t, w, dot, &c->args[c->count]);
		c->count += !r;
		template_skip_space(w);
	}
	return r;
}

/* docker's .Label "NAME": one of the row's labels, an object or the text "a=1,b=2". */
static struct json_object *label(struct json_object *labels, const char *name)
{
	const char *p = json_object_is_type(labels, json_type_string)
		? json_object_get_string(labels)
		: "";
	size_t len = strlen(name);

	if (json_object_is_type(labels, json_type_object))
		return json_object_get(json_object_object_get(labels, name));
	for (; *p; p += strcspn(p, ",") + (p[strcspn(p, ",")] == ',')) {
		if (!strncmp(p, name, len) && p[len] == '=')
			return json_object_new_string_len(p + len + 1,
							  (int)strcspn(p + len + 1, ","));
	}
	return json_object_new_string("");
}

static int method_label(struct template *t, struct words *w, struct json_object *dot,
			struct template_call *c, struct json_object **ret)
{
	int r;

	w->p += 6;
	r = arguments(t, w, dot, c);
	if (r)
		return r;
	if (c->count != 1 || !json_object_is_type(c->args[0], json_type_string))
		return template_fail(t, w, ".Label takes a name");
	*ret = label(cow_format_lookup(dot, ".Labels", 7), json_object_get_string(c->args[0]));
	return 0;
}

static int plain_value(struct template *t, struct words *w, struct json_object *dot, bool has_piped,
		       struct json_object **ret)
{
	int r = operand(t, w, dot, ret);

	template_skip_space(w);
	if (!r && (has_piped || (w->p < w->end && *w->p != '|' && *w->p != ')')))
		r = template_fail(t, w, "a value takes no arguments");
	return r;
}

/* The length of a function's name, 0 where something else stands here. */
static size_t function_name(const struct words *w)
{
	struct words ahead = *w;

	if (!isalpha((unsigned char)*w->p) || template_keyword(&ahead, "true") ||
	    template_keyword(&ahead, "false") || template_keyword(&ahead, "nil"))
		return 0;
	return template_span(w, false);
}

/* "FUNCTION ARGS" or "VALUE"; piped (may be NULL) is the last argument, and is taken. */
static int command(struct template *t, struct words *w, struct json_object *dot, bool has_piped,
		   struct json_object *piped, struct json_object **ret)
{
	struct json_object *args[ARGS_MAX + 1] = { NULL };
	struct template_call c = { .name = w->p, .name_len = function_name(w), .args = args };
	int r;

	*ret = NULL;
	if (!c.name_len && !strncmp(w->p, ".Label ", 7)) {
		r = method_label(t, w, dot, &c, ret);
	} else if (!c.name_len) {
		r = plain_value(t, w, dot, has_piped, ret);
	} else {
		w->p += c.name_len;
		r = arguments(t, w, dot, &c);
		if (!r && has_piped)
			args[c.count++] = json_object_get(piped);
		if (!r)
			r = call(t, w, &c, ret);
	}
	for (size_t i = 0; i < c.count; i++)
		json_object_put(args[i]);
	json_object_put(piped);
	if (r) {
		json_object_put(*ret);
		*ret = NULL;
	}
	return r;
}

static int pipeline(struct template *t, struct words *w, struct json_object *dot,
		    struct json_object **ret)
{
	struct json_object *value = NULL;
	bool piped = false;
	int r = 0;

	for (;;) {
		template_skip_space(w);
		if (w->p == w->end) {
			json_object_put(value);
			return template_fail(t, w, "a value is missing");
		}
		r = command(t, w, dot, piped, value, &value);
		template_skip_space(w);
		if (r || w->p == w->end || *w->p != '|')
			break;
		w->p++;
		piped = true;
	}
	*ret = r ? NULL : value;
	return r;
}

int template_pipeline(struct template *t, struct words *w, struct json_object *dot,
			  struct json_object **ret)
{
	int r = pipeline(t, w, dot, ret);

	if (!r && w->p != w->end) {
		json_object_put(*ret);
		*ret = NULL;
		r = template_fail(t, w, "this is not understood");
	}
	return r;
}
