/* SPDX-License-Identifier: MIT */
/*
 * Frames between ports of one bridge pass the rules only with br_netfilter (linux/if_link.h,
 * Documentation/networking/bridge): for all bridges by a sysctl, or for one of them by its attributes.
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
