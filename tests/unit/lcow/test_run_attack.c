/* SPDX-License-Identifier: MIT */
/*
 * Root file systems that want to get out: each case is a flaw that some runtime had.  Nothing
 * outside of the rootfs may be made, changed, mounted on or shown.
 */
#include "box.h"

#include <pthread.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

/* dir/host is "the host": it must look as before after each attack. */
static void host_make(struct box *b)
{
	assert_int_equal(mkdir(box_path(b, "host"), 0755), 0);
	box_write(box_path(b, "host/file"), "host\n");
	assert_int_equal(chmod(box_path(b, "host/file"), 0640), 0);
}

static void host_check(struct box *b)
{
	struct stat st;
	char text[16] = "";
	int fd = open(box_path(b, "host/file"), O_RDONLY | O_CLOEXEC);
	struct dirent *e;
	unsigned n = 0;
	DIR *d;

	assert_true(fd >= 0);
	assert_int_equal(read(fd, text, sizeof(text) - 1), 5);
	assert_string_equal(text, "host\n");
	assert_int_equal(fstat(fd, &st), 0);
	assert_true((st.st_mode & 07777) == 0640 && st.st_uid == 0);
	(void)close(fd);
	d = opendir(box_path(b, "host"));
	assert_non_null(d);
	while ((e = readdir(d)))
		n++;
	(void)closedir(d);
	assert_int_equal(n, 3);
	assert_true(box_count_lines("/proc/self/mountinfo") <= b->mounts); /* fewer: see box_teardown */
}

static void replace_by_link(struct box *b, const char *name, const char *target)
{
	const char *path = box_path(b, "rootfs/%s", name);

	if (rmdir(path) < 0)
		(void)unlink(path);
	assert_int_equal(symlink(target, path), 0);
}

static const char *host_link(struct box *b)
{
	static char link[256];

	/* Both as the host sees it, and upwards more often than there are directories. */
	(void)snprintf(link, sizeof(link), "../../../../../../..%s", box_path(b, "host"));
	return link;
}

/* rootfs/proc -> / and -> elsewhere: procfs lands inside, or the start fails; never outside. */
static void test_proc_is_a_link(void **state)
{
	struct box *b = *state;
	const char *targets[] = { "/", "/tmp", host_link(b), box_path(b, "host") };
	struct box_result r;

	host_make(b);
	for (size_t i = 0; i < 4; i++) {
		replace_by_link(b, "proc", targets[i]);
		box_run(b, &(struct box_spec){ .script = "true" }, NULL, &r);
		host_check(b);
	}
}

static void test_dev_is_a_link(void **state)
{
	struct box *b = *state;
	struct box_spec s = { .mounts = "[" BOX_PROC "]" };
	struct box_result r;

	host_make(b);
	replace_by_link(b, "dev", host_link(b));
	box_run(b, &s, NULL, &r); /* devices and links without a /dev of its own */
	host_check(b);
	s.mounts = NULL;
	box_run(b, &s, NULL, &r);
	host_check(b);
	s.process = ",\"terminal\":true";
	box_run(b, &s, NULL, &r);
	host_check(b);
}

/*
 * /dev/console, /dev/null and the like as links to a file of the host's, without a mount on /dev.
 */
static void test_device_is_a_link(void **state)
{
	struct box *b = *state;
	struct box_spec s = { .mounts = "[" BOX_PROC "]" };
	struct box_result r;
	char link[256];

	host_make(b);
	(void)snprintf(link, sizeof(link), "%s/file", host_link(b));
	replace_by_link(b, "dev/null", link);
	box_run(b, &s, NULL, &r);
	assert_int_equal(r.error, -EEXIST);
	assert_has(r.err.text, "device /dev/null: file exists");
	host_check(b);
	(void)unlink(box_path(b, "rootfs/dev/null"));
	/* Something that is no null device. */
	box_write(box_path(b, "rootfs/dev/null"), "");
	box_run(b, &s, NULL, &r);
	assert_int_equal(r.error, -EEXIST);
	(void)unlink(box_path(b, "rootfs/dev/null"));
	assert_int_equal(mkdir(box_path(b, "rootfs/dev/pts"), 0755), 0);
	replace_by_link(b, "dev/console", link);
	s.process = ",\"terminal\":true";
	s.mounts = "[" BOX_PROC
		   ",{\"destination\":\"/dev/pts\",\"type\":\"devpts\",\"source\":\"devpts\","
		   "\"options\":[\"newinstance\",\"ptmxmode=0666\"]}]";
	s.script = "ls -l /dev/console; echo x >/dev/console";
	box_run(b, &s, NULL, &r);
	assert_exit(&r, 0); /* mounted on the link itself, which then is one no more */
	assert_has(r.out, "136,");
	host_check(b);
}

/* A console on something that is no devpts is refused. */
static void test_false_ptmx(void **state)
{
	struct box *b = *state;
	struct box_spec s = { .mounts = "[" BOX_PROC "]", .process = ",\"terminal\":true" };
	struct box_result r;

	assert_int_equal(mkdir(box_path(b, "rootfs/dev/pts"), 0755), 0);
	assert_int_equal(mknod(box_path(b, "rootfs/dev/pts/ptmx"), S_IFCHR | 0666, makedev(5, 2)),
			 0);
	box_run(b, &s, NULL, &r);
	assert_int_equal(r.error, -ENODEV);
	assert_has(r.err.text, "console");
}

/* Mount targets: through links, dangling links, upwards. */
static void test_mount_target(void **state)
{
	struct box *b = *state;
	char mounts[1024];
	struct box_spec s = { .mounts = mounts, .script = "cat /proc/mounts; ls -la /in" };
	const char *links[] = { host_link(b), "/nowhere/yet", "../../nowhere",
				"/proc/self/root/tmp", "/proc/1/root/etc" };
	struct box_result r;

	host_make(b);
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		replace_by_link(b, "in", links[i]);
		(void)snprintf(mounts, sizeof(mounts),
			       "[" BOX_PROC
			       ",{\"destination\":\"/in/new/dir\",\"type\":\"tmpfs\",\"source\":"
			       "\"t\"},{\"destination\":\"/in/file\",\"type\":\"bind\",\"source\":"
			       "\"/etc/hostname\",\"options\":[\"bind\"]}]");
		box_run(b, &s, NULL, &r);
		host_check(b);
	}
	assert_int_equal(access("/nowhere", F_OK), -1);
}

/* The working directory through a descriptor that leads out. */
static void test_cwd(void **state)
{
	struct box *b = *state;
	struct box_result r;
	char process[64];
	int kept = open("/", O_RDONLY); /* not close-on-exec, on purpose */

	for (int i = 0; i < 64; i++) {
		struct box_spec s = {
			.script = "readlink /proc/self/cwd; ls -d ../../../../../../work",
			.process = process
		};

		(void)snprintf(process, sizeof(process), ",\"cwd\":\"/proc/self/fd/%d\"", i);
		box_run(b, &s, NULL, &r);
		assert_true(r.error < 0 || strstr(r.out, "No such file"));
	}
	(void)close(kept);
}

/* Masking: /dev/null may have been replaced, and the path may be a link. */
static void test_mask(void **state)
{
	struct box *b = *state;
	struct box_spec s = { .mounts = "[" BOX_PROC "," BOX_DEV "]",
			      .linux_ = ",\"maskedPaths\":[\"/proc/keys\",\"/link\"]",
			      .script = "cat /proc/keys; stat -c %t:%T /proc/keys" };
	struct box_result r;

	host_make(b);
	replace_by_link(b, "link", host_link(b));
	box_run(b, &s, NULL, &r);
	assert_exit(&r, 0);
	assert_string_equal(r.out, "1:3\n");
	host_check(b);
}

/*
 * Over procfs itself: settings go through the host's, so what covers the container's is not written
 * to.
 */
static void test_sysctl_is_covered(void **state)
{
	struct box *b = *state;
	struct box_spec s = {
		.mounts = "[" BOX_PROC ",{\"destination\":\"/proc/sys/net/ipv4\",\"type\":\"bind\","
			  "\"source\":\"/proc/sys/kernel\",\"options\":[\"bind\"]}]",
		.linux_ = ",\"sysctl\":{\"net.ipv4.ip_forward\":\"1\"}",
		.script = "busybox umount /proc/sys/net/ipv4; cat /proc/sys/net/ipv4/ip_forward",
		.process = ",\"capabilities\":{\"bounding\":[\"CAP_SYS_ADMIN\"],\"permitted\":["
			   "\"CAP_SYS_ADMIN\"],\"effective\":[\"CAP_SYS_ADMIN\"]}",
	};
	struct box_result r;

	box_run(b, &s, NULL, &r);
	assert_exit(&r, 0);
	assert_string_equal(r.out, "1\n");
}

struct flipper {
	const char *a, *b;
	volatile bool stop;
};

static void *flip(void *arg)
{
	struct flipper *f = arg;

	while (!f->stop)
		(void)syscall(SYS_renameat2, AT_FDCWD, f->a, AT_FDCWD, f->b,
			      2 /* RENAME_EXCHANGE */);
	return NULL;
}

/* Someone who shares a volume with the container exchanges a directory and a link all the time. */
static void test_race(void **state)
{
	struct box *b = *state;
	char a[256], link[256], mounts[1024];
	struct flipper f = { .a = a, .b = link };
	struct launch_plan *plan;
	pthread_t thread;
	struct box_result r;
	unsigned started = 0;

	host_make(b);
	assert_int_equal(mkdir(box_path(b, "volume"), 0777), 0);
	(void)snprintf(a, sizeof(a), "%s", box_path(b, "volume/dir"));
	(void)snprintf(link, sizeof(link), "%s", box_path(b, "volume/link"));
	assert_int_equal(mkdir(a, 0777), 0);
	assert_int_equal(symlink(host_link(b), link), 0);
	(void)snprintf(
		mounts, sizeof(mounts),
		"[" BOX_PROC
		",{\"destination\":\"/v\",\"type\":\"bind\",\"source\":\"%s\",\"options\":["
		"\"bind\"]},{\"destination\":\"/v/dir/sub\",\"type\":\"tmpfs\",\"source\":\"t\"},"
		"{\"destination\":\"/v/link/file\",\"type\":\"bind\",\"source\":\"/etc/hostname\","
		"\"options\":[\"bind\"]}]",
		box_path(b, "volume"));
	plan = box_plan(b, &(struct box_spec){ .mounts = mounts });
	assert_int_equal(pthread_create(&thread, NULL, flip, &f), 0);
	for (int i = 0; i < 150; i++) {
		box_run_plan(plan, NULL, &r);
		started += r.error == 0;
		host_check(b);
	}
	f.stop = true;
	(void)pthread_join(thread, NULL);
	assert_true(started > 0);
	free(plan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, box_setup, box_teardown)
		T(test_proc_is_a_link),
		T(test_dev_is_a_link),
		T(test_device_is_a_link),
		T(test_false_ptmx),
		T(test_mount_target),
		T(test_cwd),
		T(test_mask),
		T(test_sysctl_is_covered),
		T(test_race),
	};

	return cmocka_run_group_tests(tests, box_warm_up, NULL);
}
