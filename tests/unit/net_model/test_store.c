/* SPDX-License-Identifier: MIT */
/* Records: found again, by whom ever they were written, and told apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "box.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#define ID "11111111-2222-4333-8444-555555555555"

static bool exists(const char *dir, const char *rest, const char *id)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/net/%s/%s.json", dir, rest, id);
	return access(path, F_OK) == 0;
}

static void networks(void **state)
{
	struct box *b = *state;
	struct net_network *n = box_network_make(b, "web", "10.5.0.0/24"), *found = NULL;
	struct plug_error err = { 0 };
	char shorter[9];

	assert_memory_equal(n->bridge, "cow", 3);
	assert_memory_equal(n->bridge + 3, n->id, 8);
	assert_string_equal(box_text(&n->subnets[0].gateway), "10.5.0.1");
	assert_true(exists(b->state, "networks", n->id));
	assert_int_equal(net_store_network(b->store, "web", &found, &err), 0);
	assert_string_equal(found->id, n->id);
	net_network_free(found);
	(void)snprintf(shorter, sizeof(shorter), "%.8s", n->id);
	assert_int_equal(net_store_network(b->store, shorter, &found, &err), 0);
	net_network_free(found);
	assert_int_equal(net_store_network(b->store, "db", &found, &err), -ENOENT);
	assert_string_equal(err.text, "Network name \"db\" not found");
	assert_int_equal(net_store_network(b->store, ID, &found, &err), -ENOENT);
	assert_string_equal(err.text, "Network ID \"" ID "\" not found");
	assert_int_equal(net_store_put_network(b->store, n, NET_PUT_NEW, &err), -EEXIST);
	assert_int_equal(net_network_unmake(b->store, n, &err), 0);
	assert_int_equal(net_network_unmake(b->store, n, &err), 0);
	assert_false(exists(b->state, "networks", n->id));
	assert_int_equal(net_store_put_network(b->store, n, NET_PUT_CHANGE, &err), -ENOENT);
	net_network_free(n);
}

/* Everything else says what it is not, too. */
static void not_found(void **state)
{
	struct box *b = *state;
	struct plug_error err = { 0 };
	struct net_endpoint *e;
	struct net_namespace *ns;
	struct net_balancer *lb;
	struct net_sdn_route *route;

	assert_int_equal(net_store_endpoint(b->store, ID, &e, &err), -ENOENT);
	assert_string_equal(err.text, "Endpoint ID \"" ID "\" not found");
	assert_int_equal(net_store_endpoint(b->store, "e", &e, &err), -ENOENT);
	assert_string_equal(err.text, "Endpoint name \"e\" not found");
	assert_int_equal(net_store_namespace(b->store, ID, &ns, &err), -ENOENT);
	assert_string_equal(err.text, "Namespace ID \"" ID "\" not found");
	assert_int_equal(net_store_balancer(b->store, ID, &lb, &err), -ENOENT);
	assert_string_equal(err.text, "LoadBalancer \"" ID "\" not found");
	assert_int_equal(net_store_sdn_route(b->store, ID, &route, &err), -ENOENT);
	assert_string_equal(err.text, "SDN Route \"" ID "\" not found");
	assert_int_equal(net_store_endpoint(b->store, "", &e, &err), -ENOENT);
}

static void refusals(void **state)
{
	struct box *b = *state;
	struct net_network *n = box_network_make(b, "web", "10.5.0.0/24"), *other;
	struct plug_error err = { 0 };
	static const struct {
		const char *name, *prefix, *error;
		enum net_type type;
	} bad[] = {
		{ "web", "10.6.0.0/24", "network web: exists", NET_NAT },
		{ "db", "10.5.0.128/25", "network db: subnet 10.5.0.128/25 overlaps one of network web",
		  NET_INTERNAL },
		{ "host", NULL, "network host: this name means something else", NET_NAT },
		{ "a:b", NULL, "network a:b: \":\" and \",\" cannot be in its name", NET_NAT },
		{ "t", NULL, "network t: type Transparent needs an adapter", NET_TRANSPARENT },
		{ "c", NULL, "network c: type CNI needs a conflist", NET_CNI },
		{ "lo", "127.0.0.0/8", "network lo: 127.0.0.0/8 cannot be a subnet", NET_NAT },
		{ "m", "224.0.0.0/8", "network m: 224.0.0.0/8 cannot be a subnet", NET_NAT },
		{ "p", "10.7.0.0/31", "network p: 10.7.0.0/31 has no room for a gateway and a host",
			NET_NAT },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		other = box_network(bad[i].name, bad[i].prefix);
		other->type = bad[i].type;
		assert_true(net_network_make(b->store, other, NULL, 0, &err) < 0);
		assert_string_equal(err.text, bad[i].error);
		assert_false(exists(b->state, "networks", other->id));
		net_network_free(other);
	}
	net_network_free(n);
}

/* Chosen subnets avoid each other, and what the host routes. */
static void subnets(void **state)
{
	struct box *b = *state;
	struct net_addr taken[2];
	struct net_network *n = box_network("a", NULL), *m = box_network("b", NULL);
	struct plug_error err = { 0 };

	assert_int_equal(net_addr_parse_prefix("0.0.0.0/0", &taken[0]), 0);
	assert_int_equal(net_addr_parse_prefix("172.28.3.0/24", &taken[1]), 0);
	assert_int_equal(net_network_make(b->store, n, taken, 2, &err), 0);
	assert_string_equal(box_text(&n->subnets[0].prefix), "172.29.0.0");
	assert_string_equal(box_text(&n->subnets[0].gateway), "172.29.0.1");
	assert_int_equal(net_network_make(b->store, m, taken, 2, &err), 0);
	assert_string_equal(box_text(&m->subnets[0].prefix), "172.30.0.0");
	net_network_free(n);
	net_network_free(m);
}

/* What belongs to a container is volatile, what a user made is not; both are one to who asks. */
static void endpoints(void **state)
{
	struct box *b = *state;
	struct net_network *n = box_network_make(b, "web", "10.5.0.0/24");
	struct net_endpoint *e = calloc(1, sizeof(*e)), *u = calloc(1, sizeof(*u)), *found = NULL;
	struct plug_error err = { 0 };
	struct net_entry *list;
	size_t count;

	e->name = strdup("c1");
	u->name = strdup("u1");
	u->durable = true;
	assert_int_equal(net_endpoint_make(b->store, n, e, &err), 0);
	assert_int_equal(net_endpoint_make(b->store, n, u, &err), 0);
	assert_true(exists(b->run, "endpoints", e->id) && !exists(b->state, "endpoints", e->id));
	assert_true(exists(b->state, "endpoints", u->id) && !exists(b->run, "endpoints", u->id));
	assert_string_equal(box_text(&e->ips[0]), "10.5.0.2");
	assert_string_equal(box_text(&u->ips[0]), "10.5.0.3");
	assert_int_equal(e->ips[0].prefix, 24);
	assert_string_equal(box_text(&e->gateway), "10.5.0.1");
	assert_int_equal(e->mac.bytes[0], 2);
	assert_int_equal(strlen(e->host_link), 10);
	assert_int_equal(net_store_list(b->store, NET_ENDPOINTS, n->id, &list, &count, &err), 0);
	assert_int_equal(count, 2);
	net_entries_free(list, count);
	assert_int_equal(net_store_endpoint(b->store, "c1", &found, &err), 0);
	assert_memory_equal(found->mac.bytes, e->mac.bytes, 6);
	net_endpoint_free(found);
	assert_int_equal(net_network_unmake(b->store, n, &err), -EBUSY);
	assert_string_equal(err.text, "network web: is used by 2 endpoints");
	/* It changes its place when it becomes durable. */
	e->durable = true;
	assert_int_equal(net_store_put_endpoint(b->store, e, NET_PUT_CHANGE, &err), 0);
	assert_true(exists(b->state, "endpoints", e->id) && !exists(b->run, "endpoints", e->id));
	assert_int_equal(net_endpoint_unmake(b->store, e, &err), 0);
	assert_int_equal(net_endpoint_unmake(b->store, e, &err), 0);
	assert_int_equal(net_endpoint_unmake(b->store, u, &err), 0);
	assert_int_equal(net_network_unmake(b->store, n, &err), 0);
	net_endpoint_free(e);
	net_endpoint_free(u);
	net_network_free(n);
}

/* Another process's changes are seen, an opened store's index or not. */
static void processes(void **state)
{
	struct box *b = *state;
	struct net_network *n = box_network_make(b, "web", "10.5.0.0/24"), *found = NULL;
	struct plug_error err = { 0 };
	uint64_t before = net_store_generation(b->store);
	pid_t child = fork();
	int status;

	if (child == 0) {
		struct box other = *b;
		struct net_network *m;

		_exit(net_store_open(b->state, b->run, &other.store, NULL) < 0 ||
		      !(m = box_network_make(&other, "db", "10.6.0.0/24")) ||
		      net_store_remove(other.store, NET_NETWORKS, n->id, NULL) < 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_true(net_store_generation(b->store) > before);
	assert_int_equal(net_store_network(b->store, "db", &found, &err), 0);
	net_network_free(found);
	assert_int_equal(net_store_network(b->store, "web", &found, &err), -ENOENT);
	net_network_free(n);
}

/* One damaged record is an error to whoever wants it, can be removed, and hides no other. */
static void damage(void **state)
{
	struct box *b = *state;
	struct net_network *n = box_network_make(b, "web", "10.5.0.0/24"), *found = NULL;
	struct plug_error err = { 0 };
	struct net_entry *list;
	size_t count;
	char path[256];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/net/networks/" ID ".json", b->state);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(write(fd, "{\"ID\":", 6) == 6);
	close(fd);
	(void)snprintf(path, sizeof(path), "%s/net/networks/.making", b->state);
	close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	net_store_close(b->store);
	assert_int_equal(net_store_open(b->state, b->run, &b->store, &err), 0);
	assert_int_equal(net_store_list(b->store, NET_NETWORKS, NULL, &list, &count, &err), 0);
	assert_int_equal(count, 2);
	assert_true(list[0].damaged != list[1].damaged);
	net_entries_free(list, count);
	assert_int_equal(net_store_network(b->store, ID, &found, &err), -EUCLEAN);
	assert_non_null(strstr(err.text, ID ".json: damaged: not JSON"));
	assert_int_equal(net_store_network(b->store, "web", &found, &err), 0);
	net_network_free(found);
	assert_int_equal(net_store_remove(b->store, NET_NETWORKS, ID, &err), 0);
	assert_int_equal(net_store_list(b->store, NET_NETWORKS, NULL, &list, &count, &err), 0);
	assert_int_equal(count, 1);
	net_entries_free(list, count);
	net_network_free(n);
}

/* Nowhere to write: an error with the place, and the store is as before. */
static void no_room(void **state)
{
	struct box *b = *state;
	struct net_network *n = box_network("web", "10.5.0.0/24"), *found = NULL;
	struct plug_error err = { 0 };
	char path[256], moved[256];

	/* Not the permissions: root has them all. */
	(void)snprintf(path, sizeof(path), "%s/net/networks/.making", b->state);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(net_network_make(b->store, n, NULL, 0, &err), -EISDIR);
	assert_non_null(strstr(err.text, n->id));
	assert_int_equal(net_store_network(b->store, "web", &found, &err), -ENOENT);
	(void)snprintf(moved, sizeof(moved), "%s/x", b->dir);
	assert_int_equal(rename(path, moved), 0);
	assert_int_equal(net_network_make(b->store, n, NULL, 0, &err), 0);
	net_network_free(n);
}

static double now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static double endpoints_make(struct box *b, const struct net_network *n, size_t count)
{
	double before = now_ms();
	struct plug_error err = { 0 };

	for (size_t i = 0; i < count; i++) {
		struct net_endpoint *e = calloc(1, sizeof(*e));

		assert_int_equal(net_endpoint_make(b->store, n, e, &err), 0);
		net_endpoint_free(e);
	}
	return (now_ms() - before) / (double)count;
}

/* The 1000th costs what the 1st does, but for noise on a busy machine. */
static void flat(void **state)
{
	struct box *b = *state;
	struct net_network *n = box_network_make(b, "web", "10.5.0.0/16");
	double first = endpoints_make(b, n, 100), last;

	(void)endpoints_make(b, n, 800);
	last = endpoints_make(b, n, 100);
	print_message("endpoint: %.3f ms, with 900 others %.3f ms\n", first, last);
	assert_true(last < 3 * first + 0.5);
	net_network_free(n);
}

static void *many(void *arg)
{
	struct box *b = arg;
	struct plug_error err = { 0 };
	struct net_network *n = NULL;

	if (net_store_network(b->store, "web", &n, &err) < 0)
		return "not found";
	for (int i = 0; i < 30; i++) {
		struct net_endpoint *e = calloc(1, sizeof(*e));

		if (net_endpoint_make(b->store, n, e, &err) < 0)
			return "not made";
		if (i % 3 == 0 && net_endpoint_unmake(b->store, e, &err) < 0)
			return "not unmade";
		net_endpoint_free(e);
	}
	net_network_free(n);
	return NULL;
}

static void threads(void **state)
{
	struct box *b = *state;
	struct net_network *n = box_network_make(b, "web", "10.5.0.0/24");
	pthread_t all[4];
	void *failed;
	struct net_lease *leases;
	size_t count;

	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&all[i], NULL, many, b), 0);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(all[i], &failed), 0);
		assert_null(failed);
	}
	assert_int_equal(net_ipam_list(b->store, n->id, &leases, &count, NULL), 0);
	assert_int_equal(count, 80);
	net_leases_free(leases, count);
	net_network_free(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(networks, box_open, box_close),
		cmocka_unit_test_setup_teardown(not_found, box_open, box_close),
		cmocka_unit_test_setup_teardown(refusals, box_open, box_close),
		cmocka_unit_test_setup_teardown(subnets, box_open, box_close),
		cmocka_unit_test_setup_teardown(endpoints, box_open, box_close),
		cmocka_unit_test_setup_teardown(processes, box_open, box_close),
		cmocka_unit_test_setup_teardown(damage, box_open, box_close),
		cmocka_unit_test_setup_teardown(no_room, box_open, box_close),
		cmocka_unit_test_setup_teardown(flat, box_open, box_close),
		cmocka_unit_test_setup_teardown(threads, box_open, box_close),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
