/* SPDX-License-Identifier: MIT */
/*
 * The objects of HNS (version 1) and HCN (version 2) as one superset.  Both JSON shapes are parsed into
 * and printed from these (hns.h, hcn.h); the store keeps HCN's with a member "Cowherd" for our own.
 *
 * Plain structs, owned as a whole: whoever was given one by `ret` frees it with net_…_free(), which takes
 * NULL and half-built ones.  Pure: nothing here touches files or the kernel.  Any thread.
 */
#ifndef NET_MODEL_OBJECT_H
#define NET_MODEL_OBJECT_H

#include "model/addr.h"
#include "common/error.h"

#define NET_ID_SIZE 37   /* a GUID in lower case, and NUL; "": none */
#define NET_LINK_SIZE 16 /* IFNAMSIZ */
#define NET_NAME_MAX 255 /* bytes of an object's name */

struct net_policy; /* policy/policy.h */

/* A list of strings, both owned. */
struct net_strv {
	char **items;
	size_t count;
};
int net_strv_add(struct net_strv *v, const char *text); /* -ENOMEM */
bool net_strv_has(const struct net_strv *v, const char *text);
void net_strv_finish(struct net_strv *v);

enum net_type {
	NET_NAT,
	NET_TRANSPARENT, /* macvlan on, or a bridge to, the adapter */
	NET_L2BRIDGE,	 /* a bridge that the adapter is a port of; no NAT */
	NET_L2TUNNEL,
	NET_ICS, /* works as NAT */
	NET_PRIVATE, /* containers among themselves */
	NET_INTERNAL, /* and the host, but nothing beyond */
	NET_OVERLAY, /* VXLAN */
	NET_CNI, /* ours: a chain of CNI plugins does everything */
	NET_TYPE_COUNT
};
const char *net_type_name(enum net_type type); /* "NAT" */
/* Whatever the case, and "bridge" as docker says it: NAT.  -EINVAL. */
int net_type_parse(const char *text, enum net_type *ret);

struct net_route {
	struct net_addr destination; /* 0.0.0.0/0, ::/0: the default route */
	struct net_addr next_hop; /* family 0: on the link */
	uint32_t metric;
	bool encap; /* SDN routes: NeedEncap */
};

struct net_dns {
	char *domain; /* or NULL, as all of these may be empty */
	struct net_strv search, servers, options; /* servers: addresses, checked */
};
void net_dns_finish(struct net_dns *dns);

struct net_subnet {
	struct net_addr prefix; /* without host bits */
	struct net_addr gateway; /* family 0: none */
	struct net_route *routes;
	size_t route_count;
	uint32_t vlan, vsid; /* 0: none; vsid is VXLAN's number */
	struct net_addr range; /* addresses come from here; family 0: the whole prefix */
	struct net_policy *policies; /* other than VLAN and VSID */
	size_t policy_count;
};

/* An address of a subnet that somebody outside has: never given to an endpoint. */
struct net_aux {
	char *name; /* whose it is; owned */
	struct net_addr addr;
};

struct net_mac_range {
	struct net_mac first, last;
};

#define NET_FLAG_NON_PERSISTENT 8u /* HCN: EnableNonPersistent */

struct net_network {
	char id[NET_ID_SIZE];
	char *name;
	enum net_type type;
	char *adapter; /* the parent NIC, by name; NULL: none */
	char bridge[NET_LINK_SIZE]; /* our link: "cow" and 8 hex digits of the id; other types: as named */
	bool dhcp;
	struct net_subnet *subnets;
	size_t subnet_count;
	struct net_aux *aux;
	size_t aux_count;
	struct net_mac_range *macs; /* NULL: we make them of the endpoint's id */
	size_t mac_count;
	struct net_mac source_mac; /* policy SourceMacAddress */
	struct net_dns dns;
	bool automatic_dns;
	struct net_addr management; /* HNS: ManagementIP */
	uint32_t mtu; /* 0: the kernel's, or the adapter's */
	uint32_t vlan; /* where a subnet says none; 0: none */
	uint32_t macvlan_mode; /* NET_TRANSPARENT: linux/if_link.h's MACVLAN_MODE_…; 0: bridge */
	uint16_t vxlan_port; /* policy VxlanPort; 0: 4789 */
	uint32_t flags;
	struct net_policy *policies; /* other than those that became members here */
	size_t policy_count;
	char *conflist; /* NET_CNI: a name in CNI's directory, a path, or the text itself */
	struct net_strv labels; /* "KEY=VALUE" */
	bool configured; /* by the configuration: lives as long as the supervisor; not durable */
	bool foreign; /* a file of others' says so: net_store_foreign() */
	int64_t created; /* seconds since 1970; 0: not known */
};
void net_network_free(struct net_network *n);
/* name: copied.  -ENOMEM. */
int net_network_aux(struct net_network *n, const char *name, const struct net_addr *addr);

#define NET_ENDPOINT_REMOTE 1u /* HCN's flag of endpoints */

struct net_endpoint {
	char id[NET_ID_SIZE];
	char *name;
	char network[NET_ID_SIZE];
	char namespace_id[NET_ID_SIZE]; /* where it is plugged in; "": nowhere */
	struct net_strv containers; /* ids; several share one namespace */
	struct net_strv aliases; /* further names for the resolver */
	struct net_mac mac;
	struct net_addr *ips; /* with the length of the subnet; v4 and v6 in order */
	size_t ip_count;
	struct net_addr gateway, gateway6;
	struct net_route *routes; /* besides the default ones by the gateways */
	size_t route_count;
	struct net_dns dns;
	bool internal_dns, disable_icc, low_metric; /* HNS: EnableInternalDNS, … */
	struct net_policy *policies;
	size_t policy_count;
	char host_link[NET_LINK_SIZE]; /* "ve" and 8 hex digits of the id */
	char guest_link[NET_LINK_SIZE]; /* "eth0", …; "": not plugged in */
	uint32_t flags;
	bool durable; /* a user made it: it outlives containers and reboots */
};
void net_endpoint_free(struct net_endpoint *e);

enum net_namespace_type {
	NET_NS_HOST,
	NET_NS_HOST_DEFAULT,
	NET_NS_GUEST,
	NET_NS_GUEST_DEFAULT,
	NET_NS_TYPE_COUNT
};

struct net_resource {
	bool container; /* else an endpoint */
	char *id;
};

struct net_namespace {
	char id[NET_ID_SIZE];
	uint32_t number; /* HCN: NamespaceId, HNS: CompartmentId */
	enum net_namespace_type type;
	char *path; /* an nsfs file, bind-mounted; NULL: not made yet */
	struct net_resource *resources;
	size_t resource_count;
	bool durable; /* a user made it */
};
void net_namespace_free(struct net_namespace *ns);
int net_namespace_add(struct net_namespace *ns, bool container, const char *id); /* -EEXIST -ENOMEM */
int net_namespace_drop(struct net_namespace *ns, bool container, const char *id); /* -ENOENT */

struct net_balancer_port {
	uint8_t protocol; /* IPPROTO_TCP, IPPROTO_UDP */
	uint16_t internal, external;
	uint32_t distribution; /* 0: by 5-tuple, 1: by addresses and protocol, 2: by addresses */
	uint32_t flags;
};

#define NET_BALANCER_DIRECT 1u /* direct server return */
#define NET_BALANCER_INTERNAL 2u

struct net_balancer {
	char id[NET_ID_SIZE];
	struct net_strv endpoints; /* ids */
	struct net_addr source_vip; /* family 0: none */
	struct net_addr *vips; /* none: the host's own addresses */
	size_t vip_count;
	struct net_balancer_port *ports;
	size_t port_count;
	uint32_t flags; /* NET_BALANCER_… */
};
void net_balancer_free(struct net_balancer *b);

/* HCN's "SDN route", HNS's policy list ROUTE. */
struct net_sdn_route {
	char id[NET_ID_SIZE];
	struct net_strv endpoints; /* ids */
	struct net_route *routes;
	size_t route_count;
};
void net_sdn_route_free(struct net_sdn_route *r);

/* A random GUID (version 4), lower case.  Negative errno: no randomness. */
int net_id_make(char ret[NET_ID_SIZE]);
/* The GUID (version 8) of a name: the same each time, for objects that nobody keeps. */
void net_id_of_name(const char *name, char ret[NET_ID_SIZE]);
/* In any case, with braces or without; -EINVAL. */
int net_id_parse(const char *text, char ret[NET_ID_SIZE]);
/* PREFIX and the first 8 hex digits of the id: the names of our links. */
void net_link_name(const char *prefix, const char *id, char ret[NET_LINK_SIZE]);
/* [A-Za-z0-9][A-Za-z0-9_.-]*, at most NET_NAME_MAX: as docker takes names. */
bool net_name_valid(const char *name);
/*
 * How a container is called in the endpoint's network: the endpoint's own name; of a container's further
 * ones, "NAME-1" at eth1, without the number.  To be freed; NULL: out of memory.
 */
char *net_endpoint_called(const struct net_endpoint *e);
/*
 * The endpoint's own address: what it has, else from the network's ranges, else a local one, made of the
 * endpoint's id, so that it is the same each time.
 */
struct net_mac net_endpoint_mac(const struct net_network *n, const struct net_endpoint *e);

/* The one after m in the network's ranges, around their end. */
struct net_mac net_mac_next(const struct net_network *n, const struct net_mac *m);

#endif
