/* SPDX-License-Identifier: MIT */
/* What the words of the verbs have in common.  Private to verbs/. */
#ifndef NET_VERBS_COMMAND_H
#define NET_VERBS_COMMAND_H

#include "format/table.h"
#include "model/shape.h"
#include "verbs/api.h"
#include "verbs/words.h"

#define NET_BODY_MAX (1u << 20)

/* The store, and the kernel behind it. */
int net_command_api(struct net_run *run, struct net_api *ret);

/* words[at], or where it is "-" standard input, as a JSON object. */
int net_command_json(struct net_run *run, const char *text, struct json_object **ret);

/*
 * ls: rows for all objects of a kind, made of their HCN shape; make() gives NULL for those that are not
 * shown, and sets run->error where something is wrong.
 */
int net_command_ls(struct net_run *run, enum net_kind kind, const struct net_column *columns,
		   struct json_object *(*make)(struct net_run *run, const struct net_api *api,
					       struct json_object *object));
/* --filter KEY=VALUE, each of which has to be among keys (space between): does row match them all? */
bool net_command_filtered(struct net_run *run, const char *keys, struct json_object *row);

/* inspect: those that are there; then one that is not is an error. */
int net_command_inspect(struct net_run *run, enum net_kind kind);
/* rm: each, as far as it goes. */
int net_command_rm(struct net_run *run,
		   int (*remove)(const struct net_api *api, const char *ref, struct net_error *err));
/* modify NAME REQUEST */
int net_command_modify(struct net_run *run, enum net_kind kind);

extern const struct net_verb net_network_verb, net_endpoint_verb, net_namespace_verb;

#endif
