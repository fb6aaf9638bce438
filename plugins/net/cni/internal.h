/* SPDX-License-Identifier: MIT */
/* The parts of cni/: lists (conflist.c), a plugin's run (run.c), results (result.c), cache (cache.c). */
#ifndef NET_CNI_INTERNAL_H
#define NET_CNI_INTERNAL_H

#include "common/error.h"
#include "common/text.h"
#include "common/util.h"
#include "cni/cni.h"

struct net_cni_list {
	char *name, *version;
	struct json_object *json; /* the list, as it stands in the file */
};

static inline void cni_json_putp(struct json_object **o)
{
	json_object_put(*o);
}
#define _cleanup_json_ __attribute__((cleanup(cni_json_putp)))

static inline void cni_list_freep(struct net_cni_list **list)
{
	net_cni_list_free(*list);
}
#define _cleanup_list_ __attribute__((cleanup(cni_list_freep)))

#define CNI_PLUGINS_MAX 32
#define CNI_TEXT_MAX (1u << 20) /* of a configuration, and of what a plugin says */

/* A member, or NULL; of that type, or NULL. */
struct json_object *cni_get(struct json_object *o, const char *key, json_type type);
const char *cni_string(struct json_object *o, const char *key);
/* One whole JSON object out of text; -EBADMSG, -ENOMEM. */
int cni_parse(const char *text, size_t size, struct json_object **ret);
/* A file's text, at most CNI_TEXT_MAX bytes of it (-EFBIG). */
int cni_file_read(int dir, const char *name, char **ret, size_t *ret_size);
/* An object's reference count is all that is copied of it: -ENOMEM where it cannot be put in. */
int cni_put(struct json_object *o, const char *key, struct json_object *value);

/* The list inside a JSON object, taken over by a reference; where: named in errors. */
int cni_list_make(struct json_object *json, const char *where, struct net_cni_list **ret,
		  struct plug_error *err);
struct json_object *cni_list_plugins(const struct net_cni_list *list);
/* The version is at least that. */
bool cni_list_since(const struct net_cni_list *list, int major, int minor);
/* 0: CNI's letters for names of networks and containers. */
int cni_check_name(const char *name);

/* One plugin's run. */
struct cni_run {
	const struct net_cni_paths *paths;
	const struct net_cni_limits *limits;
	const struct net_cni_attachment *attachment;
	const char *command; /* "ADD" */
	const char *netns;   /* "": none */
	const char *network, *type;
	const char *conf;    /* for its stdin */
};
/*
 * Runs it to its end.  ret, where not NULL: what it said, an object (-EBADMSG: it is none).  A failure of its
 * own is told by its code, message and details; one without any by how it ended and the end of its stderr.
 */
int cni_run(const struct cni_run *run, struct json_object **ret, struct plug_error *err);

/*
 * Ends what the plugins of a container have started and is there yet: a plugin dies with its supervisor, but
 * not the programs that it runs, and what those make after a DEL nobody takes back.
 */
void cni_stragglers_end(const struct net_cni_paths *paths, const char *container);
#define CNI_MARK "COWHERD_CNI=%s:%s" /* in their environment: the cache that knows of it, and the container */

/* What the cache knows of an attachment. */
struct cni_entry {
	struct net_cni_attachment attachment; /* strings are owned by json */
	struct net_cni_list *list;
	struct json_object *json;   /* the whole entry */
	struct json_object *result; /* the newest, or NULL */
	size_t done;                /* how many plugins' ADD has ended well */
};
void cni_entry_finish(struct cni_entry *entry);
#define _cleanup_entry_ __attribute__((cleanup(cni_entry_finish)))

/* Writes it, whole or not at all.  done: whose ADD ended; 0: none yet, and -EEXIST where there is one. */
int cni_cache_write(const struct net_cni_paths *paths, const struct net_cni_list *list,
		    const struct net_cni_attachment *attachment, struct json_object *result,
		    size_t done, struct plug_error *err);
/* -ENOENT without words: there is none. */
int cni_cache_read(const struct net_cni_paths *paths, const struct net_cni_attachment *attachment,
		   struct cni_entry *ret, struct plug_error *err);
int cni_cache_remove(const struct net_cni_paths *paths, const struct net_cni_attachment *attachment,
		     struct plug_error *err);
/* The result as a struct; takes a reference of json. */
int cni_result_make(struct json_object *json, struct net_cni_result **ret, struct plug_error *err);

#endif
