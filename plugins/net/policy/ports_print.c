/* SPDX-License-Identifier: MIT */
/* Published ports as docker port prints them. */
#include "policy/ports.h"
#include "policy/private.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char *protocol_name(uint8_t protocol)
{
	return protocol == IPPROTO_TCP ? "tcp" : protocol == IPPROTO_UDP ? "udp" : "sctp";
}

static bool has_family(const struct net_endpoint *e, int family)
{
	for (size_t i = 0; i < e->ip_count; i++)
		if (e->ips[i].family == family)
			return true;
	return false;
}

/* One line for each family that the port is there in. */
static void port_print(const struct net_endpoint *e, const struct net_policy_port *port, unsigned n,
		       bool brief, struct plug_text *out)
{
	static const int families[] = { AF_INET, AF_INET6 };
	char host[NET_ADDR_TEXT];

	for (size_t f = 0; f < PLUG_ELEMENTS(families); f++) {
		bool six = families[f] == AF_INET6;

		if ((port->host.family && port->host.family != families[f]) ||
		    !has_family(e, families[f]) || (!six && port->flags & NET_PORT_FLAG_IPV6))
			continue;
		net_addr_format(&port->host, host);
		if (!*host)
			(void)snprintf(host, sizeof(host), "%s", six ? "::" : "0.0.0.0");
		if (!brief)
			plug_text_add(out, "%u/%s -> ", port->internal + n,
				      protocol_name(port->protocol));
		plug_text_add(out, "%s%s%s:%u\n", six ? "[" : "", host, six ? "]" : "",
			      port->external + n);
	}
}

/* "80", "80/udp".  -EINVAL. */
static int wanted_parse(const char *text, uint16_t *ret_port, uint8_t *ret_protocol)
{
	static const uint8_t protocols[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP };
	unsigned port = 0;
	char name[8] = "tcp", end;
	int n = sscanf(text, "%5u/%7[a-zA-Z]%c", &port, name, &end);

	if (strspn(text, "0123456789") == 0 || (n != 1 && n != 2) || !port || port > UINT16_MAX)
		return -EINVAL;
	if (n == 1 && strspn(text, "0123456789") != strlen(text))
		return -EINVAL;
	for (size_t i = 0; i < PLUG_ELEMENTS(protocols); i++)
		if (!strcasecmp(name, protocol_name(protocols[i]))) {
			*ret_port = (uint16_t)port;
			*ret_protocol = protocols[i];
			return 0;
		}
	return -EINVAL;
}

int net_ports_print(const struct net_endpoint *e, const char *wanted, struct plug_text *out,
		    struct plug_error *err)
{
	uint8_t protocol = 0;
	uint16_t only = 0;

	if (wanted && wanted_parse(wanted, &only, &protocol) < 0)
		return plug_error_set(err, -EINVAL, "%.64s: not PORT[/PROTOCOL]", wanted);
	for (size_t i = 0; i < e->policy_count; i++) {
		const struct net_policy_port *port = &e->policies[i].port;

		if (e->policies[i].kind != NET_POLICY_PORT)
			continue;
		for (unsigned n = 0; n < port->count; n++)
			if (!wanted || (port->internal + n == only && port->protocol == protocol))
				port_print(e, port, n, wanted, out);
	}
	return 0;
}
