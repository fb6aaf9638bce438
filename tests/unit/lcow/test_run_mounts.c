/* SPDX-License-Identifier: MIT */
/* Mounts as the container sees them. */
#include "box.h"

#define BIND(dest, options)                                                                       \
	"{\"destination\":\"" dest "\",\"type\":\"bind\",\"source\":\"%s\",\"options\":[" options \
	"]}"

static void run_with(struct box *b, struct box_spec *s, const char *more, const char *script,
		     struct box_result *r)
{
	static char mounts[4096];

	(void)snprintf(mounts, sizeof(mounts), "[" BOX_PROC "," BOX_DEV "%s%s]", more[0] ? "," : "",
		       more);
	s->mounts = mounts;
	s->script = script;
	box_run(b, s, NULL, r);
}

static void test_defaults(void **state)
{
	struct box_spec s = { 0 };
	struct box_result r;

	run_with(*state, &s, "", "ls -l /dev; cat /proc/mounts; echo x >/dev/null; ls /tmp", &r);
	assert_exit(&r, 0);
	assert_has(r.out, "1,   3");
	assert_has(r.out, "fd -> /proc/self/fd");
	assert_has(r.out, "ptmx -> pts/ptmx");
	assert_has(r.out, "tmpfs /dev tmpfs rw,nosuid,size=65536k,mode=755");
	assert_has(r.out, "devpts /dev/pts devpts rw,nosuid,noexec");
}

static void test_bind(void **state)
{
	struct box *b = *state;
	struct box_spec s = { 0 };
	struct box_result r;
	char more[1024];

	assert_int_equal(mkdir(box_path(b, "data"), 0755), 0);
	box_write(box_path(b, "data/file"), "content\n");
	(void)snprintf(more, sizeof(more),
		       BIND("/a", "\"bind\",\"ro\"") "," BIND(
			       "/b", "\"bind\",\"nosuid\",\"noexec\",\"nodev\",\"noatime\""),
		       box_path(b, "data"), box_path(b, "data"));
	run_with(b, &s, more,
		 "cat /a/file; echo new >/b/made; cat /a/made; echo no >/a/file;"
		 "grep -E ' /(a|b) ' /proc/mounts",
		 &r);
	assert_exit(&r, 0);
	assert_has(r.out, "content\nnew\n");
	assert_has(r.out, "Read-only file system");
	assert_has(r.out, "/a ext4 ro,");
	assert_has(r.out, "/b ext4 rw,nosuid,nodev,noexec,noatime");
	/* A file, onto a target that is not there, through a directory that is not either. */
	(void)snprintf(more, sizeof(more), BIND("/new/dir/name", "\"bind\",\"ro\""),
		       box_path(b, "data/file"));
	run_with(b, &s, more, "cat /new/dir/name", &r);
	assert_exit(&r, 0);
	assert_string_equal(r.out, "content\n");
}

/* Recursive attributes: what is mounted below the source is read-only, too. */
static void test_recursive(void **state)
{
	struct box *b = *state;
	struct box_spec s = { 0 };
	struct box_result r;
	char more[1024], command[512];

	assert_int_equal(mkdir(box_path(b, "data"), 0755), 0);
	assert_int_equal(mkdir(box_path(b, "data/sub"), 0755), 0);
	/*
	 * In a mount namespace of the test's own would be cleaner; the runner's table is compared
	 * after.
	 */
	(void)snprintf(command, sizeof(command), "mount -t tmpfs none %s/data/sub", b->dir);
	assert_int_equal(system(command), 0);
	(void)snprintf(more, sizeof(more),
		       BIND("/a", "\"rbind\",\"rro\"") "," BIND("/b", "\"rbind\",\"ro\""),
		       box_path(b, "data"), box_path(b, "data"));
	run_with(b, &s, more,
		 "touch /a/x; touch /a/sub/x; touch /b/x; touch /b/sub/y && echo wrote", &r);
	(void)snprintf(command, sizeof(command), "umount %s/data/sub", b->dir);
	assert_int_equal(system(command), 0);
	assert_exit(&r, 0);
	assert_has(r.out, "/a/x: Read-only");
	assert_has(r.out, "/a/sub/x: Read-only");
	assert_has(r.out, "/b/x: Read-only");
	assert_has(r.out, "wrote");
}

static void test_tmpcopyup(void **state)
{
	struct box *b = *state;
	struct box_spec s = { 0 };
	struct box_result r;

	assert_int_equal(mkdir(box_path(b, "rootfs/up"), 0700), 0);
	assert_int_equal(mkdir(box_path(b, "rootfs/up/dir"), 0751), 0);
	assert_int_equal(chown(box_path(b, "rootfs/up/dir"), 5, 6), 0);
	box_write(box_path(b, "rootfs/up/dir/file"), "content\n");
	assert_int_equal(symlink("dir/file", box_path(b, "rootfs/up/link")), 0);
	run_with(b, &s,
		 "{\"destination\":\"/up\",\"type\":\"tmpfs\",\"source\":\"tmpfs\",\"options\":["
		 "\"tmpcopyup\"]}",
		 "cat /up/link; stat -c '%a %u %g' /up /up/dir; echo more >/up/new", &r);
	assert_exit(&r, 0);
	assert_string_equal(r.out, "content\n700 0 0\n751 5 6\n");
	assert_int_equal(access(box_path(b, "rootfs/up/new"), F_OK), -1);
}

static void test_masked_and_readonly(void **state)
{
	struct box *b = *state;
	struct box_spec s = { .linux_ =
				      ",\"maskedPaths\":[\"/proc/keys\",\"/proc/acpi\",\"/secret\","
				      "\"/hidden\",\"/proc/not-there\"],\"readonlyPaths\":["
				      "\"/proc/sys\",\"/etc\",\"/not-there\"]" };
	struct box_result r;

	assert_int_equal(mkdir(box_path(b, "rootfs/secret"), 0755), 0);
	box_write(box_path(b, "rootfs/secret/key"), "secret");
	box_write(box_path(b, "rootfs/hidden"), "secret");
	run_with(b, &s, "",
		 "cat /proc/keys /hidden; ls /secret; touch /etc/x /secret/x;"
		 "echo 1 >/proc/sys/kernel/panic; chmod 0 /hidden; touch /tmp/fine",
		 &r);
	assert_exit(&r, 0);
	assert_has_not(r.out, "secret\n");
	assert_has(r.out, "/etc/x: Read-only");
	assert_has(r.out, "/secret/x: Read-only");
	assert_has(r.out, "/proc/sys/kernel/panic: Read-only");
	assert_has(r.out, "chmod: /hidden: Read-only");
	s.root = ",\"readonly\":true";
	run_with(b, &s, "", "touch /x; touch /dev/x; grep ' / ' /proc/mounts", &r);
	assert_has(r.out, "/x: Read-only");
	assert_has_not(r.out, "/dev/x");
}

static void test_remount_and_long_option(void **state)
{
	struct box_spec s = { 0 };
	struct box_result r;
	char more[2048], lower[600] = "";

	run_with(*state, &s,
		 "{\"destination\":\"/tmp\",\"type\":\"tmpfs\",\"source\":\"t\"},"
		 "{\"destination\":\"/tmp\",\"type\":\"tmpfs\",\"source\":\"t\",\"options\":["
		 "\"remount\",\"ro\",\"nosuid\"]}",
		 "touch /tmp/x; grep ' /tmp ' /proc/mounts", &r);
	assert_has(r.out, "/tmp/x: Read-only");
	assert_has(r.out, "t /tmp tmpfs ro,nosuid");
	/* overlay's lowerdir may be longer than fsconfig(2) takes at once */
	for (int i = 0; i < 25; i++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "rootfs/layer-number-%02d", i);
		assert_int_equal(mkdir(box_path(*state, "%s", name), 0755), 0);
		(void)snprintf(lower + strlen(lower), sizeof(lower) - strlen(lower), "%s%s",
			       i ? ":" : "", box_path(*state, "%s", name));
		if (strlen(lower) > 400)
			break;
	}
	(void)snprintf(
		more, sizeof(more),
		"{\"destination\":\"/mnt\",\"type\":\"overlay\",\"source\":\"o\",\"options\":["
		"\"lowerdir=%s\",\"nodev\"]}",
		lower);
	run_with(*state, &s, more, "grep ' /mnt ' /proc/mounts", &r);
	assert_exit(&r, 0);
	assert_has(r.out, "overlay ro,nodev");
}

static void test_idmap(void **state)
{
	struct box *b = *state;
	struct box_spec s = { 0 };
	struct box_result r;
	char more[1024];

	assert_int_equal(mkdir(box_path(b, "data"), 0755), 0);
	box_write(box_path(b, "data/file"), "x");
	assert_int_equal(chown(box_path(b, "data/file"), 1000, 1000), 0);
	(void)snprintf(more, sizeof(more),
		       "{\"destination\":\"/"
		       "a\",\"type\":\"bind\",\"source\":\"%s\",\"options\":[\"bind\"],"
		       "\"uidMappings\":[{\"containerID\":0,\"hostID\":5000,\"size\":2000}],"
		       "\"gidMappings\":[{\"containerID\":0,\"hostID\":6000,\"size\":2000}]}",
		       box_path(b, "data"));
	run_with(b, &s, more, "stat -c '%u %g' /a/file", &r);
	assert_exit(&r, 0);
	assert_string_equal(r.out, "6000 7000\n");
}

#define USER_NS                                                                           \
	"[{\"type\":\"pid\"},{\"type\":\"mount\"},{\"type\":\"ipc\"},{\"type\":\"uts\"}," \
	"{\"type\":\"network\"},{\"type\":\"user\"}]"
#define USER_MAPS                                                                  \
	",\"uidMappings\":[{\"containerID\":0,\"hostID\":100000,\"size\":65536}]," \
	"\"gidMappings\":[{\"containerID\":0,\"hostID\":100000,\"size\":65536}]"

static void test_user_namespace(void **state)
{
	struct box *b = *state;
	struct box_spec s = { .namespaces = USER_NS,
			      .linux_ = USER_MAPS ",\"maskedPaths\":[\"/proc/keys\"],"
						  "\"readonlyPaths\":[\"/proc/sys\"]" };
	struct box_result r;
	char more[1024];

	assert_int_equal(chown(b->rootfs, 100000, 100000), 0);
	assert_int_equal(chmod(b->dir, 0700), 0); /* what its root may not even reach */
	assert_int_equal(mkdir(box_path(b, "data"), 0700), 0);
	assert_int_equal(chown(box_path(b, "data"), 100000, 100000), 0);
	(void)snprintf(
		more, sizeof(more),
		"{\"destination\":\"/sys\",\"type\":\"sysfs\",\"source\":\"sysfs\",\"options\":["
		"\"ro\"]}," BIND("/a", "\"bind\""),
		box_path(b, "data"));
	run_with(b, &s, more,
		 "id -u; cat /proc/self/uid_map; echo x >/dev/null; ls -l /dev/zero;"
		 "touch /a/x; stat -c '%u' /a/x /proc/1; ip link show lo",
		 &r);
	assert_exit(&r, 0);
	assert_has(r.out, "0\n         0     100000      65536\n");
	assert_has(r.out, "1,   5");
	assert_has(r.out, "\n0\n0\n");
	assert_has(r.out, "LOOPBACK,UP");
}

/* Joining by path: the second container shares what it names, and only that. */
static void test_joins(void **state)
{
	static const char *const kinds[][2] = { { "network", "net" }, { "ipc", "ipc" },
						{ "uts", "uts" },     { "pid", "pid" },
						{ "user", "user" },   { "cgroup", "cgroup" },
						{ "time", "time" } };
	struct box *b = *state;
	struct box_spec first = { .script = "sleep 100",
				  .namespaces =
					  "[{\"type\":\"pid\"},{\"type\":\"mount\"},{\"type\":"
					  "\"ipc\"},{\"type\":\"uts\"},{\"type\":\"network\"},"
					  "{\"type\":\"cgroup\"},{\"type\":\"time\"},{\"type\":"
					  "\"user\"}]",
				  .linux_ = USER_MAPS };
	struct launch_plan *plan = box_plan(b, &first);
	struct launch_run_options o = { .id = "first",
					.init = true,
					.stdio = { -1, -1, -1, 0, 0 } };
	struct launch_child child;
	struct launch_error err;
	struct box_result r;

	if (launch_create(plan, &o, &child, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(launch_start(plan, &o, &child, &err), 0);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		char list[512], want[64], path[64];
		struct box_spec s = { .namespaces = list, .mounts = "[" BOX_PROC "]" };
		char script[64];
		ssize_t n;

		(void)snprintf(script, sizeof(script), "readlink /proc/self/ns/%s", kinds[i][1]);
		s.script = script;
		(void)snprintf(path, sizeof(path), "/proc/%d/ns/%s", child.pid, kinds[i][1]);
		n = readlink(path, want, sizeof(want) - 1);
		assert_true(n > 0);
		want[n] = '\0';
		(void)snprintf(list, sizeof(list),
			       "[{\"type\":\"mount\"}%s,{\"type\":\"%s\",\"path\":\"%s\"}]",
			       strcmp(kinds[i][1], "pid") == 0 ? "" : ",{\"type\":\"pid\"}",
			       kinds[i][0], path);
		box_run(b, &s, NULL, &r);
		assert_exit(&r, 0);
		assert_has(r.out, want);
	}
	assert_int_equal(kill(child.pid, SIGKILL), 0);
	box_wait(&child, &r);
	launch_close(&child);
	free(plan);
}

static void test_time_namespace(void **state)
{
	struct box_spec s = {
		.namespaces = "[{\"type\":\"mount\"},{\"type\":\"time\"},{\"type\":\"pid\"}]",
		.linux_ = ",\"timeOffsets\":{\"boottime\":{\"secs\":100000000}}",
		.script = "head -c 5 /proc/uptime"
	};
	struct box_result r;

	box_run(*state, &s, NULL, &r);
	assert_exit(&r, 0);
	assert_true(strtol(r.out, NULL, 10) >= 10000);
}

static void test_no_pivot(void **state)
{
	struct launch_run_options o = { .no_pivot = true };
	struct box_spec s = { .script = "cat /etc/passwd; ls /" };
	struct box_result r;

	box_run(*state, &s, &o, &r);
	assert_exit(&r, 0);
	assert_has(r.out, "user:x:1000");
}

/* What is mounted in the container is never seen outside, whatever propagation it asks for. */
static void test_propagation(void **state)
{
	static const char *const kinds[] = { "private", "rprivate", "slave",	  "rslave",
					     "shared",	"rshared",  "unbindable", "runbindable" };
	struct box *b = *state;
	struct box_result r;
	char linux_[64];

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct box_spec s = { .script = "cat /proc/self/mountinfo", .linux_ = linux_ };

		(void)snprintf(linux_, sizeof(linux_), ",\"rootfsPropagation\":\"%s\"", kinds[i]);
		box_run(b, &s, NULL, &r);
		assert_exit(&r, 0);
		assert_int_equal(box_count_lines("/proc/self/mountinfo"), b->mounts);
		if (strstr(kinds[i], "shared"))
			assert_has(r.out, "shared:");
		if (strstr(kinds[i], "private"))
			assert_has_not(r.out, "shared:");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, box_setup, box_teardown)
		T(test_defaults),
		T(test_bind),
		T(test_recursive),
		T(test_tmpcopyup),
		T(test_masked_and_readonly),
		T(test_remount_and_long_option),
		T(test_idmap),
		T(test_user_namespace),
		T(test_joins),
		T(test_time_namespace),
		T(test_no_pivot),
		T(test_propagation),
	};

	return cmocka_run_group_tests(tests, box_warm_up, NULL);
}
