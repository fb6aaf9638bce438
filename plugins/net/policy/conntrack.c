/* SPDX-License-Identifier: MIT */
/*
 * Connections that the kernel still knows of: by ctnetlink (linux/netfilter/nfnetlink_conntrack.h), which
 * removes those that a filter fits.  Without this, packets of a client that never pauses go on to an address
 * that another container may have by now.
 */
#include "common/util.h"
#include "policy/table_private.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <string.h>

/* Parts of a tuple that a filter looks at: the kernel's own numbering, not in its headers. */
#define FILTER_SRC (1u << 0)
#define FILTER_PROTOCOL (1u << 3)
#define FILTER_DST_PORT (1u << 5)

struct filter {
	int family;
	const struct net_addr *source; /* of the original direction, or of answers */
	bool answers;
	uint8_t protocol; /* 0: any */
	uint16_t port;	  /* destination */
};

static void tuple_put(struct nlmsghdr *m, const struct filter *f)
{
	struct nlattr *tuple =
			      mnl_attr_nest_start(m, f->answers ? CTA_TUPLE_REPLY : CTA_TUPLE_ORIG),
		      *part;

	part = mnl_attr_nest_start(m, CTA_TUPLE_IP);
	if (f->source)
		mnl_attr_put(m, f->family == AF_INET ? CTA_IP_V4_SRC : CTA_IP_V6_SRC,
			     f->family == AF_INET ? 4 : 16, f->source->bytes);
	mnl_attr_nest_end(m, part);
	part = mnl_attr_nest_start(m, CTA_TUPLE_PROTO);
	if (f->protocol) {
		mnl_attr_put_u8(m, CTA_PROTO_NUM, f->protocol);
		mnl_attr_put_u16(m, CTA_PROTO_DST_PORT, htons(f->port));
	}
	mnl_attr_nest_end(m, part);
	mnl_attr_nest_end(m, tuple);
}

static void forget(struct net_table *t, const struct filter *f)
{
	uint32_t flags = (f->source ? FILTER_SRC : 0) |
			 (f->protocol ? FILTER_PROTOCOL | FILTER_DST_PORT : 0);
	struct mnl_socket *s;
	char buffer[1024];
	struct nlmsghdr *m = mnl_nlmsg_put_header(buffer);
	struct nfgenmsg *gen;
	struct nlattr *nest;

	m->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE;
	m->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	gen = mnl_nlmsg_put_extra_header(m, sizeof(*gen));
	gen->nfgen_family = (uint8_t)f->family;
	tuple_put(m, f);
	nest = mnl_attr_nest_start(m, CTA_FILTER);
	mnl_attr_put_u32(m, CTA_FILTER_ORIG_FLAGS, f->answers ? 0 : flags);
	mnl_attr_put_u32(m, CTA_FILTER_REPLY_FLAGS, f->answers ? flags : 0);
	mnl_attr_nest_end(m, nest);
	(void)pthread_mutex_lock(&t->mutex);
	s = table_socket(t);
	if (s && mnl_socket_sendto(s, m, m->nlmsg_len) > 0)
		(void)mnl_socket_recvfrom(s, buffer, sizeof(buffer));
	(void)pthread_mutex_unlock(&t->mutex);
}

void conntrack_forget(struct net_table *t, const struct net_addr *addr)
{
	struct filter f = { .family = addr->family, .source = addr };

	forget(t, &f);
	f.answers = true; /* what came to it by a published port */
	forget(t, &f);
}

void conntrack_forget_port(struct net_table *t, int family, uint8_t protocol, uint16_t port)
{
	struct filter f = { .family = family, .protocol = protocol, .port = port };

	forget(t, &f);
}
