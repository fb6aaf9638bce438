/* SPDX-License-Identifier: MIT */
/*
 * What create parameters say about the network; private to core/spec.  Only their form is judged here: which
 * networks there are is a plugin's business, which reads the parameters itself (docs/plugin-abi.md).
 */
#ifndef COW_SPEC_NETWORK_H
#define COW_SPEC_NETWORK_H

#include "base/error.h"
#include "spec/json.h"

enum cow_network {
	COW_NETWORK_AS_SPEC,
	COW_NETWORK_NONE,      /* a namespace of its own, nothing in it but loopback */
	COW_NETWORK_HOST,
	COW_NETWORK_PATH,      /* "ns:PATH" */
	COW_NETWORK_CONTAINER, /* "container:NAME", looked for at each start */
	COW_NETWORK_PLUGIN,    /* networks by name */
};

struct cow_network_option {
	enum cow_network mode;
	char *of;    /* PATH, CONTAINER: what stands behind the colon */
	bool plugin; /* something is asked for that only a plugin can do */
};

/* network, networks, ports and whatever else is about it, of the parameters at. */
int cow_network_parse(const struct cow_json *at, struct cow_network_option *ret,
		      struct cow_error *err);
void cow_network_finish(struct cow_network_option *option);

#endif
