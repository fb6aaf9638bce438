/* SPDX-License-Identifier: MIT */
/*
 * Packets of strangers to the resolver: a question with its answer, or a reply.  Whatever comes, an answer is
 * one (under the id, marked as answer, no longer than asked for), and it is the same whether asked twice.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/net/dns/zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct net_zone zone;

static void zone_make(void)
{
	struct net_zone_member *m = calloc(1, sizeof(*m));

	if (!m)
		abort();
	m->owner = strdup("e");
	m->names = calloc(3, sizeof(*m->names));
	m->addresses = calloc(2, sizeof(*m->addresses));
	if (!m->owner || !m->names || !m->addresses)
		abort();
	m->names[0] = strdup("web");
	m->names[1] = strdup("a.b");
	m->address_count = 2;
	zone.domain = strdup("lan");
	zone.subnets = calloc(1, sizeof(*zone.subnets));
	zone.subnet_count = 1;
	if (!zone.subnets || net_zone_address_read("10.0.0.2", &m->addresses[0]) < 0 ||
	    net_zone_address_read("fd00::2", &m->addresses[1]) < 0 ||
	    net_zone_address_read("10.0.0.0/8", &zone.subnets[0]) < 0)
		abort();
	net_zone_put(&zone, m);
}

static void reply_check(const uint8_t *data, uint8_t *reply, size_t size, size_t limit)
{
	if (size < 12 || size > limit || memcmp(reply, data, 2) != 0 || !(reply[2] & 0x80))
		abort();
	free(reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct net_question q;
	uint8_t *reply;
	size_t reply_size;
	int r;

	if (!zone.members)
		zone_make();
	r = net_question_read(data, size, &q);
	if (r == -22)
		return 0;
	if (net_message_refuse(data, size, 2, &reply, &reply_size) == 0)
		reply_check(data, reply, reply_size, NET_MESSAGE_MAX);
	if (r < 0)
		return 0;
	if (q.end > size || strlen(q.name) >= sizeof(q.name) || q.limit < 512)
		abort();
	r = net_zone_answer(&zone, data, size, &q, q.limit, &reply, &reply_size);
	if (r == 0)
		reply_check(data, reply, reply_size, q.limit);
	if (net_message_cut(data, size, &reply, &reply_size) == 0) {
		if (!net_message_replies(data, &q, q.id, reply, reply_size))
			abort();
		reply_check(data, reply, reply_size, 512);
	}
	(void)net_message_replies(data, &q, q.id, data, size);
	return 0;
}
