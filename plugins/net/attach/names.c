/* SPDX-License-Identifier: MIT */
#include "attach/names.h"

#include "attach/cards.h"
#include "common/util.h"
#include "dns/resolver.h"
#include "model/make.h"
#include "model/shape.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* Who is a member of which network's resolver. */
struct member {
	struct member *next;
	char endpoint[NET_ID_SIZE], network[NET_ID_SIZE];
};

/* n and e: plugged in; n alone: changed; neither: gone. */
struct note {
	struct note *next;
	struct net_network *n;
	struct net_endpoint *e;
	char endpoint[NET_ID_SIZE];
};

static struct {
	const struct cowherd_host *host;
	struct cowherd_self *self;
	struct net_resolver *resolver;
	struct member *members;
	pthread_mutex_t lock; /* of the notes */
	struct note *notes, **last;
} names = { .lock = PTHREAD_MUTEX_INITIALIZER, .last = &names.notes };

/* ---- the resolver */

/* Addresses as texts with a list that ends with NULL. */
struct texts {
	char text[16][NET_ADDR_TEXT];
	const char *list[17];
	size_t count;
};

static void texts_add(struct texts *t, const struct net_addr *a, bool prefix)
{
	if (!net_addr_is_set(a) || t->count == PLUG_ELEMENTS(t->text))
		return;
	if (prefix)
		net_addr_format_prefix(a, t->text[t->count]);
	else
		net_addr_format(a, t->text[t->count]);
	t->list[t->count] = t->text[t->count];
	t->count++;
}

static const char **list_of(const struct net_strv *v, size_t more)
{
	const char **list = calloc(v->count + more + 1, sizeof(*list));

	for (size_t i = 0; list && i < v->count; i++)
		list[i] = v->items[i];
	return list;
}

bool net_network_resolves(const struct net_network *n)
{
	if (!net_type_is_routed(n->type))
		return false;
	for (size_t i = 0; i < n->subnet_count; i++)
		if (net_addr_is_set(&n->subnets[i].gateway))
			return true;
	return false;
}

static int open_network(const struct net_network *n, struct plug_error *err)
{
	struct texts listen = { 0 }, subnets = { 0 };
	_cleanup_free_ const char **servers = list_of(&n->dns.servers, 0);
	const struct net_resolver_network network = { .id = n->id, .device = n->bridge,
						      .listen = listen.list, .domain = n->dns.domain,
						      .subnets = subnets.list, .servers = servers };

	if (!servers)
		return plug_error_errno(err, -ENOMEM, "resolver");
	for (size_t i = 0; i < n->subnet_count; i++) {
		texts_add(&listen, &n->subnets[i].gateway, false);
		texts_add(&subnets, &n->subnets[i].prefix, true);
	}
	return net_resolver_open(names.resolver, &network, err);
}

static int add_member(const struct net_network *n, const struct net_endpoint *e, const struct net_strv *dns,
		      struct plug_error *err)
{
	struct texts addresses = { 0 };
	_cleanup_free_ const char **all = list_of(&e->aliases, 3), **servers = list_of(dns, 0);
	const char *container = e->containers.count ? e->containers.items[0] : NULL;
	_cleanup_free_ char *name = net_endpoint_called(e);
	char brief[13];
	size_t k = 0;

	if (!all || !servers || !name)
		return plug_error_errno(err, -ENOMEM, "resolver");
	/* The name first: it is what addresses are answered with. */
	memmove(all + 1, all, e->aliases.count * sizeof(*all));
	all[k++] = name;
	k += e->aliases.count;
	if (container) {
		(void)snprintf(brief, sizeof(brief), "%s", container);
		all[k++] = container;
		all[k++] = brief;
	}
	for (size_t i = 0; i < e->ip_count; i++)
		texts_add(&addresses, &e->ips[i], false);
	return net_resolver_set(names.resolver, n->id,
				&(struct net_resolver_member){ .owner = e->id, .container = container,
							       .names = all, .addresses = addresses.list,
							       .servers = dns->count ? servers : NULL },
				err);
}

static struct member *member_find(const char *endpoint)
{
	struct member *m = names.members;

	while (m && strcmp(m->endpoint, endpoint) != 0)
		m = m->next;
	return m;
}

static int member_note(const struct net_network *n, const struct net_endpoint *e, struct plug_error *err)
{
	struct member *m = member_find(e->id);

	if (m)
		return 0;
	m = calloc(1, sizeof(*m));
	if (!m)
		return plug_error_errno(err, -ENOMEM, "resolver");
	memcpy(m->endpoint, e->id, sizeof(m->endpoint));
	memcpy(m->network, n->id, sizeof(m->network));
	m->next = names.members;
	names.members = m;
	return 0;
}

static void member_drop(const char *endpoint)
{
	for (struct member **p = &names.members, *m; (m = *p); p = &m->next) {
		if (strcmp(m->endpoint, endpoint) != 0)
			continue;
		net_resolver_unset(names.resolver, m->network, m->endpoint);
		*p = m->next;
		free(m);
		return;
	}
}

int net_names_add(const struct net_network *n, const struct net_endpoint *e, const struct net_strv *dns,
		  struct plug_error *err)
{
	int r = 0;

	net_cards_note(n);
	if (!net_network_resolves(n))
		return 0;
	if (!names.resolver)
		r = net_resolver_create(names.host, names.self, NULL, &names.resolver);
	if (r < 0)
		return plug_error_errno(err, r, "resolver");
	r = open_network(n, err);
	if (r == 0)
		r = add_member(n, e, dns && dns->count ? dns : &e->dns.servers, err);
	return r < 0 ? r : member_note(n, e, err);
}

/* Only where somebody listens: else it is opened with its first member. */
static int network_changed(const struct net_network *n, struct plug_error *err)
{
	for (const struct member *m = names.members; m; m = m->next)
		if (!strcmp(m->network, n->id))
			return open_network(n, err);
	return 0;
}

/* ---- notes */

static void note_free(struct note *note)
{
	net_network_free(note->n);
	net_endpoint_free(note->e);
	free(note);
}

static void note_add(struct note *note)
{
	(void)pthread_mutex_lock(&names.lock);
	*names.last = note;
	names.last = &note->next;
	(void)pthread_mutex_unlock(&names.lock);
}

void net_names_note(struct net_state *s, const char *endpoint)
{
	struct note *note = calloc(1, sizeof(*note));

	if (note && net_store_endpoint(s->store, endpoint, &note->e, NULL) == 0 &&
	    net_store_network(s->store, note->e->network, &note->n, NULL) == 0) {
		note_add(note);
		return;
	}
	if (note)
		note_free(note);
}

void net_names_note_gone(const char *endpoint)
{
	struct note *note = calloc(1, sizeof(*note));

	if (!note)
		return;
	(void)snprintf(note->endpoint, sizeof(note->endpoint), "%s", endpoint);
	note_add(note);
}

void net_names_note_network(const struct net_network *n)
{
	struct note *note = calloc(1, sizeof(*note));
	_cleanup_json_ struct json_object *o = net_hcn_network_print(n);

	if (note && o && net_hcn_network_parse(o, &note->n, NULL) == 0)
		note_add(note);
	else
		free(note);
}

static void settle_one(const struct note *note)
{
	struct plug_error err = { 0 };
	int r = 0;

	if (note->e)
		r = net_names_add(note->n, note->e, NULL, &err);
	else if (note->n)
		r = network_changed(note->n, &err);
	else
		member_drop(note->endpoint);
	if (r < 0)
		names.host->log(names.self, COWHERD_LOG_WARN, NULL, "net.resolver", err.text);
}

void net_names_settle(void)
{
	struct note *list, *next;

	(void)pthread_mutex_lock(&names.lock);
	list = names.notes;
	names.notes = NULL;
	names.last = &names.notes;
	(void)pthread_mutex_unlock(&names.lock);
	for (; list; list = next) {
		next = list->next;
		settle_one(list);
		note_free(list);
	}
}

/* ---- lives of containers */

/* Between two lives nobody answers there, and its share of a common name is others'. */
static int container_stopped(void *arg, cowherd_op op, const char *container)
{
	(void)arg;
	(void)op;
	if (names.resolver)
		net_resolver_hide(names.resolver, container, true);
	return 0;
}

static int container_start(void *arg, cowherd_op op, const char *container)
{
	(void)arg;
	(void)op;
	if (names.resolver)
		net_resolver_hide(names.resolver, container, false);
	return 0;
}

void net_names_start(const struct cowherd_host *host, struct cowherd_self *self)
{
	names.host = host;
	names.self = self;
	names.resolver = NULL;
	names.members = NULL;
	(void)host->register_hook(self, COWHERD_HOOK_CONTAINER_STOPPED, container_stopped, NULL);
	(void)host->register_hook(self, COWHERD_HOOK_CONTAINER_START, container_start, NULL);
}

void net_names_finish(void)
{
	struct note *next;

	while (names.members) {
		struct member *m = names.members;

		names.members = m->next;
		free(m);
	}
	for (struct note *note = names.notes; note; note = next) {
		next = note->next;
		note_free(note);
	}
	names.notes = NULL;
	names.last = &names.notes;
	net_resolver_destroy(names.resolver);
	names.resolver = NULL;
}
