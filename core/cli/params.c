/* SPDX-License-Identifier: MIT */
#include "cli/params.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "cli/client.h"
#include "cli/params_spec.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#define ENV_FILE_MAX (1u << 20)

static void list_item(struct cow_strbuf *b, const char *value)
{
	if (b->len && b->data[b->len - 1] != '[')
		cow_strbuf_add(b, ",");
	cow_strbuf_json(b, value);
}

/* "NAME=VALUE", or "NAME" whose value is one's own; one that is not set is not passed on. */
static int add_env(struct cow_strbuf *b, const char *text, const char *where, struct cow_error *err)
{
	_cleanup_free_ char *both = NULL;
	const char *own;

	if (*text == '=' || !*text)
		return cow_error_set(err, -EINVAL, "%s: \"%s\" has no name", where, text);
	if (strchr(text, '=')) {
		list_item(b, text);
		return 0;
	}
	own = getenv(text);
	if (!own)
		return 0;
	both = cow_asprintf("%s=%s", text, own);
	if (!both)
		return cow_error_errno(err, -ENOMEM, "%s", where);
	list_item(b, both);
	return 0;
}

static int add_env_file(struct cow_strbuf *b, const char *path, struct cow_error *err)
{
	_cleanup_free_ char *text = NULL;
	char *rest, *line;
	int r = cow_fs_read(path, ENV_FILE_MAX, &text, NULL);

	if (r)
		return cow_error_errno(err, r, "%s", path);
	for (rest = text; !r && (line = strsep(&rest, "\n"));) {
		size_t len = strlen(line);

		if (len && line[len - 1] == '\r')
			line[len - 1] = '\0';
		while (isspace((unsigned char)*line))
			line++;
		if (*line && *line != '#')
			r = add_env(b, line, path, err);
	}
	return r;
}

/* Files first, as docker has it: what stands on the command line wins. */
static int environment(const struct cow_args *a, struct cow_strbuf *b, struct cow_error *err)
{
	const char *v;
	int r = 0;

	if (!cow_args_has(a, "env") && !cow_args_has(a, "env-file"))
		return 0;
	cow_params_key(b, "env");
	cow_strbuf_add(b, "[");
	for (size_t i = 0; !r && (v = cow_args_nth(a, "env-file", i)); i++)
		r = add_env_file(b, v, err);
	for (size_t i = 0; !r && (v = cow_args_nth(a, "env", i)); i++)
		r = add_env(b, v, "--env", err);
	cow_strbuf_add(b, "]");
	return r;
}

static void terminal(const struct cow_args *a, const struct cow_params_place *place,
		     struct cow_strbuf *b)
{
	if (!cow_args_flag(a, "tty", false))
		return;
	cow_params_bool(b, "terminal", true);
	if (place->height && place->width) {
		cow_params_int(b, "height", place->height);
		cow_params_int(b, "width", place->width);
	}
}

static void strings(const struct cow_args *a, const char *option, const char *key,
		    struct cow_strbuf *b)
{
	const char *v;

	if (!cow_args_has(a, option))
		return;
	cow_params_key(b, key);
	cow_strbuf_add(b, "[");
	for (size_t i = 0; (v = cow_args_nth(a, option, i)); i++)
		list_item(b, v);
	cow_strbuf_add(b, "]");
}

/* NAME=VALUE options as an object; the last one of a name counts. */
static int pairs(const struct cow_args *a, const char *option, const char *key,
		 struct cow_strbuf *b, struct cow_error *err)
{
	struct json_object *o;
	const char *v;
	int r = 0;

	if (!cow_args_has(a, option))
		return 0;
	o = json_object_new_object();
	if (!o)
		r = -ENOMEM;
	for (size_t i = 0; !r && (v = cow_args_nth(a, option, i)); i++) {
		const char *equals = strchrnul(v, '=');
		_cleanup_free_ char *name = strndup(v, (size_t)(equals - v));
		struct json_object *value = json_object_new_string(*equals ? equals + 1 : "");

		if (name && !*name)
			r = -EINVAL;
		else if (!name || !value || json_object_object_add(o, name, value))
			r = -ENOMEM;
		if (r)
			json_object_put(value);
	}
	cow_params_key(b, key);
	cow_strbuf_add(b, json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
	json_object_put(o);
	if (r == -EINVAL)
		return cow_error_set(err, r, "--%s: a name is missing", option);
	return r ? cow_error_errno(err, r, "--%s", option) : 0;
}

static int add_path(struct cow_strbuf *b, const char *key, const char *cwd, const char *path,
		    struct cow_error *err)
{
	_cleanup_free_ char *absolute = cow_fs_absolute(cwd, path);

	if (!absolute)
		return cow_error_errno(err, -ENOMEM, "%s", path);
	cow_params_string(b, key, absolute);
	return 0;
}

/* What stands behind the second colon: "ro", "rw", or mount options. */
static void volume_options(struct cow_strbuf *b, char *rest)
{
	struct cow_strbuf more = COW_STRBUF_INIT;
	bool read_only = false;
	char *word;

	while ((word = strsep(&rest, ","))) {
		if (!strcmp(word, "ro"))
			read_only = true;
		else if (*word && strcmp(word, "rw") && strcasecmp(word, "z"))
			list_item(&more, word);
	}
	cow_params_bool(b, "read_only", read_only);
	if (more.len) {
		cow_params_key(b, "options");
		cow_strbuf_addf(b, "[\"rbind\",%s]", more.data);
	}
	if (more.error)
		b->error = more.error;
	cow_strbuf_finish(&more);
}

/* "SRC:DST", "SRC:DST:ro", "SRC:DST:ro,nosuid" */
static int volume(struct cow_strbuf *b, const char *cwd, const char *text, struct cow_error *err)
{
	_cleanup_free_ char *copy = strdup(text);
	char *rest = copy, *from, *target;
	int r;

	if (!copy)
		return cow_error_errno(err, -ENOMEM, "--volume");
	from = strsep(&rest, ":");
	target = strsep(&rest, ":");
	if (!*from || !target || *target != '/')
		return cow_error_set(err, -EINVAL, "--volume: \"%s\" is not SOURCE:/TARGET[:ro]",
				     text);
	cow_strbuf_add(b, "{");
	r = add_path(b, "source", cwd, from, err);
	cow_params_string(b, "target", target);
	volume_options(b, rest);
	cow_strbuf_add(b, "}");
	return r;
}

static int volumes(const struct cow_args *a, const char *cwd, struct cow_strbuf *b,
		   struct cow_error *err)
{
	const char *v;
	int r = 0;

	if (!cow_args_has(a, "volume") && !cow_args_has(a, "mount") && !cow_args_has(a, "tmpfs") &&
	    !cow_args_has(a, "shm-size"))
		return 0;
	cow_params_key(b, "mounts");
	cow_strbuf_add(b, "[");
	for (size_t i = 0; !r && (v = cow_args_nth(a, "volume", i)); i++) {
		cow_strbuf_add(b, i ? "," : "");
		r = volume(b, cwd, v, err);
	}
	r = r ?: cow_params_mounts(a, cwd, b, err);
	cow_strbuf_add(b, "]");
	return r;
}

static void seconds(const struct cow_args *a, const char *option, const char *key,
		    struct cow_strbuf *b)
{
	if (!cow_args_has(a, option))
		return;
	cow_params_key(b, key);
	cow_strbuf_addf(b, "%.3f", (double)cow_args_int(a, option, 0) / 1000.0);
}

static int health(const struct cow_args *a, bool image, struct cow_strbuf *b, struct cow_error *err)
{
	static const char *const more[] = { "health-interval", "health-timeout", "health-retries",
					    "health-start-period" };
	const char *test = cow_args_string(a, "health-cmd");
	bool off = cow_args_flag(a, "no-healthcheck", false), any = test || off;

	for (size_t i = 0; i < COW_ELEMENTS(more); i++) {
		if (!cow_args_has(a, more[i]))
			continue;
		if (!test && !image)
			return cow_error_set(err, -EINVAL, "--%s needs --health-cmd", more[i]);
		any = true;
	}
	if (!any)
		return 0;
	cow_params_key(b, "health");
	cow_strbuf_add(b, "{");
	cow_params_bool(b, "disable", off);
	cow_params_string(b, "test", test);
	seconds(a, "health-interval", "interval_s", b);
	seconds(a, "health-timeout", "timeout_s", b);
	seconds(a, "health-start-period", "start_period_s", b);
	if (cow_args_has(a, "health-retries"))
		cow_params_int(b, "retries", cow_args_int(a, "health-retries", 0));
	cow_strbuf_add(b, "}");
	return 0;
}

static bool is_image(const struct cow_args *a)
{
	return !cow_args_has(a, "bundle") && !cow_args_has(a, "rootfs");
}

/* Its entrypoint and command are put together by those who know the image's. */
static int image(const struct cow_args *a, struct cow_strbuf *b, struct cow_error *err)
{
	const char *entrypoint = cow_args_string(a, "entrypoint");

	if (!a->argc)
		return cow_error_set(
			err, -EINVAL,
			"what is to run? --bundle DIR, --rootfs DIR or an IMAGE is needed");
	cow_params_string(b, "image", a->argv[0]);
	if (entrypoint) {
		cow_params_key(b, "entrypoint");
		cow_strbuf_json(b, entrypoint);
	}
	cow_params_string(b, "platform", cow_args_string(a, "platform"));
	cow_params_string(b, "pull", cow_args_string(a, "pull"));
	if (a->argc > 1)
		cow_params_strings(b, "args", a->argc - 1, a->argv + 1);
	return pairs(a, "storage-opt", "storage_opt", b, err);
}

/* Bundle, directory or image; then the command line. */
static int source(const struct cow_args *a, const char *cwd, struct cow_strbuf *b,
		  struct cow_error *err)
{
	const char *bundle = cow_args_string(a, "bundle"), *rootfs = cow_args_string(a, "rootfs");
	const char *entrypoint = cow_args_string(a, "entrypoint");
	int word = 0, r = 0;

	if (is_image(a))
		return image(a, b, err);
	if (bundle && rootfs)
		return cow_error_set(err, -EINVAL, "--bundle and --rootfs exclude each other");
	r = bundle ? add_path(b, "bundle", cwd, bundle, err) :
		     add_path(b, "rootfs", cwd, rootfs, err);
	if (r || (word >= a->argc && !entrypoint))
		return r;
	cow_params_key(b, "args");
	cow_strbuf_add(b, "[");
	if (entrypoint && *entrypoint)
		list_item(b, entrypoint);
	for (; word < a->argc; word++)
		list_item(b, a->argv[word]);
	cow_strbuf_add(b, "]");
	return 0;
}

static const struct {
	const char *option, *key;
} texts[] = {
	{ "name", "name" },	      { "hostname", "hostname" },       { "workdir", "cwd" },
	{ "user", "user" },	      { "restart", "restart" },	        { "stop-signal", "stop_signal" },
	{ "domainname", "domainname" },
	{ "ip", "ip" },		      { "ip6", "ip6" },		        { "mac-address", "mac_address" },
	{ "isolation", "isolation" }, { "hosting-system", "hosting_system" }, { "backend", "backend" },
}, flags[] = {
	{ "rm", "auto_remove" },      { "interactive", "open_stdin" },  { "read-only", "read_only" },
	{ "publish-all", "publish_all" },
	{ "privileged", "privileged" }, { "keep-on-failure", "keep_on_failure" },
};

/* One is told as "network": it may be a mode; several are all networks. */
static void networks(const struct cow_args *a, struct cow_strbuf *b)
{
	static const char *const lists[][2] = {
		{ "publish", "ports" },	      { "network-alias", "network_alias" },
		{ "dns", "dns" },	      { "dns-search", "dns_search" },
		{ "dns-option", "dns_option" }, { "add-host", "add_host" },
	};
	const char *option = cow_args_has(a, "network") ? "network" : "net";

	if (cow_args_nth(a, option, 1))
		strings(a, option, "networks", b);
	else
		cow_params_string(b, "network", cow_args_nth(a, option, 0));
	for (size_t i = 0; i < COW_ELEMENTS(lists); i++)
		strings(a, lists[i][0], lists[i][1], b);
}

static void limits(const struct cow_args *a, struct cow_strbuf *b)
{
	int64_t pids = cow_args_int(a, "pids-limit", -1);

	if (cow_args_has(a, "memory"))
		cow_params_int(b, "memory", cow_args_int(a, "memory", 0));
	if (cow_args_has(a, "cpus")) {
		cow_params_key(b, "cpus");
		cow_strbuf_addf(b, "%.6g", cow_args_decimal(a, "cpus", 0));
	}
	if (pids >= 0)
		cow_params_int(b, "pids", pids);
}

int cow_params_create(const struct cow_args *a, const struct cow_params_place *place,
		      struct cow_strbuf *b, struct cow_error *err)
{
	int r;

	cow_strbuf_add(b, "{");
	for (size_t i = 0; i < COW_ELEMENTS(texts); i++)
		cow_params_string(b, texts[i].key, cow_args_string(a, texts[i].option));
	for (size_t i = 0; i < COW_ELEMENTS(flags); i++)
		cow_params_bool(b, flags[i].key, cow_args_flag(a, flags[i].option, false));
	if (!cow_args_flag(a, "init", true)) {
		cow_params_key(b, "init");
		cow_strbuf_add(b, "false");
	}
	if (cow_args_has(a, "stop-timeout"))
		cow_params_int(b, "stop_timeout_s", cow_args_int(a, "stop-timeout", 0));
	limits(a, b);
	networks(a, b);
	strings(a, "cap-add", "cap_add", b);
	strings(a, "cap-drop", "cap_drop", b);
	terminal(a, place, b);
	r = source(a, place->cwd, b, err) ?: environment(a, b, err) ?: pairs(a, "label", "labels", b, err)
		?: pairs(a, "annotation", "annotations", b, err) ?: volumes(a, place->cwd, b, err)
		?: health(a, is_image(a), b, err) ?: cow_params_spec(a, place, b, err);
	cow_strbuf_add(b, "}");
	return r ? r : b->error ? cow_error_errno(err, b->error, "parameters") : 0;
}

int cow_params_exec(const struct cow_args *a, const struct cow_params_place *place,
		    struct cow_strbuf *b, struct cow_error *err)
{
	bool detach = cow_args_flag(a, "detach", false);
	int r;

	cow_strbuf_add(b, "{");
	cow_params_string(b, "container", a->argv[0]);
	cow_params_strings(b, "args", a->argc - 1, a->argv + 1);
	cow_params_string(b, "cwd", cow_args_string(a, "workdir"));
	cow_params_string(b, "user", cow_args_string(a, "user"));
	cow_params_bool(b, "privileged", cow_args_flag(a, "privileged", false));
	/* Nobody would hold the terminal of what is left alone. */
	if (detach)
		cow_params_bool(b, "detach", true);
	else
		terminal(a, place, b);
	r = environment(a, b, err);
	if (detach || !cow_args_flag(a, "tty", false))
		cow_strbuf_add(b, ",\"fds\":[\"stdin\",\"stdout\",\"stderr\"]");
	cow_strbuf_add(b, "}");
	return r ? r : b->error ? cow_error_errno(err, b->error, "parameters") : 0;
}
