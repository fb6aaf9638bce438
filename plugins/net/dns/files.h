/* SPDX-License-Identifier: MIT */
/*
 * A container's /etc/resolv.conf and /etc/hosts, composed from text.  Nothing is written here.  Arrays
 * of strings end with NULL; NULL itself is the empty array.  What is passed in stays the caller's.
 */
#ifndef NET_DNS_FILES_H
#define NET_DNS_FILES_H

#include "common/error.h"
#include "common/text.h"

#include <stdbool.h>

/*
 * AllowUnqualifiedDNSQuery of HCS: whether a name of one label is asked for as it is, after the search
 * list.  Linux' resolvers do; not to is the option no-tld-query (resolv.conf(5), glibc).
 */
enum net_unqualified {
	NET_UNQUALIFIED_UNSET, /* as the host's resolv.conf, or the options, say */
	NET_UNQUALIFIED_ALLOW,
	NET_UNQUALIFIED_DENY,
};

struct net_resolv_request {
	/* As asked for with the container; each that is not empty replaces what comes below. */
	const char *const *servers;
	const char *const *search; /* "." alone: no search list at all */
	const char *const *options;
	/* Of the network (net_network.dns). */
	const char *const *net_servers;
	const char *const *net_search;
	const char *const *net_options;
	const char *net_domain; /* comes first in the search list, unless `search` is given; or NULL */
	/*
	 * Addresses of the network's resolver (dns/resolver.h).  Where there are some, they are the only
	 * servers in the file: the resolver is told of `servers` by net_resolver_set().
	 */
	const char *const *resolver;
	enum net_unqualified unqualified;
	const char *host; /* text of the host's resolv.conf, by net_resolv_read(); NULL: none */
	bool shares_host; /* in the host's network namespace: servers on loopback are good */
};

/*
 * Appends the file to ret.  -EINVAL: a server is no address, a domain no name, an option no word;
 * ret is then as before.  A file without servers is possible: libc then asks 127.0.0.1.
 */
int net_resolv_compose(const struct net_resolv_request *request, struct plug_text *ret,
		       struct plug_error *err);

/*
 * Appends the text of the host's resolv.conf.  Where all its servers are on loopback (systemd-resolved's
 * 127.0.0.53) and not shares_host, that of systemd-resolved's own servers, if it is there.  etc, resolved:
 * paths; NULL: /etc/resolv.conf, /run/systemd/resolve/resolv.conf.  A missing file is empty.  Reads
 * files: in a pool job, or where two small reads do no harm.  0, or a negative errno.
 */
int net_resolv_read(const char *etc, const char *resolved, bool shares_host, struct plug_text *ret);

/* The servers of a resolv.conf: an array of strings that the caller gives to net_strings_free(). */
int net_resolv_servers(const char *text, bool loopback, char ***ret);
void net_strings_free(char **strings); /* NULL is fine */

/* 0 where text is an IPv4 or IPv6 address without a prefix (a %scope is allowed). */
int net_dns_check_address(const char *text);
/* 0 where text is a name: labels of 1 to 63 bytes (letters, digits, '-', '_'), 253 in all, an end dot. */
int net_dns_check_name(const char *text);

struct net_hosts_request {
	const char *hostname;         /* the container's; NULL: none */
	const char *domain;           /* hostname.domain is a name of it, too; or NULL */
	const char *const *addresses; /* the container's own, no prefix; none: 127.0.1.1 */
	const char *const *add;       /* "NAME:ADDRESS" or "NAME=ADDRESS"; ADDRESS may be host-gateway */
	const char *const *gateways;  /* what host-gateway is: addresses; none: then it is an error */
	const char *base;             /* text of the host's hosts to begin with; NULL: the localhost lines */
	bool ipv6;                    /* the namespace has IPv6: ::1 and the multicast names */
};

/* Appends the file to ret.  -EINVAL with the entry's name and cause; ret is then as before. */
int net_hosts_compose(const struct net_hosts_request *request, struct plug_text *ret, struct plug_error *err);

#endif
