/* SPDX-License-Identifier: MIT */
#include "spec/network.h"

#include "base/cleanup.h"
#include "spec/values.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_LEN 255

void cow_network_finish(struct cow_network_option *option)
{
	free(option->of);
	option->of = NULL;
}

/* [A-Za-z0-9][A-Za-z0-9_.-]*, then nothing or ":KEY=VALUE,…". */
static bool is_name(const char *text)
{
	size_t n = strcspn(text, ":");

	if (!isalnum((unsigned char)*text) || n > NAME_MAX_LEN)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)text[i]) && !strchr("_.-", text[i]))
			return false;
	return !text[n] || strchr(text + n, '=');
}

static bool is_address(const char *text)
{
	struct in6_addr a;

	return inet_pton(AF_INET, text, &a) == 1 || inet_pton(AF_INET6, text, &a) == 1;
}

static bool is_v4(const char *text)
{
	struct in_addr a;

	return inet_pton(AF_INET, text, &a) == 1;
}

static bool is_v6(const char *text)
{
	return is_address(text) && !is_v4(text);
}

/* "02:00:00:00:00:01" or, as Windows writes it, with dashes. */
static bool is_mac(const char *text)
{
	for (int i = 0; i < 17; i++)
		if (i % 3 == 2 ? text[i] != text[2] || !strchr(":-", text[i]) :
				 !isxdigit((unsigned char)text[i]))
			return false;
	return !text[17];
}

/* "N" or "N-M" of len bytes: how many, 0: it is none. */
static long span(const char *text, size_t len)
{
	char copy[16], *end;
	long first, last;

	if (!len || len >= sizeof(copy) || !isdigit((unsigned char)*text))
		return 0;
	memcpy(copy, text, len);
	copy[len] = '\0';
	first = last = strtol(copy, &end, 10);
	if (*end == '-' && isdigit((unsigned char)end[1]))
		last = strtol(end + 1, &end, 10);
	if (*end || last > 65535 || last < first)
		return 0;
	return last - first + 1;
}

/* "127.0.0.1", "[::1]" */
static bool is_host_address(const char *text, size_t len)
{
	bool brackets = len > 2 && *text == '[' && text[len - 1] == ']';
	_cleanup_free_ char *address =
		brackets ? strndup(text + 1, len - 2) : strndup(text, len);

	return address && (brackets ? is_v6(address) : is_v4(address));
}

/* As many as of the container's; one of these may have its choice. */
static bool fits(long host, long inside)
{
	return host && (host == inside || inside == 1);
}

/* [[HOSTIP:]HOSTPORT[-END]:]PORT[-END][/tcp|udp|sctp]; an IPv6 address stands in brackets. */
static bool is_port(const char *text)
{
	size_t len = strcspn(text, "/");
	const char *protocol = text[len] ? text + len + 1 : "tcp", *inside, *from, *host;
	long n;

	if (strcasecmp(protocol, "tcp") && strcasecmp(protocol, "udp") && strcasecmp(protocol, "sctp"))
		return false;
	inside = memrchr(text, ':', len);
	from = inside ? inside + 1 : text;
	n = span(from, len - (size_t)(from - text));
	if (!n || !inside)
		return n > 0;
	host = memrchr(text, ':', (size_t)(inside - text));
	from = host ? host + 1 : text;
	/* An empty one, "IP::PORT": any that is free. */
	if (inside == from)
		return host && is_host_address(text, (size_t)(host - text));
	return fits(span(from, (size_t)(inside - from)), n) &&
	       (!host || is_host_address(text, (size_t)(host - text)));
}

static bool is_any(const char *text)
{
	return *text != '\0';
}

/* "NAME:ADDRESS" or "NAME=ADDRESS"; ADDRESS may be host-gateway. */
static bool is_host(const char *text)
{
	size_t n = strcspn(text, ":=");

	return n && text[n] && text[n + 1];
}

static const struct {
	const char *key, *what;
	bool (*check)(const char *text);
	bool many;
	bool own; /* asks for an endpoint of its own */
} members[] = {
	{ "networks", "a network's NAME[:KEY=VALUE,…]", is_name, true, true },
	{ "ports", "[[HOSTIP:]HOSTPORT[-END]:]PORT[-END][/tcp|udp|sctp]", is_port, true, true },
	{ "network_alias", "a name", is_name, true, true },
	{ "ip", "an IPv4 address", is_v4, false, true },
	{ "ip6", "an IPv6 address", is_v6, false, true },
	{ "mac_address", "six bytes like 02:00:00:00:00:01", is_mac, false, true },
	{ "dns", "an address", is_address, true, false },
	{ "dns_search", "a domain", is_any, true, false },
	{ "dns_option", "an option of resolv.conf", is_any, true, false },
	{ "add_host", "NAME:ADDRESS", is_host, true, false },
};

static int check_text(const struct cow_json *at, size_t i, struct cow_error *err)
{
	if (!json_object_is_type(at->value, json_type_string))
		return cow_json_fail(at, err, -EINVAL, "not a string");
	if (!members[i].check(json_object_get_string(at->value)))
		return cow_json_fail(at, err, -EINVAL, "\"%.80s\" is not %s",
				     json_object_get_string(at->value), members[i].what);
	return 0;
}

static int check_member(const struct cow_json *at, size_t i, struct cow_error *err)
{
	struct cow_json element;
	int r;

	if (!members[i].many)
		return check_text(at, i, err);
	r = cow_json_is_array(at, err);
	for (size_t n = 0; r == 0 && cow_json_element(at, n, &element); n++)
		r = check_text(&element, i, err);
	return r;
}

/* COW_NETWORK_AS_SPEC: it is none of them.  of: what stands behind the colon, or NULL. */
static enum cow_network mode_of(const char *text, const char **of)
{
	*of = NULL;
	if (strcmp(text, "none") == 0)
		return COW_NETWORK_NONE;
	if (strcmp(text, "host") == 0)
		return COW_NETWORK_HOST;
	if (strncmp(text, "container:", 10) == 0 && text[10]) {
		*of = text + 10;
		return COW_NETWORK_CONTAINER;
	}
	if (strncmp(text, "ns:/", 4) == 0) {
		*of = text + 3;
		return COW_NETWORK_PATH;
	}
	return is_name(text) ? COW_NETWORK_PLUGIN : COW_NETWORK_AS_SPEC;
}

static int take_mode(const struct cow_json *at, struct cow_network_option *o, struct cow_error *err)
{
	struct cow_json child = { .parent = at, .key = "network" };
	const char *text = NULL, *of;
	int r = cow_json_get_string(at, "network", &text, err);

	if (r < 0 || !text)
		return r;
	o->mode = mode_of(text, &of);
	if (o->mode == COW_NETWORK_AS_SPEC)
		return cow_json_fail(&child, err, -EINVAL,
				     "\"%.80s\" is not none, host, container:NAME, ns:/PATH or a "
				     "network's NAME[:KEY=VALUE,…]",
				     text);
	if (of && !(o->of = strdup(of)))
		return cow_error_errno(err, -ENOMEM, "network");
	return 0;
}

/* One of the members above, whose value is at. */
static int take_member(const struct cow_json *at, size_t i, bool named, struct cow_network_option *o,
		       struct cow_error *err)
{
	bool own = o->mode == COW_NETWORK_AS_SPEC || o->mode == COW_NETWORK_PLUGIN, list = i == 0;
	int r = check_member(at, i, err);

	if (r < 0)
		return r;
	if (!own && (members[i].own || o->mode == COW_NETWORK_CONTAINER))
		return cow_json_fail(at, err, -EINVAL, "goes with a network of its own only");
	if (list && named)
		return cow_json_fail(at, err, -EINVAL, "there is \"network\" already");
	o->plugin = true;
	if (list && json_object_array_length(at->value))
		o->mode = COW_NETWORK_PLUGIN;
	return 0;
}

int cow_network_parse(const struct cow_json *at, struct cow_network_option *ret,
		      struct cow_error *err)
{
	bool all = false, named;
	struct cow_json child;
	int r = take_mode(at, ret, err);

	named = ret->mode != COW_NETWORK_AS_SPEC;
	ret->plugin = ret->mode == COW_NETWORK_PLUGIN;
	for (size_t i = 0; r == 0 && i < COW_ELEMENTS(members); i++)
		if (cow_json_member(at, members[i].key, &child))
			r = take_member(&child, i, named, ret, err);
	if (r == 0)
		r = cow_json_get_bool(at, "publish_all", &all, err);
	if (r == 0 && all && ret->mode != COW_NETWORK_AS_SPEC && ret->mode != COW_NETWORK_PLUGIN) {
		child = (struct cow_json){ .parent = at, .key = "publish_all" };
		r = cow_json_fail(&child, err, -EINVAL, "goes with a network of its own only");
	}
	ret->plugin = ret->plugin || all;
	return r;
}
