/* SPDX-License-Identifier: MIT */
#include "common/util.h"
#include "dns/ldns.h"
#include "dns/zone.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define HEADER 12
#define UDP_LIMIT 512
#define UDP_LIMIT_MAX 4096 /* larger datagrams are lost on too many ways */

static const struct net_ldns *ldns; /* since the first question */

static uint16_t number(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void packet_freep(ldns_pkt **packet)
{
	if (*packet)
		ldns->pkt_free(*packet);
}

/* One label, into the name; false: no name of ours has such bytes. */
static bool label_add(char *name, size_t *len, const uint8_t *label, size_t size)
{
	bool ours = true;

	if (*len)
		name[(*len)++] = '.';
	for (size_t i = 0; i < size; i++) {
		ours = ours && (isalnum(label[i]) || label[i] == '-' || label[i] == '_');
		name[(*len)++] = (char)tolower(label[i]);
	}
	return ours;
}

/* The question's name, which nothing before it can be a compression of. */
static int name_read(const uint8_t *data, size_t size, struct net_question *q)
{
	size_t at = HEADER, len = 0;
	bool ours = true;

	while (at < size && data[at]) {
		size_t label = data[at];

		if (label > 63 || at + 1 + label >= size || at + 1 + label - HEADER > 254)
			return -EBADMSG;
		ours = label_add(q->name, &len, data + at + 1, label) && ours;
		at += 1 + label;
	}
	if (at + 5 > size)
		return -EBADMSG;
	q->name[ours ? len : 0] = 0;
	q->type = number(data + at + 1);
	q->qclass = number(data + at + 3);
	q->end = at + 5;
	return 0;
}

int net_question_read(const uint8_t *data, size_t size, struct net_question *ret)
{
	_cleanup_(packet_freep) ldns_pkt *packet = NULL;
	struct net_question q = { .limit = UDP_LIMIT };
	uint16_t limit;
	int r;

	ldns = net_ldns();
	if (!ldns)
		return -ELIBACC;
	if (size < HEADER || data[2] & 0x80)
		return -EINVAL;
	q.id = number(data);
	*ret = q;
	if (data[2] & 0x78)
		return -ENOTSUP; /* not a query: update, notify, status */
	if (number(data + 4) != 1 || number(data + 6) || number(data + 8) || number(data + 10) > 2)
		return -EBADMSG;
	r = name_read(data, size, &q);
	if (r < 0)
		return r;
	if (ldns->wire2pkt(&packet, data, size) != LDNS_STATUS_OK)
		return -EBADMSG;
	q.edns = ldns->pkt_edns(packet);
	limit = q.edns ? ldns->pkt_edns_udp_size(packet) : 0;
	if (limit > q.limit)
		q.limit = limit < UDP_LIMIT_MAX ? limit : UDP_LIMIT_MAX;
	*ret = q;
	return 0;
}

/* An answer to be filled: id, flags, question and EDNS as a reply has to repeat them. */
static ldns_pkt *reply_begin(const uint8_t *query, size_t size, int rcode)
{
	ldns_pkt *asked = NULL, *reply;
	ldns_rr *question;

	ldns = net_ldns();
	reply = ldns ? ldns->pkt_new() : NULL;
	if (!reply)
		return NULL;
	ldns->pkt_set_id(reply, number(query));
	ldns->pkt_set_qr(reply, true);
	ldns->pkt_set_opcode(reply, (ldns_pkt_opcode)(query[2] >> 3 & 0xf));
	ldns->pkt_set_rd(reply, query[2] & 1);
	ldns->pkt_set_ra(reply, true);
	ldns->pkt_set_rcode(reply, (uint8_t)rcode);
	if (ldns->wire2pkt(&asked, query, size) != LDNS_STATUS_OK || ldns->pkt_qdcount(asked) != 1) {
		ldns->pkt_free(asked);
		return reply; /* of a packet that is none, nothing is repeated */
	}
	if (ldns->pkt_edns(asked))
		ldns->pkt_set_edns_udp_size(reply, UDP_LIMIT_MAX);
	question = ldns->rr_clone(ldns->rr_list_rr(ldns->pkt_question(asked), 0));
	ldns->pkt_free(asked);
	if (!question || !ldns->pkt_push_rr(reply, LDNS_SECTION_QUESTION, question)) {
		ldns->rr_free(question);
		ldns->pkt_free(reply);
		return NULL;
	}
	return reply;
}

static int reply_end(const ldns_pkt *reply, uint8_t **ret, size_t *ret_size)
{
	return ldns->pkt2wire(ret, reply, ret_size) == LDNS_STATUS_OK ? 0 : -ENOMEM;
}

int net_message_refuse(const uint8_t *query, size_t size, int rcode, uint8_t **ret, size_t *ret_size)
{
	_cleanup_(packet_freep) ldns_pkt *reply = reply_begin(query, size, rcode);

	return reply ? reply_end(reply, ret, ret_size) : -ENOMEM;
}

int net_message_cut(const uint8_t *query, size_t size, uint8_t **ret, size_t *ret_size)
{
	_cleanup_(packet_freep) ldns_pkt *reply = reply_begin(query, size, LDNS_RCODE_NOERROR);

	if (!reply)
		return -ENOMEM;
	ldns->pkt_set_tc(reply, true);
	return reply_end(reply, ret, ret_size);
}

bool net_message_replies(const uint8_t *query, const struct net_question *q, uint16_t id,
			 const uint8_t *reply, size_t size)
{
	if (size < q->end || number(reply) != id || !(reply[2] & 0x80) || (reply[2] & 0x78) ||
	    number(reply + 4) != 1)
		return false;
	for (size_t i = HEADER; i < q->end - 4; i++) {
		if (tolower(reply[i]) != tolower(query[i]))
			return false;
	}
	return !memcmp(reply + q->end - 4, query + q->end - 4, 4);
}

/* The zone's answers. */

/* One record about the question's name; takes over data. */
static int record_add(ldns_pkt *reply, uint16_t type, ldns_rdf *data)
{
	ldns_rr *question = ldns->rr_list_rr(ldns->pkt_question(reply), 0), *rr = ldns->rr_new();
	ldns_rdf *owner = question ? ldns->rdf_clone(ldns->rr_owner(question)) : NULL;

	if (!rr || !owner || !data || !ldns->rr_push_rdf(rr, data)) {
		ldns->rdf_deep_free(data);
		ldns->rdf_deep_free(owner);
		ldns->rr_free(rr);
		return -ENOMEM;
	}
	ldns->rr_set_owner(rr, owner);
	ldns->rr_set_type(rr, (ldns_rr_type)type);
	ldns->rr_set_class(rr, LDNS_RR_CLASS_IN);
	ldns->rr_set_ttl(rr, 0); /* a container of this name may have another address any moment */
	if (!ldns->pkt_push_rr(reply, LDNS_SECTION_ANSWER, rr)) {
		ldns->rr_free(rr);
		return -ENOMEM;
	}
	return 0;
}

static bool member_named(const struct net_zone_member *m, const char *name, size_t len)
{
	for (char **n = m->names; n && *n; n++) {
		if (!strncmp(*n, name, len) && !(*n)[len])
			return true;
	}
	return false;
}

/* How much of a name is one inside the zone's domain; 0: it is none, or the domain itself. */
static size_t name_inside(const struct net_zone *zone, const char *name)
{
	size_t len = strlen(name), domain = zone->domain ? strlen(zone->domain) : 0;

	if (!domain || len < domain + 2 || name[len - domain - 1] != '.' ||
	    strcmp(name + len - domain, zone->domain) != 0)
		return 0;
	return len - domain - 1;
}

/* Every address of every member of that name; 1: there is such a member. */
static int addresses_add(ldns_pkt *reply, const struct net_zone *zone, const struct net_question *q)
{
	size_t len = strlen(q->name), inside = name_inside(zone, q->name);
	int found = 0, r = 0;

	for (const struct net_zone_member *m = zone->members; m; m = m->next) {
		if (m->hidden)
			continue;
		if (!member_named(m, q->name, len) && !(inside && member_named(m, q->name, inside)))
			continue;
		found = 1;
		for (size_t i = 0; i < m->address_count && r == 0; i++) {
			bool v4 = m->addresses[i].family == AF_INET;
			uint16_t type = v4 ? LDNS_RR_TYPE_A : LDNS_RR_TYPE_AAAA;
			ldns_rdf_type kind = v4 ? LDNS_RDF_TYPE_A : LDNS_RDF_TYPE_AAAA;
			const uint8_t *bytes = m->addresses[i].bytes;

			if (q->type == type || q->type == LDNS_RR_TYPE_ANY)
				r = record_add(reply, type, ldns->rdf_new_frm_data(kind, v4 ? 4 : 16, bytes));
		}
		if (r < 0)
			return r;
	}
	return found;
}

/* The address that "4.3.2.1.in-addr.arpa", or the nibbles below ip6.arpa, are the name of. */
static bool reverse_read(const char *name, struct net_zone_address *ret)
{
	struct net_zone_address a = { .family = AF_INET };
	unsigned b[4];
	int end = 0;

	if (sscanf(name, "%3u.%3u.%3u.%3u.in-addr.arpa%n", &b[0], &b[1], &b[2], &b[3], &end) == 4 && end &&
	    !name[end]) {
		for (int i = 0; i < 4; i++) {
			if (b[i] > 255)
				return false;
			a.bytes[3 - i] = (uint8_t)b[i];
		}
		*ret = a;
		return true;
	}
	a.family = AF_INET6;
	for (int i = 0; i < 32; i++) {
		int c = name[2 * i] ? name[2 * i] : ' ';
		int digit = isdigit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;

		if (digit < 0 || name[2 * i + 1] != '.')
			return false;
		a.bytes[15 - i / 2] |= (uint8_t)(digit << 4 * (i % 2));
	}
	*ret = a;
	return !strcmp(name + 64, "ip6.arpa");
}

static bool subnet_has(const struct net_zone_address *subnet, const struct net_zone_address *a)
{
	unsigned whole = subnet->prefix / 8, rest = subnet->prefix % 8;

	if (subnet->family != a->family || memcmp(subnet->bytes, a->bytes, whole) != 0)
		return false;
	return !rest || !((subnet->bytes[whole] ^ a->bytes[whole]) >> (8 - rest));
}

/* 1: the name of one of our addresses; 0: of another's; -ENXIO: of one of ours that nobody has. */
static int pointer_add(ldns_pkt *reply, const struct net_zone *zone, const struct net_question *q)
{
	const struct net_zone_member *m;
	struct net_zone_address a = { 0 };
	char name[600];

	if (!reverse_read(q->name, &a))
		return 0;
	m = net_zone_by_address(zone, a.family, a.bytes);
	if (m && !m->hidden && m->names && m->names[0]) {
		if (q->type != LDNS_RR_TYPE_PTR && q->type != LDNS_RR_TYPE_ANY)
			return 1;
		(void)snprintf(name, sizeof(name), "%s%s%s.", m->names[0], zone->domain ? "." : "",
			       zone->domain ? zone->domain : "");
		return record_add(reply, LDNS_RR_TYPE_PTR, ldns->dname_new_frm_str(name)) ?: 1;
	}
	for (size_t i = 0; i < zone->subnet_count; i++) {
		if (subnet_has(&zone->subnets[i], &a))
			return -ENXIO;
	}
	return 0;
}

int net_zone_answer(const struct net_zone *zone, const uint8_t *query, size_t size,
		    const struct net_question *q, size_t limit, uint8_t **ret, size_t *ret_size)
{
	_cleanup_(packet_freep) ldns_pkt *reply = NULL;
	uint8_t *wire;
	size_t wire_size;
	int r;

	if (!*q->name || q->qclass != LDNS_RR_CLASS_IN)
		return -ENOENT;
	reply = reply_begin(query, size, LDNS_RCODE_NOERROR);
	if (!reply || ldns->pkt_qdcount(reply) != 1)
		return -ENOMEM;
	ldns->pkt_set_aa(reply, true);
	r = addresses_add(reply, zone, q);
	if (r == 0)
		r = pointer_add(reply, zone, q);
	if (r == -ENXIO)
		ldns->pkt_set_rcode(reply, LDNS_RCODE_NXDOMAIN);
	else if (r <= 0)
		return r ?: -ENOENT;
	r = reply_end(reply, &wire, &wire_size);
	if (r < 0)
		return r;
	if (wire_size > limit) {
		free(wire);
		return net_message_cut(query, size, ret, ret_size);
	}
	*ret = wire;
	*ret_size = wire_size;
	return 0;
}
