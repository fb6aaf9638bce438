/* SPDX-License-Identifier: MIT */
#include "model/parts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define LIST_MAX 4096 /* of anything in an object */
#define TEXT_MAX 4096

int net_part_of(struct plug_error *err, int code, const char *kind)
{
	char text[sizeof(err->text)];

	if (!err)
		return code;
	(void)snprintf(text, sizeof(text), "%s", err->text);
	return plug_error_set(err, code, "%s: %.440s", kind, text);
}

static int missing(struct plug_error *err, const char *key)
{
	return plug_error_errno(err, -ENOMEM, "%s", key);
}

int net_part_id(struct json_object *o, const char *key, char ret[NET_ID_SIZE], struct plug_error *err)
{
	const char *text = NULL;
	int r = net_json_string(o, key, &text, err);

	if (r < 0 || !text || !*text)
		return r;
	if (net_id_parse(text, ret) < 0)
		return plug_error_set(err, -EINVAL, "%s: \"%.64s\" is not a GUID", key, text);
	return 0;
}

int net_part_copy(struct json_object *o, const char *key, char **ret, struct plug_error *err)
{
	const char *text = NULL;
	char *copy;
	int r = net_json_string(o, key, &text, err);

	if (r < 0 || !text || !*text)
		return r;
	if (strlen(text) > TEXT_MAX)
		return plug_error_set(err, -EINVAL, "%s: too long", key);
	copy = strdup(text);
	if (!copy)
		return missing(err, key);
	free(*ret);
	*ret = copy;
	return 0;
}

int net_part_name(struct json_object *o, char **ret, struct plug_error *err)
{
	int r = net_part_copy(o, "Name", ret, err);

	if (r < 0 || !*ret)
		return r;
	if (strlen(*ret) > NET_NAME_MAX)
		return plug_error_set(err, -EINVAL, "Name: longer than %d bytes", NET_NAME_MAX);
	for (const char *p = *ret; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f || *p == '/')
			return plug_error_set(err, -EINVAL, "Name: has control characters or \"/\"");
	return 0;
}

int net_part_addr(struct json_object *o, const char *key, struct net_addr *ret, struct plug_error *err)
{
	const char *text = NULL;
	int r = net_json_string(o, key, &text, err);

	/* "<nil>" is how Go prints no address, and clients send it. */
	if (r < 0 || !text || !*text || !strcmp(text, "<nil>"))
		return r;
	if (net_addr_parse(text, ret) < 0)
		return plug_error_set(err, -EINVAL, "%s: \"%.64s\" is not an address", key, text);
	return 0;
}

int net_part_mac(struct json_object *o, const char *key, struct net_mac *ret, struct plug_error *err)
{
	const char *text = NULL;
	int r = net_json_string(o, key, &text, err);

	if (r < 0 || !text || !*text)
		return r;
	if (net_mac_parse(text, ret) < 0)
		return plug_error_set(err, -EINVAL, "%s: \"%.64s\" is not a MAC address of one card", key,
				      text);
	return 0;
}

int net_part_u32(struct json_object *o, const char *key, uint32_t *ret, struct plug_error *err)
{
	uint64_t n = *ret;
	int r = net_json_number(o, key, UINT32_MAX, &n, err);

	if (r == 0)
		*ret = (uint32_t)n;
	return r;
}

int net_part_u16(struct json_object *o, const char *key, uint16_t *ret, struct plug_error *err)
{
	uint64_t n = *ret;
	int r = net_json_number(o, key, UINT16_MAX, &n, err);

	if (r == 0)
		*ret = (uint16_t)n;
	return r;
}

int net_part_strings(struct json_object *o, const char *key, struct net_strv *ret,
		     struct plug_error *err)
{
	struct json_object *list = NULL;
	int r = net_json_array(o, key, &list, err);

	if (r == 0 && plug_json_length(list) > LIST_MAX)
		return plug_error_set(err, -E2BIG, "%s: more than %d", key, LIST_MAX);
	for (size_t i = 0; r == 0 && i < plug_json_length(list); i++) {
		struct json_object *v = json_object_array_get_idx(list, i);
		const char *text = json_object_get_string(v);

		if (!json_object_is_type(v, json_type_string) || strlen(text) > TEXT_MAX ||
		    strlen(text) != (size_t)json_object_get_string_len(v))
			r = plug_error_set(err, -EINVAL, "%s: not a list of strings", key);
		else if (net_strv_add(ret, text) < 0)
			r = missing(err, key);
	}
	return r;
}

int net_part_commas(struct json_object *o, const char *key, struct net_strv *ret, struct plug_error *err)
{
	const char *text = NULL;
	int r = net_json_string(o, key, &text, err);

	for (size_t count = 0; r == 0 && text && *text;) {
		size_t n = strcspn(text, ","), blanks = strspn(text, " ");
		char one[256];

		if (n > sizeof(one) || ++count > LIST_MAX)
			return plug_error_set(err, -EINVAL, "%s: too long", key);
		(void)snprintf(one, sizeof(one), "%.*s", blanks < n ? (int)(n - blanks) : 0,
			       text + blanks);
		if (*one && net_strv_add(ret, one) < 0)
			r = missing(err, key);
		text += n + (text[n] == ',');
	}
	return r;
}

int net_part_ids(struct json_object *o, const char *key, struct net_strv *ret, struct plug_error *err)
{
	int r = net_part_strings(o, key, ret, err);

	for (size_t i = 0; r == 0 && i < ret->count; i++) {
		const char *slash = strrchr(ret->items[i], '/');
		char id[NET_ID_SIZE], *copy;

		if (net_id_parse(slash ? slash + 1 : ret->items[i], id) < 0)
			return plug_error_set(err, -EINVAL, "%s: \"%.64s\" is not a GUID", key,
					      ret->items[i]);
		copy = strdup(id);
		if (!copy)
			return missing(err, key);
		free(ret->items[i]);
		ret->items[i] = copy;
	}
	return r;
}

int net_part_servers_check(const struct net_strv *servers, const char *key, struct plug_error *err)
{
	struct net_addr a;

	for (size_t i = 0; i < servers->count; i++)
		if (net_addr_parse(servers->items[i], &a) < 0)
			return plug_error_set(err, -EINVAL, "%s: \"%.64s\" is not an address", key,
					      servers->items[i]);
	return 0;
}

int net_part_link(struct json_object *o, const char *key, char ret[NET_LINK_SIZE],
		  struct plug_error *err)
{
	const char *text = NULL;
	int r = net_json_string(o, key, &text, err);

	if (r < 0 || !text)
		return r;
	if (strlen(text) >= NET_LINK_SIZE || strpbrk(text, "/ \t\n:") || !strcmp(text, ".") ||
	    !strcmp(text, ".."))
		return plug_error_set(err, -EINVAL, "%s: \"%.64s\" is not a link's name", key, text);
	(void)snprintf(ret, NET_LINK_SIZE, "%s", text);
	return 0;
}

static uint64_t mac_number(const struct net_mac *m)
{
	uint64_t n = 0;

	for (size_t i = 0; i < 6; i++)
		n = n << 8 | m->bytes[i];
	return n;
}

int net_part_ranges(struct json_object *list, struct net_network *n, struct plug_error *err)
{
	size_t count = plug_json_length(list);
	int r = 0;

	if (!count)
		return 0;
	if (count > LIST_MAX)
		return plug_error_set(err, -E2BIG, "MAC ranges: more than %d", LIST_MAX);
	n->macs = calloc(count, sizeof(*n->macs));
	if (!n->macs)
		return missing(err, "MAC ranges");
	for (; r == 0 && n->mac_count < count; n->mac_count++) {
		struct json_object *one = json_object_array_get_idx(list, n->mac_count);
		struct net_mac_range *range = &n->macs[n->mac_count];

		r = net_part_mac(one, "StartMacAddress", &range->first, err);
		if (r == 0)
			r = net_part_mac(one, "EndMacAddress", &range->last, err);
		if (r == 0 && (!range->first.set || !range->last.set ||
			       mac_number(&range->first) > mac_number(&range->last)))
			r = plug_error_set(err, -EINVAL,
					   "MAC ranges: StartMacAddress is not below EndMacAddress");
	}
	return r;
}

int net_part_subnet_add(struct net_network *n, const struct net_subnet *subnet, struct plug_error *err)
{
	char text[NET_ADDR_TEXT], address[NET_ADDR_TEXT];
	struct net_subnet *grown;

	net_addr_format_prefix(&subnet->prefix, text);
	net_addr_format(&subnet->gateway, address);
	if (subnet->gateway.family && !net_addr_contains(&subnet->prefix, &subnet->gateway))
		return plug_error_set(err, -EINVAL, "subnet %s: the gateway %s is not in it", text, address);
	for (size_t i = 0; i < n->subnet_count; i++)
		if (net_addr_overlaps(&n->subnets[i].prefix, &subnet->prefix))
			return plug_error_set(err, -EINVAL, "subnet %s: overlaps another of the network",
					      text);
	if (n->subnet_count >= LIST_MAX)
		return plug_error_set(err, -E2BIG, "subnets: more than %d", LIST_MAX);
	grown = reallocarray(n->subnets, n->subnet_count + 1, sizeof(*grown));
	if (!grown)
		return missing(err, "subnets");
	n->subnets = grown;
	n->subnets[n->subnet_count] = *subnet;
	n->subnets[n->subnet_count++].prefix = net_addr_network(&subnet->prefix);
	return 0;
}

/* printing */

struct json_object *net_print_strings(const struct net_strv *v)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < v->count; i++)
		net_json_append(&list, json_object_new_string(v->items[i]));
	return list;
}

struct json_object *net_print_commas(const struct net_strv *v)
{
	struct json_object *o = NULL;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	for (size_t i = 0; out && i < v->count; i++)
		(void)fprintf(out, "%s%s", i ? "," : "", v->items[i]);
	if (out && fclose(out) == 0)
		o = json_object_new_string(text);
	free(text);
	return o;
}

void net_print_addr(struct json_object **o, const char *key, const struct net_addr *a)
{
	char text[NET_ADDR_TEXT];

	net_addr_format(a, text);
	net_json_add_string(o, key, text);
}

void net_print_prefix(struct json_object **o, const char *key, const struct net_addr *p)
{
	char text[NET_ADDR_TEXT];

	net_addr_format_prefix(p, text);
	net_json_add_string(o, key, text);
}

void net_print_mac(struct json_object **o, const char *key, const struct net_mac *m)
{
	char text[NET_MAC_TEXT];

	net_mac_format(m, '-', text);
	net_json_add_string(o, key, text);
}

struct json_object *net_print_ranges(const struct net_network *n)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < n->mac_count; i++) {
		struct json_object *one = json_object_new_object();

		net_print_mac(&one, "StartMacAddress", &n->macs[i].first);
		net_print_mac(&one, "EndMacAddress", &n->macs[i].last);
		net_json_append(&list, one);
	}
	return list;
}

struct json_object *net_print_id(const char *key, const char *id)
{
	struct json_object *o = json_object_new_object();

	net_json_add_string(&o, key, id);
	return o;
}
