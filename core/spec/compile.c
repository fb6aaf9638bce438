/* SPDX-License-Identifier: MIT */
/* From create parameters to the final OCI spec. */
#include "spec/create.h"
#include "spec/options.h"
#include "spec/values.h"

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/strbuf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum shape { OBJECT, STRINGS, OBJECTS };

static int check_shape(const struct cow_json *at, const char *key, enum shape shape,
		       struct cow_error *err)
{
	struct cow_json child, element;
	int r;

	if (!cow_json_member(at, key, &child))
		return 0;
	if (shape == OBJECT)
		return cow_json_is_object(&child, err);
	r = cow_json_is_array(&child, err);
	for (size_t i = 0; r == 0 && cow_json_element(&child, i, &element); i++) {
		if (shape == OBJECTS)
			r = cow_json_is_object(&element, err);
		else if (!json_object_is_type(element.value, json_type_string))
			r = cow_json_fail(&element, err, -EINVAL, "not a string");
	}
	return r;
}

static int check_process(const struct cow_json *root, struct cow_error *err)
{
	static const char *const sets[] = { "bounding", "effective", "permitted", "inheritable",
					    "ambient" };
	struct cow_json process, caps;
	int r = check_shape(root, "process", OBJECT, err);

	if (r < 0 || !cow_json_member(root, "process", &process))
		return r;
	r = check_shape(&process, "env", STRINGS, err);
	if (r == 0)
		r = check_shape(&process, "consoleSize", OBJECT, err);
	if (r == 0)
		r = check_shape(&process, "capabilities", OBJECT, err);
	if (r < 0 || !cow_json_member(&process, "capabilities", &caps))
		return r;
	for (size_t i = 0; r == 0 && i < COW_ELEMENTS(sets); i++)
		r = check_shape(&caps, sets[i], STRINGS, err);
	return r;
}

static int check_linux(const struct cow_json *root, struct cow_error *err)
{
	static const char *const groups[] = { "memory", "cpu", "pids" };
	struct cow_json linux_, resources;
	int r = check_shape(root, "linux", OBJECT, err);

	if (r < 0 || !cow_json_member(root, "linux", &linux_))
		return r;
	r = check_shape(&linux_, "namespaces", OBJECTS, err);
	if (r == 0)
		r = check_shape(&linux_, "resources", OBJECT, err);
	if (r < 0 || !cow_json_member(&linux_, "resources", &resources))
		return r;
	for (size_t i = 0; r == 0 && i < COW_ELEMENTS(groups); i++)
		r = check_shape(&resources, groups[i], OBJECT, err);
	return r;
}

/* Only what the overlay walks through: the whole is the launcher's to judge. */
static int check_spec(const struct cow_json *root, struct cow_error *err)
{
	struct cow_json mounts, mount;
	int r = cow_json_is_object(root, err);

	if (r == 0)
		r = check_process(root, err);
	if (r == 0)
		r = check_linux(root, err);
	if (r == 0)
		r = check_shape(root, "root", OBJECT, err);
	if (r == 0)
		r = check_shape(root, "annotations", OBJECT, err);
	if (r == 0)
		r = check_shape(root, "mounts", OBJECTS, err);
	if (r < 0 || !cow_json_member(root, "mounts", &mounts))
		return r;
	for (size_t i = 0; r == 0 && cow_json_element(&mounts, i, &mount); i++)
		r = check_shape(&mount, "options", STRINGS, err);
	return r;
}

/* config.json, and what it is called in messages. */
struct config {
	char *path, *text;
	size_t len;
};

static void config_finish(struct config *config)
{
	free(config->path);
	free(config->text);
}

static int config_read(const char *bundle, struct config *ret, struct cow_error *err)
{
	_cleanup_free_ char *path = cow_fs_join(bundle, "config.json");
	struct stat st;
	int r = path ? 0 : -ENOMEM;

	/* Opening a FIFO would wait for its writer. */
	if (r == 0 && (stat(path, &st) < 0 || !S_ISREG(st.st_mode)))
		r = -ENOENT;
	if (r == 0)
		r = cow_fs_read(path, COW_SPEC_MAX, &ret->text, &ret->len);
	if (r == -ENOENT)
		return cow_error_set(err, r, "%s: JSON specification file config.json not found",
				     bundle);
	if (r < 0)
		return cow_error_errno(err, r, "%s: config.json", bundle);
	ret->path = cow_take_ptr(path);
	return 0;
}

static int config_parse(const struct config *c, struct json_object **ret, struct cow_error *err)
{
	struct json_object *spec = NULL;
	struct cow_json root;
	int r = cow_json_parse(c->path, c->text, c->len, &spec, err);

	if (r < 0)
		return r;
	root = (struct cow_json){
		.value = spec, .name = c->path, .text = c->text, .text_len = c->len
	};
	r = check_spec(&root, err);
	if (r < 0)
		json_object_put(spec);
	else
		*ret = spec;
	return r;
}

static int read_bundle(const char *bundle, struct json_object **ret, struct cow_error *err)
{
	_cleanup_(config_finish) struct config config = { 0 };
	int r = config_read(bundle, &config, err);

	return r < 0 ? r : config_parse(&config, ret, err);
}

static int take_spec(struct cow_create *c, struct json_object **ret, struct cow_error *err)
{
	struct cow_json root = { .value = c->options->spec, .name = "spec" }, where;
	const char *path = "/";
	int r = check_spec(&root, err);

	if (r == 0 && cow_json_member(&root, "root", &where))
		r = cow_json_get_string(&where, "path", &path, err);
	if (r == 0 && *path != '/') {
		struct cow_json at = { .parent = &where, .key = "path" };

		r = cow_json_fail(&at, err, -EINVAL,
				  "not an absolute path, and there is no bundle");
	}
	if (r == 0)
		*ret = cow_take_ptr(c->options->spec);
	return r;
}

static void default_hostname(const struct cow_create *c, char ret[65])
{
	(void)snprintf(ret, 65, "%.*s", strcmp(c->name, c->id) == 0 ? 12 : 64, c->name);
}

/* Where the root will be is the allocator's to say: nothing of it is there yet. */
static int make_image_spec(struct cow_create *c, struct json_object **ret, struct cow_error *err)
{
	const char *named = c->options->hostname;
	struct json_object *spec, *process;
	char hostname[65];
	int r;

	default_hostname(c, hostname);
	spec = cow_spec_default("rootfs", hostname, c->options->privileged);
	if (!spec)
		return cow_error_errno(err, -ENOMEM, "spec");
	/* As docker: a program of the image may be set-user-id. */
	process = json_object_object_get(spec, "process");
	json_object_object_del(process, "noNewPrivileges");
	r = cow_image_apply(spec, c->resolved, c->options, named ? named : hostname, err);
	if (r < 0)
		json_object_put(spec);
	else
		*ret = spec;
	return r;
}

static int make_spec(const struct cow_create *c, struct json_object **ret, struct cow_error *err)
{
	char hostname[65];
	struct stat st;

	if (stat(c->rootfs, &st) < 0)
		return cow_error_errno(err, -errno, "rootfs %s", c->rootfs);
	if (!S_ISDIR(st.st_mode))
		return cow_error_errno(err, -ENOTDIR, "rootfs %s", c->rootfs);
	default_hostname(c, hostname);
	*ret = cow_spec_default(c->rootfs, hostname, c->options->privileged);
	return *ret ? 0 : cow_error_errno(err, -ENOMEM, "spec");
}

/*
 * The root file system's absolute path, to be freed; where the spec has none, "/" has no users but
 * root.
 */
static char *root_path(const struct cow_create *c, struct json_object *spec)
{
	struct json_object *root = json_object_object_get(spec, "root"), *path;
	const char *text;

	path = json_object_object_get(root, "path");
	text = path ? json_object_get_string(path) : "/";
	return cow_fs_join(c->bundle ? c->bundle : "/", text);
}

/* HOME as login would set it, where nobody said otherwise. */
static int add_home(struct json_object *process, const char *rootfs, struct cow_error *err)
{
	struct json_object *env = cow_json_want_array(process, "env"), *uid;
	_cleanup_free_ char *entry = NULL;
	struct cow_user user = { 0 };
	int r;

	if (cow_spec_env_has(env, "HOME"))
		return 0;
	uid = json_object_object_get(json_object_object_get(process, "user"), "uid");
	r = cow_user_resolve(rootfs, uid ? json_object_get_string(uid) : "0", &user, err);
	if (r < 0)
		return r;
	entry = cow_asprintf("HOME=%s", user.home && *user.home ? user.home : "/");
	cow_user_finish(&user);
	r = entry && env ? cow_json_append(env, json_object_new_string(entry)) : -ENOMEM;
	return r < 0 ? cow_error_errno(err, r, "env") : 0;
}

static int finish_process(struct cow_create *c, struct json_object *spec, const char *rootfs,
			  struct cow_error *err)
{
	struct json_object *process = json_object_object_get(spec, "process"), *env;
	int r = 0;

	c->terminal = json_object_get_boolean(json_object_object_get(process, "terminal"));
	if (c->rootfs)
		r = add_home(process, rootfs, err);
	if (r < 0 || !(c->rootfs || c->from_image) || !c->terminal)
		return r;
	env = cow_json_want_array(process, "env");
	if (cow_spec_env_has(env, "TERM"))
		return 0;
	r = cow_json_append(env, json_object_new_string("TERM=xterm"));
	return r < 0 ? cow_error_errno(err, r, "env") : 0;
}

int cow_create_settle_user(struct json_object *process, const char *rootfs, struct cow_error *err)
{
	struct json_object *user = json_object_object_get(process, "user");
	struct json_object *name = json_object_object_get(user, "username");
	const char *text = name ? json_object_get_string(name) : "0";
	struct cow_user resolved = { 0 };
	int r = cow_user_resolve(rootfs, text, &resolved, err);

	if (r < 0)
		return r;
	r = cow_json_put(process, "user", cow_user_json(&resolved));
	cow_user_finish(&resolved);
	return r < 0 ? cow_error_errno(err, r, "user") : add_home(process, rootfs, err);
}

/* Takes spec, also on failure. */
static int compile_overlay(struct cow_create *c, struct json_object *spec, struct cow_error *err)
{
	_cleanup_free_ char *rootfs = root_path(c, spec);
	int r = rootfs ? cow_spec_overlay(spec, c->options, rootfs, err)
		       : cow_error_errno(err, -ENOMEM, "spec");

	if (r == 0)
		r = cow_tuning_overlay(spec, &c->options->tuning, rootfs, c->id, err);
	if (r == 0)
		r = finish_process(c, spec, rootfs, err);
	if (r < 0) {
		json_object_put(spec);
		return r;
	}
	json_object_put(c->spec);
	c->spec = spec;
	return 0;
}

int cow_create_compile(struct cow_create *c, struct cow_error *err)
{
	struct json_object *spec = NULL;
	int r;

	if (c->from_image)
		r = c->resolved ? make_image_spec(c, &spec, err)
				: cow_error_set(err, -ENOENT, "image %s: not resolved", c->image);
	else if (c->bundle)
		r = read_bundle(c->bundle, &spec, err);
	else if (c->rootfs)
		r = make_spec(c, &spec, err);
	else
		r = take_spec(c, &spec, err);
	return r < 0 ? r : compile_overlay(c, spec, err);
}

#define KEPT_MAX (64u << 10) /* bytes of a config.json that is kept */

static void kept_drop(struct cow_spec_kept *e)
{
	free(e->config);
	free(e->text);
	json_object_put(e->spec);
	*e = (struct cow_spec_kept){ 0 };
}

void cow_specs_kept_finish(struct cow_specs_kept *kept)
{
	for (size_t i = 0; i < COW_SPECS_KEPT; i++)
		kept_drop(&kept->entry[i]);
}

static void kept_to_front(struct cow_specs_kept *kept, size_t i)
{
	struct cow_spec_kept e = kept->entry[i];

	memmove(kept->entry + 1, kept->entry, i * sizeof(e));
	kept->entry[0] = e;
}

static bool kept_find(struct cow_specs_kept *kept, const struct config *config)
{
	for (size_t i = 0; i < COW_SPECS_KEPT; i++) {
		const struct cow_spec_kept *e = &kept->entry[i];

		if (!e->config || e->len != config->len ||
		    memcmp(e->config, config->text, e->len) != 0)
			continue;
		kept_to_front(kept, i);
		return true;
	}
	return false;
}

/* Where there is no memory for it, it is not kept. */
static void kept_add(struct cow_specs_kept *kept, struct config *config, const struct cow_create *c)
{
	struct cow_spec_kept *last = &kept->entry[COW_SPECS_KEPT - 1];
	char *text = config->len <= KEPT_MAX ? strdup(c->spec_text) : NULL;

	if (!text)
		return;
	kept_drop(last);
	*last = (struct cow_spec_kept){ .config = cow_take_ptr(config->text),
					.len = config->len,
					.text = text,
					.spec = json_object_get(c->spec) };
	kept_to_front(kept, COW_SPECS_KEPT - 1);
}

static int compile_config(struct cow_create *c, const struct config *config, struct cow_error *err)
{
	struct json_object *spec = NULL;
	const char *text;
	int r = config_parse(config, &spec, err);

	if (r == 0)
		r = compile_overlay(c, spec, err);
	if (r < 0)
		return r;
	text = json_object_to_json_string_ext(c->spec, JSON_C_TO_STRING_PLAIN |
						       JSON_C_TO_STRING_NOSLASHESCAPE);
	c->spec_text = text ? strdup(text) : NULL;
	return c->spec_text ? 0 : cow_error_errno(err, -ENOMEM, "spec");
}

int cow_create_compile_kept(struct cow_create *c, struct cow_specs_kept *kept,
			    struct cow_error *err)
{
	_cleanup_(config_finish) struct config config = { 0 };
	int r;

	if (!c->as_bundle)
		return cow_create_compile(c, err);
	r = config_read(c->bundle, &config, err);
	if (r < 0)
		return r;
	if (!kept_find(kept, &config)) {
		r = compile_config(c, &config, err);
		if (r == 0)
			kept_add(kept, &config, c);
		return r;
	}
	c->spec_text = strdup(kept->entry[0].text);
	if (!c->spec_text)
		return cow_error_errno(err, -ENOMEM, "spec");
	c->spec = json_object_get(kept->entry[0].spec);
	return finish_process(c, c->spec, "/", err); /* says whether there is a terminal, no more */
}
