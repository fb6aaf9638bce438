/* SPDX-License-Identifier: MIT */
/* The container's cgroups, on whatever this host mounts. */
#include "box.h"

#include "cgroup_internal.h"

static char cgroup_name[64];

struct caged {
	struct box *b;
	struct launch_plan *plan;
	struct launch_cgroup *cg;
	char *record;
	struct launch_run_options options;
	struct launch_child child;
	int out;
};

/* What a failed test left is not to make the next one fail. */
static int sweep(void **state)
{
	const struct cgroup_host *host = cgroup_host();

	for (unsigned i = 0; i < host->n; i++) {
		char path[256];

		(void)snprintf(path, sizeof(path), "%s/%s", host->hierarchies[i].mount,
			       cgroup_name);
		(void)cgroup_tree_remove(path);
	}
	return box_teardown(state);
}

/* No directory of ours in any hierarchy. */
static void none_left(void)
{
	const struct cgroup_host *host = cgroup_host();

	for (unsigned i = 0; i < host->n; i++) {
		char path[256];

		(void)snprintf(path, sizeof(path), "%s/%s", host->hierarchies[i].mount,
			       cgroup_name);
		if (access(path, F_OK) == 0)
			fail_msg("%s is left", path);
	}
}

static void make(struct caged *c, struct box *b, const struct box_spec *s, unsigned flags)
{
	struct launch_error err = { 0 };
	char path[96];

	memset(c, 0, sizeof(*c));
	(void)snprintf(path, sizeof(path), "%s/x", cgroup_name);
	c->b = b;
	c->plan = box_plan(b, s);
	if (launch_cgroup_new(c->plan, path, flags, &c->cg, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(launch_cgroup_record(c->cg, &c->record), 0);
	if (launch_cgroup_make(c->cg, c->plan, &err) < 0)
		fail_msg("%s", err.text);
}

static void start(struct caged *c)
{
	struct launch_error err;
	int pair[2];

	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	c->options = (struct launch_run_options){
		.id = "box", .init = true, .cgroup = c->cg, .stdio = { -1, pair[1], pair[1], 0, 0 }
	};
	if (launch_create(c->plan, &c->options, &c->child, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(launch_start(c->plan, &c->options, &c->child, &err), 0);
	(void)close(pair[1]);
	c->out = pair[0];
}

static void finish(struct caged *c, struct box_result *r)
{
	box_read_all(c->out, r->out, sizeof(r->out));
	(void)close(c->out);
	box_wait(&c->child, r);
	launch_close(&c->child);
}

static void release(struct caged *c)
{
	struct launch_error err;

	launch_cgroup_free(c->cg);
	if (launch_cgroup_release(c->record, &err) < 0)
		fail_msg("%s", err.text);
	/* any number of times */
	assert_int_equal(launch_cgroup_release(c->record, &err), 0);
	free(c->record);
	free(c->plan);
	none_left();
}

static void test_life(void **state)
{
	struct box_spec s = { .script = "grep cowherd /proc/self/cgroup; sleep 100" };
	struct box_result r;
	struct caged c;
	char text[4096] = "";
	bool populated;
	pid_t *pids;
	size_t n;

	make(&c, *state, &s, 0);
	assert_int_equal(launch_cgroup_populated(c.cg, &populated), 0);
	assert_false(populated);
	start(&c);
	assert_int_equal(launch_cgroup_populated(c.cg, &populated), 0);
	assert_true(populated);
	assert_int_equal(launch_cgroup_pids(c.cg, &pids, &n), 0);
	assert_true(n >= 2);
	free(pids);
	assert_true(read(c.out, text, sizeof(text) - 1) > 0);
	assert_has(text, cgroup_name);
	assert_int_equal(launch_cgroup_kill(c.cg, NULL), 0);
	finish(&c, &r);
	assert_int_equal(launch_cgroup_populated(c.cg, &populated), 0);
	assert_false(populated);
	release(&c);
}

/* A release by record alone ends what still lives in it. */
static void test_release_kills(void **state)
{
	struct box_result r;
	struct caged c;

	make(&c, *state, &(struct box_spec){ .script = "sleep 100 & sleep 100" },
	     LAUNCH_CGROUP_ALL);
	start(&c);
	assert_int_equal(launch_cgroup_release(c.record, NULL), 0);
	finish(&c, &r);
	assert_true(r.code == CLD_KILLED && r.status == SIGKILL);
	release(&c);
}

static void test_freeze(void **state)
{
	struct box_spec s = { .script = "while :; do echo x; sleep 0.01; done" };
	struct box_result r;
	struct caged c;
	struct pollfd p;
	bool frozen;
	char buf[4096];

	make(&c, *state, &s, LAUNCH_CGROUP_FREEZER);
	start(&c);
	assert_int_equal(read(c.out, buf, 2), 2);
	assert_int_equal(launch_cgroup_freeze(c.cg, true, NULL), 0);
	assert_int_equal(launch_cgroup_frozen(c.cg, &frozen), 0);
	assert_true(frozen);
	assert_int_equal(fcntl(c.out, F_SETFL, O_NONBLOCK), 0);
	while (read(c.out, buf, sizeof(buf)) > 0)
		;
	assert_int_equal(errno, EAGAIN);
	p = (struct pollfd){ .fd = c.out, .events = POLLIN };
	assert_int_equal(poll(&p, 1, 50), 0);
	assert_int_equal(launch_cgroup_freeze(c.cg, false, NULL), 0);
	assert_int_equal(poll(&p, 1, 5000), 1);
	/* A frozen one can be ended. */
	assert_int_equal(launch_cgroup_freeze(c.cg, true, NULL), 0);
	assert_int_equal(launch_cgroup_kill(c.cg, NULL), 0);
	finish(&c, &r);
	assert_int_equal(r.status, SIGKILL);
	release(&c);
}

static void test_watch(void **state)
{
	struct box_result r;
	struct pollfd p = { .events = POLLPRI };
	struct caged c;

	make(&c, *state, &(struct box_spec){ .script = "read x </tmp/fifo" }, 0);
	assert_int_equal(mkfifo(box_path(c.b, "rootfs/tmp/fifo"), 0600), 0);
	start(&c);
	if (launch_cgroup_watch(c.cg, &p.fd) == 0) {
		int fd = open(box_path(c.b, "rootfs/tmp/fifo"), O_WRONLY | O_CLOEXEC);

		assert_int_equal(write(fd, "\n", 1), 1);
		(void)close(fd);
		assert_int_equal(poll(&p, 1, 5000), 1);
		(void)close(p.fd);
	} else {
		assert_int_equal(launch_cgroup_mode(), LAUNCH_CGROUP_V1);
		assert_int_equal(launch_cgroup_kill(c.cg, NULL), 0);
	}
	finish(&c, &r);
	release(&c);
}

static bool has_controller(const char *name)
{
	const struct cgroup_host *host = cgroup_host();
	char text[512] = "";

	if (host->mode != LAUNCH_CGROUP_V2)
		return cgroup_host_find(host, name) != NULL;
	(void)cgroup_read(host->hierarchies[0].mount, "cgroup.controllers", text, sizeof(text));
	return strstr(text, name) != NULL;
}

static void test_memory_and_oom(void **state)
{
	struct box_spec s = {
		.script = "dd if=/dev/zero of=/dev/shm-not bs=1 count=0 2>/dev/null;"
			  "busybox tail /dev/zero; echo $?",
		.linux_ = ",\"resources\":{\"memory\":{\"limit\":8388608,\"swap\":8388608}}",
	};
	struct launch_cgroup_stats stats;
	struct box_result r;
	uint64_t kills;
	struct caged c;

	if (!has_controller("memory"))
		skip();
	make(&c, *state, &s, 0);
	start(&c);
	finish(&c, &r);
	assert_has(r.out, "137");
	assert_int_equal(launch_cgroup_oom_kills(c.cg, &kills), 0);
	assert_true(kills >= 1);
	assert_int_equal(launch_cgroup_stats(c.cg, &stats), 0);
	assert_true(stats.have & LAUNCH_STATS_MEMORY && !(stats.estimated & LAUNCH_STATS_MEMORY));
	assert_int_equal(stats.memory_limit_bytes, 8388608);
	assert_true(stats.memory_peak_bytes > 4000000);
	assert_int_equal(stats.oom_kills, kills);
	release(&c);
}

static void test_pids_limit_and_update(void **state)
{
	struct box_spec s = {
		.script = "read x </tmp/fifo; for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; true",
		.linux_ = ",\"resources\":{\"pids\":{\"limit\":100}}"
	};
	struct box_spec more = { .linux_ = ",\"resources\":{\"pids\":{\"limit\":5}}" };
	struct launch_cgroup_stats stats;
	struct launch_plan *update;
	struct box_result r;
	struct caged c;
	int fd;

	if (!has_controller("pids"))
		skip();
	make(&c, *state, &s, 0);
	assert_int_equal(mkfifo(box_path(c.b, "rootfs/tmp/fifo"), 0600), 0);
	start(&c);
	assert_int_equal(launch_cgroup_stats(c.cg, &stats), 0);
	assert_int_equal(stats.pids_limit, 100);
	assert_int_equal(stats.pids, 2);
	update = box_plan(c.b, &more);
	assert_int_equal(launch_cgroup_update(c.cg, update, NULL), 0);
	free(update);
	fd = open(box_path(c.b, "rootfs/tmp/fifo"), O_WRONLY | O_CLOEXEC);
	assert_int_equal(write(fd, "\n", 1), 1);
	(void)close(fd);
	finish(&c, &r);
	assert_has(r.out, "can't fork");
	release(&c);
}

static void test_cpu_settings(void **state)
{
	struct box_spec s = { .script = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done",
			      .linux_ = ",\"resources\":{\"cpu\":{\"shares\":512,\"quota\":50000,"
					"\"period\":100000,\"cpus\":\"0\"}}" };
	struct launch_cgroup_stats stats;
	struct box_result r;
	struct caged c;

	if (!has_controller("cpu") || !has_controller("cpuset"))
		skip();
	make(&c, *state, &s, LAUNCH_CGROUP_CPU);
	start(&c);
	finish(&c, &r);
	assert_int_equal(r.status, 0);
	assert_int_equal(launch_cgroup_stats(c.cg, &stats), 0);
	assert_true(stats.have & LAUNCH_STATS_CPU);
	assert_true(stats.cpu_ns > 1000000);
	release(&c);
}

/* Without controllers: summed over the processes, and said so. */
static void test_estimates(void **state)
{
	struct launch_cgroup_stats stats;
	struct box_result r;
	struct caged c;

	if (launch_cgroup_mode() == LAUNCH_CGROUP_V2)
		skip();
	make(&c, *state, &(struct box_spec){ .script = "sleep 100" }, 0);
	start(&c);
	assert_int_equal(launch_cgroup_stats(c.cg, &stats), 0);
	assert_true(stats.estimated & LAUNCH_STATS_MEMORY && stats.estimated & LAUNCH_STATS_PIDS);
	assert_true(stats.memory_bytes > 4096 && stats.pids == 2);
	assert_int_equal(launch_cgroup_oom_kills(c.cg, &stats.oom_kills), -ENOTSUP);
	assert_int_equal(launch_cgroup_kill(c.cg, NULL), 0);
	finish(&c, &r);
	release(&c);
}

static void test_devices(void **state)
{
	struct box_spec s = {
		.script = "cat /dev/null; echo x >/dev/zero && echo fine; head -c 1 /dev/kmsg",
		.linux_ = ",\"devices\":[{\"path\":\"/dev/kmsg\",\"type\":\"c\",\"major\":1,"
			  "\"minor\":11,\"fileMode\":438}],\"resources\":{\"devices\":[{"
			  "\"allow\":false,\"access\":\"rwm\"}]}"
	};
	struct box_result r;
	struct caged c;

	if (launch_cgroup_mode() != LAUNCH_CGROUP_V2 && !has_controller("devices"))
		skip();
	make(&c, *state, &s, 0);
	start(&c);
	finish(&c, &r);
	assert_has(r.out, "fine");
	assert_has(r.out, "/dev/kmsg: Operation not permitted");
	release(&c);
}

/* v2's program, tried on a unified hierarchy wherever there is one. */
static void test_bpf(void **state)
{
	struct box_spec s = {
		.script = "head -c 1 /dev/zero | wc -c; echo x >/dev/zero; cat /dev/full"
	};
	struct launch_cgroup_device rules[] = {
		{ .allow = 0, .type = 'a', .major = -1, .minor = -1, .access = 7 },
		{ .allow = 1, .type = 'c', .major = -1, .minor = -1, .access = 4 },
		{ .allow = 1, .type = 'c', .major = 1, .minor = -1, .access = 1 },
		{ .allow = 1, .type = 'c', .major = 1, .minor = 3, .access = 7 },
		{ .allow = 0, .type = 'c', .major = 1, .minor = 7, .access = 1 },
	};
	struct {
		struct launch_plan plan;
		struct launch_cgroup_device rules[5];
	} own;
	struct box_result r;
	struct caged c;

	if (launch_cgroup_mode() == LAUNCH_CGROUP_V1)
		skip();
	make(&c, *state, &s, 0);
	memset(&own, 0, sizeof(own));
	memcpy(own.rules, rules, sizeof(rules));
	own.plan.cgroup_devices.off = offsetof(__typeof__(own), rules);
	own.plan.cgroup_devices.n = 5;
	assert_int_equal(cgroup_bpf_attach(launch_cgroup_path(c.cg), &own.plan, NULL), 0);
	start(&c);
	finish(&c, &r);
	assert_has(r.out, "1\n");
	assert_has(r.out, "/dev/zero: Operation not permitted");
	assert_has(r.out, "'/dev/full': Operation not permitted");
	release(&c);
}

static void test_existing_is_refused(void **state)
{
	struct launch_cgroup *second = NULL;
	struct launch_error err;
	struct caged c;
	char path[96];

	make(&c, *state, &(struct box_spec){ 0 }, 0);
	(void)snprintf(path, sizeof(path), "%s/x", cgroup_name);
	assert_int_equal(launch_cgroup_new(c.plan, path, 0, &second, &err), -EEXIST);
	assert_has(err.text, "exists already");
	assert_int_equal(launch_cgroup_new(c.plan, "../escape", 0, &second, &err), -EINVAL);
	assert_int_equal(launch_cgroup_new(c.plan, "/", 0, &second, &err), -EINVAL);
	release(&c);
}

/*
 * A setting that the kernel refuses is named by its place in the spec, and what was made is undone.
 */
static void test_bad_setting(void **state)
{
	struct box_spec s = { .linux_ = ",\"resources\":{\"cpu\":{\"cpus\":\"4000\"}}" };
	struct launch_plan *plan = box_plan(*state, &s);
	struct launch_cgroup *cg;
	struct launch_error err;
	char path[96];

	if (!has_controller("cpuset")) {
		free(plan);
		skip();
	}
	(void)snprintf(path, sizeof(path), "%s/x", cgroup_name);
	assert_int_equal(launch_cgroup_new(plan, path, 0, &cg, &err), 0);
	assert_true(launch_cgroup_make(cg, plan, &err) < 0);
	assert_has(err.text, "/linux/resources/cpu/cpus: write \"4000\" to ");
	launch_cgroup_free(cg);
	free(plan);
	none_left();
}

static void test_adoption(void **state)
{
	struct launch_cgroup *again;
	struct box_result r;
	struct caged c;

	make(&c, *state, &(struct box_spec){ .script = "sleep 100" }, 0);
	start(&c);
	assert_int_equal(launch_cgroup_open(c.record, &again, NULL), 0);
	assert_string_equal(launch_cgroup_path(again), launch_cgroup_path(c.cg));
	assert_int_equal(launch_cgroup_kill(again, NULL), 0);
	launch_cgroup_free(again);
	finish(&c, &r);
	assert_int_equal(launch_cgroup_release(c.record, NULL), 0);
	assert_int_equal(launch_cgroup_open(c.record, &again, NULL), -ENOENT);
	release(&c);
}

/* A parent that many share stays until it is asked for, and while anybody is in it. */
static void test_kept_parent(void **state)
{
	struct caged c;
	char path[256];

	make(&c, *state, &(struct box_spec){ 0 }, LAUNCH_CGROUP_KEEP_PARENT);
	launch_cgroup_remove_parent(cgroup_name);
	(void)snprintf(path, sizeof(path), "%s", launch_cgroup_path(c.cg));
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(launch_cgroup_release(c.record, NULL), 0);
	assert_int_equal(access(path, F_OK), -1);
	*strrchr(path, '/') = '\0';
	assert_int_equal(access(path, F_OK), 0);
	launch_cgroup_remove_parent(cgroup_name);
	release(&c);
}

static void test_bad_records(void **state)
{
	static const char upwards[] =
		"{\"mode\":3,\"path\":\"/x\",\"dirs\":[{\"dir\":\"/a/../b\","
		"\"controllers\":\"\",\"unified\":true,\"made\":1}]}";
	static const char *const bad[] = {
		"",
		"{}",
		"{\"dirs\":[]}",
		"[1]",
		"{\"mode\":3,\"path\":\"/x\",\"dirs\":[{\"dir\":\"x\"}]}",
		upwards,
	};
	struct launch_error err;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(launch_cgroup_release(bad[i], &err), -EINVAL);
}

/* What the container sees below /sys/fs/cgroup is its own. */
static void test_mount(void **state)
{
	struct box_spec s = {
		.script = "cd /sys/fs/cgroup; cat cgroup.procs */cgroup.procs; ls; grep cgroup "
			  "/proc/mounts",
		.namespaces = "[{\"type\":\"pid\"},{\"type\":\"mount\"},{\"type\":\"cgroup\"}]",
		.mounts = "[" BOX_PROC
			  ",{\"destination\":\"/sys/fs/cgroup\",\"type\":\"cgroup\",\"source\":"
			  "\"cgroup\",\"options\":[\"nosuid\",\"noexec\",\"nodev\",\"relatime\","
			  "\"ro\"]}]",
	};
	struct box_result r;
	struct caged c;

	make(&c, *state, &s, 0);
	start(&c);
	finish(&c, &r);
	assert_has(r.out, "1\n2\n");
	assert_has_not(r.out, " rw,");
	if (launch_cgroup_mode() == LAUNCH_CGROUP_HYBRID)
		assert_has(r.out, "/sys/fs/cgroup/unified cgroup2 ro,nosuid,nodev,noexec");
	release(&c);
}

static int name_it(void **state)
{
	(void)snprintf(cgroup_name, sizeof(cgroup_name), "cowherd-test-%d", getpid());
	if (launch_cgroup_mode() == LAUNCH_CGROUP_NONE) {
		print_message("no cgroups on this host\n");
		exit(77);
	}
	return box_warm_up(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, box_setup, sweep)
		T(test_life),
		T(test_release_kills),
		T(test_freeze),
		T(test_watch),
		T(test_memory_and_oom),
		T(test_pids_limit_and_update),
		T(test_cpu_settings),
		T(test_estimates),
		T(test_devices),
		T(test_bpf),
		T(test_existing_is_refused),
		T(test_bad_setting),
		T(test_adoption),
		T(test_kept_parent),
		T(test_bad_records),
		T(test_mount),
	};

	return cmocka_run_group_tests(tests, name_it, NULL);
}
