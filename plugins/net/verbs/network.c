/* SPDX-License-Identifier: MIT */
/* cowherd network … */
#include "common/util.h"
#include "verbs/command.h"
#include "verbs/connect.h"
#include "verbs/network_check.h"
#include "verbs/network_create.h"
#include "verbs/request.h"

#include <string.h>
#include <strings.h>
#include <time.h>

static const struct plug_option create_options[] = {
	{ "driver", 'd', "TYPE",
	  "nat (as usual), internal, private, transparent, l2bridge, l2tunnel, overlay, ics or cni" },
	{ "type", 0, "TYPE", NULL }, /* as it is called where a network is shown */
	{ "subnet", 0, "PREFIX", "such as 10.20.0.0/24 or fd00:20::/64; several: several" },
	{ "gateway", 0, "ADDRESS", "of the subnet it lies in; as usual the first one; or none" },
	{ "ip-range", 0, "PREFIX", "addresses are given from this part of its subnet" },
	{ "aux-address", 0, "NAME=ADDRESS", "somebody else's: never given to a container" },
	{ "internal", 0, NULL, "nothing beyond the host can be reached" },
	{ "attachable", 0, NULL, "means nothing: containers may always join" },
	{ "ipv6", 0, NULL, "with an IPv6 subnet, made of the network's id where none is given" },
	{ "parent", 0, "NIC", "the host's card, for transparent, l2bridge, l2tunnel, overlay" },
	{ "vlan", 0, "N", "1 to 4094" },
	{ "vxlan", 0, "N", "overlay: the number that tells it from others, 1 to 16777215" },
	{ "peer", 0, "ADDRESS", "overlay: another host that has the same network" },
	{ "mtu", 0, "BYTES", "of its links" },
	{ "dhcp", 0, NULL, "addresses come from elsewhere" },
	{ "ipam-driver", 0, "NAME", "default, or dhcp" },
	{ "conflist", 0, "NAME|FILE|JSON|-", "cni: the list of plugins; as usual the one called NAME" },
	{ "dns", 0, "ADDRESS", "a server for its containers" },
	{ "dns-search", 0, "DOMAIN", "a search domain for its containers" },
	{ "dns-option", 0, "OPTION", "an option of resolv.conf for its containers" },
	{ "opt", 'o', "KEY=VALUE", "as docker: parent=, vlan=, mtu=, macvlan_mode=, com.docker.network.…" },
	{ "label", 0, "KEY[=VALUE]", "kept with it" },
	{ "id", 0, "GUID", "as usual a random one" },
	{ "json", 0, "JSON|-", "all of it as HCN's HostComputeNetwork" },
	{ 0 },
};

static const struct plug_option ls_options[] = {
	{ "filter", 'f', "KEY=VALUE", "only some: name, id, driver, scope, label" },
	{ "format", 0, "FORMAT", "\"json\", or a template like \"{{.Name}}: {{.Driver}}\"" },
	{ "no-trunc", 0, NULL, "whole ids" },
	{ "quiet", 'q', NULL, "ids only" },
	{ "query", 0, "JSON|-", "HCN's query, and the objects as JSON" },
	{ "hns", 0, NULL, "with --query: as HNS shows them" },
	{ 0 },
};

const struct plug_option net_inspect_options[] = {
	{ "format", 'f', "FORMAT", "a template like \"{{.Name}}\" or \"{{json .Ipams}}\"" },
	{ "hns", 0, NULL, "as HNS shows it; as usual as HCN does" },
	{ 0 },
};

const struct plug_option net_rm_options[] = {
	{ "force", 'f', NULL, "what is not there is no error" },
	{ 0 },
};

static const struct plug_option none[] = { { 0 } };

static const struct plug_column columns[] = {
	{ "NETWORK ID", "ID" },	   { "NAME", "Name" }, { "DRIVER", "Driver" }, { "SCOPE", "Scope" },
	{ "SUBNETS", "Subnets" }, { 0 },
};

/* "10.1.0.0/16, fd00:1::/64" */
static void subnets_text(struct json_object *network, char text[256])
{
	struct json_object *ipams = net_json_get(network, "Ipams"),
			   *subnets = net_json_get(json_object_array_get_idx(ipams, 0), "Subnets");
	size_t n = 0;

	*text = 0;
	for (size_t i = 0; i < plug_json_length(subnets) && n < 256; i++) {
		const char *prefix = "";

		(void)net_json_string(json_object_array_get_idx(subnets, i), "IpAddressPrefix", &prefix,
				      NULL);
		n += (size_t)snprintf(text + n, 256 - n, "%s%s", n ? ", " : "", prefix);
	}
}

static void created_text(struct json_object *own, char text[32])
{
	uint64_t created = 0;
	time_t at;
	struct tm tm;

	(void)net_json_number(own, "Created", INT64_MAX, &created, NULL);
	at = (time_t)created;
	if (!gmtime_r(&at, &tm) || !strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &tm))
		*text = 0;
}

static struct json_object *row(struct plug_run *run, const struct net_api *api, struct json_object *o)
{
	struct json_object *out = json_object_new_object(), *own = net_json_get(o, "Cowherd"),
			   *labels = net_json_get(own, "Labels");
	const char *id = "", *name = "", *type = "";
	char text[256], shorter[13];
	bool internal;

	(void)api;
	(void)net_json_string(o, "ID", &id, NULL);
	(void)net_json_string(o, "Name", &name, NULL);
	(void)net_json_string(o, "Type", &type, NULL);
	internal = !strcasecmp(type, "Internal") || !strcasecmp(type, "Private");
	(void)snprintf(shorter, sizeof(shorter), "%.12s", id);
	net_json_add_string(&out, "ID", plug_run_flag(run, "no-trunc") ? id : shorter);
	net_json_add(&out, "Name", json_object_new_string(name));
	net_json_add_string(&out, "Driver", type);
	net_json_add_string(&out, "Scope", "local");
	subnets_text(o, text);
	net_json_add(&out, "IPv6", json_object_new_string(strchr(text, ':') ? "true" : "false"));
	net_json_add(&out, "Internal", json_object_new_string(internal ? "true" : "false"));
	net_json_add(&out, "Subnets", json_object_new_string(text));
	net_json_add(&out, "Labels", labels ? json_object_get(labels) : json_object_new_array());
	created_text(own, text);
	net_json_add(&out, "CreatedAt", json_object_new_string(text));
	if (!out)
		(void)plug_error_errno(&run->error, -ENOMEM, "network ls");
	if (out && net_command_filtered(run, "name id driver scope label", out))
		return out;
	json_object_put(out);
	return NULL;
}

int net_command_query(struct plug_run *run, enum net_kind kind)
{
	_cleanup_json_ struct json_object *query = NULL, *list = NULL;
	struct net_api api;
	int r = net_command_json(run, plug_run_value(run, "query"), &query);

	if (r == 0)
		r = net_command_api(run, &api);
	if (r == 0)
		r = net_api_query(&api, kind, query, plug_run_flag(run, "hns"), &list, &run->error);
	if (r == 0)
		plug_text_add(&run->text, "%s\n",
			      json_object_to_json_string_ext(list, JSON_C_TO_STRING_PRETTY |
									  JSON_C_TO_STRING_SPACED |
									  JSON_C_TO_STRING_NOSLASHESCAPE));
	return r;
}

static int network_ls(struct plug_run *run)
{
	return plug_run_value(run, "query") ? net_command_query(run, NET_NETWORKS)
					   : net_command_ls(run, NET_NETWORKS, columns, row);
}

static int network_inspect(struct plug_run *run)
{
	return net_command_inspect(run, NET_NETWORKS);
}

static int network_modify(struct plug_run *run)
{
	return net_command_modify(run, NET_NETWORKS);
}

static int network_rm(struct plug_run *run)
{
	return net_command_rm(run, net_api_network_remove);
}

static int name_compare(const void *a, const void *b)
{
	const struct net_entry *x = a, *y = b;

	return strcmp(x->name, y->name);
}

/* Those without endpoints that somebody made; others' are the configuration's. */
static int network_prune(struct plug_run *run)
{
	struct net_entry *entries;
	struct net_api api;
	size_t count;
	int r = net_command_api(run, &api);

	if (r == 0)
		r = net_store_list(api.store, NET_NETWORKS, NULL, &entries, &count, &run->error);
	if (r < 0)
		return r;
	if (count)
		qsort(entries, count, sizeof(*entries), name_compare);
	for (size_t i = 0; i < count; i++) {
		struct plug_error err = { 0 };
		int failed = entries[i].durable ? net_api_network_remove(&api, entries[i].id, &err) : -EBUSY;

		if (failed == 0)
			plug_text_add(&run->text, "%s\n", entries[i].name);
		else if (failed != -EBUSY && failed != -ENOENT)
			plug_text_add(&run->notes, "cowherd: %s\n", err.text);
	}
	net_entries_free(entries, count);
	return 0;
}

/* The answer is printed whatever it says; the exit status says whether it was a success. */
static int network_request(struct plug_run *run)
{
	_cleanup_json_ struct json_object *answer = NULL;
	_cleanup_free_ char *read = NULL;
	const char *body = run->word_count > 2 ? run->words[2] : NULL;
	struct net_api api;
	size_t size;
	int r = 0;

	if (body && !strcmp(body, "-")) {
		r = plug_run_read(run, NET_BODY_MAX, &read, &size);
		if (r < 0)
			return plug_error_errno(&run->error, r, "standard input");
		body = read;
	}
	r = net_command_api(run, &api);
	if (r < 0)
		return r;
	run->exit_code = net_request(&api, run->words[0], run->words[1], body, &answer) ? 0 : 1;
	if (!answer)
		return -ENOMEM;
	plug_text_add(&run->text, "%s\n",
		      json_object_to_json_string_ext(answer, JSON_C_TO_STRING_PLAIN |
								    JSON_C_TO_STRING_NOSLASHESCAPE));
	return 0;
}

static const char create_details[] =
	"  nat, ics             a bridge; out with the host's address; published ports\n"
	"  internal             a bridge; the host, and nothing beyond\n"
	"  private              a bridge; containers among themselves\n"
	"  transparent          hosts of the card's own network, as macvlans; not this host\n"
	"  l2bridge, l2tunnel   the same by a bridge that the card is a port of; macvlans, where the host\n"
	"                       has addresses on the card\n"
	"  overlay              a bridge and a VXLAN tunnel: one network on several hosts\n"
	"  cni                  what CNI plugins do\n\n"
	"  cowherd network create lan -d macvlan -o parent=eth0 --subnet 192.168.32.0/24 \\\n"
	"    --ip-range 192.168.32.128/25 --aux-address printer=192.168.32.129\n"
	"  cowherd network create mesh -d overlay --vxlan 4096 --subnet 10.80.0.0/16 \\\n"
	"    --ip-range 10.80.1.0/24 --peer 192.0.2.2\n";

static const char request_details[] =
	"  As HNS takes them: GET, POST, DELETE of /networks/[ID], /endpoints/[ID], /endpoints/ID/attach\n"
	"  and /detach, /endpointstats/ID, /namespaces/[ID], /namespaces/ID/addresource, /policylists/[ID],\n"
	"  /namespaces/ID/removeresource, /globals/version. Below /v2/ as HCN does: networks, endpoints,\n"
	"  namespaces, loadbalancers, routes; POST to an ID there is a modify request.\n\n"
	"  cowherd network request GET /networks/\n"
	"  cowherd network request POST /endpoints/ '{\"VirtualNetworkName\":\"web\"}'\n";

static const struct plug_word words[] = {
	{ "create", "NAME", "Make a network", create_details, create_options, 0, 1, net_network_create },
	{ "ls", "", "List networks", NULL, ls_options, 0, 0, network_ls },
	{ "inspect", "NETWORK...", "Show all about networks, as JSON", NULL, net_inspect_options, 1,
	  SIZE_MAX, network_inspect },
	{ "modify", "NETWORK JSON|-", "Change a network by HCN's modify request",
	  "  cowherd network modify web '{\"ResourceType\":\"DNS\",\"RequestType\":\"Update\",\n"
	  "                               \"Settings\":{\"ServerList\":[\"10.0.0.53\"]}}'\n",
	  none, 2, 2, network_modify },
	{ "check", "NETWORK...", "Ask the plugins of CNI networks whether all is as they made it", NULL, none,
	  1, SIZE_MAX, net_network_ask },
	{ "connect", "NETWORK CONTAINER", "Plug a container that is there into a network", NULL,
	  net_connect_options, 2, 2, net_connect },
	{ "disconnect", "NETWORK CONTAINER", "Unplug a container from a network", NULL,
	  net_disconnect_options, 2, 2, net_disconnect },
	{ "rm", "NETWORK...", "Remove networks that nobody uses", NULL, net_rm_options, 1, SIZE_MAX,
	  network_rm },
	{ "prune", "", "Remove all networks that nobody uses", NULL, net_rm_options, 0, 0,
	  network_prune },
	{ "request", "METHOD PATH [BODY|-]", "A request as HNS takes it, and its answer", request_details,
	  none, 2, 3, network_request },
	{ 0 },
};

static const char *const others[][2] = {
	{ "list", "ls" }, { "remove", "rm" }, { "show", "inspect" }, { NULL, NULL },
};

const struct plug_verb net_network_verb = { .name = "network", .words = words, .others = others,
					   .look = net_connect_look, .end = net_connect_end };
