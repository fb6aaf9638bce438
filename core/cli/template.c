/* SPDX-License-Identifier: MIT */
/* Templates, run as they are read: a block that is repeated is read again, one that is not taken is
 * read without effect. */
#include "cli/template_internal.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

static void drop_variables(struct template *t, size_t keep)
{
	while (t->count > keep)
		json_object_put(t->variables[--t->count].value);
}

/* "$x :=", "$x =", "$i, $x :=": up to two names; 0: none stand here. */
static size_t declared(struct words *w, struct variable names[2], bool *ret_new)
{
	struct words at = *w;
	size_t n = 0;

	for (;;) {
		template_skip_space(&at);
		if (n == 2 || at.p == at.end || *at.p != '$')
			return 0;
		names[n].name = ++at.p;
		names[n].len = template_span(&at, false);
		at.p += names[n++].len;
		template_skip_space(&at);
		if (at.p == at.end || *at.p != ',')
			break;
		at.p++;
	}
	*ret_new = at.p + 1 < at.end && at.p[0] == ':' && at.p[1] == '=';
	if (!*ret_new && !(at.p < at.end && *at.p == '='))
		return 0;
	at.p += *ret_new ? 2 : 1;
	*w = at;
	return n;
}

/* Takes value. */
static int set_variable(struct template *t, const struct words *w, const struct variable *name,
			bool is_new, struct json_object *value)
{
	struct variable *v = is_new ? NULL : template_variable(t, name->name, name->len);

	if (!v && is_new && t->count < VARIABLES_MAX) {
		v = &t->variables[t->count++];
		*v = (struct variable){ .name = name->name, .len = name->len };
	}
	if (!v) {
		json_object_put(value);
		return template_fail(t, w, is_new ? "too many variables" : "a variable is not defined");
	}
	json_object_put(v->value);
	v->value = value;
	return 0;
}

static int list(struct template *t, struct json_object *dot, bool live, enum stop *ret_stop,
		struct words *ret_else);

/* Behind the body of a block: its {{else}}, if any, and its {{end}}. */
static int block_rest(struct template *t, const struct words *w, struct json_object *dot,
		      bool live, enum stop stop)
{
	struct words rest;
	int r = 0;

	if (stop == STOP_ELSE)
		r = list(t, dot, live, &stop, &rest);
	return !r && stop != STOP_END ? template_fail(t, w, "{{end}} is missing") : r;
}

/* if and with; "else if" goes on here. */
static int block_if(struct template *t, struct words *w, struct json_object *dot, bool live,
		    bool with)
{
	struct json_object *value = NULL;
	struct words start = *w, rest = *w;
	struct variable names[2];
	size_t kept = t->count, n;
	enum stop stop;
	bool truth, is_new = false;
	int r = 0;

	n = live ? declared(w, names, &is_new) : 0;
	if (live)
		r = template_pipeline(t, w, dot, &value);
	if (!r && n)
		r = set_variable(t, w, &names[n - 1], is_new, json_object_get(value));
	truth = template_truth(value);
	if (!r)
		r = list(t, with ? value : dot, live && truth, &stop, &rest);
	if (!r && stop == STOP_ELSE && (template_keyword(&rest, "if") || template_keyword(&rest, "with")))
		r = block_if(t, &rest, dot, live && !truth, rest.p[-1] == 'h');
	else if (!r)
		r = block_rest(t, &start, dot, live && !truth, stop);
	json_object_put(value);
	drop_variables(t, kept);
	return r;
}

/* One turn; takes key. */
static int turn(struct template *t, struct words *w, const struct variable names[2], size_t n,
		struct json_object *key, struct json_object *value, enum stop *ret_stop)
{
	struct words rest;
	size_t kept = t->count;
	int r = 0;

	if (n == 2)
		r = set_variable(t, w, &names[0], true, json_object_get(key));
	if (!r && n)
		r = set_variable(t, w, &names[n - 1], true, json_object_get(value));
	json_object_put(key);
	if (!r)
		r = list(t, value, true, ret_stop, &rest);
	drop_variables(t, kept);
	return r;
}

/* Once for each element; *ret_none: there is none, and the body is still to be passed over. */
static int turns(struct template *t, struct words *w, const struct variable names[2], size_t n,
		 struct json_object *value, bool *ret_none, enum stop *ret_stop)
{
	const char *body = t->p;
	int r = 0;

	*ret_none = true;
	if (json_object_is_type(value, json_type_array)) {
		for (size_t i = 0; !r && i < json_object_array_length(value); i++) {
			t->p = body;
			*ret_none = false;
			r = turn(t, w, names, n, json_object_new_int64((int64_t)i),
				 json_object_array_get_idx(value, i), ret_stop);
		}
	} else if (json_object_is_type(value, json_type_object)) {
		json_object_object_foreach(value, key, member) {
			if (r)
				break;
			t->p = body;
			*ret_none = false;
			r = turn(t, w, names, n, json_object_new_string(key), member, ret_stop);
		}
	} else if (value) {
		r = template_fail(t, w, "range goes over lists and objects");
	}
	return r;
}

static int block_range(struct template *t, struct words *w, struct json_object *dot, bool live)
{
	struct json_object *value = NULL;
	struct words start = *w, rest;
	struct variable names[2];
	enum stop stop = STOP_TEXT;
	bool is_new, none = true;
	size_t n = live ? declared(w, names, &is_new) : 0;
	int r = live ? template_pipeline(t, w, dot, &value) : 0;

	if (!r)
		r = turns(t, w, names, n, value, &none, &stop);
	if (!r && none)
		r = list(t, dot, false, &stop, &rest);
	if (!r)
		r = block_rest(t, &start, dot, live && none, stop);
	json_object_put(value);
	return r;
}

/* The "}}" that ends the action at p, not one inside quotes; its NUL where there is none. */
static const char *action_end(const char *p)
{
	char quote = 0;

	for (; *p && (quote || p[0] != '}' || p[1] != '}'); p++) {
		if (quote == '"' && *p == '\\' && p[1])
			p++;
		else if (quote)
			quote = *p == quote ? 0 : quote;
		else if (*p == '"' || *p == '`')
			quote = *p;
	}
	return p;
}

/* The action at t->p (behind "{{"), without trim marks; *ret_trim: what follows loses its white space. */
static int action_words(struct template *t, struct words *ret, bool *ret_trim)
{
	const char *p = t->p, *end = action_end(p);

	if (p[0] == '-' && isspace((unsigned char)p[1]))
		p++;
	if (!*end)
		return cow_error_set(t->err, -EINVAL, "--format: \"{{\" without \"}}\"");
	*ret_trim = end - p >= 2 && end[-1] == '-' && isspace((unsigned char)end[-2]);
	t->p = end + 2;
	end -= *ret_trim;
	while (end > p && isspace((unsigned char)end[-1]))
		end--;
	*ret = (struct words){ .p = p, .start = p, .end = end };
	return 0;
}

static int print_action(struct template *t, struct words *w, struct json_object *dot)
{
	struct json_object *value = NULL;
	struct variable names[2];
	bool is_new;
	size_t n = declared(w, names, &is_new);
	int r = template_pipeline(t, w, dot, &value);

	if (r)
		return r;
	if (n == 1)
		return set_variable(t, w, names, is_new, value);
	template_print(t->out, value);
	json_object_put(value);
	return n ? template_fail(t, w, "two variables are for range") : 0;
}

/* One action; *ret_stop: it ends the list it stands in. */
static int action(struct template *t, struct words *w, struct json_object *dot, bool live,
		  enum stop *ret_stop, struct words *ret_else)
{
	template_skip_space(w);
	if (w->end - w->p >= 4 && !memcmp(w->p, "/*", 2))
		return memcmp(w->end - 2, "*/", 2) ? template_fail(t, w, "a comment is not closed") : 0;
	if (template_keyword(w, "end")) {
		*ret_stop = STOP_END;
		return 0;
	}
	if (template_keyword(w, "else")) {
		*ret_stop = STOP_ELSE;
		*ret_else = *w;
		return 0;
	}
	if (template_keyword(w, "if"))
		return block_if(t, w, dot, live, false);
	if (template_keyword(w, "with"))
		return block_if(t, w, dot, live, true);
	if (template_keyword(w, "range"))
		return block_range(t, w, dot, live);
	return live ? print_action(t, w, dot) : 0;
}

/* Text up to the next action, with \t and \n as people type them into a shell. */
static void text(struct template *t, bool live)
{
	const char *end = strstr(t->p, "{{"), *stop;

	if (!end)
		end = t->p + strlen(t->p);
	stop = end;
	if (*end && end[2] == '-' && isspace((unsigned char)end[3]))
		while (stop > t->p && isspace((unsigned char)stop[-1]))
			stop--;
	for (; live && t->p < stop; t->p++) {
		bool escape = t->p[0] == '\\' && (t->p[1] == 't' || t->p[1] == 'n');

		t->p += escape;
		cow_strbuf_addn(t->out, !escape ? t->p : *t->p == 't' ? "\t" : "\n", 1);
	}
	t->p = end;
}

/* Up to the end of the text, or the {{else}} or {{end}} of the block this is in. */
static int list(struct template *t, struct json_object *dot, bool live, enum stop *ret_stop,
		struct words *ret_else)
{
	int r = 0;

	*ret_stop = STOP_TEXT;
	if (++t->depth > DEPTH_MAX)
		return cow_error_set(t->err, -EINVAL, "--format: blocks are too deep");
	while (!r && *ret_stop == STOP_TEXT) {
		struct words w;
		bool trim;

		text(t, live);
		if (!*t->p)
			break;
		t->p += 2;
		r = action_words(t, &w, &trim);
		if (!r && trim)
			while (isspace((unsigned char)*t->p))
				t->p++;
		if (!r)
			r = action(t, &w, dot, live, ret_stop, ret_else);
	}
	t->depth--;
	return r;
}

int cow_template_run(struct cow_strbuf *out, const char *template, struct json_object *root,
		     cow_template_field_cb field_cb, void *arg, struct cow_error *err)
{
	struct template t = { .out = out, .p = template, .root = root, .field = field_cb,
			      .arg = arg, .err = err };
	struct words rest;
	enum stop stop;
	int r = list(&t, root, true, &stop, &rest);

	drop_variables(&t, 0);
	if (!r && stop != STOP_TEXT)
		r = cow_error_set(err, -EINVAL, "--format: {{%s}} belongs to nothing",
				  stop == STOP_END ? "end" : "else");
	return r;
}
