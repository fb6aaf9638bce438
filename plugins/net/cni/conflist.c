/* SPDX-License-Identifier: MIT */
#include "common/files.h"
#include "cni/internal.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define CNI_DEPTH 32

struct json_object *cni_get(struct json_object *o, const char *key, json_type type)
{
	struct json_object *value = NULL;

	if (!json_object_is_type(o, json_type_object) || !json_object_object_get_ex(o, key, &value) ||
	    !json_object_is_type(value, type))
		return NULL;
	return value;
}

const char *cni_string(struct json_object *o, const char *key)
{
	struct json_object *value = cni_get(o, key, json_type_string);
	const char *text = value ? json_object_get_string(value) : NULL;

	return text && strlen(text) == (size_t)json_object_get_string_len(value) ? text : NULL;
}

int cni_put(struct json_object *o, const char *key, struct json_object *value)
{
	if (value && json_object_object_add(o, key, value) == 0)
		return 0;
	json_object_put(value);
	return -ENOMEM;
}

int cni_parse(const char *text, size_t size, struct json_object **ret)
{
	struct json_tokener *tokener = json_tokener_new_ex(CNI_DEPTH);
	_cleanup_json_ struct json_object *o = NULL;
	bool whole;

	if (!tokener)
		return -ENOMEM;
	o = json_tokener_parse_ex(tokener, text, (int)size);
	whole = json_tokener_get_error(tokener) == json_tokener_success;
	for (size_t i = json_tokener_get_parse_end(tokener); whole && i < size; i++)
		whole = isspace((unsigned char)text[i]);
	json_tokener_free(tokener);
	if (!whole || !json_object_is_type(o, json_type_object))
		return -EBADMSG;
	*ret = plug_take_ptr(o);
	return 0;
}

int cni_file_read(int dir, const char *name, char **ret, size_t *ret_size)
{
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	return fd < 0 ? -errno : plug_file_read(fd, CNI_TEXT_MAX, ret, ret_size);
}

int cni_check_name(const char *name)
{
	if (!isalnum((unsigned char)*name) || strlen(name) > 100)
		return -EINVAL;
	for (; *name; name++) {
		if (!isalnum((unsigned char)*name) && !strchr("_.-", *name))
			return -EINVAL;
	}
	return 0;
}

/* The versions whose results are lists of interfaces and addresses, the newest first. */
static const char *const spoken[] = { "1.0.0", "0.4.0", "0.3.1", "0.3.0" };

static bool version_among(struct json_object *list, const char *version)
{
	for (size_t i = 0; list && i < json_object_array_length(list); i++) {
		struct json_object *o = json_object_array_get_idx(list, i);

		if (json_object_is_type(o, json_type_string) && !strcmp(json_object_get_string(o), version))
			return true;
	}
	return false;
}

/* The newest one of cniVersion and cniVersions (1.1.0: all that the list can be run with); or NULL. */
static const char *version_choose(struct json_object *json)
{
	struct json_object *all = cni_get(json, "cniVersions", json_type_array);
	const char *one = cni_string(json, "cniVersion");

	for (size_t i = 0; i < PLUG_ELEMENTS(spoken); i++) {
		if ((one && !strcmp(one, spoken[i])) || version_among(all, spoken[i]))
			return spoken[i];
	}
	return NULL;
}

bool cni_list_since(const struct net_cni_list *list, int major, int minor)
{
	int a = 0, b = 0;

	(void)sscanf(list->version, "%d.%d", &a, &b);
	return a > major || (a == major && b >= minor);
}

struct json_object *cni_list_plugins(const struct net_cni_list *list)
{
	return cni_get(list->json, "plugins", json_type_array);
}

static int plugins_check(struct json_object *plugins, const char *where, struct plug_error *err)
{
	size_t n = plugins ? json_object_array_length(plugins) : 0;

	if (!n)
		return plug_error_set(err, -EINVAL, "%s: plugins: an array of at least one is needed", where);
	if (n > CNI_PLUGINS_MAX)
		return plug_error_set(err, -EINVAL, "%s: plugins: more than %d", where, CNI_PLUGINS_MAX);
	for (size_t i = 0; i < n; i++) {
		const char *type = cni_string(json_object_array_get_idx(plugins, i), "type");

		if (!type || !*type)
			return plug_error_set(err, -EINVAL, "%s: plugins/%zu: type is missing", where, i);
		if (strchr(type, '/') || *type == '.')
			return plug_error_set(err, -EINVAL, "%s: plugins/%zu: type %.100s is not a file name",
					      where, i, type);
	}
	return 0;
}

void net_cni_list_free(struct net_cni_list *list)
{
	if (!list)
		return;
	free(list->name);
	free(list->version);
	json_object_put(list->json);
	free(list);
}

int cni_list_make(struct json_object *json, const char *where, struct net_cni_list **ret,
		  struct plug_error *err)
{
	const char *name = cni_string(json, "name"), *said = cni_string(json, "cniVersion"),
		   *version = version_choose(json);
	_cleanup_list_ struct net_cni_list *list = NULL;
	int r;

	if (!name)
		return plug_error_set(err, -EINVAL, "%s: name is missing", where);
	if (cni_check_name(name) < 0)
		return plug_error_set(err, -EINVAL, "%s: %.120s is not a name of a network", where, name);
	if (!version && !said)
		return plug_error_set(err, -ENOTSUP, "%s: cniVersion is missing: 0.3.0 to 1.0.0 are spoken",
				      where);
	if (!version)
		return plug_error_set(err, -ENOTSUP, "%s: cniVersion %.20s: only 0.3.0 to 1.0.0 are spoken",
				      where, said);
	r = plugins_check(cni_get(json, "plugins", json_type_array), where, err);
	if (r < 0)
		return r;
	list = calloc(1, sizeof(*list));
	if (list) {
		list->name = strdup(name);
		list->version = strdup(version);
		list->json = json_object_get(json);
	}
	if (!list || !list->name || !list->version)
		return plug_error_errno(err, -ENOMEM, "%s", where);
	*ret = plug_take_ptr(list);
	return 0;
}

/* A configuration of one plugin is a list of one. */
static int list_wrap(struct json_object **json)
{
	_cleanup_json_ struct json_object *list = NULL;
	struct json_object *plugins, *o;
	int r;

	if (!cni_string(*json, "type") || json_object_object_get_ex(*json, "plugins", &o))
		return 0;
	list = json_object_new_object();
	plugins = json_object_new_array();
	if (!list || cni_put(list, "plugins", plugins) < 0)
		return -ENOMEM;
	r = json_object_array_add(plugins, json_object_get(*json));
	if (r < 0)
		json_object_put(*json);
	if (r == 0 && json_object_object_get_ex(*json, "name", &o))
		r = cni_put(list, "name", json_object_get(o));
	if (r == 0 && json_object_object_get_ex(*json, "cniVersion", &o))
		r = cni_put(list, "cniVersion", json_object_get(o));
	if (r == 0 && json_object_object_get_ex(*json, "cniVersions", &o))
		r = cni_put(list, "cniVersions", json_object_get(o));
	if (r < 0)
		return -ENOMEM;
	json_object_put(*json);
	*json = plug_take_ptr(list);
	return 0;
}

/* The list in a text, where is whose it is.  1: it is another network's (name: NULL: any will do). */
static int list_parse(const char *text, size_t size, const char *where, const char *name,
		      struct net_cni_list **ret, struct plug_error *err)
{
	_cleanup_json_ struct json_object *json = NULL;
	const char *own;
	int r = cni_parse(text, size, &json);

	if (r < 0)
		return plug_error_set(err, r, "%s: not a JSON object", where);
	r = list_wrap(&json);
	if (r < 0)
		return plug_error_errno(err, r, "%s", where);
	own = cni_string(json, "name");
	if (name && (!own || strcmp(own, name) != 0))
		return 1;
	return cni_list_make(json, where, ret, err);
}

static int list_read(int dir, const char *file, const char *where, const char *name,
		     struct net_cni_list **ret, struct plug_error *err)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	int r = cni_file_read(dir, file, &text, &size);

	return r < 0 ? plug_error_errno(err, r, "%s", where) :
		       list_parse(text, size, where, name, ret, err);
}

static int file_wanted(const struct dirent *entry)
{
	const char *end = strrchr(entry->d_name, '.');

	return end && end != entry->d_name &&
	       (!strcmp(end, ".conflist") || !strcmp(end, ".conf") || !strcmp(end, ".json"));
}

/*
 * In the order of their names, as everybody who reads that directory does; until cb gives other than 0.
 * Where there is no directory there are no lists; one that cannot be read is an error.
 */
static int files_each(const char *dir, int (*cb)(void *arg, int dir, const char *file, const char *where),
		      void *arg)
{
	_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent **entries = NULL;
	int n = fd < 0 ? -1 : scandirat(fd, ".", &entries, file_wanted, alphasort), r = 0;

	if (n < 0)
		return errno == ENOENT ? 0 : -errno;
	for (int i = 0; i < n; i++) {
		_cleanup_free_ char *where = NULL;

		if (r == 0 && asprintf(&where, "%s/%s", dir, entries[i]->d_name) < 0) {
			where = NULL;
			r = -ENOMEM;
		}
		if (r == 0)
			r = cb(arg, fd, entries[i]->d_name, where);
		free(entries[i]);
	}
	free(entries);
	return r;
}

static const char *conf_dir(const struct net_cni_paths *paths)
{
	return paths->conf ? paths->conf : "/etc/cni/net.d";
}

struct find {
	const char *name;
	struct net_cni_list *list;
	struct plug_error err, damaged; /* damaged: of some network; told if nobody else is the one */
};

static int find_file(void *arg, int dir, const char *file, const char *where)
{
	struct find *f = arg;
	int r = list_read(dir, file, where, f->name, &f->list, &f->err);

	if (r == -EBADMSG && !f->damaged.code)
		f->damaged = f->err;
	return r == 0 ? 1 : r == -EBADMSG || r > 0 ? 0 : r;
}

static int list_find(const char *dir, const char *name, struct net_cni_list **ret, struct plug_error *err)
{
	struct find f = { .name = name };
	int r = files_each(dir, find_file, &f);

	if (r > 0) {
		*ret = f.list;
		return 0;
	}
	if (r < 0)
		return f.err.code == r ? plug_error_set(err, r, "%s", f.err.text) :
					 plug_error_errno(err, r, "%s", dir);
	if (f.damaged.code)
		return plug_error_set(err, -ENOENT, "CNI network %s: not in %s; and %.300s", name, dir,
				      f.damaged.text);
	return plug_error_set(err, -ENOENT, "CNI network %s: no file in %s is of that name", name, dir);
}

int net_cni_load(const struct net_cni_paths *paths, const char *name, struct net_cni_list **ret,
		 struct plug_error *err)
{
	if (*name == '{')
		return list_parse(name, strlen(name), "conflist", NULL, ret, err);
	if (*name == '/')
		return list_read(AT_FDCWD, name, name, NULL, ret, err);
	if (cni_check_name(name) < 0)
		return plug_error_set(err, -EINVAL, "CNI network %.120s: not a name", name);
	return list_find(conf_dir(paths), name, ret, err);
}

struct each {
	int (*cb)(void *arg, const struct net_cni_list *list);
	void *arg;
};

/* What is no list is nobody's network. */
static int each_file(void *arg, int dir, const char *file, const char *where)
{
	struct each *e = arg;
	_cleanup_list_ struct net_cni_list *list = NULL;

	return list_read(dir, file, where, NULL, &list, NULL) < 0 ? 0 : e->cb(e->arg, list);
}

int net_cni_each(const struct net_cni_paths *paths, int (*cb)(void *arg, const struct net_cni_list *list),
		 void *arg, struct plug_error *err)
{
	struct each e = { cb, arg };
	int r = files_each(conf_dir(paths), each_file, &e);

	return r < 0 ? plug_error_errno(err, r, "%s", conf_dir(paths)) : r;
}

bool net_cni_list_can(const struct net_cni_list *list, const char *capability)
{
	struct json_object *plugins = cni_list_plugins(list);

	for (size_t i = 0; i < json_object_array_length(plugins); i++) {
		struct json_object *all = cni_get(json_object_array_get_idx(plugins, i), "capabilities",
						  json_type_object), *on;

		if (json_object_object_get_ex(all, capability, &on) && json_object_get_boolean(on))
			return true;
	}
	return false;
}

const char *net_cni_list_name(const struct net_cni_list *list)
{
	return list->name;
}

const char *net_cni_list_version(const struct net_cni_list *list)
{
	return list->version;
}
