/* SPDX-License-Identifier: MIT */
/* /linux/resources: rows for v1 and v2, in order; device rules; updates. */
#include "spec.h"

#include <errno.h>

#define RESOURCES(r) SPEC("", "", ",'resources':{" r "}")

struct row {
	const char *v1, *v1_value, *v2, *v2_value; /* "controller:file" */
	uint32_t optional, again;
};

static void same(const struct launch_plan *plan, launch_str controller, launch_str file,
		 launch_str value, const char *expected, const char *expected_value)
{
	char name[256];

	if (!expected) {
		assert_int_equal(file | value, 0);
		return;
	}
	assert_true(controller && file && value);
	(void)snprintf(name, sizeof(name), "%s:%s", launch_text(plan, controller),
		       launch_text(plan, file));
	assert_string_equal(name, expected);
	assert_string_equal(launch_text(plan, value), expected_value);
}

static void expect(const char *resources, const char *what, const struct row *rows, uint32_t n)
{
	char text[2048], pointer[256];
	struct launch_plan *plan;

	(void)snprintf(text, sizeof(text), RESOURCES("%s"), resources);
	plan = spec_plan(text);
	if (plan->cgroup.n != n)
		fail_msg("%s: %u rows", resources, plan->cgroup.n);
	for (uint32_t i = 0; i < n; i++) {
		const struct launch_cgroup_setting *s =
			launch_at(plan, plan->cgroup, struct launch_cgroup_setting, i);

		same(plan, s->controller, s->v1_file, s->v1_value, rows[i].v1, rows[i].v1_value);
		same(plan, s->v2_controller, s->v2_file, s->v2_value, rows[i].v2, rows[i].v2_value);
		if (s->optional != rows[i].optional || s->again != rows[i].again)
			fail_msg("%s: row %u", resources, i);
		(void)snprintf(pointer, sizeof(pointer), "/linux/resources/%s", what);
		if (n == 1)
			assert_string_equal(launch_text(plan, s->what), pointer);
	}
	free(plan);
}
#define EXPECT(resources, what, ...)                                                               \
	do {                                                                                       \
		static const struct row rows_[] = { __VA_ARGS__ };                                 \
		expect(resources, what, rows_, sizeof(rows_) / sizeof(rows_[0]));                  \
	} while (0)

static void memory(void **state)
{
	(void)state;
	EXPECT("'memory':{'limit':1048576}", "memory/limit",
	       { "memory:memory.limit_in_bytes", "1048576", "memory:memory.max", "1048576", 0, 0 });
	EXPECT("'memory':{'limit':100,'swap':300}", "",
	       { "memory:memory.limit_in_bytes", "100", "memory:memory.max", "100", 0, 1 },
	       { "memory:memory.memsw.limit_in_bytes", "300", "memory:memory.swap.max", "200", 0,
		 0 });
	EXPECT("'memory':{'limit':100,'swap':100}", "",
	       { "memory:memory.limit_in_bytes", "100", "memory:memory.max", "100", 0, 1 },
	       { "memory:memory.memsw.limit_in_bytes", "100", "memory:memory.swap.max", "0", 0,
		 0 });
	EXPECT("'memory':{'limit':100,'swap':-1}", "",
	       { "memory:memory.limit_in_bytes", "100", "memory:memory.max", "100", 0, 1 },
	       { "memory:memory.memsw.limit_in_bytes", "-1", "memory:memory.swap.max", "max", 0,
		 0 });
	EXPECT("'memory':{'limit':-1}", "",
	       { "memory:memory.limit_in_bytes", "-1", "memory:memory.max", "max", 0, 1 },
	       { "memory:memory.memsw.limit_in_bytes", "-1", "memory:memory.swap.max", "max", 1,
		 0 });
	EXPECT("'memory':{'reservation':5}", "memory/reservation",
	       { "memory:memory.soft_limit_in_bytes", "5", "memory:memory.low", "5", 0, 0 });
	EXPECT("'memory':{'reservation':-1}", "memory/reservation",
	       { "memory:memory.soft_limit_in_bytes", "-1", "memory:memory.low", "max", 0, 0 });
	EXPECT("'memory':{'kernel':5}", "memory/kernel",
	       { "memory:memory.kmem.limit_in_bytes", "5", NULL, NULL, 1, 0 });
	EXPECT("'memory':{'kernelTCP':5}", "memory/kernelTCP",
	       { "memory:memory.kmem.tcp.limit_in_bytes", "5", NULL, NULL, 0, 0 });
	EXPECT("'memory':{'swappiness':0}", "memory/swappiness",
	       { "memory:memory.swappiness", "0", NULL, NULL, 0, 0 });
	EXPECT("'memory':{'useHierarchy':true}", "memory/useHierarchy",
	       { "memory:memory.use_hierarchy", "1", NULL, NULL, 1, 0 });
	EXPECT("'memory':{'disableOOMKiller':true}", "memory/disableOOMKiller",
	       { "memory:memory.oom_control", "1", NULL, NULL, 0, 0 });
	expect("'memory':{'limit':0,'swap':0,'reservation':0,'kernel':0,'kernelTCP':0,"
	       "'disableOOMKiller':false,'useHierarchy':false,'checkBeforeUpdate':true}",
	       "", NULL, 0);
}

static void cpu(void **state)
{
	static const struct {
		const char *shares, *weight;
	} weights[] = { { "1", "1" },	  { "2", "1" },		 { "1024", "39" },
			{ "2048", "79" }, { "262144", "10000" }, { "999999999", "10000" } };
	char text[64];

	(void)state;
	for (size_t i = 0; i < sizeof(weights) / sizeof(weights[0]); i++) {
		struct row row = { "cpu:cpu.shares",
				   weights[i].shares,
				   "cpu:cpu.weight",
				   weights[i].weight,
				   0,
				   0 };

		(void)snprintf(text, sizeof(text), "'cpu':{'shares':%s}", weights[i].shares);
		expect(text, "cpu/shares", &row, 1);
	}
	EXPECT("'cpu':{'quota':150000,'period':50000}", "",
	       { "cpu:cpu.cfs_period_us", "50000", NULL, NULL, 0, 1 },
	       { "cpu:cpu.cfs_quota_us", "150000", "cpu:cpu.max", "150000 50000", 0, 0 });
	EXPECT("'cpu':{'quota':150000}", "cpu/quota",
	       { "cpu:cpu.cfs_quota_us", "150000", "cpu:cpu.max", "150000 100000", 0, 0 });
	EXPECT("'cpu':{'period':50000}", "cpu/period",
	       { "cpu:cpu.cfs_period_us", "50000", "cpu:cpu.max", "max 50000", 0, 0 });
	EXPECT("'cpu':{'quota':-1,'period':100000}", "",
	       { "cpu:cpu.cfs_period_us", "100000", NULL, NULL, 0, 1 },
	       { "cpu:cpu.cfs_quota_us", "-1", "cpu:cpu.max", "max 100000", 0, 0 });
	EXPECT("'cpu':{'burst':7}", "cpu/burst",
	       { "cpu:cpu.cfs_burst_us", "7", "cpu:cpu.max.burst", "7", 0, 0 });
	EXPECT("'cpu':{'realtimeRuntime':5,'realtimePeriod':9}", "",
	       { "cpu:cpu.rt_period_us", "9", NULL, NULL, 0, 1 },
	       { "cpu:cpu.rt_runtime_us", "5", NULL, NULL, 0, 0 });
	EXPECT("'cpu':{'cpus':'0-1,3','mems':'0'}", "",
	       { "cpuset:cpuset.cpus", "0-1,3", "cpuset:cpuset.cpus", "0-1,3", 0, 0 },
	       { "cpuset:cpuset.mems", "0", "cpuset:cpuset.mems", "0", 0, 0 });
	EXPECT("'cpu':{'idle':1,'shares':2}", "",
	       { "cpu:cpu.shares", "2", "cpu:cpu.weight", "1", 0, 0 },
	       { "cpu:cpu.idle", "1", "cpu:cpu.idle", "1", 0, 0 });
	expect("'cpu':{'shares':0,'quota':0,'period':0,'realtimeRuntime':0,'realtimePeriod':0,"
	       "'cpus':'','mems':''}",
	       "", NULL, 0);
}

static void pids_and_hugepages(void **state)
{
	(void)state;
	EXPECT("'pids':{'limit':32}", "pids/limit",
	       { "pids:pids.max", "32", "pids:pids.max", "32", 0, 0 });
	EXPECT("'pids':{'limit':-1}", "pids/limit",
	       { "pids:pids.max", "max", "pids:pids.max", "max", 0, 0 });
	expect("'pids':{'limit':0}", "", NULL, 0);
	expect("'pids':{}", "", NULL, 0);
	EXPECT("'hugepageLimits':[{'pageSize':'2MB','limit':9}]", "",
	       { "hugetlb:hugetlb.2MB.limit_in_bytes", "9", "hugetlb:hugetlb.2MB.max", "9", 0, 0 },
	       { "hugetlb:hugetlb.2MB.rsvd.limit_in_bytes", "9", "hugetlb:hugetlb.2MB.rsvd.max",
		 "9", 1, 0 });
}

static void block_io(void **state)
{
	(void)state;
	EXPECT("'blockIO':{'weight':500}", "",
	       { "blkio:blkio.weight", "500", "io:io.bfq.weight", "500", 1, 0 },
	       { "blkio:blkio.bfq.weight", "500", "io:io.weight", "4950", 1, 0 });
	EXPECT("'blockIO':{'leafWeight':10}", "blockIO/leafWeight",
	       { "blkio:blkio.leaf_weight", "10", NULL, NULL, 1, 0 });
	EXPECT("'blockIO':{'weightDevice':[{'major':8,'minor':0,'weight':1000,'leafWeight':10}]}",
	       "",
	       { "blkio:blkio.weight_device", "8:0 1000", "io:io.bfq.weight", "8:0 1000", 1, 0 },
	       { "blkio:blkio.bfq.weight_device", "8:0 1000", "io:io.weight", "8:0 10000", 1, 0 },
	       { "blkio:blkio.leaf_weight_device", "8:0 10", NULL, NULL, 1, 0 });
	EXPECT("'blockIO':{'throttleReadBpsDevice':[{'major':8,'minor':1,'rate':600}]}",
	       "blockIO/throttleReadBpsDevice/0/rate",
	       { "blkio:blkio.throttle.read_bps_device", "8:1 600", "io:io.max", "8:1 rbps=600", 0,
		 0 });
	EXPECT("'blockIO':{'throttleWriteBpsDevice':[{'major':8,'minor':1,'rate':0}]}",
	       "blockIO/throttleWriteBpsDevice/0/rate",
	       { "blkio:blkio.throttle.write_bps_device", "8:1 0", "io:io.max", "8:1 wbps=max", 0,
		 0 });
	EXPECT("'blockIO':{'throttleReadIOPSDevice':[{'major':8,'minor':1,'rate':2}],"
	       "'throttleWriteIOPSDevice':[{'major':8,'minor':2,'rate':3}]}",
	       "",
	       { "blkio:blkio.throttle.read_iops_device", "8:1 2", "io:io.max", "8:1 riops=2", 0,
		 0 },
	       { "blkio:blkio.throttle.write_iops_device", "8:2 3", "io:io.max", "8:2 wiops=3", 0,
		 0 });
	expect("'blockIO':{'weight':0,'leafWeight':0,'weightDevice':[],'throttleReadBpsDevice':"
	       "null}",
	       "", NULL, 0);
}

static void others(void **state)
{
	(void)state;
	EXPECT("'network':{'classID':1048577}", "network/classID",
	       { "net_cls:net_cls.classid", "1048577", NULL, NULL, 0, 0 });
	EXPECT("'network':{'priorities':[{'name':'eth0','priority':5}]}",
	       "network/priorities/0/priority",
	       { "net_prio:net_prio.ifpriomap", "eth0 5", NULL, NULL, 0, 0 });
	EXPECT("'rdma':{'mlx5_0':{'hcaHandles':1,'hcaObjects':2}}", "rdma/mlx5_0",
	       { "rdma:rdma.max", "mlx5_0 hca_handle=1 hca_object=2", "rdma:rdma.max",
		 "mlx5_0 hca_handle=1 hca_object=2", 0, 0 });
	EXPECT("'rdma':{'a':{'hcaObjects':2}}", "rdma/a",
	       { "rdma:rdma.max", "a hca_object=2", "rdma:rdma.max", "a hca_object=2", 0, 0 });
	EXPECT("'unified':{'memory.high':'5 6','io.max':''}", "",
	       { NULL, NULL, "memory:memory.high", "5 6", 0, 0 },
	       { NULL, NULL, "io:io.max", "", 0, 0 });
}

static void bad_resources(void **state)
{
	static const struct refusal rows[] = {
		{ SPEC("", "", ",'resources':[]"), "/linux/resources: not an object" },
		{ RESOURCES("'memory':1"), "/linux/resources/memory: not an object" },
		{ RESOURCES("'memory':{'limit':-2}"),
		  "/linux/resources/memory/limit: not between -1 and 9223372036854775807" },
		{ RESOURCES("'memory':{'limit':9223372036854775808}"),
		  "/linux/resources/memory/limit: not between -1 and 9223372036854775807" },
		{ RESOURCES("'memory':{'limit':'1m'}"),
		  "/linux/resources/memory/limit: not an integer" },
		{ RESOURCES("'memory':{'limit':1.5}"),
		  "/linux/resources/memory/limit: not an integer" },
		{ RESOURCES("'memory':{'swap':5}"),
		  "/linux/resources/memory/swap: counts memory and swap, "
		  "and memory has no limit" },
		{ RESOURCES("'memory':{'limit':9,'swap':5}"),
		  "/linux/resources/memory/swap: counts memory and swap, and is below memory's "
		  "limit" },
		{ RESOURCES("'memory':{'swappiness':101}"),
		  "/linux/resources/memory/swappiness: not between 0 and 100" },
		{ RESOURCES("'memory':{'disableOOMKiller':1}"),
		  "/linux/resources/memory/disableOOMKiller: not true or false" },
		{ RESOURCES("'memory':{'checkBeforeUpdate':0}"),
		  "/linux/resources/memory/checkBeforeUpdate: not true or false" },
		{ RESOURCES("'cpu':{'shares':-1}"),
		  "/linux/resources/cpu/shares: not between 0 and 9223372036854775807" },
		{ RESOURCES("'cpu':{'idle':2}"), "/linux/resources/cpu/idle: not between 0 and 1" },
		{ RESOURCES("'cpu':{'cpus':'0\\n1'}"),
		  "/linux/resources/cpu/cpus: not a list such as 0-3,7" },
		{ RESOURCES("'cpu':{'mems':'all'}"),
		  "/linux/resources/cpu/mems: not a list such as 0-3,7" },
		{ RESOURCES("'cpu':{'mems':0}"), "/linux/resources/cpu/mems: not a string" },
		{ RESOURCES("'pids':{'limit':'1'}"),
		  "/linux/resources/pids/limit: not an integer" },
		{ RESOURCES("'hugepageLimits':[{'limit':1}]"),
		  "/linux/resources/hugepageLimits/0/pageSize: is missing" },
		{ RESOURCES("'hugepageLimits':[{'pageSize':'2MB'}]"),
		  "/linux/resources/hugepageLimits/0/limit: is missing" },
		{ RESOURCES("'hugepageLimits':[{'pageSize':'02MB','limit':1}]"),
		  "/linux/resources/hugepageLimits/0/pageSize: not a size such as 2MB" },
		{ RESOURCES("'hugepageLimits':[{'pageSize':'2MB/../x','limit':1}]"),
		  "/linux/resources/hugepageLimits/0/pageSize: not a size such as 2MB" },
		{ RESOURCES("'hugepageLimits':[{'pageSize':'MB','limit':1}]"),
		  "/linux/resources/hugepageLimits/0/pageSize: not a size such as 2MB" },
		{ RESOURCES("'blockIO':{'weight':1001}"),
		  "/linux/resources/blockIO/weight: not between 0 and 1000" },
		{ RESOURCES("'blockIO':{'weightDevice':[{'minor':0,'weight':10}]}"),
		  "/linux/resources/blockIO/weightDevice/0/major: is missing" },
		{ RESOURCES("'blockIO':{'throttleReadBpsDevice':[{'major':1,'rate':10}]}"),
		  "/linux/resources/blockIO/throttleReadBpsDevice/0/minor: is missing" },
		{ RESOURCES("'blockIO':{'throttleReadBpsDevice':[{'major':1,'minor':1}]}"),
		  "/linux/resources/blockIO/throttleReadBpsDevice/0/rate: is missing" },
		{ RESOURCES("'network':{'classID':4294967296}"),
		  "/linux/resources/network/classID: not between 0 and 4294967295" },
		{ RESOURCES("'network':{'priorities':[{'name':'a b','priority':1}]}"),
		  "/linux/resources/network/priorities/0/name: not the name of an interface" },
		{ RESOURCES("'network':{'priorities':[{'name':'a'}]}"),
		  "/linux/resources/network/priorities/0/priority: is missing" },
		{ RESOURCES("'rdma':{'a b':{'hcaHandles':1}}"),
		  "/linux/resources/rdma/a b: not the limits of a device" },
		{ RESOURCES("'rdma':{'a':{}}"),
		  "/linux/resources/rdma/a: neither hcaHandles nor hcaObjects" },
		{ RESOURCES("'rdma':{'a':null}"),
		  "/linux/resources/rdma/a: not the limits of a device" },
		{ RESOURCES("'unified':{'memory.high':5}"),
		  "/linux/resources/unified/memory.high: not a string" },
		{ RESOURCES("'unified':{'../memory.high':'5'}"),
		  "/linux/resources/unified/..~1memory.high: not a file such as memory.high" },
		{ RESOURCES("'unified':{'memory/x.high':'5'}"),
		  "/linux/resources/unified/memory~1x.high: not a file such as memory.high" },
		{ RESOURCES("'unified':{'memory':'5'}"),
		  "/linux/resources/unified/memory: not a file such as memory.high" },
		{ RESOURCES("'unified':{'memory.':'5'}"),
		  "/linux/resources/unified/memory.: not a file such as memory.high" },
		{ RESOURCES("'unified':{'':'5'}"),
		  "/linux/resources/unified/: not a file such as memory.high" },
		{ RESOURCES("'devices':{}"), "/linux/resources/devices: not an array" },
		{ RESOURCES("'devices':[{'type':'p'}]"),
		  "/linux/resources/devices/0/type: \"p\" is none of a, b, c" },
		{ RESOURCES("'devices':[{'access':'rx'}]"),
		  "/linux/resources/devices/0/access: not made of r, w and m" },
		{ RESOURCES("'devices':[{'allow':'yes'}]"),
		  "/linux/resources/devices/0/allow: not true or false" },
		{ RESOURCES("'devices':[{'major':-2}]"),
		  "/linux/resources/devices/0/major: not between -1 and 4294967295" },
	};

	(void)state;
	ALL_REFUSED(rows);
}

static struct launch_cgroup_device rule(const struct launch_plan *plan, uint32_t i)
{
	assert_true(i < plan->cgroup_devices.n);
	return *launch_at(plan, plan->cgroup_devices, struct launch_cgroup_device, i);
}

#define ALWAYS 11 /* what every container may use */

static void device_rules(void **state)
{
	static const char *const denying[] = {
		SPEC("", "", ""),
		RESOURCES(""),
		RESOURCES("'devices':[]"),
		RESOURCES("'devices':[{'allow':false,'access':'rwm'}]"),
		RESOURCES("'devices':[{'type':'a','major':-1,'minor':-1}]"),
	};
	struct launch_plan *plan;
	struct launch_cgroup_device r;

	(void)state;
	for (size_t i = 0; i < sizeof(denying) / sizeof(denying[0]); i++) {
		plan = spec_plan(denying[i]);
		assert_int_equal(plan->cgroup_devices.n, 1 + ALWAYS);
		r = rule(plan, 0);
		assert_true(!r.allow && r.type == 'a' && r.major == -1 && r.minor == -1 &&
			    r.access == 7);
		r = rule(plan, 3);
		assert_true(r.allow && r.type == 'c' && r.major == 1 && r.minor == 3 &&
			    r.access == 7);
		r = rule(plan, ALWAYS);
		assert_true(r.allow && r.type == 'c' && r.major == 136 && r.minor == -1 &&
			    r.access == 7);
		free(plan);
	}
	/* a privileged container may use all */
	plan = spec_plan(RESOURCES("'devices':[{'allow':true,'access':'rwm'}]"));
	assert_int_equal(plan->cgroup_devices.n, 1);
	assert_true(rule(plan, 0).allow && rule(plan, 0).type == 'a');
	free(plan);
	/* what a spec says itself is not said again, unless it was denied since */
	plan = spec_plan(RESOURCES(
		"'devices':[{'allow':true,'type':'c','major':1,'minor':3,'access':'rwm'}]"));
	assert_int_equal(plan->cgroup_devices.n, 1 + ALWAYS);
	free(plan);
	plan = spec_plan(
		RESOURCES("'devices':[{'allow':true,'type':'c','major':1,'minor':3,'access':'rwm'},"
			  "{'allow':false,'type':'b','major':8,'access':'w'}]"));
	assert_int_equal(plan->cgroup_devices.n, 3 + ALWAYS);
	r = rule(plan, 2);
	assert_true(!r.allow && r.type == 'b' && r.major == 8 && r.minor == -1 && r.access == 2);
	free(plan);
	/* v1 would read a half of "all" as all */
	plan = spec_plan(RESOURCES("'devices':[{'allow':true,'access':'r'}]"));
	assert_true(!rule(plan, 0).allow && rule(plan, 0).type == 'a');
	assert_true(rule(plan, 1).type == 'b' && rule(plan, 1).access == 1);
	assert_true(rule(plan, 2).type == 'c' && rule(plan, 2).access == 1);
	free(plan);
}

static void updates(void **state)
{
	static const char *const good[] = { "{}", "{\"pids\":{\"limit\":3}}", "{\"devices\":[]}" };
	static const uint32_t rows[] = { 0, 1, 0 }, rules[] = { 0, 0, 1 + ALWAYS };
	struct launch_plan *plan = NULL;
	struct launch_error err;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(launch_compile_resources(good[i], strlen(good[i]), &plan, &err),
				 0);
		assert_int_equal(launch_plan_check(plan, plan->size), 0);
		assert_int_equal(plan->cgroup.n, rows[i]);
		assert_int_equal(plan->cgroup_devices.n, rules[i]);
		assert_int_equal(plan->has_process | plan->rootfs, 0);
		free(plan);
		plan = NULL;
	}
	assert_int_equal(launch_compile_resources("{\"pids\":1}", 10, &plan, &err), -EINVAL);
	assert_string_equal(err.text, "/pids: not an object");
	assert_null(plan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory),
		cmocka_unit_test(cpu),
		cmocka_unit_test(pids_and_hugepages),
		cmocka_unit_test(block_io),
		cmocka_unit_test(others),
		cmocka_unit_test(bad_resources),
		cmocka_unit_test(device_rules),
		cmocka_unit_test(updates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
