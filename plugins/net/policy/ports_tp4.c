/* SPDX-License-Identifier: MIT */
/*
 * Published ports by the rules of TP4: Docker's libcontainerd of that time (client_windows.go), which looks
 * at one port of the container with all its bindings after the other.
 */
#include "policy/ports.h"
#include "policy/private.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

/* As Go's Atoi, with its words for what is none. */
static int atoi_parse(const char *text, const char *what, long long *ret, struct plug_error *err)
{
	const char *digits = text + (*text == '-' || *text == '+'), *cause = NULL;

	errno = 0;
	if (!*digits || strspn(digits, "0123456789") != strlen(digits))
		cause = "invalid syntax";
	else if (*ret = strtoll(text, NULL, 10), errno == ERANGE)
		cause = "value out of range";
	if (!cause)
		return 0;
	return plug_error_set(err, -EINVAL, "invalid %s port %s: strconv.ParseInt: parsing \"%s\": %s", what,
			      text, text, cause);
}

static const char *protocol_of(const struct net_port_pieces *p)
{
	return *p->protocol ? p->protocol : "tcp";
}

static bool same_port(const struct net_port_pieces *a, const struct net_port_pieces *b)
{
	return !strcasecmp(protocol_of(a), protocol_of(b)) && !strcmp(a->internal, b->internal);
}

/* One binding: where it is on the host. */
static int binding_check(const struct net_port_pieces *p, struct plug_error *err)
{
	long long internal = 0, external = 0;
	int r;

	if (*p->host)
		return plug_error_set(err, -EINVAL,
				      "Windows does not support host IP addresses in NAT settings");
	r = atoi_parse(p->external, "container", &external, err);
	r = r ?: atoi_parse(p->internal, "internal", &internal, err);
	if (r < 0)
		return r;
	if (internal < 0 || internal > UINT16_MAX || external < 0 || external > UINT16_MAX)
		return plug_error_set(err, -EINVAL, "specified NAT port is not in allowed range");
	return 0;
}

int net_ports_check_tp4(const char *const *texts, size_t count, struct plug_error *err)
{
	struct net_port_pieces p, other;

	for (size_t i = 0; i < count; i++)
		if (net_port_split(texts[i], &p) < 0)
			return plug_error_set(err, -EINVAL,
					      "%.128s: not [HOSTIP:][HOSTPORT:]PORT[/PROTOCOL]", texts[i]);
	for (size_t i = 0; i < count; i++) {
		size_t bindings = 0;
		int r;

		(void)net_port_split(texts[i], &p);
		if (strcasecmp(protocol_of(&p), "tcp") && strcasecmp(protocol_of(&p), "udp"))
			return plug_error_set(err, -EINVAL, "invalid protocol %s", p.protocol);
		for (size_t j = 0; j < count; j++)
			bindings += net_port_split(texts[j], &other) == 0 && same_port(&p, &other);
		if (bindings > 1)
			return plug_error_set(
				err, -EINVAL,
				"Windows does not support more than one host port in NAT settings");
		r = binding_check(&p, err);
		if (r < 0)
			return r;
	}
	return 0;
}
