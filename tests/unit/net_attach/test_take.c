/* SPDX-License-Identifier: MIT */
/*
 * A container's network, taken and given back in the real kernel, in namespaces of the test's own: each
 * allocation fails once, each request to the kernel fails once.  Whatever happened, the record gives it all
 * back.
 */
#include "attach/parts.h"
#include "attach/trash.h"
#include "attach/worker.h"
#include "common/util.h"
#include "kernel/netns.h"
#include "kernel/rtnl.h"
#include "model/ipam.h"
#include "model/make.h"
#include "tests/alloc_fail_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <ftw.h>
#include <libmnl/libmnl.h>
#include <net/if.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define SPACE "11111111-0000-4000-8000-000000000003"

/* ---- requests to the kernel that fail */

static atomic_uint requests; /* until the one that fails; 0: none will */
static atomic_bool refused;

/* In place of libmnl's. */
ssize_t mnl_socket_sendto(const struct mnl_socket *s, const void *buffer, size_t size)
{
	ssize_t (*real)(const struct mnl_socket *, const void *, size_t);
	unsigned n = requests;

	*(void **)&real = dlsym(RTLD_NEXT, "mnl_socket_sendto");
	while (n > 0 && !atomic_compare_exchange_weak(&requests, &n, n - 1))
		;
	if (n != 1)
		return real(s, buffer, size);
	refused = true;
	errno = EIO;
	return -1;
}

/* ---- the place */

static struct {
	char top[64], state[80], run[80], container[96];
	struct net_state *net;
} box;

static int lo_up(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), r;

	r = ioctl(fd, SIOCSIFFLAGS, &lo);
	(void)close(fd);
	return r;
}

static void network(const char *name, enum net_type type, const char *prefix)
{
	struct net_network *n = calloc(1, sizeof(*n));
	struct plug_error err = { 0 };

	n->name = strdup(name);
	n->type = type;
	n->subnets = calloc(1, sizeof(*n->subnets));
	n->subnet_count = 1;
	assert_int_equal(net_addr_parse_prefix(prefix, &n->subnets[0].prefix), 0);
	if (net_network_make(box.net->store, n, NULL, 0, &err) < 0)
		fail_msg("%s", err.text);
	net_network_free(n);
}

/* Of a user: a namespace, and an endpoint on network one. */
static void users(void)
{
	struct net_namespace ns = { .id = SPACE, .type = NET_NS_GUEST };
	struct net_endpoint *e = calloc(1, sizeof(*e));
	struct net_network *n = NULL;
	struct plug_error err = { 0 };

	ns.path = net_state_ns_path(box.net, SPACE);
	e->name = strdup("e");
	e->durable = true;
	if (net_ns_make(ns.path, NULL, &err) < 0 ||
	    net_store_put_namespace(box.net->store, &ns, NET_PUT_NEW, &err) < 0 ||
	    net_store_network(box.net->store, "one", &n, &err) < 0 ||
	    net_endpoint_make(box.net->store, n, e, &err) < 0)
		fail_msg("%s", err.text);
	free(ns.path);
	net_endpoint_free(e);
	net_network_free(n);
}

static int enter(void **state)
{
	struct plug_error err = { 0 };

	(void)state;
	(void)strcpy(box.top, "/dev/shm/cow-take-XXXXXX");
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE,
	NULL) < 0 ||
	    lo_up() < 0 || !mkdtemp(box.top))
		return -1;
	(void)snprintf(box.state, sizeof(box.state), "%s/state", box.top);
	(void)snprintf(box.run, sizeof(box.run), "%s/run", box.top);
	(void)snprintf(box.container, sizeof(box.container), "%s/c", box.run);
	if (net_state_set_up(box.state, box.run) < 0 || net_state_get(&box.net, &err) < 0 ||
	    mkdir(box.container, 0700) < 0)
		return -1;
	network("one", NET_NAT, "10.1.0.0/24");
	network("two", NET_PRIVATE, "fd01::/64");
	users();
	return 0;
}

static int unlink_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int leave(void **state)
{
	char *path = net_state_ns_path(box.net, SPACE);

	(void)net_ns_delete(path, NULL);
	free(path);
	(void)state;
	net_worker_stop();
	net_state_close();
	return nftw(box.top, unlink_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- one container */

/* A new namespace on two networks; a user's namespace and endpoint. */
static const struct kind {
	const char *options, *spec;
	bool joined;
} kinds[] = {
	{ "{\"networks\":[\"one:alias=x,mac=02:00:00:00:00:07\",\"two\"],\"ports\":[\"8080:80\"],"
	  "\"dns\":[\"192.0.2.53\"],\"add_host\":[\"gw:host-gateway\"]}",
	  "{\"hostname\":\"h\",\"linux\":{\"namespaces\":[{\"type\":\"network\"}]}}", false },
	{ "{}",
	  "{\"hostname\":\"h\",\"linux\":{\"namespaces\":[{\"type\":\"network\"}]},\"windows\":{\"network\":{"
	  "\"networkNamespace\":\"" SPACE "\",\"endpointList\":[\"e\"]}}}",
	  true },
};
static const struct kind *kind;

static void plan(struct net_part *part)
{
	const struct cowherd_request request = { .size = sizeof(request), .container = "c", .name = "c",
						 .options = kind->options, .spec = kind->spec };
	const struct net_plan_defaults defaults = { .fallback = "nat" };

	*part = (struct net_part){ 0 };
	assert_int_equal(net_plan_read(&request, &defaults, &part->plan, &part->err), 0);
	part->run_dir = strdup(box.container);
	if (kind->joined)
		return;
	assert_int_equal(net_id_make(part->ns), 0);
	for (size_t i = 0; i < part->plan.want_count; i++)
		assert_int_equal(net_id_make(part->ids[i]), 0);
}

static size_t entries(const char *directory)
{
	char path[128];
	size_t n = 0;
	DIR *d;

	(void)snprintf(path, sizeof(path), "%s/%s", box.run, directory);
	d = opendir(path);
	for (struct dirent *e; d && (e = readdir(d));)
		n += *e->d_name != '.';
	if (d)
		(void)closedir(d);
	return n;
}

/* Bridges stay while there is a supervisor. */
static int count_links(void *arg, const struct net_link_info *link)
{
	*(size_t *)arg += strcmp(link->kind, "veth") == 0 || strcmp(link->kind, "ifb") == 0;
	return 0;
}

static size_t leases(const char *name)
{
	struct net_network *n = NULL;
	struct net_lease *list = NULL;
	size_t count = 0;

	assert_int_equal(net_store_network(box.net->store, name, &n, NULL), 0);
	assert_int_equal(net_ipam_list(box.net->store, n->id, &list, &count, NULL), 0);
	net_leases_free(list, count);
	net_network_free(n);
	return count;
}

/* The user's are as they were: nobody's. */
static bool users_free(void)
{
	struct net_namespace *ns = NULL;
	struct net_endpoint *e = NULL;
	bool is_free;

	assert_int_equal(net_store_namespace(box.net->store, SPACE, &ns, NULL), 0);
	assert_int_equal(net_store_endpoint(box.net->store, "e", &e, NULL), 0);
	is_free = !ns->resource_count && !e->containers.count && !*e->guest_link && !*e->namespace_id;
	net_namespace_free(ns);
	net_endpoint_free(e);
	return is_free;
}

static void nothing_left(const char *when, unsigned n)
{
	struct plug_error err = { 0 };
	struct net_rtnl *r = NULL;
	size_t links = 0;

	if (net_trash_empty(box.net, &err) < 0)
		fail_msg("%s %u: %s", when, n, err.text);
	assert_int_equal(net_rtnl_open(-1, &r, &err), 0);
	assert_int_equal(net_link_list(r, count_links, &links, &err), 0);
	net_rtnl_close(r);
	if (!users_free())
		fail_msg("%s %u: the user's objects are in use", when, n);
	if (links || entries("netns") != 1 || entries("net/endpoints") || entries("net/namespaces") != 1 ||
	    entries("c") || entries("net/trash") || leases("one") != 1 || leases("two"))
		fail_msg("%s %u: left: %zu links, %zu namespaces, %zu endpoints,"
		" %zu namespaces' records, %zu "
			 "files, %zu in the trash, %zu and %zu leases",
			 when, n, links, entries("netns"), entries("net/endpoints"),
			 entries("net/namespaces"),
			 entries("c"), entries("net/trash"), leases("one"), leases("two"));
}

static void give(struct json_object *record, const char *when, unsigned n)
{
	struct plug_error err = { 0 }, warn = { 0 };

	if (net_give(record, &err, &warn) < 0)
		fail_msg("%s %u: %s", when, n, err.text);
	assert_int_equal(warn.code, 0);
}

/* Taken with something failing, given back: twice, as after a crash. */
static int take_and_give(const char *when, unsigned n, bool alloc)
{
	struct net_part part;
	struct json_object *record;
	int r;

	plan(&part);
	record = net_part_record(&part);
	assert_non_null(record);
	if (alloc)
		alloc_fail_arm(n);
	else
		requests = n;
	r = net_take(&part);
	(void)alloc_fail_stop();
	requests = 0;
	if (r == 0)
		assert_non_null(part.patch);
	else
		assert_true(part.err.text[0]);
	net_part_finish(&part);
	give(record, when, n);
	give(record, when, n);
	json_object_put(record);
	nothing_left(when, n);
	return r;
}

static void usual(void)
{
	for (int i = 0; i < 2; i++)
		assert_int_equal(take_and_give("usual", 0, i), 0);
}

static void kernel(void)
{
	unsigned failures = 0;

	for (unsigned n = 1;; n++) {
		refused = false;
		failures += take_and_give("request", n, false) < 0;
		if (!refused)
			break;
	}
	assert_true(failures > 5);
}

/* There are many, and each take costs some: each run has others of them, COW_STRIDE=1 each of them. */
static void memory(void)
{
	const char *stride = getenv("COW_STRIDE");
	unsigned step = stride ? (unsigned)atoi(stride) : 13, first = 1, failures = 0;

	assert_true(step > 0);
	first += arc4random_uniform(step);
	print_message("allocations from %u in steps of %u\n", first, step);
	for (unsigned n = first;; n += step) {
		failures += take_and_give("allocation", n, true) < 0;
		if (!alloc_fail_stop())
			break;
	}
	assert_true(failures > 10);
}

/* Giving back fails at each request to the kernel and goes on with what is left. */
static void giving(void)
{
	for (unsigned n = 1;; n++) {
		struct plug_error err = { 0 }, warn = { 0 };
		struct json_object *record;
		struct net_part part;
		int r;

		plan(&part);
		record = net_part_record(&part);
		assert_int_equal(net_take(&part), 0);
		net_part_finish(&part);
		refused = false;
		requests = n;
		r = net_give(record, &err, &warn);
		requests = 0;
		assert_true(r == 0 || (refused && err.text[0]));
		give(record, "giving", n);
		json_object_put(record);
		nothing_left("giving", n);
		if (!refused)
			break;
	}
}

static void all_of(const struct kind *one)
{
	kind = one;
	usual();
	kernel();
	memory();
	giving();
}

static void a_new_namespace(void **state)
{
	(void)state;
	all_of(&kinds[0]);
}

static void a_users_namespace(void **state)
{
	(void)state;
	all_of(&kinds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_namespace),
		cmocka_unit_test(a_users_namespace),
	};

	return cmocka_run_group_tests(tests, enter, leave);
}
