/* SPDX-License-Identifier: MIT */
/*
 * Transactions of plain elements alone, put to the kernel without libnftables: that reads the whole table
 * back before each of them, which takes longer than all the rest of plugging in.  What is not plain
 * (intervals, verdicts, chains, rules) is left to it.
 *
 * Reference: linux/netfilter/nf_tables.h; how keys are laid out: each field of a concatenation fills whole
 * registers of four bytes.
 */
#include "common/util.h"
#include "kernel/rtnl.h"
#include "policy/table_private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ELEMENTS_MAX 64
#define ELEMENT_ROOM 320 /* of one message: names, key and data */
#define KEY_MAX 64

/* Fields: m a mark, p a protocol, s a port, a an address of the set's family. */
static const struct {
	const char *name, *key, *data;
	bool families; /* its name ends in 4 or 6 */
} sets[] = {
	{ "generation", "m", "", false },  { "port", "ps", "as", true },
	{ "hostport", "aps", "as", true }, { "outbound", "a", "", true },
	{ "only", "a", "", true },	   { "alone", "a", "", true },
	{ "source", "a", "a", true },
};

struct value {
	uint8_t bytes[KEY_MAX];
	size_t size;
};

static bool number(const char *word, unsigned long max, unsigned long *ret)
{
	char *end;

	errno = 0;
	*ret = strtoul(word, &end, 10);
	return *word >= '0' && *word <= '9' && !*end && errno == 0 && *ret <= max;
}

/* One field into registers. */
static bool put_field(struct value *v, char kind, int family, const char *word)
{
	uint8_t *at = v->bytes + v->size;
	unsigned long n;
	uint32_t mark;
	uint16_t port;

	switch (kind) {
	case 'm':
		if (!number(word, UINT32_MAX, &n))
			return false;
		mark = (uint32_t)n;
		memcpy(at, &mark, sizeof(mark));
		break;
	case 'p':
		if (!number(word, UINT8_MAX, &n))
			return false;
		at[0] = (uint8_t)n;
		break;
	case 's':
		if (!number(word, UINT16_MAX, &n))
			return false;
		port = htons((uint16_t)n);
		memcpy(at, &port, sizeof(port));
		break;
	default:
		if (inet_pton(family, word, at) != 1)
			return false;
		v->size += family == AF_INET ? 4 : 16;
		return true;
	}
	v->size += 4;
	return true;
}

/* "A . B . C", as the fields say. */
static bool put_fields(struct value *v, const char *fields, int family, char *text)
{
	*v = (struct value){ 0 };
	for (; *fields; fields++) {
		char *next = strstr(text, " . ");

		if (!fields[1] != !next)
			return false;
		if (next)
			*next = '\0';
		if (!put_field(v, *fields, family, text))
			return false;
		text = next ? next + 3 : text;
	}
	return true;
}

struct element {
	bool add;
	char set[32];
	struct value key, data;
};

static bool find_set(const char *name, size_t *ret, int *ret_family)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < PLUG_ELEMENTS(sets); i++) {
		size_t n = strlen(sets[i].name);

		if (strncmp(name, sets[i].name, n) != 0 || len != n + (sets[i].families ? 1 : 0))
			continue;
		*ret = i;
		*ret_family = name[n] == '6' ? AF_INET6 : AF_INET;
		return !sets[i].families || name[n] == '4' || name[n] == '6';
	}
	return false;
}

/* "add element inet TABLE SET { KEY[ : VALUE] }" */
static bool read_line(const struct net_table *t, const char *line, struct element *ret)
{
	char verb[8], table[64], inner[256], *value;
	int family, end = 0;
	size_t set;

	if (sscanf(line, "%7s element inet %63s %31s { %255[^}]}%n", verb, table, ret->set, inner,
		   &end) != 4 ||
	    !end || line[end] || strcmp(table, t->name) != 0 || !find_set(ret->set, &set, &family))
		return false;
	ret->add = strcmp(verb, "add") == 0;
	if (!ret->add && strcmp(verb, "delete") != 0)
		return false;
	inner[strlen(inner) - 1] = '\0'; /* the space before the brace */
	value = strstr(inner, " : ");
	if (!value != !*sets[set].data)
		return false;
	if (value)
		*value = '\0';
	return put_fields(&ret->key, sets[set].key, family, inner) &&
	       (!value || put_fields(&ret->data, sets[set].data, family, value + 3));
}

/* ---- messages */

static struct nlmsghdr *begin(void *at, uint16_t type, uint16_t flags, uint8_t family, uint16_t resource)
{
	struct nlmsghdr *m = mnl_nlmsg_put_header(at);
	struct nfgenmsg *g;

	m->nlmsg_type = type;
	m->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	g = mnl_nlmsg_put_extra_header(m, sizeof(*g));
	g->nfgen_family = family;
	g->version = NFNETLINK_V0;
	g->res_id = htons(resource);
	return m;
}

static size_t aligned(const struct nlmsghdr *m)
{
	return NLMSG_ALIGN((size_t)m->nlmsg_len);
}

static void put_value(struct nlmsghdr *m, uint16_t type, const struct value *v)
{
	struct nlattr *nest = mnl_attr_nest_start(m, type);

	mnl_attr_put(m, NFTA_DATA_VALUE, v->size, v->bytes);
	mnl_attr_nest_end(m, nest);
}

static size_t put_element(void *at, const struct net_table *t, const struct element *e)
{
	uint16_t type = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 |
				   (e->add ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM));
	struct nlmsghdr *m = begin(at, type, (uint16_t)(NLM_F_ACK | (e->add ? NLM_F_CREATE : 0)),
				   NFPROTO_INET, 0);
	struct nlattr *list, *one;

	mnl_attr_put_strz(m, NFTA_SET_ELEM_LIST_TABLE, t->name);
	mnl_attr_put_strz(m, NFTA_SET_ELEM_LIST_SET, e->set);
	list = mnl_attr_nest_start(m, NFTA_SET_ELEM_LIST_ELEMENTS);
	one = mnl_attr_nest_start(m, NFTA_LIST_ELEM);
	put_value(m, NFTA_SET_ELEM_KEY, &e->key);
	if (e->data.size)
		put_value(m, NFTA_SET_ELEM_DATA, &e->data);
	mnl_attr_nest_end(m, one);
	mnl_attr_nest_end(m, list);
	return aligned(m);
}

/* Whether each was acknowledged: answers are there as the sending returns. */
static int acknowledged(struct mnl_socket *s, size_t count)
{
	struct nlmsghdr *m;
	char buffer[8192];
	size_t good = 0;

	while (good < count) {
		ssize_t n = recv(mnl_socket_get_fd(s), buffer, sizeof(buffer), MSG_DONTWAIT);
		int left = (int)n;

		if (n < 0)
			return errno == EAGAIN ? -EPROTO : -errno;
		m = (struct nlmsghdr *)buffer;
		for (; mnl_nlmsg_ok(m, left); m = mnl_nlmsg_next(m, &left)) {
			const struct nlmsgerr *e = mnl_nlmsg_get_payload(m);

			if (m->nlmsg_type != NLMSG_ERROR)
				continue;
			if (e->error)
				return e->error;
			good++;
		}
	}
	return 0;
}

struct mnl_socket *table_socket(struct net_table *t)
{
	if (!t->socket)
		t->socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	return t->socket;
}

void table_socket_close(struct net_table *t)
{
	if (t->socket)
		(void)mnl_socket_close(t->socket);
	t->socket = NULL;
}

static int send_all(struct net_table *t, const struct element *elements, size_t count)
{
	_cleanup_free_ char *buffer = calloc(count + 2, ELEMENT_ROOM);
	struct mnl_socket *s = buffer ? table_socket(t) : NULL;
	char *at = buffer;
	int r;

	if (!s)
		return buffer ? -errno : -ENOMEM;
	at += aligned(begin(at, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
	for (size_t i = 0; i < count; i++)
		at += put_element(at, t, &elements[i]);
	at += aligned(begin(at, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
	r = mnl_socket_sendto(s, buffer, (size_t)(at - buffer)) < 0 ? -errno : acknowledged(s, count);
	/* Answers that nobody has read would be taken for those of the next one. */
	if (r < 0)
		table_socket_close(t);
	return r;
}

int table_run_plain(struct net_table *t, const char *text)
{
	_cleanup_free_ char *copy = strdup(text);
	_cleanup_free_ struct element *elements = calloc(ELEMENTS_MAX, sizeof(*elements));
	char *rest = copy, *line;
	size_t count = 0;

	if (!copy || !elements)
		return -ENOMEM;
	while ((line = strsep(&rest, "\n"))) {
		if (!*line)
			continue;
		if (count == ELEMENTS_MAX || !read_line(t, line, &elements[count]))
			return -EOPNOTSUPP;
		count++;
	}
	return count ? send_all(t, elements, count) : 0;
}
