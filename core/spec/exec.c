/* SPDX-License-Identifier: MIT */
#include "spec/create.h"
#include "spec/options.h"
#include "spec/values.h"

#include "base/cleanup.h"
#include "base/strbuf.h"

#include <errno.h>
#include <string.h>

static const char *const exec_keys[] = {
	"container", "args",	   "process", "env",   "cwd", "user", "terminal",
	"detach",    "privileged", "height",  "width", "fds", NULL,
};

/*
 * What an exec starts from: the process given, or the environment and directory of the container's.
 * The rest (limits, capabilities, ...) the backend takes from the container.
 */
static int base_process(const struct cow_json *params, struct json_object *spec,
			struct json_object **ret, struct cow_error *err)
{
	static const char *const inherited[] = { "env", "cwd", "user" };
	struct json_object *process = NULL, *own = json_object_object_get(spec, "process");
	struct cow_json given, args;
	int r = 0;

	if (cow_json_member(params, "process", &given)) {
		r = cow_json_is_object(&given, err);
		if (r == 0 && json_object_deep_copy(given.value, &process, NULL) < 0)
			r = cow_error_errno(err, -ENOMEM, "exec");
		*ret = process;
		return r;
	}
	if (!cow_json_member(params, "args", &args)) {
		args = (struct cow_json){ .parent = params, .key = "args" };
		return cow_json_fail(&args, err, -EINVAL, "missing");
	}
	process = json_object_new_object();
	for (size_t i = 0; r == 0 && i < COW_ELEMENTS(inherited); i++) {
		struct json_object *value = json_object_object_get(own, inherited[i]), *copy = NULL;

		if (value && json_object_deep_copy(value, &copy, NULL) < 0)
			r = -ENOMEM;
		else if (value)
			r = cow_json_put(process, inherited[i], copy);
	}
	if (r < 0 || !process) {
		json_object_put(process);
		return cow_error_errno(err, -ENOMEM, "exec");
	}
	*ret = process;
	return 0;
}

/* Another user's HOME, unless the caller set one. */
static int set_home(struct json_object *process, const struct cow_spec_options *o,
		    const char *rootfs, struct cow_error *err)
{
	_cleanup_free_ char *entry = NULL;
	struct cow_user user = { 0 };
	int r;

	for (size_t i = 0; o->env && o->env[i]; i++)
		if (strncmp(o->env[i], "HOME=", 5) == 0)
			return 0;
	if (!o->user)
		return 0;
	r = cow_user_resolve(rootfs, o->user, &user, err);
	if (r < 0)
		return r;
	entry = cow_asprintf("HOME=%s", user.home && *user.home ? user.home : "/");
	cow_user_finish(&user);
	r = entry ? cow_spec_env_set(cow_json_want_array(process, "env"), entry) : -ENOMEM;
	return r < 0 ? cow_error_errno(err, r, "env") : 0;
}

int cow_create_exec_process(const struct cow_json *params, struct json_object *spec,
			    const char *rootfs, struct json_object **ret, struct cow_error *err)
{
	struct json_object *process = NULL;
	struct cow_spec_options *o = NULL;
	int r = cow_json_known(params, exec_keys, err);

	if (r == 0)
		r = cow_spec_options_parse_process(params, &o, err);
	if (r == 0)
		r = base_process(params, spec, &process, err);
	if (r == 0)
		r = cow_spec_overlay_process(process, o, rootfs, err);
	if (r == 0)
		r = set_home(process, o, rootfs, err);
	cow_spec_options_destroy(o);
	if (r < 0)
		json_object_put(process);
	else
		*ret = process;
	return r;
}
