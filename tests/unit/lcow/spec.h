/* SPDX-License-Identifier: MIT */
/* Specs for the compiler's tests, written with ' for ". */
#ifndef TESTS_LCOW_SPEC_H
#define TESTS_LCOW_SPEC_H

#include "plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define NAMESPACES                                                                                 \
	"'namespaces':[{'type':'pid'},{'type':'network'},{'type':'ipc'},{'type':'uts'},"           \
	"{'type':'mount'}]"
/* A small good spec with more members (",'a':1") in its root, process and linux objects. */
#define SPEC(root, process, os)                                                                    \
	"{'ociVersion':'1.0.2','root':{'path':'rootfs'},'process':{'args':['sh'],'cwd':'/"         \
	"'" process "},'linux':{" NAMESPACES os "}" root "}"

static const struct launch_compile_options spec_options = { .bundle = "/b" };

static inline char *spec_text(const char *quoted)
{
	char *text = strdup(quoted);

	assert_non_null(text);
	for (char *p = text; *p; p++)
		if (*p == '\'')
			*p = '"';
	return text;
}

static inline int spec_try(const char *quoted, const struct launch_compile_options *options,
			   struct launch_plan **ret, struct launch_error *err)
{
	char *text = spec_text(quoted);
	int r = launch_compile(text, strlen(text), options, ret, err);

	free(text);
	return r;
}

/* It compiles; the plan is to be freed. */
static inline struct launch_plan *spec_plan(const char *quoted)
{
	struct launch_plan *plan = NULL;
	struct launch_error err = { 0 };
	int r = spec_try(quoted, &spec_options, &plan, &err);

	if (r)
		fail_msg("%d %s\n%s", r, err.text, quoted);
	assert_int_equal(launch_plan_check(plan, plan->size), 0);
	return plan;
}

/* Exactly this text, or one that begins so, where expected ends in "...". */
static inline bool text_matches(const char *text, const char *expected)
{
	size_t n = strlen(expected);

	if (n > 3 && !strcmp(expected + n - 3, "..."))
		return !strncmp(text, expected, n - 3);
	return !strcmp(text, expected);
}

/* It is refused with this text. */
static inline void spec_refused(const char *quoted, int code, const char *text)
{
	struct launch_plan *plan = NULL;
	struct launch_error err = { 0 };
	int r = spec_try(quoted, &spec_options, &plan, &err);

	if (!r)
		fail_msg("compiled, instead of: %s\n%s", text, quoted);
	assert_null(plan);
	if (r != code || err.code != code || !text_matches(err.text, text))
		fail_msg("%d \"%s\"\ninstead of %d \"%s\"\n%s", r, err.text, code, text, quoted);
}

struct refusal {
	const char *spec, *text;
};

static inline void spec_all_refused(const struct refusal *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		spec_refused(rows[i].spec, -22 /* EINVAL */, rows[i].text);
}
#define ALL_REFUSED(rows) spec_all_refused(rows, sizeof(rows) / sizeof((rows)[0]))

static inline const char *plan_string(const struct launch_plan *plan, struct launch_vec vec,
				      uint32_t i)
{
	assert_true(i < vec.n);
	return launch_text(plan, *launch_at(plan, vec, launch_str, i));
}

#endif
