/* SPDX-License-Identifier: MIT */
/*
 * Network namespaces: made on a thread of their own, kept by a bind mount of their nsfs file.  No thread of
 * the pool and never the loop's enters one.  All of it blocks.
 */
#ifndef NET_NETNS_H
#define NET_NETNS_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>

/* Calls cb(arg) on a thread of its own inside the namespace; its result, or a negative errno. */
int net_ns_call(int netns, int (*cb)(void *arg), void *arg);

/*
 * A new one, its loopback link up, its low ports free for all users; path: a file in a directory that
 * exists, made and bound.  On failure nothing is left.  ret_fd (may be NULL): a descriptor of it, the
 * caller's.  -EEXIST: there is a file.
 */
int net_ns_make(const char *path, int *ret_fd, struct plug_error *err);
/* A descriptor of the namespace at path; -EINVAL: "PATH: is not a network namespace". */
int net_ns_open(const char *path, struct plug_error *err);
/* Binds the file at `from` to `to` (made) and lets go of `from`: the namespace has moved. */
int net_ns_move(const char *from, const char *to, struct plug_error *err);
/* Unbinds and removes the file; the kernel ends the namespace once nobody is in it.  Gone is success. */
int net_ns_delete(const char *path, struct plug_error *err);
/* Whether something is bound there. */
bool net_ns_is_bound(const char *path);

#endif
