/* SPDX-License-Identifier: MIT */
/* /hooks and /annotations */
#include "compile.h"

#include <errno.h>
#include <string.h>

static const char *const hook_keys[LAUNCH_HOOK_COUNT] = {
	[LAUNCH_HOOK_PRESTART] = "prestart",
	[LAUNCH_HOOK_CREATE_RUNTIME] = "createRuntime",
	[LAUNCH_HOOK_CREATE_CONTAINER] = "createContainer",
	[LAUNCH_HOOK_START_CONTAINER] = "startContainer",
	[LAUNCH_HOOK_POSTSTART] = "poststart",
	[LAUNCH_HOOK_POSTSTOP] = "poststop",
};

static void hook_compile(struct compile *c, const struct node *at, struct launch_hook *hook)
{
	const char *path = node_text_required(c, at, "path");
	int64_t timeout = 0;

	if (path && *path != '/')
		compile_fail(c, at, "path", -EINVAL, "%s is not absolute", path);
	hook->path = build_str(c, path);
	node_strings(c, at, "args", &hook->args);
	if (!hook->args.n)
		hook->args = build_copy(c, &hook->path, 1, sizeof(hook->path));
	node_strings(c, at, "env", &hook->env);
	if (node_int(c, at, "timeout", 1, INT32_MAX, &timeout))
		hook->timeout_s = (uint32_t)timeout;
}

static struct launch_vec hooks_of_point(struct compile *c, const struct node *hooks,
					const char *key)
{
	struct launch_vec vec = { 0, 0 };
	struct node array, element;

	if (!node_array(c, hooks, key, &array))
		return vec;
	vec = build_vec(c, node_length(&array), sizeof(struct launch_hook));
	for (size_t i = 0; i < vec.n && node_row(c, &array, i, &element); i++) {
		struct launch_hook hook = { 0 };

		hook_compile(c, &element, &hook);
		build_put(c, vec, i, &hook, sizeof(hook));
	}
	return vec;
}

static void compile_annotations(struct compile *c, const struct node *root)
{
	struct node section;
	struct rows rows = { 0 };
	launch_str pair[2];
	const char *text;

	if (!node_object(c, root, "annotations", &section))
		return;
	json_object_object_foreach(section.value, key, value) {
		(void)value;
		text = node_text(c, &section, key);
		if (!text)
			compile_fail(c, &section, key, -EINVAL, "not a string");
		if (!*key)
			compile_fail(c, &section, key, -EINVAL, "an empty key");
		pair[0] = build_str(c, key);
		pair[1] = build_str(c, text);
		rows_add(c, &rows, pair, sizeof(pair));
	}
	c->plan.annotations = rows_take(c, &rows, sizeof(pair));
	c->plan.annotations.n *= 2;
}

void compile_hooks(struct compile *c, const struct node *root)
{
	struct node hooks;

	if (node_object(c, root, "hooks", &hooks))
		for (unsigned i = 0; i < LAUNCH_HOOK_COUNT; i++)
			c->plan.hooks[i] = hooks_of_point(c, &hooks, hook_keys[i]);
	compile_annotations(c, root);
}
