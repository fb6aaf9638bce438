/* SPDX-License-Identifier: MIT */
/* Links made: one message each, with all that can be said in it. */
#include "kernel/rtnl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <string.h>

static const char *const kinds[] = {
	[NET_LINK_VETH] = "veth",   [NET_LINK_BRIDGE] = "bridge", [NET_LINK_MACVLAN] = "macvlan",
	[NET_LINK_VXLAN] = "vxlan", [NET_LINK_VLAN] = "vlan",	  [NET_LINK_IFB] = "ifb",
	[NET_LINK_DUMMY] = "dummy",
};

static void put_netns(struct nlmsghdr *m, const int *netns)
{
	if (netns)
		mnl_attr_put_u32(m, IFLA_NET_NS_FD, (uint32_t)*netns);
}

static void put_vxlan(struct nlmsghdr *m, const struct net_link *link)
{
	const struct net_addr *a = &link->local;
	size_t size = a->family == AF_INET ? 4 : 16;

	mnl_attr_put_u32(m, IFLA_VXLAN_ID, link->vni);
	mnl_attr_put_u16(m, IFLA_VXLAN_PORT, htons(link->port ? link->port : 4789));
	if (link->parent)
		mnl_attr_put_u32(m, IFLA_VXLAN_LINK, (uint32_t)link->parent);
	if (a->family)
		mnl_attr_put(m, a->family == AF_INET ? IFLA_VXLAN_LOCAL : IFLA_VXLAN_LOCAL6, size,
			     a->bytes);
	a = &link->group;
	size = a->family == AF_INET ? 4 : 16;
	if (a->family)
		mnl_attr_put(m, a->family == AF_INET ? IFLA_VXLAN_GROUP : IFLA_VXLAN_GROUP6, size,
			     a->bytes);
}

static void put_peer(struct nlmsghdr *m, const struct net_link *link)
{
	struct nlattr *nest = mnl_attr_nest_start(m, VETH_INFO_PEER);

	(void)mnl_nlmsg_put_extra_header(m, sizeof(struct ifinfomsg));
	if (link->peer.name)
		mnl_attr_put_strz(m, IFLA_IFNAME, link->peer.name);
	if (link->peer.mac)
		mnl_attr_put(m, IFLA_ADDRESS, 6, link->peer.mac);
	if (link->mtu)
		mnl_attr_put_u32(m, IFLA_MTU, link->mtu);
	put_netns(m, link->peer.netns);
	mnl_attr_nest_end(m, nest);
}

static void put_kind(struct nlmsghdr *m, const struct net_link *link)
{
	struct nlattr *nest = mnl_attr_nest_start(m, IFLA_LINKINFO), *data;

	mnl_attr_put_strz(m, IFLA_INFO_KIND, kinds[link->kind]);
	data = mnl_attr_nest_start(m, IFLA_INFO_DATA);
	switch (link->kind) {
	case NET_LINK_VETH:
		put_peer(m, link);
		break;
	case NET_LINK_MACVLAN:
		mnl_attr_put_u32(m, IFLA_MACVLAN_MODE, link->mode ? link->mode : NET_MACVLAN_BRIDGE);
		break;
	case NET_LINK_VXLAN:
		put_vxlan(m, link);
		break;
	case NET_LINK_VLAN:
		mnl_attr_put_u16(m, IFLA_VLAN_ID, link->vlan);
		break;
	case NET_LINK_BRIDGE:
	case NET_LINK_IFB:
	case NET_LINK_DUMMY:
		break;
	}
	mnl_attr_nest_end(m, data);
	mnl_attr_nest_end(m, nest);
}

int net_link_create(struct net_rtnl *r, const struct net_link *link, struct plug_error *err)
{
	char buffer[NET_RTNL_MESSAGE];
	struct nlmsghdr *m = net_rtnl_begin(buffer, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
	struct ifinfomsg *info = mnl_nlmsg_put_extra_header(m, sizeof(*info));
	int result;

	net_rtnl_forget(r);
	if (!link->name || !*link->name || strlen(link->name) >= IFNAMSIZ)
		return plug_error_set(err, -EINVAL, "link %s: a name has 1 to %d bytes",
				      link->name ? link->name : "", IFNAMSIZ - 1);
	if (link->up)
		info->ifi_flags = info->ifi_change = IFF_UP;
	mnl_attr_put_strz(m, IFLA_IFNAME, link->name);
	if (link->mac)
		mnl_attr_put(m, IFLA_ADDRESS, 6, link->mac);
	if (link->mtu)
		mnl_attr_put_u32(m, IFLA_MTU, link->mtu);
	if (link->master)
		mnl_attr_put_u32(m, IFLA_MASTER, (uint32_t)link->master);
	if (link->parent && link->kind != NET_LINK_VXLAN)
		mnl_attr_put_u32(m, IFLA_LINK, (uint32_t)link->parent);
	put_netns(m, link->netns);
	put_kind(m, link);
	result = net_rtnl_call(r, m, NULL, NULL, err, "link %s (%s)", link->name, kinds[link->kind]);
	if (result == -EOPNOTSUPP)
		return plug_error_set(err, result, "link %s: this kernel has no %s links", link->name,
				      kinds[link->kind]);
	if (result == 0 && link->alias) {
		result = net_link_set(r, link->name, &(struct net_link_change){ .alias = link->alias },
				      err);
		if (result < 0)
			(void)net_link_delete(r, link->name, NULL);
	}
	return result;
}

int net_link_delete(struct net_rtnl *r, const char *name, struct plug_error *err)
{
	char buffer[NET_RTNL_MESSAGE];
	struct nlmsghdr *m = net_rtnl_begin(buffer, RTM_DELLINK, 0);
	int result;

	net_rtnl_forget(r);
	(void)mnl_nlmsg_put_extra_header(m, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(m, IFLA_IFNAME, name);
	result = net_rtnl_call(r, m, NULL, NULL, err, "link %s", name);
	return result == -ENODEV ? plug_error_none(err) : result;
}

static void read_info(struct net_link_info *info, const struct nlattr *nest)
{
	const struct nlattr *a;

	net_attr_each_nested(a, nest)
		if (mnl_attr_get_type(a) == IFLA_INFO_KIND &&
		    mnl_attr_validate(a, MNL_TYPE_NUL_STRING) == 0)
			(void)strncpy(info->kind, mnl_attr_get_str(a), sizeof(info->kind) - 1);
}

static void read_attribute(struct net_link_info *info, const struct nlattr *a)
{
	size_t size = mnl_attr_get_payload_len(a);
	bool number = size == sizeof(uint32_t);

	switch (mnl_attr_get_type(a)) {
	case IFLA_IFNAME:
		(void)strncpy(info->name, mnl_attr_get_str(a), sizeof(info->name) - 1);
		break;
	case IFLA_IFALIAS:
		(void)strncpy(info->alias, mnl_attr_get_str(a), sizeof(info->alias) - 1);
		break;
	case IFLA_MTU:
		info->mtu = number ? mnl_attr_get_u32(a) : 0;
		break;
	case IFLA_MASTER:
		info->master = number ? (int)mnl_attr_get_u32(a) : 0;
		break;
	case IFLA_LINK:
		info->parent = number ? (int)mnl_attr_get_u32(a) : 0;
		break;
	case IFLA_ADDRESS:
		if (size == sizeof(info->mac))
			memcpy(info->mac, mnl_attr_get_payload(a), size);
		break;
	case IFLA_LINKINFO:
		read_info(info, a);
		break;
	default:
		break;
	}
}

static void read_link(struct net_link_info *info, const struct nlmsghdr *m)
{
	const struct ifinfomsg *head = mnl_nlmsg_get_payload(m);
	const struct nlattr *a;

	*info = (struct net_link_info){ .index = head->ifi_index, .flags = head->ifi_flags };
	net_attr_each(a, m, sizeof(*head))
		read_attribute(info, a);
}

static int found(void *arg, const struct nlmsghdr *m)
{
	if (m->nlmsg_type == RTM_NEWLINK)
		read_link(arg, m);
	return 0;
}

int net_link_find(struct net_rtnl *r, const char *name, struct net_link_info *ret, struct plug_error *err)
{
	char buffer[NET_RTNL_MESSAGE];
	struct nlmsghdr *m = net_rtnl_begin(buffer, RTM_GETLINK, 0);
	struct net_link_info info = { 0 };
	int result;

	(void)mnl_nlmsg_put_extra_header(m, sizeof(struct ifinfomsg));
	if (strlen(name) >= IFNAMSIZ)
		return plug_error_errno(err, -ENODEV, "link %s", name);
	mnl_attr_put_strz(m, IFLA_IFNAME, name);
	/* To add them up for each processor is most of the work. */
	mnl_attr_put_u32(m, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	result = net_rtnl_call(r, m, found, &info, err, "link %s", name);
	if (result == 0)
		*ret = info;
	return result;
}

int net_link_index(struct net_rtnl *r, const char *name, int *ret, struct plug_error *err)
{
	struct net_link_info info = { .index = net_rtnl_known(r, name) };
	int result = info.index ? 0 : net_link_find(r, name, &info, err);

	if (result < 0)
		return result;
	net_rtnl_note(r, name, info.index);
	*ret = info.index;
	return 0;
}

struct listing {
	int (*cb)(void *arg, const struct net_link_info *link);
	void *arg;
};

static int listed(void *arg, const struct nlmsghdr *m)
{
	const struct listing *l = arg;
	struct net_link_info info;

	if (m->nlmsg_type != RTM_NEWLINK)
		return 0;
	read_link(&info, m);
	return l->cb(l->arg, &info);
}

int net_link_list(struct net_rtnl *r, int (*cb)(void *arg, const struct net_link_info *link), void *arg,
		  struct plug_error *err)
{
	char buffer[NET_RTNL_MESSAGE];
	struct nlmsghdr *m = net_rtnl_begin(buffer, RTM_GETLINK, NLM_F_DUMP);
	struct listing listing = { .cb = cb, .arg = arg };

	(void)mnl_nlmsg_put_extra_header(m, sizeof(struct ifinfomsg));
	return net_rtnl_call(r, m, listed, &listing, err, "list of links");
}
