/* SPDX-License-Identifier: MIT */
/* network create: words into an object. */
#include "verbs/network_create.h"
#include "common/util.h"
#include "model/shape.h"

#include <string.h>
#include <strings.h>

static int refuse(struct plug_run *run, const char *option, const char *value, const char *cause)
{
	run->exit_code = 125;
	return plug_error_set(&run->error, -EINVAL, "--%s: \"%.64s\" %s", option, value, cause);
}

static int missing(struct plug_run *run)
{
	return plug_error_errno(&run->error, -ENOMEM, "network create");
}

static int number(struct plug_run *run, const char *option, const char *text, uint32_t max, uint32_t *ret)
{
	char *end = NULL;
	unsigned long n;

	if (!text)
		return 0;
	n = *text >= '0' && *text <= '9' ? strtoul(text, &end, 10) : 0;
	if (!n || !end || *end || n > max)
		return refuse(run, option, text, "is not a number that this can be");
	*ret = (uint32_t)n;
	return 0;
}

static int copy(struct plug_run *run, const char *text, char **ret)
{
	if (!text)
		return 0;
	free(*ret);
	*ret = strdup(text);
	return *ret ? 0 : missing(run);
}

static int subnet_add(struct plug_run *run, struct net_network *n, const char *text)
{
	struct net_subnet *grown = reallocarray(n->subnets, n->subnet_count + 1, sizeof(*grown)), one = { 0 };

	if (!grown)
		return missing(run);
	n->subnets = grown;
	if (net_addr_parse_prefix(text, &one.prefix) < 0 || !strchr(text, '/'))
		return refuse(run, "subnet", text, "is not a prefix like 10.20.0.0/24");
	one.prefix = net_addr_network(&one.prefix);
	for (size_t i = 0; i < n->subnet_count; i++)
		if (net_addr_overlaps(&n->subnets[i].prefix, &one.prefix))
			return refuse(run, "subnet", text, "overlaps another one");
	n->subnets[n->subnet_count++] = one;
	return 0;
}

/* Each value of an option, put into n by a word of the model. */
static int words(struct plug_run *run, struct net_network *n, const char *option,
		 const char *(*put)(struct net_network *n, const char *text))
{
	const char *text, *why = NULL;

	for (size_t i = 0; !why && (text = plug_run_nth(run, option, i)); i++)
		why = put(n, text);
	return why ? refuse(run, option, text, why) : 0;
}

static int gateways(struct plug_run *run, struct net_network *n)
{
	const char *text, *why = NULL;
	bool none = false;

	for (size_t i = 0; !why && (text = plug_run_nth(run, "gateway", i)); i++)
		why = net_word_gateway(n, text, &none);
	if (why)
		return refuse(run, "gateway", text, why);
	if (!none)
		net_word_gateway_usual(n);
	return 0;
}

static int subnets(struct plug_run *run, struct net_network *n)
{
	const char *text;
	int r = 0;

	for (size_t i = 0; r == 0 && (text = plug_run_nth(run, "subnet", i)); i++)
		r = subnet_add(run, n, text);
	r = r ?: gateways(run, n) ?: words(run, n, "aux-address", net_word_aux);
	for (size_t i = 0; r == 0 && (text = plug_run_nth(run, "ip-range", i)); i++) {
		struct net_addr a;
		struct net_subnet *subnet =
			net_addr_parse_prefix(text, &a) == 0 ? net_subnet_of(n, &a) : NULL;

		if (!subnet)
			return refuse(run, "ip-range", text, "is not a part of one of the subnets");
		subnet->range = net_addr_network(&a);
	}
	return r;
}

/* --ipv6 without a prefix: unique local (RFC 4193), by the id, so that it is the same each time. */
static int ipv6_add(struct plug_run *run, struct net_network *n)
{
	char text[64];

	for (size_t i = 0; i < n->subnet_count; i++)
		if (n->subnets[i].prefix.family == AF_INET6)
			return 0;
	if (!*n->id && net_id_make(n->id) < 0)
		return plug_error_errno(&run->error, -EIO, "network create: id");
	(void)snprintf(text, sizeof(text), "fd%.2s:%.4s:%.4s::/64", n->id, n->id + 2, n->id + 9);
	if (!n->subnet_count) {
		/* The IPv4 one that there would be without. */
		struct net_api api;
		struct net_subnet *one = calloc(1, sizeof(*one));
		struct net_addr *taken = NULL;
		size_t count = 0;
		int r = one ? net_command_api(run, &api) : missing(run);

		if (r == 0)
			r = api.effects->taken(api.arg, &taken, &count, &run->error);
		if (r == 0)
			r = net_ipam_subnet_choose(api.store, taken, count, one, &run->error);
		free(taken);
		if (r < 0) {
			free(one);
			return r;
		}
		n->subnets = one;
		n->subnet_count = 1;
	}
	return subnet_add(run, n, text);
}

static int strings(struct plug_run *run, const char *option, struct net_strv *ret)
{
	const char *text;
	int r = 0;

	for (size_t i = 0; r == 0 && (text = plug_run_nth(run, option, i)); i++)
		r = net_strv_add(ret, text);
	return r < 0 ? missing(run) : 0;
}

static int dns(struct plug_run *run, struct net_network *n)
{
	struct net_addr a;
	int r = strings(run, "dns", &n->dns.servers);

	for (size_t i = 0; r == 0 && i < n->dns.servers.count; i++)
		if (net_addr_parse(n->dns.servers.items[i], &a) < 0)
			return refuse(run, "dns", n->dns.servers.items[i], "is not an address");
	if (r == 0)
		r = strings(run, "dns-search", &n->dns.search);
	return r ?: strings(run, "dns-option", &n->dns.options);
}

static int bridge_name(struct plug_run *run, struct net_network *n, const char *value)
{
	if (!*value || strlen(value) >= NET_LINK_SIZE || strpbrk(value, "/ :"))
		return refuse(run, "opt", value, "is not a link's name");
	(void)snprintf(n->bridge, sizeof(n->bridge), "%s", value);
	return 0;
}

/* Those of docker's drivers that mean something here: what stands behind their prefix. */
static const char *opt_key(const char *text)
{
	static const char *const prefixes[] = { "com.docker.network.driver.", "com.docker.network.bridge.",
						"com.docker.network.windowsshim." };

	for (size_t i = 0; i < PLUG_ELEMENTS(prefixes); i++)
		if (!strncmp(text, prefixes[i], strlen(prefixes[i])))
			return text + strlen(prefixes[i]);
	return text;
}

static int opt(struct plug_run *run, struct net_network *n, const char *text)
{
	const char *value = strchr(text, '=');
	char key[32];

	if (!value)
		return refuse(run, "opt", text, "is not KEY=VALUE");
	(void)snprintf(key, sizeof(key), "%.*s", (int)(value - opt_key(text)), opt_key(text));
	value++;
	if (!strcmp(key, "parent") || !strcmp(key, "interface"))
		return copy(run, value, &n->adapter);
	if (!strcmp(key, "mtu"))
		return number(run, "opt", value, 65535, &n->mtu);
	if (!strcmp(key, "vlan") || !strcmp(key, "vlanid"))
		return number(run, "opt", value, 4094, &n->vlan);
	if (!strcmp(key, "name"))
		return bridge_name(run, n, value);
	if (!strcmp(key, "mode") || !strcmp(key, "macvlan_mode"))
		return net_macvlan_mode(value, &n->macvlan_mode) < 0 ?
			       refuse(run, "opt", text, "is not bridge, private, vepa or passthru") :
			       0;
	return refuse(run, "opt", text, "means nothing to this kind of network");
}

/* As docker and podman have it: who gives addresses. */
static int ipam_driver(struct plug_run *run, struct net_network *n)
{
	const char *text = plug_run_value(run, "ipam-driver") ?: "default";
	bool asked = !strcmp(text, "dhcp");

	n->dhcp = plug_run_flag(run, "dhcp") || asked;
	if (!asked && strcmp(text, "default") != 0 && strcmp(text, "host-local") != 0)
		return refuse(run, "ipam-driver", text, "is not default, host-local or dhcp");
	if (n->dhcp && plug_run_value(run, "subnet"))
		return refuse(run, "subnet", plug_run_value(run, "subnet"), "is known to the DHCP server");
	return 0;
}

static int type(struct plug_run *run, struct net_network *n)
{
	const char *driver = plug_run_value(run, plug_run_value(run, "driver") ? "driver" : "type");

	n->type = NET_NAT;
	if (driver && !strcasecmp(driver, "macvlan"))
		driver = "transparent";
	if (driver && net_type_parse(driver, &n->type) < 0)
		return refuse(run, "driver", driver, "is not a type of network");
	if (plug_run_flag(run, "internal")) {
		if (n->type != NET_NAT && n->type != NET_INTERNAL)
			return refuse(run, "internal", net_type_name(n->type), "cannot be internal");
		n->type = NET_INTERNAL;
	}
	return 0;
}

/* Options that mean something to other kinds only. */
static int kind_check(struct plug_run *run, const struct net_network *n, uint32_t vxlan)
{
	if (vxlan && n->type != NET_OVERLAY)
		return refuse(run, "vxlan", plug_run_value(run, "vxlan"), "is for overlay only");
	if (vxlan && !n->subnet_count)
		return refuse(run, "vxlan", plug_run_value(run, "vxlan"), "needs a --subnet");
	if (n->adapter && !net_type_has_adapter(n->type) && n->type != NET_OVERLAY)
		return refuse(run, "parent", n->adapter, "is nothing to this kind of network");
	if (n->macvlan_mode && n->type != NET_TRANSPARENT)
		return refuse(run, "opt", "macvlan_mode", "is for macvlan only");
	return 0;
}

static int mtu(struct plug_run *run, struct net_network *n)
{
	const char *text = plug_run_value(run, "mtu");
	int r = number(run, "mtu", text, 65535, &n->mtu);

	return r == 0 && n->mtu && n->mtu < 68 ? refuse(run, "mtu", text, "is less than 68") : r;
}

static int links(struct plug_run *run, struct net_network *n)
{
	uint32_t vxlan = 0;
	const char *text;
	int r = copy(run, plug_run_value(run, "parent"), &n->adapter);

	if (r == 0)
		r = number(run, "vlan", plug_run_value(run, "vlan"), 4094, &n->vlan);
	if (r == 0)
		r = number(run, "vxlan", plug_run_value(run, "vxlan"), 0xffffff, &vxlan);
	r = r ?: mtu(run, n);
	for (size_t i = 0; r == 0 && (text = plug_run_nth(run, "opt", i)); i++)
		r = opt(run, n, text);
	r = r ?: kind_check(run, n, vxlan);
	for (size_t i = 0; i < n->subnet_count; i++)
		n->subnets[i].vsid = vxlan;
	return r ?: words(run, n, "peer", net_word_peer);
}

static bool is_file(const char *text)
{
	const char *dot = strrchr(text, '.');

	return strchr(text, '/') || (dot && (!strcmp(dot, ".conflist") || !strcmp(dot, ".conf") ||
					     !strcmp(dot, ".json")));
}

/* A name in CNI's directory, the path of a file, or the list itself, which is kept with the network. */
static int conflist(struct plug_run *run, struct net_network *n)
{
	const char *text = plug_run_value(run, "conflist");
	_cleanup_json_ struct json_object *o = NULL;
	int r;

	if (!text)
		return n->type == NET_CNI ? copy(run, n->name, &n->conflist) : 0;
	if (*text == '{' || !strcmp(text, "-")) {
		r = net_command_json(run, text, &o);
		return r ?: copy(run, json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
								       JSON_C_TO_STRING_NOSLASHESCAPE),
				 &n->conflist);
	}
	if (!is_file(text))
		return copy(run, text, &n->conflist);
	free(n->conflist);
	n->conflist = plug_run_path(run, text);
	return n->conflist ? 0 : missing(run);
}

static int network_of_words(struct plug_run *run, struct net_network *n)
{
	const char *id = plug_run_value(run, "id");
	int r;

	if (!net_name_valid(run->words[0]))
		return plug_error_set(&run->error, -EINVAL,
				      "network %.64s: a name has letters, digits, \"_\", \".\" and \"-\"",
				      run->words[0]);
	if (id && net_id_parse(id, n->id) < 0)
		return refuse(run, "id", id, "is not a GUID");
	r = copy(run, run->words[0], &n->name);
	if (r == 0)
		r = ipam_driver(run, n);
	if (r == 0)
		r = type(run, n);
	if (r == 0)
		r = subnets(run, n);
	if (r == 0)
		r = links(run, n);
	if (r == 0 && plug_run_flag(run, "ipv6"))
		r = ipv6_add(run, n);
	if (r == 0)
		r = conflist(run, n);
	if (r == 0)
		r = dns(run, n);
	return r ?: strings(run, "label", &n->labels);
}

static int network_of_json(struct plug_run *run, struct net_network **ret)
{
	_cleanup_json_ struct json_object *o = NULL;
	int r = net_command_json(run, plug_run_value(run, "json"), &o);

	if (r == 0)
		r = net_hcn_network_check(o, &run->error);
	if (r == 0)
		r = net_hcn_network_parse(o, ret, &run->error);
	return r == 0 && run->word_count ? copy(run, run->words[0], &(*ret)->name) : r;
}

int net_network_create(struct plug_run *run)
{
	struct net_network *n = NULL;
	struct net_api api;
	int r;

	if (plug_run_value(run, "json")) {
		r = network_of_json(run, &n);
	} else if (!run->word_count) {
		run->exit_code = 125;
		return plug_error_set(&run->error, -EINVAL, "network create: something is missing: NAME");
	} else {
		n = calloc(1, sizeof(*n));
		r = n ? network_of_words(run, n) : missing(run);
	}
	if (r == 0)
		r = net_command_api(run, &api);
	if (r < 0) {
		net_network_free(n);
		return r;
	}
	r = net_api_network_create(&api, n, &n, &run->error);
	if (r < 0)
		return r;
	plug_text_add(&run->text, "%s\n", n->id);
	net_command_kept(run, n->policies, n->policy_count);
	net_network_free(n);
	return 0;
}
