/* SPDX-License-Identifier: MIT */
/*
 * Networks that CNI plugins make: a list of plugins (conflist) is run in order for ADD and CHECK, backwards
 * for DEL, as the CNI specification 0.3.1 to 1.0.0 says.  Everything here blocks, in its own processes and
 * files: in pool jobs only.  No host, no loop, no state but the files of the cache; any thread.
 *
 * Who takes an attachment writes it into the ledger first (container, netns, ifname, network are enough),
 * then calls net_cni_add(): that writes the configuration in use into the cache before the first plugin runs.
 * net_cni_del() works from the cache alone, in another process, any number of times, also when an ADD was
 * killed between two plugins or the conflist has changed or gone since.
 */
#ifndef NET_CNI_H
#define NET_CNI_H

#include "common/error.h"

#include <json-c/json.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where things are; strings and arrays (which end with NULL) are borrowed for each call. */
struct net_cni_paths {
	const char *const *plugins; /* directories, first find wins; NULL: /usr/lib/cni, /opt/cni/bin */
	const char *conf;           /* NULL: /etc/cni/net.d */
	const char *cache;          /* directory, made where missing: RUN_DIR/net/cni */
};

struct net_cni_list;

/*
 * Finds a list: its text itself, which begins with "{"; an absolute path; or the name inside one of the files
 * *.conflist, *.conf, *.json of paths->conf (in the order of file names; a single plugin's .conf is a list of
 * one).  Errors are "FILE: cause"; -ENOENT, -EBADMSG, -EINVAL, -ENOTSUP: neither cniVersion nor one of
 * cniVersions is spoken here.
 */
int net_cni_load(const struct net_cni_paths *paths, const char *name, struct net_cni_list **ret,
		 struct plug_error *err);
void net_cni_list_free(struct net_cni_list *list); /* NULL is fine */
const char *net_cni_list_name(const struct net_cni_list *list);
const char *net_cni_list_version(const struct net_cni_list *list);
/* Whether a plugin of it declares this capability: else what is asked for by it would be lost. */
bool net_cni_list_can(const struct net_cni_list *list, const char *capability);
/*
 * Each list of paths->conf that can be run, until cb gives other than 0: that; or why the directory cannot be
 * read.  None is no error.  Of a negative one, err says "DIRECTORY: cause".
 */
int net_cni_each(const struct net_cni_paths *paths, int (*cb)(void *arg, const struct net_cni_list *list),
		 void *arg, struct plug_error *err);

struct net_cni_attachment {
	const char *container; /* CNI_CONTAINERID: [A-Za-z0-9][A-Za-z0-9_.-]* */
	const char *network;   /* name of the list */
	const char *ifname;    /* "eth0" */
	const char *netns;     /* path; for DEL and CHECK NULL: the one of the ADD */
	const char *args;      /* CNI_ARGS, "K=V;K=V"; or NULL */
	/*
	 * "Capability args", each given to the plugins that declare it: portMappings [{hostPort,
	 * containerPort, protocol, hostIP}], bandwidth {ingressRate, …}, ips ["10.1.0.5/24"], mac,
	 * aliases [], dns {servers, searches, options}.  Borrowed; or NULL.
	 */
	struct json_object *capabilities;
};

/* How long, and until what. */
struct net_cni_limits {
	uint32_t timeout_ms; /* one plugin; 0: 30000.  A plugin that takes longer is killed with its group. */
	int cancel_fd;       /* an eventfd; readable: the same, -ECANCELED.  Only polled.  0, -1: none */
	const atomic_bool *stop; /* set: likewise, within a tenth of a second; or NULL */
};

/* An interface in the result; sandbox: the netns, or NULL for one of the host's. */
struct net_cni_interface {
	const char *name, *mac, *sandbox;
};
struct net_cni_ip {
	const char *address; /* "10.1.0.5/16" */
	const char *gateway; /* or NULL */
	int interface;       /* index, or -1 */
};

/* What an attachment came to be: the result of the last plugin that gave one. */
struct net_cni_result {
	struct net_cni_interface *interfaces;
	size_t interface_count;
	struct net_cni_ip *ips;
	size_t ip_count;
	const char **servers, **search, **options; /* DNS; arrays that end with NULL */
	const char *domain;                        /* or NULL */
	struct json_object *json;                  /* the whole, in the list's version; owns the strings */
};
void net_cni_result_free(struct net_cni_result *result); /* NULL is fine */

/*
 * ADD.  On any failure all plugins are told DEL before this returns, and the cache is empty.  Where a DEL
 * fails, too, the cache stays for net_cni_del() and err says so; not where the plugin's ADD has failed by its
 * own account or was not run: it has made nothing.  -EEXIST: there is an attachment
 * of this name.  A plugin's own error is -EIO (-EAGAIN for its code 11): "cni NETWORK: PLUGIN: msg: details
 * (code N)".  -ENOENT: there is no such plugin.  -ETIMEDOUT, -ECANCELED.
 */
int net_cni_add(const struct net_cni_paths *paths, const struct net_cni_list *list,
		const struct net_cni_attachment *attachment, const struct net_cni_limits *limits,
		struct net_cni_result **ret, struct plug_error *err);
/* CHECK, by the cache (0.4.0 on; before: -ENOTSUP).  -ENOENT: there is no such attachment. */
int net_cni_check(const struct net_cni_paths *paths, const struct net_cni_attachment *attachment,
		  const struct net_cni_limits *limits, struct plug_error *err);
/*
 * DEL, by the cache: container, network and ifname are looked at, and netns where the ADD's is gone ("" or a
 * path that does not exist: the plugins are told of none).  Better is a DEL before its namespace goes: bridge
 * finds there the addresses whose ipMasq rules it takes back.  Nothing in the cache is success.  Every plugin
 * is tried; the first error is told, and the cache then stays.
 */
int net_cni_del(const struct net_cni_paths *paths, const struct net_cni_attachment *attachment,
		const struct net_cni_limits *limits, struct plug_error *err);
/* DEL of all that a container has; netns (or NULL) as above.  The first error; all are tried. */
int net_cni_del_all(const struct net_cni_paths *paths, const char *container, const char *netns,
		    const struct net_cni_limits *limits, struct plug_error *err);
/*
 * Calls cb with each attachment (of one container, or NULL) that can be read, in the order of containers;
 * what cannot be read is an error, at last, and so is what cb says: the first of all (cb words its own).
 * No directory is no attachment; one that cannot be read is an error.
 */
int net_cni_attachments(const struct net_cni_paths *paths, const char *container,
			int (*cb)(void *arg, const struct net_cni_attachment *attachment), void *arg,
			struct plug_error *err);
/* The cached result of an attachment; -ENOENT. */
int net_cni_cached(const struct net_cni_paths *paths, const struct net_cni_attachment *attachment,
		   struct net_cni_result **ret, struct plug_error *err);
/*
 * DEL of every cached attachment that `keep` does not want: after a start, for what no ledger names.
 * The first error; all are tried.
 */
int net_cni_sweep(const struct net_cni_paths *paths, const struct net_cni_limits *limits,
		  bool (*keep)(void *arg, const struct net_cni_attachment *attachment), void *arg,
		  struct plug_error *err);

/*
 * The persisted configuration of a namespace: which container of which virtual machine a sandbox's
 * namespace belongs to (hcs-behaviour.md §6.4).  dir: RUN_DIR/net/cni-namespaces, made where missing.
 * Unlike upstream's, it is removed with its namespace, so that the next sandbox with it can be made.
 */
struct net_cni_namespace {
	const char *namespace_id, *container_id, *host_id;
	void *owned; /* what load allocated: net_cni_namespace_free() */
};
/*
 * New: "container NAMESPACE already exists" (-EEXIST) where there is one; else (`update`) it is replaced.
 * -EINVAL with upstream's texts: "invalid namespaceID ''", "invalid containerID ''",
 * "invalid containerHostUniqueID 'empy'".
 */
int net_cni_namespace_store(const char *dir, const struct net_cni_namespace *ns, bool update,
			    struct plug_error *err);
/* -ENOENT: "ID 'NAMESPACE' was not found". */
int net_cni_namespace_load(const char *dir, const char *namespace_id, struct net_cni_namespace *ret,
			   struct plug_error *err);
void net_cni_namespace_free(struct net_cni_namespace *ns);
/* Not there: success. */
int net_cni_namespace_remove(const char *dir, const char *namespace_id, struct plug_error *err);

#endif
