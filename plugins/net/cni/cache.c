/* SPDX-License-Identifier: MIT */
/*
 * What has to be known to undo an attachment, in a file each: CONTAINER:IFNAME:NETWORK.json, with the list as
 * it was when ADD began, the capability arguments, and the newest result.  In the directory of what does not
 * outlive a reboot: written and renamed, not synced.
 */
#include "common/files.h"
#include "cni/internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

void cni_entry_finish(struct cni_entry *entry)
{
	net_cni_list_free(entry->list);
	json_object_put(entry->json);
}

/* The names make a file name; of an interface, a kernel takes any that is short and has none of these. */
static int attachment_check(const struct net_cni_attachment *a, struct plug_error *err)
{
	size_t len = strlen(a->ifname);

	if (cni_check_name(a->container) < 0)
		return plug_error_set(err, -EINVAL, "cni: %.120s is not a name of a container", a->container);
	if (cni_check_name(a->network) < 0)
		return plug_error_set(err, -EINVAL, "cni: %.120s is not a name of a network", a->network);
	if (!len || len > 15 || strpbrk(a->ifname, "/: \t\n") || !strcmp(a->ifname, ".") ||
	    !strcmp(a->ifname, ".."))
		return plug_error_set(err, -EINVAL, "cni %s: %.60s is not a name of an interface", a->network,
				      a->ifname);
	return 0;
}

static int file_name(const struct net_cni_attachment *a, char **ret, struct plug_error *err)
{
	int r = attachment_check(a, err);

	if (r == 0 && asprintf(ret, "%s:%s:%s.json", a->container, a->ifname, a->network) < 0)
		r = plug_error_errno(err, -ENOMEM, "cni %s", a->network);
	return r;
}

static int string_put(struct json_object *o, const char *key, const char *value)
{
	return value ? cni_put(o, key, json_object_new_string(value)) : 0;
}

static int entry_compose(const struct net_cni_list *list, const struct net_cni_attachment *a,
			 struct json_object *result, size_t done, struct json_object **ret)
{
	_cleanup_json_ struct json_object *o = json_object_new_object();

	if (!o || string_put(o, "container", a->container) < 0 || string_put(o, "network", a->network) < 0 ||
	    string_put(o, "ifname", a->ifname) < 0 || string_put(o, "netns", a->netns) < 0 ||
	    string_put(o, "args", a->args) < 0 || cni_put(o, "list", json_object_get(list->json)) < 0 ||
	    (a->capabilities && cni_put(o, "capabilities", json_object_get(a->capabilities)) < 0) ||
	    (result && cni_put(o, "result", json_object_get(result)) < 0) ||
	    cni_put(o, "done", json_object_new_int64((int64_t)done)) < 0)
		return -ENOMEM;
	*ret = plug_take_ptr(o);
	return 0;
}

/* The name that it has while it is written: cni_cache_remove() takes away what a killed writer left. */
static int making_name(const char *name, char **ret)
{
	if (asprintf(ret, ".%s", name) >= 0)
		return 0;
	*ret = NULL;
	return -ENOMEM;
}

static int text_write(const char *dir, const char *name, const char *text, bool fresh)
{
	_cleanup_close_ int at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_free_ char *making = NULL;
	int r = at < 0 ? -errno : making_name(name, &making);

	return r ?: plug_file_write(at, name, making, text, fresh ? PLUG_FILE_NEW : PLUG_FILE_REPLACE);
}

int cni_cache_write(const struct net_cni_paths *paths, const struct net_cni_list *list,
		    const struct net_cni_attachment *a, struct json_object *result, size_t done,
		    struct plug_error *err)
{
	_cleanup_json_ struct json_object *o = NULL;
	_cleanup_free_ char *name = NULL;
	const char *text;
	int r = file_name(a, &name, err);

	if (r < 0)
		return r;
	r = entry_compose(list, a, result, done, &o);
	text = r == 0 ? json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN) : NULL;
	r = r ?: text ? plug_directories_make(paths->cache) : -ENOMEM;
	if (r == 0)
		r = text_write(paths->cache, name, text, !done);
	if (r == -EEXIST)
		return plug_error_set(err, r, "cni %s: %s has %s there already", a->network, a->container,
				      a->ifname);
	return r < 0 ? plug_error_errno(err, r, "%s/%s", paths->cache, name) : 0;
}

/* Those of another version of ours have none: all of them. */
static size_t done_of(struct json_object *json)
{
	struct json_object *o = cni_get(json, "done", json_type_int);
	int64_t n = o ? json_object_get_int64(o) : CNI_PLUGINS_MAX;

	return n >= 0 && n <= CNI_PLUGINS_MAX ? (size_t)n : CNI_PLUGINS_MAX;
}

static int entry_read(int dir, const char *name, const char *cache, struct cni_entry *ret,
		      struct plug_error *err)
{
	_cleanup_entry_ struct cni_entry e = { 0 };
	_cleanup_free_ char *text = NULL, *where = NULL;
	size_t size = 0;
	int r = cni_file_read(dir, name, &text, &size);

	if (r == -ENOENT)
		return r;
	if (asprintf(&where, "%s/%s", cache, name) < 0) {
		where = NULL;
		return plug_error_errno(err, -ENOMEM, "%s", cache);
	}
	r = r ?: cni_parse(text, size, &e.json);
	if (r < 0)
		return plug_error_errno(err, r, "%s", where);
	e.attachment = (struct net_cni_attachment){
		.container = cni_string(e.json, "container"),
		.network = cni_string(e.json, "network"),
		.ifname = cni_string(e.json, "ifname"),
		.netns = cni_string(e.json, "netns"),
		.args = cni_string(e.json, "args"),
		.capabilities = cni_get(e.json, "capabilities", json_type_object),
	};
	e.result = cni_get(e.json, "result", json_type_object);
	e.done = done_of(e.json);
	if (!e.attachment.container || !e.attachment.network || !e.attachment.ifname)
		return plug_error_set(err, -EBADMSG, "%s: not an attachment", where);
	r = cni_list_make(cni_get(e.json, "list", json_type_object), where, &e.list, err);
	if (r < 0)
		return r;
	*ret = e;
	e = (struct cni_entry){ 0 };
	return 0;
}

int cni_cache_read(const struct net_cni_paths *paths, const struct net_cni_attachment *a,
		   struct cni_entry *ret, struct plug_error *err)
{
	_cleanup_close_ int dir = open(paths->cache, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_free_ char *name = NULL;
	int r = file_name(a, &name, err);

	if (r < 0)
		return r;
	if (dir < 0)
		return errno == ENOENT ? -ENOENT : plug_error_errno(err, -errno, "%s", paths->cache);
	return entry_read(dir, name, paths->cache, ret, err);
}

static int file_remove(int dir, const char *name)
{
	_cleanup_free_ char *making = NULL;
	int r = making_name(name, &making);

	if (r == 0 && (unlinkat(dir, making, 0) < 0 && errno != ENOENT))
		r = -errno;
	if (r == 0 && unlinkat(dir, name, 0) < 0 && errno != ENOENT)
		r = -errno;
	return r;
}

int cni_cache_remove(const struct net_cni_paths *paths, const struct net_cni_attachment *a,
		     struct plug_error *err)
{
	_cleanup_close_ int dir = open(paths->cache, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_free_ char *name = NULL;
	int r = file_name(a, &name, err);

	if (r == 0 && dir < 0 && errno != ENOENT)
		return plug_error_errno(err, -errno, "%s", paths->cache);
	if (r < 0 || dir < 0)
		return r;
	r = file_remove(dir, name);
	return r < 0 ? plug_error_errno(err, r, "%s/%s", paths->cache, name) : 0;
}

static int entry_wanted(const struct dirent *entry)
{
	return strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
}

/* "CONTAINER:…"; container NULL: any. */
static bool name_is_of(const char *name, const char *container)
{
	size_t len = container ? strlen(container) : 0;

	return !container || (!strncmp(name, container, len) && name[len] == ':');
}

/* One file of the cache: read, and told.  Nothing where it is another's, or has gone meanwhile. */
static int entry_each(int dir, const char *name, const char *container, const char *cache,
		      int (*cb)(void *arg, const struct net_cni_attachment *attachment), void *arg,
		      struct plug_error *err)
{
	_cleanup_entry_ struct cni_entry e = { 0 };
	int r;

	if (*name == '.') {
		/* A killed writer's, who had nothing but that. */
		if (name_is_of(name + 1, container))
			(void)unlinkat(dir, name, 0);
		return 0;
	}
	if (!name_is_of(name, container))
		return 0;
	r = entry_read(dir, name, cache, &e, err);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	/* What cb says is said as it is: -ENOENT is a plugin that is missing, not an entry. */
	return cb(arg, &e.attachment);
}

int net_cni_attachments(const struct net_cni_paths *paths, const char *container,
			int (*cb)(void *arg, const struct net_cni_attachment *attachment), void *arg,
			struct plug_error *err)
{
	_cleanup_close_ int dir = open(paths->cache, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent **entries = NULL;
	int n = dir < 0 ? -1 : scandirat(dir, ".", &entries, entry_wanted, alphasort), first = 0;

	if (n < 0)
		return errno == ENOENT ? 0 : plug_error_errno(err, -errno, "%s", paths->cache);
	for (int i = 0; i < n; i++) {
		int r = entry_each(dir, entries[i]->d_name, container, paths->cache, cb, arg,
				   first ? NULL : err);

		if (r < 0 && !first)
			first = r;
		free(entries[i]);
	}
	free(entries);
	return first;
}
