/* SPDX-License-Identifier: MIT */
/*
 * libnftables, loaded when it is first needed: what it brings with it costs an idle supervisor half a MiB
 * of memory, and most never need it.
 */
#ifndef NET_POLICY_NFT_H
#define NET_POLICY_NFT_H

#include <nftables/libnftables.h>

#define NET_NFT(X) \
	X(ctx_buffer_error) X(ctx_buffer_output) X(ctx_free) X(ctx_get_error_buffer) \
	X(ctx_get_output_buffer) X(ctx_new) X(ctx_output_set_flags) X(run_cmd_from_buffer)

struct net_nft {
#define NET_NFT_MEMBER(name) __typeof__(nft_##name) *name;
	NET_NFT(NET_NFT_MEMBER)
};

/* Its functions, or NULL: it is not installed, or not as it should be.  Any thread. */
const struct net_nft *net_nft(void);

#endif
