/* SPDX-License-Identifier: MIT */
/*
 * Network without root: a namespace inside a user namespace of ours, and a program that carries its packets
 * through sockets of the user's: pasta (passt), or slirp4netns where there is no pasta.  Both need a
 * /dev/net/tun that the user may open.
 *
 * The program outlives the supervisor, as the container does; it is found again, and ended, by a directory of
 * its own, with the files pid, holder, keeper (the supervisor), userns and netns (links to the holder's),
 * pasta, and slirp4netns' socket api.  Where no supervisor comes back, program and holder end soon after the
 * container.
 * Everything blocks: in pool jobs only, any thread.
 */
#ifndef NET_ROOTLESS_H
#define NET_ROOTLESS_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum net_rootless_kind {
	NET_ROOTLESS_ANY, /* pasta, else slirp4netns */
	NET_ROOTLESS_PASTA,
	NET_ROOTLESS_SLIRP,
};

struct net_rootless_port {
	bool udp;
	const char *host; /* address to listen on; NULL: all of them */
	uint16_t external, internal;
};

struct net_rootless {
	enum net_rootless_kind kind;
	const char *dir;            /* of this container's, made where missing; absolute */
	const char *userns, *netns; /* paths of both namespaces */
	const char *ifname;         /* in there: "eth0" */
	const struct net_rootless_port *ports;
	size_t port_count;
	uint32_t ready_ms;          /* 0: 10000 */
};

/*
 * A process that holds a user namespace (the caller's user is root there) and a network namespace in it, with
 * loopback up: its pid names both, /proc/PID/ns/….  Whoever is in the namespaces keeps them when it ends, by
 * net_rootless_stop().  -EPERM, -ENOSPC: user namespaces are not for us here.
 */
int net_rootless_hold(const char *dir, pid_t *ret, struct plug_error *err);
#define NET_ROOTLESS_USERNS "userns" /* in dir: the container's way to them */
#define NET_ROOTLESS_NETNS "netns"
/* This process looks after it from now on, as the one that made it did. */
int net_rootless_adopt(const char *dir);
/* What DNS servers on loopback of the host are called inside. */
#define NET_ROOTLESS_PASTA_DNS "169.254.1.1"
#define NET_ROOTLESS_SLIRP_DNS "10.0.2.3"
/* The one of the program that a request is for; -ENOENT: it is not installed, with its package in err. */
int net_rootless_choose(enum net_rootless_kind wanted, enum net_rootless_kind *ret, struct plug_error *err);

/*
 * Starts the program; back when the namespace has its address and the ports are open.  *ret: its pid, for a
 * pidfd to watch.  -ENOENT: neither program is installed; -EADDRINUSE: a port is taken; -ETIMEDOUT; -EIO with
 * its own last words.  On failure nothing runs.
 */
int net_rootless_start(const struct net_rootless *request, pid_t *ret, struct plug_error *err);
/* The program of this directory: its pid, or -ESRCH. */
int net_rootless_find(const char *dir, pid_t *ret);
/* Likewise its holder. */
int net_rootless_holder(const char *dir, pid_t *ret);
/* Ends program and holder of this directory, and removes it.  Gone already is success. */
int net_rootless_stop(const char *dir, struct plug_error *err);

#endif
