/* SPDX-License-Identifier: MIT */
/* What the words of the verbs have in common.  Private to verbs/. */
#ifndef NET_VERBS_COMMAND_H
#define NET_VERBS_COMMAND_H

#include "common/format.h"
#include "model/shape.h"
#include "verbs/api.h"
#include "common/words.h"

#define NET_BODY_MAX (1u << 20)

/* The store, and the kernel behind it. */
int net_command_api(struct plug_run *run, struct net_api *ret);

/* words[at], or where it is "-" standard input, as a JSON object. */
int net_command_json(struct plug_run *run, const char *text, struct json_object **ret);

/*
 * ls: rows for all objects of a kind, made of their HCN shape; make() gives NULL for those that are not
 * shown, and sets run->error where something is wrong.
 */
int net_command_ls(struct plug_run *run, enum net_kind kind, const struct plug_column *columns,
		   struct json_object *(*make)(struct plug_run *run, const struct net_api *api,
					       struct json_object *object));
/* --filter KEY=VALUE, each of which has to be among keys (space between): does row match them all? */
bool net_command_filtered(struct plug_run *run, const char *keys, struct json_object *row);

/* inspect: those that are there; then one that is not is an error. */
int net_command_inspect(struct plug_run *run, enum net_kind kind);
/* rm: each, as far as it goes. */
int net_command_rm(struct plug_run *run,
		   int (*remove)(const struct net_api *api, const char *ref, struct plug_error *err));
/* Tells of policies that mean nothing here, on standard error. */
void net_command_kept(struct plug_run *run, const struct net_policy *policies, size_t count);
/* modify NAME REQUEST */
int net_command_modify(struct plug_run *run, enum net_kind kind);

/* Of each verb: what it did is known to the resolver before its client is answered.  On the loop. */
void net_command_end(struct plug_run *run);

extern const struct plug_verb net_network_verb, net_endpoint_verb, net_namespace_verb;

#endif
