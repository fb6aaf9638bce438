/* SPDX-License-Identifier: MIT */
/*
 * What a container asks of the network, read from its create options and spec.  Pure: looks nothing up.
 * Sources in this order, the first that says something: the options network/networks; the spec's
 * windows.network, of it networkSharedContainerName (which the host has looked up: option "joined"), then
 * networkNamespace, then endpointList alone; ports alone, or the configured default, for a spec with a
 * network namespace of its own.
 */
#ifndef NET_PLAN_H
#define NET_PLAN_H

#include "common/error.h"
#include "cowherd/plugin.h"
#include "dns/files.h"
#include "model/object.h"

#include <json-c/json.h>

#define NET_WANTS_MAX 16

/* One network to be plugged into. */
struct net_want {
	char *network; /* name or id; or of an endpoint that is there, with `existing` */
	bool existing;
	struct net_addr ip, ip6; /* family 0: any; with the length where one is asked for */
	struct net_mac mac;
	struct net_strv aliases;
};

enum net_plan_mode {
	NET_PLAN_NOTHING,
	NET_PLAN_FILES,	   /* the host's or another namespace, with resolv.conf or hosts of its own */
	NET_PLAN_NETWORKS, /* a namespace with endpoints */
};

struct net_plan {
	enum net_plan_mode mode;
	struct net_want wants[NET_WANTS_MAX];
	size_t want_count;
	char *namespace_ref; /* windows.network: a namespace's id or path, to be joined; NULL: a new one */
	char *joined; /* the network of another container is joined: that one's volatile directory */
	struct net_strv ports;	  /* as people write them */
	struct net_strv dns, search, options, hosts;
	char *hosting_system; /* the utility VM it runs in; NULL: none */
	/*
	 * By the spec's annotations: a pod's sandbox; one of its other containers, whose namespace is in the
	 * hosting system already.
	 */
	bool sandbox, workload;
	bool host; /* NET_PLAN_FILES: the host's namespace */
	enum net_unqualified unqualified;
	char *container, *name, *hostname, *domainname;
	struct json_object *spec; /* all of it */
};

/* defaults: the network for specs that ask for none, or NULL; fallback: the one for ports alone. */
struct net_plan_defaults {
	const char *network, *fallback;
};

/* -EINVAL with "object: cause".  *ret is the caller's on success: net_plan_finish(). */
int net_plan_read(const struct cowherd_request *request, const struct net_plan_defaults *defaults,
		  struct net_plan *ret, struct plug_error *err);
void net_plan_finish(struct net_plan *plan);
/* "NAME[:KEY=VALUE,…]" more.  -EINVAL: also where it is there already. */
int net_plan_add(struct net_plan *plan, const char *text, struct plug_error *err);
/* Without the one that asks for this network, or endpoint; none is fine. */
void net_plan_drop(struct net_plan *plan, const char *network);
/* Whether net_plan_read() has anything to do at all: cheap. */
bool net_plan_may_want(const struct cowherd_request *request, const struct net_plan_defaults *defaults);

/*
 * The merge patch for the spec: its network namespace is the one at path (NULL: unchanged), resolv_conf
 * and hosts (NULL: none) are mounted unless the spec mounts something there.  NULL: out of memory.
 */
struct json_object *net_plan_patch(const struct net_plan *plan, const char *path, const char *resolv_conf,
				   const char *hosts);

#endif
