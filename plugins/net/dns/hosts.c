/* SPDX-License-Identifier: MIT */
#include "common/util.h"
#include "dns/files.h"

#include <string.h>

/* NAME:ADDRESS or NAME=ADDRESS, taken apart; an address may be in brackets. */
static int entry_split(const char *entry, char **ret_name, char **ret_address)
{
	size_t name_len = strcspn(entry, "=:"), len;
	_cleanup_free_ char *name = NULL, *address = NULL;
	const char *begin;

	if (!entry[name_len])
		return -EINVAL;
	begin = entry + name_len + 1;
	len = strlen(begin);
	if (len >= 2 && begin[0] == '[' && begin[len - 1] == ']') {
		begin++;
		len -= 2;
	}
	name = strndup(entry, name_len);
	address = strndup(begin, len);
	if (!name || !address)
		return -ENOMEM;
	*ret_name = plug_take_ptr(name);
	*ret_address = plug_take_ptr(address);
	return 0;
}

static int entry_add(const struct net_hosts_request *q, const char *entry, struct plug_text *ret,
		     struct plug_error *err)
{
	_cleanup_free_ char *name = NULL, *address = NULL;
	int r = entry_split(entry, &name, &address);

	if (r == -EINVAL)
		return plug_error_set(err, r, "host %.200s: not NAME:ADDRESS", entry);
	if (r < 0)
		return plug_error_errno(err, r, "hosts");
	if (net_dns_check_name(name) < 0)
		return plug_error_set(err, -EINVAL, "host %.200s: not a name", name);
	if (!strcmp(address, "host-gateway")) {
		if (!q->gateways || !*q->gateways)
			return plug_error_set(err, -EINVAL,
					      "host %.200s: host-gateway: the container has no gateway",
					      name);
		for (const char *const *g = q->gateways; *g; g++)
			plug_text_add(ret, "%s\t%s\n", *g, name);
		return 0;
	}
	if (net_dns_check_address(address) < 0)
		return plug_error_set(err, -EINVAL, "host %.200s: %.100s is not an address", name, address);
	plug_text_add(ret, "%s\t%s\n", address, name);
	return 0;
}

static void compose_begin(const struct net_hosts_request *q, struct plug_text *ret)
{
	size_t len;

	if (q->base) {
		len = strlen(q->base);
		plug_text_add(ret, "%s%s", q->base, len && q->base[len - 1] != '\n' ? "\n" : "");
		return;
	}
	plug_text_add(ret, "127.0.0.1\tlocalhost\n");
	if (q->ipv6)
		plug_text_add(ret, "::1\tlocalhost ip6-localhost ip6-loopback\n"
				  "fe00::0\tip6-localnet\n"
				  "ff00::0\tip6-mcastprefix\n"
				  "ff02::1\tip6-allnodes\n"
				  "ff02::2\tip6-allrouters\n");
}

/* The container knows its own name, as it knows it of others: by its addresses. */
static void compose_own(const struct net_hosts_request *q, struct plug_text *ret)
{
	static const char *const none[] = { "127.0.1.1", NULL };
	const char *const *address = q->addresses && *q->addresses ? q->addresses : none;

	/* With the host's file and no addresses of its own, the host's names say it all. */
	if (!q->hostname || (q->base && address == none))
		return;
	for (; *address; address++) {
		plug_text_add(ret, "%s\t", *address);
		if (q->domain)
			plug_text_add(ret, "%s.%s ", q->hostname, q->domain);
		plug_text_add(ret, "%s\n", q->hostname);
	}
}

int net_hosts_compose(const struct net_hosts_request *q, struct plug_text *ret, struct plug_error *err)
{
	_cleanup_text_ struct plug_text text = { 0 };
	int r = 0;

	if (q->hostname && net_dns_check_name(q->hostname) < 0)
		return plug_error_set(err, -EINVAL, "host name %.200s: not a name", q->hostname);
	if (q->domain && net_dns_check_name(q->domain) < 0)
		return plug_error_set(err, -EINVAL, "DNS domain %.200s: not a domain name", q->domain);
	compose_begin(q, &text);
	compose_own(q, &text);
	for (const char *const *entry = q->add; entry && *entry && r == 0; entry++)
		r = entry_add(q, *entry, &text, err);
	if (r < 0)
		return r;
	if (!text.failed)
		plug_text_add(ret, "%s", text.data);
	r = text.failed ? text.failed : ret->failed;
	return r < 0 ? plug_error_errno(err, r, "hosts") : 0;
}
