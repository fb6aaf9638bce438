/* SPDX-License-Identifier: MIT */
#include "attach/trash.h"

#include "attach/worker.h"
#include "common/files.h"
#include "common/text.h"
#include "common/util.h"
#include "kernel/netns.h"
#include "kernel/rtnl.h"
#include "model/ipam.h"
#include "model/json.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Who empties it: one at a time, so that nothing is done twice at once. */
static pthread_mutex_t emptying = PTHREAD_MUTEX_INITIALIZER;

static int trash_dir(const struct net_state *s, char **ret, struct plug_error *err)
{
	if (asprintf(ret, "%s/trash", s->net_dir) < 0) {
		*ret = NULL;
		return plug_error_errno(err, -ENOMEM, "trash");
	}
	return mkdir(*ret, 0700) < 0 && errno != EEXIST ? plug_error_errno(err, -errno, "%s", *ret) : 0;
}

static char *trash_text(const struct net_trash *t)
{
	struct json_object *o = json_object_new_object();
	char *text;

	net_json_add_string(&o, "link", t->link);
	net_json_add_string(&o, "link2", t->link2);
	net_json_add_string(&o, "ns", t->ns);
	net_json_add_string(&o, "endpoint", t->endpoint);
	net_json_add_string(&o, "network", t->network);
	text = o ? plug_json_print(o) : NULL;
	json_object_put(o);
	return text;
}

/* By a temporary name: what is read later is whole. */
static int write_file(int dir, const char *name, const char *text)
{
	char making[64];

	(void)snprintf(making, sizeof(making), ".%.40s", name);
	return plug_file_write(dir, name, making, text, PLUG_FILE_REPLACE);
}

int net_trash_add(struct net_state *s, const char *name, const struct net_trash *t, struct plug_error *err)
{
	_cleanup_free_ char *path = NULL, *text = NULL;
	_cleanup_close_ int dir = -1;
	int r = trash_dir(s, &path, err);

	if (r < 0)
		return r;
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	text = trash_text(t);
	r = dir < 0 ? -errno : text ? write_file(dir, name, text) : -ENOMEM;
	if (r < 0)
		return plug_error_errno(err, r, "%s/%s", path, name);
	net_worker_wake();
	return 0;
}

bool net_trash_has(const struct net_state *s, const char *name)
{
	_cleanup_free_ char *path = NULL;

	return asprintf(&path, "%s/trash/%s", s->net_dir, name) > 0 && access(path, F_OK) == 0;
}

/* ---- doing it */

static int free_leases(struct net_state *s, const char *network, const char *owner, struct plug_error *err)
{
	struct net_lease *leases = NULL;
	size_t count = 0;
	int r = net_ipam_list(s->store, network, &leases, &count, err);

	for (size_t i = 0; r == 0 && i < count; i++)
		if (leases[i].owner && strcmp(leases[i].owner, owner) == 0)
			r = net_ipam_free(s->store, network, &leases[i].addr, owner, err);
	net_leases_free(leases, count);
	return r == -ENOENT ? plug_error_none(err) : r;
}

static int free_all_leases(struct net_state *s, const char *owner, struct plug_error *err)
{
	struct net_entry *networks = NULL;
	size_t count = 0;
	int r = net_store_list(s->store, NET_NETWORKS, NULL, &networks, &count, err);

	for (size_t i = 0; r == 0 && i < count; i++)
		r = free_leases(s, networks[i].id, owner, err);
	net_entries_free(networks, count);
	return r;
}

static int drop_ns(struct net_state *s, const char *id, struct plug_error *err)
{
	_cleanup_free_ char *path = net_state_ns_path(s, id);

	if (!path)
		return plug_error_errno(err, -ENOMEM, "network namespace %s", id);
	return net_ns_delete(path, err);
}

static const char *member(struct json_object *o, const char *key)
{
	struct json_object *v = net_json_get(o, key);

	return v ? json_object_get_string(v) : NULL;
}

static int throw_away(struct net_state *s, struct net_rtnl *r, struct json_object *o, struct plug_error *err)
{
	const char *link = member(o, "link"), *link2 = member(o, "link2"), *ns = member(o, "ns"),
		   *endpoint = member(o, "endpoint"), *network = member(o, "network");
	int result = link ? net_link_delete(r, link, err) : 0;

	if (result == 0 && link2)
		result = net_link_delete(r, link2, err);
	if (result == 0 && ns)
		result = drop_ns(s, ns, err);
	if (result == 0 && endpoint)
		result = network ? free_leases(s, network, endpoint, err) :
				   free_all_leases(s, endpoint, err);
	return result;
}

/* A file that is damaged says nothing: it goes, as its writer had not been told that it is there. */
static int empty_one(struct net_state *s, struct net_rtnl *r, int dir, const char *name,
		     struct plug_error *err)
{
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	_cleanup_json_ struct json_object *o = NULL;
	char text[1024];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));
	int result = 0;

	if (n > 0 && plug_json_parse(text, (size_t)n, name, &o, NULL) == 0)
		result = throw_away(s, r, o, err);
	if (result == 0 && unlinkat(dir, name, 0) < 0 && errno != ENOENT)
		result = plug_error_errno(err, -errno, "trash %s", name);
	return result;
}

int net_trash_empty(struct net_state *s, struct plug_error *err)
{
	_cleanup_rtnl_ struct net_rtnl *r = NULL;
	_cleanup_free_ char *path = NULL;
	_cleanup_closedir_ DIR *dir = NULL;
	int result = trash_dir(s, &path, err), one;

	if (result < 0)
		return result;
	dir = opendir(path);
	if (!dir)
		return plug_error_errno(err, -errno, "%s", path);
	(void)pthread_mutex_lock(&emptying);
	for (struct dirent *d; (d = readdir(dir));) {
		if (d->d_name[0] == '.')
			continue;
		one = r ? 0 : net_rtnl_open(-1, &r, err);
		if (one == 0)
			one = empty_one(s, r, dirfd(dir), d->d_name, result < 0 ? NULL : err);
		result = result < 0 ? result : one;
	}
	(void)pthread_mutex_unlock(&emptying);
	return result;
}
