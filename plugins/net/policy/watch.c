/* SPDX-License-Identifier: MIT */
/* What others do to our table, and what they have that is in our way. */
#include "common/text.h"
#include "common/util.h"
#include "kernel/rtnl.h"
#include "model/json.h"
#include "policy/table_private.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <string.h>

#define WATCH_BUFFER (4 << 20)

int net_table_watch(struct net_table *t, int *ret_fd, struct plug_error *err)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK,
				       .nl_groups = 1u << (NFNLGRP_NFTABLES - 1) };
	_cleanup_close_ int fd =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER);
	int size = WATCH_BUFFER;

	if (fd < 0)
		return plug_error_errno(err, -errno, "table %s: watch", t->name);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return plug_error_errno(err, -errno, "table %s: watch", t->name);
	*ret_fd = plug_take_fd(&fd);
	return 0;
}

/* The attribute of a message, as text; "": it has none. */
static const char *text_of(const struct nlmsghdr *m, uint16_t type)
{
	const char *at = (const char *)mnl_nlmsg_get_payload_offset(m, sizeof(struct nfgenmsg));
	const char *end = mnl_nlmsg_get_payload_tail(m);

	while (mnl_attr_ok((const struct nlattr *)at, (int)(end - at))) {
		const struct nlattr *a = (const struct nlattr *)at;

		if (mnl_attr_get_type(a) == type && mnl_attr_validate(a, MNL_TYPE_NUL_STRING) >= 0)
			return mnl_attr_get_str(a);
		at = (const char *)mnl_attr_next(a);
	}
	return "";
}

/* Which attribute names the table of what came or went; 0: nothing did. */
static uint16_t table_attribute(unsigned type)
{
	switch (type) {
	case NFT_MSG_NEWTABLE:
	case NFT_MSG_DELTABLE:
		return NFTA_TABLE_NAME;
	case NFT_MSG_NEWCHAIN:
	case NFT_MSG_DELCHAIN:
		return NFTA_CHAIN_TABLE;
	case NFT_MSG_NEWRULE:
	case NFT_MSG_DELRULE:
		return NFTA_RULE_TABLE;
	case NFT_MSG_NEWSET:
	case NFT_MSG_DELSET:
		return NFTA_SET_TABLE;
	case NFT_MSG_NEWSETELEM:
	case NFT_MSG_DELSETELEM:
		return NFTA_SET_ELEM_LIST_TABLE;
	default:
		return 0;
	}
}

/* A chain of others that drops what nobody accepts in the forward hook. */
static bool is_obstacle(const struct nlmsghdr *m)
{
	const struct nlattr *a, *b;
	uint32_t policy = NF_ACCEPT, hook = UINT32_MAX;

	net_attr_each(a, m, sizeof(struct nfgenmsg)) {
		if (mnl_attr_get_type(a) == NFTA_CHAIN_POLICY)
			policy = ntohl(mnl_attr_get_u32(a));
		if (mnl_attr_get_type(a) != NFTA_CHAIN_HOOK)
			continue;
		net_attr_each_nested(b, a)
			if (mnl_attr_get_type(b) == NFTA_HOOK_HOOKNUM)
				hook = ntohl(mnl_attr_get_u32(b));
	}
	return policy == NF_DROP && hook == NF_INET_FORWARD;
}

/* A transaction's messages come in a row; the generation at its end. */
static bool message_look(struct net_table *t, const struct nlmsghdr *m)
{
	const struct nfgenmsg *gen = mnl_nlmsg_get_payload(m);
	unsigned type = m->nlmsg_type & 0xff;
	bool lost;

	if (m->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES ||
	    mnl_nlmsg_get_payload_len(m) < sizeof(*gen))
		return false;
	if (type == NFT_MSG_NEWGEN) {
		lost = t->watch_touched && !t->watch_ours;
		t->watch_touched = t->watch_ours = false;
		return lost;
	}
	if (type == NFT_MSG_NEWCHAIN && is_obstacle(m))
		t->watch_obstacle = true;
	if (gen->nfgen_family != NFPROTO_INET)
		return false;
	if (!table_attribute(type) || strcmp(text_of(m, table_attribute(type)), t->name))
		return false;
	t->watch_touched = true;
	if (type == NFT_MSG_NEWSETELEM && !strcmp(text_of(m, NFTA_SET_ELEM_LIST_SET), "generation"))
		t->watch_ours = true;
	return false;
}

/* Whether the kernel has a table of our name: what is asked where messages were lost. */
static bool table_exists(const struct net_table *t)
{
	char buffer[512];
	struct nlmsghdr *m = mnl_nlmsg_put_header(buffer);
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	struct nfgenmsg *gen;

	m->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE;
	m->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	gen = mnl_nlmsg_put_extra_header(m, sizeof(*gen));
	gen->nfgen_family = NFPROTO_INET;
	mnl_attr_put_strz(m, NFTA_TABLE_NAME, t->name);
	if (fd < 0 || send(fd, m, m->nlmsg_len, 0) < 0 ||
	    recv(fd, buffer, sizeof(buffer), 0) < (ssize_t)sizeof(*m))
		return true; /* not known: nothing is done about it */
	return m->nlmsg_type != NLMSG_ERROR ||
	       ((struct nlmsgerr *)mnl_nlmsg_get_payload(m))->error != -ENOENT;
}

bool net_table_lost(struct net_table *t, int fd)
{
	_Alignas(struct nlmsghdr) char buffer[32768];
	bool lost = false;

	for (;;) {
		ssize_t n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
		const struct nlmsghdr *m = (const struct nlmsghdr *)buffer;
		int left = (int)n;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == ENOBUFS) {
			/* More happened than there was room for: from here on it is read anew. */
			t->watch_touched = t->watch_ours = false;
			lost = lost || !table_exists(t);
			continue;
		}
		if (n <= 0)
			return lost;
		for (; mnl_nlmsg_ok(m, left); m = mnl_nlmsg_next(m, &left))
			lost = message_look(t, m) || lost;
	}
}

bool net_table_hindered(struct net_table *t)
{
	bool seen = t->watch_obstacle;

	t->watch_obstacle = false;
	return seen;
}

static const char *member(struct json_object *o, const char *key)
{
	struct json_object *v = net_json_get(o, key);

	return v ? json_object_get_string(v) : "";
}

static void obstacle_add(const struct net_table *t, struct json_object *chain,
			 struct plug_text *text)
{
	const char *family = member(chain, "family");

	if (strcmp(member(chain, "hook"), "forward") || strcmp(member(chain, "policy"), "drop") ||
	    !strcmp(member(chain, "table"), t->name))
		return;
	if (strcmp(family, "ip") && strcmp(family, "ip6") && strcmp(family, "inet"))
		return;
	plug_text_add(text, "%schain %s of table %s %s has the policy drop", text->len ? "; " : "",
		      member(chain, "name"), family, member(chain, "table"));
}

int net_table_obstacles(struct net_table *t, char **ret, struct plug_error *err)
{
	_cleanup_json_ struct json_object *all = NULL;
	_cleanup_text_ struct plug_text text = { 0 };
	_cleanup_free_ char *output = NULL;
	struct json_object *list = NULL;
	int r = table_run(t, "list chains", true, &output, err);

	r = r ?: plug_json_parse(output, strlen(output), "chains", &all, err);
	r = r ?: net_json_array(all, "nftables", &list, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < plug_json_length(list); i++)
		obstacle_add(t, net_json_get(json_object_array_get_idx(list, i), "chain"), &text);
	if (text.len)
		plug_text_add(
			&text,
			": packets from and to containers pass only where rules there accept them "
			"(with Docker: iptables -I DOCKER-USER -j ACCEPT)");
	if (text.failed)
		return plug_error_errno(err, -ENOMEM, "table %s", t->name);
	*ret = plug_take_ptr(text.data);
	return 0;
}
