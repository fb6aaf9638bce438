/* SPDX-License-Identifier: MIT */
#include "cni/internal.h"

#include <string.h>

/* The strings of an array, borrowed from it; what is none is passed over. */
static const char **strings_of(struct json_object *array)
{
	size_t n = array ? json_object_array_length(array) : 0, k = 0;
	const char **strings = calloc(n + 1, sizeof(*strings));

	for (size_t i = 0; strings && i < n; i++) {
		struct json_object *o = json_object_array_get_idx(array, i);

		if (json_object_is_type(o, json_type_string))
			strings[k++] = json_object_get_string(o);
	}
	return strings;
}

static int interfaces_read(struct net_cni_result *result, struct plug_error *err)
{
	struct json_object *array = cni_get(result->json, "interfaces", json_type_array);
	size_t n = array ? json_object_array_length(array) : 0;

	result->interfaces = calloc(n + 1, sizeof(*result->interfaces));
	if (!result->interfaces)
		return plug_error_errno(err, -ENOMEM, "cni");
	for (size_t i = 0; i < n; i++) {
		struct json_object *o = json_object_array_get_idx(array, i);
		const char *sandbox = cni_string(o, "sandbox");

		result->interfaces[i] = (struct net_cni_interface){
			.name = cni_string(o, "name"),
			.mac = cni_string(o, "mac"),
			.sandbox = sandbox && *sandbox ? sandbox : NULL,
		};
		if (!result->interfaces[i].name)
			return plug_error_set(err, -EBADMSG, "interfaces/%zu: name is missing", i);
	}
	result->interface_count = n;
	return 0;
}

static int ips_read(struct net_cni_result *result, struct plug_error *err)
{
	struct json_object *array = cni_get(result->json, "ips", json_type_array);
	size_t n = array ? json_object_array_length(array) : 0;

	result->ips = calloc(n + 1, sizeof(*result->ips));
	if (!result->ips)
		return plug_error_errno(err, -ENOMEM, "cni");
	for (size_t i = 0; i < n; i++) {
		struct json_object *o = json_object_array_get_idx(array, i);
		struct json_object *index = cni_get(o, "interface", json_type_int);
		int at = index ? json_object_get_int(index) : -1;

		result->ips[i] = (struct net_cni_ip){ .address = cni_string(o, "address"),
						      .gateway = cni_string(o, "gateway"),
						      .interface = at };
		if (!result->ips[i].address)
			return plug_error_set(err, -EBADMSG, "ips/%zu: address is missing", i);
		if (index && (at < 0 || (size_t)at >= result->interface_count))
			return plug_error_set(err, -EBADMSG, "ips/%zu: there is no interface %d", i, at);
	}
	result->ip_count = n;
	return 0;
}

void net_cni_result_free(struct net_cni_result *result)
{
	if (!result)
		return;
	free(result->interfaces);
	free(result->ips);
	free(result->servers);
	free(result->search);
	free(result->options);
	json_object_put(result->json);
	free(result);
}

int cni_result_make(struct json_object *json, struct net_cni_result **ret, struct plug_error *err)
{
	struct net_cni_result *result = calloc(1, sizeof(*result));
	struct json_object *dns = cni_get(json, "dns", json_type_object);
	int r;

	if (!result)
		return plug_error_errno(err, -ENOMEM, "cni");
	result->json = json_object_get(json);
	result->servers = strings_of(cni_get(dns, "nameservers", json_type_array));
	result->search = strings_of(cni_get(dns, "search", json_type_array));
	result->options = strings_of(cni_get(dns, "options", json_type_array));
	result->domain = cni_string(dns, "domain");
	if (result->domain && !*result->domain)
		result->domain = NULL;
	r = result->servers && result->search && result->options ? interfaces_read(result, err)
								 : plug_error_errno(err, -ENOMEM, "cni");
	if (r == 0)
		r = ips_read(result, err);
	if (r < 0) {
		net_cni_result_free(result);
		return r;
	}
	*ret = result;
	return 0;
}
