/* SPDX-License-Identifier: MIT */
/* The container's state as the OCI runtime specification has it: what hooks read. */
#include "parent.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

static int state_annotations(struct json_object *root, const struct launch_plan *plan)
{
	struct json_object *map = json_object_new_object();

	if (!map)
		return -1;
	for (uint32_t i = 0; i + 1 < plan->annotations.n; i += 2) {
		launch_str key = *launch_at(plan, plan->annotations, launch_str, i);
		launch_str value = *launch_at(plan, plan->annotations, launch_str, i + 1);

		json_object_object_add(map, launch_text(plan, key),
				       json_object_new_string(launch_text(plan, value)));
	}
	return json_object_object_add(root, "annotations", map);
}

char *parent_state(const struct launch_plan *plan, const struct launch_run_options *options,
		   pid_t pid, const char *status)
{
	struct json_object *root = json_object_new_object();
	char *text = NULL;

	if (!root)
		return NULL;
	json_object_object_add(root, "ociVersion", json_object_new_string("1.1.0"));
	json_object_object_add(root, "id", json_object_new_string(options->id ? options->id : ""));
	json_object_object_add(root, "status", json_object_new_string(status));
	if (pid > 0)
		json_object_object_add(root, "pid", json_object_new_int(pid));
	json_object_object_add(root, "bundle",
			       json_object_new_string(options->bundle ? options->bundle : ""));
	if (plan->annotations.n == 0 || state_annotations(root, plan) == 0)
		text = strdup(json_object_to_json_string_ext(
			root, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(root);
	return text;
}
