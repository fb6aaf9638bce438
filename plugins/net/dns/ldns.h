/* SPDX-License-Identifier: MIT */
/*
 * ldns (with OpenSSL), loaded when it is first needed: what it brings with it costs an idle
 * supervisor 1.7 MiB of memory, and most never need it.
 */
#ifndef NET_DNS_LDNS_H
#define NET_DNS_LDNS_H

#include <ldns/ldns.h>

#define NET_LDNS(X) \
	X(dname_new_frm_str) X(pkt2wire) X(pkt_edns) X(pkt_edns_udp_size) X(pkt_free) \
	X(pkt_new) X(pkt_push_rr) X(pkt_qdcount) X(pkt_question) X(pkt_set_aa) \
	X(pkt_set_edns_udp_size) X(pkt_set_id) X(pkt_set_opcode) X(pkt_set_qr) \
	X(pkt_set_ra) X(pkt_set_rcode) X(pkt_set_rd) X(pkt_set_tc) X(rdf_clone) \
	X(rdf_deep_free) X(rdf_new_frm_data) X(rr_clone) X(rr_free) X(rr_list_rr) X(rr_new) \
	X(rr_owner) X(rr_push_rdf) X(rr_set_class) X(rr_set_owner) X(rr_set_ttl) \
	X(rr_set_type) X(wire2pkt)

struct net_ldns {
#define NET_LDNS_MEMBER(name) __typeof__(ldns_##name) *name;
	NET_LDNS(NET_LDNS_MEMBER)
};

/* Its functions, or NULL: it is not installed, or not as it should be.  Any thread. */
const struct net_ldns *net_ldns(void);

#endif
