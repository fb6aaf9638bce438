/* SPDX-License-Identifier: MIT */
/* From options to the parameters of container.create and container.exec (docs/protocol.md). */
#ifndef COW_CLI_PARAMS_H
#define COW_CLI_PARAMS_H

#include "base/error.h"
#include "base/strbuf.h"
#include "cli/options.h"

#include <stdint.h>

/* What the file system and the environment of the client add. */
struct cow_params_place {
	const char *cwd;
	uint16_t height, width; /* of the terminal; 0: unknown */
	/* The process of a container that runs, for "container:NAME"; may be NULL. */
	int (*pid_of)(void *arg, const char *container, int64_t *ret, struct cow_error *err);
	void *pid_of_arg;
};

/* A whole object, "{...}"; -EINVAL and errors of reading --env-file. */
int cow_params_create(const struct cow_args *args, const struct cow_params_place *place,
		      struct cow_strbuf *out, struct cow_error *err);
int cow_params_exec(const struct cow_args *args, const struct cow_params_place *place,
		    struct cow_strbuf *out, struct cow_error *err);

#endif
