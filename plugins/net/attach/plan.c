/* SPDX-License-Identifier: MIT */
#include "attach/plan.h"

#include "common/util.h"
#include "cowherd/hosting.h"
#include "model/json.h"

#include <errno.h>
#include <string.h>

/* Members of the options that are lists of strings, checked by the host already. */
static int take_strings(struct json_object *o, const char *key, struct net_strv *ret, struct plug_error *err)
{
	struct json_object *list = NULL;
	int r = net_json_array(o, key, &list, err);

	for (size_t i = 0; r == 0 && i < plug_json_length(list); i++) {
		struct json_object *one = json_object_array_get_idx(list, i);

		if (!json_object_is_type(one, json_type_string))
			r = plug_error_set(err, -EINVAL, "%s[%zu]: not a string", key, i);
		else if (net_strv_add(ret, json_object_get_string(one)) < 0)
			r = plug_error_errno(err, -ENOMEM, "%s", key);
	}
	return r;
}

static int take_text(const char *text, char **ret)
{
	if (!text)
		return 0;
	free(*ret);
	*ret = strdup(text);
	return *ret ? 0 : -ENOMEM;
}

static int bad(struct plug_error *err, const char *key, const char *value, const char *what)
{
	return plug_error_set(err, -EINVAL, "network: %s=%s: %s", key, value, what);
}

static int take_ip(struct net_want *w, const char *key, const char *value, struct plug_error *err)
{
	struct net_addr a;

	if (net_addr_parse_prefix(value, &a) < 0)
		return bad(err, key, value, "not an address");
	if (a.family == AF_INET)
		w->ip = a;
	else
		w->ip6 = a;
	return 0;
}

/* KEY=VALUE behind a network's name. */
static int take_key(struct net_want *w, char *word, struct plug_error *err)
{
	char *value = strchr(word, '=');

	if (!value)
		return plug_error_set(err, -EINVAL, "network: \"%s\" is not KEY=VALUE", word);
	*value++ = '\0';
	if (strcmp(word, "ip") == 0 || strcmp(word, "ip6") == 0)
		return take_ip(w, word, value, err);
	if (strcmp(word, "mac") == 0)
		return net_mac_parse(value, &w->mac) < 0 ? bad(err, word, value, "not a MAC address") : 0;
	if (strcmp(word, "alias") == 0) {
		if (!net_name_valid(value))
			return bad(err, word, value, "not a name");
		return net_strv_add(&w->aliases, value) < 0 ? plug_error_errno(err, -ENOMEM, "network") : 0;
	}
	return plug_error_set(err, -EINVAL, "network: %s: not one of ip, ip6, mac, alias", word);
}

static struct net_want *add_want(struct net_plan *p, const char *network, struct plug_error *err)
{
	struct net_want *w;

	if (p->want_count == NET_WANTS_MAX) {
		(void)plug_error_set(err, -E2BIG, "networks: more than %d", NET_WANTS_MAX);
		return NULL;
	}
	w = &p->wants[p->want_count++];
	w->network = strdup(network);
	if (!w->network)
		(void)plug_error_errno(err, -ENOMEM, "network");
	p->mode = NET_PLAN_NETWORKS;
	return w->network ? w : NULL;
}

/* "NAME[:KEY=VALUE,…]" */
static int take_network(struct net_plan *p, const char *text, struct plug_error *err)
{
	struct net_want *w = add_want(p, text, err);
	char *rest, *word;
	_cleanup_free_ char *copy = NULL;
	int r = 0;

	if (!w)
		return err->code;
	for (size_t i = 0; i + 1 < p->want_count; i++)
		if (strncmp(p->wants[i].network, text, strcspn(text, ":")) == 0 &&
		    !p->wants[i].network[strcspn(text, ":")])
			return plug_error_set(err, -EINVAL, "network %s: is asked for twice",
					      p->wants[i].network);
	rest = strchr(w->network, ':');
	if (!rest)
		return 0;
	*rest++ = '\0';
	copy = strdup(rest);
	if (!copy)
		return plug_error_errno(err, -ENOMEM, "network");
	for (rest = copy; r == 0 && (word = strsep(&rest, ","));)
		r = take_key(w, word, err);
	return r;
}

int net_plan_add(struct net_plan *plan, const char *text, struct plug_error *err)
{
	return take_network(plan, text, err);
}

static void want_finish(struct net_want *w)
{
	free(w->network);
	net_strv_finish(&w->aliases);
	*w = (struct net_want){ 0 };
}

void net_plan_drop(struct net_plan *plan, const char *network)
{
	size_t i = 0;

	while (i < plan->want_count && strcmp(plan->wants[i].network, network) != 0)
		i++;
	if (i == plan->want_count)
		return;
	want_finish(&plan->wants[i]);
	plan->want_count--;
	memmove(&plan->wants[i], &plan->wants[i + 1], (plan->want_count - i) * sizeof(plan->wants[i]));
	plan->wants[plan->want_count] = (struct net_want){ 0 };
}

static bool is_own(const char *network)
{
	return strcmp(network, "none") != 0 && strcmp(network, "host") != 0 &&
	       strncmp(network, "container:", 10) != 0 && strncmp(network, "ns:", 3) != 0;
}

/* What the option `network` or `networks` says; *ret_said: anything. */
static int take_networks(struct net_plan *p, struct json_object *options, bool *ret_said,
			 struct plug_error *err)
{
	__attribute__((cleanup(net_strv_finish))) struct net_strv list = { 0 };
	const char *one = NULL;
	int r = net_json_string(options, "network", &one, err);

	if (r == 0)
		r = take_strings(options, "networks", &list, err);
	if (r < 0)
		return r;
	*ret_said = one || list.count;
	if (one && is_own(one))
		return take_network(p, one, err);
	p->host = one && strcmp(one, "host") == 0;
	for (size_t i = 0; r == 0 && i < list.count; i++)
		r = take_network(p, list.items[i], err);
	return r;
}

/* ---- windows.network of the spec */

static int take_existing(struct net_plan *p, const struct net_strv *endpoints, struct plug_error *err)
{
	for (size_t i = 0; i < endpoints->count; i++) {
		struct net_want *w;

		for (size_t k = 0; k < i; k++)
			if (strcasecmp(endpoints->items[k], endpoints->items[i]) == 0)
				return plug_error_set(err, -EINVAL, "endpointList: %s is there twice",
						      endpoints->items[i]);
		w = add_want(p, endpoints->items[i], err);
		if (!w)
			return err->code;
		w->existing = true;
	}
	return 0;
}

/* Where its network namespace is, if the spec says so; "": it is a new one; NULL: it has none of its own. */
static const char *spec_namespace(struct json_object *spec)
{
	struct json_object *list = net_json_get(net_json_get(spec, "linux"), "namespaces");

	for (size_t i = 0; i < plug_json_length(list); i++) {
		struct json_object *one = json_object_array_get_idx(list, i);
		struct json_object *type = net_json_get(one, "type"), *path = net_json_get(one, "path");

		if (type && strcmp(json_object_get_string(type), "network") == 0)
			return path ? json_object_get_string(path) : "";
	}
	return NULL;
}

/* Endpoints by their ids, in a namespace by its id or path, or a new one. */
static int take_places(struct net_plan *p, struct json_object *windows, struct plug_error *err)
{
	__attribute__((cleanup(net_strv_finish))) struct net_strv endpoints = { 0 };
	const char *ns = NULL, *path = spec_namespace(p->spec);
	int r = take_strings(windows, "endpointList", &endpoints, err);

	r = r ?: net_json_string(windows, "networkNamespace", &ns, err);
	if (r == 0 && (!ns || !*ns) && endpoints.count)
		ns = path;
	if (r == 0 && ns && *ns) {
		p->mode = NET_PLAN_NETWORKS;
		if (take_text(ns, &p->namespace_ref) < 0)
			r = plug_error_errno(err, -ENOMEM, "networkNamespace");
	}
	return r < 0 ? r : take_existing(p, &endpoints, err);
}

static int take_windows(struct net_plan *p, struct json_object *windows, struct plug_error *err)
{
	bool unqualified = false;
	int r = net_json_bool(windows, "allowUnqualifiedDNSQuery", &unqualified, err);

	/* With another container's network come its endpoints (docker lists them) and its files. */
	if (r < 0 || p->joined)
		return r;
	if (net_json_get(windows, "allowUnqualifiedDNSQuery"))
		p->unqualified = unqualified ? NET_UNQUALIFIED_ALLOW : NET_UNQUALIFIED_DENY;
	r = take_places(p, windows, err);
	/* Options say it for this container, the spec for all that are made of it. */
	return r < 0 || p->search.count ? r : take_strings(windows, "DNSSearchList", &p->search, err);
}

/* ---- ports, names */

/* Each port that the image exposes, on a free one of the host. */
static int take_exposed(struct net_plan *p, struct json_object *options, struct plug_error *err)
{
	struct json_object *config = net_json_get(net_json_get(options, "resolved"), "config");
	struct json_object *exposed = net_json_get(net_json_get(config, "config"), "ExposedPorts");

	if (!json_object_is_type(exposed, json_type_object))
		return 0;
	json_object_object_foreach(exposed, port, value) {
		(void)value;
		if (net_strv_add(&p->ports, port) < 0)
			return plug_error_errno(err, -ENOMEM, "ports");
	}
	return 0;
}

static int take_lists(struct net_plan *p, struct json_object *options, struct plug_error *err)
{
	bool all = false;
	int r = take_strings(options, "ports", &p->ports, err);

	if (r == 0)
		r = net_json_bool(options, "publish_all", &all, err);
	if (r == 0 && all)
		r = take_exposed(p, options, err);
	if (r == 0)
		r = take_strings(options, "dns", &p->dns, err);
	if (r == 0)
		r = take_strings(options, "dns_search", &p->search, err);
	if (r == 0)
		r = take_strings(options, "dns_option", &p->options, err);
	if (r == 0)
		r = take_strings(options, "add_host", &p->hosts, err);
	return r;
}

/* Only an endpoint that is made now can have what is asked for. */
static int refuse(const struct net_plan *p, const char *key, struct plug_error *err)
{
	return plug_error_set(err, -EINVAL, "%s: %s", key,
			      p->mode != NET_PLAN_NETWORKS ? "the container has no network of its own" :
							     "the endpoints are there already");
}

static bool makes_endpoints(const struct net_plan *p)
{
	return p->want_count && !p->wants[0].existing;
}

/* ip, ip6, mac_address and network_alias are the first endpoint's. */
static int take_first(struct net_plan *p, struct json_object *options, struct plug_error *err)
{
	static const char *const keys[][2] = { { "ip", "ip" }, { "ip6", "ip6" }, { "mac_address", "mac" } };
	struct net_want *w = &p->wants[0];
	int r = 0;

	for (size_t i = 0; r == 0 && i < PLUG_ELEMENTS(keys); i++) {
		_cleanup_free_ char *word = NULL;
		const char *text = NULL;

		r = net_json_string(options, keys[i][0], &text, err);
		if (r < 0 || !text)
			continue;
		if (!makes_endpoints(p))
			return refuse(p, keys[i][0], err);
		word = malloc(strlen(text) + 8);
		if (!word)
			return plug_error_errno(err, -ENOMEM, "network");
		(void)stpcpy(stpcpy(stpcpy(word, keys[i][1]), "="), text);
		r = take_key(w, word, err);
	}
	if (r == 0 && !makes_endpoints(p) && plug_json_length(net_json_get(options, "network_alias")))
		return refuse(p, "network_alias", err);
	return r < 0 ? r : take_strings(options, "network_alias", &w->aliases, err);
}

/* ---- the spec */

/* A network namespace of its own, that nobody has named. */
static bool has_own_namespace(struct json_object *spec)
{
	const char *path = spec_namespace(spec);

	return path && !*path;
}

static int take_names(struct net_plan *p, const struct cowherd_request *request, struct plug_error *err)
{
	const char *hostname = NULL, *domainname = NULL;
	int r = net_json_string(p->spec, "hostname", &hostname, err);

	if (r == 0)
		r = net_json_string(p->spec, "domainname", &domainname, err);
	if (r < 0)
		return r;
	r = take_text(request->container, &p->container);
	if (r == 0)
		r = take_text(request->name, &p->name);
	if (r == 0)
		r = take_text(hostname, &p->hostname);
	if (r == 0)
		r = take_text(domainname, &p->domainname);
	return r < 0 ? plug_error_errno(err, r, "container %s", request->container) : 0;
}

/* The option comes before what a plugin of an earlier phase has written into the spec. */
static int take_hosting(struct net_plan *p, struct json_object *options, struct plug_error *err)
{
	struct json_object *annotations = net_json_get(p->spec, "annotations");
	const char *type = "", *system = NULL;
	int r = net_json_string(annotations, COWHERD_HOSTING_ANNOTATION, &system, err);

	r = r ?: net_json_string(options, "hosting_system", &system, err);
	r = r ?: net_json_string(annotations, "io.kubernetes.cri.container-type", &type, err);
	if (r < 0)
		return r;
	p->sandbox = strcmp(type, "sandbox") == 0;
	p->workload = strcmp(type, "container") == 0;
	if (system && *system && take_text(system, &p->hosting_system) < 0)
		return plug_error_errno(err, -ENOMEM, "hosting system");
	return 0;
}

/* Where nobody has named a network: the spec's, else the default one. */
static int take_default(struct net_plan *p, const struct net_plan_defaults *defaults, struct plug_error *err)
{
	struct json_object *windows = net_json_get(net_json_get(p->spec, "windows"), "network");
	const char *network = p->ports.count && !defaults->network ? defaults->fallback : defaults->network;
	int r = windows ? take_windows(p, windows, err) : 0;

	if (r < 0 || p->mode != NET_PLAN_NOTHING || p->joined || !network || !has_own_namespace(p->spec))
		return r;
	return take_network(p, network, err);
}

/* The host has found the other container, and put its namespace into the spec. */
static int take_joined(struct net_plan *p, struct json_object *options, struct plug_error *err)
{
	const char *dir = NULL;
	int r = net_json_string(net_json_get(options, "joined"), "run_dir", &dir, err);

	if (r == 0 && dir && take_text(dir, &p->joined) < 0)
		r = plug_error_errno(err, -ENOMEM, "network");
	return r;
}

/* Files of its own, also where there is no network to make. */
static int take_files(struct net_plan *p, struct plug_error *err)
{
	bool own = p->dns.count || p->search.count || p->options.count || p->hosts.count;

	if (p->joined && own)
		return plug_error_set(err, -EINVAL,
				      "dns, dns_search, dns_option, add_host: are those of the container "
				      "whose network is joined");
	if (p->mode == NET_PLAN_NOTHING && !spec_namespace(p->spec))
		p->host = true;
	if (p->mode == NET_PLAN_NOTHING && (p->joined || own || p->unqualified != NET_UNQUALIFIED_UNSET))
		p->mode = NET_PLAN_FILES;
	return 0;
}

static int read_plan(struct net_plan *p, struct json_object *options,
		     const struct net_plan_defaults *defaults, struct plug_error *err)
{
	bool said = false;
	int r = take_networks(p, options, &said, err);

	if (r == 0)
		r = take_joined(p, options, err);
	if (r == 0)
		r = take_lists(p, options, err);
	if (r == 0 && !said)
		r = take_default(p, defaults, err);
	if (r == 0)
		r = take_first(p, options, err);
	if (r == 0 && p->ports.count && !makes_endpoints(p))
		r = refuse(p, "ports", err);
	return r < 0 ? r : take_files(p, err);
}

bool net_plan_may_want(const struct cowherd_request *request, const struct net_plan_defaults *defaults)
{
	static const char *const words[] = { "\"network", "\"ports\"", "\"publish_all\"", "\"dns",
					     "\"add_host\"", "\"joined\"", "\"ip", "\"mac_address\"" };

	for (size_t i = 0; i < PLUG_ELEMENTS(words); i++)
		if (strstr(request->options, words[i]))
			return true;
	return defaults->network || strstr(request->spec, "\"windows\"");
}

int net_plan_read(const struct cowherd_request *request, const struct net_plan_defaults *defaults,
		  struct net_plan *ret, struct plug_error *err)
{
	_cleanup_json_ struct json_object *options = NULL;
	struct net_plan plan = { 0 };
	int r = plug_json_parse(request->options, strlen(request->options), "options", &options, err);

	if (r == 0)
		r = plug_json_parse(request->spec, strlen(request->spec), "spec", &plan.spec, err);
	if (r == 0)
		r = read_plan(&plan, options, defaults, err);
	if (r == 0)
		r = take_names(&plan, request, err);
	if (r == 0)
		r = take_hosting(&plan, options, err);
	if (r < 0)
		net_plan_finish(&plan);
	else
		*ret = plan;
	return r;
}

void net_plan_finish(struct net_plan *plan)
{
	for (size_t i = 0; i < plan->want_count; i++)
		want_finish(&plan->wants[i]);
	free(plan->namespace_ref);
	free(plan->hosting_system);
	free(plan->joined);
	net_strv_finish(&plan->ports);
	net_strv_finish(&plan->dns);
	net_strv_finish(&plan->search);
	net_strv_finish(&plan->options);
	net_strv_finish(&plan->hosts);
	free(plan->container);
	free(plan->name);
	free(plan->hostname);
	free(plan->domainname);
	json_object_put(plan->spec);
	*plan = (struct net_plan){ 0 };
}

/* ---- the patch */

/* The list of namespaces with ours in the place of the network's. */
static struct json_object *namespaces(struct json_object *old, const char *path)
{
	struct json_object *list = json_object_new_array(), *own = json_object_new_object();

	net_json_add_string(&own, "type", "network");
	net_json_add_string(&own, "path", path);
	net_json_append(&list, own);
	for (size_t i = 0; i < plug_json_length(old); i++) {
		struct json_object *one = json_object_array_get_idx(old, i);
		struct json_object *type = net_json_get(one, "type");

		if (!type || strcmp(json_object_get_string(type), "network") != 0)
			net_json_append(&list, json_object_get(one));
	}
	return list;
}

static bool is_mounted(struct json_object *mounts, const char *where)
{
	for (size_t i = 0; i < plug_json_length(mounts); i++) {
		struct json_object *to = net_json_get(json_object_array_get_idx(mounts, i), "destination");

		if (to && strcmp(json_object_get_string(to), where) == 0)
			return true;
	}
	return false;
}

static void add_mount(struct json_object **list, const char *source, const char *where)
{
	struct json_object *mount = json_object_new_object(), *options = json_object_new_array();

	if (!source || is_mounted(*list, where)) {
		json_object_put(mount);
		json_object_put(options);
		return;
	}
	net_json_append(&options, json_object_new_string("rbind"));
	net_json_append(&options, json_object_new_string("rprivate"));
	net_json_add_string(&mount, "destination", where);
	net_json_add_string(&mount, "type", "bind");
	net_json_add_string(&mount, "source", source);
	net_json_add(&mount, "options", options);
	net_json_append(list, mount);
}

struct json_object *net_plan_patch(const struct net_plan *plan, const char *path, const char *resolv_conf,
				   const char *hosts)
{
	struct json_object *patch = json_object_new_object(), *linux_ = json_object_new_object();
	struct json_object *old = net_json_get(plan->spec, "mounts"), *mounts = json_object_new_array();

	for (size_t i = 0; i < plug_json_length(old); i++)
		net_json_append(&mounts, json_object_get(json_object_array_get_idx(old, i)));
	add_mount(&mounts, resolv_conf, "/etc/resolv.conf");
	add_mount(&mounts, hosts, "/etc/hosts");
	net_json_add(&patch, "mounts", mounts);
	if (path)
		net_json_add(&linux_, "namespaces",
			     namespaces(net_json_get(net_json_get(plan->spec, "linux"), "namespaces"), path));
	net_json_add(&patch, "linux", linux_);
	return patch;
}
