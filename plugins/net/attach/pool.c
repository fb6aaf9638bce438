/* SPDX-License-Identifier: MIT */
#include "attach/pool.h"

#include "attach/parts.h"
#include "attach/plug.h"
#include "attach/trash.h"
#include "attach/worker.h"
#include "common/util.h"
#include "kernel/netns.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static struct {
	pthread_mutex_t lock;
	struct net_pooled *first;
	uint32_t count, size;
	char *network; /* as it was asked for */
} pool = { .lock = PTHREAD_MUTEX_INITIALIZER };

void net_pooled_free(struct net_pooled *p)
{
	if (!p)
		return;
	net_rtnl_close(p->inside);
	if (p->fd >= 0)
		(void)close(p->fd);
	free(p);
}

static char *pool_path(const struct net_state *s, const char *ns)
{
	char *path;

	return asprintf(&path, "%s/pool/%s", s->net_dir, ns) < 0 ? NULL : path;
}

int net_pool_announced(const struct net_state *s, const char *ns, struct plug_error *err)
{
	_cleanup_free_ char *path = pool_path(s, ns);

	if (!path)
		return plug_error_errno(err, -ENOMEM, "pool");
	return unlink(path) < 0 && errno != ENOENT ? plug_error_errno(err, -errno, "%s", path) : 0;
}

static void links_of(const char *endpoint, char link[NET_LINK_SIZE])
{
	*link = '\0';
	if (*endpoint)
		net_link_name("ve", endpoint, link);
}

/* Noted in the trash first, then no longer in the pool. */
static int discard(struct net_state *s, const char *ns, const char *endpoint, struct plug_error *err)
{
	_cleanup_free_ char *path = pool_path(s, ns);
	char link[NET_LINK_SIZE];
	int r;

	links_of(endpoint, link);
	r = net_trash_add(s, ns, &(struct net_trash){ .link = link, .ns = ns }, err);
	if (r == 0 && path)
		(void)unlink(path);
	return r;
}

void net_pool_discard(struct net_state *s, struct net_pooled *p)
{
	(void)discard(s, p->ns, p->endpoint, NULL);
	net_pooled_free(p);
}

struct net_pooled *net_pool_take(const char *network)
{
	struct net_pooled *p = NULL;

	(void)pthread_mutex_lock(&pool.lock);
	if (pool.first && pool.network && strcmp(pool.network, network) == 0) {
		p = pool.first;
		pool.first = p->next;
		pool.count--;
		p->next = NULL;
	}
	(void)pthread_mutex_unlock(&pool.lock);
	return p;
}

void net_pool_resize(uint32_t size)
{
	(void)pthread_mutex_lock(&pool.lock);
	pool.size = size;
	(void)pthread_mutex_unlock(&pool.lock);
}

static struct net_pooled *take_all(void)
{
	struct net_pooled *all = pool.first;

	pool.first = NULL;
	pool.count = 0;
	return all;
}

static void discard_all(struct net_state *s, struct net_pooled *all)
{
	for (struct net_pooled *next; all; all = next) {
		next = all->next;
		net_pool_discard(s, all);
	}
}

void net_pool_prefer(const char *network)
{
	bool missing;

	(void)pthread_mutex_lock(&pool.lock);
	if (!pool.network || strcmp(pool.network, network) != 0) {
		free(pool.network);
		pool.network = strdup(network);
	}
	missing = pool.count < pool.size;
	(void)pthread_mutex_unlock(&pool.lock);
	if (missing)
		net_worker_wake();
}

/* ---- making them */

/* Named in the pool before anything of it is there. */
static int note(struct net_state *s, const struct net_pooled *p, struct plug_error *err)
{
	_cleanup_free_ char *path = pool_path(s, p->ns), *dir = NULL;
	_cleanup_close_ int fd = -1;

	if (!path || asprintf(&dir, "%s/pool", s->net_dir) < 0)
		return plug_error_errno(err, -ENOMEM, "pool");
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return plug_error_errno(err, -errno, "%s", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || plug_write_all(fd, p->endpoint, strlen(p->endpoint)) < 0)
		return plug_error_errno(err, -errno, "%s", path);
	return 0;
}

/*
 * The network may be removed meanwhile, by who sees no endpoint in it: then its bridge, which went with it,
 * must not be made again.
 */
static int ensure_bridge(struct net_state *s, struct net_rtnl *host, const struct net_network *n,
			 struct net_place *ret, struct plug_error *err)
{
	struct net_network *now = NULL;
	int r = net_store_lock(s->store, err);

	if (r < 0)
		return r;
	r = net_store_network(s->store, n->id, &now, err);
	if (r == 0)
		r = net_bridge_ensure(s, host, now, ret, err);
	net_store_unlock(s->store);
	net_network_free(now);
	return r;
}

static int make_pair(struct net_state *s, struct net_pooled *p, const struct net_network *n,
		     struct plug_error *err)
{
	_cleanup_rtnl_ struct net_rtnl *host = NULL;
	struct net_endpoint e = { .guest_link = "eth0" };
	struct net_place place;
	int r = net_rtnl_open(-1, &host, err);

	if (r == 0)
		r = ensure_bridge(s, host, n, &place, err);
	if (r < 0)
		return r;
	memcpy(p->network, n->id, sizeof(p->network));
	if (place.way != NET_WAY_BRIDGE) {
		p->endpoint[0] = '\0';
		return 0;
	}
	memcpy(e.id, p->endpoint, sizeof(e.id));
	links_of(e.id, e.host_link);
	r = net_plug_pair(host, p->inside, p->fd, &place, n, &e, err);
	return r < 0 ? r : net_link_set(p->inside, e.guest_link, &(struct net_link_change){ .up = 1 }, err);
}

static int make(struct net_state *s, const struct net_network *n, struct net_pooled **ret,
		struct plug_error *err)
{
	struct net_pooled *p = calloc(1, sizeof(*p));
	_cleanup_free_ char *path = NULL;
	int r;

	if (!p)
		return plug_error_errno(err, -ENOMEM, "pool");
	p->fd = -1;
	r = net_id_make(p->ns) ?: net_id_make(p->endpoint);
	if (r < 0)
		(void)plug_error_errno(err, r, "pool");
	path = r == 0 ? net_state_ns_path(s, p->ns) : NULL;
	if (r == 0)
		r = path ? note(s, p, err) : plug_error_errno(err, -ENOMEM, "pool");
	if (r == 0)
		r = net_ns_make(path, &p->fd, err);
	if (r == 0)
		r = net_rtnl_open(p->fd, &p->inside, err);
	if (r == 0)
		r = make_pair(s, p, n, err);
	if (r < 0)
		net_pool_discard(s, p);
	else
		*ret = p;
	return r;
}

/* Whether it was wanted still: else it is thrown away. */
static void put(struct net_state *s, struct net_pooled *p, const char *network)
{
	bool wanted;

	(void)pthread_mutex_lock(&pool.lock);
	wanted = pool.network && strcmp(pool.network, network) == 0 && pool.count < pool.size;
	if (wanted) {
		p->next = pool.first;
		pool.first = p;
		pool.count++;
	}
	(void)pthread_mutex_unlock(&pool.lock);
	if (!wanted)
		net_pool_discard(s, p);
}

/* What is there of an earlier network, or of one that was made anew. */
static void weed(struct net_state *s, const char *network)
{
	struct net_pooled *old = NULL;

	(void)pthread_mutex_lock(&pool.lock);
	if (pool.first && strcmp(pool.first->network, network) != 0)
		old = take_all();
	(void)pthread_mutex_unlock(&pool.lock);
	discard_all(s, old);
}

int net_pool_fill(struct net_state *s, struct plug_error *err)
{
	int r = 0;

	while (r == 0) {
		struct net_network *n = NULL;
		_cleanup_free_ char *network = NULL;
		struct net_pooled *p = NULL;
		bool missing;

		(void)pthread_mutex_lock(&pool.lock);
		missing = pool.count < pool.size;
		if (pool.network)
			network = strdup(pool.network);
		(void)pthread_mutex_unlock(&pool.lock);
		if (!network || net_find_network(s, network, &n, err) < 0)
			break;
		weed(s, n->id);
		if (missing && n->type != NET_CNI)
			r = make(s, n, &p, err);
		else
			r = 1;
		if (r == 0)
			put(s, p, network);
		net_network_free(n);
	}
	if (r > 0)
		return 0;
	/* Not again and again: until somebody asks for that network. */
	(void)pthread_mutex_lock(&pool.lock);
	free(pool.network);
	pool.network = NULL;
	(void)pthread_mutex_unlock(&pool.lock);
	return r;
}

void net_pool_forget(struct net_state *s, const struct net_network *n)
{
	struct net_pooled *old = NULL;

	(void)pthread_mutex_lock(&pool.lock);
	if (pool.first && strcmp(pool.first->network, n->id) == 0)
		old = take_all();
	if (pool.network && (strcmp(pool.network, n->id) == 0 || strcmp(pool.network, n->name) == 0)) {
		free(pool.network);
		pool.network = NULL;
	}
	(void)pthread_mutex_unlock(&pool.lock);
	discard_all(s, old);
}

void net_pool_drain(struct net_state *s)
{
	struct net_pooled *all;

	(void)pthread_mutex_lock(&pool.lock);
	all = take_all();
	free(pool.network);
	pool.network = NULL;
	(void)pthread_mutex_unlock(&pool.lock);
	discard_all(s, all);
}

int net_pool_sweep(struct net_state *s, struct plug_error *err)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_closedir_ DIR *dir = NULL;
	int r = 0;

	if (asprintf(&path, "%s/pool", s->net_dir) < 0)
		return plug_error_errno(err, -ENOMEM, "pool");
	dir = opendir(path);
	if (!dir)
		return errno == ENOENT ? 0 : plug_error_errno(err, -errno, "%s", path);
	for (struct dirent *d; r == 0 && (d = readdir(dir));) {
		char endpoint[NET_ID_SIZE] = "";
		_cleanup_close_ int fd = -1;

		if (d->d_name[0] == '.')
			continue;
		fd = openat(dirfd(dir), d->d_name, O_RDONLY | O_CLOEXEC);
		/* Empty or torn: the pair was not made yet. */
		if (fd < 0 || read(fd, endpoint, NET_ID_SIZE - 1) != NET_ID_SIZE - 1)
			endpoint[0] = '\0';
		r = discard(s, d->d_name, endpoint, err);
	}
	return r;
}
