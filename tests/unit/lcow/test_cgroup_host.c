/* SPDX-License-Identifier: MIT */
/* Which hierarchies there are, from the mount table's text; device rules as text. */
#include "box.h"

#include "cgroup_internal.h"

#define V1                                                                            \
	"30 24 0:26 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:7 - cgroup cgroup " \
	"rw,cpu,cpuacct\n"                                                            \
	"31 24 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"           \
	"32 24 0:28 / /sys/fs/cgroup/systemd rw - cgroup cgroup "                     \
	"rw,xattr,release_agent=/x,name=systemd\n"
#define V2 "33 24 0:29 / /sys/fs/cgroup rw shared:1 - cgroup2 cgroup2 rw,nsdelegate\n"
#define REST "24 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n25 24 0:5 / /proc rw - proc proc rw\n"

static void test_modes(void **state)
{
	static const struct {
		const char *text;
		enum launch_cgroup_mode mode;
		unsigned n;
	} cases[] = {
		{ REST, LAUNCH_CGROUP_NONE, 0 },	 { "", LAUNCH_CGROUP_NONE, 0 },
		{ REST V1, LAUNCH_CGROUP_V1, 3 },	 { REST V2, LAUNCH_CGROUP_V2, 1 },
		{ REST V1 V2, LAUNCH_CGROUP_HYBRID, 4 }, { V1 V1 V2 V2, LAUNCH_CGROUP_HYBRID, 4 }
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct cgroup_host host;

		assert_int_equal(cgroup_host_parse(cases[i].text, &host), 0);
		assert_int_equal(host.mode, cases[i].mode);
		assert_int_equal(host.n, cases[i].n);
		cgroup_host_finish(&host);
	}
}

static void test_controllers(void **state)
{
	const struct cgroup_hierarchy *h;
	struct cgroup_host host;

	(void)state;
	assert_int_equal(cgroup_host_parse(V1, &host), 0);
	h = cgroup_host_find(&host, "cpuacct");
	assert_non_null(h);
	assert_string_equal(h->controllers, "cpu,cpuacct");
	assert_string_equal(h->name, "cpu,cpuacct");
	assert_ptr_equal(cgroup_host_find(&host, "cpu"), h);
	assert_null(cgroup_host_find(&host, "cpua"));
	assert_null(cgroup_host_find(&host, "pids"));
	assert_string_equal(cgroup_host_find(&host, "name=systemd")->mount,
			    "/sys/fs/cgroup/systemd");
	cgroup_host_finish(&host);
}

/*
 * A part of a hierarchy, bound somewhere for a container, is no hierarchy; cut lines are none
 * either.
 */
static void test_others(void **state)
{
	static const char *const lines[] = { "40 24 0:26 /a/b /run/x rw - cgroup cgroup rw,cpu\n",
					     "40 24 0:26 / /run/x rw",
					     "40 24 0:26 / /run/x rw - cgroup",
					     "-",
					     " - cgroup2 a b",
					     "40 24 0:26 - cgroup2 a b" };

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct cgroup_host host;

		assert_int_equal(cgroup_host_parse(lines[i], &host), 0);
		assert_int_equal(host.n, 0);
	}
}

static void test_device_text(void **state)
{
	struct launch_cgroup_device d = { .type = 'c', .major = 1, .minor = 3, .access = 7 };
	char text[80];

	(void)state;
	cgroup_device_text(&d, text, sizeof(text));
	assert_string_equal(text, "c 1:3 rwm");
	d = (struct launch_cgroup_device){ .type = 'b', .major = 8, .minor = -1, .access = 1 };
	cgroup_device_text(&d, text, sizeof(text));
	assert_string_equal(text, "b 8:* r");
	d = (struct launch_cgroup_device){ .type = 'a', .major = -1, .minor = -1, .access = 6 };
	cgroup_device_text(&d, text, sizeof(text));
	assert_string_equal(text, "a *:* wm");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_controllers),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_device_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
