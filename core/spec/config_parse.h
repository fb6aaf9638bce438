/* SPDX-License-Identifier: MIT */
/* Between the files of the configuration reader. */
#ifndef COW_SPEC_CONFIG_PARSE_H
#define COW_SPEC_CONFIG_PARSE_H

#include "spec/config.h"

/* All keys that container.create knows. */
extern const char *const cow_create_keys[];

/* Report every key that is not in the lists (the second may be NULL); false where there was one. */
bool cow_config_only(const struct cow_json *at, const char *const *keys, const char *const *more,
		     struct cow_config_errors *errors);
/* The object "containers" of one file. */
int cow_config_read_containers(struct cow_config *config, const struct cow_config_file *file,
			       const struct cow_json *containers, struct cow_config_errors *errors);
/* With all files read: who depends on whom, and in which order. */
int cow_config_order(struct cow_config *config, struct cow_config_errors *errors);
void cow_config_container_finish(struct cow_config_container *container);

#endif
