/* SPDX-License-Identifier: MIT */
/* Ports, outgoing translation, bandwidth and routes: hcn/hcnpolicy.go, internal/hns/hnspolicy.go. */
#include "policy/private.h"

#include <netinet/in.h>
#include <string.h>
#include <strings.h>

static int port_parse(struct json_object *o, enum net_policy_shape shape, struct net_policy *p,
		      struct plug_error *err)
{
	struct net_policy_port *port = &p->port;
	int r;

	*port = (struct net_policy_port){ .protocol = IPPROTO_TCP, .count = 1 };
	(void)shape;
	r = net_member_transport(o, "Protocol", &port->protocol, err);
	r = r ?: net_member_u16(o, "InternalPort", &port->internal, err);
	r = r ?: net_member_u16(o, "ExternalPort", &port->external, err);
	r = r ?: net_member_u16(o, "Count", &port->count, err);
	r = r ?: net_member_addr(o, "VIP", &port->host, err);
	r = r ?: net_member_u32(o, "Flags", &port->flags, err);
	r = r ?: net_json_bool(o, "ExternalPortReserved", &port->reserved, err);
	if (r < 0)
		return r;
	if (!port->internal)
		return plug_error_set(err, -EINVAL, "InternalPort: not a number from 1 to 65535");
	if (!port->count || port->internal + port->count > 65536 ||
	    port->external + port->count > 65536)
		return plug_error_set(err, -EINVAL, "Count: goes beyond port 65535");
	if (port->flags & ~(NET_PORT_FLAG_LOCAL_VIP | NET_PORT_FLAG_IPV6))
		return plug_error_set(err, -EINVAL, "Flags: %u is not known", port->flags);
	if (port->host.family == AF_INET && port->flags & NET_PORT_FLAG_IPV6)
		return plug_error_set(err, -EINVAL, "VIP: an IPv4 address, but Flags says IPv6");
	return 0;
}

static void port_print(struct json_object **o, enum net_policy_shape shape,
		       const struct net_policy *p)
{
	const struct net_policy_port *port = &p->port;

	if (shape == NET_POLICY_HCN)
		net_put_number(o, "Protocol", port->protocol);
	else
		net_json_add_string(o, "Protocol",
				    port->protocol == IPPROTO_TCP ? "TCP" :
				    port->protocol == IPPROTO_UDP ? "UDP" :
								    "SCTP");
	net_put_number(o, "InternalPort", port->internal);
	net_put_number(o, "ExternalPort", port->external);
	if (port->count > 1)
		net_put_number(o, "Count", port->count);
	net_put_addr(o, "VIP", &port->host);
	net_put_number(o, "Flags", port->flags);
	net_put_bool(o, "ExternalPortReserved", port->reserved);
}

const struct net_policy_codec net_codec_port = { port_parse, port_print };

static int outbound_parse(struct json_object *o, enum net_policy_shape shape, struct net_policy *p,
			  struct plug_error *err)
{
	struct net_policy_outbound *out = &p->outbound;
	bool hns = shape == NET_POLICY_HNS;
	int r;

	r = net_member_addr(o, hns ? "VIP" : "VirtualIP", &out->vip, err);
	r = r	  ?:
		    net_list_prefixes_array(o, hns ? "ExceptionList" : "Exceptions",
					    &out->exceptions, err);
	r = r ?: net_list_prefixes_array(o, "Destinations", &out->destinations, err);
	r = r ?: net_member_u32(o, "Flags", &out->flags, err);
	return r ?: net_member_u16(o, "MaxPortPoolUsage", &out->max_port_pool, err);
}

static void outbound_print(struct json_object **o, enum net_policy_shape shape,
			   const struct net_policy *p)
{
	const struct net_policy_outbound *out = &p->outbound;
	bool hns = shape == NET_POLICY_HNS;

	net_put_addr(o, hns ? "VIP" : "VirtualIP", &out->vip);
	if (out->exceptions.count)
		net_json_add(o, hns ? "ExceptionList" : "Exceptions",
			     net_list_print_prefixes_array(&out->exceptions));
	if (out->destinations.count)
		net_json_add(o, "Destinations", net_list_print_prefixes_array(&out->destinations));
	net_put_number(o, "Flags", out->flags);
	net_put_number(o, "MaxPortPoolUsage", out->max_port_pool);
}

const struct net_policy_codec net_codec_outbound = { outbound_parse, outbound_print };

/* The kernel's token buckets know no more; nobody has such a link. */
#define QOS_MAX (UINT64_C(1) << 40)
/* Less than a packet of the smallest link a second is no network. */
#define QOS_MIN 576

static int qos_parse(struct json_object *o, enum net_policy_shape shape, struct net_policy *p,
		     struct plug_error *err)
{
	static const char out[] = "MaximumOutgoingBandwidthInBytes",
			  in[] = "MaximumIncomingBandwidthInBytes";
	struct net_policy_qos *qos = &p->qos;
	int r = net_json_number(o, out, QOS_MAX, &qos->out, err);

	(void)shape;
	r = r ?: net_json_number(o, in, QOS_MAX, &qos->in, err);
	if (r < 0)
		return r;
	if ((qos->out && qos->out < QOS_MIN) || (qos->in && qos->in < QOS_MIN))
		return plug_error_set(err, -EINVAL, "%s: less than %d",
				      qos->out && qos->out < QOS_MIN ? out : in, QOS_MIN);
	return 0;
}

static void qos_print(struct json_object **o, enum net_policy_shape shape,
		      const struct net_policy *p)
{
	(void)shape;
	net_json_add(o, "MaximumOutgoingBandwidthInBytes", json_object_new_uint64(p->qos.out));
	net_put_number(o, "MaximumIncomingBandwidthInBytes", p->qos.in);
}

const struct net_policy_codec net_codec_qos = { qos_parse, qos_print };

static int route_parse(struct json_object *o, enum net_policy_shape shape, struct net_policy *p,
		       struct plug_error *err)
{
	struct net_policy_route *route = &p->route;
	int r = net_member_prefix(o, "DestinationPrefix", &route->destination, err);

	(void)shape;
	r = r ?: net_member_addr(o, "NextHop", &route->next_hop, err);
	r = r ?: net_json_bool(o, "NeedEncap", &route->encap, err);
	if (r < 0)
		return r;
	if (!route->destination.family)
		return plug_error_set(err, -EINVAL, "DestinationPrefix: missing");
	if (route->next_hop.family && route->next_hop.family != route->destination.family)
		return plug_error_set(err, -EINVAL,
				      "NextHop: of another family than DestinationPrefix");
	return 0;
}

static void route_print(struct json_object **o, enum net_policy_shape shape,
			const struct net_policy *p)
{
	(void)shape;
	net_put_prefix(o, "DestinationPrefix", &p->route.destination);
	net_put_addr(o, "NextHop", &p->route.next_hop);
	net_put_bool(o, "NeedEncap", p->route.encap);
}

const struct net_policy_codec net_codec_route = { route_parse, route_print };

static int remote_parse(struct json_object *o, enum net_policy_shape shape, struct net_policy *p,
			struct plug_error *err)
{
	struct net_policy_route *route = &p->route;
	int r = net_member_prefix(o, "DestinationPrefix", &route->destination, err);

	(void)shape;
	route->remote = true;
	r = r ?: net_member_u32(o, "IsolationId", &route->isolation, err);
	r = r ?: net_member_addr(o, "ProviderAddress", &route->provider, err);
	r = r ?: net_member_mac(o, "DistributedRouterMacAddress", &route->router, err);
	if (r < 0)
		return r;
	if (!route->destination.family)
		return plug_error_set(err, -EINVAL, "DestinationPrefix: missing");
	if (!route->provider.family)
		return plug_error_set(err, -EINVAL, "ProviderAddress: missing");
	if (route->isolation > 0xffffff)
		return plug_error_set(err, -EINVAL, "IsolationId: not a number from 0 to 16777215");
	return 0;
}

static void remote_print(struct json_object **o, enum net_policy_shape shape,
			 const struct net_policy *p)
{
	(void)shape;
	net_put_prefix(o, "DestinationPrefix", &p->route.destination);
	net_put_number(o, "IsolationId", p->route.isolation);
	net_put_addr(o, "ProviderAddress", &p->route.provider);
	net_put_mac(o, "DistributedRouterMacAddress", &p->route.router, '-');
}

const struct net_policy_codec net_codec_remote_route = { remote_parse, remote_print };
