/* SPDX-License-Identifier: MIT */
/* Leases and reservations: files named by their addresses. */
#include "model/ipam.h"
#include "model/store_private.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define OWNER_MAX 255
#define TRIES 8 /* addresses in a row that are tried before all leases are looked at */

/* One network's directories; -1 where there is none (yet). */
struct book {
	struct net_store *store;
	const char *network; /* id */
	const struct net_network *n; /* NULL where nothing is taken */
	int fds[STORE_PLACES];
};

static void book_close(struct book *b)
{
	plug_closep(&b->fds[STORE_RUN]);
	plug_closep(&b->fds[STORE_STATE]);
}
#define _cleanup_book_ __attribute__((cleanup(book_close)))

static int book_error(const struct book *b, int place, int code, struct plug_error *err)
{
	return plug_error_errno(err, code, "%s/net/%s/%s", b->store->dirs[place],
				place == STORE_RUN ? "leases" : "reserved", b->network);
}

static int book_open(struct book *b, struct net_store *s, const char *network, struct plug_error *err)
{
	*b = (struct book){ .store = s, .network = network, .fds = { -1, -1 } };
	for (int place = 0; place < STORE_PLACES; place++) {
		b->fds[place] = openat(s->leases[place], network,
				       O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (b->fds[place] < 0 && errno != ENOENT)
			return book_error(b, place, -errno, err);
	}
	return 0;
}

static int book_make(struct book *b, int place, struct plug_error *err)
{
	int above = b->store->leases[place];

	if (b->fds[place] >= 0)
		return 0;
	if (mkdirat(above, b->network, 0700) < 0 && errno != EEXIST)
		return book_error(b, place, -errno, err);
	/* A reservation in a directory that a power cut takes away is none. */
	if (place == STORE_STATE && fsync(above) < 0)
		return book_error(b, place, -errno, err);
	b->fds[place] = openat(above, b->network, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return b->fds[place] < 0 ? book_error(b, place, -errno, err) : 0;
}

/* Whose an address is: 1 and the owner, 0 where it is free: not there, empty, not a name. */
static int owner_read(const struct book *b, int place, const struct net_addr *addr,
		      char owner[OWNER_MAX + 1])
{
	_cleanup_free_ char *text = NULL;
	char name[NET_ADDR_TEXT];
	size_t size;
	int r;

	if (b->fds[place] < 0)
		return 0;
	net_addr_format(addr, name);
	r = net_file_read(b->fds[place], name, OWNER_MAX + 1, &text, &size);
	if (r == -ENOENT || r == -EFBIG || r == -EUCLEAN)
		return 0;
	if (r < 0)
		return r;
	if (size && text[size - 1] == '\n')
		text[--size] = 0;
	else
		size = 0; /* cut off */
	if (!size || strlen(text) != size)
		return 0;
	(void)snprintf(owner, OWNER_MAX + 1, "%s", text);
	return 1;
}

static int owner_write(struct book *b, int place, const struct net_addr *addr, const char *owner,
		       struct plug_error *err)
{
	char name[NET_ADDR_TEXT], text[OWNER_MAX + 2];
	int r = book_make(b, place, err);

	if (r < 0)
		return r;
	net_addr_format(addr, name);
	(void)snprintf(text, sizeof(text), "%s\n", owner);
	r = net_file_write(b->fds[place], name, text, place == STORE_STATE);
	return r < 0 ? book_error(b, place, r, err) : 0;
}

/* Who stands in the way of owner; 0: nobody; 1: it has the lease already; -EADDRINUSE. */
static int owner_check(const struct book *b, const struct net_addr *addr, const char *owner,
		       struct plug_error *err)
{
	char other[OWNER_MAX + 1], text[NET_ADDR_TEXT];
	int r = owner_read(b, STORE_STATE, addr, other);

	net_addr_format(addr, text);
	for (size_t i = 0; b->n && i < b->n->aux_count; i++)
		if (net_addr_same(&b->n->aux[i].addr, addr))
			return plug_error_set(err, -EADDRINUSE, "%s: belongs to %s", text, b->n->aux[i].name);
	if (r < 0)
		return book_error(b, STORE_STATE, r, err);
	if (r > 0 && strcmp(other, owner) != 0)
		return plug_error_set(err, -EADDRINUSE, "%s: reserved for %s", text, other);
	r = owner_read(b, STORE_RUN, addr, other);
	if (r < 0)
		return book_error(b, STORE_RUN, r, err);
	if (r > 0 && strcmp(other, owner) != 0)
		return plug_error_set(err, -EADDRINUSE, "%s: in use by %s", text, other);
	return r;
}

/* The addresses that may be given: first to last, but for the gateway. */
struct pool {
	struct net_addr first, last, gateway;
};

static void pool_make(const struct net_subnet *subnet, struct pool *ret)
{
	const struct net_addr *from = subnet->range.family ? &subnet->range : &subnet->prefix;
	struct net_addr first = net_addr_network(from), network, broadcast;
	unsigned host_bits = net_addr_bits(&subnet->prefix) - subnet->prefix.prefix;

	first.prefix = net_addr_bits(from);
	*ret = (struct pool){ first, net_addr_last(from), subnet->gateway };
	/* Two hosts share a /31 or /127, and a /32 is one. */
	if (host_bits < 2)
		return;
	network = net_addr_network(&subnet->prefix);
	broadcast = net_addr_last(&subnet->prefix);
	if (net_addr_same(&ret->first, &network))
		(void)net_addr_add(&ret->first, 1);
	if (net_addr_same(&ret->last, &broadcast) && subnet->prefix.family == AF_INET)
		for (size_t i = 4; i-- > 0;)
			if (ret->last.bytes[i]-- != 0)
				break;
}

static bool pool_has(const struct pool *pool, const struct net_addr *a)
{
	return net_addr_compare(a, &pool->first) >= 0 && net_addr_compare(a, &pool->last) <= 0 &&
	       !net_addr_same(a, &pool->gateway);
}

/* The one after, around the end; the gateway is stepped over. */
static struct net_addr pool_next(const struct pool *pool, const struct net_addr *a)
{
	struct net_addr next = *a;

	for (int i = 0; i < 2; i++) {
		if (net_addr_compare(&next, &pool->last) >= 0 || !net_addr_add(&next, 1))
			next = pool->first;
		if (!net_addr_same(&next, &pool->gateway))
			break;
	}
	return next;
}

/* ".last-N": the last address that was given; anything else there means: none yet. */
static void last_read(const struct book *b, size_t subnet, const struct pool *pool, struct net_addr *ret)
{
	_cleanup_free_ char *text = NULL;
	char name[32];
	size_t size;

	*ret = pool->last;
	(void)snprintf(name, sizeof(name), ".last-%zu", subnet);
	if (b->fds[STORE_RUN] < 0 ||
	    net_file_read(b->fds[STORE_RUN], name, NET_ADDR_TEXT + 1, &text, &size) < 0)
		return;
	text[strcspn(text, "\n")] = 0;
	if (net_addr_parse(text, ret) < 0 || !pool_has(pool, ret))
		*ret = pool->last;
}

/*
 * A hint: that it cannot be written, or is half written, costs nobody an address.  In place, since a file
 * that is replaced is one that ext4 writes to the disk at once.
 */
static void last_write(const struct book *b, size_t subnet, const struct net_addr *addr)
{
	char name[32], text[NET_ADDR_TEXT + 1];
	_cleanup_close_ int fd = -1;

	(void)snprintf(name, sizeof(name), ".last-%zu", subnet);
	net_addr_format(addr, text);
	(void)strcat(text, "\n");
	fd = openat(b->fds[STORE_RUN], name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0)
		(void)!pwrite(fd, text, strlen(text), 0);
}

struct addrs {
	struct net_addr *items;
	size_t count, capacity;
};

static int addrs_add(struct addrs *all, const struct net_addr *a)
{
	if (all->count == all->capacity) {
		size_t n = all->capacity ? 2 * all->capacity : 256;
		void *grown = reallocarray(all->items, n, sizeof(*a));

		if (!grown)
			return -ENOMEM;
		all->items = grown;
		all->capacity = n;
	}
	all->items[all->count++] = *a;
	return 0;
}

/* strict: without those whose file says nobody. */
static int addrs_read(const struct book *b, int place, const struct pool *pool, bool strict,
		      struct addrs *all)
{
	_cleanup_closedir_ DIR *d = NULL;
	char owner[OWNER_MAX + 1];
	struct net_addr a;
	struct dirent *e;
	int r = 0;

	if (b->fds[place] < 0)
		return 0;
	d = net_dir_open(b->fds[place]);
	if (!d)
		return -errno;
	while (r == 0 && (e = readdir(d))) {
		if (net_addr_parse(e->d_name, &a) < 0 || !pool_has(pool, &a) ||
		    (strict && owner_read(b, place, &a, owner) == 0))
			continue;
		r = addrs_add(all, &a);
	}
	return r;
}

/* Those of others outside. */
static int addrs_aux(const struct book *b, const struct pool *pool, struct addrs *all)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < b->n->aux_count; i++)
		if (pool_has(pool, &b->n->aux[i].addr))
			r = addrs_add(all, &b->n->aux[i].addr);
	return r;
}

static int addr_compare(const void *a, const void *b)
{
	return net_addr_compare(a, b);
}

/* The first after *at that nobody has.  -EADDRNOTAVAIL: once around, and all are taken. */
static int gap_find(const struct book *b, const struct pool *pool, bool strict, struct net_addr *at)
{
	struct addrs all = { 0 };
	struct net_addr from = *at;
	int r = addrs_read(b, STORE_STATE, pool, strict, &all) ?:
		addrs_read(b, STORE_RUN, pool, strict, &all) ?:
		addrs_aux(b, pool, &all);

	if (r == 0 && all.count)
		qsort(all.items, all.count, sizeof(*all.items), addr_compare);
	/* Each step passes an address that is taken, or is the end: at most all.count + 1 of them. */
	for (size_t i = 0; r == 0; i++) {
		if (pool_has(pool, at) &&
		    !(all.count && bsearch(at, all.items, all.count, sizeof(*all.items), addr_compare)))
			break;
		*at = pool_next(pool, at);
		if (i > all.count + 1 || net_addr_same(at, &from))
			r = -EADDRNOTAVAIL;
	}
	free(all.items);
	return r;
}

static int next_find(struct book *b, const struct net_network *n, size_t subnet,
		     const struct pool *pool, const char *owner, struct net_addr *ret,
		     struct plug_error *err)
{
	struct plug_error why = { 0 };
	struct net_addr at;
	int r = -EADDRINUSE;

	last_read(b, subnet, pool, &at);
	for (int i = 0; r == -EADDRINUSE && i < TRIES; i++) {
		at = pool_next(pool, &at);
		r = pool_has(pool, &at) ? owner_check(b, &at, owner, &why) : -EADDRINUSE;
	}
	if (r == -EADDRINUSE)
		r = gap_find(b, pool, false, &at);
	if (r == -EADDRNOTAVAIL)
		r = gap_find(b, pool, true, &at);
	if (r == -EADDRNOTAVAIL) {
		char text[NET_ADDR_TEXT];

		net_addr_format_prefix(n->subnets[subnet].range.family ? &n->subnets[subnet].range :
									 &n->subnets[subnet].prefix,
				       text);
		return plug_error_set(err, r, "network %s: no address of %s is free",
				      n->name ? n->name : n->id, text);
	}
	if (r < 0)
		return why.code == r ? plug_error_set(err, r, "%s", why.text)
				     : book_error(b, STORE_RUN, r, err);
	*ret = at;
	return 0;
}

static int take_locked(struct book *b, const struct net_network *n, size_t subnet,
		       const struct net_addr *wanted, const char *owner, struct net_addr *ret,
		       struct plug_error *err)
{
	struct net_addr addr = { 0 };
	struct pool pool;
	int r = 0;

	pool_make(&n->subnets[subnet], &pool);
	if (wanted) {
		addr = net_addr_host(wanted);
		r = owner_check(b, &addr, owner, err);
	} else {
		r = next_find(b, n, subnet, &pool, owner, &addr, err);
	}
	if (r < 0)
		return r;
	if (r == 0)
		r = owner_write(b, STORE_RUN, &addr, owner, err);
	if (r < 0)
		return r;
	if (!wanted)
		last_write(b, subnet, &addr);
	addr.prefix = n->subnets[subnet].prefix.prefix;
	*ret = addr;
	return 0;
}

/* Of the subnet, and not one that is never given: its own, its broadcast, its gateway. */
static int wanted_check(const struct net_network *n, size_t subnet, const struct net_addr *wanted,
			struct plug_error *err)
{
	char text[NET_ADDR_TEXT], prefix[NET_ADDR_TEXT];
	struct net_subnet whole = { .prefix = n->subnets[subnet].prefix,
				    .gateway = n->subnets[subnet].gateway };
	struct net_addr host = net_addr_host(wanted);
	struct pool pool;

	pool_make(&whole, &pool);
	if (pool_has(&pool, &host))
		return 0;
	net_addr_format(&host, text);
	net_addr_format_prefix(&whole.prefix, prefix);
	if (net_addr_same(&host, &whole.gateway))
		return plug_error_set(err, -EINVAL, "%s: the gateway of %s", text, prefix);
	return plug_error_set(err, -EINVAL, "%s: not an address for a host of %s", text, prefix);
}

static int owner_valid(const char *owner, struct plug_error *err)
{
	size_t len = strlen(owner);

	if (!len || len >= OWNER_MAX || strchr(owner, '\n'))
		return plug_error_set(err, -EINVAL, "%.64s: not an owner's name", owner);
	return 0;
}

int net_ipam_take(struct net_store *s, const struct net_network *n, size_t subnet,
		  const struct net_addr *wanted, const char *owner, struct net_addr *ret,
		  struct plug_error *err)
{
	_cleanup_book_ struct book b = { .fds = { -1, -1 } };
	int r = owner_valid(owner, err);

	if (r == 0 && subnet >= n->subnet_count)
		r = plug_error_set(err, -EINVAL, "network %s: has no subnet", n->name ? n->name : n->id);
	if (r == 0 && wanted)
		r = wanted_check(n, subnet, wanted, err);
	if (r == 0)
		r = net_store_lock(s, err);
	if (r < 0)
		return r;
	r = book_open(&b, s, n->id, err);
	b.n = n;
	if (r == 0)
		r = take_locked(&b, n, subnet, wanted, owner, ret, err);
	net_store_unlock(s);
	return r;
}

static int drop(struct net_store *s, int place, const char *network, const struct net_addr *addr,
		const char *owner, struct plug_error *err)
{
	_cleanup_book_ struct book b = { .fds = { -1, -1 } };
	char other[OWNER_MAX + 1] = "", name[NET_ADDR_TEXT];
	int r = net_store_lock(s, err);

	if (r < 0)
		return r;
	net_addr_format(addr, name);
	r = book_open(&b, s, network, err);
	if (r == 0 && b.fds[place] >= 0) {
		r = owner_read(&b, place, addr, other);
		if (r < 0)
			r = book_error(&b, place, r, err);
		else if (r > 0 && owner && strcmp(other, owner) != 0)
			r = 0; /* another's by now */
		else if (unlinkat(b.fds[place], name, 0) < 0 && errno != ENOENT)
			r = book_error(&b, place, -errno, err);
		else if (place == STORE_STATE && fsync(b.fds[place]) < 0)
			r = book_error(&b, place, -errno, err);
	}
	net_store_unlock(s);
	return r < 0 ? r : 0;
}

int net_ipam_free(struct net_store *s, const char *network, const struct net_addr *addr,
		  const char *owner, struct plug_error *err)
{
	return drop(s, STORE_RUN, network, addr, owner, err);
}

int net_ipam_unreserve(struct net_store *s, const char *network, const struct net_addr *addr,
		       const char *owner, struct plug_error *err)
{
	return drop(s, STORE_STATE, network, addr, owner, err);
}

int net_ipam_reserve(struct net_store *s, const struct net_network *n, const struct net_addr *addr,
		     const char *owner, struct plug_error *err)
{
	_cleanup_book_ struct book b = { .fds = { -1, -1 } };
	struct net_addr host = net_addr_host(addr);
	char text[NET_ADDR_TEXT];
	size_t subnet = 0;
	int r = owner_valid(owner, err);

	net_addr_format(&host, text);
	while (subnet < n->subnet_count && !net_addr_contains(&n->subnets[subnet].prefix, &host))
		subnet++;
	if (r == 0 && subnet == n->subnet_count)
		r = plug_error_set(err, -EINVAL, "%s: in no subnet of network %s", text,
				   n->name ? n->name : n->id);
	if (r == 0)
		r = wanted_check(n, subnet, &host, err);
	if (r == 0)
		r = net_store_lock(s, err);
	if (r < 0)
		return r;
	r = book_open(&b, s, n->id, err);
	b.n = n;
	if (r == 0)
		r = owner_check(&b, &host, owner, err);
	if (r >= 0)
		r = owner_write(&b, STORE_STATE, &host, owner, err);
	net_store_unlock(s);
	return r;
}
