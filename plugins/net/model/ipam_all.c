/* SPDX-License-Identifier: MIT */
/* All leases of a network, or of all networks; and subnets for those that name none. */
#include "model/ipam.h"
#include "model/store_private.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define OWNER_MAX 255

/* "OWNER\n", or NULL: empty or damaged. */
static char *owner_of(int fd, const char *name)
{
	_cleanup_free_ char *text = NULL;
	size_t size;

	if (net_file_read(fd, name, OWNER_MAX + 1, &text, &size) < 0 || size < 2 ||
	    strlen(text) != size || text[size - 1] != '\n')
		return NULL;
	text[size - 1] = 0;
	return plug_take_ptr(text);
}

struct sweep {
	bool (*alive)(void *arg, const char *network, const char *owner);
	void *arg;
	size_t freed;
};

static int network_sweep(int fd, const char *network, struct sweep *sweep)
{
	_cleanup_closedir_ DIR *d = net_dir_open(fd);
	struct net_addr a;
	struct dirent *e;

	if (!d)
		return -errno;
	while ((e = readdir(d))) {
		_cleanup_free_ char *owner = NULL;

		if (net_addr_parse(e->d_name, &a) < 0)
			continue;
		owner = owner_of(fd, e->d_name);
		if (owner && sweep->alive(sweep->arg, network, owner))
			continue;
		if (unlinkat(fd, e->d_name, 0) < 0 && errno != ENOENT)
			return -errno;
		sweep->freed++;
	}
	return 0;
}

static int networks_sweep(struct net_store *s, int place, struct sweep *sweep)
{
	_cleanup_closedir_ DIR *d = net_dir_open(s->leases[place]);
	struct dirent *e;
	int r = d ? 0 : -errno;

	while (r == 0 && (e = readdir(d))) {
		_cleanup_close_ int fd = -1;
		char id[NET_ID_SIZE];

		if (net_id_parse(e->d_name, id) < 0)
			continue;
		fd = openat(s->leases[place], e->d_name,
			    O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		r = fd < 0 ? -errno : network_sweep(fd, e->d_name, sweep);
	}
	return r;
}

int net_ipam_reconcile(struct net_store *s,
		       bool (*alive)(void *arg, const char *network, const char *owner), void *arg,
		       size_t *ret_freed, struct plug_error *err)
{
	struct sweep sweep = { alive, arg, 0 };
	int r = net_store_lock(s, err);

	if (r < 0)
		return r;
	r = networks_sweep(s, STORE_RUN, &sweep) ?: networks_sweep(s, STORE_STATE, &sweep);
	if (r < 0)
		(void)plug_error_errno(err, r, "%s/net/leases", s->dirs[STORE_RUN]);
	net_store_unlock(s);
	if (r == 0 && ret_freed)
		*ret_freed = sweep.freed;
	return r;
}

/* A network is gone: its leases and reservations mean nothing. */
void net_store_leases_drop(struct net_store *s, const char *network)
{
	for (int place = 0; place < STORE_PLACES; place++) {
		_cleanup_closedir_ DIR *d = NULL;
		struct dirent *e;
		int fd = openat(s->leases[place], network,
				O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

		if (fd < 0)
			continue;
		d = fdopendir(fd);
		if (!d) {
			(void)close(fd);
			continue;
		}
		while ((e = readdir(d)))
			if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
				(void)unlinkat(fd, e->d_name, 0);
		(void)unlinkat(s->leases[place], network, AT_REMOVEDIR);
	}
}

static int lease_add(struct net_lease **list, size_t *count, const struct net_addr *addr, char *owner,
		     bool reserved)
{
	struct net_lease *grown;

	for (size_t i = 0; i < *count; i++)
		if (net_addr_same(&(*list)[i].addr, addr)) {
			(*list)[i].reserved = (*list)[i].reserved || reserved;
			free(owner);
			return 0;
		}
	grown = reallocarray(*list, *count + 1, sizeof(*grown));
	if (!grown) {
		free(owner);
		return -ENOMEM;
	}
	*list = grown;
	grown[(*count)++] = (struct net_lease){ *addr, owner, reserved };
	return 0;
}

static int leases_read(struct net_store *s, int place, const char *network, struct net_lease **list,
		       size_t *count)
{
	_cleanup_close_ int fd = openat(s->leases[place], network,
					O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	_cleanup_closedir_ DIR *d = NULL;
	struct net_addr a;
	struct dirent *e;
	int r = 0;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	d = net_dir_open(fd);
	if (!d)
		return -errno;
	while (r == 0 && (e = readdir(d))) {
		char *owner;

		if (net_addr_parse(e->d_name, &a) < 0)
			continue;
		owner = owner_of(fd, e->d_name);
		if (owner)
			r = lease_add(list, count, &a, owner, place == STORE_STATE);
	}
	return r;
}

static int lease_compare(const void *a, const void *b)
{
	const struct net_lease *x = a, *y = b;

	return net_addr_compare(&x->addr, &y->addr);
}

int net_ipam_list(struct net_store *s, const char *network, struct net_lease **ret, size_t *ret_count,
		  struct plug_error *err)
{
	struct net_lease *list = NULL;
	size_t count = 0;
	int r = net_store_lock(s, err);

	if (r < 0)
		return r;
	r = leases_read(s, STORE_RUN, network, &list, &count) ?:
	    leases_read(s, STORE_STATE, network, &list, &count);
	net_store_unlock(s);
	if (r < 0) {
		net_leases_free(list, count);
		return plug_error_errno(err, r, "leases of %s", network);
	}
	if (count)
		qsort(list, count, sizeof(*list), lease_compare);
	*ret = list;
	*ret_count = count;
	return 0;
}

void net_leases_free(struct net_lease *leases, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(leases[i].owner);
	free(leases);
}

/* Every subnet of the store's networks, after those of `taken`. */
static int subnets_read(struct net_store *s, struct net_addr **list, size_t *count,
			struct plug_error *err)
{
	struct net_entry *entries;
	size_t n;
	int r = net_store_list(s, NET_NETWORKS, NULL, &entries, &n, err);

	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct net_network *network;
		struct net_addr *grown;

		/* What cannot be read has no addresses in use. */
		if (net_store_network(s, entries[i].id, &network, NULL) < 0)
			continue;
		grown = reallocarray(*list, *count + network->subnet_count + 1, sizeof(*grown));
		r = grown ? 0 : plug_error_errno(err, -ENOMEM, "subnets");
		if (grown)
			*list = grown;
		for (size_t k = 0; r == 0 && k < network->subnet_count; k++)
			(*list)[(*count)++] = network->subnets[k].prefix;
		net_network_free(network);
	}
	net_entries_free(entries, n);
	return r;
}

static bool overlaps_any(const struct net_addr *p, const struct net_addr *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		/* A default route is no network of its own. */
		if (list[i].prefix && net_addr_overlaps(p, &list[i]))
			return true;
	return false;
}

int net_ipam_subnet_choose(struct net_store *s, const struct net_addr *taken, size_t taken_count,
			   struct net_subnet *ret, struct plug_error *err)
{
	struct net_addr *list = NULL;
	size_t count = 0;
	int r = subnets_read(s, &list, &count, err);

	for (unsigned i = 0; r == 0 && i < 4 + 166; i++) {
		bool large = i < 4;
		struct net_addr p = { .family = AF_INET, .prefix = large ? 16 : 24 };

		p.bytes[0] = large ? 172 : 10;
		p.bytes[1] = (uint8_t)(large ? 28 + i : 89);
		p.bytes[2] = (uint8_t)(large ? 0 : i - 4);
		if (overlaps_any(&p, list, count) || overlaps_any(&p, taken, taken_count))
			continue;
		*ret = (struct net_subnet){ .prefix = p, .gateway = net_addr_host(&p) };
		ret->gateway.bytes[3] = 1;
		free(list);
		return 0;
	}
	free(list);
	return r < 0 ? r
		     : plug_error_set(err, -EADDRNOTAVAIL,
				      "subnets: 172.28.0.0/14 and 10.89.0.0/16 are all in use here");
}
