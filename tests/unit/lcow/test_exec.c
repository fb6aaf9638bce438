/* SPDX-License-Identifier: MIT */
/* More processes in a running container. */
#include "box.h"

struct running {
	struct box *b;
	struct launch_plan *plan;
	struct launch_run_options options;
	struct launch_child child;
};

static void start(struct running *c, struct box *b, const struct box_spec *s, bool init,
		  bool no_pivot)
{
	struct box_spec spec = s ? *s : (struct box_spec){ 0 };
	struct launch_error err;

	spec.script = spec.script ? spec.script : "while :; do sleep 1000; done";
	c->b = b;
	c->plan = box_plan(b, &spec);
	c->options = (struct launch_run_options){
		.id = "box", .init = init, .no_pivot = no_pivot, .stdio = { -1, -1, -1, 0, 0 }
	};
	if (launch_create(c->plan, &c->options, &c->child, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(launch_start(c->plan, &c->options, &c->child, &err), 0);
}

static void stop(struct running *c)
{
	struct box_result r;

	assert_int_equal(kill(c->child.pid, SIGKILL), 0);
	box_wait(&c->child, &r);
	launch_close(&c->child);
	free(c->plan);
}

static void run_exec(struct running *c, const char *process, struct box_result *r)
{
	struct launch_plan *plan = box_exec_plan(c->b, c->plan, process);
	struct launch_run_options o = { .id = "box" };
	struct launch_child child;
	int pair[2];

	memset(r, 0, sizeof(*r));
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	o.stdio = (struct launch_stdio){ -1, pair[1], pair[1], 0, 0 };
	r->error = launch_exec(plan, c->plan, &c->child, &o, &child, &r->err);
	(void)close(pair[1]);
	if (r->error == 0) {
		box_read_all(child.console >= 0 ? child.console : pair[0], r->out, sizeof(r->out));
		box_wait(&child, r);
		launch_close(&child);
	}
	(void)close(pair[0]);
	free(plan);
}

#define SH(script) \
	"{\"args\":[\"/bin/sh\",\"-c\",\"" script "\"],\"cwd\":\"/\",\"env\":[\"PATH=/bin\"]}"

static void test_exec(void **state)
{
	struct running c;
	struct box_result r;

	for (int i = 0; i < 2; i++) {
		start(&c, *state, NULL, i, false);
		run_exec(&c,
			 SH("ps -o pid,args; busybox ls /proc/self/fd; grep CapInh "
			    "/proc/self/status;"
			    "echo err >&2; exit 9"),
			 &r);
		assert_exit(&r, 9);
		assert_has(r.out, "while :");
		assert_has(r.out, "0\n1\n2\n3\nCapInh:\t0000000000000000\nerr\n");
		run_exec(&c, SH("kill -KILL $$"), &r);
		assert_true(r.code == CLD_KILLED && r.status == SIGKILL);
		run_exec(&c, "{\"args\":[\"nothere\"],\"cwd\":\"/\",\"env\":[\"PATH=/bin\"]}", &r);
		assert_int_equal(r.error, -ENOENT);
		assert_string_equal(r.err.text,
				    "exec: \"nothere\": executable file not found in $PATH");
		run_exec(&c, "{\"args\":[\"true\"],\"cwd\":\"/not/there\",\"env\":[\"PATH=/bin\"]}",
			 &r);
		assert_int_equal(r.error, -ENOENT);
		assert_string_equal(
			r.err.text,
			"change to working directory /not/there: no such file or directory");
		stop(&c);
	}
}

static void test_same_namespaces(void **state)
{
	static const char *const kinds[] = { "mnt", "pid",    "net",  "ipc",
					     "uts", "cgroup", "user", "time" };
	struct box_spec s = {
		.namespaces =
			"[{\"type\":\"pid\"},{\"type\":\"mount\"},{\"type\":\"ipc\"},{\"type\":"
			"\"uts\"},{\"type\":\"network\"},{\"type\":\"cgroup\"},{\"type\":"
			"\"user\"},{\"type\":\"time\"}]",
		.linux_ = ",\"uidMappings\":[{\"containerID\":0,\"hostID\":100000,\"size\":65536}],"
			  "\"gidMappings\":[{\"containerID\":0,\"hostID\":100000,\"size\":65536}]",
	};
	struct running c;
	struct box_result r;

	start(&c, *state, &s, true, false);
	run_exec(&c,
		 SH("for n in mnt pid net ipc uts cgroup user time; do readlink /proc/self/ns/$n;"
		    "done; id -u; cat /proc/self/uid_map"),
		 &r);
	assert_exit(&r, 0);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		char path[64], link[64] = "", own[64] = "";

		(void)snprintf(path, sizeof(path), "/proc/%d/ns/%s", c.child.pid, kinds[i]);
		assert_true(readlink(path, link, sizeof(link) - 1) > 0);
		assert_has(r.out, link);
		/* and not of the caller's thread any more */
		(void)snprintf(path, sizeof(path), "/proc/thread-self/ns/%s", kinds[i]);
		assert_true(readlink(path, own, sizeof(own) - 1) > 0);
		assert_string_not_equal(link, own);
	}
	assert_has(r.out, "\n0\n");
	stop(&c);
	assert_int_equal(system("true"),
			 0); /* the caller's next child is born where it should be */
}

static void test_user_and_caps(void **state)
{
	struct running c;
	struct box_result r;

	start(&c, *state, NULL, true, false);
	run_exec(&c,
		 "{\"args\":[\"/bin/sh\",\"-c\",\"id -u; id -g; grep Cap /proc/self/status; env\"],"
		 "\"cwd\":\"/tmp\",\"env\":[\"PATH=/bin\",\"A=b "
		 "c\"],\"user\":{\"uid\":1000,\"gid\":7},"
		 "\"capabilities\":{\"bounding\":[\"CAP_NET_RAW\"],\"permitted\":[\"CAP_NET_RAW\"],"
		 "\"effective\":[\"CAP_NET_RAW\"],\"inheritable\":[],\"ambient\":[]}}",
		 &r);
	assert_exit(&r, 0);
	assert_has(r.out, "1000\n7\nCapInh:\t0000000000000000\n");
	assert_has(r.out, "CapBnd:\t0000000000002000\n");
	assert_has(r.out, "A=b c\n");
	assert_has(r.out, "HOME=/home/user\n");
	stop(&c);
}

static void test_terminal(void **state)
{
	struct running c;
	struct box_result r;

	start(&c, *state, NULL, true, false);
	run_exec(&c,
		 "{\"terminal\":true,\"consoleSize\":{\"height\":11,\"width\":22},\"args\":[\"/bin/"
		 "sh\","
		 "\"-c\",\"tty; stty size; echo x "
		 ">/dev/tty\"],\"cwd\":\"/\",\"env\":[\"PATH=/bin\"]}",
		 &r);
	assert_exit(&r, 0);
	assert_string_equal(r.out, "/dev/pts/0\r\n11 22\r\nx\r\n");
	stop(&c);
}

/* With a root that was changed by chroot, and taken up by another process. */
static void test_no_pivot_and_adoption(void **state)
{
	struct launch_child adopted;
	struct launch_error err;
	struct running c;
	struct box_result r;

	for (int i = 0; i < 2; i++) {
		start(&c, *state, NULL, true, i);
		run_exec(&c, SH("cat /etc/passwd; touch /here"), &r);
		assert_exit(&r, 0);
		assert_has(r.out, "user:x");
		assert_int_equal(access(box_path(c.b, "rootfs/here"), F_OK), 0);
		assert_int_equal(launch_open(c.child.pid, c.child.start_time + 1, &adopted, &err),
				 -ESRCH);
		assert_int_equal(launch_open(c.child.pid, c.child.start_time, &adopted, &err), 0);
		launch_close(&c.child);
		c.child = adopted;
		run_exec(&c, SH("cat /etc/passwd; ps"), &r);
		assert_exit(&r, 0);
		assert_has(r.out, "user:x");
		stop(&c);
	}
}

static void test_container_is_gone(void **state)
{
	struct running c;
	struct box_result r;

	start(&c, *state, &(struct box_spec){ .script = "exit 0" }, false, false);
	assert_int_equal(waitid(P_PIDFD, (id_t)c.child.pidfd, &(siginfo_t){ 0 }, WEXITED | WNOWAIT),
			 0);
	run_exec(&c, SH("true"), &r);
	assert_true(r.error < 0);
	assert_true(r.err.text[0] != '\0');
	box_wait(&c.child, &r);
	launch_close(&c.child);
	free(c.plan);
}

/* A program that ends at once, a thousand times over, loses none of its output. */
static void test_output_is_whole(void **state)
{
	struct running c;
	struct box_result r;

	start(&c, *state, NULL, true, false);
	for (int i = 0; i < 100; i++) {
		run_exec(&c, SH("head -c 20000 /dev/zero | busybox tr '\\\\0' x"), &r);
		assert_exit(&r, 0);
		assert_int_equal(strlen(r.out), 20000);
	}
	stop(&c);
}

static void test_born_and_fail(void **state)
{
	struct running c;
	struct launch_plan *plan;

	start(&c, *state, NULL, true, false);
	plan = box_exec_plan(c.b, c.plan, SH("true"));
	for (unsigned step = 1; step < 60; step++) {
		struct launch_run_options o = { .id = "box",
						.fail_step = step,
						.stdio = { -1, -1, -1, 0, 0 } };
		struct launch_child child;
		struct launch_error err;
		struct box_result r;

		if (launch_exec(plan, c.plan, &c.child, &o, &child, &err) == 0) {
			box_wait(&child, &r);
			launch_close(&child);
		} else {
			assert_int_equal(err.code, -EIO);
		}
	}
	free(plan);
	stop(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, box_setup, box_teardown)
		T(test_exec),
		T(test_same_namespaces),
		T(test_user_and_caps),
		T(test_terminal),
		T(test_no_pivot_and_adoption),
		T(test_container_is_gone),
		T(test_output_is_whole),
		T(test_born_and_fail),
	};

	return cmocka_run_group_tests(tests, box_warm_up, NULL);
}
