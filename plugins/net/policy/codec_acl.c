/* SPDX-License-Identifier: MIT */
/* Access lists: hcn/hcnpolicy.go (ACL, NetworkACL, TierAcl), internal/hns/hnspolicy.go (ACL). */
#include "policy/private.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static int word_parse(struct json_object *o, const char *key, const char *const *words,
		      unsigned *ret, struct plug_error *err)
{
	const char *text = NULL;
	int r = net_json_string(o, key, &text, err);

	if (r < 0)
		return r;
	if (!text)
		return plug_error_set(err, -EINVAL, "%s: missing", key);
	for (unsigned i = 0; words[i]; i++)
		if (!strcasecmp(words[i], text)) {
			*ret = i;
			return 0;
		}
	return plug_error_set(err, -EINVAL, "%s: \"%s\" is not known", key, text);
}

static const char *const actions[] = { "Allow", "Block", "Pass", NULL };
static const char *const directions[] = { "In", "Out", NULL };
static const char *const rule_types[] = { "Switch", "Host", NULL };

static int direction_parse(struct json_object *o, bool *ret, struct plug_error *err)
{
	unsigned n = 0;
	int r = word_parse(o, "Direction", directions, &n, err);

	*ret = n;
	return r;
}

static int prefixes_member(struct json_object *o, const char *key, struct net_prefixes *ret,
			   struct plug_error *err)
{
	const char *text = NULL;
	int r = net_json_string(o, key, &text, err);

	return r < 0 || !text ? r : net_list_prefixes(text, key, ret, err);
}

/* Ports as text with ranges; HNS also knows a single one, as number. */
static int ports_member(struct json_object *o, const char *key, const char *single,
			struct net_port_range **ret, size_t *ret_count, struct plug_error *err)
{
	const char *text = NULL;
	uint16_t port = 0;
	int r = net_json_string(o, key, &text, err);

	if (r == 0 && text)
		r = net_list_ports(text, key, ret, ret_count, err);
	if (r < 0 || !single || *ret_count)
		return r;
	r = net_member_u16(o, single, &port, err);
	if (r < 0 || !port)
		return r;
	*ret = malloc(sizeof(**ret));
	if (!*ret)
		return plug_error_errno(err, -ENOMEM, "%s", single);
	**ret = (struct net_port_range){ port, port };
	*ret_count = 1;
	return 0;
}

static int protocols_parse(struct json_object *o, bool hns, struct net_acl *a,
			   struct plug_error *err)
{
	struct json_object *v = net_json_get(o, "Protocols");
	const char *text = NULL;
	uint64_t n = 256;
	int r = 0;

	if (v || !hns) {
		r = net_json_string(o, "Protocols", &text, err);
		if (r == 0 && text && *text)
			return net_list_protocols(text, "Protocols", &a->protocols,
						  &a->protocol_count, err);
	}
	if (r < 0 || !hns)
		return r;
	r = net_json_number(o, "Protocol", 256, &n, err);
	if (r < 0 || n == 256)
		return r;
	a->protocols = malloc(1);
	if (!a->protocols)
		return plug_error_errno(err, -ENOMEM, "Protocol");
	*a->protocols = (uint8_t)n;
	a->protocol_count = 1;
	return 0;
}

/* Ports belong to protocols that have some. */
static int ports_check(const struct net_acl *a, struct plug_error *err)
{
	if (!a->local_port_count && !a->remote_port_count)
		return 0;
	for (size_t i = 0; i < a->protocol_count; i++)
		if (a->protocols[i] != IPPROTO_TCP && a->protocols[i] != IPPROTO_UDP &&
		    a->protocols[i] != IPPROTO_SCTP && a->protocols[i] != IPPROTO_UDPLITE)
			return plug_error_set(err, -EINVAL, "%s: protocol %u has no ports",
					      a->local_port_count ? "LocalPorts" : "RemotePorts",
					      a->protocols[i]);
	return 0;
}

/* What rules of both kinds have in common. */
static int rule_parse(struct json_object *o, bool hns, const char *action, struct net_acl *a,
		      struct plug_error *err)
{
	unsigned n = 0;
	int r = word_parse(o, action, actions, &n, err);

	a->action = (enum net_acl_action)n;
	r = r ?: net_member_copy(o, "Id", &a->id, err);
	r = r ?: protocols_parse(o, hns, a, err);
	r = r ?: prefixes_member(o, "LocalAddresses", &a->local, err);
	r = r ?: prefixes_member(o, "RemoteAddresses", &a->remote, err);
	r = r	  ?:
		    ports_member(o, "LocalPorts", hns ? "LocalPort" : NULL, &a->local_ports,
				 &a->local_port_count, err);
	if (r == 0 && hns && !a->local_port_count)
		r = ports_member(o, "LocalPorts", "InternalPort", &a->local_ports,
				 &a->local_port_count, err);
	r = r	  ?:
		    ports_member(o, "RemotePorts", hns ? "RemotePort" : NULL, &a->remote_ports,
				 &a->remote_port_count, err);
	r = r ?: net_member_u16(o, "Priority", &a->priority, err);
	return r ?: ports_check(a, err);
}

static int acl_parse(struct json_object *o, enum net_policy_shape shape, struct net_policy *p,
		     struct plug_error *err)
{
	struct net_acl *a = &p->acl;
	unsigned n = 0;
	int r = rule_parse(o, shape == NET_POLICY_HNS, "Action", a, err);

	r = r ?: direction_parse(o, &a->out, err);
	if (r == 0 && net_json_get(o, "RuleType")) {
		r = word_parse(o, "RuleType", rule_types, &n, err);
		a->host = n;
	}
	return r ?: net_member_copy(o, "ServiceName", &a->service, err);
}

static void rule_print(struct json_object **o, const char *action, const struct net_acl *a)
{
	net_json_add_string(o, "Id", a->id);
	if (a->protocol_count)
		net_json_add(o, "Protocols",
			     net_list_print_protocols(a->protocols, a->protocol_count));
	net_json_add_string(o, action, actions[a->action]);
	if (a->local.count)
		net_json_add(o, "LocalAddresses", net_list_print_prefixes(&a->local));
	if (a->remote.count)
		net_json_add(o, "RemoteAddresses", net_list_print_prefixes(&a->remote));
	if (a->local_port_count)
		net_json_add(o, "LocalPorts",
			     net_list_print_ports(a->local_ports, a->local_port_count));
	if (a->remote_port_count)
		net_json_add(o, "RemotePorts",
			     net_list_print_ports(a->remote_ports, a->remote_port_count));
	net_put_number(o, "Priority", a->priority);
}

static void acl_print(struct json_object **o, enum net_policy_shape shape,
		      const struct net_policy *p)
{
	(void)shape;
	rule_print(o, "Action", &p->acl);
	net_json_add_string(o, "Direction", directions[p->acl.out]);
	net_json_add_string(o, "RuleType", rule_types[p->acl.host]);
	net_json_add_string(o, "ServiceName", p->acl.service);
}

const struct net_policy_codec net_codec_acl = { acl_parse, acl_print };

static int tier_parse(struct json_object *o, enum net_policy_shape shape, struct net_policy *p,
		      struct plug_error *err)
{
	struct net_policy_tier *t = &p->tier;
	struct json_object *rules = NULL;
	int r = net_member_copy(o, "Name", &t->name, err);

	(void)shape;
	r = r ?: direction_parse(o, &t->out, err);
	r = r ?: net_member_u16(o, "Order", &t->order, err);
	r = r ?: net_json_array(o, "TierAclRules", &rules, err);
	if (r < 0 || !plug_json_length(rules))
		return r;
	if (plug_json_length(rules) > NET_POLICY_LIST_MAX)
		return plug_error_set(err, -EINVAL, "TierAclRules: more than %d",
				      NET_POLICY_LIST_MAX);
	t->rules = calloc(plug_json_length(rules), sizeof(*t->rules));
	if (!t->rules)
		return plug_error_errno(err, -ENOMEM, "TierAclRules");
	for (size_t i = 0; r == 0 && i < plug_json_length(rules); i++) {
		char where[40];

		t->count = i + 1;
		t->rules[i].out = t->out;
		r = rule_parse(json_object_array_get_idx(rules, i), false, "TierAclRuleAction",
			       &t->rules[i], err);
		(void)snprintf(where, sizeof(where), "TierAclRules[%zu]", i);
		if (r < 0)
			(void)net_policy_in(err, r, where);
	}
	return r;
}

static void tier_print(struct json_object **o, enum net_policy_shape shape,
		       const struct net_policy *p)
{
	struct json_object *rules = json_object_new_array();

	(void)shape;
	net_json_add_string(o, "Name", p->tier.name);
	net_json_add_string(o, "Direction", directions[p->tier.out]);
	net_json_add(o, "Order", json_object_new_int(p->tier.order));
	for (size_t i = 0; i < p->tier.count; i++) {
		struct json_object *rule = json_object_new_object();

		rule_print(&rule, "TierAclRuleAction", &p->tier.rules[i]);
		net_json_append(&rules, rule);
	}
	net_json_add(o, "TierAclRules", rules);
}

const struct net_policy_codec net_codec_tier = { tier_parse, tier_print };

void net_acl_finish(struct net_acl *a)
{
	free(a->id);
	free(a->protocols);
	free(a->local.items);
	free(a->remote.items);
	free(a->local_ports);
	free(a->remote_ports);
	free(a->service);
}
