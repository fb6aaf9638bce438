/* SPDX-License-Identifier: MIT */
/*
 * Endpoints of networks of type "cni": the plugins of the network's conflist do what elsewhere links,
 * addresses and rules of ours do.  CNI_CONTAINERID is the endpoint's id, the interface its guest_link;
 * published ports and bandwidth go to the plugins as capability arguments, what they answer becomes the
 * endpoint's.  Blocks.
 */
#ifndef NET_CNI_ENDPOINT_H
#define NET_CNI_ENDPOINT_H

#include "cni/cni.h"
#include "model/object.h"

/* Where plugins and their lists are, from now on: copied.  NULL: the usual places.  -ENOMEM. */
int net_cni_configure(const char *const *plugins, const char *conf);
void net_cni_unconfigure(void);

/*
 * ADD of e (guest_link is set; ips, if any, and mac are wishes) in the namespace at netns: e has the
 * addresses, gateways, MAC and DNS of the result then.  Errors as of net_cni_load() and net_cni_add();
 * with one, nothing is left.
 */
int net_cni_plug(const char *run_dir, const struct net_network *n, struct net_endpoint *e, const char *netns,
		 const struct net_cni_limits *limits, struct net_error *err);
/* DEL by the endpoint's id alone; best while netns (or NULL) still is.  Nothing to do is success. */
int net_cni_unplug(const char *run_dir, const char *endpoint, const char *netns, struct net_error *err);

#endif
