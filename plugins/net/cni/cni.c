/* SPDX-License-Identifier: MIT */
#include "cni/cni.h"
#include "cni/internal.h"

#include <string.h>

/* An attachment with all that its plugins need. */
struct work {
	const struct net_cni_paths *paths;
	const struct net_cni_list *list;
	const struct net_cni_attachment *attachment;
	const struct net_cni_limits *limits;
	struct json_object *result; /* of the plugin before; owned */
	bool no_netns;              /* told of none, though there is one */
	size_t done;                /* whose ADD ended well */
	bool refused;               /* the one after those ended, too, and said that it made nothing */
};

/* The capability arguments that the plugin declares; NULL: none. */
static int runtime_config(struct json_object *plugin, struct json_object *args, struct json_object **ret)
{
	struct json_object *declared = cni_get(plugin, "capabilities", json_type_object);
	_cleanup_json_ struct json_object *config = NULL;

	*ret = NULL;
	if (!declared || !args)
		return 0;
	config = json_object_new_object();
	if (!config)
		return -ENOMEM;
	json_object_object_foreach(declared, key, on) {
		struct json_object *value;

		if (json_object_get_boolean(on) && json_object_object_get_ex(args, key, &value) &&
		    cni_put(config, key, json_object_get(value)) < 0)
			return -ENOMEM;
	}
	if (json_object_object_length(config))
		*ret = plug_take_ptr(config);
	return 0;
}

/* What a plugin reads: its own part, the list's name and version, what the one before gave. */
static int plugin_conf(const struct work *w, struct json_object *plugin, struct json_object **ret)
{
	_cleanup_json_ struct json_object *conf = json_object_new_object();
	struct json_object *runtime = NULL;
	int r = conf ? 0 : -ENOMEM;

	if (r < 0)
		return r;
	json_object_object_foreach(plugin, key, value) {
		if (json_object_object_add(conf, key, json_object_get(value)) < 0) {
			json_object_put(value);
			return -ENOMEM;
		}
	}
	r = cni_put(conf, "name", json_object_new_string(w->list->name))
		    ?: cni_put(conf, "cniVersion", json_object_new_string(w->list->version));
	json_object_object_del(conf, "prevResult");
	if (r == 0 && w->result)
		r = cni_put(conf, "prevResult", json_object_get(w->result));
	if (r == 0)
		r = runtime_config(plugin, w->attachment->capabilities, &runtime);
	if (r == 0 && runtime)
		r = cni_put(conf, "runtimeConfig", runtime);
	if (r < 0)
		return r;
	*ret = plug_take_ptr(conf);
	return 0;
}

/* CNI_NETNS; one that does not exist any more is none. */
static const char *netns_of(const struct work *w, const char *command)
{
	const char *netns = w->attachment->netns && !w->no_netns ? w->attachment->netns : "";

	return strcmp(command, "DEL") != 0 || access(netns, F_OK) == 0 ? netns : "";
}

static int plugin_run(const struct work *w, size_t index, const char *command, struct json_object **ret,
		      struct plug_error *err)
{
	struct json_object *plugin = json_object_array_get_idx(cni_list_plugins(w->list), index);
	_cleanup_json_ struct json_object *conf = NULL;
	struct cni_run run = {
		.paths = w->paths,
		.limits = w->limits,
		.attachment = w->attachment,
		.command = command,
		.netns = netns_of(w, command),
		.network = w->list->name,
		.type = cni_string(plugin, "type"),
	};
	int r = plugin_conf(w, plugin, &conf);

	run.conf = r == 0 ? json_object_to_json_string_ext(conf, JSON_C_TO_STRING_PLAIN) : NULL;
	if (!run.conf)
		return plug_error_errno(err, -ENOMEM, "cni %s", w->list->name);
	return cni_run(&run, ret, err);
}

static size_t plugin_count(const struct work *w)
{
	return json_object_array_length(cni_list_plugins(w->list));
}

/*
 * One plugin's DEL.  Some plugins fail over what is not there any more, or not yet: bridge, where an address
 * is in the namespace and the chain of iptables for it is not, after ADD was killed in between or somebody
 * flushed the rules.  They would fail so for ever.  Told of no namespace they take back what is outside; what
 * is inside goes with it.  Before that, once more as it is: another's lock is no reason to leave something.
 */
static int plugin_del(struct work *w, size_t i, struct plug_error *err)
{
	struct plug_error again = { 0 };
	int r = plugin_run(w, i, "DEL", NULL, err);

	if (r != -EIO && r != -EAGAIN)
		return r;
	if (plugin_run(w, i, "DEL", NULL, &again) == 0)
		return plug_error_none(err);
	if (!*netns_of(w, "DEL"))
		return r;
	w->no_netns = true;
	if (plugin_run(w, i, "DEL", NULL, &again) == 0)
		r = plug_error_none(err);
	w->no_netns = false;
	return r;
}

/* Something may be there that this plugin has made, so that its DEL has to end well. */
static bool matters(const struct work *w, size_t i)
{
	return i < w->done || (i == w->done && !w->refused);
}

/* Backwards through all of them, whatever one says; the first error. */
static int del_all(struct work *w, struct plug_error *err)
{
	int first = 0;

	for (size_t i = plugin_count(w); i-- > 0;) {
		struct plug_error own = { 0 };
		int r = plugin_del(w, i, &own);

		if (r < 0 && first == 0 && matters(w, i))
			first = plug_error_set(err, r, "%s", own.text);
	}
	return first;
}

/* Each result is in the cache before the next plugin runs: some plugins' DEL does nothing without one. */
static int add_all(struct work *w, struct net_cni_result **ret, struct plug_error *err)
{
	int r = 0;

	for (size_t i = 0; i < plugin_count(w) && r == 0; i++) {
		struct json_object *result = NULL;

		r = plugin_run(w, i, "ADD", &result, err);
		if (r < 0) {
			w->refused = r != -ETIMEDOUT && r != -ECANCELED;
			break;
		}
		w->done = i + 1;
		json_object_put(w->result);
		w->result = result;
		r = cni_cache_write(w->paths, w->list, w->attachment, w->result, w->done, err);
	}
	if (r < 0)
		return r;
	r = cni_result_make(w->result, ret, err);
	if (r == -EBADMSG && err) {
		struct plug_error why = *err;

		(void)plug_error_set(err, r, "cni %s: the result is none: %.300s", w->list->name, why.text);
	}
	return r;
}

int net_cni_add(const struct net_cni_paths *paths, const struct net_cni_list *list,
		const struct net_cni_attachment *attachment, const struct net_cni_limits *limits,
		struct net_cni_result **ret, struct plug_error *err)
{
	struct work w = { .paths = paths, .list = list, .attachment = attachment, .limits = limits };
	struct net_cni_limits unasked = { .timeout_ms = limits ? limits->timeout_ms : 0, .cancel_fd = -1 };
	struct plug_error undo = { 0 }, own = { 0 };
	int r, undone;

	if (!err)
		err = &own;
	if (strcmp(attachment->network, list->name) != 0 || !attachment->netns)
		return plug_error_set(err, -EINVAL, "cni %s: not the network, or no namespace, to attach to",
				      list->name);
	r = cni_cache_write(paths, list, attachment, NULL, 0, err);
	if (r < 0)
		return r;
	r = add_all(&w, ret, err);
	if (r < 0) {
		w.limits = &unasked;
		cni_stragglers_end(paths, attachment->container);
		undone = del_all(&w, &undo);
		if (undone == 0)
			undone = cni_cache_remove(paths, attachment, &undo);
		if (undone < 0) {
			own = *err;
			(void)plug_error_set(err, r, "%.270s; undoing it: %.190s", own.text, undo.text);
		}
	}
	json_object_put(w.result);
	return r;
}

/* The cached one, in a namespace that the caller knows better. */
static int work_read(const struct net_cni_paths *paths, const struct net_cni_attachment *attachment,
		     struct cni_entry *entry, struct work *w, struct plug_error *err)
{
	int r = cni_cache_read(paths, attachment, entry, err);

	if (r < 0)
		return r;
	if (attachment->netns)
		entry->attachment.netns = attachment->netns;
	w->list = entry->list;
	w->attachment = &entry->attachment;
	w->result = entry->result;
	w->done = entry->done;
	return 0;
}

int net_cni_check(const struct net_cni_paths *paths, const struct net_cni_attachment *attachment,
		  const struct net_cni_limits *limits, struct plug_error *err)
{
	_cleanup_entry_ struct cni_entry entry = { 0 };
	struct work w = { .paths = paths, .limits = limits };
	struct json_object *disabled;
	int r = work_read(paths, attachment, &entry, &w, err);

	if (r == -ENOENT)
		return plug_error_set(err, r, "cni %s: %s has no %s there", attachment->network,
				      attachment->container, attachment->ifname);
	if (r < 0)
		return r;
	if (!cni_list_since(w.list, 0, 4))
		return plug_error_set(err, -ENOTSUP, "cni %s: CHECK came with 0.4.0, this is %s",
				      w.list->name,
				      w.list->version);
	disabled = cni_get(w.list->json, "disableCheck", json_type_boolean);
	if (disabled && json_object_get_boolean(disabled))
		return 0;
	for (size_t i = 0; i < plugin_count(&w) && r == 0; i++)
		r = plugin_run(&w, i, "CHECK", NULL, err);
	return r;
}

int net_cni_del(const struct net_cni_paths *paths, const struct net_cni_attachment *attachment,
		const struct net_cni_limits *limits, struct plug_error *err)
{
	_cleanup_entry_ struct cni_entry entry = { 0 };
	struct work w = { .paths = paths, .limits = limits };
	int r = work_read(paths, attachment, &entry, &w, err);

	if (r == -ENOENT)
		return 0;
	if (r == 0 && entry.done < plugin_count(&w))
		cni_stragglers_end(paths, attachment->container);
	if (r == 0)
		r = del_all(&w, err);
	return r < 0 ? r : cni_cache_remove(paths, attachment, err);
}

int net_cni_cached(const struct net_cni_paths *paths, const struct net_cni_attachment *attachment,
		   struct net_cni_result **ret, struct plug_error *err)
{
	_cleanup_entry_ struct cni_entry entry = { 0 };
	int r = cni_cache_read(paths, attachment, &entry, err);

	if (r == -ENOENT || (r == 0 && !entry.result))
		return plug_error_set(err, -ENOENT, "cni %s: %s has no %s there", attachment->network,
				      attachment->container, attachment->ifname);
	return r < 0 ? r : cni_result_make(entry.result, ret, err);
}

struct sweep {
	const struct net_cni_paths *paths;
	const struct net_cni_limits *limits;
	bool (*keep)(void *arg, const struct net_cni_attachment *attachment);
	void *arg;
	struct plug_error *err;
	bool failed;
};

static int sweep_one(void *arg, const struct net_cni_attachment *attachment)
{
	struct sweep *s = arg;
	int r = s->keep(s->arg, attachment)
			? 0
			: net_cni_del(s->paths, attachment, s->limits, s->failed ? NULL : s->err);

	s->failed = s->failed || r < 0;
	return r;
}

int net_cni_sweep(const struct net_cni_paths *paths, const struct net_cni_limits *limits,
		  bool (*keep)(void *arg, const struct net_cni_attachment *attachment), void *arg,
		  struct plug_error *err)
{
	struct sweep s = { paths, limits, keep, arg, err, false };

	return net_cni_attachments(paths, NULL, sweep_one, &s, err);
}

struct del_each {
	const struct net_cni_paths *paths;
	const struct net_cni_limits *limits;
	const char *netns;
	struct plug_error *err; /* the first one's; its code is not 0 then */
};

static int del_one(void *arg, const struct net_cni_attachment *attachment)
{
	struct del_each *d = arg;
	struct net_cni_attachment at = *attachment;

	at.netns = d->netns;
	return net_cni_del(d->paths, &at, d->limits, d->err->code ? NULL : d->err);
}

int net_cni_del_all(const struct net_cni_paths *paths, const char *container, const char *netns,
		    const struct net_cni_limits *limits, struct plug_error *err)
{
	struct plug_error own = { 0 };
	struct del_each d = { paths, limits, netns, &own };
	int r = net_cni_attachments(paths, container, del_one, &d, &own);

	return r < 0 ? plug_error_set(err, r, "%s", own.text) : 0;
}
