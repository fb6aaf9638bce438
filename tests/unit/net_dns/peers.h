/* SPDX-License-Identifier: MIT */
/* The other ends: servers that are asked, in all their moods, and clients that ask. */
#ifndef TEST_NET_PEERS_H
#define TEST_NET_PEERS_H

#include "loop.h"

#include <arpa/inet.h>
#include <ldns/ldns.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define US "127.0.0.1"

/* A server as there are others: its mood says how it answers. */
enum mood { GOOD, SILENT, SERVFAIL, WRONG_ID, WRONG_NAME, LARGE, CUT };
struct server {
	int udp, tcp, accepted;
	enum mood mood;
	unsigned asked;
	uint16_t ids[64];
	in_port_t ports[64];
	bool edns;
	uint64_t watch_udp, watch_tcp, watch_accepted;
};

static struct sockaddr_in address(const char *text, uint16_t port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };

	assert_int_equal(inet_pton(AF_INET, text, &in.sin_addr), 1);
	return in;
}

/* The answer to a query: TXT-long or one A record 192.0.2.7, in the server's mood. */
static ssize_t server_answer(struct server *s, const uint8_t *query, size_t size, in_port_t port, bool tcp,
			     uint8_t *out)
{
	ldns_pkt *packet, *reply = ldns_pkt_new();
	ldns_rr *rr;
	uint8_t *wire;
	size_t wire_size;

	assert_int_equal(ldns_wire2pkt(&packet, query, size), LDNS_STATUS_OK);
	s->ids[s->asked % 64] = ldns_pkt_id(packet);
	s->ports[s->asked++ % 64] = port;
	s->edns = ldns_pkt_edns(packet);
	ldns_pkt_set_id(reply, (uint16_t)(ldns_pkt_id(packet) ^ (s->mood == WRONG_ID)));
	ldns_pkt_set_qr(reply, true);
	ldns_pkt_set_tc(reply, s->mood == CUT && !tcp);
	ldns_pkt_set_rcode(reply, s->mood == SERVFAIL ? LDNS_RCODE_SERVFAIL : LDNS_RCODE_NOERROR);
	rr = ldns_rr_clone(ldns_rr_list_rr(ldns_pkt_question(packet), 0));
	if (s->mood == WRONG_NAME) {
		ldns_rdf_deep_free(ldns_rr_owner(rr));
		ldns_rr_set_owner(rr, ldns_dname_new_frm_str("other.example."));
	}
	ldns_pkt_push_rr(reply, LDNS_SECTION_QUESTION, rr);
	for (int i = 0; i < (s->mood == LARGE || (s->mood == CUT && tcp) ? 200 : 1); i++) {
		char text[64];

		(void)snprintf(text, sizeof(text), "far%d.example. 60 IN A 192.0.2.7", i);
		assert_int_equal(ldns_rr_new_frm_str(&rr, text, 60, NULL, NULL), LDNS_STATUS_OK);
		if (s->mood != SERVFAIL)
			ldns_pkt_push_rr(reply, LDNS_SECTION_ANSWER, rr);
		else
			ldns_rr_free(rr);
	}
	assert_int_equal(ldns_pkt2wire(&wire, reply, &wire_size), LDNS_STATUS_OK);
	memcpy(out, wire, wire_size);
	free(wire);
	ldns_pkt_free(packet);
	ldns_pkt_free(reply);
	return (ssize_t)wire_size;
}

static void server_udp_cb(void *arg, int fd, uint32_t events)
{
	static uint8_t in[65536], out[65536];
	struct server *s = arg;
	struct sockaddr_in peer;
	socklen_t len = sizeof(peer);
	ssize_t n = recvfrom(fd, in, sizeof(in), MSG_DONTWAIT, (struct sockaddr *)&peer, &len);

	(void)events;
	if (n < 0)
		return;
	n = server_answer(s, in, (size_t)n, peer.sin_port, false, out);
	if (s->mood != SILENT)
		assert_int_equal(sendto(fd, out, (size_t)n, 0, (struct sockaddr *)&peer, len), n);
}

static void server_tcp_cb(void *arg, int fd, uint32_t events)
{
	static uint8_t in[65536], out[65536];
	struct server *s = arg;
	ssize_t n = recv(fd, in, sizeof(in), MSG_DONTWAIT);

	(void)events;
	if (n <= 2) {
		loop_unwatch_fd(NULL, s->watch_accepted);
		(void)close(fd);
		s->accepted = -1;
		return;
	}
	n = server_answer(s, in + 2, (size_t)n - 2, 0, true, out + 2);
	if (s->mood == SILENT)
		return;
	out[0] = (uint8_t)(n >> 8);
	out[1] = (uint8_t)n;
	/* In two pieces, as TCP may. */
	assert_int_equal(send(fd, out, 1, 0), 1);
	assert_int_equal(send(fd, out + 1, (size_t)n + 1, 0), n + 1);
}

static void server_accept_cb(void *arg, int fd, uint32_t events)
{
	struct server *s = arg;

	(void)events;
	if (s->accepted >= 0) { /* its client has given it up */
		loop_unwatch_fd(NULL, s->watch_accepted);
		(void)close(s->accepted);
	}
	s->accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	assert_int_equal(loop_watch(s->accepted, COWHERD_FD_READ, server_tcp_cb, s,
				    &s->watch_accepted), 0);
}

static void server_begin(struct server *s, const char *where, enum mood mood)
{
	struct sockaddr_in in = address(where, 53);
	int on = 1;

	*s = (struct server){ .mood = mood, .accepted = -1 };
	s->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	s->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(setsockopt(s->tcp, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	assert_int_equal(bind(s->udp, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(bind(s->tcp, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(listen(s->tcp, 4), 0);
	assert_int_equal(loop_watch(s->udp, COWHERD_FD_READ, server_udp_cb, s, &s->watch_udp), 0);
	assert_int_equal(loop_watch(s->tcp, COWHERD_FD_READ, server_accept_cb, s, &s->watch_tcp), 0);
}

static void server_end(struct server *s)
{
	loop_unwatch_fd(NULL, s->watch_udp);
	loop_unwatch_fd(NULL, s->watch_tcp);
	loop_unwatch_fd(NULL, s->watch_accepted);
	(void)close(s->udp);
	(void)close(s->tcp);
	if (s->accepted >= 0)
		(void)close(s->accepted);
}

/* Clients. */

static int client(int kind)
{
	struct sockaddr_in in = address(US, 53), from = address("127.0.0.9", 0);
	int fd = socket(AF_INET, kind | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	return fd;
}

static size_t query(const char *name, ldns_rr_type type, uint16_t edns, uint8_t *out)
{
	ldns_pkt *packet = ldns_pkt_query_new(ldns_dname_new_frm_str(name), type, LDNS_RR_CLASS_IN, LDNS_RD);
	uint8_t *wire;
	size_t size;

	ldns_pkt_set_id(packet, 0x1234);
	if (edns)
		ldns_pkt_set_edns_udp_size(packet, edns);
	assert_int_equal(ldns_pkt2wire(&wire, packet, &size), LDNS_STATUS_OK);
	memcpy(out, wire, size);
	free(wire);
	ldns_pkt_free(packet);
	return size;
}

/* Asked by UDP, or by TCP; NULL: no answer within wait_ms. */
static ldns_pkt *ask_on(int fd, bool tcp, const char *name, ldns_rr_type type, uint16_t edns, int wait_ms)
{
	static uint8_t buffer[65538];
	size_t size = query(name, type, edns, buffer + 2), got = 0, want = 2;
	ldns_pkt *packet;
	ssize_t n;

	buffer[0] = (uint8_t)(size >> 8);
	buffer[1] = (uint8_t)size;
	assert_true(send(fd, buffer + (tcp ? 0 : 2), size + (tcp ? 2 : 0), 0) > 0);
	if (!tcp) {
		if (!loop_until(fd, wait_ms))
			return NULL;
		n = recv(fd, buffer + 2, sizeof(buffer) - 2, 0);
		assert_true(n > 0);
		want = 2 + (size_t)n;
	}
	for (; tcp && got < want; got += (size_t)n) {
		if (!loop_until(fd, wait_ms))
			return NULL;
		n = recv(fd, buffer + got, want - got, 0);
		if (n <= 0)
			return NULL;
		if (got + (size_t)n == 2)
			want = 2 + (size_t)(buffer[0] << 8 | buffer[1]);
	}
	assert_int_equal(ldns_wire2pkt(&packet, buffer + 2, want - 2), LDNS_STATUS_OK);
	assert_int_equal(ldns_pkt_id(packet), 0x1234);
	assert_true(ldns_pkt_qr(packet));
	return packet;
}

static ldns_pkt *ask(bool tcp, const char *name, ldns_rr_type type, uint16_t edns)
{
	int fd = client(tcp ? SOCK_STREAM : SOCK_DGRAM);
	ldns_pkt *packet = ask_on(fd, tcp, name, type, edns, 5000);

	assert_non_null(packet);
	(void)close(fd);
	return packet;
}

/* By both ways: "RCODE DATA DATA ..." */
static void says(const char *name, ldns_rr_type type, const char *expected)
{
	for (int tcp = 0; tcp < 2; tcp++) {
		ldns_pkt *packet = ask(tcp, name, type, 0);
		char *rcode = ldns_pkt_rcode2str(ldns_pkt_get_rcode(packet)), text[512];

		(void)snprintf(text, sizeof(text), "%s", rcode);
		for (size_t i = 0; i < ldns_rr_list_rr_count(ldns_pkt_answer(packet)); i++) {
			const ldns_rr *rr = ldns_rr_list_rr(ldns_pkt_answer(packet), i);
			char *data = ldns_rdf2str(ldns_rr_rdf(rr, 0));

			(void)strncat(text, " ", sizeof(text) - strlen(text) - 1);
			(void)strncat(text, data, sizeof(text) - strlen(text) - 1);
			free(data);
		}
		assert_string_equal(text, expected);
		free(rcode);
		ldns_pkt_free(packet);
	}
}

#endif
