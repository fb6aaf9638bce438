/* SPDX-License-Identifier: MIT */
/* Policies that are members of our structs: taken out of the lists on the way in, put back on the way out. */
#include "model/parts.h"

#include <errno.h>
#include <string.h>

/* Takes those that take() wants out of a list; it may move their text. */
static size_t absorb(struct net_policy *list, size_t count, bool (*take)(void *, struct net_policy *),
		     void *arg)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++)
		if (take(arg, &list[i]))
			net_policy_finish(&list[i]);
		else
			list[kept++] = list[i];
	return kept;
}

static bool subnet_take(void *arg, struct net_policy *p)
{
	struct net_subnet *subnet = arg;

	if (p->kind == NET_POLICY_VLAN)
		subnet->vlan = p->number;
	else if (p->kind == NET_POLICY_VSID)
		subnet->vsid = p->number;
	else
		return false;
	return true;
}

int net_part_subnet_policies(struct json_object *list, bool hns, struct net_subnet *subnet,
			     struct plug_error *err)
{
	int r = net_policies_parse(list, hns ? NET_POLICY_HNS : NET_POLICY_HCN, NET_POLICY_OF_SUBNET,
				   &subnet->policies, &subnet->policy_count, err);

	if (r == 0)
		subnet->policy_count =
			absorb(subnet->policies, subnet->policy_count, subnet_take, subnet);
	return r;
}

static bool network_take(void *arg, struct net_policy *p)
{
	struct net_network *n = arg;

	switch (p->kind) {
	case NET_POLICY_VLAN:
		n->vlan = p->number;
		return true;
	case NET_POLICY_MAC:
		n->source_mac = p->mac;
		return true;
	case NET_POLICY_VXLAN_PORT:
		n->vxlan_port = (uint16_t)p->number;
		return true;
	case NET_POLICY_AUTO_DNS:
		n->automatic_dns = p->enable;
		return true;
	case NET_POLICY_ADAPTER:
		if (n->adapter)
			return false;
		n->adapter = plug_take_ptr(p->text);
		return true;
	default:
		return false;
	}
}

int net_part_network_policies(struct json_object *list, bool hns, struct net_network *n,
			      struct plug_error *err)
{
	int r = net_policies_parse(list, hns ? NET_POLICY_HNS : NET_POLICY_HCN,
				   NET_POLICY_OF_NETWORK, &n->policies, &n->policy_count, err);

	if (r == 0)
		n->policy_count = absorb(n->policies, n->policy_count, network_take, n);
	return r;
}

/* One policy in either shape. */
static void put(struct json_object **list, bool hns, const char *type, const char *hns_key,
		const char *hcn_key, struct json_object *value)
{
	struct json_object *one = json_object_new_object(), *settings = NULL;

	net_json_add_string(&one, "Type", type);
	if (hns) {
		net_json_add(&one, hns_key, value);
	} else {
		settings = json_object_new_object();
		net_json_add(&settings, hcn_key, value);
		net_json_add(&one, "Settings", settings);
	}
	net_json_append(list, one);
}

/* What stands in the lists besides. */
static void others_add(struct json_object **list, const struct net_policy *policies, size_t count,
		       bool hns)
{
	struct json_object *others =
		net_policies_print(policies, count, hns ? NET_POLICY_HNS : NET_POLICY_HCN);

	if (!others) {
		json_object_put(*list);
		*list = NULL;
		return;
	}
	for (size_t i = 0; i < plug_json_length(others); i++)
		net_json_append(list, json_object_get(json_object_array_get_idx(others, i)));
	json_object_put(others);
}

struct json_object *net_print_subnet_policies(const struct net_subnet *subnet, bool hns)
{
	struct json_object *list = json_object_new_array();

	if (subnet->vlan)
		put(&list, hns, "VLAN", "VLAN", "IsolationId", json_object_new_int64(subnet->vlan));
	if (subnet->vsid)
		put(&list, hns, "VSID", "VSID", "IsolationId", json_object_new_int64(subnet->vsid));
	others_add(&list, subnet->policies, subnet->policy_count, hns);
	return list;
}

struct json_object *net_print_network_policies(const struct net_network *n, bool hns)
{
	struct json_object *list = json_object_new_array();
	char mac[NET_MAC_TEXT];

	net_mac_format(&n->source_mac, '-', mac);
	if (n->adapter && !hns)
		put(&list, hns, "NetAdapterName", "NetworkAdapterName", "NetworkAdapterName",
		    json_object_new_string(n->adapter));
	if (*mac && !hns)
		put(&list, hns, "SourceMacAddress", "SourceMacAddress", "SourceMacAddress",
		    json_object_new_string(mac));
	if (n->automatic_dns && !hns)
		put(&list, hns, "AutomaticDNS", "Enable", "Enable", json_object_new_boolean(true));
	if (n->vlan)
		put(&list, hns, "VLAN", "VLAN", "IsolationId", json_object_new_int64(n->vlan));
	if (n->vxlan_port)
		put(&list, hns, "VxlanPort", "Port", "Port", json_object_new_int64(n->vxlan_port));
	others_add(&list, n->policies, n->policy_count, hns);
	return list;
}
