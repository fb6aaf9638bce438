/* SPDX-License-Identifier: MIT */
/* cowherd namespace … */
#include "common/util.h"
#include "verbs/network_create.h"

#include <string.h>

static const struct plug_option create_options[] = {
	{ "type", 0, "TYPE", "Guest (as usual), GuestDefault, Host, or HostDefault: the host's own" },
	{ "id", 0, "GUID", "as usual a random one" },
	{ "json", 0, "JSON|-", "all of it as HCN's HostComputeNamespace" },
	{ 0 },
};

static const struct plug_option ls_options[] = {
	{ "filter", 'f', "KEY=VALUE", "only some: id, type" },
	{ "format", 0, "FORMAT", "\"json\", or a template like \"{{.ID}}: {{.Path}}\"" },
	{ "no-trunc", 0, NULL, "whole ids" },
	{ "quiet", 'q', NULL, "ids only" },
	{ "query", 0, "JSON|-", "HCN's query, and the objects as JSON" },
	{ "hns", 0, NULL, "with --query: as HNS shows them" },
	{ 0 },
};

static const struct plug_option none[] = { { 0 } };

static const struct plug_column columns[] = {
	{ "NAMESPACE ID", "ID" },     { "TYPE", "Type" }, { "NUMBER", "Number" },
	{ "ENDPOINTS", "Endpoints" }, { "PATH", "Path" }, { 0 },
};

static int namespace_create(struct plug_run *run)
{
	_cleanup_json_ struct json_object *o = NULL;
	const char *json = plug_run_value(run, "json"), *type = plug_run_value(run, "type");
	struct net_namespace *ns = NULL;
	struct net_api api;
	int r = 0;

	if (json) {
		r = net_command_json(run, json, &o);
	} else {
		o = json_object_new_object();
		net_json_add_string(&o, "Type", type ? type : "Guest");
		net_json_add_string(&o, "ID", plug_run_value(run, "id"));
		if (!o)
			r = -ENOMEM;
	}
	if (r == 0)
		r = net_hcn_namespace_parse(o, &ns, &run->error);
	if (r == 0)
		r = net_command_api(run, &api);
	if (r < 0) {
		net_namespace_free(ns);
		return r;
	}
	r = net_api_namespace_create(&api, ns, &ns, &run->error);
	if (r < 0)
		return r;
	plug_text_add(&run->text, "%s\n", ns->id);
	net_namespace_free(ns);
	return 0;
}

static struct json_object *row(struct plug_run *run, const struct net_api *api, struct json_object *o)
{
	struct json_object *out = json_object_new_object(), *resources = net_json_get(o, "Resources");
	const char *id = "", *type = "", *path = "", *kind;
	size_t endpoints = 0, containers = 0;
	uint64_t number = 0;
	char text[32], shorter[13];

	(void)api;
	(void)net_json_string(o, "ID", &id, NULL);
	(void)net_json_string(o, "Type", &type, NULL);
	(void)net_json_number(o, "NamespaceId", UINT32_MAX, &number, NULL);
	(void)net_json_string(net_json_get(o, "Cowherd"), "Path", &path, NULL);
	for (size_t i = 0; i < plug_json_length(resources); i++) {
		kind = "";
		(void)net_json_string(json_object_array_get_idx(resources, i), "Type", &kind, NULL);
		endpoints += !strcmp(kind, "Endpoint");
		containers += !strcmp(kind, "Container");
	}
	(void)snprintf(shorter, sizeof(shorter), "%.12s", id);
	net_json_add_string(&out, "ID", plug_run_flag(run, "no-trunc") ? id : shorter);
	net_json_add_string(&out, "Type", type);
	(void)snprintf(text, sizeof(text), "%u", (unsigned)number);
	net_json_add(&out, "Number", json_object_new_string(text));
	(void)snprintf(text, sizeof(text), "%zu", endpoints);
	net_json_add(&out, "Endpoints", json_object_new_string(text));
	(void)snprintf(text, sizeof(text), "%zu", containers);
	net_json_add(&out, "Containers", json_object_new_string(text));
	net_json_add(&out, "Path", json_object_new_string(path));
	if (!out)
		(void)plug_error_errno(&run->error, -ENOMEM, "namespace ls");
	if (out && net_command_filtered(run, "id type", out))
		return out;
	json_object_put(out);
	return NULL;
}

static int namespace_ls(struct plug_run *run)
{
	return plug_run_value(run, "query") ? net_command_query(run, NET_NAMESPACES)
					   : net_command_ls(run, NET_NAMESPACES, columns, row);
}

static int namespace_inspect(struct plug_run *run)
{
	return net_command_inspect(run, NET_NAMESPACES);
}

static int namespace_modify(struct plug_run *run)
{
	return net_command_modify(run, NET_NAMESPACES);
}

static int namespace_rm(struct plug_run *run)
{
	return net_command_rm(run, net_api_namespace_remove);
}

static int namespace_add(struct plug_run *run)
{
	struct net_api api;
	int r = net_command_api(run, &api);

	return r ?: net_api_namespace_add(&api, run->words[0], false, run->words[1], &run->error);
}

static int namespace_remove(struct plug_run *run)
{
	struct net_api api;
	int r = net_command_api(run, &api);

	return r ?: net_api_namespace_drop(&api, run->words[0], false, run->words[1], &run->error);
}

static int namespace_sync(struct plug_run *run)
{
	struct net_api api;
	int r = net_command_api(run, &api);

	return r ?: net_api_namespace_sync(&api, run->words[0], &run->error);
}

static const struct plug_word words[] = {
	{ "create", "", "Make a namespace", NULL, create_options, 0, 0, namespace_create },
	{ "ls", "", "List namespaces", NULL, ls_options, 0, 0, namespace_ls },
	{ "inspect", "NAMESPACE...", "Show all about namespaces, as JSON", NULL, net_inspect_options, 1,
	  SIZE_MAX, namespace_inspect },
	{ "modify", "NAMESPACE JSON|-", "Change a namespace by HCN's modify request", NULL, none, 2, 2,
	  namespace_modify },
	{ "add", "NAMESPACE ENDPOINT", "Plug an endpoint in", NULL, none, 2, 2, namespace_add },
	{ "remove", "NAMESPACE ENDPOINT", "Unplug an endpoint", NULL, none, 2, 2, namespace_remove },
	{ "sync", "NAMESPACE", "Bring a guest's namespace in step with its virtual machine", NULL, none, 1,
	  1, namespace_sync },
	{ "rm", "NAMESPACE...", "Remove namespaces that no container is in", NULL, net_rm_options, 1,
	  SIZE_MAX, namespace_rm },
	{ 0 },
};

static const char *const others[][2] = { { "list", "ls" }, { "show", "inspect" }, { NULL, NULL } };

const struct plug_verb net_namespace_verb = { .name = "namespace", .words = words, .others = others,
					   .end = net_command_end };
