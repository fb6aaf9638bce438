/* SPDX-License-Identifier: MIT */
/* Proxies: internal/hns/hnspolicy.go (PROXY), hcn/hcnpolicy.go (L4Proxy, L4WFPPROXY). */
#include "policy/private.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

/* Ports are text here.  Absent or empty: 0. */
static int port_member(struct json_object *o, const char *key, uint16_t *ret, struct plug_error *err)
{
	struct json_object *v = net_json_get(o, key);

	if (json_object_is_type(v, json_type_string) && !json_object_get_string_len(v))
		return 0;
	return net_member_u16(o, key, ret, err);
}

/* Cuts ":80,443" off, and brackets out: without them the colons of an IPv6 address are its own. */
static const char *destination_split(char *text)
{
	char *at = strrchr(text, ':'), *to = text;
	const char *ports = NULL;

	if (at && !strchr(at, ']') && (strchr(text, ':') == at || text[0] == '[')) {
		*at = 0;
		ports = at + 1;
	}
	for (const char *from = text; *from; from++)
		if (*from != '[' && *from != ']')
			*to++ = *from;
	*to = 0;
	return ports;
}

/* "", "10.0.0.0/8", "10.0.0.0/8:80", "[fd00::]/64:80", ":80": what is diverted. */
static int destination_parse(struct json_object *o, struct net_policy_proxy *proxy,
			     struct plug_error *err)
{
	static const char key[] = "Destination";
	const char *text = NULL, *ports;
	_cleanup_free_ char *prefix = NULL;
	int r = net_json_string(o, key, &text, err);

	if (r < 0 || !text || !*text)
		return r;
	prefix = strdup(text);
	if (!prefix)
		return plug_error_errno(err, -ENOMEM, "%s", key);
	ports = destination_split(prefix);
	if (*prefix && net_addr_parse_prefix(prefix, &proxy->destination) < 0)
		return plug_error_set(err, -EINVAL, "%s: \"%s\" is not a prefix", key, text);
	if (*prefix)
		proxy->destination = net_addr_network(&proxy->destination);
	return ports ? net_list_ports(ports, key, &proxy->ports, &proxy->port_count, err) : 0;
}

static int proxy_parse(struct json_object *o, enum net_policy_shape shape, struct net_policy *p,
		       struct plug_error *err)
{
	struct net_policy_proxy *proxy = &p->proxy;
	bool hns = shape == NET_POLICY_HNS;
	int r = net_member_addr(o, "IP", &proxy->address, err);

	proxy->protocol = IPPROTO_TCP;
	r = r ?: port_member(o, "Port", &proxy->port, err);
	r = r ?: net_member_transport(o, "Protocol", &proxy->protocol, err);
	r = r	  ?:
		    net_list_prefixes_array(o, hns ? "ExceptionList" : "Exceptions",
					    &proxy->exceptions, err);
	r = r ?: destination_parse(o, proxy, err);
	r = r ?: net_json_bool(o, hns ? "OutboundNat" : "OutboundNAT", &proxy->outbound_nat, err);
	if (r < 0)
		return r;
	if (!proxy->port)
		return plug_error_set(err, -EINVAL, "Port: not a number from 1 to 65535");
	if (proxy->protocol == IPPROTO_SCTP)
		return plug_error_set(err, -EINVAL, "Protocol: not tcp (6) or udp (17)");
	return 0;
}

static void destination_print(struct json_object **o, const struct net_policy_proxy *proxy)
{
	_cleanup_text_ struct plug_text t = { 0 };
	char text[NET_ADDR_TEXT];

	if (proxy->destination.family == AF_INET6) {
		net_addr_format(&proxy->destination, text);
		plug_text_add(&t, "[%s]/%u", text, proxy->destination.prefix);
	} else if (proxy->destination.family) {
		net_addr_format_prefix(&proxy->destination, text);
		plug_text_add(&t, "%s", text);
	}
	for (size_t i = 0; i < proxy->port_count; i++) {
		plug_text_add(&t, "%c%u", i ? ',' : ':', proxy->ports[i].first);
		if (proxy->ports[i].last != proxy->ports[i].first)
			plug_text_add(&t, "-%u", proxy->ports[i].last);
	}
	net_json_add_string(o, "Destination", t.data);
}

static void port_print(struct json_object **o, const char *key, uint16_t port)
{
	char text[8];

	(void)snprintf(text, sizeof(text), "%u", port);
	if (port)
		net_json_add_string(o, key, text);
}

static void proxy_print(struct json_object **o, enum net_policy_shape shape,
			const struct net_policy *p)
{
	const struct net_policy_proxy *proxy = &p->proxy;
	bool hns = shape == NET_POLICY_HNS;

	net_put_addr(o, "IP", &proxy->address);
	port_print(o, "Port", proxy->port);
	if (!hns || proxy->protocol != IPPROTO_TCP)
		net_put_number(o, "Protocol", proxy->protocol);
	if (proxy->exceptions.count)
		net_json_add(o, hns ? "ExceptionList" : "Exceptions",
			     net_list_print_prefixes_array(&proxy->exceptions));
	destination_print(o, proxy);
	net_put_bool(o, hns ? "OutboundNat" : "OutboundNAT", proxy->outbound_nat);
}

const struct net_policy_codec net_codec_proxy = { proxy_parse, proxy_print };

static int exceptions_parse(struct json_object *o, const char *key, struct net_prefixes *addresses,
			    struct net_port_range **ports, size_t *count, struct plug_error *err)
{
	struct json_object *e = NULL;
	int r = net_json_object(o, key, &e, err);

	if (r < 0 || !e)
		return r;
	r = net_list_prefixes_array(e, "IpAddressExceptions", addresses, err);
	r = r ?: net_list_ports_array(e, "PortExceptions", ports, count, err);
	return r < 0 ? net_policy_in(err, r, key) : 0;
}

static void exceptions_print(struct json_object **o, const char *key,
			     const struct net_prefixes *addresses,
			     const struct net_port_range *ports, size_t count)
{
	struct json_object *e;

	if (!addresses->count && !count)
		return;
	e = json_object_new_object();
	if (addresses->count)
		net_json_add(&e, "IpAddressExceptions", net_list_print_prefixes_array(addresses));
	if (count)
		net_json_add(&e, "PortExceptions", net_list_print_ports_array(ports, count));
	net_json_add(o, key, e);
}

/* Of the five parts of a connection, those that a diverted one can be chosen by. */
static int tuple_parse(struct json_object *o, struct net_policy_proxy *proxy, struct plug_error *err)
{
	static const char key[] = "FilterTuple";
	struct json_object *t = NULL;
	const char *text = NULL, *protocols = NULL;
	int r = net_json_object(o, key, &t, err);

	if (r < 0 || !t)
		return r;
	r = net_json_string(t, "RemotePorts", &text, err);
	if (r == 0 && text)
		r = net_list_ports(text, "RemotePorts", &proxy->ports, &proxy->port_count, err);
	r = r ?: net_member_prefix(t, "RemoteAddresses", &proxy->destination, err);
	r = r ?: net_json_string(t, "Protocols", &protocols, err);
	if (r == 0 && protocols && *protocols)
		r = net_member_transport(t, "Protocols", &proxy->protocol, err);
	return r < 0 ? net_policy_in(err, r, key) : 0;
}

static int wfp_parse(struct json_object *o, enum net_policy_shape shape, struct net_policy *p,
		     struct plug_error *err)
{
	struct net_policy_proxy *proxy = &p->proxy;
	int r = port_member(o, "OutboundProxyPort", &proxy->port, err);

	(void)shape;
	proxy->wfp = true;
	proxy->protocol = IPPROTO_TCP;
	if (r == 0 && !proxy->port) /* its first version had one direction */
		r = port_member(o, "Port", &proxy->port, err);
	r = r ?: port_member(o, "InboundProxyPort", &proxy->inbound, err);
	r = r ?: tuple_parse(o, proxy, err);
	r = r ?: net_member_copy(o, "UserSID", &proxy->user, err);
	r = r	  ?:
		    exceptions_parse(o, "OutboundExceptions", &proxy->exceptions,
				     &proxy->port_exceptions, &proxy->port_exception_count, err);
	r = r	  ?:
		    exceptions_parse(o, "InboundExceptions", &proxy->inbound_exceptions,
				     &proxy->inbound_port_exceptions,
				     &proxy->inbound_port_exception_count, err);
	if (r < 0)
		return r;
	if (!proxy->port && !proxy->inbound)
		return plug_error_set(err, -EINVAL,
				      "OutboundProxyPort: missing, and InboundProxyPort too");
	return 0;
}

static void wfp_print(struct json_object **o, enum net_policy_shape shape,
		      const struct net_policy *p)
{
	const struct net_policy_proxy *proxy = &p->proxy;
	struct json_object *tuple = json_object_new_object();
	uint8_t protocol = proxy->protocol;

	(void)shape;
	port_print(o, "InboundProxyPort", proxy->inbound);
	port_print(o, "OutboundProxyPort", proxy->port);
	net_json_add(&tuple, "Protocols", net_list_print_protocols(&protocol, 1));
	net_put_prefix(&tuple, "RemoteAddresses", &proxy->destination);
	if (proxy->port_count)
		net_json_add(&tuple, "RemotePorts",
			     net_list_print_ports(proxy->ports, proxy->port_count));
	net_json_add(o, "FilterTuple", tuple);
	net_json_add_string(o, "UserSID", proxy->user);
	exceptions_print(o, "InboundExceptions", &proxy->inbound_exceptions,
			 proxy->inbound_port_exceptions, proxy->inbound_port_exception_count);
	exceptions_print(o, "OutboundExceptions", &proxy->exceptions, proxy->port_exceptions,
			 proxy->port_exception_count);
}

const struct net_policy_codec net_codec_proxy_wfp = { wfp_parse, wfp_print };
