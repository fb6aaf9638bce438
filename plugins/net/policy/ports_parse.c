/* SPDX-License-Identifier: MIT */
/* Published ports as people write them. */
#include "policy/ports.h"
#include "policy/private.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

int net_port_split(const char *text, struct net_port_pieces *ret)
{
	char *p = ret->text, *at;

	*ret = (struct net_port_pieces){ .host = "", .external = "", .protocol = "" };
	if (strlen(text) >= sizeof(ret->text))
		return -EINVAL;
	memcpy(p, text, strlen(text) + 1);
	at = strchr(p, '/');
	if (at) {
		*at = 0;
		ret->protocol = at + 1;
	}
	if (*p == '[') {
		at = strchr(p, ']');
		if (!at || at[1] != ':')
			return -EINVAL;
		*at = 0;
		ret->host = p + 1;
		p = at + 2;
	} else if (strchr(p, ':') != strrchr(p, ':')) {
		at = strchr(p, ':');
		*at = 0;
		ret->host = p;
		p = at + 1;
	}
	at = strchr(p, ':');
	if (at) {
		*at = 0;
		ret->external = p;
		p = at + 1;
	} else if (*ret->host) {
		return -EINVAL; /* a host address goes with two more pieces */
	}
	ret->internal = p;
	return strchr(p, ':') ? -EINVAL : 0;
}

static int range_parse(const char *text, struct net_port_range *ret, struct plug_error *err)
{
	struct net_port_range *range = NULL;
	size_t count = 0;
	int r = net_list_ports(text, "port", &range, &count, err);

	if (r < 0)
		return r;
	if (count != 1 || strchr(text, ',') || !range->first)
		r = plug_error_set(err, -EINVAL, "port: \"%s\" is not valid", text);
	else
		*ret = *range;
	free(range);
	return r;
}

static int protocol_parse(const char *text, uint8_t *ret, struct plug_error *err)
{
	static const struct {
		const char *name;
		uint8_t number;
	} names[] = { { "", IPPROTO_TCP },
		      { "tcp", IPPROTO_TCP },
		      { "udp", IPPROTO_UDP },
		      { "sctp", IPPROTO_SCTP } };

	for (size_t i = 0; i < PLUG_ELEMENTS(names); i++)
		if (!strcasecmp(names[i].name, text)) {
			*ret = names[i].number;
			return 0;
		}
	return plug_error_set(err, -EINVAL, "protocol: \"%s\" is not tcp, udp or sctp", text);
}

static int pieces_parse(const struct net_port_pieces *p, struct net_policy_port *port, struct plug_error *err)
{
	struct net_port_range internal = { 0 }, external = { 0 };
	int r = protocol_parse(p->protocol, &port->protocol, err);

	r = r ?: range_parse(p->internal, &internal, err);
	if (r == 0 && *p->external && strcmp(p->external, "0") != 0)
		r = range_parse(p->external, &external, err);
	if (r == 0 && *p->host && net_addr_parse(p->host, &port->host) < 0)
		r = plug_error_set(err, -EINVAL, "host address: \"%s\" is not an address", p->host);
	if (r < 0)
		return r;
	if (external.first && external.last - external.first != internal.last - internal.first)
		return plug_error_set(err, -EINVAL, "ranges of different length");
	if (internal.last - internal.first >= NET_PORTS_MAX)
		return plug_error_set(err, -EINVAL, "more than %d ports", NET_PORTS_MAX);
	port->internal = internal.first;
	port->external = external.first;
	port->count = (uint16_t)(internal.last - internal.first + 1);
	return 0;
}

int net_ports_parse(const char *text, struct net_policy **policies, size_t *count,
		    struct plug_error *err)
{
	struct net_policy p = { .kind = NET_POLICY_PORT };
	struct net_port_pieces pieces;
	int r;

	if (net_port_split(text, &pieces) < 0)
		return plug_error_set(err, -EINVAL,
				      "%.128s: not [HOSTIP:][HOSTPORT:]PORT[/PROTOCOL]", text);
	r = pieces_parse(&pieces, &p.port, err);
	if (r < 0)
		return net_policy_in(err, r, text);
	r = net_policies_add(policies, count, &p);
	return r < 0 ? plug_error_errno(err, r, "%s", text) : 0;
}
