/* SPDX-License-Identifier: MIT */
/*
 * Links, addresses, routes and neighbours, by rtnetlink.  A struct net_rtnl is a socket that belongs to the
 * network namespace it was opened in, whatever thread uses it; one thread at a time.  Everything blocks (the
 * kernel has one lock for all of it): in pool jobs only.
 *
 * Errors are "OBJECT: cause", the cause with the kernel's own explanation where it gives one
 * (NETLINK_EXT_ACK).  Reference: rtnetlink(7), linux/if_link.h.
 */
#ifndef NET_RTNL_H
#define NET_RTNL_H

#include "base/addr.h"
#include "common/error.h"

#include <libmnl/libmnl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct net_rtnl;

/* netns: a descriptor of a network namespace, borrowed; -1: the caller's own. */
int net_rtnl_open(int netns, struct net_rtnl **ret, struct plug_error *err);
void net_rtnl_close(struct net_rtnl *r); /* NULL is fine */

static inline void net_rtnl_closep(struct net_rtnl **r)
{
	net_rtnl_close(*r);
}
#define _cleanup_rtnl_ __attribute__((cleanup(net_rtnl_closep)))

/* libmnl's loops over attributes, without its conversions. */
#define net_attr_left(a, end) ((int)((const char *)(end) - (const char *)(a)))
#define net_attr_each(a, message, offset)                                                       \
	for ((a) = mnl_nlmsg_get_payload_offset((message), (offset));                           \
	     mnl_attr_ok((a), net_attr_left((a), mnl_nlmsg_get_payload_tail(message)));         \
	     (a) = mnl_attr_next(a))
#define net_attr_each_nested(a, nest)                                                           \
	for ((a) = mnl_attr_get_payload(nest);                                                  \
	     mnl_attr_ok((a), net_attr_left((a), (const char *)mnl_attr_get_payload(nest) +     \
							 mnl_attr_get_payload_len(nest)));      \
	     (a) = mnl_attr_next(a))

/* ---- messages of one's own (policy/qos.c) */

#define NET_RTNL_MESSAGE 8192 /* room that a message needs at most */

/* An answer to a request; a negative errno ends the reading and becomes the result. */
typedef int (*net_rtnl_cb)(void *arg, const struct nlmsghdr *answer);
/* buffer: NET_RTNL_MESSAGE bytes.  flags: NLM_F_… besides REQUEST and ACK. */
struct nlmsghdr *net_rtnl_begin(void *buffer, uint16_t type, uint16_t flags);
/*
 * Sends, and reads all answers up to the acknowledgement; a dump that was disturbed is asked for again (cb
 * may then see an object twice).  0, or the kernel's error or that of cb, with `object` in err.
 */
int net_rtnl_call(struct net_rtnl *r, struct nlmsghdr *request, net_rtnl_cb cb, void *arg,
		  struct plug_error *err, const char *object, ...) __attribute__((format(printf, 6, 7)));
/* The index of this link, as it was last noted; 0: not known. */
int net_rtnl_known(const struct net_rtnl *r, const char *link);
void net_rtnl_note(struct net_rtnl *r, const char *link, int index);
/* Somebody else has made or removed links of this namespace. */
void net_rtnl_forget(struct net_rtnl *r);

/* ---- links */

enum net_link_kind {
	NET_LINK_VETH,
	NET_LINK_BRIDGE,
	NET_LINK_MACVLAN,
	NET_LINK_VXLAN,
	NET_LINK_VLAN,
	NET_LINK_IFB,
	NET_LINK_DUMMY,
};

#define NET_MACVLAN_BRIDGE 4u  /* MACVLAN_MODE_BRIDGE: among themselves, too */
#define NET_MACVLAN_PRIVATE 1u /* MACVLAN_MODE_PRIVATE: with the outside only */

/* What to make; zeroed members are the kernel's choice. */
struct net_link {
	const char *name; /* at most 15 bytes */
	enum net_link_kind kind;
	const uint8_t *mac; /* 6 bytes, or NULL */
	uint32_t mtu;
	int master;        /* index of the bridge it becomes a port of */
	const int *netns;  /* made in this namespace, a descriptor; NULL: in the socket's */
	bool up;
	const char *alias; /* ifalias: what people see of it, or NULL */
	int parent;        /* macvlan, vlan, vxlan: index of the link below */
	uint32_t mode;     /* macvlan: NET_MACVLAN_… */
	uint16_t vlan;     /* vlan: 1..4094 */
	uint32_t vni;      /* vxlan */
	uint16_t port;     /* vxlan: 0: 4789 */
	struct net_addr local, group; /* vxlan: own address; of the peers, multicast or one */
	struct {           /* veth: the other end, as above; it is down at first, the kernel insists */
		const char *name;
		const uint8_t *mac;
		const int *netns;
	} peer;
};

/* -EOPNOTSUPP: this kernel has no such links, and err says which.  -EEXIST. */
int net_link_create(struct net_rtnl *r, const struct net_link *link, struct plug_error *err);
/* Gone already is success. */
int net_link_delete(struct net_rtnl *r, const char *name, struct plug_error *err);

struct net_link_info {
	int index, master, parent; /* 0: none */
	uint32_t mtu, flags;       /* IFF_… */
	uint8_t mac[6];
	char name[16], kind[16];   /* "veth"; "": a device */
	char alias[64];            /* "": none; cut where it is longer */
};
/* -ENODEV: "link NAME: No such device". */
int net_link_find(struct net_rtnl *r, const char *name, struct net_link_info *ret, struct plug_error *err);
/* Only its index; the last one is remembered until this socket changes links, or net_rtnl_forget(). */
int net_link_index(struct net_rtnl *r, const char *name, int *ret, struct plug_error *err);
/* Each link of the namespace: cb's negative errno ends it. */
int net_link_list(struct net_rtnl *r, int (*cb)(void *arg, const struct net_link_info *link), void *arg,
		  struct plug_error *err);

/* What to change; zeroed members stay as they are. */
struct net_link_change {
	const char *rename; /* it has to be down */
	const uint8_t *mac;
	uint32_t mtu;
	int master;         /* index; -1: no longer a port */
	int up;             /* 1; -1: down */
	const int *netns;   /* moves it there */
	const char *alias;
	bool silent;        /* before it is up: no link-local address, so nothing of IPv6 is sent unasked */
};
int net_link_set(struct net_rtnl *r, const char *name, const struct net_link_change *change,
		 struct plug_error *err);

/* What a port of a bridge does besides. */
struct net_port {
	bool hairpin;  /* lets frames out where they came in */
	bool isolated; /* sees only ports that are not */
	bool suppress; /* who is known to the bridge, itself included, is not asked for there (ARP, ND) */
};
int net_link_port(struct net_rtnl *r, const char *name, const struct net_port *port, struct plug_error *err);
/* A VXLAN's forwarding entry: mac (NULL: all others, several peers) is behind the peer dst. */
int net_link_fdb(struct net_rtnl *r, const char *name, const uint8_t *mac, const struct net_addr *dst,
		 bool add, struct plug_error *err);
/* A bridge's: mac is behind its port `name`. */
int net_link_fdb_port(struct net_rtnl *r, const char *name, const uint8_t *mac, bool add,
		      struct plug_error *err);

/* ---- addresses, routes, neighbours */

/* With its prefix length; IPv6 without duplicate detection, usable at once.  There already is success. */
int net_address_add(struct net_rtnl *r, const char *link, const struct net_addr *addr,
		    struct plug_error *err);
/* Not there is success. */
int net_address_delete(struct net_rtnl *r, const char *link, const struct net_addr *addr,
		       struct plug_error *err);
/* Each address of the namespace, link-local ones too; index: of its link. */
int net_address_list(struct net_rtnl *r, int (*cb)(void *arg, int index, const struct net_addr *addr),
		     void *arg, struct plug_error *err);

struct net_kernel_route {
	struct net_addr destination; /* with length 0: the default route; its family counts */
	struct net_addr next_hop;    /* family 0: on the link */
	const char *link;            /* or NULL: as next_hop says */
	uint32_t metric;             /* 0: the kernel's choice */
	uint32_t mtu;                /* 0: the link's */
	bool onlink;                 /* next_hop need not lie in a subnet of the link */
};
/* There already is success. */
int net_route_add(struct net_rtnl *r, const struct net_kernel_route *route, struct plug_error *err);
/* Not there is success. */
int net_route_delete(struct net_rtnl *r, const struct net_kernel_route *route, struct plug_error *err);
/* Destinations of the main table: what a new subnet must not overlap.  link: index. */
int net_route_list(struct net_rtnl *r, int (*cb)(void *arg, const struct net_addr *destination, int link),
		   void *arg, struct plug_error *err);
/* All of them but default routes: *ret to be freed. */
int net_route_destinations(struct net_rtnl *r, struct net_addr **ret, size_t *ret_count,
			   struct plug_error *err);

/* A neighbour that needs no asking for; replaces what is there. */
int net_neighbour_add(struct net_rtnl *r, const char *link, const struct net_addr *addr, const uint8_t *mac,
		      struct plug_error *err);
/* Not there is success. */
int net_neighbour_delete(struct net_rtnl *r, const char *link, const struct net_addr *addr,
			 struct plug_error *err);

#endif
