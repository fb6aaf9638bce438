/* SPDX-License-Identifier: MIT */
/*
 * The plugin as the host sees it, driven through its tables by a host that fails, gives up and asks
 * again when the test says so.  Containers are real; after each case nothing of them is left.
 */
#include "tests/unit/lcow/fake_host.h"

/* Tests. */

static void test_life(void **state)
{
	struct seen *s;
	uint64_t h;

	(void)state;
	for (int i = 0; i < 2; i++) { /* the second with the plan of the first */
		new_world();
		write_spec("[\"/bin/sh\",\"-c\",\"exit 5\"]", "");
		s = DO(create, request(), &quiet);
		assert_int_equal(s->code, 0);
		h = s->handle;
		assert_true(s->pid > 0);
		assert_int_equal(host.exits, 0);
		assert_int_equal(DO(start, h)->code, 0);
		wait_exit();
		assert_int_equal(host.exit.code, 5);
		assert_int_equal(host.exit_process, 0);
		assert_true(DO(start, h)->code < 0);
		assert_int_equal(DO(signal, h, 0, 15, 0)->code, -ESRCH);
		assert_int_equal(DO(exec, h, "{}", &quiet)->code, -ESRCH);
		assert_int_equal(DO(pause, h)->code, -ESRCH);
		assert_int_equal(DO(terminate, h)->code, 0);
		host.backend.close(NULL, h);
		assert_int_equal(DO(start, h)->code, -ENOENT);
		assert_int_equal(DO(stats, h)->code, -ENOENT);
		assert_int_equal(DO(resize, h, 0, 1, 1)->code, -ENOENT);
		host.backend.close(NULL, h); /* a stale handle is harmless */
		end_world();
	}
}

/* create, start, exec, terminate, close: as far as it goes. */
static void attempt(void)
{
	struct seen *s = DO(create, request(), &quiet);
	uint64_t h = s->handle;

	if (s->code < 0)
		return;
	assert_true(h != 0);
	if (DO(start, h)->code == 0) {
		(void)DO(exec, h, "{\"args\":[\"/bin/true\"],\"cwd\":\"/\"}", &quiet);
		(void)DO(stats, h);
		(void)DO(pause, h);
		(void)DO(resume, h);
		if (DO(terminate, h)->code == 0)
			for (int i = 0; i < 200 && !(host.exits && host.exit_process == 0); i++)
				(void)turn(10);
	}
	host.backend.close(NULL, h);
}

static void test_every_host_call_fails(void **state)
{
	unsigned k = 1;

	(void)state;
	for (;; k++) {
		bool done;

		new_world();
		host.fail_at = k;
		attempt();
		done = host.calls < k;
		end_world();
		if (done)
			break;
	}
	assert_in_range(k, 10, 40);
}

/* The host gives up on a create before, between and after its jobs; and releases at once. */
static void test_given_up(void **state)
{
	(void)state;
	for (int turns = 0; turns < 4; turns++) {
		for (int cancel = 0; cancel < 2; cancel++) {
			uint64_t op;
			int r;

			new_world();
			op = op_open();
			write_spec("[\"/bin/sleep\",\"1001\"]", "");
			r = host.backend.create(NULL, op, request(), &quiet);
			assert_int_equal(r, COWHERD_LATER);
			for (int i = 0; i < turns; i++)
				(void)turn(0);
			if (cancel) {
				struct seen *s;

				host.backend.cancel(NULL, op);
				s = op_end(op, COWHERD_LATER);
				if (s->code == 0)
					host.backend.close(NULL, s->handle);
				else
					assert_int_equal(s->code, -ECANCELED);
			} else {
				host.ops[op % OPS].waited = false;
				if (host.ops[op % OPS].answered)
					host.backend.close(NULL, host.ops[op % OPS].handle);
			}
			end_world();
		}
	}
}

static void test_adopted(void **state)
{
	struct cowherd_record record = { .size = sizeof(record), .key = "system" };
	struct seen *s;
	uint64_t h;

	(void)state;
	new_world();
	s = DO(create, request(), &quiet);
	h = s->handle;
	assert_int_equal(DO(start, h)->code, 0);
	host.backend.close(NULL, h); /* it lives on */
	record.container = host.id;
	record.record = host.record;
	record.other_boot = 1;
	assert_int_equal(DO(adopt, &record)->code, -ESRCH);
	record.other_boot = 0;
	record.record = "{\"version\":1,\"pid\":0}";
	assert_int_equal(DO(adopt, &record)->code, -ESRCH);
	record.record = "{\"version\":7}";
	assert_int_equal(DO(adopt, &record)->code, -EBADMSG);
	record.record = host.record;
	s = DO(adopt, &record);
	assert_int_equal(s->code, 0);
	h = s->handle;
	assert_int_equal(DO(start, h)->code, -EALREADY);
	s = DO(exec, h, "{\"args\":[\"/bin/true\"],\"cwd\":\"/\"}", &quiet);
	assert_int_equal(s->code, 0);
	wait_exit();
	assert_int_equal(host.exit.code, 0);
	assert_true(host.exit_process != 0);
	assert_int_equal(DO(terminate, h)->code, 0);
	wait_exit();
	assert_int_equal(host.exit_process, 0);
	assert_int_equal(host.exit.oom, 0);
	/* Ours to wait for after all, in this process: the two see it in either order. */
	assert_true(host.exit.code == 137 || host.exit.reason);
	host.backend.close(NULL, h);
	assert_int_equal(DO(adopt, &record)->code, -ESRCH);
	end_world();
}

/* The record alone, with nothing in memory: a process and what it left running are ended. */
static void test_released_alive(void **state)
{
	struct seen *s;

	(void)state;
	new_world();
	s = DO(create, request(), &quiet);
	assert_int_equal(DO(start, s->handle)->code, 0);
	host.backend.close(NULL, s->handle);
	end_world();
	/* A record of before the reboot names nothing that is still there but its file. */
	new_world();
	s = DO(create, request(), &quiet);
	assert_int_equal(DO(start, s->handle)->code, 0);
	release_record(1);
	assert_int_equal(kill((pid_t)s->pid, 0), 0);
	host.backend.close(NULL, s->handle);
	end_world();
}

static void test_out_of_memory(void **state)
{
	struct seen *s;
	uint64_t h;

	(void)state;
	new_world();
	write_spec("[\"/bin/sh\",\"-c\",\"x=0123456789abcdef; while :; do x=$x$x; done\"]",
		   ",\"resources\":{\"memory\":{\"limit\":16777216,\"swap\":16777216}}");
	s = DO(create, request(), &quiet);
	assert_int_equal(s->code, 0);
	h = s->handle;
	assert_int_equal(DO(start, h)->code, 0);
	s = DO(stats, h);
	if (s->code == 0) {
		assert_non_null(strstr(s->result, "\"memory_limit_bytes\":16777216"));
		assert_non_null(strstr(s->result, "\"net_rx_bytes\":"));
	}
	wait_exit();
	assert_int_equal(host.exit.code, 137);
	assert_int_equal(host.exit.signal, 9);
	assert_int_equal(host.exit.oom, 1);
	host.backend.close(NULL, h);
	end_world();
}

static void test_terminal(void **state)
{
	const struct cowherd_stdio terminal = { .size = sizeof(terminal),
						.in = -1,
						.out = -1,
						.err = -1,
						.terminal = 1,
						.height = 24,
						.width = 80 };
	struct seen *s;
	uint64_t h;
	int master;

	(void)state;
	new_world();
	s = DO(create, request(), &quiet);
	h = s->handle;
	assert_int_equal(s->fd, -1);
	assert_int_equal(DO(resize, h, 0, 24, 80)->code, -ENOTTY);
	assert_int_equal(DO(start, h)->code, 0);
	s = DO(exec, h, "{\"args\":[\"/bin/sleep\",\"1000\"],\"cwd\":\"/\",\"terminal\":true}",
	       &terminal);
	assert_int_equal(s->code, 0);
	master = s->fd;
	assert_true(isatty(master));
	assert_int_equal(DO(resize, h, s->handle, 50, 90)->code, 0);
	assert_int_equal(DO(resize, h, s->handle + 1, 50, 90)->code, -ESRCH);
	assert_int_equal(DO(signal, h, s->handle + 1, 15, 0)->code, -ESRCH);
	assert_int_equal(DO(signal, h, s->handle, 9, 0)->code, 0);
	wait_exit();
	assert_int_equal(host.exit.signal, 9);
	(void)close(master);
	assert_int_equal(DO(signal, h, 0, 9, COWHERD_SIGNAL_ALL)->code, 0);
	wait_exit();
	host.backend.close(NULL, h);
	end_world();
}

/* A failed create says why and takes nothing that the record does not name. */
static void test_create_errors(void **state)
{
	static const char *const specs[] = {
		"nonsense",
		"{}",
		"{\"ociVersion\":\"1.0.2\",\"linux\":{}}",
		"{\"ociVersion\":\"1.0.2\",\"root\":{\"path\":\"/no/"
		"such\"},\"process\":{\"args\":[\"x\"],"
		"\"cwd\":\"/\"},\"linux\":{\"namespaces\":[{\"type\":\"mount\"}]}}",
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
		struct seen *s;

		new_world();
		(void)snprintf(host.spec, sizeof(host.spec), "%s", specs[i]);
		s = DO(create, request(), &quiet);
		assert_true(s->code < 0);
		assert_true(*s->message);
		end_world();
	}
}

static void test_supports(void **state)
{
	static const struct {
		const char *spec, *options;
		bool ours;
	} cases[] = {
		{ "{\"linux\":{}}", "{}", true },
		{ "{\"linux\" : { } }", NULL, true },
		{ "{\"linux\":{}}", "{\"isolation\":\"process\"}", true },
		{ "{\"linux\":{}}", "{\"isolation\":null}", true },
		{ "{\"linux\":{}}", "{\"isolation\":\"vm\"}", false },
		{ "{\"linux\":{},\"windows\":{\"network\":{}}}", "{}", true },
		{ "{\"linux\":{},\"windows\":{\"hyperv\":{}}}", "{}", false },
		{ "{\"windows\":{}}", "{}", false },
		{ "{\"annotations\":{\"linux\":{}}}", "{}", false },
		{ "{\"hostname\":\"\\\"linux\\\":{}\"}", "{}", false },
		{ "{\"linux\":3}", "{}", false },
		{ "{\"linux\"", "{}", false },
		{ "\"", "{}", false },
		{ "", "{}", false },
	};

	(void)state;
	new_world();
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct cowherd_request r = *request();

		r.spec = cases[i].spec;
		r.options = cases[i].options;
		if ((host.backend.supports(NULL, &r) > 0) != cases[i].ours)
			fail_msg("%s with %s", r.spec, r.options);
	}
	end_world();
}

static void test_config(void **state)
{
	static const struct {
		const char *json, *message;
	} cases[] = {
		{ "{}", NULL },
		{ "{\"cgroup_parent\":\"a/"
		  "b\",\"init_default\":false,\"no_pivot\":true,\"accounting\":true}",
		  NULL },
		{ "[]", "not an object" },
		{ "{\"more\":1}", "/more: unknown key" },
		{ "{\"cgroup_parent\":\"/a\"}", "/cgroup_parent" },
		{ "{\"cgroup_parent\":\"a/../b\"}", "/cgroup_parent" },
		{ "{\"cgroup_parent\":7}", "/cgroup_parent" },
		{ "{\"init_default\":\"yes\"}", "/init_default: not true or false" },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char message[128] = "";
		int r = host.section->check(NULL, cases[i].json, message, sizeof(message));

		assert_int_equal(r, cases[i].message ? -EINVAL : 0);
		if (cases[i].message)
			assert_non_null(strstr(message, cases[i].message));
	}
}

static struct seen *explain(const char *args, const char *cwd)
{
	const struct cowherd_call call = {
		.size = sizeof(call), .args = args, .cwd = cwd, .in = -1, .out = -1, .err = -1
	};
	uint64_t op = op_open();

	return op_end(op, host.verb->call(NULL, op, &call));
}

static void test_explain(void **state)
{
	char path[128];
	struct seen *s;
	FILE *f;

	(void)state;
	new_world();
	(void)snprintf(path, sizeof(path), "%s/config.json", host.dir);
	f = fopen(path, "we");
	(void)fputs(host.spec, f);
	(void)fclose(f);
	assert_int_equal(explain("[]", "/")->code, -EINVAL);
	s = explain("[\".\"]", host.dir);
	assert_int_equal(s->code, 0);
	assert_non_null(strstr(s->result, "sleep"));
	assert_int_equal(explain("[\"config.json\"]", host.dir)->code, 0);
	s = explain("[\"/no/such\"]", "/");
	assert_int_equal(s->code, -ENOENT);
	assert_non_null(strstr(s->message, "/no/such"));
	end_world();
}

/* The launcher: the same by callback, never from inside the call. */

static struct {
	struct seen seen;
	bool inside;
} service;

static void service_cb(void *arg, const struct cowherd_answer *answer)
{
	assert_ptr_equal(arg, &service);
	assert_false(service.inside);
	seen_set(&service.seen, answer);
}

static int service_intend(void *arg, const char *record)
{
	assert_ptr_equal(arg, &service);
	assert_false(service.inside);
	if (fails())
		return -ENOSPC;
	(void)snprintf(host.record, sizeof(host.record), "%s", record);
	return 0;
}

static void service_exit(void *arg, uint64_t system, uint64_t process,
			 const struct cowherd_exit *status)
{
	(void)system;
	assert_ptr_equal(arg, &service);
	note_exit(process, status);
}

static struct seen *service_end(int r)
{
	service.inside = false;
	if (r < 0) {
		service.seen.code = r;
		return &service.seen;
	}
	for (uint64_t end = now_ms() + 10000; !service.seen.answered; (void)turn(10))
		assert_true(now_ms() < end);
	return &service.seen;
}

#define ASK(f, ...)                                         \
	({                                                  \
		service.seen = (struct seen){ 0 };          \
		service.inside = true;                      \
		service_end(host.launcher->f(__VA_ARGS__)); \
	})

static void test_launcher(void **state)
{
	struct cowherd_record record = {
		.size = sizeof(record), .container = host.id, .key = "x", .record = host.record
	};
	const struct cowherd_launcher *l = host.launcher;
	struct seen *s;
	uint64_t h;

	(void)state;
	for (int i = 0; i < 2; i++) {
		new_world();
		s = ASK(create, request(), &quiet, service_intend, service_cb, service_exit,
			&service);
		assert_int_equal(s->code, 0);
		h = s->handle;
		assert_int_equal(ASK(start, h, service_cb, &service)->code, 0);
		assert_int_equal(ASK(exec, h, "{\"args\":[\"/bin/true\"],\"cwd\":\"/\"}", &quiet,
				     service_cb, &service)
					 ->code,
				 0);
		wait_exit();
		assert_true(host.exit_process > 0);
		assert_int_equal(ASK(stats, h, service_cb, &service)->code, 0);
		assert_int_equal(l->resize(h, 0, 1, 1), -ENOTTY);
		assert_int_equal(l->signal(h, 0, 0, COWHERD_SIGNAL_ALL), 0);
		l->close(h);
		assert_int_equal(l->signal(h, 0, 15, 0), -ENOENT);
		s = ASK(adopt, &record, service_cb, service_exit, &service);
		assert_int_equal(s->code, 0);
		h = s->handle;
		assert_int_equal(ASK(terminate, h, service_cb, &service)->code, 0);
		wait_exit();
		l->close(h);
		assert_int_equal(ASK(release, &record, service_cb, &service)->code, 0);
		end_world();
	}
	new_world();
	host.fail_at = 2; /* the second: the first is the job that looks the plan up */
	s = ASK(create, request(), &quiet, service_intend, service_cb, service_exit, &service);
	assert_int_equal(s->code, -ENOSPC);
	end_world();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life),           cmocka_unit_test(test_every_host_call_fails),
		cmocka_unit_test(test_given_up),       cmocka_unit_test(test_adopted),
		cmocka_unit_test(test_released_alive), cmocka_unit_test(test_out_of_memory),
		cmocka_unit_test(test_terminal),       cmocka_unit_test(test_create_errors),
		cmocka_unit_test(test_supports),       cmocka_unit_test(test_config),
		cmocka_unit_test(test_explain),        cmocka_unit_test(test_launcher),
	};

	if (geteuid() != 0) {
		(void)puts("skipped: needs root");
		return 0;
	}
	return cmocka_run_group_tests(tests, load, unload);
}
