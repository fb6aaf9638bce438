/* SPDX-License-Identifier: MIT */
#include "dns/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void resolv(const struct net_resolv_request *request, const char *expected)
{
	struct plug_text text = { 0 };
	struct plug_error err = { 0 };

	assert_int_equal(net_resolv_compose(request, &text, &err), 0);
	assert_string_equal(text.data ? text.data : "", expected);
	plug_text_finish(&text);
}

static void resolv_refused(const struct net_resolv_request *request, const char *expected)
{
	struct plug_text text = { 0 };
	struct plug_error err = { 0 };

	assert_int_equal(net_resolv_compose(request, &text, &err), -EINVAL);
	assert_string_equal(err.text, expected);
	assert_null(text.data);
}

#define HOST "# comment\n nameserver 9.9.9.9\nnameserver 127.0.0.53\nnameserver\t10.0.0.1 x\n" \
	     "domain first.example\nsearch b.example  c.example\noptions edns0 ndots:2\noptions trust-ad\n" \
	     "nameserver fe80::1%eth0\nnameserver nonsense\nnameservers 1.1.1.1"

static void host_is_taken_over(void **state)
{
	(void)state;
	resolv(&(struct net_resolv_request){ .host = HOST },
	       "nameserver 10.0.0.1\nnameserver fe80::1%eth0\nsearch b.example c.example\n"
	       "options edns0 ndots:2 trust-ad\n");
	resolv(&(struct net_resolv_request){ .host = HOST, .shares_host = true },
	       "nameserver 127.0.0.53\nnameserver 10.0.0.1\nnameserver fe80::1%eth0\n"
	       "search b.example c.example\noptions edns0 ndots:2 trust-ad\n");
	resolv(&(struct net_resolv_request){ .host = "" }, "");
	resolv(&(struct net_resolv_request){ 0 }, "");
	resolv(&(struct net_resolv_request){ .host = "nameserver 0.0.0.0\nnameserver ::1\n" }, "");
}

static void asked_before_network_before_host(void **state)
{
	struct net_resolv_request q = { .host = HOST,
					.net_servers = LIST("10.9.0.1"),
					.net_search = LIST("net.example", "lan.example"),
					.net_options = LIST("timeout:1"),
					.net_domain = "lan.example" };

	(void)state;
	resolv(&q, "nameserver 10.9.0.1\nsearch lan.example net.example\noptions timeout:1\n");
	q.servers = LIST("1.1.1.1", "2606:4700::1111");
	q.search = LIST("asked.example");
	q.options = LIST("rotate", "ndots:0");
	resolv(&q, "nameserver 1.1.1.1\nnameserver 2606:4700::1111\nsearch asked.example\n"
		   "options rotate ndots:0\n");
	q.resolver = LIST("10.88.0.1");
	q.search = LIST(".");
	resolv(&q, "nameserver 10.88.0.1\noptions rotate ndots:0\n");
}

static void unqualified_names(void **state)
{
	struct net_resolv_request q = { .host = "nameserver 1.2.3.4\noptions edns0 no-tld-query\n" };

	(void)state;
	resolv(&q, "nameserver 1.2.3.4\noptions edns0 no-tld-query\n");
	q.unqualified = NET_UNQUALIFIED_ALLOW;
	resolv(&q, "nameserver 1.2.3.4\noptions edns0\n");
	q.unqualified = NET_UNQUALIFIED_DENY;
	resolv(&q, "nameserver 1.2.3.4\noptions edns0 no-tld-query\n");
	q.host = "nameserver 1.2.3.4\n";
	resolv(&q, "nameserver 1.2.3.4\noptions no-tld-query\n");
}

static void nonsense_is_named(void **state)
{
	(void)state;
	resolv_refused(&(struct net_resolv_request){ .servers = LIST("1.1.1.1", "dns.example") },
		       "DNS server dns.example: not an address");
	resolv_refused(&(struct net_resolv_request){ .servers = LIST("1.1.1.1\nnameserver 2.2.2.2") },
		       "DNS server 1.1.1.1\nnameserver 2.2.2.2: not an address");
	resolv_refused(&(struct net_resolv_request){ .servers = LIST("1.1.1.1%eth0") },
		       "DNS server 1.1.1.1%eth0: not an address");
	resolv_refused(&(struct net_resolv_request){ .search = LIST("a..b") },
		       "DNS search domain a..b: not a domain name");
	resolv_refused(&(struct net_resolv_request){ .options = LIST("a b") },
		       "DNS option a b: not one word");
	resolv_refused(&(struct net_resolv_request){ .net_options = LIST("") }, "DNS option : not one word");
	resolv_refused(&(struct net_resolv_request){ .net_domain = "-\n" },
		       "DNS domain -\n: not a domain name");
}

static char *file(const char *dir, const char *name, const char *text)
{
	char *path;
	FILE *f;

	assert_true(asprintf(&path, "%s/%s", dir, name) > 0);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	return path;
}

static void host_read(const char *etc, const char *resolved, bool shares, const char *expected)
{
	struct plug_text text = { 0 };

	assert_int_equal(net_resolv_read(etc, resolved, shares, &text), 0);
	assert_string_equal(text.data, expected);
	plug_text_finish(&text);
}

static void resolved_is_seen_through(void **state)
{
	char dir[] = "/tmp/cow-dns-XXXXXX";
	char *stub, *real, *local;

	(void)state;
	assert_non_null(mkdtemp(dir));
	stub = file(dir, "stub", "nameserver 127.0.0.53\n");
	real = file(dir, "real", "nameserver 192.0.2.1\n");
	local = file(dir, "local", "nameserver 127.0.0.1\n");
	host_read(stub, real, false, "nameserver 192.0.2.1\n");
	host_read(stub, real, true, "nameserver 127.0.0.53\n");
	host_read(stub, "/nonexistent", false, "nameserver 127.0.0.53\n");
	host_read(stub, local, false, "nameserver 127.0.0.53\n");
	host_read(real, stub, false, "nameserver 192.0.2.1\n");
	host_read("/nonexistent", real, false, "");
	assert_int_equal(net_resolv_read(dir, real, false, &(struct plug_text){ 0 }), -EISDIR);
	for (char **p = (char *[]){ stub, real, local, NULL }; *p; p++) {
		assert_int_equal(unlink(*p), 0);
		free(*p);
	}
	assert_int_equal(rmdir(dir), 0);
}

static void hosts(const struct net_hosts_request *request, const char *expected)
{
	struct plug_text text = { 0 };
	struct plug_error err = { 0 };

	assert_int_equal(net_hosts_compose(request, &text, &err), 0);
	assert_string_equal(text.data, expected);
	plug_text_finish(&text);
}

static void hosts_refused(const struct net_hosts_request *request, const char *expected)
{
	struct plug_text text = { 0 };
	struct plug_error err = { 0 };

	assert_int_equal(net_hosts_compose(request, &text, &err), -EINVAL);
	assert_string_equal(err.text, expected);
	assert_null(text.data);
}

static void hosts_are_composed(void **state)
{
	struct net_hosts_request q = { .hostname = "web" };

	(void)state;
	hosts(&q, "127.0.0.1\tlocalhost\n127.0.1.1\tweb\n");
	q.addresses = LIST("10.88.0.2", "fd00::2");
	q.domain = "lan.example";
	q.add = LIST("db:10.0.0.5", "v6=fd00::9", "v6b:[fd00::a]", "host.docker.internal:host-gateway");
	q.gateways = LIST("10.88.0.1", "fd00::1");
	q.ipv6 = true;
	hosts(&q, "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\n"
		  "ff00::0\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n"
		  "10.88.0.2\tweb.lan.example web\nfd00::2\tweb.lan.example web\n"
		  "10.0.0.5\tdb\nfd00::9\tv6\nfd00::a\tv6b\n"
		  "10.88.0.1\thost.docker.internal\nfd00::1\thost.docker.internal\n");
	hosts(&(struct net_hosts_request){ .hostname = "x",
					   .base = "1.2.3.4 host",
					   .add = LIST("a:1.1.1.1") },
	      "1.2.3.4 host\n1.1.1.1\ta\n");
}

static void hosts_nonsense_is_named(void **state)
{
	(void)state;
	hosts_refused(&(struct net_hosts_request){ .add = LIST("db") }, "host db: not NAME:ADDRESS");
	hosts_refused(&(struct net_hosts_request){ .add = LIST("a b:1.1.1.1") }, "host a b: not a name");
	hosts_refused(&(struct net_hosts_request){ .add = LIST("db:300.1.1.1") },
		      "host db: 300.1.1.1 is not an address");
	hosts_refused(&(struct net_hosts_request){ .add = LIST("h:host-gateway") },
		      "host h: host-gateway: the container has no gateway");
	hosts_refused(&(struct net_hosts_request){ .hostname = "a\nb" }, "host name a\nb: not a name");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(host_is_taken_over),
		cmocka_unit_test(asked_before_network_before_host),
		cmocka_unit_test(unqualified_names),
		cmocka_unit_test(nonsense_is_named),
		cmocka_unit_test(resolved_is_seen_through),
		cmocka_unit_test(hosts_are_composed),
		cmocka_unit_test(hosts_nonsense_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
