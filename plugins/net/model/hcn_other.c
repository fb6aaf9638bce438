/* SPDX-License-Identifier: MIT */
/* HostComputeLoadBalancer and HostComputeRoute. */
#include "model/parts.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

/* 6, 17, "TCP", "udp": HNS and HCN differ. */
static int protocol_parse(struct json_object *o, uint8_t *ret, struct plug_error *err)
{
	struct json_object *v = net_json_get(o, "Protocol");
	const char *text = json_object_is_type(v, json_type_string) ? json_object_get_string(v) : "";
	uint64_t n = 0;

	if (!strcasecmp(text, "tcp"))
		n = IPPROTO_TCP;
	else if (!strcasecmp(text, "udp"))
		n = IPPROTO_UDP;
	else if (net_json_number(o, "Protocol", 255, &n, err) < 0)
		return -EINVAL;
	if (n != IPPROTO_TCP && n != IPPROTO_UDP)
		return plug_error_set(err, -EINVAL, "Protocol: not 6 (tcp) or 17 (udp)");
	*ret = (uint8_t)n;
	return 0;
}

static int port_parse(struct json_object *o, struct net_balancer_port *port, struct plug_error *err)
{
	int r = protocol_parse(o, &port->protocol, err);

	if (r == 0)
		r = net_part_u16(o, "InternalPort", &port->internal, err);
	if (r == 0)
		r = net_part_u16(o, "ExternalPort", &port->external, err);
	if (r == 0 && (!port->internal || !port->external))
		r = plug_error_set(err, -EINVAL, "%s: not a number from 1 to 65535",
				   port->internal ? "ExternalPort" : "InternalPort");
	if (r == 0)
		r = net_part_u32(o, "DistributionType", &port->distribution, err);
	if (r == 0 && port->distribution > 2)
		r = plug_error_set(err, -EINVAL, "DistributionType: not 0, 1 or 2");
	return r ?: net_part_u32(o, "Flags", &port->flags, err);
}

int net_part_balancer_port(struct json_object *o, struct net_balancer *b, struct plug_error *err)
{
	struct net_balancer_port port = { 0 }, *grown;
	int r = port_parse(o, &port, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < b->port_count; i++)
		if (b->ports[i].protocol == port.protocol && b->ports[i].external == port.external)
			return plug_error_set(err, -EEXIST, "ExternalPort: %u is there twice",
					      port.external);
	grown = reallocarray(b->ports, b->port_count + 1, sizeof(*grown));
	if (!grown)
		return plug_error_errno(err, -ENOMEM, "PortMappings");
	b->ports = grown;
	b->ports[b->port_count++] = port;
	return 0;
}

int net_part_vips(struct json_object *o, const char *key, struct net_balancer *b, struct plug_error *err)
{
	struct net_strv texts = { 0 };
	int r = net_part_strings(o, key, &texts, err);

	for (size_t i = 0; r == 0 && i < texts.count; i++) {
		struct net_addr vip, *grown;

		if (net_addr_parse(texts.items[i], &vip) < 0) {
			r = plug_error_set(err, -EINVAL, "%s: \"%.64s\" is not an address", key,
					   texts.items[i]);
			break;
		}
		for (size_t k = 0; k < b->vip_count && vip.family; k++)
			if (net_addr_same(&b->vips[k], &vip))
				vip.family = 0; /* another policy of the list said it, too */
		if (!vip.family)
			continue;
		grown = reallocarray(b->vips, b->vip_count + 1, sizeof(*grown));
		if (!grown) {
			r = plug_error_errno(err, -ENOMEM, "%s", key);
			break;
		}
		b->vips = grown;
		b->vips[b->vip_count++] = vip;
	}
	net_strv_finish(&texts);
	return r;
}

static int balancer_parse(struct json_object *o, struct net_balancer *b, struct plug_error *err)
{
	struct json_object *ports = NULL;
	int r = net_part_id(o, "ID", b->id, err);

	if (r == 0)
		r = net_part_ids(o, "HostComputeEndpoints", &b->endpoints, err);
	if (r == 0)
		r = net_part_addr(o, "SourceVIP", &b->source_vip, err);
	if (r == 0)
		r = net_part_vips(o, "FrontendVIPs", b, err);
	if (r == 0)
		r = net_json_array(o, "PortMappings", &ports, err);
	if (r == 0 && plug_json_length(ports) > 4096)
		r = plug_error_set(err, -E2BIG, "PortMappings: more than 4096");
	for (size_t i = 0; r == 0 && i < plug_json_length(ports); i++) {
		r = net_part_balancer_port(json_object_array_get_idx(ports, i), b, err);
		if (r < 0)
			(void)net_part_of(err, r, "PortMappings");
	}
	return r ?: net_part_u32(o, "Flags", &b->flags, err);
}

int net_hcn_balancer_parse(struct json_object *o, struct net_balancer **ret, struct plug_error *err)
{
	struct net_balancer *b = calloc(1, sizeof(*b));
	int r = b ? balancer_parse(o, b, err) : plug_error_errno(err, -ENOMEM, "load balancer");

	if (r < 0) {
		net_balancer_free(b);
		return net_part_of(err, r, "load balancer");
	}
	*ret = b;
	return 0;
}

struct json_object *net_print_vips(const struct net_balancer *b)
{
	struct json_object *list = json_object_new_array();
	char text[NET_ADDR_TEXT];

	for (size_t i = 0; i < b->vip_count; i++) {
		net_addr_format(&b->vips[i], text);
		net_json_append(&list, json_object_new_string(text));
	}
	return list;
}

struct json_object *net_hcn_balancer_print(const struct net_balancer *b)
{
	struct json_object *o = json_object_new_object(), *ports = json_object_new_array();

	for (size_t i = 0; i < b->port_count; i++) {
		struct json_object *one = json_object_new_object();

		net_json_add(&one, "Protocol", json_object_new_int(b->ports[i].protocol));
		net_json_add(&one, "InternalPort", json_object_new_int(b->ports[i].internal));
		net_json_add(&one, "ExternalPort", json_object_new_int(b->ports[i].external));
		if (b->ports[i].distribution)
			net_json_add(&one, "DistributionType",
				     json_object_new_int64(b->ports[i].distribution));
		if (b->ports[i].flags)
			net_json_add(&one, "Flags", json_object_new_int64(b->ports[i].flags));
		net_json_append(&ports, one);
	}
	net_json_add_string(&o, "ID", b->id);
	net_json_add(&o, "HostComputeEndpoints", net_print_strings(&b->endpoints));
	net_print_addr(&o, "SourceVIP", &b->source_vip);
	net_json_add(&o, "FrontendVIPs", net_print_vips(b));
	net_json_add(&o, "PortMappings", ports);
	net_json_add(&o, "Flags", json_object_new_int64(b->flags));
	net_print_version(&o);
	return o;
}

int net_hcn_sdn_route_parse(struct json_object *o, struct net_sdn_route **ret, struct plug_error *err)
{
	struct net_sdn_route *route = calloc(1, sizeof(*route));
	int r = route ? net_part_id(o, "ID", route->id, err)
		      : plug_error_errno(err, -ENOMEM, "SDN route");

	if (r == 0)
		r = net_part_ids(o, "HostComputeEndpoints", &route->endpoints, err);
	if (r == 0)
		r = net_part_routes(o, "Setting", &route->routes, &route->route_count, err);
	if (r < 0) {
		net_sdn_route_free(route);
		return net_part_of(err, r, "SDN route");
	}
	*ret = route;
	return 0;
}

struct json_object *net_hcn_sdn_route_print(const struct net_sdn_route *r)
{
	struct json_object *o = json_object_new_object(), *list = json_object_new_array();

	for (size_t i = 0; i < r->route_count; i++)
		net_json_append(&list, net_print_route(&r->routes[i], true));
	net_json_add_string(&o, "ID", r->id);
	net_json_add(&o, "HostComputeEndpoints", net_print_strings(&r->endpoints));
	net_json_add(&o, "Setting", list);
	net_print_version(&o);
	return o;
}
