/* SPDX-License-Identifier: MIT */
/*
 * Containers in a hosting system (a utility VM): the network namespace and a card for each of its endpoints
 * are added there, in the order of hcs-behaviour.md, 6.3, and taken back by the record alone.  What the
 * service has to do stands in cowherd/hosting.h.
 *
 * Upstream's defects that are not copied: cards stay behind where a later one fails; a guest is told to
 * remove an endpoint's id instead of the card's; a sandbox's persisted configuration outlives it.
 */
#ifndef NET_HOSTING_H
#define NET_HOSTING_H

#include "attach/state.h"
#include "cowherd/hosting.h"
#include "cowherd/plugin.h"
#include "model/json.h"

struct net_part;

/* In RUN_DIR/net, a file for each namespace (net_cni_namespace_store()): */
#define NET_HOSTING_DIR "hosting"	 /* those that are in a hosting system, and for whom */
#define NET_SANDBOX_DIR "cni-namespaces" /* sandboxes' persisted configuration, as §6.4 has it */

struct net_card {
	char id[NET_ID_SIZE]; /* the card's own, new */
	char endpoint[NET_ID_SIZE];
	char mac[NET_MAC_TEXT]; /* as Windows writes it */
	char link[NET_LINK_SIZE];
	struct json_object *settings; /* for the guest, with its Add or PreAdd; NULL: read from a record */
};

/* What one container has there. */
struct net_hosted {
	char *container, *system;
	uint32_t flags; /* COWHERD_HOSTING_…, of the system */
	bool sandbox;	/* its namespace's configuration is persisted (§6.4) */
	/* net_hosted_fill(): */
	char ns[NET_ID_SIZE];
	char *netns; /* its path */
	struct json_object *described; /* the namespace for a Windows guest; NULL: read from a record */
	struct net_card *cards;
	size_t count;
	/* How far it got, in the record: */
	size_t begun; /* cards that may be there */
	bool added;   /* addedNetNSToVM */
};
void net_hosted_free(struct net_hosted *h); /* NULL is fine */

/* ---- hosting_cards.c: on the pool, but for the records */

/* GetNamespaceEndpoints: the namespace of a part that was taken, at path; a card for all that is in it. */
int net_hosted_fill(struct net_state *s, const struct net_part *part, const char *path,
		    struct net_hosted *h, struct plug_error *err);
/* What the ledger gets; NULL: out of memory. */
struct json_object *net_hosted_record(const struct net_hosted *h);
bool net_hosted_is(struct json_object *record);
int net_hosted_read(struct json_object *record, struct net_hosted **ret, struct plug_error *err);
/*
 * The namespace is this container's there, and nobody else's: "network namespace already added".  A sandbox's
 * configuration is stored with it, with its own texts.
 */
int net_hosted_claim(const struct net_hosted *h, struct plug_error *err);
/* 1: claimed by this container; 0: not. */
int net_hosted_claimed(const struct net_hosted *h, struct plug_error *err);
/* Takes back what is ours of it; none is success. */
int net_hosted_unclaim(const struct net_hosted *h, struct plug_error *err);

/* ---- hosting_steps.c: which request follows which; pure */

struct net_step {
	const struct net_card *card; /* NULL: the namespace */
	bool guest;
	const char *type; /* "Add", "Remove"; for Windows also "PreAdd" */
};
/* All there is to ask for, in order; *ret is to be freed.  remove: of what has begun. */
int net_hosted_steps(const struct net_hosted *h, bool remove, struct net_step **ret, size_t *ret_count);
/* The request; *resource and *settings own its strings. */
int net_step_request(const struct net_hosted *h, const struct net_step *step,
		     struct cowherd_hosting_request *ret, char **resource, struct json_object **settings);

/* ---- hosting.c: all on the loop */

void net_hosting_start(const struct cowherd_host *host, struct cowherd_self *self);
/* What is still under way ends, as it is. */
void net_hosting_finish(void);
/* A hosting system by its id, as it runs now.  -ENOTSUP: nobody here has any; -ESRCH. */
int net_hosting_find(const char *system, const char *container, struct net_hosted **ret,
		     struct plug_error *err);
typedef void (*net_hosting_done)(void *arg, int result);
/*
 * Adds it all.  intend: the record, before anything more is added than it says.  done is called once if this
 * returns 0, maybe from inside; on failure what was added stays, for net_hosting_remove() by the record.
 * h and err stay the caller's, until done.
 */
int net_hosting_add(struct net_hosted *h, int (*intend)(void *arg, const char *record),
		    net_hosting_done done, void *arg, struct plug_error *err);
/* done will come soon, with -ECANCELED. */
void net_hosting_stop(struct net_hosted *h);
/* Removes what a record names.  What the system says to it is only logged: its end is the end of all. */
int net_hosting_remove(struct json_object *record, net_hosting_done done, void *arg, struct plug_error *err);

#endif
