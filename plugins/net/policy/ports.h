/* SPDX-License-Identifier: MIT */
/*
 * Published ports: as people write them, and whether they are free.
 *
 * A port that is published is also held: a socket is bound to it, not listening, so that others who want
 * it are told by the kernel, as they are by a listening socket.  Packets never reach that socket: they are
 * redirected before.
 */
#ifndef NET_PORTS_H
#define NET_PORTS_H

#include "common/text.h"
#include "model/object.h"
#include "policy/policy.h"

#define NET_PORTS_MAX 4096 /* held by one endpoint */

/*
 * "[HOSTIP:][HOSTPORT[-END]:]PORT[-END][/tcp|udp|sctp]", an IPv6 HOSTIP in brackets; without HOSTPORT, or
 * with 0, any free one.  Appends one policy of kind NET_POLICY_PORT.  Pure.  -EINVAL: "TEXT: cause".
 */
int net_ports_parse(const char *text, struct net_policy **policies, size_t *count,
		    struct plug_error *err);

/*
 * The rules of the first Windows with containers (TP4), for hosts that emulate it, over all ports of one
 * container, written as above: tcp and udp in any case, one host port for each of the container's, no host
 * address, numbers up to 65535.  -EINVAL with Docker's texts, and nothing more.  Pure.
 */
int net_ports_check_tp4(const char *const *texts, size_t count, struct plug_error *err);

/*
 * What docker port prints of an endpoint: "80/tcp -> 0.0.0.0:8080" for each published port and family; wanted
 * (may be NULL): "PORT[/PROTOCOL]", only the right side of that one.  Nothing to print is success.  Pure.
 * -EINVAL: wanted is no port.
 */
int net_ports_print(const struct net_endpoint *e, const char *wanted, struct plug_text *out,
		    struct plug_error *err);

/* Who holds which ports in this process.  Any thread. */
struct net_ports;
int net_ports_create(struct net_ports **ret);
void net_ports_destroy(struct net_ports *p); /* lets go of all */

/*
 * Takes all ports of the policies for owner (an endpoint's id), or none.  External ports 0 are chosen and
 * written into the policies.  -EADDRINUSE: "port 0.0.0.0:8080/tcp: in use by NAME" (ours; name is what owner
 * is called in errors, copied) or "…: in use by a process of the host"; -EADDRNOTAVAIL: the host has no such
 * address; -E2BIG: more than NET_PORTS_MAX.  An owner that has them already keeps them: success.
 *
 * Sockets are bound in the calling thread's network namespace.  Does not block.
 */
int net_ports_take(struct net_ports *p, const char *owner, const char *name,
		   struct net_policy *policies, size_t count, struct plug_error *err);
/*
 * The same for an owner whose policies are others now: ports that are among both are kept without a gap,
 * those of before that are not are let go.  On failure it has what it had.
 */
int net_ports_change(struct net_ports *p, const char *owner, const char *name,
		     struct net_policy *policies, size_t count, struct plug_error *err);
/* Still the owner's for us, but no socket holds them: for those who publish them themselves. */
void net_ports_unbind(struct net_ports *p, const char *owner);
/* Has nothing: success. */
void net_ports_release(struct net_ports *p, const char *owner);

#endif
