/* SPDX-License-Identifier: MIT */
/* Loading a configuration, with what only plugins can judge. */
#ifndef COW_CLI_SUPERVISE_CONFIG_H
#define COW_CLI_SUPERVISE_CONFIG_H

#include "host/host.h"
#include "spec/config.h"

/* Each plugin's section, judged by the plugin; false where one is wrong or unknown. */
bool cow_config_check_plugins(const struct cow_config *config, struct cow_host *host,
			      struct cow_config_errors *errors);
/*
 * Give the sections to their plugins; old (may be NULL): what is the same there is not given again.
 */
int cow_config_apply_plugins(const struct cow_config *config, const struct cow_config *old,
			     struct cow_host *host, struct cow_config_errors *errors);
/* Each container's spec, made as a create would make it, and a backend that would run it. */
bool cow_config_check_containers(const struct cow_config *config, struct cow_host *host,
				 struct cow_config_errors *errors);

#endif
