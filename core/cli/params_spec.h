/* SPDX-License-Identifier: MIT */
/* Options of docker that no create parameter has a name for of its own: they shape the spec. */
#ifndef COW_CLI_PARAMS_SPEC_H
#define COW_CLI_PARAMS_SPEC_H

#include "cli/params.h"

/* Adds members `patch`, `devices`, `groups`, `namespaces` and so on to the object begun in b. */
int cow_params_spec(const struct cow_args *args, const struct cow_params_place *place,
		    struct cow_strbuf *b, struct cow_error *err);
/* The items of --mount, --tmpfs and --shm-size, into the array begun in b. */
int cow_params_mounts(const struct cow_args *args, const char *cwd, struct cow_strbuf *b,
		      struct cow_error *err);

#endif
