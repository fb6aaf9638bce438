/* SPDX-License-Identifier: MIT */
/* Linux 5.10 has no mount_setattr(2): the same mounts without it, in a process that lost it. */
#include "box.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static int lose_mount_setattr(void **state)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mount_setattr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

	assert_int_equal(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
	assert_int_equal(mount_setattr(-1, "", 0, NULL, 0), -1);
	assert_int_equal(errno, ENOSYS);
	return box_warm_up(state);
}

static void test_binds(void **state)
{
	struct box *b = *state;
	char mounts[1024];
	struct box_spec s = {
		.mounts = mounts,
		.script = "touch /a/x; grep -E ' /(a|b|c) ' /proc/mounts; cat /a/file",
	};
	struct box_result r;

	assert_int_equal(mkdir(box_path(b, "data"), 0755), 0);
	box_write(box_path(b, "data/file"), "content\n");
	(void)snprintf(mounts, sizeof(mounts),
		       "[" BOX_PROC ",{\"destination\":\"/a\",\"type\":\"bind\",\"source\":\"%s\","
		       "\"options\":[\"bind\",\"ro\",\"nosuid\"]},{\"destination\":\"/b\",\"type\":"
		       "\"bind\",\"source\":\"%s\",\"options\":[\"rbind\",\"noexec\",\"rprivate\"]},"
		       "{\"destination\":\"/c\",\"type\":\"tmpfs\",\"source\":\"t\",\"options\":["
		       "\"ro\",\"nodev\"]}]",
		       box_path(b, "data"), box_path(b, "data"));
	box_run(b, &s, NULL, &r);
	assert_exit(&r, 0);
	assert_has(r.out, "/a/x: Read-only");
	assert_has(r.out, " ro,nosuid,");
	assert_has(r.out, " rw,noexec,");
	assert_has(r.out, "t /c tmpfs ro,nodev");
	assert_has(r.out, "content\n");
}

static void test_closed_in(void **state)
{
	struct box *b = *state;
	struct box_spec s = {
		.script = "touch /x /etc/x; cat /proc/keys; echo 1 >/proc/sys/kernel/panic",
		.linux_ = ",\"maskedPaths\":[\"/proc/keys\",\"/proc/acpi\"],\"readonlyPaths\":["
			  "\"/proc/sys\",\"/etc\"],\"rootfsPropagation\":\"shared\"",
		.root = ",\"readonly\":true",
	};
	struct box_result r;

	box_run(b, &s, NULL, &r);
	assert_exit(&r, 1);
	assert_has(r.out, "/x: Read-only");
	assert_has(r.out, "/etc/x: Read-only");
	assert_has(r.out, "/proc/sys/kernel/panic: Read-only");
}

/* What cannot be done without it is refused, not left out. */
static void test_recursive(void **state)
{
	struct box_spec s = {
		.mounts = "[" BOX_PROC ",{\"destination\":\"/a\",\"type\":\"bind\",\"source\":"
			  "\"/etc\",\"options\":[\"rbind\",\"rro\"]}]",
	};
	struct box_result r;

	box_run(*state, &s, NULL, &r);
	assert_int_equal(r.error, -EOPNOTSUPP);
	assert_string_equal(r.err.text, "mount /a: operation not supported");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, box_setup, box_teardown)
		T(test_binds),
		T(test_closed_in),
		T(test_recursive),
	};

	return cmocka_run_group_tests(tests, lose_mount_setattr, NULL);
}
