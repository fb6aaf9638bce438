/* SPDX-License-Identifier: MIT */
/*
 * Each step of the child and of the stub made to fail in turn: the error names it, and nothing is
 * left.
 */
#include "box.h"
#include "internal.h"

static const struct box_spec everything = {
	.process =
		",\"terminal\":true,\"cwd\":\"/made\",\"noNewPrivileges\":true,\"rlimits\":[{"
		"\"type\":\"RLIMIT_NOFILE\",\"soft\":100,\"hard\":200}],\"ioPriority\":{\"class\":"
		"\"IOPRIO_CLASS_BE\",\"priority\":4},\"scheduler\":{\"policy\":\"SCHED_OTHER\"}",
	.namespaces =
		"[{\"type\":\"pid\"},{\"type\":\"mount\"},{\"type\":\"ipc\"},{\"type\":\"uts\"},"
		"{\"type\":\"network\"},{\"type\":\"cgroup\"},{\"type\":\"time\"}]",
	.mounts = "[" BOX_PROC "," BOX_DEV
		  ",{\"destination\":\"/up\",\"type\":\"tmpfs\",\"options\":["
		  "\"tmpcopyup\"]},{\"destination\":\"/tmp\",\"type\":\"bind\",\"source\":\"/tmp\","
		  "\"options\":[\"rbind\",\"ro\"]},{\"destination\":\"/sys/fs/cgroup\",\"type\":"
		  "\"cgroup\",\"source\":\"cgroup\",\"options\":[\"ro\"]}]",
	.linux_ = ",\"timeOffsets\":{\"boottime\":{\"secs\":100}},\"maskedPaths\":[\"/proc/kcore\","
		  "\"/proc/keys\",\"/proc/acpi\"],\"readonlyPaths\":[\"/proc/sys\"],\"sysctl\":{"
		  "\"net.ipv4.ip_forward\":\"1\"},\"personality\":{\"domain\":\"LINUX\"},"
		  "\"seccomp\":{"
		  "\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"reboot\"],"
		  "\"action\":\"SCMP_ACT_ERRNO\"}]}",
	.root = ",\"readonly\":true",
	.top = ",\"hostname\":\"cow\",\"domainname\":\"herd\",\"hooks\":{\"createRuntime\":[{"
	       "\"path\":"
	       "\"/bin/true\"}]}",
};

/* Steps that this spec does not take. */
static bool step_is_taken(enum launch_step step)
{
	switch (step) {
	case LAUNCH_STEP_NONE:
	case LAUNCH_STEP_JOIN:
	case LAUNCH_STEP_USER_MAP:
	case LAUNCH_STEP_IDS:
	case LAUNCH_STEP_CGROUP_JOIN:
	case LAUNCH_STEP_LABEL:
	case LAUNCH_STEP_COUNT:
		return false;
	default:
		return true;
	}
}

static void fail_all(struct box *b, const struct box_spec *s, bool init, unsigned *ret_failed)
{
	struct launch_plan *plan = box_plan(b, s);

	*ret_failed = 0;
	for (unsigned step = 1; step < LAUNCH_STEP_COUNT; step++) {
		struct launch_run_options o = { .init = init, .fail_step = step, .keyring = true };
		struct box_result r;

		if (!init && step == LAUNCH_STEP_FORK)
			continue;
		box_run_plan(plan, &o, &r);
		if (step_is_taken(step) && r.error != -EIO)
			fail_msg("step %u does not fail: %d %s", step, r.error, r.err.text);
		if (r.error) {
			(*ret_failed)++;
			assert_true(r.err.text[0] != '\0' && r.err.code == r.error);
		}
		assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
		assert_int_equal(box_count_fds(), b->fds);
	}
	free(plan);
}

static void test_every_step(void **state)
{
	unsigned failed;

	fail_all(*state, &everything, false, &failed);
	assert_true(failed >= 40);
}

static void test_every_step_with_init(void **state)
{
	unsigned failed;

	fail_all(*state, &everything, true, &failed);
	assert_true(failed >= 40);
}

/* And it works when nothing fails. */
static void test_no_step(void **state)
{
	struct launch_run_options o = { .keyring = true, .init = true };
	struct box_result r;

	box_run(*state, &everything, &o, &r);
	assert_exit(&r, 0);
}

static void test_words(void **state)
{
	struct box_spec s = { .mounts = "[{\"destination\":\"/data\",\"type\":\"bind\",\"source\":"
					"\"/not/there\",\"options\":[\"bind\"]}]" };
	struct box_result r;

	box_run(*state, &s, NULL, &r);
	assert_int_equal(r.error, -ENOENT);
	assert_string_equal(r.err.text,
			    "mount /data: source /not/there: no such file or directory");
	s.mounts = "[{\"destination\":\"/data\",\"type\":\"nofs\",\"source\":\"x\"}]";
	box_run(*state, &s, NULL, &r);
	assert_string_equal(r.err.text, "mount /data: type nofs: no such device");
	/* The kernel's own explanation comes along. */
	s.mounts = "[{\"destination\":\"/data\",\"type\":\"tmpfs\",\"source\":\"x\",\"options\":["
		   "\"size=huge\"]}]";
	box_run(*state, &s, NULL, &r);
	assert_int_equal(r.error, -EINVAL);
	assert_has(r.err.text, "mount /data: tmpfs: Bad value for 'size'");
	s.mounts = NULL;
	s.rootfs = "/not/there";
	box_run(*state, &s, NULL, &r);
	assert_string_equal(r.err.text, "mount rootfs /not/there: no such file or directory");
	s.rootfs = "/etc/passwd";
	box_run(*state, &s, NULL, &r);
	assert_string_equal(r.err.text, "mount rootfs /etc/passwd: not a directory");
	s.rootfs = NULL;
	s.linux_ = ",\"sysctl\":{\"net.not.there\":\"1\"}";
	box_run(*state, &s, NULL, &r);
	assert_string_equal(r.err.text, "sysctl net.not.there: no such file or directory");
	s.linux_ = NULL;
	s.process = ",\"cwd\":\"/bin/sh\"";
	box_run(*state, &s, NULL, &r);
	assert_string_equal(r.err.text, "change to working directory /bin/sh: not a directory");
	s.process = NULL;
	s.namespaces = "[{\"type\":\"mount\"},{\"type\":\"network\",\"path\":\"/etc/passwd\"}]";
	box_run(*state, &s, NULL, &r);
	assert_string_equal(r.err.text,
			    "namespace /etc/passwd: it is not a namespace of that type");
	s.namespaces = "[{\"type\":\"mount\"},{\"type\":\"network\",\"path\":\"/not/there\"}]";
	box_run(*state, &s, NULL, &r);
	assert_string_equal(r.err.text, "namespace /not/there: no such file or directory");
}

/* Out of descriptors at any point: an error, and nothing left. */
static void test_descriptor_limit(void **state)
{
	struct launch_plan *plan = box_plan(*state, &(struct box_spec){ 0 });
	struct rlimit old, limit;
	unsigned refused = 0;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	for (rlim_t n = box_count_fds() + 1; n < 64; n++) {
		struct launch_run_options o = { .id = "box",
						.init = true,
						.stdio = { -1, -1, -1, 0, 0 } };
		struct launch_child child;
		struct launch_error err;
		struct box_result r;

		limit = (struct rlimit){ .rlim_cur = n, .rlim_max = old.rlim_max };
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
		if (launch_create(plan, &o, &child, &err) < 0) {
			refused++;
			assert_int_equal(err.code, -EMFILE);
		} else {
			assert_int_equal(launch_start(plan, &o, &child, &err), 0);
			box_wait(&child, &r);
			launch_close(&child);
		}
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
		assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
		assert_int_equal(box_count_fds(), ((struct box *)*state)->fds);
	}
	assert_true(refused > 5);
	free(plan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, box_setup, box_teardown)
		T(test_no_step),
		T(test_every_step),
		T(test_every_step_with_init),
		T(test_words),
		T(test_descriptor_limit),
	};

	return cmocka_run_group_tests(tests, box_warm_up, NULL);
}
