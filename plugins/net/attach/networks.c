/* SPDX-License-Identifier: MIT */
#include "attach/networks.h"

#include "attach/attach.h"
#include "attach/network.h"
#include "common/util.h"
#include "model/make.h"
#include "model/shape.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

static struct {
	pthread_mutex_t news; /* held for moments only: the loop takes it, too */
	struct net_networks next;
	bool has_next;
	struct plug_text told;
	struct net_strv failed; /* NAME, cause, NAME, cause, … */

	pthread_mutex_t work; /* of who settles */
	struct net_networks wanted;
	atomic_uint asked, done; /* the same: nothing is to be done */
	atomic_bool waiting;     /* for endpoints to go */
} networks = { .news = PTHREAD_MUTEX_INITIALIZER, .work = PTHREAD_MUTEX_INITIALIZER, .asked = 1 };

/* ---- what the configuration says */

void net_networks_free(struct net_networks *list)
{
	for (size_t i = 0; i < list->count; i++)
		net_network_free(list->items[i]);
	free(list->items);
	*list = (struct net_networks){ 0 };
}

static int at_pointer(struct plug_error *err, size_t i)
{
	char text[sizeof(err->text)];

	(void)snprintf(text, sizeof(text), "%s", err->text);
	return plug_error_set(err, -EINVAL, "/networks/%zu%s%.400s", i, *text == '/' ? "" : ": ", text);
}

static int parse_one(struct json_object *o, size_t i, struct net_networks *list, struct plug_error *err)
{
	struct net_network *n;

	if (net_configured_network_parse(o, &n, err) < 0)
		return at_pointer(err, i);
	list->items[list->count++] = n;
	for (size_t k = 0; k < i; k++) {
		if (!strcmp(list->items[k]->name, n->name))
			return plug_error_set(err, -EINVAL, "/networks/%zu: \"%.64s\" is there twice", i,
					      n->name);
		if (net_network_check_beside(n, list->items[k], err) < 0)
			return at_pointer(err, i);
	}
	return 0;
}

int net_networks_parse(struct json_object *json, struct net_networks *ret, struct plug_error *err)
{
	struct net_networks list = { 0 };
	size_t count = plug_json_length(json);
	int r = 0;

	list.items = calloc(count + 1, sizeof(*list.items));
	if (!list.items)
		return plug_error_errno(err, -ENOMEM, "/networks");
	for (size_t i = 0; r == 0 && i < count; i++)
		r = parse_one(json_object_array_get_idx(json, i), i, &list, err);
	if (r < 0)
		net_networks_free(&list);
	else
		*ret = list;
	return r;
}

bool net_networks_want(struct net_networks *list)
{
	bool had;

	(void)pthread_mutex_lock(&networks.news);
	had = networks.has_next || atomic_load(&networks.done);
	net_networks_free(&networks.next);
	networks.next = *list;
	networks.has_next = true;
	(void)pthread_mutex_unlock(&networks.news);
	had = had || list->count;
	*list = (struct net_networks){ 0 };
	atomic_fetch_add(&networks.asked, 1);
	return had;
}

void net_networks_again(void)
{
	if (atomic_exchange(&networks.waiting, false))
		atomic_fetch_add(&networks.asked, 1);
}

/* ---- what is told */

static void tell(const char *text)
{
	(void)pthread_mutex_lock(&networks.news);
	plug_text_add(&networks.told, "%s\n", text);
	(void)pthread_mutex_unlock(&networks.news);
}

void net_networks_told(struct plug_text *ret)
{
	(void)pthread_mutex_lock(&networks.news);
	*ret = networks.told;
	networks.told = (struct plug_text){ 0 };
	(void)pthread_mutex_unlock(&networks.news);
}

static void note_failed(const char *name, const char *cause)
{
	(void)pthread_mutex_lock(&networks.news);
	(void)(net_strv_add(&networks.failed, name) ?: net_strv_add(&networks.failed, cause));
	(void)pthread_mutex_unlock(&networks.news);
	tell(cause);
}

int net_networks_failed(const char *name, struct plug_error *err)
{
	int r = 0;

	(void)pthread_mutex_lock(&networks.news);
	for (size_t i = 0; i + 1 < networks.failed.count; i += 2)
		if (!strcmp(networks.failed.items[i], name))
			r = plug_error_set(err, -ENOENT, "%s", networks.failed.items[i + 1]);
	(void)pthread_mutex_unlock(&networks.news);
	return r;
}

/* ---- against what is there */

static int used_by(struct net_state *s, const struct net_network *n, size_t *ret, struct plug_error *err)
{
	struct net_entry *entries;
	int r = net_store_list(s->store, NET_ENDPOINTS, n->id, &entries, ret, err);

	if (r == 0)
		net_entries_free(entries, *ret);
	return r;
}

/* In one piece: nobody plugs in, and nobody makes the bridge again, between its end and the network's. */
static int take_away(struct net_state *s, const struct net_network *n, struct plug_error *err)
{
	size_t users = 0;
	int r = net_store_lock(s->store, err);

	if (r < 0)
		return r;
	r = used_by(s, n, &users, err);
	if (r == 0 && !users)
		r = net_network_take_down(s, n, err);
	if (r == 0)
		r = net_network_unmake(s->store, n, err); /* which says who uses it */
	net_store_unlock(s->store);
	return r;
}

/* The network of exactly this name, or NULL. */
static struct net_network *there_is(struct net_state *s, const char *name)
{
	struct net_network *n = NULL;

	if (net_store_network(s->store, name, &n, NULL) < 0)
		return NULL;
	/* CNI's directory goes last. */
	if (!n->foreign && n->name && !strcmp(n->name, name))
		return n;
	net_network_free(n);
	return NULL;
}

static struct net_network *copy(const struct net_network *n)
{
	_cleanup_json_ struct json_object *o = net_hcn_network_print(n);
	struct net_network *made = NULL;

	if (o)
		(void)net_hcn_network_parse(o, &made, NULL);
	return made;
}

/* What the configuration leaves open is as it is there. */
static void fill_in(struct net_network *n, struct net_network *there)
{
	if (!*n->id)
		memcpy(n->id, there->id, sizeof(n->id));
	if (!*n->bridge)
		memcpy(n->bridge, there->bridge, sizeof(n->bridge));
	n->created = there->created;
	if (!n->subnet_count) {
		struct net_subnet *none = n->subnets;

		n->subnets = there->subnets;
		n->subnet_count = there->subnet_count;
		there->subnets = none;
		there->subnet_count = 0;
	}
	for (size_t i = 0; i < n->subnet_count && i < there->subnet_count; i++)
		if (!net_addr_is_set(&n->subnets[i].gateway) &&
		    net_addr_same(&n->subnets[i].prefix, &there->subnets[i].prefix))
			n->subnets[i].gateway = there->subnets[i].gateway;
}

static bool same_text(const char *a, const char *b)
{
	return !strcmp(a ? a : "", b ? b : "");
}

/* What endpoints are plugged into cannot be changed below them. */
static bool same_wiring(const struct net_network *a, const struct net_network *b)
{
	_cleanup_json_ struct json_object *x = net_hcn_network_print(a), *y = net_hcn_network_print(b);

	return a->type == b->type && a->dhcp == b->dhcp && a->mtu == b->mtu && a->vlan == b->vlan &&
	       a->vxlan_port == b->vxlan_port && !strcmp(a->id, b->id) && !strcmp(a->bridge, b->bridge) &&
	       same_text(a->adapter, b->adapter) && same_text(a->conflist, b->conflist) && x && y &&
	       json_object_equal(net_json_get(x, "Ipams"), net_json_get(y, "Ipams"));
}

static bool same(const struct net_network *a, const struct net_network *b)
{
	_cleanup_json_ struct json_object *x = net_hcn_network_print(a), *y = net_hcn_network_print(b);

	return x && y && json_object_equal(x, y);
}

static int make(struct net_state *s, struct net_network *n, struct plug_error *err)
{
	_cleanup_rtnl_ struct net_rtnl *host = NULL;
	_cleanup_free_ struct net_addr *taken = NULL;
	size_t count = 0;
	int r = net_rtnl_open(-1, &host, err);

	if (r == 0)
		r = net_route_destinations(host, &taken, &count, err);
	return r ?: net_network_make(s->store, n, taken, count, err);
}

/* n is wanted, and one of its name is there. */
static int compare(struct net_state *s, struct net_network *n, struct net_network *there,
		   struct plug_error *err)
{
	struct net_network *before = copy(there);
	size_t users = 0;
	int r = before ? used_by(s, there, &users, err)
		       : plug_error_errno(err, -ENOMEM, "network %s", n->name);

	if (r < 0) {
		net_network_free(before);
		return r;
	}
	fill_in(n, there);
	if (same(n, before)) {
		r = 0;
	} else if (same_wiring(n, before)) {
		r = net_store_put_network(s->store, n, NET_PUT_CHANGE, err) ?: net_network_changed(s, n, err);
	} else if (!users) {
		r = take_away(s, before, err) ?: make(s, n, err);
	} else {
		atomic_store(&networks.waiting, true);
		r = plug_error_set(err, -EBUSY,
				   "network %s: changes once nobody uses it: %zu endpoint%s in it", n->name,
				   users, users == 1 ? " is" : "s are");
	}
	net_network_free(before);
	return r;
}

static void bring_up(struct net_state *s, const struct net_network *wanted)
{
	struct net_network *n = copy(wanted), *there = there_is(s, wanted->name);
	struct plug_error err = { 0 };
	int r;

	if (!n)
		r = plug_error_errno(&err, -ENOMEM, "network %s", wanted->name);
	else if (!there)
		r = make(s, n, &err);
	else if (!there->configured)
		r = plug_error_set(&err, -EEXIST,
				   "network %s: there is one that `cowherd network create` made: as long as "
				   "it is there, the configuration's is not",
				   wanted->name);
	else
		r = compare(s, n, there, &err);
	if (r == -EBUSY || (r == -EEXIST && there))
		tell(err.text); /* there is one, after all */
	else if (r < 0)
		note_failed(wanted->name, err.text);
	net_network_free(n);
	net_network_free(there);
}

/* say: what stays because it is used is worth a line. */
static void bring_down(struct net_state *s, const struct net_network *n, bool say)
{
	struct plug_error err = { 0 };
	size_t users = 0;
	int r = used_by(s, n, &users, &err);

	if (r == 0 && users) {
		atomic_store(&networks.waiting, true);
		r = plug_error_set(&err, -EBUSY,
				   "network %s: is not in the configuration any more, and goes once nobody "
				   "uses it: %zu endpoint%s in it",
				   n->name, users, users == 1 ? " is" : "s are");
	} else if (r == 0) {
		r = take_away(s, n, &err);
	}
	if (r < 0 && say)
		tell(err.text);
}

static bool is_wanted(const struct net_networks *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++)
		if (!strcmp(list->items[i]->name, name))
			return true;
	return false;
}

/* Those that the configuration made, but does not want any more. */
static void bring_down_others(struct net_state *s, const struct net_networks *wanted, bool say)
{
	struct net_entry *entries = NULL;
	size_t count = 0;

	if (net_store_list(s->store, NET_NETWORKS, NULL, &entries, &count, NULL) < 0)
		return;
	for (size_t i = 0; i < count; i++) {
		struct net_network *n = NULL;

		if (entries[i].durable || is_wanted(wanted, entries[i].name) ||
		    net_store_network(s->store, entries[i].id, &n, NULL) < 0)
			continue;
		if (n->configured)
			bring_down(s, n, say);
		net_network_free(n);
	}
	net_entries_free(entries, count);
}

static void take_news(void)
{
	(void)pthread_mutex_lock(&networks.news);
	if (networks.has_next) {
		net_networks_free(&networks.wanted);
		networks.wanted = networks.next;
		networks.next = (struct net_networks){ 0 };
		networks.has_next = false;
	}
	net_strv_finish(&networks.failed);
	(void)pthread_mutex_unlock(&networks.news);
}

void net_networks_settle(struct net_state *s)
{
	unsigned asked;

	if (atomic_load(&networks.asked) == atomic_load(&networks.done))
		return;
	(void)pthread_mutex_lock(&networks.work);
	asked = atomic_load(&networks.asked);
	if (asked != atomic_load(&networks.done)) {
		take_news();
		bring_down_others(s, &networks.wanted, true);
		for (size_t i = 0; i < networks.wanted.count; i++)
			bring_up(s, networks.wanted.items[i]);
		atomic_store(&networks.done, asked);
	}
	(void)pthread_mutex_unlock(&networks.work);
}

void net_networks_let_go(struct net_state *s)
{
	static const struct net_networks none;

	bring_down_others(s, &none, false);
	take_news();
	net_networks_free(&networks.wanted);
	plug_text_finish(&networks.told);
	networks.told = (struct plug_text){ 0 };
	atomic_store(&networks.waiting, false);
	atomic_store(&networks.asked, 1);
	atomic_store(&networks.done, 0);
}
