/* SPDX-License-Identifier: MIT */
/*
 * cowherd.json and the files of conf.d beside it, read and judged as one.  Loading takes nothing
 * from the machine and looks at no root file system; all mistakes are collected, each as a line
 * "FILE:LINE: /json/pointer: cause".
 */
#ifndef COW_SPEC_CONFIG_H
#define COW_SPEC_CONFIG_H

#include "base/log.h"
#include "base/strbuf.h"
#include "spec/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COW_CONFIG_DEFAULT "/etc/cowherd/cowherd.json"
#define COW_CONFIG_MAX (16u << 20) /* bytes of one file */
#define COW_CONFIG_LABEL \
	"cowherd.config" /* of containers that the configuration made: its fingerprint */

struct cow_config_errors {
	struct cow_strbuf text; /* lines, each with its newline; the first 100 */
	unsigned count;
};

/* Add a line.  NULL errors: drop it. */
void cow_config_complain(struct cow_config_errors *errors, const char *line);
void cow_config_errors_finish(struct cow_config_errors *errors);

struct cow_config_file {
	char *path, *text;
	size_t len;
	struct json_object *value;
};

enum cow_condition { COW_CONDITION_STARTED, COW_CONDITION_HEALTHY, COW_CONDITION_COMPLETED };

struct cow_config_dependency {
	char *name;
	enum cow_condition condition;
	size_t index; /* of the container in the configuration */
};

struct cow_config_container {
	char *name;
	const struct cow_config_file *file;
	struct json_object *params; /* of container.create: name and label set, paths absolute */
	char *fingerprint;          /* changes whenever params or the bundle's config.json do */
	struct cow_config_dependency *dependencies;
	size_t dependency_count;
};

struct cow_config_plugin {
	char *name, *json;
	const struct cow_config_file *file;
};

struct cow_config {
	struct cow_config_file *files;
	size_t file_count;
	/* Settings; NULL: not said. */
	char *root, *state, *host, *owner, *plugins_dir;
	int log_level; /* enum cow_log_level, or -1 */
	int log_json;  /* -1: not said */
	uint32_t emulate_build; /* of Windows; 0: not said */
	/* In an order in which every container comes after those it depends on. */
	struct cow_config_container *containers;
	size_t container_count;
	struct cow_config_plugin *plugins;
	size_t plugin_count;
};

/*
 * path NULL: the default one, which need not exist.  *ret is to be freed by cow_config_destroy().
 * -EINVAL (and the like): errors, never empty then, says what is wrong.
 */
int cow_config_load(const char *path, struct cow_config **ret, struct cow_config_errors *errors);
void cow_config_destroy(struct cow_config *config); /* NULL is fine */

/* The container's index; container_count: none of that name. */
size_t cow_config_find(const struct cow_config *config, const char *name);
/* "FILE:LINE: POINTER: cause" for something in a file. */
void cow_config_complain_at(struct cow_config_errors *errors, const struct cow_config_file *file,
			    const char *pointer, const char *cause);

#endif
