/* SPDX-License-Identifier: MIT */
/* Containers from create to exit: exit codes, streams, identity, limits, init, gate. */
#include "box.h"

#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

static void test_exit_codes(void **state)
{
	static const int codes[] = { 0, 1, 42, 255 };
	struct launch_run_options init = { .init = true };
	struct box_result r;
	char script[32];

	for (size_t i = 0; i < 4; i++) {
		(void)snprintf(script, sizeof(script), "exit %d", codes[i]);
		box_run(*state, &(struct box_spec){ .script = script }, NULL, &r);
		assert_exit(&r, codes[i]);
		assert_int_equal(r.init_status, -1);
		box_run(*state, &(struct box_spec){ .script = script }, &init, &r);
		assert_exit(&r, codes[i]);
		assert_int_equal(r.init_status, codes[i] << 8);
	}
}

static void test_signal(void **state)
{
	struct launch_run_options init = { .init = true };
	struct box_result r;

	/* As PID 2 it can end by signal; init says both how, and the shell's number. */
	box_run(*state, &(struct box_spec){ .script = "kill -TERM $$" }, &init, &r);
	assert_exit(&r, 128 + SIGTERM);
	assert_true(WIFSIGNALED(r.init_status) && WTERMSIG(r.init_status) == SIGTERM);
	box_run(*state, &(struct box_spec){ .script = "kill -KILL $$" }, &init, &r);
	assert_exit(&r, 128 + SIGKILL);
}

static void test_init_reaps(void **state)
{
	struct launch_run_options init = { .init = true };
	struct box_result r;
	struct box_spec s = {
		.script = "(sleep 0 & ) ; (sleep 0 &); sleep 0.1; ps -o pid,stat,comm"
	};

	box_run(*state, &s, &init, &r);
	assert_exit(&r, 0);
	assert_has(r.out, "cowherd-init");
	assert_has_not(r.out, "Z");
}

/*
 * Signals to PID 1 reach the user's process, also those of job control's kind that one can catch.
 */
static void test_init_forwards(void **state)
{
	static const int signals[] = { SIGTERM, SIGUSR1, SIGHUP, SIGWINCH, SIGTSTP };
	struct box *b = *state;
	struct box_spec s = { .script = "trap 'exit 7' TERM USR1 HUP WINCH TSTP; echo ready;"
					"while :; do sleep 0.01; done" };
	struct launch_plan *plan = box_plan(b, &s);

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		struct launch_run_options o = { .init = true, .id = "box" };
		struct launch_child child;
		struct launch_error err;
		struct box_result r;
		char byte[6] = "";
		int pair[2];

		assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
		o.stdio = (struct launch_stdio){ -1, pair[1], -1, 0, 0 };
		assert_int_equal(launch_create(plan, &o, &child, &err), 0);
		(void)close(pair[1]);
		assert_int_equal(launch_start(plan, &o, &child, &err), 0);
		assert_int_equal(read(pair[0], byte, 5), 5);
		assert_int_equal(kill(child.pid, signals[i]), 0);
		box_wait(&child, &r);
		assert_int_equal(r.init_status, 7 << 8);
		launch_close(&child);
		(void)close(pair[0]);
	}
	free(plan);
}

static void test_init_holds_no_stream(void **state)
{
	struct launch_run_options o = { .init = true, .id = "box" };
	struct box_spec s = { .script = "exec >&- 2>&- <&-; read x </tmp/fifo" };
	struct launch_plan *plan = box_plan(*state, &s);
	struct launch_child child;
	struct launch_error err;
	struct box_result r;
	char path[160], buf[4];
	int pair[2], fd;

	(void)snprintf(path, sizeof(path), "%s/tmp/fifo", ((struct box *)*state)->rootfs);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	o.stdio = (struct launch_stdio){ -1, pair[1], pair[1], 0, 0 };
	assert_int_equal(launch_create(plan, &o, &child, &err), 0);
	(void)close(pair[1]);
	assert_int_equal(launch_start(plan, &o, &child, &err), 0);
	/* End of file while the container lives. */
	assert_int_equal(read(pair[0], buf, sizeof(buf)), 0);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	(void)close(fd);
	box_wait(&child, &r);
	launch_close(&child);
	(void)close(pair[0]);
	free(plan);
}

static void test_descriptors(void **state)
{
	struct launch_run_options init = { .init = true };
	struct box_spec s = { .script = "exec busybox ls -1 /proc/self/fd" };
	struct box_result r;
	int extra[3];

	/* Some that are not close-on-exec, as a careless library leaves them. */
	for (int i = 0; i < 3; i++)
		extra[i] = open("/etc/passwd", O_RDONLY);
	box_run(*state, &s, NULL, &r);
	assert_exit(&r, 0);
	assert_string_equal(r.out, "0\n1\n2\n3\n"); /* 3 is ls's own, of the directory */
	box_run(*state, &s, &init, &r);
	assert_string_equal(r.out, "0\n1\n2\n3\n");
	/* Handed over on purpose. */
	init.fds = extra;
	init.n_fds = 2;
	s.script = "cat <&4 | head -n 1; exec busybox ls -1 /proc/self/fd";
	box_run(*state, &s, &init, &r);
	assert_exit(&r, 0);
	assert_has(r.out, "root");
	assert_has(r.out, "0\n1\n2\n3\n4\n5\n");
	for (int i = 0; i < 3; i++)
		(void)close(extra[i]);
}

/* Whatever the caller blocks and ignores, the program starts with none of it. */
static void test_signals_are_fresh(void **state)
{
	struct launch_run_options init = { .init = true };
	struct box_spec s = {
		.args = "[\"grep\",\"-E\",\"Sig(Blk|Ign|Pnd)\",\"/proc/self/status\"]",
	};
	struct box_result r;
	sigset_t set, old;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGUSR2);
	(void)sigprocmask(SIG_BLOCK, &set, &old);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	for (int i = 0; i < 2; i++) {
		box_run(*state, &s, i ? &init : NULL, &r);
		assert_exit(&r, 0);
		assert_string_equal(r.out, "SigPnd:\t0000000000000000\nSigBlk:\t0000000000000000\n"
					   "SigIgn:\t0000000000000000\n");
	}
	(void)signal(SIGPIPE, SIG_DFL);
	(void)signal(SIGHUP, SIG_DFL);
	(void)sigprocmask(SIG_SETMASK, &old, NULL);
}

static void test_capabilities(void **state)
{
	struct box_spec s = {
		.script = "grep -E 'Cap|NoNew|Seccomp:' /proc/self/status; id -u; id -g; id -G",
		.process =
			",\"noNewPrivileges\":true,\"capabilities\":{\"bounding\":[\"CAP_KILL\","
			"\"CAP_CHOWN\"],\"permitted\":[\"CAP_KILL\"],\"effective\":[\"CAP_KILL\"]}",
	};
	struct box_result r;

	box_run(*state, &s, NULL, &r);
	assert_exit(&r, 0);
	assert_has(r.out, "CapInh:\t0000000000000000");
	assert_has(r.out, "CapEff:\t0000000000000020");
	assert_has(r.out, "CapBnd:\t0000000000000021");
	assert_has(r.out, "NoNewPrivs:\t1");
	/* Another user keeps what is ambient, and nothing else. */
	s.process = ",\"capabilities\":{\"bounding\":[\"CAP_KILL\",\"CAP_CHOWN\"],"
		    "\"permitted\":[\"CAP_KILL\"],\"effective\":[\"CAP_KILL\"],"
		    "\"inheritable\":[\"CAP_KILL\"],\"ambient\":[\"CAP_KILL\"]},"
		    "\"user\":{\"uid\":1000,\"gid\":1001,\"additionalGids\":[5,6]}";
	box_run(*state, &s, NULL, &r);
	assert_exit(&r, 0);
	assert_has(r.out, "CapEff:\t0000000000000020");
	assert_has(r.out, "CapAmb:\t0000000000000020");
	assert_has(r.out, "1000\n1001\n1001 5 6\n");
	s.process = ",\"user\":{\"uid\":1000,\"gid\":1000}";
	box_run(*state, &s, NULL, &r);
	assert_has(r.out, "CapPrm:\t0000000000000000");
	assert_has(r.out, "CapBnd:\t0000000000000000");
}

static void test_environment(void **state)
{
	struct box_spec s = {
		.script = "env; umask; ulimit -n; readlink /proc/self/cwd; hostname;"
			  "cat /proc/self/oom_score_adj; cat /proc/sys/kernel/domainname",
		.process = ",\"cwd\":\"/made/here\",\"oomScoreAdj\":321,\"rlimits\":[{"
			   "\"type\":\"RLIMIT_NOFILE\",\"soft\":100,\"hard\":200}]",
		.top = ",\"hostname\":\"cow\",\"domainname\":\"herd\""
	};
	struct box_result r;

	box_run(*state, &s, NULL, &r);
	assert_exit(&r, 0);
	assert_has(r.out, "HOME=/root\n");
	assert_has(r.out, "0022\n100\n/made/here\ncow\n321\nherd\n");
	s.process = ",\"user\":{\"uid\":1000,\"gid\":1000,\"umask\":63}";
	box_run(*state, &s, NULL, &r);
	assert_exit(&r, 0);
	assert_has(r.out, "HOME=/home/user\n");
	assert_has(r.out, "0077\n");
}

static void test_sysctl_and_loopback(void **state)
{
	struct box_spec s = { .script = "cat /proc/sys/net/ipv4/ip_forward; ip addr show lo;"
					"cat /proc/sys/kernel/shmmax",
			      .linux_ = ",\"sysctl\":{\"net.ipv4.ip_forward\":\"1\","
					"\"kernel.shmmax\":\"12345678\"}" };
	struct box_result r;

	box_run(*state, &s, NULL, &r);
	assert_exit(&r, 0);
	assert_has(r.out, "1\n");
	assert_has(r.out, "LOOPBACK,UP");
	assert_has(r.out, "127.0.0.1");
	assert_has(r.out, "12345678");
}

static void test_not_found(void **state)
{
	struct launch_run_options init = { .init = true };
	struct box_result r;

	for (int i = 0; i < 2; i++) {
		const struct launch_run_options *o = i ? &init : NULL;

		box_run(*state, &(struct box_spec){ .args = "[\"nothere\"]" }, o, &r);
		assert_int_equal(r.error, -ENOENT);
		assert_string_equal(r.err.text,
				    "exec: \"nothere\": executable file not found in $PATH");
		box_run(*state, &(struct box_spec){ .args = "[\"/no/where\"]" }, o, &r);
		assert_int_equal(r.error, -ENOENT);
		assert_string_equal(r.err.text, "exec: \"/no/where\": no such file or directory");
		box_run(*state, &(struct box_spec){ .args = "[\"/etc/passwd\"]" }, o, &r);
		assert_int_equal(r.error, -EACCES);
		assert_string_equal(r.err.text, "exec: \"/etc/passwd\": permission denied");
		box_run(*state, &(struct box_spec){ .args = "[\"/etc\"]" }, o, &r);
		assert_int_equal(r.error, -EACCES);
	}
}

static void test_terminal(void **state)
{
	struct launch_run_options init = { .init = true };
	struct box_spec s = {
		.script = "tty; stty size; readlink /proc/self/fd/0; readlink /proc/self/fd/2;"
			  "ls -l /dev/console; echo >/dev/tty; ps -o pid,tty,comm; exit 3",
		.process = ",\"terminal\":true,\"consoleSize\":{\"height\":30,\"width\":90}"
	};
	struct box_result r;

	for (int i = 0; i < 2; i++) {
		box_run(*state, &s, i ? &init : NULL, &r);
		assert_exit(&r, 3);
		assert_has(r.out, "/dev/pts/0\r\n30 90\r\n/dev/pts/0\r\n/dev/pts/0\r\n");
		assert_has(r.out, "136,   0");
		assert_has_not(r.out, "can't");
	}
}

/* The gate: nothing of the user's runs before it opens, and closing it ends all. */
static void test_gate(void **state)
{
	struct box *b = *state;
	struct box_spec s = { .script = "touch /ran" };
	struct launch_plan *plan = box_plan(b, &s);
	struct launch_run_options o = { .id = "box", .init = true, .stdio = { -1, -1, -1, 0, 0 } };
	struct launch_child child;
	struct launch_error err;
	struct box_result r;

	assert_int_equal(launch_create(plan, &o, &child, &err), 0);
	assert_true(child.pid > 0 && child.pidfd >= 0 && child.start_time > 0);
	(void)close(child.gate);
	child.gate = -1;
	box_wait(&child, &r);
	assert_int_equal(r.code, CLD_EXITED);
	assert_int_equal(access(box_path(b, "rootfs/ran"), F_OK), -1);
	assert_int_equal(launch_start(plan, &o, &child, &err), -EINVAL);
	launch_close(&child);
	free(plan);
}

static int born_fails(void *arg, pid_t pid, uint64_t start_time)
{
	*(pid_t *)arg = pid;
	assert_true(start_time > 0);
	return -EDQUOT;
}

static void test_born(void **state)
{
	pid_t pid = 0;
	struct launch_run_options o = { .born = born_fails, .born_arg = &pid };
	struct box_result r;

	box_run(*state, &(struct box_spec){ 0 }, &o, &r);
	assert_int_equal(r.error, -EDQUOT);
	assert_true(pid > 0);
	assert_int_equal(kill(pid, 0), -1);
}

/* The supervisor's death before the gate is opened ends the child. */
static void test_parent_dies(void **state)
{
	struct box *b = *state;
	struct launch_plan *plan = box_plan(b, &(struct box_spec){ .script = "touch /ran" });
	struct launch_run_options o = { .id = "box", .stdio = { -1, -1, -1, 0, 0 } };
	struct pollfd p = { .events = POLLIN };
	int pair[2], status;
	char byte;
	pid_t pid;

	assert_int_equal(pipe(pair), 0);
	pid = fork();
	if (pid == 0) {
		struct launch_child child;
		struct launch_error err;

		o.stdio.out = pair[1]; /* held by the container as long as it lives */
		_exit(launch_create(plan, &o, &child, &err) < 0);
	}
	(void)close(pair[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	p.fd = pair[0];
	assert_int_equal(poll(&p, 1, 5000), 1);
	assert_int_equal(read(pair[0], &byte, 1), 0);
	assert_int_equal(access(box_path(b, "rootfs/ran"), F_OK), -1);
	(void)close(pair[0]);
	free(plan);
}

static void test_seccomp(void **state)
{
	struct launch_run_options init = { .init = true };
	struct box_spec s = {
		.script = "grep Seccomp: /proc/self/status; mkdir /x; grep Seccomp: /proc/1/status",
		.process = ",\"noNewPrivileges\":true",
		.linux_ =
			",\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":["
			"\"SCMP_ARCH_X86_64\",\"SCMP_ARCH_AARCH64\"],\"syscalls\":[{\"names\":["
			"\"mkdir\",\"mkdirat\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":122}]}",
	};
	struct box_result r;

	for (int i = 0; i < 2; i++) {
		s.process = i ? ",\"noNewPrivileges\":true" : "";
		box_run(*state, &s, &init, &r);
		assert_exit(&r, 0);
		/* The user's process has it, PID 1 has not. */
		assert_has(r.out, "Seccomp:\t2\n");
		assert_has(r.out, "uota exceeded");
		assert_has(r.out, "Seccomp:\t0\n");
	}
}

struct notified {
	int sock;
	int listener;
	char state[2048];
	unsigned answered;
};

/* Takes the listener, then answers every mkdir that is asked for with success. */
static void *answer_notifications(void *arg)
{
	struct notified *n = arg;
	struct pollfd p;
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { n->state, sizeof(n->state) - 1 };
	struct msghdr head = { .msg_iov = &iov,
			       .msg_iovlen = 1,
			       .msg_control = &control,
			       .msg_controllen = sizeof(control) };
	int fd = accept4(n->sock, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0 || recvmsg(fd, &head, MSG_CMSG_CLOEXEC) <= 0)
		return NULL;
	(void)close(fd);
	memcpy(&n->listener, CMSG_DATA(&control.head), sizeof(int));
	p = (struct pollfd){ .fd = n->listener, .events = POLLIN };
	while (poll(&p, 1, 5000) == 1 && !(p.revents & POLLHUP)) {
		struct seccomp_notif request = { 0 };
		struct seccomp_notif_resp answer = { 0 };

		if (ioctl(n->listener, SECCOMP_IOCTL_NOTIF_RECV, &request) < 0)
			break;
		answer.id = request.id;
		n->answered++;
		(void)ioctl(n->listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
	}
	return NULL;
}

static void test_seccomp_listener(void **state)
{
	struct box *b = *state;
	struct launch_run_options init = { .init = true };
	char linux_[512];
	struct box_spec s = { .script = "mkdir /x && mkdir /y && ls -d /x /y", .linux_ = linux_ };
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct box_result r;

	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", box_path(b, "socket"));
	(void)snprintf(
		linux_, sizeof(linux_),
		",\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"listenerPath\":\"%s\","
		"\"listenerMetadata\":\"meta\",\"syscalls\":[{\"names\":[\"mkdir\",\"mkdirat\","
		"\"sendmsg\"],\"action\":\"SCMP_ACT_NOTIFY\"}]}",
		addr.sun_path);
	for (int i = 0; i < 4; i++) {
		struct notified n = { .listener = -1 };
		pthread_t thread;

		s.process = i & 1 ? ",\"noNewPrivileges\":true" : "";
		n.sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(bind(n.sock, (struct sockaddr *)&addr, sizeof(addr)), 0);
		assert_int_equal(listen(n.sock, 1), 0);
		assert_int_equal(pthread_create(&thread, NULL, answer_notifications, &n), 0);
		box_run(b, &s, i & 2 ? &init : NULL, &r);
		if (r.error)
			fail_msg("%s", r.err.text);
		(void)pthread_join(thread, NULL);
		/* Both were answered for, and neither was made. */
		assert_true(n.answered >= 2);
		assert_int_equal(access(box_path(b, "rootfs/x"), F_OK), -1);
		assert_has(n.state, "\"fds\":[\"seccompFd\"]");
		assert_has(n.state, "\"metadata\":\"meta\"");
		assert_has(n.state, "\"state\":{\"ociVersion\"");
		(void)close(n.listener);
		(void)close(n.sock);
		(void)unlink(addr.sun_path);
	}
}

/* PID 1 is none of the container's to look into or to write to. */
static void test_stub_is_closed(void **state)
{
	struct launch_run_options init = { .init = true };
	struct box_spec s = { .script = "cat /proc/1/comm; cat /proc/1/environ >/dev/null; "
					"echo >>/proc/1/exe; dd if=/proc/1/mem bs=1 count=1",
			      .process = ",\"capabilities\":{\"bounding\":[\"CAP_DAC_OVERRIDE\"],"
					 "\"permitted\":[\"CAP_DAC_OVERRIDE\"]}" };
	struct box_result r;

	box_run(*state, &s, &init, &r);
	assert_has(r.out, "cowherd-init\n");
	assert_has(r.out, "/proc/1/environ': Permission denied");
	assert_has(r.out, "/proc/1/exe: Permission denied");
	assert_has(r.out, "/proc/1/mem': Permission denied");
}

/* What a running container costs beside its own processes. */
static void test_stub_is_small(void **state)
{
	struct launch_run_options o = { .init = true, .id = "box", .stdio = { -1, -1, -1, 0, 0 } };
	struct launch_plan *plan = box_plan(*state, &(struct box_spec){ .script = "sleep 1000" });
	struct launch_child child;
	struct launch_error err;
	struct box_result r;
	char path[64], text[2048] = "", *pss;
	int fd;

	assert_int_equal(launch_create(plan, &o, &child, &err), 0);
	assert_int_equal(launch_start(plan, &o, &child, &err), 0);
	(void)snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", child.pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0);
	(void)close(fd);
	pss = strstr(text, "\nPss:");
	assert_non_null(pss);
	assert_in_range(strtol(pss + 5, NULL, 10), 1, 64); /* KiB */
	(void)kill(child.pid, SIGKILL);
	box_wait(&child, &r);
	launch_close(&child);
	free(plan);
}

/*
 * /proc/self/exe as the program: what runs is the sealed stub at most, never the caller's binary.
 */
static void test_self_exe(void **state)
{
	struct box_result r;

	box_run(*state, &(struct box_spec){ .args = "[\"/proc/self/exe\"]" }, NULL, &r);
	if (r.error == 0)
		assert_int_equal(r.status, 125); /* the stub, finding no plan */
	box_run(*state,
		&(struct box_spec){ .script =
					    "echo x >>/proc/self/exe || readlink /proc/self/exe" },
		NULL, &r);
	assert_has(r.out, "/bin/busybox");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, box_setup, box_teardown)
		T(test_exit_codes),
		T(test_signal),
		T(test_init_reaps),
		T(test_init_forwards),
		T(test_init_holds_no_stream),
		T(test_descriptors),
		T(test_signals_are_fresh),
		T(test_capabilities),
		T(test_environment),
		T(test_sysctl_and_loopback),
		T(test_not_found),
		T(test_terminal),
		T(test_gate),
		T(test_born),
		T(test_parent_dies),
		T(test_seccomp),
		T(test_seccomp_listener),
		T(test_stub_is_closed),
		T(test_stub_is_small),
		T(test_self_exe),
	};

	return cmocka_run_group_tests(tests, box_warm_up, NULL);
}
