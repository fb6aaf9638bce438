/* SPDX-License-Identifier: MIT */
#include "spec/config.h"
#include "spec/config_parse.h"
#include "spec/values.h"

#include "base/cleanup.h"
#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define COMPLAINTS_MAX 100

void cow_config_complain(struct cow_config_errors *errors, const char *line)
{
	if (!errors)
		return;
	if (errors->count++ < COMPLAINTS_MAX)
		cow_strbuf_addf(&errors->text, "%s\n", line);
}

void cow_config_errors_finish(struct cow_config_errors *errors)
{
	cow_strbuf_finish(&errors->text);
	errors->count = 0;
}

void cow_config_complain_at(struct cow_config_errors *errors, const struct cow_config_file *file,
			    const char *pointer, const char *cause)
{
	unsigned line = cow_json_line(file->text, file->len, pointer);
	_cleanup_free_ char *text =
		line ? cow_asprintf("%s:%u: %s: %s", file->path, line, pointer, cause)
		     : cow_asprintf("%s: %s: %s", file->path, pointer, cause);

	cow_config_complain(errors, text ? text : "out of memory");
}

/* Report err and make it fit for the next one. */
static void complain_err(struct cow_config_errors *errors, struct cow_error *err)
{
	cow_config_complain(errors, err->message);
	memset(err, 0, sizeof(*err));
}

static bool listed(const char *const *keys, const char *key)
{
	for (size_t i = 0; keys && keys[i]; i++)
		if (strcmp(keys[i], key) == 0)
			return true;
	return false;
}

bool cow_config_only(const struct cow_json *at, const char *const *keys, const char *const *more,
		     struct cow_config_errors *errors)
{
	bool good = true;

	json_object_object_foreach(at->value, key, value) {
		struct cow_json child = { .value = value, .parent = at, .key = key };
		struct cow_error err = { 0 };

		if (listed(keys, key) || listed(more, key))
			continue;
		(void)cow_json_fail(&child, &err, -EINVAL, "unknown key");
		complain_err(errors, &err);
		good = false;
	}
	return good;
}

/* A setting must not be in two files: which one would count? */
static bool first_time(const struct cow_config *config, const struct cow_config_file *file,
		       const struct cow_json *root, const char *key,
		       struct cow_config_errors *errors)
{
	struct cow_json child;

	if (!cow_json_member(root, key, &child))
		return false;
	for (const struct cow_config_file *other = config->files; other < file; other++) {
		struct cow_error err = { 0 };

		if (!json_object_object_get_ex(other->value, key, NULL))
			continue;
		(void)cow_json_fail(&child, &err, -EEXIST, "is in %s too", other->path);
		complain_err(errors, &err);
		return false;
	}
	return true;
}

/* A path of a file is relative to the file's directory. */
static int read_path(const struct cow_config_file *file, const struct cow_json *root,
		     const char *key, char **ret, struct cow_error *err)
{
	_cleanup_free_ char *text = NULL, *dir = NULL;
	char *absolute;
	int r = cow_value_string(root, key, &text, err);

	if (r < 0 || !text)
		return r;
	dir = strndup(file->path, (size_t)(strrchr(file->path, '/') - file->path));
	absolute = dir ? cow_fs_absolute(*dir ? dir : "/", text) : NULL;
	if (!absolute)
		return cow_error_errno(err, -ENOMEM, "%s", key);
	free(*ret);
	*ret = absolute;
	return 0;
}

static int read_host(const struct cow_json *root, char **ret, struct cow_error *err)
{
	struct cow_json child = { .parent = root, .key = "host" };
	int r = cow_value_string(root, "host", ret, err);

	if (r == 0 && *ret && strncmp(*ret, "unix:///", 8) != 0)
		r = cow_json_fail(&child, err, -EINVAL, "not unix:///PATH");
	return r;
}

static int read_log(const struct cow_json *root, struct cow_config *config, struct cow_error *err)
{
	static const char *const known[] = { "level", "format", NULL };
	static const char *const levels[] = { "error", "warn", "info", "debug", NULL };
	static const char *const formats[] = { "text", "json", NULL };
	struct cow_json log;
	int r;

	if (!cow_json_member(root, "log", &log))
		return 0;
	r = cow_json_known(&log, known, err);
	if (r == 0)
		r = cow_value_choice(&log, "level", levels, &config->log_level, err);
	if (r == 0)
		r = cow_value_choice(&log, "format", formats, &config->log_json, err);
	return r;
}

/* By the names of the releases, or any build number. */
static int read_emulate(const struct cow_json *root, struct cow_config *config,
			struct cow_error *err)
{
	static const char *const known[] = { "build", NULL };
	static const char *const names[] = { "TP4",  "RS1",  "RS2",  "RS3",  "RS4",  "RS5", "19H1",
					     "19H2", "20H1", "20H2", "21H1", "21H2", NULL };
	static const uint32_t builds[] = { 10586, 14393, 15063, 16299, 17134, 17763,
					   18362, 18363, 19041, 19042, 19043, 20348 };
	struct cow_json emulate, build;
	int64_t number = 0;
	int name = 0, r;

	if (!cow_json_member(root, "emulate", &emulate))
		return 0;
	r = cow_json_known(&emulate, known, err);
	if (r < 0 || !cow_json_member(&emulate, "build", &build))
		return r;
	if (json_object_is_type(build.value, json_type_string)) {
		r = cow_value_choice(&emulate, "build", names, &name, err);
		number = builds[name];
	} else {
		r = cow_json_get_int(&emulate, "build", 10240, 99999, &number, err);
	}
	if (r == 0)
		config->emulate_build = (uint32_t)number;
	return r;
}

static int read_plugins(struct cow_config *config, const struct cow_config_file *file,
			const struct cow_json *plugins, struct cow_config_errors *errors)
{
	json_object_object_foreach(plugins->value, name, value) {
		struct cow_json at = { .value = value, .parent = plugins, .key = name };
		struct cow_config_plugin *more;
		struct cow_error err = { 0 };
		size_t n = config->plugin_count;

		if (cow_json_is_object(&at, &err) < 0) {
			complain_err(errors, &err);
			continue;
		}
		for (size_t i = 0; i < n; i++)
			if (strcmp(config->plugins[i].name, name) == 0)
				(void)cow_json_fail(&at, &err, -EEXIST, "is in %s too",
						    config->plugins[i].file->path);
		if (err.code) {
			complain_err(errors, &err);
			continue;
		}
		more = reallocarray(config->plugins, n + 1, sizeof(*more));
		if (!more)
			return -ENOMEM;
		config->plugins = more;
		more[n] = (struct cow_config_plugin){
			.name = strdup(name),
			.file = file,
			.json = strdup(json_object_to_json_string_ext(
				value, JSON_C_TO_STRING_NOSLASHESCAPE)),
		};
		config->plugin_count++;
		if (!more[n].name || !more[n].json)
			return -ENOMEM;
	}
	return 0;
}

static void read_settings(struct cow_config *config, const struct cow_config_file *file,
			  const struct cow_json *root, struct cow_config_errors *errors)
{
	struct {
		const char *key;
		char **ret;
	} paths[] = {
		{ "root", &config->root },
		{ "state", &config->state },
		{ "plugins_dir", &config->plugins_dir },
	};
	struct cow_error err = { 0 };

	for (size_t i = 0; i < COW_ELEMENTS(paths); i++)
		if (first_time(config, file, root, paths[i].key, errors) &&
		    read_path(file, root, paths[i].key, paths[i].ret, &err) < 0)
			complain_err(errors, &err);
	if (first_time(config, file, root, "host", errors) &&
	    read_host(root, &config->host, &err) < 0)
		complain_err(errors, &err);
	if (first_time(config, file, root, "owner", errors) &&
	    cow_value_string(root, "owner", &config->owner, &err) < 0)
		complain_err(errors, &err);
	if (first_time(config, file, root, "log", errors) && read_log(root, config, &err) < 0)
		complain_err(errors, &err);
	if (first_time(config, file, root, "emulate", errors) &&
	    read_emulate(root, config, &err) < 0)
		complain_err(errors, &err);
}

static int read_content(struct cow_config *config, const struct cow_config_file *file,
			struct cow_config_errors *errors)
{
	static const char *const known[] = { "$schema",	   "root",	  "state", "host",
					     "owner",	   "plugins_dir", "log",   "emulate",
					     "containers", "plugins",	  NULL };
	struct cow_json root = { .value = file->value, .name = file->path, .text = file->text,
				 .text_len = file->len };
	struct cow_json child;
	struct cow_error err = { 0 };
	int r = 0;

	if (cow_json_is_object(&root, &err) < 0) {
		complain_err(errors, &err);
		return 0;
	}
	(void)cow_config_only(&root, known, NULL, errors);
	read_settings(config, file, &root, errors);
	if (cow_json_member(&root, "containers", &child)) {
		if (cow_json_is_object(&child, &err) < 0)
			complain_err(errors, &err);
		else
			r = cow_config_read_containers(config, file, &child, errors);
	}
	if (r == 0 && cow_json_member(&root, "plugins", &child)) {
		if (cow_json_is_object(&child, &err) < 0)
			complain_err(errors, &err);
		else
			r = read_plugins(config, file, &child, errors);
	}
	return r;
}

/* Read and parse; a file that is no JSON is reported, and not added. */
static int read_file(const char *path, struct cow_config_file *ret,
		     struct cow_config_errors *errors)
{
	struct cow_config_file file = { .path = strdup(path) };
	struct cow_error err = { 0 };
	struct stat st;
	int r = file.path ? 0 : -ENOMEM;

	/* Opening a FIFO would wait for its writer. */
	if (r == 0)
		r = stat(path, &st) < 0 ? -errno : S_ISREG(st.st_mode) ? 0 : -EINVAL;
	if (r == 0)
		r = cow_fs_read(path, COW_CONFIG_MAX, &file.text, &file.len);
	if (r < 0)
		(void)cow_error_errno(&err, r, "%s", path);
	else
		r = cow_json_parse(path, file.text, file.len, &file.value, &err);
	if (r < 0) {
		complain_err(errors, &err);
		free(file.path);
		free(file.text);
		return r;
	}
	*ret = file;
	return 0;
}

static int is_fragment(const struct dirent *entry)
{
	size_t n = strlen(entry->d_name);

	return entry->d_name[0] != '.' && n > 5 && strcmp(entry->d_name + n - 5, ".json") == 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* The names in conf.d that count, in order; how many, to be freed. */
static int scan_fragments(const char *dir, struct dirent ***ret, struct cow_config_errors *errors)
{
	int n = scandir(dir, ret, is_fragment, by_bytes);

	if (n >= 0)
		return n;
	if (errno != ENOENT && errno != ENOTDIR) {
		_cleanup_free_ char *complaint =
			cow_asprintf("%s: %s", dir, cow_errno_text(-errno));

		cow_config_complain(errors, complaint ? complaint : dir);
	}
	*ret = NULL;
	return 0;
}

/* The paths to read, as a NULL-terminated vector: the file itself, then conf.d in order of name. */
static int list_files(const char *main_path, bool optional, char ***ret,
		      struct cow_config_errors *errors)
{
	_cleanup_free_ char *dir =
		cow_asprintf("%.*s/conf.d", (int)(strrchr(main_path, '/') - main_path), main_path);
	struct dirent **entries = NULL;
	int n = dir ? scan_fragments(dir, &entries, errors) : 0;
	char **paths = calloc((size_t)n + 2, sizeof(*paths));
	size_t used = 0;
	bool good = dir && paths;

	if (good && (!optional || access(main_path, F_OK) == 0))
		good = (paths[used++] = strdup(main_path));
	for (int i = 0; i < n; i++) {
		if (good)
			good = (paths[used++] = cow_fs_join(dir, entries[i]->d_name));
		free(entries[i]);
	}
	free(entries);
	if (!good) {
		cow_strv_free(paths);
		return -ENOMEM;
	}
	*ret = paths;
	return 0;
}

static int read_all(struct cow_config *config, char *const *paths, struct cow_config_errors *errors)
{
	size_t n = 0;
	int r = 0;

	while (paths[n])
		n++;
	/* Containers and plugins point to their file: the array must not move. */
	config->files = calloc(n + 1, sizeof(*config->files));
	if (!config->files)
		return -ENOMEM;
	for (size_t i = 0; i < n && r == 0; i++) {
		struct cow_config_file *file = &config->files[config->file_count];

		if (read_file(paths[i], file, errors) < 0)
			continue;
		config->file_count++;
		r = read_content(config, file, errors);
	}
	return r == 0 ? cow_config_order(config, errors) : r;
}

int cow_config_load(const char *path, struct cow_config **ret, struct cow_config_errors *errors)
{
	_cleanup_free_ char *cwd = getcwd(NULL, 0), *absolute = NULL;
	struct cow_config *config = calloc(1, sizeof(*config));
	unsigned before = errors->count;
	char **paths = NULL;
	int r;

	absolute = cow_fs_absolute(cwd ? cwd : "/", path ? path : COW_CONFIG_DEFAULT);
	r = config && absolute ? list_files(absolute, !path, &paths, errors) : -ENOMEM;
	if (r == 0) {
		config->log_level = config->log_json = -1;
		r = read_all(config, paths, errors);
	}
	cow_strv_free(paths);
	if (r == -ENOMEM)
		cow_config_complain(errors, "out of memory");
	if (r == 0 && errors->count != before)
		r = -EINVAL;
	if (r < 0) {
		cow_config_destroy(config);
		return r;
	}
	*ret = config;
	return 0;
}

void cow_config_destroy(struct cow_config *config)
{
	if (!config)
		return;
	for (size_t i = 0; i < config->container_count; i++)
		cow_config_container_finish(&config->containers[i]);
	for (size_t i = 0; i < config->plugin_count; i++) {
		free(config->plugins[i].name);
		free(config->plugins[i].json);
	}
	for (size_t i = 0; i < config->file_count; i++) {
		free(config->files[i].path);
		free(config->files[i].text);
		json_object_put(config->files[i].value);
	}
	free(config->containers);
	free(config->plugins);
	free(config->files);
	free(config->root);
	free(config->state);
	free(config->host);
	free(config->owner);
	free(config->plugins_dir);
	free(config);
}

size_t cow_config_find(const struct cow_config *config, const char *name)
{
	size_t i = 0;

	while (i < config->container_count && strcmp(config->containers[i].name, name) != 0)
		i++;
	return i;
}
