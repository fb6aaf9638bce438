/* SPDX-License-Identifier: MIT */
/* Addresses, routes, neighbours. */
#include "kernel/rtnl.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

static size_t addr_size(const struct net_addr *a)
{
	return a->family == AF_INET ? 4 : 16;
}

static int address(struct net_rtnl *r, uint16_t type, const char *link, const struct net_addr *addr,
		   struct plug_error *err)
{
	char buffer[NET_RTNL_MESSAGE], text[NET_ADDR_TEXT];
	struct nlmsghdr *m;
	struct ifaddrmsg *ifa;
	int index, result = net_link_index(r, link, &index, err);

	if (result < 0)
		return result;
	m = net_rtnl_begin(buffer, type, type == RTM_NEWADDR ? NLM_F_CREATE | NLM_F_EXCL : 0);
	ifa = mnl_nlmsg_put_extra_header(m, sizeof(*ifa));
	ifa->ifa_family = addr->family;
	ifa->ifa_prefixlen = addr->prefix;
	ifa->ifa_index = (uint32_t)index;
	ifa->ifa_flags = addr->family == AF_INET6 ? IFA_F_NODAD : 0;
	mnl_attr_put(m, IFA_LOCAL, addr_size(addr), addr->bytes);
	mnl_attr_put(m, IFA_ADDRESS, addr_size(addr), addr->bytes);
	if (addr->family == AF_INET && addr->prefix < 31 && type == RTM_NEWADDR) {
		uint32_t host = addr->prefix ? ~0u >> addr->prefix : ~0u, broadcast;

		memcpy(&broadcast, addr->bytes, sizeof(broadcast));
		mnl_attr_put_u32(m, IFA_BROADCAST, broadcast | __builtin_bswap32(host));
	}
	net_addr_format_prefix(addr, text);
	return net_rtnl_call(r, m, NULL, NULL, err, "address %s of %s", text, link);
}

int net_address_add(struct net_rtnl *r, const char *link, const struct net_addr *addr, struct plug_error *err)
{
	int result = address(r, RTM_NEWADDR, link, addr, err);

	return result == -EEXIST ? plug_error_none(err) : result;
}

int net_address_delete(struct net_rtnl *r, const char *link, const struct net_addr *addr,
		       struct plug_error *err)
{
	int result = address(r, RTM_DELADDR, link, addr, err);

	return result == -EADDRNOTAVAIL || result == -ENODEV ? plug_error_none(err) : result;
}

struct addresses {
	int (*cb)(void *arg, int index, const struct net_addr *addr);
	void *arg;
};

static int addresses_read(void *arg, const struct nlmsghdr *m)
{
	const struct addresses *list = arg;
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(m);
	struct net_addr addr = { .family = ifa->ifa_family, .prefix = ifa->ifa_prefixlen };
	const struct nlattr *a, *own = NULL;

	if (m->nlmsg_type != RTM_NEWADDR || (addr.family != AF_INET && addr.family != AF_INET6))
		return 0;
	/* IFA_ADDRESS is the peer's where there is one. */
	net_attr_each(a, m, sizeof(*ifa))
		if (mnl_attr_get_type(a) == IFA_LOCAL || (mnl_attr_get_type(a) == IFA_ADDRESS && !own))
			own = a;
	if (!own || mnl_attr_get_payload_len(own) != addr_size(&addr))
		return 0;
	memcpy(addr.bytes, mnl_attr_get_payload(own), addr_size(&addr));
	return list->cb(list->arg, (int)ifa->ifa_index, &addr);
}

int net_address_list(struct net_rtnl *r, int (*cb)(void *arg, int index, const struct net_addr *addr),
		     void *arg, struct plug_error *err)
{
	char buffer[NET_RTNL_MESSAGE];
	struct nlmsghdr *m = net_rtnl_begin(buffer, RTM_GETADDR, NLM_F_DUMP);
	struct addresses list = { .cb = cb, .arg = arg };

	(void)mnl_nlmsg_put_extra_header(m, sizeof(struct ifaddrmsg));
	return net_rtnl_call(r, m, addresses_read, &list, err, "list of addresses");
}

/* ---- routes */

static void put_route(struct nlmsghdr *m, const struct net_kernel_route *route, int index)
{
	if (route->destination.prefix)
		mnl_attr_put(m, RTA_DST, addr_size(&route->destination), route->destination.bytes);
	if (route->next_hop.family)
		mnl_attr_put(m, RTA_GATEWAY, addr_size(&route->next_hop), route->next_hop.bytes);
	if (index)
		mnl_attr_put_u32(m, RTA_OIF, (uint32_t)index);
	if (route->metric)
		mnl_attr_put_u32(m, RTA_PRIORITY, route->metric);
	if (route->mtu) {
		struct nlattr *nest = mnl_attr_nest_start(m, RTA_METRICS);

		mnl_attr_put_u32(m, RTAX_MTU, route->mtu);
		mnl_attr_nest_end(m, nest);
	}
}

static int route_call(struct net_rtnl *r, uint16_t type, const struct net_kernel_route *route,
		      struct plug_error *err)
{
	char buffer[NET_RTNL_MESSAGE], to[NET_ADDR_TEXT], by[NET_ADDR_TEXT] = "";
	struct nlmsghdr *m;
	struct rtmsg *rt;
	int index = 0, result = route->link ? net_link_index(r, route->link, &index, err) : 0;

	if (result < 0)
		return result;
	m = net_rtnl_begin(buffer, type, type == RTM_NEWROUTE ? NLM_F_CREATE | NLM_F_EXCL : 0);
	rt = mnl_nlmsg_put_extra_header(m, sizeof(*rt));
	rt->rtm_family = route->destination.family;
	rt->rtm_dst_len = route->destination.prefix;
	rt->rtm_table = RT_TABLE_MAIN;
	rt->rtm_flags = route->onlink ? RTNH_F_ONLINK : 0;
	rt->rtm_scope = RT_SCOPE_NOWHERE;
	if (type == RTM_NEWROUTE) {
		rt->rtm_protocol = RTPROT_STATIC;
		rt->rtm_type = RTN_UNICAST;
		rt->rtm_scope = route->next_hop.family || route->destination.family == AF_INET6 ?
					RT_SCOPE_UNIVERSE :
					RT_SCOPE_LINK;
	}
	put_route(m, route, index);
	if (route->next_hop.family)
		net_addr_format(&route->next_hop, by);
	net_addr_format_prefix(&route->destination, to);
	return net_rtnl_call(r, m, NULL, NULL, err, "route to %s%s%s%s%s", to, *by ? " by " : "", by,
			     route->link ? " on " : "", route->link ? route->link : "");
}

int net_route_add(struct net_rtnl *r, const struct net_kernel_route *route, struct plug_error *err)
{
	int result = route_call(r, RTM_NEWROUTE, route, err);

	return result == -EEXIST ? plug_error_none(err) : result;
}

int net_route_delete(struct net_rtnl *r, const struct net_kernel_route *route, struct plug_error *err)
{
	int result = route_call(r, RTM_DELROUTE, route, err);

	return result == -ESRCH || result == -ENODEV ? plug_error_none(err) : result;
}

struct routes {
	int (*cb)(void *arg, const struct net_addr *destination, int link);
	void *arg;
};

static int routes_read(void *arg, const struct nlmsghdr *m)
{
	const struct routes *list = arg;
	const struct rtmsg *rt = mnl_nlmsg_get_payload(m);
	struct net_addr to = { .family = rt->rtm_family, .prefix = rt->rtm_dst_len };
	const struct nlattr *a;
	int link = 0;

	if (m->nlmsg_type != RTM_NEWROUTE || rt->rtm_table != RT_TABLE_MAIN ||
	    (to.family != AF_INET && to.family != AF_INET6))
		return 0;
	net_attr_each(a, m, sizeof(*rt)) {
		if (mnl_attr_get_type(a) == RTA_DST && mnl_attr_get_payload_len(a) == addr_size(&to))
			memcpy(to.bytes, mnl_attr_get_payload(a), addr_size(&to));
		else if (mnl_attr_get_type(a) == RTA_OIF &&
			 mnl_attr_get_payload_len(a) == sizeof(uint32_t))
			link = (int)mnl_attr_get_u32(a);
	}
	return list->cb(list->arg, &to, link);
}

int net_route_list(struct net_rtnl *r, int (*cb)(void *arg, const struct net_addr *destination, int link),
		   void *arg, struct plug_error *err)
{
	char buffer[NET_RTNL_MESSAGE];
	struct nlmsghdr *m = net_rtnl_begin(buffer, RTM_GETROUTE, NLM_F_DUMP);
	struct routes list = { .cb = cb, .arg = arg };

	(void)mnl_nlmsg_put_extra_header(m, sizeof(struct rtmsg));
	return net_rtnl_call(r, m, routes_read, &list, err, "list of routes");
}

struct destinations {
	struct net_addr *list;
	size_t count;
};

static int destination_add(void *arg, const struct net_addr *destination, int link)
{
	struct destinations *all = arg;
	struct net_addr *more;

	(void)link;
	if (!destination->prefix)
		return 0;
	more = reallocarray(all->list, all->count + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	all->list = more;
	all->list[all->count++] = *destination;
	return 0;
}

int net_route_destinations(struct net_rtnl *r, struct net_addr **ret, size_t *ret_count,
			   struct plug_error *err)
{
	struct destinations all = { 0 };
	int result = net_route_list(r, destination_add, &all, err);

	if (result < 0) {
		free(all.list);
		return result;
	}
	*ret = all.list;
	*ret_count = all.count;
	return 0;
}

static int neighbour(struct net_rtnl *r, const char *link, const struct net_addr *addr, const uint8_t *mac,
		     struct plug_error *err)
{
	char buffer[NET_RTNL_MESSAGE], text[NET_ADDR_TEXT];
	struct nlmsghdr *m;
	struct ndmsg *nd;
	int index, result = net_link_index(r, link, &index, err);

	if (result < 0)
		return result;
	m = net_rtnl_begin(buffer, mac ? RTM_NEWNEIGH : RTM_DELNEIGH, mac ? NLM_F_CREATE | NLM_F_REPLACE : 0);
	nd = mnl_nlmsg_put_extra_header(m, sizeof(*nd));
	nd->ndm_family = addr->family;
	nd->ndm_ifindex = index;
	nd->ndm_state = NUD_PERMANENT;
	mnl_attr_put(m, NDA_DST, addr_size(addr), addr->bytes);
	if (mac)
		mnl_attr_put(m, NDA_LLADDR, 6, mac);
	net_addr_format(addr, text);
	return net_rtnl_call(r, m, NULL, NULL, err, "neighbour %s of %s", text, link);
}

int net_neighbour_add(struct net_rtnl *r, const char *link, const struct net_addr *addr, const uint8_t *mac,
		      struct plug_error *err)
{
	return neighbour(r, link, addr, mac, err);
}

int net_neighbour_delete(struct net_rtnl *r, const char *link, const struct net_addr *addr,
			 struct plug_error *err)
{
	int result = neighbour(r, link, addr, NULL, err);

	return result == -ENOENT || result == -ENODEV ? plug_error_none(err) : result;
}
