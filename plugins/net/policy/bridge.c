/* SPDX-License-Identifier: MIT */
/*
 * Frames between ports of one bridge pass the rules only with br_netfilter (linux/if_link.h,
 * Documentation/networking/bridge): for all bridges by a sysctl, or for one of them by its attributes.
 *
 * Where it does that for IPv6, addresses are translated back as a frame reaches the bridge, and the kernel
 * then drops what seems to come from a link to ::1.  Without, they are translated after that was looked at,
 * and only a route has to say that ::1 is behind the bridge, too (net/ipv6/route.c: rt6_need_strict()).
 */
#include "common/util.h"
#include "kernel/rtnl.h"
#include "policy/table_private.h"

#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>

/* 1, 0; -ENOENT: the kernel has no br_netfilter, or has not loaded it. */
static int sysctl_read(const char *name)
{
	char path[64], c;
	_cleanup_close_ int fd = -1;

	(void)snprintf(path, sizeof(path), "/proc/sys/net/bridge/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return read(fd, &c, 1) == 1 ? c == '1' : -EIO;
}

static int answer_read(void *arg, const struct nlmsghdr *answer)
{
	struct nlattr *a, *b, *c;
	bool *ret = arg;

	net_attr_each(a, answer, sizeof(struct ifinfomsg))
		if (mnl_attr_get_type(a) == IFLA_LINKINFO)
			net_attr_each_nested(b, a)
				if (mnl_attr_get_type(b) == IFLA_INFO_DATA)
					net_attr_each_nested(c, b)
						if (mnl_attr_get_type(c) == IFLA_BR_NF_CALL_IP6TABLES)
							*ret = mnl_attr_get_u8(c);
	return 0;
}

/* Whether IPv6 is filtered on this bridge, as bridge_filter() makes it. */
static int filtered6(struct net_rtnl *r, const char *bridge, bool *ret, struct plug_error *err)
{
	_cleanup_free_ uint8_t *buffer = malloc(NET_RTNL_MESSAGE);
	struct nlmsghdr *m;

	*ret = sysctl_read("bridge-nf-call-ip6tables") == 1;
	if (!buffer)
		return plug_error_errno(err, -ENOMEM, "bridge %s", bridge);
	if (*ret)
		return 0;
	m = net_rtnl_begin(buffer, RTM_GETLINK, 0);
	(void)mnl_nlmsg_put_extra_header(m, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(m, IFLA_IFNAME, bridge);
	return net_rtnl_call(r, m, answer_read, ret, err, "bridge %s", bridge);
}

/* "local ::1 dev BRIDGE table local", after the loopback's own.  It goes with the bridge. */
static int route6(struct net_rtnl *r, const char *bridge, struct plug_error *err)
{
	static const uint8_t one[16] = { [15] = 1 };
	uint8_t buffer[NET_RTNL_MESSAGE];
	struct net_link_info link;
	struct nlmsghdr *m;
	struct rtmsg *header;
	int ret = net_link_find(r, bridge, &link, err);

	if (ret < 0)
		return ret;
	m = net_rtnl_begin(buffer, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL);
	header = mnl_nlmsg_put_extra_header(m, sizeof(*header));
	header->rtm_family = AF_INET6;
	header->rtm_dst_len = 128;
	header->rtm_table = RT_TABLE_LOCAL;
	header->rtm_type = RTN_LOCAL;
	header->rtm_scope = RT_SCOPE_HOST;
	header->rtm_protocol = RTPROT_STATIC;
	mnl_attr_put(m, RTA_DST, sizeof(one), one);
	mnl_attr_put_u32(m, RTA_OIF, (uint32_t)link.index);
	mnl_attr_put_u32(m, RTA_PRIORITY, 4096);
	ret = net_rtnl_call(r, m, NULL, NULL, err, "bridge %s: route for ::1", bridge);
	return ret == -EEXIST ? 0 : ret;
}

int bridge_loopback6(const char *bridge, struct plug_error *err)
{
	_cleanup_rtnl_ struct net_rtnl *r = NULL;
	bool filtered = false;
	int ret = net_rtnl_open(-1, &r, err);

	if (ret == 0)
		ret = filtered6(r, bridge, &filtered, err);
	if (ret < 0)
		return ret;
	if (filtered)
		return plug_error_set(err, -EOPNOTSUPP,
				      "bridge %s: a port at ::1 needs a network without access lists, and "
				      "net.bridge.bridge-nf-call-ip6tables=0: else the kernel drops answers",
				      bridge);
	return route6(r, bridge, err);
}

static int bridge_set(const char *bridge, struct plug_error *err)
{
	_cleanup_rtnl_ struct net_rtnl *r = NULL;
	uint8_t buffer[NET_RTNL_MESSAGE];
	struct nlattr *info, *data;
	struct net_link_info link;
	struct ifinfomsg *header;
	struct nlmsghdr *m;
	int ret = net_rtnl_open(-1, &r, err);

	ret = ret ?: net_link_find(r, bridge, &link, err);
	if (ret < 0)
		return ret;
	m = net_rtnl_begin(buffer, RTM_NEWLINK, 0);
	header = mnl_nlmsg_put_extra_header(m, sizeof(*header));
	header->ifi_index = link.index;
	info = mnl_attr_nest_start(m, IFLA_LINKINFO);
	mnl_attr_put_strz(m, IFLA_INFO_KIND, "bridge");
	data = mnl_attr_nest_start(m, IFLA_INFO_DATA);
	mnl_attr_put_u8(m, IFLA_BR_NF_CALL_IPTABLES, 1);
	mnl_attr_put_u8(m, IFLA_BR_NF_CALL_IP6TABLES, 1);
	mnl_attr_nest_end(m, data);
	mnl_attr_nest_end(m, info);
	return net_rtnl_call(r, m, NULL, NULL, err, "bridge %s: rules between its ports", bridge);
}

int bridge_filter(const char *bridge, struct plug_error *err)
{
	int four = sysctl_read("bridge-nf-call-iptables"),
	    six = sysctl_read("bridge-nf-call-ip6tables");

	if (four < 0)
		return plug_error_set(err, -EOPNOTSUPP,
				      "bridge %s: access lists between its containers need "
				      "br_netfilter, which is "
				      "not loaded (modprobe br_netfilter)",
				      bridge);
	return four == 1 && six == 1 ? 0 : bridge_set(bridge, err);
}
