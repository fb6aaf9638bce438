/* SPDX-License-Identifier: MIT */
/* The standard plugins, as Debian has them, in a network namespace of the test's own. */
#include "box.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define BRIDGE "cowcni0"

static struct {
	pid_t pid; /* lives in the container's namespace, and answers on port 80 there */
	int talk;
	char netns[64];
} guest;

static int lo_up(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), r = ioctl(fd, SIOCSIFFLAGS, &lo);

	(void)close(fd);
	return r;
}

static struct sockaddr_in address(const char *text, uint16_t port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };

	(void)inet_pton(AF_INET, text, &in.sin_addr);
	return in;
}

__attribute__((noreturn)) static void guest_main(int talk)
{
	struct sockaddr_in in = address("0.0.0.0", 80);
	int fd;

	if (unshare(CLONE_NEWNET) < 0)
		_exit(1);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(fd, (struct sockaddr *)&in, sizeof(in)) < 0 || listen(fd, 4) < 0 || write(talk, "r", 1) != 1)
		_exit(1);
	for (;;) {
		int got = accept(fd, NULL, NULL);

		(void)!write(got, "guest", 5);
		(void)close(got);
	}
}

static int begin(void **state)
{
	int pair[2];
	char c;

	if (box_begin(state) < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	(void)box_plugin; /* not that one */
	box.paths.plugins = NULL;
	guest.pid = fork();
	if (guest.pid == 0)
		guest_main(pair[1]);
	(void)close(pair[1]);
	guest.talk = pair[0];
	(void)snprintf(guest.netns, sizeof(guest.netns), "/proc/%d/ns/net", guest.pid);
	return read(guest.talk, &c, 1) == 1 ? 0 : -1;
}

static void guest_end(void)
{
	if (!guest.pid)
		return;
	(void)kill(guest.pid, SIGKILL);
	(void)waitpid(guest.pid, NULL, 0);
	(void)close(guest.talk);
	guest.pid = 0;
}

static int end(void **state)
{
	guest_end();
	return box_end(state);
}

/* A command's output, static. */
static const char *output(const char *command)
{
	char whole[300], path[100];

	(void)snprintf(path, sizeof(path), "%s/out", box.dir);
	(void)snprintf(whole, sizeof(whole), "(%s) >%s 2>&1", command, path);
	assert_int_equal(system(whole), 0);
	return box_text(path);
}

/* What is said at an address, or "". */
static const char *said(const char *where, uint16_t port)
{
	static char text[16];
	struct sockaddr_in in = address(where, port);
	struct pollfd p = { .fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
			    .events = POLLIN };
	ssize_t n = -1;

	(void)connect(p.fd, (struct sockaddr *)&in, sizeof(in));
	if (poll(&p, 1, 3000) == 1)
		n = recv(p.fd, text, sizeof(text) - 1, 0);
	(void)close(p.fd);
	text[n > 0 ? n : 0] = 0;
	return text;
}

#define PORTMAP "{\"type\":\"portmap\",\"capabilities\":{\"portMappings\":true}},"
#define FIREWALL "{\"type\":\"firewall\",\"backend\":\"iptables\"},"

static struct net_cni_list *list(const char *version, const char *masquerade, const char *more)
{
	struct net_cni_list *l = NULL;

	box_file("net.d/10-cow.conflist", 0644,
		 "{\"cniVersion\":\"%s\",\"name\":\"cow\",\"plugins\":["
		 "{\"type\":\"bridge\",\"bridge\":\"" BRIDGE "\",\"isGateway\":true,\"ipMasq\":%s,"
		 "\"ipam\":{\"type\":\"host-local\",\"dataDir\":\"%s/leases\","
		 "\"ranges\":[[{\"subnet\":\"10.77.0.0/24\"}]]}},"
		 "{\"type\":\"loopback\"},%s"
		 "{\"type\":\"bandwidth\",\"capabilities\":{\"bandwidth\":true}}]}",
		 version, masquerade, box.dir, more);
	assert_int_equal(net_cni_load(&box.paths, "cow", &l, &box.err), 0);
	return l;
}

static struct json_object *capabilities(void)
{
	return json_tokener_parse(
		"{\"portMappings\":[{\"hostPort\":8080,\"containerPort\":80,\"protocol\":\"tcp\"}],"
		"\"bandwidth\":{\"ingressRate\":80000000,\"ingressBurst\":8000000,"
		"\"egressRate\":80000000,\"egressBurst\":8000000}}");
}

/* Of the container nothing is there any more; the bridge is the list's, and stays. */
static void nothing_left(void)
{
	char path[100];

	(void)snprintf(path, sizeof(path), "%s/leases/cow", box.dir);
	assert_int_equal(box_count(path), 2); /* the lock and the last address given */
	assert_int_equal(box_count(box.cache), 0);
	assert_null(strstr(output("iptables-save; iptables-save -t nat"), "10.77.0."));
	assert_null(strstr(output("ip -o link"), "veth"));
	assert_null(strstr(output("ip -o link"), "bwp"));
}

static void everything_of_a_chain(const char *version, const char *more)
{
	struct net_cni_list *l = list(version, "true", more);
	struct json_object *caps = capabilities();
	struct net_cni_attachment at = { "c1", "cow", "eth0", guest.netns, NULL, caps };
	struct net_cni_result *result = NULL;

	if (net_cni_add(&box.paths, l, &at, NULL, &result, &box.err) < 0)
		fail_msg("%s", box.err.text);
	assert_int_equal(result->ip_count, 1);
	assert_string_equal(result->ips[0].gateway, "10.77.0.1");
	assert_string_equal(result->interfaces[result->ips[0].interface].name, "eth0");
	assert_string_equal(result->interfaces[result->ips[0].interface].sandbox, guest.netns);
	assert_string_equal(said("10.77.0.1", 8080), "guest");
	assert_non_null(strstr(output("tc qdisc show"), "qdisc tbf"));
	/* Again: an attachment is one. */
	assert_int_equal(net_cni_add(&box.paths, l, &at, NULL, &result, &box.err), -EEXIST);
	net_cni_result_free(result);
	if (net_cni_del(&box.paths, &at, NULL, &box.err) < 0)
		fail_msg("%s", box.err.text);
	nothing_left();
	json_object_put(caps);
	net_cni_list_free(l);
}

static void version_0_3_1(void **state)
{
	(void)state;
	everything_of_a_chain("0.3.1", PORTMAP) /* firewall is younger */;
}

static void version_0_4_0(void **state)
{
	(void)state;
	everything_of_a_chain("0.4.0", PORTMAP FIREWALL);
}

static void version_1_0_0(void **state)
{
	(void)state;
	everything_of_a_chain("1.0.0", FIREWALL PORTMAP);
}

/* Without portmap: that of Debian 12 misses, in each CHECK, IPv6 rules that it never made. */
static void checked(void **state)
{
	struct net_cni_list *l = list("1.0.0", "true", FIREWALL);
	struct json_object *caps = capabilities();
	struct net_cni_attachment at = { "c1", "cow", "eth0", guest.netns, NULL, caps };
	struct net_cni_result *result = NULL;

	(void)state;
	assert_int_equal(net_cni_add(&box.paths, l, &at, NULL, &result, &box.err), 0);
	net_cni_result_free(result);
	if (net_cni_check(&box.paths, &at, NULL, &box.err) < 0)
		fail_msg("%s", box.err.text);
	(void)output("iptables -F CNI-FORWARD");
	assert_int_equal(net_cni_check(&box.paths, &at, NULL, &box.err), -EIO);
	assert_non_null(strstr(box.err.text, "cni cow: firewall: "));
	assert_int_equal(net_cni_del(&box.paths, &at, NULL, &box.err), 0);
	nothing_left();
	json_object_put(caps);
	net_cni_list_free(l);
}

/* The namespace went first.  (With ipMasq, bridge would find no address there to take its rules back for.) */
static void namespace_is_gone(void **state)
{
	struct net_cni_list *l = list("1.0.0", "false", PORTMAP FIREWALL);
	struct json_object *caps = capabilities();
	struct net_cni_attachment at = { "c1", "cow", "eth0", guest.netns, NULL, caps };
	struct net_cni_result *result = NULL;

	(void)state;
	assert_int_equal(net_cni_add(&box.paths, l, &at, NULL, &result, &box.err), 0);
	net_cni_result_free(result);
	guest_end();
	at.netns = NULL;
	at.capabilities = NULL;
	if (net_cni_del(&box.paths, &at, NULL, &box.err) < 0)
		fail_msg("%s", box.err.text);
	nothing_left();
	json_object_put(caps);
	net_cni_list_free(l);
}

/* The third plugin refuses: what the first two made goes again, and the error is the third's. */
static void a_plugin_refuses(void **state)
{
	struct net_cni_list *l = list("1.0.0", "true", PORTMAP FIREWALL);
	struct json_object *caps = json_tokener_parse(
		"{\"portMappings\":[{\"hostPort\":8080,\"containerPort\":80,\"protocol\":\"ipx\"}]}");
	struct net_cni_attachment at = { "c1", "cow", "eth0", guest.netns, NULL, caps };
	struct net_cni_result *result = NULL;

	(void)state;
	assert_int_equal(net_cni_add(&box.paths, l, &at, NULL, &result, &box.err), -EIO);
	assert_non_null(strstr(box.err.text, "cni cow: portmap: "));
	assert_null(strstr(box.err.text, "undoing"));
	nothing_left();
	json_object_put(caps);
	net_cni_list_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
		TEST(version_0_3_1), TEST(version_0_4_0),     TEST(version_1_0_0),
		TEST(checked),	     TEST(namespace_is_gone), TEST(a_plugin_refuses),
	};

	if (unshare(CLONE_NEWNET) < 0 || lo_up() < 0) {
		perror("a network namespace");
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
