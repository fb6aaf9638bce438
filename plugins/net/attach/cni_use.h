/* SPDX-License-Identifier: MIT */
/*
 * Where CNI's files are, by the section "cni" of the configuration, for a job of the pool: what was
 * configured when it began, however often the configuration is read meanwhile.
 */
#ifndef NET_ATTACH_CNI_USE_H
#define NET_ATTACH_CNI_USE_H

#include "attach/state.h"
#include "cni/cni.h"

struct net_cni_config; /* counted */

struct net_cni_use {
	struct net_cni_paths paths;
	uint32_t timeout_ms;
	struct net_cni_config *config; /* held; or NULL */
	char *cache;
};
int net_cni_use_begin(const struct net_state *s, struct net_cni_use *ret, struct plug_error *err);
void net_cni_use_end(struct net_cni_use *use);
#define _cleanup_cni_use_ __attribute__((cleanup(net_cni_use_end)))

/*
 * The section: {"config_dir", "plugin_dirs", "timeout_s"}; o NULL: none.  ret NULL: only looked at.  -EINVAL:
 * "/POINTER: cause".
 */
int net_cni_config_read(struct json_object *o, struct net_cni_config **ret, struct plug_error *err);
/* From now on; changes owner.  NULL: as usual. */
void net_cni_config_apply(struct net_cni_config *config);

/* The lists of the directory, as networks of the store. */
struct net_foreign net_cni_foreign(struct net_state *s);
/* Whether the network's list can be run: the text, the file, or the name is good. */
int net_cni_network_check(struct net_state *s, const struct net_network *n, struct plug_error *err);

#endif
