/* SPDX-License-Identifier: MIT */
/* The kinds of policies, and arrays of them. */
#include "policy/policy.h"
#include "policy/private.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define OF(scope) (1u << NET_POLICY_OF_##scope)
#define ANYWHERE (OF(NETWORK) | OF(SUBNET) | OF(ENDPOINT))

/* A kind with one member, or none: how it is called in either shape; NULL: there is none. */
enum member { MEMBER_NONE, MEMBER_NUMBER, MEMBER_TEXT, MEMBER_ADDR, MEMBER_MAC, MEMBER_BOOL };

/* By name; the first of a kind is the one that is printed.  A name of NULL: not in that shape. */
static const struct kind {
	enum net_policy_kind kind;
	unsigned scopes;
	const char *hns, *hcn;
	const struct net_policy_codec *codec;
	enum member member;
	const char *hns_key, *hcn_key;
	uint32_t max;
} kinds[] = {
	{ NET_POLICY_PORT, OF(ENDPOINT), "NAT", "PortMapping", .codec = &net_codec_port },
	{ NET_POLICY_OUTBOUND, OF(ENDPOINT) | OF(NETWORK), "OutBoundNAT", "OutBoundNAT",
	  .codec = &net_codec_outbound },
	{ NET_POLICY_ACL, OF(ENDPOINT), "ACL", "ACL", .codec = &net_codec_acl },
	{ NET_POLICY_ACL, OF(NETWORK), "NetworkACL", "NetworkACL", .codec = &net_codec_acl },
	{ NET_POLICY_TIER, OF(ENDPOINT), "TierAcl", "TierAcl", .codec = &net_codec_tier },
	{ NET_POLICY_QOS, OF(ENDPOINT), "QOS", "QOS", .codec = &net_codec_qos },
	{ NET_POLICY_VLAN, ANYWHERE, "VLAN", "VLAN", NULL, MEMBER_NUMBER, "VLAN", "IsolationId",
	  4094 },
	{ NET_POLICY_VSID, ANYWHERE, "VSID", "VSID", NULL, MEMBER_NUMBER, "VSID", "IsolationId",
	  0xffffff },
	{ NET_POLICY_MAC, OF(NETWORK), "SourceMacAddress", "SourceMacAddress", NULL, MEMBER_MAC,
	  "SourceMacAddress", "SourceMacAddress", 0 },
	{ NET_POLICY_ROUTER_MAC, OF(NETWORK), "DrMacAddress", "DrMacAddress", NULL, MEMBER_MAC,
	  "Address", "Address", 0 },
	{ NET_POLICY_ENCAP, OF(ENDPOINT), "EncapOverhead", "EncapOverhead", NULL, MEMBER_NUMBER,
	  "Overhead", "Overhead", 1024 },
	{ NET_POLICY_ROUTE, OF(ENDPOINT), "ROUTE", "SDNRoute", .codec = &net_codec_route },
	{ NET_POLICY_ROUTE, OF(NETWORK), "RemoteSubnetRoute", "RemoteSubnetRoute",
	  .codec = &net_codec_remote_route },
	{ NET_POLICY_PROXY, OF(ENDPOINT) | OF(NETWORK), "PROXY", "L4Proxy",
	  .codec = &net_codec_proxy },
	{ NET_POLICY_PROXY, OF(ENDPOINT), "L4WFPPROXY", "L4WFPPROXY",
	  .codec = &net_codec_proxy_wfp },
	{ NET_POLICY_PORT_NAME, OF(ENDPOINT), "PortName", "PortName", NULL, MEMBER_TEXT, "Name",
	  "Name", 0 },
	{ NET_POLICY_ADAPTER, OF(NETWORK), "NetAdapterName", "NetAdapterName", NULL, MEMBER_TEXT,
	  "NetworkAdapterName", "NetworkAdapterName", 0 },
	{ NET_POLICY_PROVIDER, OF(ENDPOINT) | OF(NETWORK), "PA", "ProviderAddress", NULL,
	  MEMBER_ADDR, "PA", "ProviderAddress", 0 },
	{ NET_POLICY_AUTO_DNS, OF(NETWORK), "AutomaticDNS", "AutomaticDNS", NULL, MEMBER_BOOL,
	  "Enable", "Enable", 0 },
	{ NET_POLICY_VXLAN_PORT, OF(NETWORK), "VxlanPort", "VxlanPort", NULL, MEMBER_NUMBER, "Port",
	  "Port", 65535 },
	{ NET_POLICY_HOST_ROUTE, OF(NETWORK), "HostRoute", "HostRoute", .codec = NULL },
	/* Switch extensions, offloads to virtual functions and the like: nothing here is like them. */
	{ NET_POLICY_KEPT, ANYWHERE, "L2Driver", "L2Driver", .codec = NULL },
	{ NET_POLICY_KEPT, ANYWHERE, "VNET", "VNET", .codec = NULL },
	{ NET_POLICY_KEPT, OF(ENDPOINT), "Iov", "Iov", .codec = NULL },
	{ NET_POLICY_KEPT, OF(NETWORK), "VSwitchExtension", "VSwitchExtension", .codec = NULL },
	{ NET_POLICY_KEPT, OF(NETWORK), "LayerConstraint", "LayerConstraint", .codec = NULL },
	{ NET_POLICY_KEPT, OF(NETWORK), "SetPolicy", "SetPolicy", .codec = NULL },
	{ NET_POLICY_KEPT, OF(NETWORK) | OF(ENDPOINT), "InterfaceConstraint", "InterfaceConstraint",
	  .codec = NULL },
};

static const char *const scope_names[] = { "networks", "subnets", "endpoints" };

/* A name is one of several scopes': whether it is known at all decides what is said. */
static const struct kind *kind_find(const char *type, enum net_policy_shape shape,
				    enum net_policy_scope scope, bool *known)
{
	*known = false;
	for (size_t i = 0; i < PLUG_ELEMENTS(kinds); i++) {
		const char *name = shape == NET_POLICY_HNS ? kinds[i].hns : kinds[i].hcn;

		if (strcasecmp(name, type))
			continue;
		*known = true;
		if (kinds[i].scopes & (1u << scope))
			return &kinds[i];
	}
	return NULL;
}

/* Says what is wrong with a type; people mix up the two shapes. */
static int kind_missing(const char *type, enum net_policy_shape shape, enum net_policy_scope scope,
			bool known, struct plug_error *err)
{
	enum net_policy_shape other = shape == NET_POLICY_HNS ? NET_POLICY_HCN : NET_POLICY_HNS;
	const struct kind *k = known ? NULL : kind_find(type, other, scope, &(bool){ false });

	if (known)
		return plug_error_set(err, -EINVAL, "Type: \"%.64s\" is not for %s", type,
				      scope_names[scope]);
	if (k)
		return plug_error_set(err, -EINVAL, "Type: \"%.64s\" is %s's: \"%s\" here", type,
				      other == NET_POLICY_HNS ? "HNS" : "HCN",
				      other == NET_POLICY_HNS ? k->hcn : k->hns);
	return plug_error_set(err, -EINVAL, "Type: \"%.64s\" is not known", type);
}

static int member_parse(const struct kind *k, struct json_object *o, enum net_policy_shape shape,
			struct net_policy *p, struct plug_error *err)
{
	const char *key = shape == NET_POLICY_HNS ? k->hns_key : k->hcn_key;
	bool there = k->member == MEMBER_NONE || net_json_get(o, key);
	uint64_t n = 0;
	int r = 0;

	if (!there)
		return plug_error_set(err, -EINVAL, "%s: missing", key);
	switch (k->member) {
	case MEMBER_NONE:
		return 0;
	case MEMBER_NUMBER:
		r = net_json_number(o, key, k->max, &n, err);
		p->number = (uint32_t)n;
		return r;
	case MEMBER_TEXT:
		return net_member_copy(o, key, &p->text, err);
	case MEMBER_ADDR:
		r = net_member_addr(o, key, &p->address, err);
		there = p->address.family;
		break;
	case MEMBER_MAC:
		r = net_member_mac(o, key, &p->mac, err);
		there = p->mac.set;
		break;
	case MEMBER_BOOL:
		return net_json_bool(o, key, &p->enable, err);
	}
	/* An empty text is none. */
	return r < 0 || there ? r : plug_error_set(err, -EINVAL, "%s: missing", key);
}

static int kept_parse(const struct kind *k, struct json_object *o, struct net_policy *p,
		      struct plug_error *err)
{
	_cleanup_json_ struct json_object *copy = NULL;

	p->type = strdup(k->hcn);
	if (!o) {
		p->settings = strdup("{}");
	} else if (json_object_deep_copy(o, &copy, NULL) == 0) {
		json_object_object_del(copy, "Type");
		p->settings = plug_json_print(copy);
	}
	return p->type && p->settings ? 0 : plug_error_errno(err, -ENOMEM, "Settings");
}

/* HNS's Isolation is VLAN, VSID, or both. */
static int isolation_parse(struct json_object *o, struct net_policy **policies, size_t *count,
			   struct plug_error *err)
{
	uint64_t vlan = 0, vsid = 0;
	int r = net_json_number(o, "VLAN", 4094, &vlan, err);

	r = r ?: net_json_number(o, "VSID", 0xffffff, &vsid, err);
	if (r == 0 && vlan)
		r = net_policies_add(
			policies, count,
			&(struct net_policy){ .kind = NET_POLICY_VLAN, .number = (uint32_t)vlan });
	if (r == 0 && vsid)
		r = net_policies_add(
			policies, count,
			&(struct net_policy){ .kind = NET_POLICY_VSID, .number = (uint32_t)vsid });
	return r;
}

static int policy_parse(struct json_object *o, enum net_policy_shape shape,
			enum net_policy_scope scope, struct net_policy **policies, size_t *count,
			struct plug_error *err)
{
	struct json_object *settings = o;
	struct net_policy p = { 0 };
	const char *type = NULL;
	const struct kind *k;
	bool known;
	int r;

	if (!json_object_is_type(o, json_type_object))
		return plug_error_set(err, -EINVAL, "not an object");
	r = net_json_string(o, "Type", &type, err);
	if (r < 0)
		return r;
	if (!type)
		return plug_error_set(err, -EINVAL, "Type: missing");
	if (shape == NET_POLICY_HCN) {
		settings = NULL;
		r = net_json_object(o, "Settings", &settings, err);
	} else if (!strcasecmp(type, "Isolation")) {
		return isolation_parse(o, policies, count, err);
	}
	if (r < 0)
		return r;
	k = kind_find(type, shape, scope, &known);
	if (!k)
		return kind_missing(type, shape, scope, known, err);
	p.kind = k->kind;
	if (k->kind == NET_POLICY_KEPT)
		r = kept_parse(k, settings, &p, err);
	else if (k->codec)
		r = k->codec->parse(settings, shape, &p, err);
	else
		r = member_parse(k, settings, shape, &p, err);
	if (r < 0) {
		net_policy_finish(&p);
		return r;
	}
	if (p.kind == NET_POLICY_ACL)
		p.acl.network = scope == NET_POLICY_OF_NETWORK;
	r = net_policies_add(policies, count, &p);
	return r < 0 ? plug_error_errno(err, r, "Type") : 0;
}

int net_policies_parse(struct json_object *list, enum net_policy_shape shape,
		       enum net_policy_scope scope, struct net_policy **ret, size_t *ret_count,
		       struct plug_error *err)
{
	struct net_policy *policies = NULL;
	size_t count = 0;
	int r = 0;

	if (list && !json_object_is_type(list, json_type_array))
		return plug_error_set(err, -EINVAL, "Policies: not a list");
	for (size_t i = 0; r == 0 && i < plug_json_length(list); i++) {
		char where[40];

		r = policy_parse(json_object_array_get_idx(list, i), shape, scope, &policies,
				 &count, err);
		(void)snprintf(where, sizeof(where), "Policies[%zu]", i);
		if (r < 0)
			(void)net_policy_in(err, r, where);
	}
	if (r < 0) {
		net_policies_free(policies, count);
		return r;
	}
	*ret = policies;
	*ret_count = count;
	return 0;
}

static const struct kind *kind_of(const struct net_policy *p)
{
	for (size_t i = 0; i < PLUG_ELEMENTS(kinds); i++) {
		const struct kind *k = &kinds[i];

		if (k->kind != p->kind || (p->kind == NET_POLICY_KEPT && strcmp(k->hcn, p->type)))
			continue;
		if (p->kind == NET_POLICY_ACL && p->acl.network != (k->scopes == OF(NETWORK)))
			continue;
		if (p->kind == NET_POLICY_ROUTE &&
		    p->route.remote != (k->codec == &net_codec_remote_route))
			continue;
		if (p->kind == NET_POLICY_PROXY &&
		    p->proxy.wfp != (k->codec == &net_codec_proxy_wfp))
			continue;
		return k;
	}
	return NULL;
}

static void member_print(const struct kind *k, const char *key, struct json_object **o,
			 const struct net_policy *p)
{
	if (k->member == MEMBER_NUMBER)
		net_json_add(o, key, json_object_new_int64(p->number));
	else if (k->member == MEMBER_TEXT)
		net_json_add(o, key, json_object_new_string(p->text));
	else if (k->member == MEMBER_ADDR)
		net_put_addr(o, key, &p->address);
	else if (k->member == MEMBER_MAC)
		net_put_mac(o, key, &p->mac, '-');
	else if (k->member == MEMBER_BOOL)
		net_json_add(o, key, json_object_new_boolean(p->enable));
}

static void kept_print(struct json_object **o, const struct net_policy *p)
{
	_cleanup_json_ struct json_object *settings = json_tokener_parse(p->settings);

	if (!settings) {
		net_json_add(o, "Type", NULL); /* memory is missing: says so */
		return;
	}
	json_object_object_foreach (settings, key, value)
		net_json_add(o, key, json_object_get(value));
}

static struct json_object *policy_print(const struct net_policy *p, enum net_policy_shape shape)
{
	const struct kind *k = kind_of(p);
	struct json_object *o = json_object_new_object(), *settings = o;
	bool hns = shape == NET_POLICY_HNS;

	net_json_add_string(&o, "Type", hns ? k->hns : k->hcn);
	if (!hns)
		settings = json_object_new_object();
	else
		settings = o;
	if (k->kind == NET_POLICY_KEPT)
		kept_print(&settings, p);
	else if (k->codec)
		k->codec->print(&settings, shape, p);
	else
		member_print(k, hns ? k->hns_key : k->hcn_key, &settings, p);
	if (hns)
		return settings;
	net_json_add(&o, "Settings", settings);
	return o;
}

struct json_object *net_policies_print(const struct net_policy *policies, size_t count,
				       enum net_policy_shape shape)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < count; i++)
		net_json_append(&array, policy_print(&policies[i], shape));
	return array;
}
