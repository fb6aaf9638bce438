/* SPDX-License-Identifier: MIT */
#include "dns/ldns.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>

static struct net_ldns functions;
static bool complete;

static void load(void)
{
	void *library = dlopen("libldns.so.3", RTLD_NOW | RTLD_LOCAL);

	if (!library)
		return;
	complete = true;
#define LOAD(name)                                                                        \
	functions.name = (__typeof__(functions.name))dlsym(library, "ldns_" #name); \
	complete = complete && functions.name;
	NET_LDNS(LOAD)
}

const struct net_ldns *net_ldns(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, load);
	return complete ? &functions : NULL;
}
