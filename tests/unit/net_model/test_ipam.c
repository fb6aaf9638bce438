/* SPDX-License-Identifier: MIT */
/* Addresses: ten thousand operations at random against a list, a death at each system call, reboots. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "box.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>

static struct net_addr addr(const char *text)
{
	struct net_addr a;

	assert_int_equal(net_addr_parse(text, &a), 0);
	return a;
}

static void order(void **state)
{
	struct box *b = *state;
	struct net_network *n = box_network_make(b, "web", "10.5.0.0/29");
	struct plug_error err = { 0 };
	struct net_addr a, wanted = addr("10.5.0.4"), gateway = addr("10.5.0.1"), out = addr("10.5.0.9");

	assert_int_equal(net_ipam_take(b->store, n, 0, NULL, "a", &a, &err), 0);
	assert_string_equal(box_text(&a), "10.5.0.2");
	assert_int_equal(a.prefix, 29);
	assert_int_equal(net_ipam_take(b->store, n, 0, &wanted, "b", &a, &err), 0);
	/* Given back, it is not the next one: others may still know who had it. */
	wanted = addr("10.5.0.2");
	assert_int_equal(net_ipam_free(b->store, n->id, &wanted, "a", &err), 0);
	assert_int_equal(net_ipam_free(b->store, n->id, &wanted, "a", &err), 0);
	assert_int_equal(net_ipam_take(b->store, n, 0, NULL, "c", &a, &err), 0);
	assert_string_equal(box_text(&a), "10.5.0.3");
	assert_int_equal(net_ipam_take(b->store, n, 0, NULL, "d", &a, &err), 0);
	assert_string_equal(box_text(&a), "10.5.0.5"); /* .4 is b's */
	assert_int_equal(net_ipam_take(b->store, n, 0, NULL, "e", &a, &err), 0);
	assert_int_equal(net_ipam_take(b->store, n, 0, NULL, "f", &a, &err), 0);
	assert_string_equal(box_text(&a), "10.5.0.2"); /* around the end: .7 is the broadcast address */
	assert_int_equal(net_ipam_take(b->store, n, 0, NULL, "g", &a, &err), -EADDRNOTAVAIL);
	assert_string_equal(err.text, "network web: no address of 10.5.0.0/29 is free");
	wanted = addr("10.5.0.4");
	assert_int_equal(net_ipam_take(b->store, n, 0, &wanted, "g", &a, &err), -EADDRINUSE);
	assert_string_equal(err.text, "10.5.0.4: in use by b");
	assert_int_equal(net_ipam_take(b->store, n, 0, &wanted, "b", &a, &err), 0);
	assert_int_equal(net_ipam_take(b->store, n, 0, &gateway, "g", &a, &err), -EINVAL);
	assert_string_equal(err.text, "10.5.0.1: the gateway of 10.5.0.0/29");
	assert_int_equal(net_ipam_take(b->store, n, 0, &out, "g", &a, &err), -EINVAL);
	assert_string_equal(err.text, "10.5.0.9: not an address for a host of 10.5.0.0/29");
	/* Another's is not given back. */
	assert_int_equal(net_ipam_free(b->store, n->id, &wanted, "x", &err), 0);
	assert_int_equal(net_ipam_take(b->store, n, 0, &wanted, "x", &a, &err), -EADDRINUSE);
	assert_int_equal(net_ipam_take(b->store, n, 1, NULL, "x", &a, &err), -EINVAL);
	assert_int_equal(net_ipam_take(b->store, n, 0, NULL, "", &a, &err), -EINVAL);
	net_network_free(n);
}

static void reservations(void **state)
{
	struct box *b = *state;
	struct net_network *n = box_network_make(b, "web", "10.5.0.0/29");
	struct plug_error err = { 0 };
	struct net_addr a, kept = addr("10.5.0.2");
	struct net_lease *leases;
	size_t count;

	assert_int_equal(net_ipam_reserve(b->store, n, &kept, "printer", &err), 0);
	assert_int_equal(net_ipam_reserve(b->store, n, &kept, "printer", &err), 0);
	assert_int_equal(net_ipam_reserve(b->store, n, &kept, "other", &err), -EADDRINUSE);
	assert_string_equal(err.text, "10.5.0.2: reserved for printer");
	assert_int_equal(net_ipam_take(b->store, n, 0, NULL, "a", &a, &err), 0);
	assert_string_equal(box_text(&a), "10.5.0.3");
	assert_int_equal(net_ipam_take(b->store, n, 0, &kept, "a", &a, &err), -EADDRINUSE);
	assert_int_equal(net_ipam_take(b->store, n, 0, &kept, "printer", &a, &err), 0);
	assert_int_equal(net_ipam_list(b->store, n->id, &leases, &count, &err), 0);
	assert_int_equal(count, 2);
	assert_true(leases[0].reserved && !leases[1].reserved);
	assert_string_equal(leases[1].owner, "a");
	net_leases_free(leases, count);
	assert_int_equal(net_ipam_unreserve(b->store, n->id, &kept, "printer", &err), 0);
	assert_int_equal(net_ipam_free(b->store, n->id, &kept, NULL, &err), 0);
	assert_int_equal(net_ipam_take(b->store, n, 0, &kept, "z", &a, &err), 0);
	net_network_free(n);
}

/* IPv6, several subnets, a range of its own, no room for anything but two. */
static void subnets(void **state)
{
	struct box *b = *state;
	struct net_network *n = box_network("web", NULL);
	struct plug_error err = { 0 };
	struct net_endpoint *e = calloc(1, sizeof(*e)), *f = calloc(1, sizeof(*f));
	struct net_addr a;

	n->type = NET_PRIVATE;
	n->subnets = calloc(4, sizeof(*n->subnets));
	n->subnet_count = 4;
	assert_int_equal(net_addr_parse_prefix("10.6.0.8/31", &n->subnets[0].prefix), 0);
	assert_int_equal(net_addr_parse_prefix("10.7.0.0/16", &n->subnets[1].prefix), 0);
	assert_int_equal(net_addr_parse_prefix("10.7.255.128/25", &n->subnets[1].range), 0);
	assert_int_equal(net_addr_parse_prefix("fd00:5::/64", &n->subnets[2].prefix), 0);
	assert_int_equal(net_addr_parse_prefix("10.8.0.1/32", &n->subnets[3].prefix), 0);
	assert_int_equal(net_network_make(b->store, n, NULL, 0, &err), 0);
	assert_int_equal(net_ipam_take(b->store, n, 0, NULL, "a", &a, &err), 0);
	assert_string_equal(box_text(&a), "10.6.0.8");
	/* Endpoints have one of each family; the next subnet helps out. */
	assert_int_equal(net_endpoint_make(b->store, n, e, &err), 0);
	assert_int_equal(e->ip_count, 2);
	assert_string_equal(box_text(&e->ips[0]), "10.6.0.9");
	assert_string_equal(box_text(&e->ips[1]), "fd00:5::1");
	assert_int_equal(e->ips[1].prefix, 64);
	assert_int_equal(net_endpoint_make(b->store, n, f, &err), 0);
	assert_string_equal(box_text(&f->ips[0]), "10.7.255.128");
	for (int i = 0; i < 126; i++) {
		char owner[16];

		(void)snprintf(owner, sizeof(owner), "o%d", i);
		assert_int_equal(net_ipam_take(b->store, n, 1, NULL, owner, &a, &err), 0);
	}
	assert_string_equal(box_text(&a), "10.7.255.254");
	assert_int_equal(net_ipam_take(b->store, n, 1, NULL, "last", &a, &err), -EADDRNOTAVAIL);
	assert_int_equal(net_ipam_take(b->store, n, 3, NULL, "one", &a, &err), 0);
	assert_int_equal(net_ipam_take(b->store, n, 3, NULL, "two", &a, &err), -EADDRNOTAVAIL);
	net_endpoint_free(e);
	net_endpoint_free(f);
	net_network_free(n);
}

/* Of an endpoint's two addresses the second cannot be had: the first is free again. */
static void all_or_nothing(void **state)
{
	struct box *b = *state;
	struct net_network *n = box_network_make(b, "web", "10.5.0.0/24");
	struct net_endpoint *e = calloc(1, sizeof(*e));
	struct plug_error err = { 0 };
	struct net_addr a, second = addr("10.5.0.9");
	struct net_lease *leases;
	size_t count;

	assert_int_equal(net_ipam_take(b->store, n, 0, &second, "x", &a, &err), 0);
	e->ips = calloc(2, sizeof(*e->ips));
	e->ip_count = 2;
	e->ips[0] = addr("10.5.0.8");
	e->ips[1] = second;
	e->durable = true;
	assert_int_equal(net_endpoint_make(b->store, n, e, &err), -EADDRINUSE);
	assert_int_equal(net_ipam_list(b->store, n->id, &leases, &count, &err), 0);
	assert_int_equal(count, 1);
	net_leases_free(leases, count);
	net_endpoint_free(e);
	net_network_free(n);
}

/* ---- at random */

#define HOSTS 251 /* of a /24 with a gateway, less two that are reserved */

struct known {
	int owner[256]; /* of 10.5.0.N; 0: free */
	size_t taken;
};

static void random_one(struct box *b, const struct net_network *n, struct known *k, int step)
{
	struct net_addr a, wanted = addr("10.5.0.0");
	struct plug_error err = { 0 };
	int host = 2 + rand() % 253, r;
	bool reserved = host == 7 || host == 77;
	char owner[16];

	(void)snprintf(owner, sizeof(owner), "o%d", step);
	wanted.bytes[3] = (uint8_t)host;
	/* The network fills up, and empties, four times each. */
	switch (rand() % (step % 2500 < 1250 ? 5 : 9)) {
	case 0:
	case 1:
		r = net_ipam_take(b->store, n, 0, NULL, owner, &a, &err);
		assert_int_equal(r, k->taken < HOSTS ? 0 : -EADDRNOTAVAIL);
		if (r == 0) {
			assert_int_equal(k->owner[a.bytes[3]], 0); /* no double */
			assert_true(a.bytes[3] > 1 && a.bytes[3] < 255);
			assert_true(a.bytes[3] != 7 && a.bytes[3] != 77);
			k->owner[a.bytes[3]] = step;
			k->taken++;
		}
		break;
	case 2:
		r = net_ipam_take(b->store, n, 0, &wanted, owner, &a, &err);
		assert_int_equal(r, k->owner[host] || reserved ? -EADDRINUSE : 0);
		if (r == 0) {
			k->owner[host] = step;
			k->taken++;
		}
		break;
	case 3: /* somebody who has not */
		assert_int_equal(net_ipam_free(b->store, n->id, &wanted, owner, &err), 0);
		break;
	default: /* whoever has it */
		(void)snprintf(owner, sizeof(owner), "o%d", k->owner[host]);
		assert_int_equal(net_ipam_free(b->store, n->id, &wanted, owner, &err), 0);
		k->taken -= k->owner[host] != 0;
		k->owner[host] = 0;
		break;
	}
}

static void known_compare(struct box *b, const struct net_network *n, const struct known *k)
{
	struct net_lease *leases;
	struct plug_error err = { 0 };
	size_t count, seen = 0;

	assert_int_equal(net_ipam_list(b->store, n->id, &leases, &count, &err), 0);
	for (size_t i = 0; i < count; i++) {
		char owner[16];

		if (leases[i].reserved)
			continue;
		(void)snprintf(owner, sizeof(owner), "o%d", k->owner[leases[i].addr.bytes[3]]);
		assert_string_equal(leases[i].owner, owner);
		seen++;
	}
	assert_int_equal(seen, k->taken); /* none lost */
	net_leases_free(leases, count);
}

static void at_random(void **state)
{
	struct box *b = *state;
	struct net_network *n = box_network_make(b, "web", "10.5.0.0/24");
	struct net_addr seven = addr("10.5.0.7"), more = addr("10.5.0.77");
	struct known k = { { 0 }, 0 };
	struct plug_error err = { 0 };

	srand(20);
	assert_int_equal(net_ipam_reserve(b->store, n, &seven, "r", &err), 0);
	assert_int_equal(net_ipam_reserve(b->store, n, &more, "r", &err), 0);
	for (int step = 1; step <= 10000; step++) {
		random_one(b, n, &k, step);
		if (step % 500 == 0)
			known_compare(b, n, &k);
		if (step % 2500)
			continue;
		/* A new supervisor. */
		net_store_close(b->store);
		assert_int_equal(net_store_open(b->state, b->run, &b->store, &err), 0);
	}
	known_compare(b, n, &k);
	net_network_free(n);
}

/* ---- a death at each system call */

/* The child makes an endpoint, and is killed as it enters its k-th system call; false: it has ended. */
static bool killed_at(struct box *b, const struct net_network *n, int k)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		struct net_endpoint *e = calloc(1, sizeof(*e));

		(void)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		(void)raise(SIGSTOP);
		e->durable = true;
		_exit(net_endpoint_make(b->store, n, e, NULL) < 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSTOPPED(status));
	for (int i = 0; i < 2 * k + 1; i++) {
		assert_int_equal(ptrace(PTRACE_SYSCALL, child, NULL, NULL), 0);
		assert_int_equal(waitpid(child, &status, 0), child);
		if (WIFEXITED(status)) {
			assert_int_equal(WEXITSTATUS(status), 0);
			return false;
		}
	}
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	return true;
}

/* Every lease is some endpoint's, and every endpoint has its lease. */
static void consistent(struct box *b, const struct net_network *n)
{
	struct plug_error err = { 0 };
	struct net_lease *leases;
	struct net_entry *entries;
	size_t count, endpoints;

	assert_int_equal(net_leases_reconcile(b->store, NULL, &err), 0);
	assert_int_equal(net_ipam_list(b->store, n->id, &leases, &count, &err), 0);
	assert_int_equal(net_store_list(b->store, NET_ENDPOINTS, NULL, &entries, &endpoints, &err), 0);
	assert_int_equal(count, endpoints);
	for (size_t i = 0; i < endpoints; i++) {
		struct net_endpoint *e;
		bool found = false;

		assert_int_equal(net_store_endpoint(b->store, entries[i].id, &e, &err), 0);
		for (size_t k = 0; k < count; k++)
			found = found || (net_addr_same(&leases[k].addr, &e->ips[0]) &&
					  !strcmp(leases[k].owner, e->id));
		assert_true(found);
		net_endpoint_free(e);
	}
	net_leases_free(leases, count);
	net_entries_free(entries, endpoints);
}

static void killed(void **state)
{
	struct box *b = *state;
	struct net_network *n = box_network_make(b, "web", "10.5.0.0/24");
	int k = 0;

	while (killed_at(b, n, k)) {
		consistent(b, n);
		k++;
	}
	print_message("killed at %d system calls\n", k);
	assert_true(k > 40);
	consistent(b, n);
	net_network_free(n);
}

/* ---- leftovers */

static bool nobody(void *arg, const char *network, const char *owner)
{
	(void)arg;
	(void)network;
	return !strcmp(owner, "alive");
}

static void leftovers(void **state)
{
	struct box *b = *state;
	struct net_network *n = box_network_make(b, "web", "10.5.0.0/24");
	struct plug_error err = { 0 };
	struct net_addr a, two = addr("10.5.0.2");
	struct stat st;
	char path[256];
	size_t freed = 0;
	int fd;

	/* Empty: a power cut came before the data. */
	assert_int_equal(net_ipam_take(b->store, n, 0, &two, "a", &a, &err), 0);
	(void)snprintf(path, sizeof(path), "%s/net/leases/%s/10.5.0.2", b->run, n->id);
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(net_ipam_take(b->store, n, 0, &two, "b", &a, &err), 0);
	/* Cut off. */
	assert_int_equal(truncate(path, 1), 0);
	assert_int_equal(net_ipam_take(b->store, n, 0, &two, "alive", &a, &err), 0);
	assert_int_equal(net_ipam_take(b->store, n, 0, NULL, "dead", &a, &err), 0);
	(void)snprintf(path, sizeof(path), "%s/net/leases/%s/10.5.0.200", b->run, n->id);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	close(fd);
	assert_int_equal(net_ipam_reconcile(b->store, nobody, NULL, &freed, &err), 0);
	assert_int_equal(freed, 2);
	assert_true(stat(path, &st) < 0);
	assert_int_equal(net_ipam_take(b->store, n, 0, &two, "x", &a, &err), -EADDRINUSE);
	/* With their network they go. */
	assert_int_equal(net_network_unmake(b->store, n, &err), 0);
	(void)snprintf(path, sizeof(path), "%s/net/leases/%s", b->run, n->id);
	assert_true(stat(path, &st) < 0);
	net_network_free(n);
}

/* After a reboot: nobody gets the address of an endpoint that a user has made. */
static void reboot(void **state)
{
	struct box *b = *state;
	struct net_network *n = box_network_make(b, "web", "10.5.0.0/29");
	struct net_endpoint *e = calloc(1, sizeof(*e));
	struct plug_error err = { 0 };
	struct net_addr a;
	char gone[128];

	e->durable = true;
	assert_int_equal(net_endpoint_make(b->store, n, e, &err), 0);
	assert_string_equal(box_text(&e->ips[0]), "10.5.0.2");
	net_store_close(b->store);
	(void)snprintf(gone, sizeof(gone), "%s/gone", b->dir);
	assert_int_equal(rename(b->run, gone), 0);
	assert_int_equal(net_store_open(b->state, b->run, &b->store, &err), 0);
	assert_int_equal(net_leases_reconcile(b->store, NULL, &err), 0);
	assert_int_equal(net_ipam_take(b->store, n, 0, NULL, "c", &a, &err), 0);
	assert_string_equal(box_text(&a), "10.5.0.3");
	/* Plugged in again, it has what it had. */
	assert_int_equal(net_endpoint_make(b->store, n, e, &err), 0);
	assert_string_equal(box_text(&e->ips[0]), "10.5.0.2");
	assert_int_equal(e->ip_count, 1);
	net_endpoint_free(e);
	net_network_free(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(order, box_open, box_close),
		cmocka_unit_test_setup_teardown(reservations, box_open, box_close),
		cmocka_unit_test_setup_teardown(subnets, box_open, box_close),
		cmocka_unit_test_setup_teardown(all_or_nothing, box_open, box_close),
		cmocka_unit_test_setup_teardown(at_random, box_open, box_close),
		cmocka_unit_test_setup_teardown(killed, box_open, box_close),
		cmocka_unit_test_setup_teardown(leftovers, box_open, box_close),
		cmocka_unit_test_setup_teardown(reboot, box_open, box_close),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
