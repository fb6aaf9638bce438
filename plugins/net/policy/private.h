/* SPDX-License-Identifier: MIT */
/* Pieces of parsing and printing policies.  Private to policy/. */
#ifndef NET_POLICY_PRIVATE_H
#define NET_POLICY_PRIVATE_H

#include "common/text.h"
#include "common/util.h"
#include "model/json.h"
#include "policy/policy.h"

#define NET_POLICY_LIST_MAX 1024 /* addresses, ports of one list */

/* "CAUSE" becomes "KEY: CAUSE"; returns its code. */
int net_policy_in(struct plug_error *err, int code, const char *key);

/* Lists as text with commas; "" is none.  Prefixes lose their host bits.  -EINVAL "KEY: cause", -ENOMEM. */
int net_list_prefixes(const char *text, const char *key, struct net_prefixes *ret, struct plug_error *err);
int net_list_ports(const char *text, const char *key, struct net_port_range **ret, size_t *ret_count,
		   struct plug_error *err);
/* Numbers, or tcp, udp, sctp, icmp, icmpv6, igmp; 256, or "any", is all of them. */
int net_list_protocols(const char *text, const char *key, uint8_t **ret, size_t *ret_count,
		       struct plug_error *err);
/* A JSON array of such texts. */
int net_list_prefixes_array(struct json_object *o, const char *key, struct net_prefixes *ret,
			    struct plug_error *err);
int net_list_ports_array(struct json_object *o, const char *key, struct net_port_range **ret,
			 size_t *ret_count, struct plug_error *err);

/* As text again: NULL where memory is missing. */
struct json_object *net_list_print_prefixes(const struct net_prefixes *p); /* commas */
struct json_object *net_list_print_prefixes_array(const struct net_prefixes *p);
struct json_object *net_list_print_ports(const struct net_port_range *r, size_t count);
struct json_object *net_list_print_ports_array(const struct net_port_range *r, size_t count);
struct json_object *net_list_print_protocols(const uint8_t *p, size_t count);

/* Members of a policy: absent leaves *ret alone.  -EINVAL "KEY: cause". */
int net_member_u16(struct json_object *o, const char *key, uint16_t *ret, struct plug_error *err);
int net_member_u32(struct json_object *o, const char *key, uint32_t *ret, struct plug_error *err);
int net_member_addr(struct json_object *o, const char *key, struct net_addr *ret, struct plug_error *err);
int net_member_prefix(struct json_object *o, const char *key, struct net_addr *ret, struct plug_error *err);
int net_member_mac(struct json_object *o, const char *key, struct net_mac *ret, struct plug_error *err);
int net_member_copy(struct json_object *o, const char *key, char **ret, struct plug_error *err);
/* tcp, udp, sctp, as name in any case or as number. */
int net_member_transport(struct json_object *o, const char *key, uint8_t *ret, struct plug_error *err);
/* One that is 0 or empty is left out, as both services do. */
void net_put_number(struct json_object **o, const char *key, uint64_t n);
void net_put_bool(struct json_object **o, const char *key, bool b);
void net_put_addr(struct json_object **o, const char *key, const struct net_addr *a);
void net_put_prefix(struct json_object **o, const char *key, const struct net_addr *p);
void net_put_mac(struct json_object **o, const char *key, const struct net_mac *m, char separator);

/* How a kind reads and writes its members; o is the object that holds them. */
struct net_policy_codec {
	int (*parse)(struct json_object *o, enum net_policy_shape shape, struct net_policy *p,
		     struct plug_error *err);
	void (*print)(struct json_object **o, enum net_policy_shape shape, const struct net_policy *p);
};
extern const struct net_policy_codec net_codec_port, net_codec_outbound, net_codec_acl, net_codec_tier,
	net_codec_qos, net_codec_proxy, net_codec_proxy_wfp, net_codec_route, net_codec_remote_route;

void net_acl_finish(struct net_acl *a);

/* The pieces of "[HOSTIP:][HOSTPORT[-END]:]PORT[-END][/PROTOCOL]"; "" where there is none.  -EINVAL. */
struct net_port_pieces {
	char text[128];
	const char *host, *external, *internal, *protocol;
};
int net_port_split(const char *text, struct net_port_pieces *ret);

#endif
