/* SPDX-License-Identifier: MIT */
#include "kernel/rtnl.h"

#include "common/util.h"
#include "kernel/netns.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NAME_SIZE 16
#define ANSWER (32u << 10) /* one read: more than any message of a dump */

struct net_rtnl {
	struct mnl_socket *socket;
	uint32_t sequence;
	char known[NAME_SIZE]; /* a link, and its index */
	int index;
	char answer[ANSWER];
};

static int socket_open(void *arg)
{
	struct mnl_socket **ret = arg, *s = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	int on = 1;

	if (!s || mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0) {
		int r = -errno;

		if (s)
			(void)mnl_socket_close(s);
		return r;
	}
	/* Explanations of errors; and errors without the request that they are about. */
	(void)mnl_socket_setsockopt(s, NETLINK_EXT_ACK, &on, sizeof(on));
	(void)mnl_socket_setsockopt(s, NETLINK_CAP_ACK, &on, sizeof(on));
	(void)mnl_socket_setsockopt(s, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	*ret = s;
	return 0;
}

int net_rtnl_open(int netns, struct net_rtnl **ret, struct plug_error *err)
{
	struct net_rtnl *rtnl = calloc(1, sizeof(*rtnl));
	int r;

	if (!rtnl)
		return plug_error_errno(err, -ENOMEM, "netlink");
	r = netns < 0 ? socket_open(&rtnl->socket) : net_ns_call(netns, socket_open, &rtnl->socket);
	if (r < 0) {
		free(rtnl);
		return plug_error_errno(err, r, "netlink socket");
	}
	*ret = rtnl;
	return 0;
}

void net_rtnl_close(struct net_rtnl *r)
{
	if (!r)
		return;
	(void)mnl_socket_close(r->socket);
	free(r);
}

int net_rtnl_known(const struct net_rtnl *r, const char *link)
{
	return strcmp(r->known, link) == 0 ? r->index : 0;
}

void net_rtnl_note(struct net_rtnl *r, const char *link, int index)
{
	(void)snprintf(r->known, sizeof(r->known), "%s", link);
	r->index = index;
}

void net_rtnl_forget(struct net_rtnl *r)
{
	net_rtnl_note(r, "", 0);
}

struct nlmsghdr *net_rtnl_begin(void *buffer, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *m = mnl_nlmsg_put_header(buffer);

	m->nlmsg_type = type;
	m->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
	return m;
}

/* The kernel's explanation in an error message, or NULL. */
static const char *explanation(const struct nlmsghdr *m)
{
	const struct nlattr *a;
	size_t skip = sizeof(struct nlmsgerr);

	if (!(m->nlmsg_flags & NLM_F_ACK_TLVS))
		return NULL;
	if (!(m->nlmsg_flags & NLM_F_CAPPED)) {
		const struct nlmsgerr *e = mnl_nlmsg_get_payload(m);

		skip += e->msg.nlmsg_len - sizeof(struct nlmsghdr);
	}
	net_attr_each(a, m, skip)
		if (mnl_attr_get_type(a) == NLMSGERR_ATTR_MSG &&
		    mnl_attr_validate(a, MNL_TYPE_NUL_STRING) == 0)
			return mnl_attr_get_str(a);
	return NULL;
}

struct reading {
	net_rtnl_cb cb;
	void *arg;
	char why[160];
	bool disturbed, ended;
};

/* One message: 0, or the error that it is or that cb has. */
static int read_message(struct reading *reading, const struct nlmsghdr *m)
{
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(m);
	const char *why;
	int code;

	if (m->nlmsg_flags & NLM_F_DUMP_INTR)
		reading->disturbed = true;
	if (m->nlmsg_type == NLMSG_NOOP)
		return 0;
	if (m->nlmsg_type == NLMSG_ERROR || m->nlmsg_type == NLMSG_DONE) {
		reading->ended = true;
		if (m->nlmsg_len < mnl_nlmsg_size(sizeof(int)))
			return 0;
		code = m->nlmsg_type == NLMSG_ERROR ? e->error : *(const int *)mnl_nlmsg_get_payload(m);
		why = code && m->nlmsg_type == NLMSG_ERROR ? explanation(m) : NULL;
		if (why)
			(void)snprintf(reading->why, sizeof(reading->why), "%s", why);
		return code;
	}
	return reading->cb ? reading->cb(reading->arg, m) : 0;
}

static int read_answers(struct net_rtnl *r, uint32_t sequence, struct reading *reading)
{
	int result = 0;

	while (!reading->ended) {
		ssize_t n = mnl_socket_recvfrom(r->socket, r->answer, sizeof(r->answer));
		const struct nlmsghdr *m = (const struct nlmsghdr *)r->answer;
		int left = (int)n;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		for (; mnl_nlmsg_ok(m, left) && !reading->ended; m = mnl_nlmsg_next(m, &left)) {
			int one = m->nlmsg_seq == sequence ? read_message(reading, m) : 0;

			if (result == 0)
				result = one; /* and read on to the end */
		}
	}
	return result;
}

int net_rtnl_call(struct net_rtnl *r, struct nlmsghdr *request, net_rtnl_cb cb, void *arg,
		  struct plug_error *err, const char *object, ...)
{
	struct reading reading;
	char what[320];
	va_list args;
	int result, tries = 0;

	do {
		reading = (struct reading){ .cb = cb, .arg = arg };
		request->nlmsg_seq = ++r->sequence;
		result = mnl_socket_sendto(r->socket, request, request->nlmsg_len) < 0 ?
				 -errno :
				 read_answers(r, request->nlmsg_seq, &reading);
	} while (result == 0 && reading.disturbed && ++tries < 8);
	if (result >= 0)
		return 0;
	va_start(args, object);
	(void)vsnprintf(what, sizeof(what), object, args);
	va_end(args);
	return reading.why[0] ? plug_error_errno(err, result, "%s: %s", what, reading.why) :
				plug_error_errno(err, result, "%s", what);
}
