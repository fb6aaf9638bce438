/* SPDX-License-Identifier: MIT */
/* What the table should hold, and getting it into the kernel. */
#include "policy/table_private.h"
#include "common/text.h"
#include "common/util.h"
#include "policy/nft.h"
#include "policy/policy.h"
#include "policy/rules.h"

#include <ctype.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

int net_table_open(const char *name, struct net_table **ret, struct plug_error *err)
{
	size_t len = strlen(name);
	struct net_table *t;

	if (!len || len >= sizeof(t->name) || !islower((unsigned char)name[0]) ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != len)
		return plug_error_set(err, -EINVAL, "table \"%.64s\": not a name for one", name);
	t = calloc(1, sizeof(*t));
	if (!t)
		return plug_error_errno(err, -ENOMEM, "table %s", name);
	(void)pthread_mutex_init(&t->mutex, NULL);
	memcpy(t->name, name, len + 1);
	*ret = t;
	return 0;
}

static void entry_free(struct entry *e)
{
	if (!e)
		return;
	free(e->add);
	free(e->remove);
	free(e->addrs);
	free(e);
}

static void entries_free(struct net_table *t)
{
	for (size_t i = 0; i < BUCKETS; i++) {
		struct entry *e;

		while ((e = t->entries[i])) {
			t->entries[i] = e->next;
			entry_free(e);
		}
	}
}

void net_table_close(struct net_table *t)
{
	if (!t)
		return;
	entries_free(t);
	table_socket_close(t);
	(void)pthread_mutex_destroy(&t->mutex);
	free(t);
}

static struct entry **entry_find(struct net_table *t, const char *id)
{
	uint32_t hash = 2166136261u;
	struct entry **at;

	for (const char *c = id; *c; c++)
		hash = (hash ^ (unsigned char)*c) * 16777619u;
	at = &t->entries[hash % BUCKETS];
	while (*at && strcmp((*at)->id, id))
		at = &(*at)->next;
	return at;
}

/* What nft says, in one line: its first error, without the place in our text. */
static void message_clean(const char *text, char *ret, size_t size)
{
	const char *at = strstr(text, "Error: ");
	size_t n = 0;

	at = at ? at + 7 : text;
	for (; *at && *at != '\n' && n + 1 < size; at++)
		ret[n++] = *at;
	ret[n] = 0;
}

int table_run(const struct net_table *t, const char *text, bool json, char **ret_output,
	      struct plug_error *err)
{
	const struct net_nft *lib = net_nft();
	struct nft_ctx *nft = lib ? lib->ctx_new(NFT_CTX_DEFAULT) : NULL;
	char message[320];
	int r = 0;

	if (!lib)
		return plug_error_set(err, -ELIBACC, "libnftables.so.1: it is not installed");
	if (!nft)
		return plug_error_errno(err, -ENOMEM, "table %s", t->name);
	if (json)
		lib->ctx_output_set_flags(nft, NFT_CTX_OUTPUT_JSON);
	if (lib->ctx_buffer_output(nft) || lib->ctx_buffer_error(nft)) {
		r = plug_error_errno(err, -ENOMEM, "table %s", t->name);
	} else if (lib->run_cmd_from_buffer(nft, text)) {
		message_clean(lib->ctx_get_error_buffer(nft), message, sizeof(message));
		r = plug_error_set(err, -EIO, "table %s: %s", t->name,
				   *message ? message : "refused");
	} else if (ret_output) {
		*ret_output = strdup(lib->ctx_get_output_buffer(nft));
		if (!*ret_output)
			r = plug_error_errno(err, -ENOMEM, "table %s", t->name);
	}
	lib->ctx_free(nft);
	return r;
}

/* Which transactions are ours is told to whoever listens by an element in each. */
static void generation_mark(struct net_table *t, struct plug_text *text, bool fresh)
{
	if (!fresh)
		plug_text_add(text, "delete element inet %s generation { %u }\n", t->name,
			      t->generation);
	plug_text_add(text, "add element inet %s generation { %u }\n", t->name, t->generation + 1);
}

static int transact(struct net_table *t, struct plug_text *text, bool fresh, struct plug_error *err)
{
	int r;

	generation_mark(t, text, fresh);
	if (text->failed)
		return plug_error_errno(err, -ENOMEM, "table %s", t->name);
	r = fresh ? -EOPNOTSUPP : table_run_plain(t, text->data);
	/* Also where the kernel refused: nft says why in words. */
	if (r < 0)
		r = table_run(t, text->data, false, NULL, err);
	if (r == 0) {
		t->generation++;
		t->made = true;
	}
	return r;
}

/* Order does not matter: everything leads only to what its own entry has made, or to the base. */
static int rebuild(struct net_table *t, struct plug_error *err)
{
	_cleanup_text_ struct plug_text text = { 0 };

	net_rules_base(t->name, &text);
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct entry *e = t->entries[i]; e; e = e->next)
			plug_text_add(&text, "%s", e->add);
	return transact(t, &text, true, err);
}

/*
 * The change alone; where that is refused, because somebody has changed the table, or there is none yet,
 * everything again, which says whether it was that.
 */
static int change(struct net_table *t, const char *remove, const char *add, struct plug_error *err)
{
	_cleanup_text_ struct plug_text text = { 0 };

	if (t->noted)
		return 0;
	if (t->made && !*remove && !*add)
		return 0;
	if (t->made) {
		plug_text_add(&text, "%s%s", remove, add);
		if (transact(t, &text, false, err) == 0)
			return 0;
	}
	return rebuild(t, err);
}

/* Takes over e, and says what the kernel says. */
static int put(struct net_table *t, struct entry *e, struct plug_error *err)
{
	struct entry **at, *old;
	int r;

	(void)pthread_mutex_lock(&t->mutex);
	at = entry_find(t, e->id);
	old = *at;
	e->next = old ? old->next : NULL;
	*at = e;
	r = old && !strcmp(old->add, e->add) && t->made ?
		    0 :
		    change(t, old ? old->remove : "", e->add, err);
	if (r < 0) { /* as it was */
		*at = old ?: e->next;
		entry_free(e);
	} else {
		entry_free(old);
	}
	(void)pthread_mutex_unlock(&t->mutex);
	return r;
}

static int entry_make(const char *id, struct plug_text *add, struct plug_text *remove,
		      struct entry **ret)
{
	struct entry *e = calloc(1, sizeof(*e));

	if (!e)
		return -ENOMEM;
	(void)snprintf(e->id, sizeof(e->id), "%s", id);
	e->add = add->data ? plug_take_ptr(add->data) : strdup("");
	e->remove = remove->data ? plug_take_ptr(remove->data) : strdup("");
	if (!e->add || !e->remove) {
		entry_free(e);
		return -ENOMEM;
	}
	*ret = e;
	return 0;
}

static int texts_put(struct net_table *t, const char *id, struct plug_text *add,
		     struct plug_text *remove, struct plug_error *err)
{
	struct entry *e;
	int r = entry_make(id, add, remove, &e);

	return r < 0 ? plug_error_errno(err, r, "table %s", t->name) : put(t, e, err);
}

#define FLOWS_MAX 64 /* ports of a range: each is a look at all connections of the host */

/* The UDP ports of an element like "{ 17 . 8000-8010 : …": none: 0. */
static unsigned udp_ports(const char *line, unsigned *ret_first)
{
	const char *at = strstr(line, " 17 . ");
	unsigned first = 0, last = 0;
	int n = at && at < strchrnul(line, '\n') ? sscanf(at, " 17 . %u-%u", &first, &last) : 0;

	*ret_first = first;
	if (n < 1)
		return 0;
	last = n == 1 ? first : last;
	return last - first < FLOWS_MAX ? last - first + 1 : FLOWS_MAX;
}

/* Of each line that the other has not. */
static void flows_forget_lines(struct net_table *t, const char *rules, const char *other)
{
	for (const char *line = rules, *next; *line; line = next) {
		_cleanup_free_ char *copy = NULL;
		unsigned first, count = udp_ports(line, &first);

		next = strchrnul(line, '\n');
		next += *next == '\n';
		copy = count ? strndup(line, (size_t)(next - line)) : NULL;
		if (!copy || strstr(other, copy))
			continue;
		for (unsigned i = 0; i < count; i++) {
			conntrack_forget_port(t, AF_INET, IPPROTO_UDP, (uint16_t)(first + i));
			conntrack_forget_port(t, AF_INET6, IPPROTO_UDP, (uint16_t)(first + i));
		}
	}
}

/*
 * Datagrams would go on to where they went before, the host itself or another port: to the kernel they are
 * one connection.  before, after: an endpoint's rules, or NULL.
 */
static void flows_forget(struct net_table *t, const char *before, const char *after)
{
	flows_forget_lines(t, after ?: "", before ?: "");
	flows_forget_lines(t, before ?: "", after ?: "");
}

int net_table_put_network(struct net_table *t, const struct net_network *n, struct plug_error *err)
{
	_cleanup_text_ struct plug_text add = { 0 }, remove = { 0 };
	int r = net_rules_network(t->name, n, &add, &remove, err);

	return r < 0 ? r : texts_put(t, n->id, &add, &remove, err);
}

/* What is in the kernel for an entry: a copy, or NULL. */
static char *rules_of(struct net_table *t, const char *id)
{
	struct entry **at;
	char *copy;

	(void)pthread_mutex_lock(&t->mutex);
	at = entry_find(t, id);
	copy = *at && t->made ? strdup((*at)->add) : NULL;
	(void)pthread_mutex_unlock(&t->mutex);
	return copy;
}

/* What is about neighbours, too, as they reach each other without passing the host. */
static bool filters(const struct net_network *n, const struct net_endpoint *e)
{
	static const enum net_policy_kind kinds[] = { NET_POLICY_ACL, NET_POLICY_TIER,
						      NET_POLICY_PROXY };

	if (!n->bridge[0] || n->type == NET_CNI)
		return false;
	for (size_t i = 0; i < PLUG_ELEMENTS(kinds); i++)
		if (net_policies_find(e->policies, e->policy_count, kinds[i]) ||
		    net_policies_find(n->policies, n->policy_count, kinds[i]))
			return true;
	return e->disable_icc;
}

/* Whether a port is asked for at ::1. */
static bool loopback6(const struct net_network *n, const struct net_endpoint *e)
{
	for (size_t i = 0; n->bridge[0] && n->type != NET_CNI && i < e->policy_count; i++)
		if (e->policies[i].kind == NET_POLICY_PORT && e->policies[i].port.host.family == AF_INET6 &&
		    net_addr_is_loopback(&e->policies[i].port.host))
			return true;
	return false;
}

int net_table_put_endpoint(struct net_table *t, const struct net_network *n,
			   const struct net_endpoint *e, struct plug_error *err)
{
	_cleanup_text_ struct plug_text add = { 0 }, remove = { 0 };
	_cleanup_free_ char *before = rules_of(t, e->id), *after = NULL;
	struct entry *entry;
	int r = net_rules_endpoint(t->name, n, e, &add, &remove, err);

	if (r == 0 && filters(n, e))
		r = bridge_filter(n->bridge, err);
	if (r == 0 && loopback6(n, e))
		r = bridge_loopback6(n->bridge, err);
	if (r < 0)
		return r;
	r = entry_make(e->id, &add, &remove, &entry);
	if (r == 0 && e->ip_count) {
		entry->addrs = reallocarray(NULL, e->ip_count, sizeof(*e->ips));
		if (entry->addrs)
			memcpy(entry->addrs, e->ips, e->ip_count * sizeof(*e->ips));
		else
			r = -ENOMEM;
		entry->addr_count = r < 0 ? 0 : e->ip_count;
		if (r < 0)
			entry_free(entry);
	}
	r = r < 0 ? plug_error_errno(err, r, "table %s", t->name) : put(t, entry, err);
	if (r < 0 || t->noted)
		return r;
	after = rules_of(t, e->id);
	flows_forget(t, before, after);
	return r;
}

int net_table_put_balancer(struct net_table *t, const struct net_balancer *b,
			   const struct net_endpoint *const *endpoints, size_t count,
			   struct plug_error *err)
{
	_cleanup_text_ struct plug_text add = { 0 }, remove = { 0 };
	int r = net_rules_balancer(t->name, b, endpoints, count, &add, &remove, err);

	return r < 0 ? r : texts_put(t, b->id, &add, &remove, err);
}

int net_table_remove(struct net_table *t, const char *id, struct plug_error *err)
{
	struct entry **at, *old;
	int r = 0;

	(void)pthread_mutex_lock(&t->mutex);
	at = entry_find(t, id);
	old = *at;
	if (old) {
		*at = old->next;
		if (*old->remove)
			r = change(t, old->remove, "", err);
		if (r < 0)
			*at = old;
	}
	(void)pthread_mutex_unlock(&t->mutex);
	if (r < 0 || !old)
		return r;
	for (size_t i = 0; i < old->addr_count; i++)
		conntrack_forget(t, &old->addrs[i]);
	entry_free(old);
	return 0;
}

void net_table_begin(struct net_table *t)
{
	(void)pthread_mutex_lock(&t->mutex);
	t->noted = true;
	(void)pthread_mutex_unlock(&t->mutex);
}

int net_table_commit(struct net_table *t, struct plug_error *err)
{
	int r;

	(void)pthread_mutex_lock(&t->mutex);
	t->noted = false;
	r = rebuild(t, err);
	(void)pthread_mutex_unlock(&t->mutex);
	return r;
}

int net_table_rebuild(struct net_table *t, struct plug_error *err)
{
	int r;

	(void)pthread_mutex_lock(&t->mutex);
	r = t->noted || !t->made ? 0 : rebuild(t, err);
	(void)pthread_mutex_unlock(&t->mutex);
	return r;
}

int net_table_drop(struct net_table *t, struct plug_error *err)
{
	_cleanup_text_ struct plug_text text = { 0 };
	int r;

	plug_text_add(&text, "add table inet %s\ndelete table inet %s\n", t->name, t->name);
	if (text.failed)
		return plug_error_errno(err, -ENOMEM, "table %s", t->name);
	(void)pthread_mutex_lock(&t->mutex);
	entries_free(t);
	t->made = false;
	r = table_run(t, text.data, false, NULL, err);
	(void)pthread_mutex_unlock(&t->mutex);
	return r;
}
