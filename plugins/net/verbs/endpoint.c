/* SPDX-License-Identifier: MIT */
/* cowherd endpoint … */
#include "common/util.h"
#include "policy/policy.h"
#include "policy/ports.h"
#include "verbs/network_create.h"

#include <string.h>

static const struct plug_option create_options[] = {
	{ "network", 0, "NETWORK", "where it is; needed, unless --json says it" },
	{ "ip", 0, "ADDRESS", "as usual the next one that is free" },
	{ "ip6", 0, "ADDRESS", "likewise" },
	{ "mac-address", 0, "MAC", "as usual made of its id" },
	{ "network-alias", 0, "NAME", "a further name for others of its network" },
	{ "publish", 'p', "[HOST:]PORT[/tcp]", "publish a port once it is plugged in" },
	{ "policy", 0, "JSON", "a policy of HCN: {\"Type\": …, \"Settings\": {…}}" },
	{ "id", 0, "GUID", "as usual a random one" },
	{ "json", 0, "JSON|-", "all of it as HCN's HostComputeEndpoint" },
	{ 0 },
};

static const struct plug_option ls_options[] = {
	{ "filter", 'f', "KEY=VALUE", "only some: name, id, network, namespace" },
	{ "format", 0, "FORMAT", "\"json\", or a template like \"{{.Name}}: {{.IPs}}\"" },
	{ "no-trunc", 0, NULL, "whole ids" },
	{ "quiet", 'q', NULL, "ids only" },
	{ "query", 0, "JSON|-", "HCN's query, and the objects as JSON" },
	{ "hns", 0, NULL, "with --query: as HNS shows them" },
	{ 0 },
};

static const struct plug_option none[] = { { 0 } };

static const struct plug_column columns[] = {
	{ "ENDPOINT ID", "ID" },       { "NAME", "Name" }, { "NETWORK", "Network" }, { "MAC", "MAC" },
	{ "ADDRESSES", "IPs" }, { "NAMESPACE", "Namespace" },     { 0 },
};

static int refuse(struct plug_run *run, const char *option, const char *value, const char *cause)
{
	run->exit_code = 125;
	return plug_error_set(&run->error, -EINVAL, "--%s: \"%.64s\" %s", option, value, cause);
}

static int missing(struct plug_run *run)
{
	return plug_error_errno(&run->error, -ENOMEM, "endpoint create");
}

static int ip(struct plug_run *run, struct net_endpoint *e, const char *option, int family)
{
	const char *text = plug_run_value(run, option);
	struct net_addr *grown, a;

	if (!text)
		return 0;
	if (net_addr_parse(text, &a) < 0 || a.family != family)
		return refuse(run, option, text, "is not such an address");
	grown = reallocarray(e->ips, e->ip_count + 1, sizeof(*grown));
	if (!grown)
		return missing(run);
	e->ips = grown;
	e->ips[e->ip_count++] = a;
	return 0;
}

/* What HCN says, one policy at a time. */
static int policy(struct plug_run *run, struct net_endpoint *e, const char *text)
{
	_cleanup_json_ struct json_object *o = NULL, *list = json_object_new_array();
	struct net_policy *policies = NULL;
	size_t count = 0;
	int r = plug_json_parse(text, strlen(text), "--policy", &o, &run->error);

	if (r < 0)
		return r;
	net_json_append(&list, json_object_get(o));
	if (!list)
		return missing(run);
	r = net_policies_parse(list, NET_POLICY_HCN, NET_POLICY_OF_ENDPOINT, &policies, &count, &run->error);
	for (size_t i = 0; r == 0 && i < count; i++) {
		r = net_policies_add(&e->policies, &e->policy_count, &policies[i]);
		if (r < 0)
			(void)missing(run);
	}
	free(policies); /* what they held was taken over */
	return r;
}

static int endpoint_of_words(struct plug_run *run, struct net_endpoint *e)
{
	const char *mac = plug_run_value(run, "mac-address"), *id = plug_run_value(run, "id"), *text;
	int r = 0;

	if (id && net_id_parse(id, e->id) < 0)
		return refuse(run, "id", id, "is not a GUID");
	if (mac && net_mac_parse(mac, &e->mac) < 0)
		return refuse(run, "mac-address", mac, "is not a MAC address of one card");
	r = ip(run, e, "ip", AF_INET) ?: ip(run, e, "ip6", AF_INET6);
	for (size_t i = 0; r == 0 && (text = plug_run_nth(run, "network-alias", i)); i++)
		r = net_name_valid(text) ? net_strv_add(&e->aliases, text)
					 : refuse(run, "network-alias", text, "is not a name");
	for (size_t i = 0; r == 0 && (text = plug_run_nth(run, "publish", i)); i++)
		r = net_ports_parse(text, &e->policies, &e->policy_count, &run->error);
	for (size_t i = 0; r == 0 && (text = plug_run_nth(run, "policy", i)); i++)
		r = policy(run, e, text);
	return r;
}

static int endpoint_of_json(struct plug_run *run, struct net_endpoint **ret)
{
	_cleanup_json_ struct json_object *o = NULL;
	int r = net_command_json(run, plug_run_value(run, "json"), &o);

	if (r == 0)
		r = net_hcn_endpoint_check(o, &run->error);
	return r ?: net_hcn_endpoint_parse(o, ret, &run->error);
}

static int endpoint_create(struct plug_run *run)
{
	const char *network = plug_run_value(run, "network");
	struct net_endpoint *e = NULL;
	struct net_api api;
	int r;

	if (plug_run_value(run, "json")) {
		r = endpoint_of_json(run, &e);
	} else if (!network) {
		run->exit_code = 125;
		return plug_error_set(&run->error, -EINVAL,
				      "endpoint create: something is missing: --network");
	} else {
		e = calloc(1, sizeof(*e));
		r = e ? endpoint_of_words(run, e) : missing(run);
	}
	if (r == 0 && run->word_count) {
		free(e->name);
		e->name = strdup(run->words[0]);
		if (!e->name)
			r = missing(run);
		else if (!net_name_valid(e->name))
			r = plug_error_set(&run->error, -EINVAL,
					   "endpoint %.64s: a name has letters, digits and \"_.-\"", e->name);
	}
	if (r == 0)
		r = net_command_api(run, &api);
	if (r < 0) {
		net_endpoint_free(e);
		return r;
	}
	r = net_api_endpoint_create(&api, e, network, &e, &run->error);
	if (r < 0)
		return r;
	plug_text_add(&run->text, "%s\n", e->id);
	net_command_kept(run, e->policies, e->policy_count);
	net_endpoint_free(e);
	return 0;
}

/* "10.0.0.2/24, fd00::2/64" */
static void ips_text(struct json_object *o, char text[256])
{
	struct json_object *list = net_json_get(o, "IpConfigurations");
	size_t n = 0;

	*text = 0;
	for (size_t i = 0; i < plug_json_length(list) && n < 256; i++) {
		struct json_object *one = json_object_array_get_idx(list, i);
		const char *address = "";
		uint64_t len = 0;

		(void)net_json_string(one, "IpAddress", &address, NULL);
		(void)net_json_number(one, "PrefixLength", 128, &len, NULL);
		n += (size_t)snprintf(text + n, 256 - n, "%s%s/%u", n ? ", " : "", address, (unsigned)len);
	}
}

static struct json_object *row(struct plug_run *run, const struct net_api *api, struct json_object *o)
{
	struct json_object *out = json_object_new_object(), *own = net_json_get(o, "Cowherd"),
			   *containers = net_json_get(own, "Containers");
	const char *id = "", *name = "", *network = "", *ns = "", *mac = "";
	bool whole = plug_run_flag(run, "no-trunc");
	struct net_network *n = NULL;
	char text[256], shorter[13];

	(void)net_json_string(o, "ID", &id, NULL);
	(void)net_json_string(o, "Name", &name, NULL);
	(void)net_json_string(o, "HostComputeNetwork", &network, NULL);
	(void)net_json_string(o, "HostComputeNamespace", &ns, NULL);
	(void)net_json_string(o, "MacAddress", &mac, NULL);
	(void)net_store_network(api->store, network, &n, NULL);
	(void)snprintf(shorter, sizeof(shorter), "%.12s", id);
	net_json_add_string(&out, "ID", whole ? id : shorter);
	net_json_add(&out, "Name", json_object_new_string(name));
	net_json_add_string(&out, "Network", n && n->name ? n->name : network);
	net_json_add(&out, "MAC", json_object_new_string(mac));
	ips_text(o, text);
	net_json_add(&out, "IPs", json_object_new_string(text));
	(void)snprintf(shorter, sizeof(shorter), "%.12s", ns);
	net_json_add(&out, "Namespace", json_object_new_string(whole ? ns : shorter));
	net_json_add(&out, "Containers",
		     containers ? json_object_get(containers) : json_object_new_array());
	net_network_free(n);
	if (!out)
		(void)plug_error_errno(&run->error, -ENOMEM, "endpoint ls");
	if (out && net_command_filtered(run, "name id network namespace", out))
		return out;
	json_object_put(out);
	return NULL;
}

static int endpoint_ls(struct plug_run *run)
{
	return plug_run_value(run, "query") ? net_command_query(run, NET_ENDPOINTS)
					   : net_command_ls(run, NET_ENDPOINTS, columns, row);
}

static int endpoint_inspect(struct plug_run *run)
{
	return net_command_inspect(run, NET_ENDPOINTS);
}

static int endpoint_modify(struct plug_run *run)
{
	return net_command_modify(run, NET_ENDPOINTS);
}

static int endpoint_rm(struct plug_run *run)
{
	return net_command_rm(run, net_api_endpoint_remove);
}

static int endpoint_attach(struct plug_run *run)
{
	struct net_api api;
	int r = net_command_api(run, &api);

	return r ?: net_api_namespace_add(&api, run->words[1], false, run->words[0], &run->error);
}

static int endpoint_detach(struct plug_run *run)
{
	struct net_endpoint *e = NULL;
	struct net_api api;
	int r = net_command_api(run, &api);

	if (r == 0)
		r = net_store_endpoint(api.store, run->words[0], &e, &run->error);
	if (r == 0 && !*e->namespace_id)
		r = plug_error_set(&run->error, -ENOTCONN, "endpoint %s: is not in a namespace",
				   run->words[0]);
	if (r == 0)
		r = net_api_namespace_drop(&api, e->namespace_id, false, e->id, &run->error);
	net_endpoint_free(e);
	return r;
}

static int endpoint_stats(struct plug_run *run)
{
	struct net_stats s = { 0 };
	struct net_api api;
	int r = net_command_api(run, &api);

	if (r == 0)
		r = net_api_endpoint_stats(&api, run->words[0], &s, &run->error);
	if (r == 0)
		plug_text_add(&run->text,
			      "{\"rx_bytes\":%llu,\"rx_packets\":%llu,\"rx_dropped\":%llu,\"tx_bytes\":%llu,"
			      "\"tx_packets\":%llu,\"tx_dropped\":%llu}\n",
			      (unsigned long long)s.rx_bytes, (unsigned long long)s.rx_packets,
			      (unsigned long long)s.rx_dropped, (unsigned long long)s.tx_bytes,
			      (unsigned long long)s.tx_packets, (unsigned long long)s.tx_dropped);
	return r;
}

static const struct plug_word words[] = {
	{ "create", "[NAME]", "Make an endpoint, with its addresses", NULL, create_options, 0, 1,
	  endpoint_create },
	{ "ls", "", "List endpoints", NULL, ls_options, 0, 0, endpoint_ls },
	{ "inspect", "ENDPOINT...", "Show all about endpoints, as JSON", NULL, net_inspect_options, 1,
	  SIZE_MAX, endpoint_inspect },
	{ "modify", "ENDPOINT JSON|-", "Change an endpoint by HCN's modify request", NULL, none, 2, 2,
	  endpoint_modify },
	{ "attach", "ENDPOINT NAMESPACE", "Plug an endpoint into a namespace", NULL, none, 2, 2,
	  endpoint_attach },
	{ "detach", "ENDPOINT", "Unplug an endpoint", NULL, none, 1, 1, endpoint_detach },
	{ "stats", "ENDPOINT", "Its counters, as JSON", NULL, none, 1, 1, endpoint_stats },
	{ "rm", "ENDPOINT...", "Remove endpoints", NULL, net_rm_options, 1, SIZE_MAX, endpoint_rm },
	{ 0 },
};

static const char *const others[][2] = {
	{ "list", "ls" }, { "remove", "rm" }, { "show", "inspect" }, { NULL, NULL },
};

const struct plug_verb net_endpoint_verb = { .name = "endpoint", .words = words, .others = others,
					   .end = net_command_end };
