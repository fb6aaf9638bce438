/* SPDX-License-Identifier: MIT */
/* Single members of policies. */
#include "policy/private.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

int net_policy_in(struct plug_error *err, int code, const char *key)
{
	char text[sizeof(err->text)];

	if (!err)
		return code;
	(void)snprintf(text, sizeof(text), "%s", err->text);
	return plug_error_set(err, code, "%s: %s", key, text);
}

int net_member_u16(struct json_object *o, const char *key, uint16_t *ret, struct plug_error *err)
{
	uint64_t n = *ret;
	int r = net_json_number(o, key, UINT16_MAX, &n, err);

	if (r == 0)
		*ret = (uint16_t)n;
	return r;
}

int net_member_u32(struct json_object *o, const char *key, uint32_t *ret, struct plug_error *err)
{
	uint64_t n = *ret;
	int r = net_json_number(o, key, UINT32_MAX, &n, err);

	if (r == 0)
		*ret = (uint32_t)n;
	return r;
}

int net_member_addr(struct json_object *o, const char *key, struct net_addr *ret,
		    struct plug_error *err)
{
	const char *text = NULL;
	int r = net_json_string(o, key, &text, err);

	if (r < 0 || !text || !*text)
		return r;
	if (net_addr_parse(text, ret) < 0)
		return plug_error_set(err, -EINVAL, "%s: \"%s\" is not an address", key, text);
	return 0;
}

int net_member_prefix(struct json_object *o, const char *key, struct net_addr *ret,
		      struct plug_error *err)
{
	const char *text = NULL;
	int r = net_json_string(o, key, &text, err);
	struct net_addr p;

	if (r < 0 || !text || !*text)
		return r;
	if (net_addr_parse_prefix(text, &p) < 0)
		return plug_error_set(err, -EINVAL, "%s: \"%s\" is not a prefix", key, text);
	p = net_addr_network(&p);
	*ret = p;
	return 0;
}

int net_member_mac(struct json_object *o, const char *key, struct net_mac *ret,
		   struct plug_error *err)
{
	const char *text = NULL;
	int r = net_json_string(o, key, &text, err);

	if (r < 0 || !text || !*text)
		return r;
	if (net_mac_parse(text, ret) < 0)
		return plug_error_set(err, -EINVAL, "%s: \"%s\" is not the address of an interface",
				      key, text);
	return 0;
}

int net_member_copy(struct json_object *o, const char *key, char **ret, struct plug_error *err)
{
	const char *text = NULL;
	int r = net_json_string(o, key, &text, err);
	char *copy;

	if (r < 0 || !text)
		return r;
	if (strlen(text) > 4096)
		return plug_error_set(err, -EINVAL, "%s: longer than 4096 bytes", key);
	copy = strdup(text);
	if (!copy)
		return plug_error_errno(err, -ENOMEM, "%s", key);
	free(*ret);
	*ret = copy;
	return 0;
}

int net_member_transport(struct json_object *o, const char *key, uint8_t *ret,
			 struct plug_error *err)
{
	struct json_object *v = net_json_get(o, key);
	_cleanup_free_ uint8_t *protocols = NULL;
	size_t count = 0;
	uint64_t n = 0;
	int r = 0;

	if (!v)
		return 0;
	if (json_object_is_type(v, json_type_string))
		r = net_list_protocols(json_object_get_string(v), key, &protocols, &count, err);
	else
		r = net_json_number(o, key, UINT8_MAX, &n, err);
	if (r < 0)
		return r;
	if (count == 1)
		n = protocols[0];
	if (n != IPPROTO_TCP && n != IPPROTO_UDP && n != IPPROTO_SCTP)
		return plug_error_set(err, -EINVAL, "%s: not tcp (6), udp (17) or sctp (132)", key);
	*ret = (uint8_t)n;
	return 0;
}

void net_put_number(struct json_object **o, const char *key, uint64_t n)
{
	if (n)
		net_json_add(o, key, json_object_new_uint64(n));
}

void net_put_bool(struct json_object **o, const char *key, bool b)
{
	if (b)
		net_json_add(o, key, json_object_new_boolean(true));
}

void net_put_addr(struct json_object **o, const char *key, const struct net_addr *a)
{
	char text[NET_ADDR_TEXT];

	net_addr_format(a, text);
	net_json_add_string(o, key, text);
}

void net_put_prefix(struct json_object **o, const char *key, const struct net_addr *p)
{
	char text[NET_ADDR_TEXT];

	if (!p->family)
		return;
	net_addr_format_prefix(p, text);
	net_json_add_string(o, key, text);
}

void net_put_mac(struct json_object **o, const char *key, const struct net_mac *m, char separator)
{
	char text[NET_MAC_TEXT];

	net_mac_format(m, separator, text);
	net_json_add_string(o, key, text);
}
