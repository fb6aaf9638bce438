/* SPDX-License-Identifier: MIT */
/* A container's own resolv.conf and hosts, in its volatile directory. */
#ifndef NET_ATTACH_FILES_H
#define NET_ATTACH_FILES_H

#include "attach/plan.h"

/* What the composition needs to know of the endpoints; all borrowed. */
struct net_files_of {
	const struct net_network *const *networks; /* of each endpoint */
	struct net_endpoint *const *endpoints;
	size_t count;
	const char *forwarder; /* who asks the host's servers, where none can be reached; or NULL */
	bool resolver; /* our resolvers answer on the gateway addresses of those that have one */
};

/* Writes DIR/resolv.conf and DIR/hosts; dir is made.  Blocks. */
int net_files_write(const struct net_plan *plan, const struct net_files_of *of, const char *dir,
		    struct plug_error *err);
/*
 * The same files as those of the container whose volatile directory is `from`, as far as it has some; they
 * outlive its own.  Blocks.
 */
int net_files_share(const char *from, const char *dir, struct plug_error *err);
/*
 * The same for a container that runs, whose endpoints were others before.  Lines that are not ours stay.
 * What is not there is not made.
 */
int net_files_change(const struct net_plan *plan, const struct net_files_of *before,
		     const struct net_files_of *after, const char *dir, struct plug_error *err);
/* Removes them, and dir.  Gone already is success. */
int net_files_remove(const char *dir, struct plug_error *err);

#endif
