/* SPDX-License-Identifier: MIT */
/*
 * A spec, an exec's process, an update's resources, or a plan from a peer: whatever compiles must
 * check, explain, and be the same when it is compiled again.
 */
#include "plan.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static FILE *nowhere;

static void explain(const struct launch_plan *plan)
{
	if (!nowhere)
		nowhere = fopen("/dev/null", "we");
	if (!nowhere || launch_explain(plan, nowhere))
		abort();
}

static void plan_good(const struct launch_plan *plan)
{
	if (launch_plan_check(plan, plan->size))
		abort();
	explain(plan);
}

static void error_good(int r, const struct launch_error *err)
{
	if (r != err->code || !err->text[0] || !memchr(err->text, 0, sizeof(err->text)))
		abort();
}

static void try_spec(const char *text, size_t size)
{
	static const struct launch_compile_options options = { .bundle = "/b" };
	struct launch_plan *plan = NULL, *again = NULL;
	struct launch_error err = { 0 };
	int r = launch_compile(text, size, &options, &plan, &err);

	if (r) {
		error_good(r, &err);
		return;
	}
	plan_good(plan);
	if (launch_compile(text, size, &options, &again, &err) || again->size != plan->size ||
	    memcmp(again, plan, plan->size) != 0)
		abort();
	free(again);
	if (!launch_compile_exec("{\"args\":[\"x\"],\"cwd\":\"/\"}", 24, plan, &options, &again,
				 &err)) {
		plan_good(again);
		free(again);
	}
	free(plan);
}

static void try_parts(const char *text, size_t size)
{
	static const struct launch_plan base = { .magic = LAUNCH_PLAN_MAGIC,
						 .version = LAUNCH_PLAN_VERSION,
						 .size = sizeof(base) };
	struct launch_error err = { 0 };
	struct launch_plan *plan;
	int r = launch_compile_exec(text, size, &base, NULL, &plan, &err);

	if (r) {
		error_good(r, &err);
	} else {
		plan_good(plan);
		free(plan);
	}
	r = launch_compile_resources(text, size, &plan, &err);
	if (r) {
		error_good(r, &err);
	} else {
		plan_good(plan);
		free(plan);
	}
}

static void try_plan(const uint8_t *data, size_t size)
{
	struct launch_plan *plan = malloc(size + !size); /* aligned, unlike data */

	if (!plan)
		abort();
	memcpy(plan, data, size);
	if (!launch_plan_check(plan, size))
		explain(plan);
	free(plan);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t magic = LAUNCH_PLAN_MAGIC;

	if (size >= sizeof(magic) && !memcmp(data, &magic, sizeof(magic))) {
		try_plan(data, size);
		return 0;
	}
	try_spec((const char *)data, size);
	try_parts((const char *)data, size);
	return 0;
}
