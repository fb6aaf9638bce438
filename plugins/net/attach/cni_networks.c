/* SPDX-License-Identifier: MIT */
/* The lists in CNI's directory are networks, too: nobody has to make them here. */
#include "attach/cni_use.h"
#include "common/util.h"

#include <string.h>

/* Words that mean something else where a network is asked for. */
static bool name_taken(const char *name)
{
	return !strcmp(name, "none") || !strcmp(name, "host") || !strcmp(name, "default");
}

static int network_of(const char *name, struct net_network **ret)
{
	struct net_network *n = calloc(1, sizeof(*n));

	if (!n)
		return -ENOMEM;
	net_id_of_name(name, n->id);
	n->name = strdup(name);
	n->conflist = strdup(name);
	n->type = NET_CNI;
	n->foreign = true;
	if (!n->name || !n->conflist) {
		net_network_free(n);
		return -ENOMEM;
	}
	*ret = n;
	return 0;
}

struct find {
	const char *ref;
	struct net_network *found;
};

static int find_one(void *arg, const struct net_cni_list *list)
{
	struct find *f = arg;
	const char *name = net_cni_list_name(list);
	char id[NET_ID_SIZE];
	int r;

	net_id_of_name(name, id);
	if (name_taken(name) || (strcmp(name, f->ref) != 0 && strncmp(id, f->ref, strlen(f->ref)) != 0))
		return 0;
	r = network_of(name, &f->found);
	return r < 0 ? r : 1;
}

/* A list of that name is there, but cannot be run: why. */
static int refused(const struct net_cni_paths *paths, const char *name, struct plug_error *err)
{
	struct net_cni_list *list = NULL;
	struct plug_error why = { 0 };
	int r = net_name_valid(name) ? net_cni_load(paths, name, &list, &why) : -ENOENT;

	net_cni_list_free(list);
	return r == 0 || r == -ENOENT ? 0 : plug_error_set(err, r, "network %.100s: %.300s", name, why.text);
}

static int foreign_find(void *arg, const char *ref, struct net_network **ret, struct plug_error *err)
{
	_cleanup_cni_use_ struct net_cni_use use = { 0 };
	struct find f = { .ref = ref };
	struct plug_error why = { 0 };
	int r = *ref ? net_cni_use_begin(arg, &use, &why) : -ENOENT;

	if (r == 0)
		r = net_cni_each(&use.paths, find_one, &f, &why);
	if (r > 0)
		*ret = f.found;
	if (r != 0)
		return r > 0 ? 0 : plug_error_set(err, r, "network %.100s: %.300s", ref, why.text);
	r = refused(&use.paths, ref, err);
	return r < 0 ? r : -ENOENT;
}

struct each {
	int (*cb)(void *arg, const struct net_network *n);
	void *arg;
};

static int each_one(void *arg, const struct net_cni_list *list)
{
	struct each *e = arg;
	struct net_network *n = NULL;
	int r = name_taken(net_cni_list_name(list)) ? 0 : network_of(net_cni_list_name(list), &n);

	if (r == 0 && n)
		r = e->cb(e->arg, n);
	net_network_free(n);
	return r;
}

static int foreign_each(void *arg, int (*cb)(void *arg, const struct net_network *n), void *cb_arg,
			struct plug_error *err)
{
	_cleanup_cni_use_ struct net_cni_use use = { 0 };
	struct each e = { cb, cb_arg };
	int r = net_cni_use_begin(arg, &use, err);

	return r < 0 ? r : net_cni_each(&use.paths, each_one, &e, err);
}

struct net_foreign net_cni_foreign(struct net_state *s)
{
	return (struct net_foreign){ .arg = s, .find = foreign_find, .each = foreign_each };
}

int net_cni_network_check(struct net_state *s, const struct net_network *n, struct plug_error *err)
{
	_cleanup_cni_use_ struct net_cni_use use = { 0 };
	struct net_cni_list *list = NULL;
	struct plug_error why = { 0 };
	int r = net_cni_use_begin(s, &use, err);

	if (r < 0)
		return r;
	r = net_cni_load(&use.paths, n->conflist, &list, &why);
	net_cni_list_free(list);
	return r < 0 ? plug_error_set(err, r, "network %s: %.400s", n->name, why.text) : 0;
}
