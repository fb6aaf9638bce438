/* SPDX-License-Identifier: MIT */
/* Arrays of policies: what they own, and how they grow. */
#include "policy/private.h"

#include <string.h>

static void proxy_finish(struct net_policy_proxy *proxy)
{
	free(proxy->exceptions.items);
	free(proxy->port_exceptions);
	free(proxy->inbound_exceptions.items);
	free(proxy->inbound_port_exceptions);
	free(proxy->ports);
	free(proxy->user);
}

void net_policy_finish(struct net_policy *p)
{
	switch (p->kind) {
	case NET_POLICY_OUTBOUND:
		free(p->outbound.exceptions.items);
		free(p->outbound.destinations.items);
		break;
	case NET_POLICY_ACL:
		net_acl_finish(&p->acl);
		break;
	case NET_POLICY_TIER:
		for (size_t i = 0; i < p->tier.count; i++)
			net_acl_finish(&p->tier.rules[i]);
		free(p->tier.rules);
		free(p->tier.name);
		break;
	case NET_POLICY_PROXY:
		proxy_finish(&p->proxy);
		break;
	case NET_POLICY_PORT_NAME:
	case NET_POLICY_ADAPTER:
		free(p->text);
		break;
	default:
		break;
	}
	free(p->type);
	free(p->settings);
	*p = (struct net_policy){ 0 };
}

void net_policies_free(struct net_policy *policies, size_t count)
{
	for (size_t i = 0; policies && i < count; i++)
		net_policy_finish(&policies[i]);
	free(policies);
}

int net_policies_add(struct net_policy **policies, size_t *count, struct net_policy *p)
{
	struct net_policy *grown = reallocarray(*policies, *count + 1, sizeof(*grown));

	if (!grown) {
		net_policy_finish(p);
		return -ENOMEM;
	}
	grown[(*count)++] = *p;
	*policies = grown;
	*p = (struct net_policy){ 0 };
	return 0;
}

const struct net_policy *net_policies_find(const struct net_policy *policies, size_t count,
					   enum net_policy_kind kind)
{
	for (size_t i = 0; i < count; i++)
		if (policies[i].kind == kind)
			return &policies[i];
	return NULL;
}

bool net_policy_same(const struct net_policy *a, const struct net_policy *b)
{
	_cleanup_json_ struct json_object *x = NULL, *y = NULL;

	if (a->kind != b->kind)
		return false;
	x = net_policies_print(a, 1, NET_POLICY_HCN);
	y = net_policies_print(b, 1, NET_POLICY_HCN);
	return x && y && json_object_equal(x, y);
}

/* By way of what they say: nothing that is printed is lost. */
int net_policies_copy(const struct net_policy *policies, size_t count, struct net_policy **ret)
{
	struct net_policy *copies = NULL;
	size_t copied = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < count; i++) {
		static const enum net_policy_scope scopes[] = { NET_POLICY_OF_ENDPOINT,
								NET_POLICY_OF_NETWORK };
		_cleanup_json_ struct json_object *one =
			net_policies_print(&policies[i], 1, NET_POLICY_HCN);
		struct net_policy *copy = NULL;
		size_t n = 0;

		if (!one)
			r = -ENOMEM;
		for (size_t s = 0; r == 0 && !n && s < PLUG_ELEMENTS(scopes); s++)
			(void)net_policies_parse(one, NET_POLICY_HCN, scopes[s], &copy, &n, NULL);
		r = r ?: n ? net_policies_add(&copies, &copied, copy) : -ENOMEM;
		free(copy);
	}
	if (r < 0) {
		net_policies_free(copies, copied);
		return r;
	}
	*ret = copies;
	return 0;
}
