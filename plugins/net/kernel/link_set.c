/* SPDX-License-Identifier: MIT */
/* Links changed. */
#include "kernel/rtnl.h"

#include <errno.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>

static void put_silent(struct nlmsghdr *m)
{
	struct nlattr *families = mnl_attr_nest_start(m, IFLA_AF_SPEC),
		      *six = mnl_attr_nest_start(m, AF_INET6);

	mnl_attr_put_u8(m, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	mnl_attr_nest_end(m, six);
	mnl_attr_nest_end(m, families);
}

static void put_change(struct nlmsghdr *m, const struct net_link_change *change)
{
	if (change->mac)
		mnl_attr_put(m, IFLA_ADDRESS, 6, change->mac);
	if (change->mtu)
		mnl_attr_put_u32(m, IFLA_MTU, change->mtu);
	if (change->master)
		mnl_attr_put_u32(m, IFLA_MASTER, change->master > 0 ? (uint32_t)change->master : 0);
	if (change->netns)
		mnl_attr_put_u32(m, IFLA_NET_NS_FD, (uint32_t)*change->netns);
	if (change->alias)
		mnl_attr_put(m, IFLA_IFALIAS, strlen(change->alias), change->alias);
	if (change->silent)
		put_silent(m);
}

int net_link_set(struct net_rtnl *r, const char *name, const struct net_link_change *change,
		 struct plug_error *err)
{
	char buffer[NET_RTNL_MESSAGE];
	struct nlmsghdr *m = net_rtnl_begin(buffer, RTM_NEWLINK, 0);
	struct ifinfomsg *info = mnl_nlmsg_put_extra_header(m, sizeof(*info));
	int result = change->rename ? net_link_index(r, name, &info->ifi_index, err) : 0;

	if (result < 0)
		return result;
	if (change->rename || change->netns)
		net_rtnl_forget(r);
	/* By index where the name is among what changes. */
	mnl_attr_put_strz(m, IFLA_IFNAME, change->rename ? change->rename : name);
	if (change->up) {
		info->ifi_change = IFF_UP;
		info->ifi_flags = change->up > 0 ? IFF_UP : 0;
	}
	put_change(m, change);
	result = net_rtnl_call(r, m, NULL, NULL, err, "link %s", name);
	/* Without IPv6 it is silent already. */
	return result == -EAFNOSUPPORT && change->silent ? plug_error_none(err) : result;
}

/* By its name, as what belongs to its bridge: nothing has to be looked up. */
int net_link_port(struct net_rtnl *r, const char *name, const struct net_port *port, struct plug_error *err)
{
	char buffer[NET_RTNL_MESSAGE];
	struct nlmsghdr *m = net_rtnl_begin(buffer, RTM_NEWLINK, 0);
	struct nlattr *info, *data;

	(void)mnl_nlmsg_put_extra_header(m, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(m, IFLA_IFNAME, name);
	info = mnl_attr_nest_start(m, IFLA_LINKINFO);
	mnl_attr_put_strz(m, IFLA_INFO_SLAVE_KIND, "bridge");
	data = mnl_attr_nest_start(m, IFLA_INFO_SLAVE_DATA);
	mnl_attr_put_u8(m, IFLA_BRPORT_MODE, port->hairpin);
	mnl_attr_put_u8(m, IFLA_BRPORT_ISOLATED, port->isolated);
	mnl_attr_put_u8(m, IFLA_BRPORT_NEIGH_SUPPRESS, port->suppress);
	mnl_attr_nest_end(m, data);
	mnl_attr_nest_end(m, info);
	return net_rtnl_call(r, m, NULL, NULL, err, "bridge port %s", name);
}

/* flags: NTF_SELF, the link's own table; NTF_MASTER, that of the bridge it is a port of. */
static int fdb(struct net_rtnl *r, const char *name, const uint8_t *mac, const struct net_addr *dst,
	       uint8_t flags, bool add, struct plug_error *err)
{
	static const uint8_t all[6] = { 0 };
	char buffer[NET_RTNL_MESSAGE];
	struct nlmsghdr *m;
	struct ndmsg *nd;
	struct net_link_info found;
	int result = net_link_find(r, name, &found, err);

	if (result < 0)
		return result;
	/* Several peers for all others: they are appended. */
	m = net_rtnl_begin(buffer, add ? RTM_NEWNEIGH : RTM_DELNEIGH,
			   !add ? 0 : (uint16_t)(NLM_F_CREATE | (mac ? NLM_F_REPLACE : NLM_F_APPEND)));
	nd = mnl_nlmsg_put_extra_header(m, sizeof(*nd));
	nd->ndm_family = PF_BRIDGE;
	nd->ndm_ifindex = found.index;
	nd->ndm_state = NUD_PERMANENT | NUD_NOARP;
	nd->ndm_flags = flags;
	/* A port's is not the bridge's own address, as a permanent one would be. */
	if (flags & NTF_MASTER)
		nd->ndm_state = NUD_NOARP;
	mnl_attr_put(m, NDA_LLADDR, sizeof(all), mac ? mac : all);
	if (dst)
		mnl_attr_put(m, NDA_DST, dst->family == AF_INET ? 4 : 16, dst->bytes);
	result = net_rtnl_call(r, m, NULL, NULL, err, "forwarding entry of %s", name);
	return !add && result == -ENOENT ? plug_error_none(err) : result;
}

int net_link_fdb(struct net_rtnl *r, const char *name, const uint8_t *mac, const struct net_addr *dst,
		 bool add, struct plug_error *err)
{
	return fdb(r, name, mac, dst, NTF_SELF, add, err);
}

int net_link_fdb_port(struct net_rtnl *r, const char *name, const uint8_t *mac, bool add,
		      struct plug_error *err)
{
	return fdb(r, name, mac, NULL, NTF_MASTER, add, err);
}
