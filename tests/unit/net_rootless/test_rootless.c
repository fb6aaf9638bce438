/* SPDX-License-Identifier: MIT */
/*
 * pasta and slirp4netns, started by an ordinary user, in a network namespace of the test's own with one link.
 * The test begins as root only to make that place, with a /dev/net/tun as udev makes it.
 */
#include "rootless/rootless.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define USER 65533

static char top[] = "/tmp/cow-rootless-XXXXXX";
static struct {
	char dir[64], userns[64], netns[64];
	pid_t holder, guest;
	struct plug_error err;
} box;

static struct sockaddr_in address(const char *text, uint16_t port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };

	assert_int_equal(inet_pton(AF_INET, text, &in.sin_addr), 1);
	return in;
}

/* Listens on a port and says a word to each who comes. */
static int listener(const char *where, uint16_t port)
{
	struct sockaddr_in in = address(where, port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&in, sizeof(in)) < 0 || listen(fd, 4) < 0)
		return -1;
	return fd;
}

/* What is said at an address within three seconds, or "". */
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

static int enter(void)
{
	int user = open(box.userns, O_RDONLY | O_CLOEXEC), net = open(box.netns, O_RDONLY | O_CLOEXEC);

	return setns(user, CLONE_NEWUSER) < 0 || setns(net, CLONE_NEWNET) < 0 ? -1 : 0;
}

/* In the container's namespace: a service on port 80. */
static pid_t guest_service(void)
{
	int pair[2];
	pid_t pid;
	char c;

	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		int fd = enter() < 0 ? -1 : listener("0.0.0.0", 80);

		if (fd < 0 || write(pair[1], "r", 1) != 1)
			_exit(1);
		for (;;) {
			int got = accept(fd, NULL, NULL);

			(void)!write(got, "guest", 5);
			(void)close(got);
		}
	}
	(void)close(pair[1]);
	assert_int_equal(read(pair[0], &c, 1), 1);
	(void)close(pair[0]);
	return pid;
}

static bool guest_hears(const char *where, uint16_t port, const char *word)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(enter() < 0 || strcmp(said(where, port), word) != 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* On the host, at its link's address and on its loopback. */
static pid_t host_service(const char *where, uint16_t port)
{
	int fd = listener(where, port);
	pid_t pid;

	assert_true(fd >= 0);
	pid = fork();
	if (pid == 0) {
		for (;;) {
			int got = accept(fd, NULL, NULL);

			(void)!write(got, "host", 4);
			(void)close(got);
		}
	}
	(void)close(fd);
	return pid;
}

static void end_child(pid_t pid)
{
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}

static int begin(void **state)
{
	(void)state;
	memset(&box, 0, sizeof(box));
	(void)snprintf(box.dir, sizeof(box.dir), "%s/c", top);
	if (net_rootless_hold(box.dir, &box.holder, &box.err) < 0) {
		(void)fprintf(stderr, "%s\n", box.err.text);
		return -1;
	}
	(void)snprintf(box.userns, sizeof(box.userns), "/proc/%d/ns/user", box.holder);
	(void)snprintf(box.netns, sizeof(box.netns), "/proc/%d/ns/net", box.holder);
	return 0;
}

static int end(void **state)
{
	siginfo_t info;

	(void)state;
	if (box.guest)
		end_child(box.guest);
	if (net_rootless_stop(box.dir, &box.err) < 0 || access(box.dir, F_OK) == 0)
		return -1;
	return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 ? -1 : 0; /* a child was left */
}

static void carries_packets(enum net_rootless_kind kind)
{
	struct net_rootless_port ports[] = { { .external = 8080, .internal = 80 },
					     { .host = "127.0.0.1", .external = 8081, .internal = 80 } };
	struct net_rootless q = { kind, box.dir, box.userns, box.netns, "eth0", ports, 2, 0 };
	pid_t host = host_service("10.6.6.1", 7000), loopback = host_service("127.0.0.1", 7001);
	pid_t pid = 0, found = 0;

	if (net_rootless_start(&q, &pid, &box.err) < 0)
		fail_msg("%s", box.err.text);
	assert_int_equal(net_rootless_find(box.dir, &found), 0);
	assert_int_equal(found, pid);
	box.guest = guest_service();
	assert_string_equal(said("127.0.0.1", 8080), "guest");
	assert_string_equal(said("127.0.0.1", 8081), "guest");
	/* Out, by the user's sockets; the user's loopback is not the container's. */
	assert_true(guest_hears("10.6.6.1", 7000, "host"));
	assert_false(guest_hears("127.0.0.1", 7001, "host"));
	/* It lives without us, and is found by its directory alone. */
	assert_int_equal(net_rootless_stop(box.dir, &box.err), 0);
	assert_int_equal(net_rootless_find(box.dir, &found), -ESRCH);
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(net_rootless_stop(box.dir, &box.err), 0);
	assert_string_equal(said("127.0.0.1", 8080), "");
	end_child(host);
	end_child(loopback);
}

static void pasta(void **state)
{
	(void)state;
	carries_packets(NET_ROOTLESS_PASTA);
}

static void slirp4netns(void **state)
{
	(void)state;
	carries_packets(NET_ROOTLESS_SLIRP);
}

static void a_port_is_taken(enum net_rootless_kind kind)
{
	struct net_rootless_port port = { .external = 8080, .internal = 80 };
	struct net_rootless q = { kind, box.dir, box.userns, box.netns, "eth0", &port, 1, 0 };
	pid_t pid = 0, other = host_service("0.0.0.0", 8080);
	int r = net_rootless_start(&q, &pid, &box.err);

	end_child(other);
	assert_true(r == -EADDRINUSE || r == -EIO);
	assert_int_equal(net_rootless_find(box.dir, &pid), -ESRCH);
}

static void a_port_is_taken_from_pasta(void **state)
{
	(void)state;
	a_port_is_taken(NET_ROOTLESS_PASTA);
	assert_non_null(strstr(box.err.text, "pasta: "));
}

static void a_port_is_taken_from_slirp(void **state)
{
	(void)state;
	a_port_is_taken(NET_ROOTLESS_SLIRP);
	assert_non_null(strstr(box.err.text, "slirp4netns: port 8080: "));
}

static void words_of_what_fails(void **state)
{
	const char *none = "/nonexistent";
	struct net_rootless q = { NET_ROOTLESS_PASTA, box.dir, none, none, "eth0", NULL, 0, 0 };
	struct net_rootless_port many[40] = { { 0 } };
	pid_t pid;

	(void)state;
	assert_int_equal(net_rootless_start(&q, &pid, &box.err), -EIO);
	assert_non_null(strstr(box.err.text, "pasta: "));
	q.kind = NET_ROOTLESS_SLIRP;
	assert_int_equal(net_rootless_start(&q, &pid, &box.err), -EIO);
	assert_non_null(strstr(box.err.text, "slirp4netns: "));
	q.kind = NET_ROOTLESS_ANY;
	q.ports = many;
	q.port_count = 40;
	assert_int_equal(net_rootless_start(&q, &pid, &box.err), -E2BIG);
	assert_int_equal(net_rootless_find(box.dir, &pid), -ESRCH);
}

/* A number that is another's by now is not ended. */
static void numbers_come_again(void **state)
{
	char path[80];
	pid_t pid, other = fork();
	FILE *f;

	(void)state;
	if (other == 0)
		for (;;)
			(void)pause();
	(void)snprintf(path, sizeof(path), "%s/pid", box.dir);
	f = fopen(path, "we");
	assert_non_null(f);
	(void)fprintf(f, "%d 7\n", other);
	(void)fclose(f);
	assert_int_equal(net_rootless_find(box.dir, &pid), -ESRCH);
	assert_int_equal(net_rootless_stop(box.dir, &box.err), 0);
	assert_int_equal(kill(other, 0), 0);
	end_child(other);
}

/* As root: a network namespace with one link and a default route, and a tun that everybody may open. */
static int place_make(void)
{
	if (!mkdtemp(top) || chown(top, USER, USER) < 0 || unshare(CLONE_NEWNET | CLONE_NEWNS) < 0)
		return -1;
	return system("mount --make-rprivate / && mount -t tmpfs none /dev/net && "
		      "mknod -m 666 /dev/net/tun c 10 200 && ip link set lo up && "
		      "ip link add cow0 type veth peer name cow1 && ip addr add 10.5.5.1/24 dev cow0 && "
		      "ip link set cow0 up && ip link set cow1 up && ip addr add 10.6.6.1/32 dev lo && "
		      "ip route add default via 10.5.5.2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
		TEST(pasta),
		TEST(slirp4netns),
		TEST(a_port_is_taken_from_pasta),
		TEST(a_port_is_taken_from_slirp),
		TEST(words_of_what_fails),
		TEST(numbers_come_again),
	};
	int status = 1;
	pid_t pid;

	if (place_make() != 0) {
		perror("a place for the test");
		return 1;
	}
	pid = fork();
	if (pid == 0) {
		/* What a user starts owns its /proc; who was root before has to ask for that. */
		if (setgroups(0, NULL) < 0 || setresgid(USER, USER, USER) < 0 ||
		    setresuid(USER, USER, USER) < 0 || prctl(PR_SET_DUMPABLE, 1) < 0)
			exit(1);
		exit(cmocka_run_group_tests(tests, NULL, NULL));
	}
	(void)waitpid(pid, &status, 0);
	(void)rmdir(top);
	return !WIFEXITED(status) || WEXITSTATUS(status);
}
