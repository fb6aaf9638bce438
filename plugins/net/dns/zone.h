/* SPDX-License-Identifier: MIT */
/* The names of one network, without sockets: which there are, and what a question about them is answered. */
#ifndef NET_DNS_ZONE_H
#define NET_DNS_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct net_zone_address {
	uint8_t family; /* AF_INET, AF_INET6 */
	uint8_t prefix; /* of a subnet */
	uint8_t bytes[16];
};

struct net_zone_server {
	struct sockaddr_storage address; /* with its port */
	socklen_t len;
};

struct net_zone_member {
	struct net_zone_member *next;
	char *owner, *container; /* container: or NULL */
	bool hidden; /* it asks, but is not answered about */
	char **names; /* lower case */
	size_t address_count, server_count;
	struct net_zone_address *addresses;
	struct net_zone_server *servers;
};

struct net_zone {
	struct net_zone_member *members;
	char *domain; /* lower case, or NULL */
	struct net_zone_address *subnets;
	size_t subnet_count;
};

/* "10.0.0.1", "10.0.0.0/8": 0, or -EINVAL. */
int net_zone_address_read(const char *text, struct net_zone_address *ret);
/* The sockaddr of an address, "%scope" included: 0, or -EINVAL. */
int net_zone_server_read(const char *text, uint16_t port, struct net_zone_server *ret);
/* An array of either; the caller frees.  -EINVAL: *ret_bad, where not NULL, is the text that is none. */
int net_zone_servers_read(const char *const *texts, struct net_zone_server **ret, size_t *ret_n,
			  const char **ret_bad);
int net_zone_addresses_read(const char *const *texts, struct net_zone_address **ret, size_t *ret_n,
			    const char **ret_bad);

void net_zone_finish(struct net_zone *zone);
void net_zone_member_free(struct net_zone_member *member); /* NULL is fine */
/* Takes over the member, in the place of the one with its owner. */
void net_zone_put(struct net_zone *zone, struct net_zone_member *member);
void net_zone_remove(struct net_zone *zone, const char *owner);
/* The member with this address, or NULL. */
const struct net_zone_member *net_zone_by_address(const struct net_zone *zone, uint8_t family,
						  const uint8_t *bytes);

/* A member of this container, or NULL. */
struct net_zone_member *net_zone_by_container(const struct net_zone *zone, const char *container);

/* A question, as it stands in a packet. */
struct net_question {
	uint16_t id, type, qclass;
	bool edns;
	uint16_t limit;  /* the largest answer by UDP */
	size_t end;      /* where the question section ends in the packet */
	char name[256];  /* lower case, no end dot; "": the root, or what cannot be a name of ours */
};

#define NET_MESSAGE_MAX 65535

/*
 * Judges a packet of a stranger.  -EINVAL: to be dropped (too short, or no question at all); -EBADMSG,
 * -ENOTSUP: to be answered with FORMERR, NOTIMP; id is set then.
 */
int net_question_read(const uint8_t *data, size_t size, struct net_question *ret);
/*
 * What the zone knows.  limit: of the answer's size; what is longer is cut, and says so.  0: *ret is the
 * answer, the caller's; -ENOENT: it is for others to answer; -ENOMEM.
 */
int net_zone_answer(const struct net_zone *zone, const uint8_t *query, size_t size,
		    const struct net_question *question, size_t limit, uint8_t **ret, size_t *ret_size);
/* An answer with nothing but a code (RFC 1035, 4.1.1); for a packet without a good question, too. */
int net_message_refuse(const uint8_t *query, size_t size, int rcode, uint8_t **ret, size_t *ret_size);
/* Only the question, and the mark that there is more by TCP. */
int net_message_cut(const uint8_t *query, size_t size, uint8_t **ret, size_t *ret_size);
/* The reply is one to this question, under that id. */
bool net_message_replies(const uint8_t *query, const struct net_question *question, uint16_t id,
			 const uint8_t *reply, size_t size);
#define NET_RCODE_OF(reply) ((reply)[3] & 0xf)

#endif
