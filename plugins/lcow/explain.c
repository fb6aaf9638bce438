/* SPDX-License-Identifier: MIT */
/* The verb `explain BUNDLE|config.json`: what a spec would do, in plain words.  Touches nothing. */
#include "lcow.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SPEC_MAX (32 << 20)

struct explain {
	cowherd_op op;
	char *path; /* a bundle or a file in one */
	char *result;
	struct launch_error err;
};

static int explain_fail(struct explain *w, const char *what, int code)
{
	(void)snprintf(w->err.text, sizeof(w->err.text), "%s: %s", what, strerror(-code));
	return code;
}

static int read_spec(struct explain *w, const char *file, char **ret, size_t *ret_len)
{
	FILE *f = fopen(file, "re");
	char *text = NULL;
	struct stat st;
	size_t len = 0;
	int r = 0;

	if (!f)
		return explain_fail(w, file, -errno);
	if (fstat(fileno(f), &st) < 0)
		r = -errno;
	else if (st.st_size > SPEC_MAX)
		r = -EFBIG;
	else
		text = malloc((size_t)st.st_size + 1);
	if (r == 0 && !text)
		r = -ENOMEM;
	if (text) {
		len = fread(text, 1, (size_t)st.st_size, f);
		r = ferror(f) ? -EIO : 0;
	}
	(void)fclose(f);
	if (r < 0) {
		free(text);
		return explain_fail(w, file, r);
	}
	*ret = text;
	*ret_len = len;
	return 0;
}

/* The bundle is where the file is. */
static int explain_paths(struct explain *w, char **ret_bundle, char **ret_file)
{
	char *bundle = strdup(w->path), *file = NULL, *slash;
	struct stat st;

	if (!bundle)
		return -ENOMEM;
	if (stat(w->path, &st) < 0) {
		free(bundle);
		return explain_fail(w, w->path, -errno);
	}
	if (S_ISDIR(st.st_mode)) {
		if (asprintf(&file, "%s/config.json", w->path) < 0)
			file = NULL;
	} else {
		file = strdup(w->path);
		slash = strrchr(bundle, '/');
		slash[slash == bundle] = 0;
	}
	if (!file) {
		free(bundle);
		return -ENOMEM;
	}
	*ret_bundle = bundle;
	*ret_file = file;
	return 0;
}

static int explain_text(struct explain *w, const char *bundle, const char *spec, size_t len)
{
	struct plan *plan;
	size_t out_len;
	FILE *out;
	int r;

	r = plan_compile(spec, len, bundle, &plan, &w->err);
	if (r < 0)
		return r;
	out = open_memstream(&w->result, &out_len);
	r = out ? launch_explain(plan->launch, out) : -ENOMEM;
	if (out && fclose(out) != 0 && r == 0)
		r = -ENOMEM;
	plan_unref(plan);
	return r;
}

static int explain_work(void *arg)
{
	struct explain *w = arg;
	char *bundle, *file, *spec;
	size_t len;
	int r;

	r = explain_paths(w, &bundle, &file);
	if (r < 0)
		return r;
	r = read_spec(w, file, &spec, &len);
	if (r == 0) {
		r = explain_text(w, bundle, spec, len);
		free(spec);
	}
	free(bundle);
	free(file);
	return r;
}

static void explain_done(void *arg, int result)
{
	struct explain *w = arg;
	struct cowherd_answer answer = {
		.size = sizeof(answer), .code = result, .fd = -1, .result = w->result
	};

	if (result < 0 && *w->err.text)
		answer.message = w->err.text;
	(void)lcow.host->answer(lcow.self, w->op, &answer);
	free(w->path);
	free(w->result);
	free(w);
}

static char *explain_path(const struct cowherd_call *call)
{
	struct json_object *args = json_tokener_parse(call->args), *first;
	const char *word;
	char *path = NULL;

	if (json_object_is_type(args, json_type_array) && json_object_array_length(args) == 1) {
		first = json_object_array_get_idx(args, 0);
		word = json_object_get_string(first);
		if (!word || asprintf(&path, "%s%s%s", *word == '/' ? "" : call->cwd,
				      *word == '/' ? "" : "/", word) < 0)
			path = NULL;
	}
	json_object_put(args);
	return path;
}

static int explain_call(void *arg, cowherd_op op, const struct cowherd_call *call)
{
	static const struct cowherd_answer usage = {
		.size = sizeof(usage),
		.code = -EINVAL,
		.fd = -1,
		.message = "usage: explain BUNDLE|config.json",
	};
	struct explain *w;
	int r;

	(void)arg;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->op = op;
	w->path = explain_path(call);
	if (!w->path) {
		free(w);
		(void)lcow.host->answer(lcow.self, op, &usage);
		return COWHERD_LATER;
	}
	r = lcow.host->offload(lcow.self, explain_work, explain_done, w);
	if (r < 0) {
		free(w->path);
		free(w);
		return r;
	}
	return COWHERD_LATER;
}

const struct cowherd_verb lcow_explain_verb = {
	.size = sizeof(lcow_explain_verb),
	.name = "explain",
	.usage = "explain BUNDLE|config.json",
	.help = "Say what a spec will mount, create, limit, drop and run.",
	.call = explain_call,
};
