/* SPDX-License-Identifier: MIT */
#include "policy/nft.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>

static struct net_nft functions;
static bool complete;

static void load(void)
{
	void *library = dlopen("libnftables.so.1", RTLD_NOW | RTLD_LOCAL);

	if (!library)
		return;
	complete = true;
#define LOAD(name)                                                                        \
	functions.name = (__typeof__(functions.name))dlsym(library, "nft_" #name); \
	complete = complete && functions.name;
	NET_NFT(LOAD)
}

const struct net_nft *net_nft(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, load);
	return complete ? &functions : NULL;
}
