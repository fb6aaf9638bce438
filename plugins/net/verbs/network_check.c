/* SPDX-License-Identifier: MIT */
/* network check: CNI's CHECK of all that is attached to a network. */
#include "attach/cni_use.h"
#include "common/util.h"
#include "verbs/network_check.h"

#include <string.h>

struct check {
	struct plug_run *run;
	const struct net_cni_use *use;
	const char *list; /* the name that the plugins know */
};

static int check_one(void *arg, const struct net_cni_attachment *a)
{
	struct check *c = arg;
	struct net_cni_limits limits = { .timeout_ms = c->use->timeout_ms, .cancel_fd = -1 };
	struct plug_error err = { 0 };

	if (strcmp(a->network, c->list) != 0)
		return 0;
	if (net_cni_check(&c->use->paths, a, &limits, &err) < 0) {
		plug_text_add(&c->run->notes, "cowherd: container %s: %s: %s\n", a->container, a->ifname,
			      err.text);
		c->run->exit_code = 1;
	}
	return 0;
}

static int check_network(struct plug_run *run, struct net_api *api, const char *ref, struct plug_error *err)
{
	_cleanup_cni_use_ struct net_cni_use use = { 0 };
	struct net_cni_list *list = NULL;
	struct net_network *n = NULL;
	int r = net_store_network(api->store, ref, &n, err);

	if (r == 0 && n->type != NET_CNI)
		r = plug_error_set(err, -EINVAL, "network %s: only CNI networks are checked", n->name);
	if (r == 0)
		r = net_cni_use_begin(api->arg, &use, err);
	if (r == 0)
		r = net_cni_load(&use.paths, n->conflist, &list, err);
	if (r == 0) {
		struct check c = { run, &use, net_cni_list_name(list) };

		r = net_cni_attachments(&use.paths, NULL, check_one, &c, err);
	}
	net_cni_list_free(list);
	net_network_free(n);
	return r;
}

int net_network_ask(struct plug_run *run)
{
	struct net_api api;
	int r = net_command_api(run, &api);

	for (size_t i = 0; r == 0 && i < run->word_count; i++) {
		struct plug_error err = { 0 };

		if (check_network(run, &api, run->words[i], &err) < 0) {
			plug_text_add(&run->notes, "cowherd: %s\n", err.text);
			run->exit_code = 1;
		}
	}
	return r;
}
