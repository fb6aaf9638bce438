/* SPDX-License-Identifier: MIT */
/* HCN's modify requests. */
#include "common/util.h"
#include "model/shape.h"
#include "verbs/api.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum request { ADD, REMOVE, UPDATE, REFRESH, REQUEST_COUNT };

struct modify {
	const struct net_api *api;
	const char *ref;
	enum request request;
	struct json_object *settings; /* borrowed; may be NULL */
};

static int request_parse(struct json_object *o, enum request *ret, struct plug_error *err)
{
	static const char *const names[REQUEST_COUNT] = { "Add", "Remove", "Update", "Refresh" };
	const char *text = "";
	int r = net_json_string(o, "RequestType", &text, err);

	for (unsigned i = 0; r == 0 && i < REQUEST_COUNT; i++)
		if (!strcasecmp(text, names[i])) {
			*ret = (enum request)i;
			return 0;
		}
	return r < 0 ? r
		     : plug_error_set(err, -EINVAL,
				      "RequestType: \"%.64s\" is not Add, Remove, Update or Refresh", text);
}

/* policies */

static size_t policy_find(struct json_object *list, struct json_object *policy)
{
	size_t i = 0;

	while (i < plug_json_length(list) &&
	       !json_object_equal(json_object_array_get_idx(list, i), policy))
		i++;
	return i;
}

static void type_remove(struct json_object *list, struct json_object *policy)
{
	const char *type = "", *other;

	(void)net_json_string(policy, "Type", &type, NULL);
	for (size_t i = plug_json_length(list); i-- > 0;) {
		other = "";
		(void)net_json_string(json_object_array_get_idx(list, i), "Type", &other, NULL);
		if (!strcasecmp(type, other))
			(void)json_object_array_del_idx(list, i, 1);
	}
}

/* Both lists as the model prints them, so that what is equal looks so. */
static int policies_change(struct json_object *list, struct json_object *wanted, enum request request,
			   struct plug_error *err)
{
	for (size_t i = 0; request == UPDATE && i < plug_json_length(wanted); i++)
		type_remove(list, json_object_array_get_idx(wanted, i));
	for (size_t i = 0; request != REFRESH && i < plug_json_length(wanted); i++) {
		struct json_object *policy = json_object_array_get_idx(wanted, i);
		size_t at = policy_find(list, policy);
		bool there = at < plug_json_length(list);

		if (request == REMOVE && !there)
			return plug_error_set(err, -ENOENT, "Policies[%zu]: no such policy", i);
		if (request == REMOVE)
			(void)json_object_array_del_idx(list, at, 1);
		else if (there)
			return plug_error_set(err, -EEXIST, "Policies[%zu]: is there already", i);
		else if (json_object_array_add(list, json_object_get(policy)) < 0) {
			json_object_put(policy);
			return plug_error_errno(err, -ENOMEM, "Policies");
		}
	}
	return 0;
}

/* An object with nothing but these policies. */
static struct json_object *policies_only(const struct modify *m)
{
	struct json_object *o = json_object_new_object(), *list = net_json_get(m->settings, "Policies");

	if (list)
		net_json_add(&o, "Policies", json_object_get(list));
	return o;
}

static int network_policy(const struct modify *m, struct net_network *now, struct net_network **ret,
			  struct plug_error *err)
{
	_cleanup_json_ struct json_object *asked = policies_only(m), *wanted = NULL,
					  *all = net_hcn_network_print(now);
	struct net_network *only = NULL;
	int r = asked && all ? net_hcn_network_parse(asked, &only, err)
			     : plug_error_errno(err, -ENOMEM, "network");

	if (r == 0) {
		wanted = net_hcn_network_print(only);
		r = wanted ? policies_change(net_json_get(all, "Policies"),
					     net_json_get(wanted, "Policies"), m->request, err)
			   : plug_error_errno(err, -ENOMEM, "network");
	}
	net_network_free(only);
	return r ?: net_hcn_network_parse(all, ret, err);
}

static int endpoint_policy(const struct modify *m, struct net_endpoint *now, struct net_endpoint **ret,
			   struct plug_error *err)
{
	_cleanup_json_ struct json_object *asked = policies_only(m), *wanted = NULL,
					  *all = net_hcn_endpoint_print(now);
	struct net_endpoint *only = NULL;
	int r = asked && all ? net_hcn_endpoint_parse(asked, &only, err)
			     : plug_error_errno(err, -ENOMEM, "endpoint");

	if (r == 0) {
		wanted = net_hcn_endpoint_print(only);
		r = wanted ? policies_change(net_json_get(all, "Policies"),
					     net_json_get(wanted, "Policies"), m->request, err)
			   : plug_error_errno(err, -ENOMEM, "endpoint");
	}
	net_endpoint_free(only);
	return r ?: net_hcn_endpoint_parse(all, ret, err);
}

/* names */

static int strv_change(struct net_strv *v, const struct net_strv *wanted, enum request request)
{
	struct net_strv old = *v;
	int r = 0;

	if (request == REFRESH)
		return 0;
	*v = (struct net_strv){ 0 };
	for (size_t i = 0; r == 0 && request != UPDATE && i < old.count; i++)
		if (request != REMOVE || !net_strv_has(wanted, old.items[i]))
			r = net_strv_add(v, old.items[i]);
	for (size_t i = 0; r == 0 && request != REMOVE && i < wanted->count; i++)
		if (!net_strv_has(v, wanted->items[i]))
			r = net_strv_add(v, wanted->items[i]);
	net_strv_finish(&old);
	return r;
}

static int dns_change(const struct modify *m, struct net_dns *dns, struct plug_error *err)
{
	struct net_dns wanted = { 0 };
	int r = net_hcn_dns_parse(m->settings, &wanted, err);

	if (r == 0) {
		r = strv_change(&dns->search, &wanted.search, m->request) ?:
		    strv_change(&dns->servers, &wanted.servers, m->request) ?:
		    strv_change(&dns->options, &wanted.options, m->request);
		if (r < 0)
			(void)plug_error_errno(err, r, "Dns");
	}
	if (r == 0 && m->request == REMOVE && wanted.domain && dns->domain &&
	    !strcmp(wanted.domain, dns->domain))
		free(plug_take_ptr(dns->domain));
	if (r == 0 && (m->request == UPDATE || (m->request == ADD && wanted.domain))) {
		free(dns->domain);
		dns->domain = plug_take_ptr(wanted.domain);
	}
	net_dns_finish(&wanted);
	return r;
}

/* kinds */

static int network_put(const struct modify *m, const struct net_network *n,
		       const struct net_network *before, struct plug_error *err)
{
	int r = net_network_check(n, err);

	if (r == 0)
		r = net_store_put_network(m->api->store, n, NET_PUT_CHANGE, err);
	if (r < 0)
		return r;
	r = m->api->effects->network_change(m->api->arg, n, err);
	if (r < 0) {
		(void)net_store_put_network(m->api->store, before, NET_PUT_CHANGE, NULL);
		(void)m->api->effects->network_change(m->api->arg, before, NULL);
	}
	return r;
}

static int network_modify(const struct modify *m, const char *type, struct plug_error *err)
{
	struct net_network *now = NULL, *next = NULL;
	bool policy = !strcasecmp(type, "Policy"), dns = !strcasecmp(type, "DNS");
	int r;

	if (!policy && !dns && strcasecmp(type, "Extension") != 0)
		return plug_error_set(err, -EINVAL,
				      "ResourceType: \"%.64s\" is not Policy, DNS or Extension", type);
	r = net_store_lock(m->api->store, err);
	if (r < 0)
		return r;
	r = net_store_network(m->api->store, m->ref, &now, err);
	if (r == 0 && !policy && !dns)
		r = plug_error_set(err, -EOPNOTSUPP,
				   "network %s: Extension: a bridge has no switch extensions",
				   now->name ? now->name : now->id);
	if (r == 0 && policy)
		r = network_policy(m, now, &next, err);
	if (r == 0 && dns) {
		r = net_store_network(m->api->store, now->id, &next, err);
		if (r == 0)
			r = dns_change(m, &next->dns, err);
	}
	if (r == 0)
		r = network_put(m, next, now, err);
	net_store_unlock(m->api->store);
	net_network_free(now);
	net_network_free(next);
	return r;
}

static int endpoint_modify(const struct modify *m, const char *type, struct plug_error *err)
{
	struct net_endpoint *now = NULL, *next = NULL;
	bool policy = !strcasecmp(type, "Policy");
	int r;

	if (!policy && strcasecmp(type, "Port") != 0)
		return plug_error_set(err, -EINVAL, "ResourceType: \"%.64s\" is not Policy or Port", type);
	r = net_store_lock(m->api->store, err);
	if (r < 0)
		return r;
	r = net_store_endpoint(m->api->store, m->ref, &now, err);
	if (r == 0 && !policy)
		r = plug_error_set(err, -EOPNOTSUPP,
				   "endpoint %s: Port: there is no hosting system with a card for it",
				   now->name ? now->name : now->id);
	if (r == 0)
		r = endpoint_policy(m, now, &next, err);
	if (r == 0)
		r = net_api_endpoint_update(m->api, now->id, next, err);
	net_store_unlock(m->api->store);
	net_endpoint_free(now);
	return r;
}

/* {"ContainerId": …}, {"EndpointId": …}; a refresh plugs the endpoint out and in again. */
static int namespace_modify(const struct modify *m, const char *type, struct plug_error *err)
{
	bool container = !strcasecmp(type, "Container");
	const char *id = "", *key = container ? "ContainerId" : "EndpointId";
	int r;

	if (!container && strcasecmp(type, "Endpoint") != 0)
		return plug_error_set(err, -EINVAL, "ResourceType: \"%.64s\" is not Container or Endpoint",
				      type);
	r = net_json_string(m->settings, key, &id, err);
	if (r == 0 && !*id)
		r = plug_error_set(err, -EINVAL, "Settings: %s: missing", key);
	if (r < 0)
		return r;
	if (m->request == ADD)
		return net_api_namespace_add(m->api, m->ref, container, id, err);
	if (m->request == REMOVE)
		return net_api_namespace_drop(m->api, m->ref, container, id, err);
	r = net_store_lock(m->api->store, err);
	if (r < 0)
		return r;
	r = net_api_namespace_drop(m->api, m->ref, container, id, err);
	if (r == 0)
		r = net_api_namespace_add(m->api, m->ref, container, id, err);
	net_store_unlock(m->api->store);
	return r;
}

int net_api_modify(const struct net_api *api, enum net_kind kind, const char *ref,
		   struct json_object *request, struct plug_error *err)
{
	struct modify m = { .api = api, .ref = ref };
	const char *type = "";
	int r = json_object_is_type(request, json_type_object)
			? net_json_string(request, "ResourceType", &type, err)
			: plug_error_set(err, -EINVAL, "request: not an object");

	if (r == 0)
		r = request_parse(request, &m.request, err);
	if (r == 0)
		r = net_json_object(request, "Settings", &m.settings, err);
	if (r < 0)
		return r;
	switch (kind) {
	case NET_NETWORKS:
		return network_modify(&m, type, err);
	case NET_ENDPOINTS:
		return endpoint_modify(&m, type, err);
	case NET_NAMESPACES:
		return namespace_modify(&m, type, err);
	case NET_BALANCERS:
	case NET_SDN_ROUTES:
	case NET_KIND_COUNT:
		break;
	}
	return plug_error_set(err, -EINVAL, "request: objects of this kind cannot be modified");
}
