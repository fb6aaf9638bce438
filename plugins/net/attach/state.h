/* SPDX-License-Identifier: MIT */
/*
 * What the jobs of the plugin share: the store, the rules in the kernel, the ports, and where things are.
 * Opened when it is first needed, and then what lives is taken up again: rules, ports, bridges; and what an
 * earlier life left over is swept.
 */
#ifndef NET_STATE_H
#define NET_STATE_H

#include "kernel/rtnl.h"
#include "model/store.h"
#include "policy/ports.h"
#include "policy/table.h"

struct net_state {
	struct net_store *store;
	struct net_table *table;
	struct net_ports *ports;
	char *run_dir;	/* the host's */
	char *net_dir;	/* RUN_DIR/net */
	char *ns_dir;	/* RUN_DIR/netns */
};

/* Any thread but the loop's; blocks the first time.  The state stays until net_state_close(). */
int net_state_get(struct net_state **ret, struct plug_error *err);
/* The state if somebody has asked for it, else NULL; does not block. */
struct net_state *net_state_peek(void);
/* The host's directory of what does not outlive a reboot; as long as the plugin is there. */
const char *net_state_run_dir(void);
/* On the loop, before and after everything else: directories from the host's, and the end. */
int net_state_set_up(const char *state_dir, const char *run_dir);
/*
 * Gives back what only a supervisor needs: bridges without endpoints, and with none at all the rules.
 * When no job runs any more.
 */
void net_state_close(void);

/* restore.c: after the store is open.  Blocks. */
int net_state_restore(struct net_state *s, struct plug_error *err);

/* Bridges of networks that are not used go, whoever of ours made them.  Blocks. */
int net_state_sweep_bridges(struct net_state *s, struct net_rtnl *r,
			    bool (*used)(void *arg, const char *network), void *arg, struct plug_error *err);

/* "RUN_DIR/netns/ID", to be freed; NULL: out of memory. */
char *net_state_ns_path(const struct net_state *s, const char *id);
/* Every missing directory of an absolute path. */
int net_state_make_dir(const char *path, struct plug_error *err);

#endif
