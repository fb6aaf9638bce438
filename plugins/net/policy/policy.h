/* SPDX-License-Identifier: MIT */
/*
 * Policies of networks, subnets and endpoints: parsed from HNS's shape (version 1: {"Type": KIND, members})
 * and HCN's (version 2: {"Type": KIND, "Settings": {members}}), range-checked, and printed in either.
 * Both shapes become the same structs; a kind that only the other shape has is printed under its name there.
 *
 * Pure.  Any thread.
 */
#ifndef NET_POLICY_H
#define NET_POLICY_H

#include "common/error.h"
#include "model/addr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_object;

enum net_policy_kind {
	NET_POLICY_PORT,	/* NAT, PortMapping */
	NET_POLICY_OUTBOUND,	/* OutBoundNAT */
	NET_POLICY_ACL,		/* ACL, NetworkACL */
	NET_POLICY_TIER,	/* TierAcl */
	NET_POLICY_QOS,		/* QOS */
	NET_POLICY_VLAN,	/* VLAN, and Isolation's VLAN: number */
	NET_POLICY_VSID,	/* VSID, and Isolation's VSID: number */
	NET_POLICY_MAC,		/* SourceMacAddress: mac */
	NET_POLICY_ROUTER_MAC,	/* DrMacAddress: mac */
	NET_POLICY_ENCAP,	/* EncapOverhead: number, bytes to take from the MTU */
	NET_POLICY_ROUTE,	/* SDNRoute, ROUTE, RemoteSubnetRoute: route */
	NET_POLICY_PROXY,	/* PROXY, L4Proxy, L4WFPPROXY: proxy */
	NET_POLICY_PORT_NAME,	/* PortName: text */
	NET_POLICY_ADAPTER,	/* NetAdapterName: text */
	NET_POLICY_PROVIDER,	/* ProviderAddress, PA: address */
	NET_POLICY_AUTO_DNS,	/* AutomaticDNS: enable */
	NET_POLICY_VXLAN_PORT,	/* VxlanPort: number */
	NET_POLICY_HOST_ROUTE,	/* HostRoute: the host has a route to the subnet; always so here */
	NET_POLICY_KEPT,	/* known, without a meaning on Linux (Iov, L2Driver, …): kept as it came */
	NET_POLICY_KIND_COUNT
};

/* Whose policies: decides which kinds are allowed. */
enum net_policy_scope {
	NET_POLICY_OF_NETWORK,
	NET_POLICY_OF_SUBNET,
	NET_POLICY_OF_ENDPOINT,
};

enum net_policy_shape {
	NET_POLICY_HNS,
	NET_POLICY_HCN,
};

struct net_prefixes {
	struct net_addr *items;
	size_t count;
};

struct net_port_range {
	uint16_t first, last;
};

#define NET_PORT_FLAG_LOCAL_VIP 1u /* LocalRoutedVip */
#define NET_PORT_FLAG_IPV6 2u

/* A published port, or as many in a row on both sides. */
struct net_policy_port {
	uint8_t protocol;  /* IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP */
	uint16_t internal; /* the container's, never 0 */
	uint16_t external; /* the host's; 0: any free one, chosen when it is plugged in */
	uint16_t count;    /* of ports from these on: 1 unless it is a range (ours: "Count") */
	struct net_addr host; /* only this address of the host (VIP); family 0: all of them */
	uint32_t flags;
	bool reserved; /* ExternalPortReserved */
};

struct net_policy_outbound {
	struct net_addr vip;          /* the source address to use; family 0: the outgoing link's */
	struct net_prefixes exceptions; /* not translated towards these */
	struct net_prefixes destinations; /* only towards these; none: all */
	uint32_t flags;
	uint16_t max_port_pool;
};

enum net_acl_action { NET_ACL_ALLOW, NET_ACL_BLOCK, NET_ACL_PASS };

/* One rule.  An empty list matches all.  Local is the endpoint's side, in both directions. */
struct net_acl {
	char *id;                /* or NULL */
	enum net_acl_action action;
	bool out;                /* leaving the endpoint; else coming to it */
	uint8_t *protocols;
	size_t protocol_count;
	struct net_prefixes local, remote;
	struct net_port_range *local_ports, *remote_ports;
	size_t local_port_count, remote_port_count;
	bool host;               /* RuleType Host; else Switch: both are the same rule here */
	uint16_t priority;       /* the lowest number decides; 0, not given: after all others */
	char *service;           /* ServiceName, or NULL */
	bool network;            /* a network's: for each of its endpoints (NetworkACL) */
};

struct net_policy_tier {
	char *name;
	uint16_t order; /* the lowest number is asked first */
	struct net_acl *rules;
	size_t count;
	bool out;
};

/* Bytes per second; 0: not limited. */
struct net_policy_qos {
	uint64_t out; /* MaximumOutgoingBandwidthInBytes: leaving the container */
	uint64_t in;  /* MaximumIncomingBandwidthInBytes (ours) */
};

struct net_policy_route {
	struct net_addr destination;
	struct net_addr next_hop; /* family 0: on the link */
	bool encap;
	/* Of RemoteSubnetRoute: */
	bool remote;
	uint32_t isolation;
	struct net_addr provider;
	struct net_mac router;
};

/* What the container connects to goes to address:port instead. */
struct net_policy_proxy {
	bool wfp;                 /* L4WFPPROXY: a proxy inside the container's own namespace */
	uint8_t protocol;         /* 0: tcp */
	struct net_addr address;  /* family 0: the host itself; wfp: the namespace */
	uint16_t port;            /* wfp: OutboundProxyPort, may be 0 */
	uint16_t inbound;         /* wfp: InboundProxyPort, may be 0 */
	struct net_prefixes exceptions;
	struct net_port_range *port_exceptions;
	size_t port_exception_count;
	struct net_prefixes inbound_exceptions;
	struct net_port_range *inbound_port_exceptions;
	size_t inbound_port_exception_count;
	struct net_addr destination; /* family 0: all */
	struct net_port_range *ports;  /* wfp: FilterTuple's RemotePorts; or Destination ":80,443" */
	size_t port_count;
	bool outbound_nat;
	char *user; /* wfp: UserSID, not diverted; or NULL */
};

struct net_policy {
	enum net_policy_kind kind;
	union {
		struct net_policy_port port;
		struct net_policy_outbound outbound;
		struct net_acl acl;
		struct net_policy_tier tier;
		struct net_policy_qos qos;
		struct net_policy_route route;
		struct net_policy_proxy proxy;
		struct net_mac mac;
		struct net_addr address;
		uint32_t number;
		bool enable;
		char *text;
	};
	char *type; /* NET_POLICY_KEPT: its Type as it came; else NULL */
	char *settings; /* NET_POLICY_KEPT: its members, a JSON object; else NULL */
};

/*
 * All of an array, in its order.  list may be NULL: none.  -EINVAL with "Policies[2]: ExternalPort: …";
 * a kind that nobody knows too ("Policies[0]: Type: "Foo" is not known"), and one that does not belong to
 * that scope.  HNS's Isolation may become two.
 */
int net_policies_parse(struct json_object *list, enum net_policy_shape shape,
		       enum net_policy_scope scope, struct net_policy **ret, size_t *ret_count,
		       struct plug_error *err);
/* A new array; NULL: out of memory. */
struct json_object *net_policies_print(const struct net_policy *policies, size_t count,
				       enum net_policy_shape shape);
/* What it holds, and the array itself.  NULL is nothing. */
void net_policies_free(struct net_policy *policies, size_t count);
/* What one holds. */
void net_policy_finish(struct net_policy *p);

/*
 * Appends *p and takes it over (also where it fails: then it is finished).  -ENOMEM.
 */
int net_policies_add(struct net_policy **policies, size_t *count, struct net_policy *p);
/* Whether both would be printed the same (HCN's Remove and Update requests name a policy by its content). */
bool net_policy_same(const struct net_policy *a, const struct net_policy *b);
/* A copy of its own of all of them. */
int net_policies_copy(const struct net_policy *policies, size_t count, struct net_policy **ret);

/* The first of a kind, or NULL. */
const struct net_policy *net_policies_find(const struct net_policy *policies, size_t count,
					   enum net_policy_kind kind);

#endif
