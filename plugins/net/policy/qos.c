/* SPDX-License-Identifier: MIT */
/* Token buckets: rtnetlink(7), linux/pkt_sched.h, linux/pkt_cls.h, tc-tbf(8), tc-mirred(8). */
#include "policy/qos.h"
#include "kernel/rtnl.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>
#include <arpa/inet.h>
#include <string.h>

struct net_policy_qos net_qos_of(const struct net_endpoint *e)
{
	struct net_policy_qos qos = { 0 };

	/* Of several the narrowest counts. */
	for (size_t i = 0; i < e->policy_count; i++) {
		const struct net_policy_qos *one = &e->policies[i].qos;

		if (e->policies[i].kind != NET_POLICY_QOS)
			continue;
		if (one->out && (!qos.out || one->out < qos.out))
			qos.out = one->out;
		if (one->in && (!qos.in || one->in < qos.in))
			qos.in = one->in;
	}
	return qos;
}

/* What a kernel without that part answers. */
static bool lacks(int r)
{
	return r == -ENOENT || r == -EOPNOTSUPP || r == -ENODEV;
}

static struct nlmsghdr *tc_begin(void *buffer, uint16_t type, uint16_t flags, int link,
				 uint32_t parent, uint32_t handle)
{
	struct nlmsghdr *m = net_rtnl_begin(buffer, type, flags);
	struct tcmsg *tc = mnl_nlmsg_put_extra_header(m, sizeof(*tc));

	tc->tcm_family = AF_UNSPEC;
	tc->tcm_ifindex = link;
	tc->tcm_parent = parent;
	tc->tcm_handle = handle;
	return m;
}

/*
 * Bytes that may go at once: a fiftieth of a second, so that a measurement over a second is not far off,
 * but never less than two packets.  And what may wait: a tenth of a second.
 */
static uint32_t burst_of(uint64_t rate, uint32_t mtu)
{
	uint64_t burst = rate / 50, least = 2 * (mtu + 64);

	if (burst < least)
		burst = least;
	return burst > INT32_MAX ? INT32_MAX : (uint32_t)burst;
}

static uint32_t queue_of(uint64_t rate, uint32_t burst)
{
	uint64_t queue = burst + rate / 10;

	if (queue < 32768)
		queue = 32768;
	return queue > INT32_MAX ? INT32_MAX : (uint32_t)queue;
}

static int tbf_set(struct net_rtnl *r, const struct net_link_info *link, uint64_t rate,
		   struct plug_error *err)
{
	uint8_t buffer[NET_RTNL_MESSAGE];
	struct nlmsghdr *m = tc_begin(buffer, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE,
				      link->index, TC_H_ROOT, 0x10000);
	uint32_t burst = burst_of(rate, link->mtu);
	struct tc_tbf_qopt qopt = {
		.rate = { .linklayer = TC_LINKLAYER_ETHERNET,
			  .rate = rate > UINT32_MAX ? UINT32_MAX : (uint32_t)rate },
		.limit = queue_of(rate, burst),
	};
	struct nlattr *options;
	int ret;

	mnl_attr_put_strz(m, TCA_KIND, "tbf");
	options = mnl_attr_nest_start(m, TCA_OPTIONS);
	mnl_attr_put(m, TCA_TBF_PARMS, sizeof(qopt), &qopt);
	mnl_attr_put_u32(m, TCA_TBF_BURST, burst);
	if (rate > UINT32_MAX)
		mnl_attr_put_u64(m, TCA_TBF_RATE64, rate);
	mnl_attr_nest_end(m, options);
	ret = net_rtnl_call(r, m, NULL, NULL, err, "qos: link %s", link->name);
	if (lacks(ret))
		return plug_error_set(err, -EOPNOTSUPP,
				      "qos: link %s: kernel lacks tbf (NET_SCH_TBF)", link->name);
	return ret;
}

/* There is none: success. */
static int qdisc_delete(struct net_rtnl *r, const struct net_link_info *link, uint32_t parent,
			uint32_t handle, struct plug_error *err)
{
	uint8_t buffer[NET_RTNL_MESSAGE];
	struct nlmsghdr *m = tc_begin(buffer, RTM_DELQDISC, 0, link->index, parent, handle);
	int ret = net_rtnl_call(r, m, NULL, NULL, err, "qos: link %s", link->name);

	return ret == -ENOENT || ret == -EINVAL ? 0 : ret;
}

#define INGRESS_HANDLE 0xffff0000u

static int ingress_add(struct net_rtnl *r, const struct net_link_info *link, struct plug_error *err)
{
	uint8_t buffer[NET_RTNL_MESSAGE];
	struct nlmsghdr *m = tc_begin(buffer, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, link->index,
				      TC_H_INGRESS, INGRESS_HANDLE);
	int ret;

	mnl_attr_put_strz(m, TCA_KIND, "ingress");
	ret = net_rtnl_call(r, m, NULL, NULL, err, "qos: link %s", link->name);
	if (lacks(ret))
		return plug_error_set(err, -EOPNOTSUPP,
				      "qos: link %s: kernel lacks ingress (NET_SCH_INGRESS)",
				      link->name);
	return ret;
}

static void redirect_put(struct nlmsghdr *m, uint16_t attribute, int to)
{
	struct tc_mirred mirred = { .action = TC_ACT_STOLEN,
				    .eaction = TCA_EGRESS_REDIR,
				    .ifindex = (uint32_t)to };
	struct nlattr *actions = mnl_attr_nest_start(m, attribute);
	struct nlattr *first = mnl_attr_nest_start(m, 1), *options;

	mnl_attr_put_strz(m, TCA_ACT_KIND, "mirred");
	options = mnl_attr_nest_start(m, TCA_ACT_OPTIONS);
	mnl_attr_put(m, TCA_MIRRED_PARMS, sizeof(mirred), &mirred);
	mnl_attr_nest_end(m, options);
	mnl_attr_nest_end(m, first);
	mnl_attr_nest_end(m, actions);
}

/* Everything that comes in goes to another link.  Kernels have one of two filters that match all. */
static int redirect_add(struct net_rtnl *r, const struct net_link_info *link, int to, bool u32,
			struct plug_error *err)
{
	uint8_t buffer[NET_RTNL_MESSAGE];
	struct nlmsghdr *m = tc_begin(buffer, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL,
				      link->index, INGRESS_HANDLE, 0);
	struct tcmsg *tc = mnl_nlmsg_get_payload(m);
	/* A selection and one key of it, which matches all. */
	_Alignas(struct tc_u32_sel)
		uint8_t all[sizeof(struct tc_u32_sel) + sizeof(struct tc_u32_key)] = { 0 };
	struct tc_u32_sel *sel = (struct tc_u32_sel *)all;
	struct nlattr *options;

	sel->flags = TC_U32_TERMINAL;
	sel->nkeys = 1;
	tc->tcm_info = TC_H_MAKE(1u << 16, htons(ETH_P_ALL));
	mnl_attr_put_strz(m, TCA_KIND, u32 ? "u32" : "matchall");
	options = mnl_attr_nest_start(m, TCA_OPTIONS);
	if (u32)
		mnl_attr_put(m, TCA_U32_SEL, sizeof(all), all);
	redirect_put(m, u32 ? TCA_U32_ACT : TCA_MATCHALL_ACT, to);
	mnl_attr_nest_end(m, options);
	return net_rtnl_call(r, m, NULL, NULL, err, "qos: link %s", link->name);
}

static int out_set(struct net_rtnl *r, const struct net_link_info *link, const char *ifb,
		   uint64_t rate, struct plug_error *err)
{
	struct net_link make = { .name = ifb,
				 .kind = NET_LINK_IFB,
				 .mtu = link->mtu,
				 .up = true,
				 .alias = "bandwidth of a container" };
	struct net_link_info via;
	int ret = net_link_create(r, &make, err);

	if (ret == -EEXIST)
		ret = 0;
	ret = ret ?: net_link_find(r, ifb, &via, err);
	ret = ret ?: tbf_set(r, &via, rate, err);
	ret = ret ?: qdisc_delete(r, link, TC_H_INGRESS, INGRESS_HANDLE, err);
	ret = ret ?: ingress_add(r, link, err);
	if (ret < 0)
		return ret;
	ret = redirect_add(r, link, via.index, false, err);
	if (lacks(ret))
		ret = redirect_add(r, link, via.index, true, err);
	if (lacks(ret))
		return plug_error_set(
			err, -EOPNOTSUPP,
			"qos: link %s: kernel lacks matchall and u32, or mirred (NET_ACT_MIRRED)",
			link->name);
	return ret;
}

int net_qos_apply(const char *host_link, const char *ifb, const struct net_policy_qos *qos,
		  struct plug_error *err)
{
	_cleanup_rtnl_ struct net_rtnl *r = NULL;
	struct net_link_info link;
	int ret = net_rtnl_open(-1, &r, err);

	ret = ret ?: net_link_find(r, host_link, &link, err);
	if (ret < 0)
		return ret;
	if (qos->in)
		ret = tbf_set(r, &link, qos->in, err);
	else
		ret = qdisc_delete(r, &link, TC_H_ROOT, 0, err);
	if (ret < 0)
		return ret;
	if (qos->out)
		return out_set(r, &link, ifb, qos->out, err);
	ret = qdisc_delete(r, &link, TC_H_INGRESS, INGRESS_HANDLE, err);
	return ret ?: net_link_delete(r, ifb, err);
}

int net_qos_remove(const char *ifb, struct plug_error *err)
{
	_cleanup_rtnl_ struct net_rtnl *r = NULL;
	int ret = net_rtnl_open(-1, &r, err);

	return ret ?: net_link_delete(r, ifb, err);
}
