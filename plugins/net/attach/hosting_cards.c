/* SPDX-License-Identifier: MIT */
/* What a container has in its hosting system: cards as guests are told of them, records, claims. */
#include "attach/hosting.h"
#include "attach/names.h"

#include "attach/parts.h"
#include "cni/cni.h"
#include "common/util.h"
#include "model/shape.h"
#include "policy/policy.h"

#include <stdio.h>
#include <string.h>

void net_hosted_free(struct net_hosted *h)
{
	if (!h)
		return;
	for (size_t i = 0; i < h->count; i++)
		json_object_put(h->cards[i].settings);
	json_object_put(h->described);
	free(h->cards);
	free(h->container);
	free(h->system);
	free(h->netns);
	free(h);
}

/* ---- LCOWNetworkAdapter */

static struct json_object *joined(const struct net_strv *v)
{
	_cleanup_text_ struct plug_text text = { 0 };

	for (size_t i = 0; i < v->count; i++)
		plug_text_add(&text, "%s%s", i ? "," : "", v->items[i]);
	return text.failed ? NULL : json_object_new_string(text.data ? text.data : "");
}

static void add_addr(struct json_object **o, const char *key, const struct net_addr *a)
{
	char text[NET_ADDR_TEXT];

	if (!net_addr_is_set(a))
		return;
	net_addr_format(a, text);
	net_json_add_string(o, key, text);
}

/* The container's own servers, else ours on the gateway, else the network's. */
static void add_dns(struct json_object **o, const struct net_strv *dns, const struct net_network *n,
		    const struct net_endpoint *e)
{
	const struct net_strv *servers = dns->count	       ? dns :
					 e->dns.servers.count ? &e->dns.servers :
								&n->dns.servers;

	net_json_add_string(o, "DNSSuffix", e->dns.domain && *e->dns.domain ? e->dns.domain : n->dns.domain);
	if (!dns->count && !e->dns.servers.count && net_network_resolves(n) && net_addr_is_set(&e->gateway))
		add_addr(o, "DNSServerList", &e->gateway);
	else if (servers->count)
		net_json_add(o, "DNSServerList", joined(servers));
}

/* An endpoint without an address has none here, where upstream says "<nil>": the guest asks by DHCP. */
static struct json_object *linux_settings(const struct net_strv *dns, const struct net_hosted *h,
					  const struct net_card *card, const struct net_network *n,
					  const struct net_endpoint *e)
{
	struct json_object *o = json_object_new_object();
	const struct net_policy *encap = net_policies_find(e->policies, e->policy_count, NET_POLICY_ENCAP);
	const struct net_addr *ip = e->ip_count ? &e->ips[0] : NULL;

	net_json_add_string(&o, "NamespaceID", h->ns);
	net_json_add_string(&o, "ID", card->id);
	net_json_add_string(&o, "MacAddress", card->mac);
	if (ip) {
		add_addr(&o, "IPAddress", ip);
		net_json_add(&o, "PrefixLength", json_object_new_int(ip->prefix));
		add_addr(&o, "GatewayAddress", ip->family == AF_INET ? &e->gateway : &e->gateway6);
	}
	add_dns(&o, dns, n, e);
	if (e->low_metric)
		net_json_add(&o, "EnableLowMetric", json_object_new_boolean(true));
	if (encap && encap->number)
		net_json_add(&o, "EncapOverhead", json_object_new_int64(encap->number));
	return o;
}

/* ---- the namespace's endpoints */

static int make_card(const struct net_strv *dns, struct net_hosted *h, const struct net_network *n,
		     const struct net_endpoint *e)
{
	struct net_card *card = &h->cards[h->count];
	struct net_mac mac = net_endpoint_mac(n, e);
	int r = net_id_make(card->id);

	memcpy(card->endpoint, e->id, sizeof(card->endpoint));
	memcpy(card->link, e->guest_link, sizeof(card->link));
	net_mac_format(&mac, '-', card->mac);
	card->settings = h->flags & COWHERD_HOSTING_WINDOWS ? net_hns_endpoint_print(e, n->name) :
							      linux_settings(dns, h, card, n, e);
	if (card->settings && h->flags & COWHERD_HOSTING_WINDOWS)
		net_json_add_string(&card->settings, "MacAddress", card->mac);
	h->count++;
	return r < 0 ? r : card->settings ? 0 : -ENOMEM;
}

static int read_card(struct net_state *s, const struct net_part *part, struct net_hosted *h, const char *id,
		     struct plug_error *err)
{
	struct net_endpoint *e = NULL;
	struct net_network *n = NULL;
	int r = net_store_endpoint(s->store, id, &e, err);

	if (r == 0)
		r = net_store_network(s->store, e->network, &n, err);
	if (r == 0) {
		r = make_card(&part->plan.dns, h, n, e);
		if (r < 0)
			(void)plug_error_errno(err, r, "endpoint %s", id);
	}
	net_endpoint_free(e);
	net_network_free(n);
	return r;
}

static int describe(struct net_hosted *h, const struct net_namespace *ns)
{
	if (!(h->flags & COWHERD_HOSTING_WINDOWS))
		return 0;
	h->described = net_hcn_namespace_print(ns);
	if (h->described)
		json_object_object_del(h->described, "Cowherd");
	return h->described ? 0 : -ENOMEM;
}

static int read_namespace(struct net_state *s, const struct net_part *part, struct net_hosted *h,
			  struct plug_error *err)
{
	const char *ref = *part->ns ? part->ns : part->plan.namespace_ref;
	struct net_namespace *ns;
	int r = net_store_namespace(s->store, ref, &ns, err);

	if (r < 0)
		return r;
	memcpy(h->ns, ns->id, sizeof(h->ns));
	h->cards = calloc(ns->resource_count + 1, sizeof(*h->cards));
	r = h->cards ? describe(h, ns) : -ENOMEM;
	if (r < 0)
		(void)plug_error_errno(err, r, "namespace %s", ns->id);
	for (size_t i = 0; r == 0 && i < ns->resource_count; i++)
		if (!ns->resources[i].container)
			r = read_card(s, part, h, ns->resources[i].id, err);
	net_namespace_free(ns);
	return r;
}

int net_hosted_fill(struct net_state *s, const struct net_part *part, const char *path,
		    struct net_hosted *h, struct plug_error *err)
{
	h->netns = strdup(path);
	return h->netns ? read_namespace(s, part, h, err) :
			  plug_error_errno(err, -ENOMEM, "hosting system %s", h->system);
}

/* ---- the record */

static struct json_object *card_record(const struct net_card *card)
{
	struct json_object *o = json_object_new_object();

	net_json_add_string(&o, "id", card->id);
	net_json_add_string(&o, "endpoint", card->endpoint);
	net_json_add_string(&o, "mac", card->mac);
	net_json_add_string(&o, "link", card->link);
	return o;
}

struct json_object *net_hosted_record(const struct net_hosted *h)
{
	struct json_object *o = json_object_new_object(), *cards = json_object_new_array();

	for (size_t i = 0; i < h->begun; i++)
		net_json_append(&cards, card_record(&h->cards[i]));
	net_json_add_string(&o, "hosting_system", h->system);
	net_json_add_string(&o, "container", h->container);
	net_json_add_string(&o, "ns", h->ns);
	net_json_add_string(&o, "netns", h->netns);
	net_json_add(&o, "flags", json_object_new_int64(h->flags));
	net_json_add(&o, "cards", cards);
	net_json_add(&o, "addedNetNSToVM", json_object_new_boolean(h->added));
	return o;
}

bool net_hosted_is(struct json_object *record)
{
	return net_json_get(record, "hosting_system") != NULL;
}

static int take_text(struct json_object *o, const char *key, char **ret, struct plug_error *err)
{
	const char *text = "";
	int r = net_json_string(o, key, &text, err);

	if (r == 0)
		*ret = strdup(text);
	return r < 0 ? r : *ret ? 0 : plug_error_errno(err, -ENOMEM, "%s", key);
}

static int take_array(struct json_object *o, const char *key, char *ret, size_t size, struct plug_error *err)
{
	const char *text = "";
	int r = net_json_string(o, key, &text, err);

	if (r == 0 && strlen(text) >= size)
		r = plug_error_set(err, -EBADMSG, "%s: too long", key);
	if (r == 0)
		(void)snprintf(ret, size, "%s", text);
	return r;
}

static int read_card_record(struct json_object *o, struct net_card *card, struct plug_error *err)
{
	int r = take_array(o, "id", card->id, sizeof(card->id), err);

	r = r ?: take_array(o, "endpoint", card->endpoint, sizeof(card->endpoint), err);
	r = r ?: take_array(o, "mac", card->mac, sizeof(card->mac), err);
	return r ?: take_array(o, "link", card->link, sizeof(card->link), err);
}

static int read_cards(struct json_object *record, struct net_hosted *h, struct plug_error *err)
{
	struct json_object *cards = NULL;
	size_t n;
	int r = net_json_array(record, "cards", &cards, err);

	n = plug_json_length(cards);
	h->cards = r == 0 ? calloc(n + 1, sizeof(*h->cards)) : NULL;
	if (r == 0 && !h->cards)
		r = plug_error_errno(err, -ENOMEM, "cards");
	for (size_t i = 0; r == 0 && i < n; i++)
		r = read_card_record(json_object_array_get_idx(cards, i), &h->cards[i], err);
	h->count = h->begun = r == 0 ? n : 0;
	return r;
}

int net_hosted_read(struct json_object *record, struct net_hosted **ret, struct plug_error *err)
{
	struct net_hosted *h = calloc(1, sizeof(*h));
	uint64_t flags = 0;
	int r = h ? take_text(record, "hosting_system", &h->system, err) :
		    plug_error_errno(err, -ENOMEM, "hosting system");

	r = r ?: take_text(record, "container", &h->container, err);
	r = r ?: take_text(record, "netns", &h->netns, err);
	r = r ?: take_array(record, "ns", h->ns, sizeof(h->ns), err);
	r = r ?: net_json_number(record, "flags", UINT32_MAX, &flags, err);
	r = r ?: read_cards(record, h, err);
	r = r ?: net_json_bool(record, "addedNetNSToVM", &h->added, err);
	if (r < 0) {
		net_hosted_free(h);
		return r;
	}
	h->flags = (uint32_t)flags;
	*ret = h;
	return 0;
}

/* ---- claims: which namespaces are in hosting systems, and the configurations of sandboxes */

static int directory(const char *name, char **ret, struct plug_error *err)
{
	struct net_state *s;
	int r = net_state_get(&s, err);

	if (r == 0 && asprintf(ret, "%s/%s", s->net_dir, name) < 0) {
		*ret = NULL;
		r = plug_error_errno(err, -ENOMEM, "%s", name);
	}
	return r;
}

static int store(const struct net_hosted *h, const char *name, struct plug_error *err)
{
	const struct net_cni_namespace ns = { .namespace_id = h->ns, .container_id = h->container,
					      .host_id = h->system };
	_cleanup_free_ char *dir = NULL;
	int r = directory(name, &dir, err);

	return r < 0 ? r : net_cni_namespace_store(dir, &ns, false, err);
}

int net_hosted_claim(const struct net_hosted *h, struct plug_error *err)
{
	int r = store(h, NET_HOSTING_DIR, err);

	if (r == -EEXIST)
		return plug_error_set(err, r, "network namespace already added");
	return r < 0 || !h->sandbox ? r : store(h, NET_SANDBOX_DIR, err);
}

/* 1: what is stored there is this container's. */
static int is_ours(const struct net_hosted *h, const char *dir, struct plug_error *err)
{
	struct net_cni_namespace kept;
	int r = net_cni_namespace_load(dir, h->ns, &kept, err);

	if (r < 0)
		return r == -ENOENT ? plug_error_none(err) : r;
	r = strcmp(kept.container_id, h->container) == 0;
	net_cni_namespace_free(&kept);
	return r;
}

int net_hosted_claimed(const struct net_hosted *h, struct plug_error *err)
{
	_cleanup_free_ char *dir = NULL;
	int r = directory(NET_HOSTING_DIR, &dir, err);

	return r < 0 ? r : is_ours(h, dir, err);
}

/* What is damaged goes, too: nobody could claim the namespace again. */
static int drop(const struct net_hosted *h, const char *name, struct plug_error *err)
{
	_cleanup_free_ char *dir = NULL;
	int r = directory(name, &dir, err);

	if (r == 0)
		r = is_ours(h, dir, err);
	if (r == 0 || r == -ENOMEM)
		return r;
	(void)plug_error_none(err);
	return net_cni_namespace_remove(dir, h->ns, err);
}

int net_hosted_unclaim(const struct net_hosted *h, struct plug_error *err)
{
	/* The claim last: it says that there may be a configuration of ours. */
	int r = drop(h, NET_SANDBOX_DIR, err);

	return r < 0 ? r : drop(h, NET_HOSTING_DIR, err);
}
