/* SPDX-License-Identifier: MIT */
/* Namespaces, id mappings, time offsets, names, sysctls, personality, hidden paths. */
#include "spec.h"

#include <errno.h>
#include <sched.h>
#include <sys/personality.h>

#define OS(members) "{'ociVersion':'1.0.2','root':{'path':'r'},'linux':{" members "}}"
#define ROOT_OS(root, members)                                                                     \
	"{'ociVersion':'1.0.2','root':{'path':'r'}," root ",'linux':{" members "}}"
#define NS(type) "'namespaces':[{'type':'" type "'}]"
#define USERNS "'namespaces':[{'type':'user'}],"

static const struct {
	const char *name;
	uint32_t flag;
} kinds[] = {
	{ "pid", CLONE_NEWPID },       { "network", CLONE_NEWNET },
	{ "mount", CLONE_NEWNS },      { "ipc", CLONE_NEWIPC },
	{ "uts", CLONE_NEWUTS },       { "user", CLONE_NEWUSER },
	{ "cgroup", CLONE_NEWCGROUP }, { "time", 0x80 /* CLONE_NEWTIME */ },
};

static void namespaces(void **state)
{
	struct launch_plan *plan;
	const struct launch_ns_join *join;
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		(void)snprintf(text, sizeof(text), OS(NS("%s")), kinds[i].name);
		plan = spec_plan(text);
		assert_int_equal(plan->clone_flags, kinds[i].flag);
		assert_int_equal(plan->joins.n, 0);
		free(plan);
		(void)snprintf(text, sizeof(text), OS("'namespaces':[{'type':'%s','path':'/n'}]"),
			       kinds[i].name);
		plan = spec_plan(text);
		assert_int_equal(plan->clone_flags, 0);
		join = launch_at(plan, plan->joins, struct launch_ns_join, 0);
		assert_int_equal(join->type, kinds[i].flag);
		assert_string_equal(launch_text(plan, join->path), "/n");
		free(plan);
		(void)snprintf(text, sizeof(text),
			       OS("'namespaces':[{'type':'%s'},{'type':'%s','path':'/n'}]"),
			       kinds[i].name, kinds[i].name);
		{
			char expected[128];

			(void)snprintf(expected, sizeof(expected),
				       "/linux/namespaces/1/type: a second %s namespace",
				       kinds[i].name);
			spec_refused(text, -EINVAL, expected);
		}
	}
	plan = spec_plan(OS("'namespaces':[{'type':'pid','path':''},{'type':'network','path':'/a'},"
			    "{'type':'ipc','path':'/b'}]"));
	assert_int_equal(plan->clone_flags, CLONE_NEWPID);
	assert_int_equal(plan->joins.n, 2);
	free(plan);
}

static void id_maps(void **state)
{
	struct launch_plan *plan = spec_plan(OS(
		USERNS "'uidMappings':[{'containerID':0,'hostID':1000,'size':1},{'containerID':1,"
		       "'hostID':100000,'size':65536}],'gidMappings':[{'containerID':0,'hostID':0,"
		       "'size':4294967295}]"));
	const struct launch_idmap *map = launch_at(plan, plan->uid_maps, struct launch_idmap, 1);

	(void)state;
	assert_int_equal(plan->uid_maps.n, 2);
	assert_int_equal(map->inside, 1);
	assert_int_equal(map->outside, 100000);
	assert_int_equal(map->count, 65536);
	assert_int_equal(launch_at(plan, plan->gid_maps, struct launch_idmap, 0)->count,
			 4294967295u);
	free(plan);
	/* a namespace joined by path may be described, as podman does in pods */
	plan = spec_plan(
		OS("'namespaces':[{'type':'user','path':'/u'}],'uidMappings':[{'containerID':0,"
		   "'hostID':1,'size':1}]"));
	assert_int_equal(plan->uid_maps.n, 1);
	assert_int_equal(plan->gid_maps.n, 0);
	free(plan);
	/* and a new one not at all: root's ids */
	plan = spec_plan(ROOT_OS("'process':{'args':['a'],'cwd':'/','user':{'uid':5,'gid':6}}",
				 "'namespaces':[{'type':'user'}]"));
	map = launch_at(plan, plan->uid_maps, struct launch_idmap, 0);
	assert_int_equal(map->inside, 5);
	assert_int_equal(map->outside, 0);
	assert_int_equal(map->count, 1);
	assert_int_equal(launch_at(plan, plan->gid_maps, struct launch_idmap, 0)->inside, 6);
	free(plan);
}

static void without_root(void **state)
{
	static const struct launch_compile_options rootless = { .bundle = "/b", .rootless = true };
	static const char maps[] =
		OS(USERNS "'uidMappings':[{'containerID':0,'hostID':1000,'size':1}],"
			  "'gidMappings':[{'containerID':0,'hostID':1000,'size':1}]");
	struct launch_plan *plan = NULL;
	struct launch_error err;

	(void)state;
	assert_int_equal(spec_try(OS(NS("pid")), &rootless, &plan, &err), -EINVAL);
	assert_string_equal(err.text,
			    "/linux/namespaces: without being root, a container needs a user "
			    "namespace");
	assert_int_equal(spec_try(OS(NS("user")), &rootless, &plan, &err), -EINVAL);
	assert_string_equal(err.text,
			    "/linux/uidMappings: is missing, and the user namespace is new");
	assert_null(plan);
	assert_int_equal(spec_try(maps, &rootless, &plan, &err), 0);
	free(plan);
}

static void time_offsets(void **state)
{
	struct launch_plan *plan = spec_plan(
		OS(NS("time") ",'timeOffsets':{'monotonic':{'secs':-5,'nanosecs':999999999},"
			      "'boottime':{'secs':7}}"));

	(void)state;
	assert_int_equal(plan->timens_set, 1);
	assert_true(plan->time_monotonic_s == -5 && plan->time_boottime_s == 7);
	assert_int_equal(plan->time_monotonic_ns, 999999999);
	assert_int_equal(plan->time_boottime_ns, 0);
	free(plan);
	plan = spec_plan(OS("'timeOffsets':{}"));
	assert_int_equal(plan->timens_set, 0);
	free(plan);
}

static void names(void **state)
{
	static const char long_name[] =
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"; /* 65 */
	struct launch_plan *plan =
		spec_plan(ROOT_OS("'hostname':'h','domainname':'d.e'", NS("uts")));
	char text[512];

	(void)state;
	assert_string_equal(launch_text(plan, plan->hostname), "h");
	assert_string_equal(launch_text(plan, plan->domainname), "d.e");
	free(plan);
	plan = spec_plan(ROOT_OS("'hostname':''", "'mountLabel':'m','cgroupsPath':'/c/d'"));
	assert_int_equal(plan->hostname, 0);
	assert_string_equal(launch_text(plan, plan->mount_label), "m");
	assert_string_equal(launch_text(plan, plan->cgroup_path), "/c/d");
	free(plan);
	spec_refused(ROOT_OS("'hostname':'h'", NS("pid")), -EINVAL,
		     "/hostname: would be the host's without a uts namespace");
	spec_refused(ROOT_OS("'domainname':'h'", NS("pid")), -EINVAL,
		     "/domainname: would be the host's without a uts namespace");
	(void)snprintf(text, sizeof(text), ROOT_OS("'hostname':'%s'", NS("uts")), long_name);
	spec_refused(text, -EINVAL, "/hostname: longer than 64 bytes");
	(void)snprintf(text, sizeof(text), ROOT_OS("'hostname':'%s'", NS("uts")), long_name + 1);
	free(spec_plan(text));
}

static void sysctls(void **state)
{
	static const struct {
		const char *ns, *key, *file;
	} rows[] = {
		{ "network", "net.ipv4.ip_forward", "net/ipv4/ip_forward" },
		{ "network", "net/ipv4/ip_forward", "net/ipv4/ip_forward" },
		{ "network", "net.ipv4.conf.eth0/1.rp_filter", "net/ipv4/conf/eth0.1/rp_filter" },
		{ "network", "net/ipv4/conf/eth0.1/rp_filter", "net/ipv4/conf/eth0.1/rp_filter" },
		{ "network", "net.ipv6.conf.br-x_1.forwarding", "net/ipv6/conf/br-x_1/forwarding" },
		{ "ipc", "kernel.shmmax", "kernel/shmmax" },
		{ "ipc", "kernel.shm_rmid_forced", "kernel/shm_rmid_forced" },
		{ "ipc", "kernel.msgmni", "kernel/msgmni" },
		{ "ipc", "kernel.sem", "kernel/sem" },
		{ "ipc", "fs.mqueue.msg_max", "fs/mqueue/msg_max" },
		{ "uts", "kernel.domainname", "kernel/domainname" },
	};
	char text[512], expected[256];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct launch_plan *plan;
		const struct launch_sysctl *s;
		char *pointer = expected;

		(void)snprintf(text, sizeof(text), OS(NS("%s") ",'sysctl':{'%s':'1 2\\t3'}"),
			       rows[i].ns, rows[i].key);
		plan = spec_plan(text);
		s = launch_at(plan, plan->sysctls, struct launch_sysctl, 0);
		assert_string_equal(launch_text(plan, s->file), rows[i].file);
		assert_string_equal(launch_text(plan, s->key), rows[i].key);
		assert_string_equal(launch_text(plan, s->value), "1 2\t3");
		free(plan);
		(void)snprintf(text, sizeof(text), OS(NS("pid") ",'sysctl':{'%s':'1'}"),
			       rows[i].key);
		pointer = stpcpy(pointer, "/linux/sysctl/");
		for (const char *k = rows[i].key; *k; k++)
			pointer = stpncpy(pointer, *k == '/' ? "~1" : k, *k == '/' ? 2 : 1);
		(void)sprintf(pointer, ": would be the host's without %s %s namespace",
			      rows[i].ns[0] == 'i' ? "an" : "a", rows[i].ns);
		spec_refused(text, -EINVAL, expected);
	}
}

static void bad_sysctls(void **state)
{
#define SYSCTL(key, value)                                                                         \
	OS("'namespaces':[{'type':'network'},{'type':'ipc'},{'type':'uts'}],'sysctl':{'" key       \
	   "':" value "}")
#define NO_NAME ": not the name of a kernel setting"
#define HOSTS ": is not in a namespace of its own, but the host's"
#define SMUGGLES ": '+', '=' or a control character in the value"
	static const struct {
		const char *key, *value, *pointer, *text;
	} rows[] = {
		{ "kernel.panic", "'1'", "kernel.panic", HOSTS },
		{ "vm.swappiness", "'1'", "vm.swappiness", HOSTS },
		{ "fs.file-max", "'1'", "fs.file-max", HOSTS },
		{ "kernel.core_pattern", "'|/x'", "kernel.core_pattern", HOSTS },
		{ "net", "'1'", "net", HOSTS },
		{ "kernel.hostname", "'h'", "kernel.hostname", ": is what /hostname is for" },
		{ "", "'1'", "", NO_NAME },
		{ ".", "'1'", ".", NO_NAME },
		{ "/net/ipv4/x", "'1'", "~1net~1ipv4~1x", NO_NAME },
		{ "net..ipv4", "'1'", "net..ipv4", NO_NAME },
		{ "net.ipv4.", "'1'", "net.ipv4.", NO_NAME },
		{ "net/../kernel/panic", "'1'", "net~1..~1kernel~1panic", NO_NAME },
		{ "net.//.kernel.panic", "'1'", "net.~1~1.kernel.panic", NO_NAME },
		{ "net/./x", "'1'", "net~1.~1x", NO_NAME },
		{ "net.a+kernel.core_pattern", "'1'", "net.a+kernel.core_pattern", NO_NAME },
		{ "net.a=1", "'1'", "net.a=1", NO_NAME },
		{ "net.a b", "'1'", "net.a b", NO_NAME },
		{ "net.a\\n", "'1'", "net.a?", NO_NAME },
		{ "net.\xc3\xa4", "'1'", "net.\xc3\xa4", NO_NAME },
		{ "net.a", "'1+kernel.core_pattern=|/x'", "net.a", SMUGGLES },
		{ "net.a", "'1\\n2'", "net.a", SMUGGLES },
		{ "net.a", "'1=2'", "net.a", SMUGGLES },
		{ "net.a", "'\\u007f'", "net.a", SMUGGLES },
		{ "net.a", "1", "net.a", ": not a string" },
		{ "net.a", "null", "net.a", ": not a string" },
	};
	char text[512], expected[256];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		(void)snprintf(text, sizeof(text), SYSCTL("%s", "%s"), rows[i].key, rows[i].value);
		(void)snprintf(expected, sizeof(expected), "/linux/sysctl/%s%s", rows[i].pointer,
			       rows[i].text);
		spec_refused(text, -EINVAL, expected);
	}
	(void)snprintf(text, sizeof(text), SYSCTL("net.%0255d", "'1'"), 0);
	spec_refused(text, -EINVAL, "/linux/sysctl: a key longer than 255 bytes");
}

static void personalities(void **state)
{
	struct launch_plan *plan = spec_plan(OS("'personality':{'domain':'LINUX32'}"));

	(void)state;
	assert_int_equal(plan->personality_set, 1);
	assert_int_equal(plan->personality, PER_LINUX32);
	free(plan);
	plan = spec_plan(OS("'personality':{'domain':'LINUX','flags':[]}"));
	assert_int_equal(plan->personality, PER_LINUX);
	free(plan);
	spec_refused(OS("'personality':{'domain':'LINUX','flags':['X']}"), -ENOTSUP,
		     "/linux/personality/flags: no flags are defined");
}

static void hidden_paths(void **state)
{
	struct launch_plan *plan =
		spec_plan(OS(NS("mount") ",'maskedPaths':['/a','/b'],'readonlyPaths':['/c']"));

	(void)state;
	assert_int_equal(plan->masked.n, 2);
	assert_string_equal(plan_string(plan, plan->masked, 1), "/b");
	assert_string_equal(plan_string(plan, plan->readonly, 0), "/c");
	free(plan);
}

static void bad_sections(void **state)
{
#define MAP(row) OS(USERNS "'gidMappings':[" row "]")
	static const struct refusal rows[] = {
		{ OS("'namespaces':{}"), "/linux/namespaces: not an array" },
		{ OS("'namespaces':['pid']"), "/linux/namespaces/0: not an object" },
		{ OS("'namespaces':[{}]"), "/linux/namespaces/0/type: is missing" },
		{ OS(NS("net")), "/linux/namespaces/0/type: \"net\" is not known" },
		{ OS("'namespaces':[{'type':'pid','path':'a'}]"),
		  "/linux/namespaces/0/path: a is not absolute" },
		{ OS("'namespaces':[{'type':'pid','path':1}]"),
		  "/linux/namespaces/0/path: not a string" },
		{ OS("'uidMappings':[{'containerID':0,'hostID':0,'size':1}]"),
		  "/linux/uidMappings: there is no user namespace to map ids in" },
		{ OS("'gidMappings':[{'containerID':0,'hostID':0,'size':1}]"),
		  "/linux/gidMappings: there is no user namespace to map ids in" },
		{ MAP("{'hostID':0,'size':1}"), "/linux/gidMappings/0/containerID: is missing" },
		{ MAP("{'containerID':0,'size':1}"), "/linux/gidMappings/0/hostID: is missing" },
		{ MAP("{'containerID':0,'hostID':0}"), "/linux/gidMappings/0/size: is missing" },
		{ MAP("{'containerID':0,'hostID':0,'size':0}"),
		  "/linux/gidMappings/0/size: is missing" },
		{ MAP("{'containerID':1,'hostID':0,'size':4294967295}"),
		  "/linux/gidMappings/0: goes beyond the last id" },
		{ MAP("{'containerID':0,'hostID':4294967295,'size':1}"),
		  "/linux/gidMappings/0: goes beyond the last id" },
		{ OS("'timeOffsets':{'monotonic':{'secs':1}}"),
		  "/linux/timeOffsets: the time namespace is not a new one" },
		{ OS("'namespaces':[{'type':'time','path':'/t'}],'timeOffsets':{'boottime':{}}"),
		  "/linux/timeOffsets: the time namespace is not a new one" },
		{ OS(NS("time") ",'timeOffsets':{'monotonic':{'nanosecs':1000000000}}"),
		  "/linux/timeOffsets/monotonic/nanosecs: not between 0 and 999999999" },
		{ OS("'sysctl':[]"), "/linux/sysctl: not an object" },
		{ OS("'personality':{}"), "/linux/personality/domain: is missing" },
		{ OS("'personality':{'domain':'X'}"),
		  "/linux/personality/domain: \"X\" is not known" },
		{ OS(NS("mount") ",'maskedPaths':['/a','b']"),
		  "/linux/maskedPaths: path 1 is not absolute" },
		{ OS("'maskedPaths':['/a']"),
		  "/linux/maskedPaths: would be the host's without a mount namespace" },
		{ OS("'readonlyPaths':['/a']"),
		  "/linux/readonlyPaths: would be the host's without a mount namespace" },
		{ OS("'cgroupsPath':1"), "/linux/cgroupsPath: not a string" },
		{ OS("'mountLabel':[]"), "/linux/mountLabel: not a string" },
	};
	char *text, *p;

	(void)state;
	ALL_REFUSED(rows);
	text = malloc(32768);
	assert_non_null(text);
	p = stpcpy(text,
		   "{'ociVersion':'1.0.0','root':{'path':'r'},'linux':{" USERNS "'uidMappings':[");
	for (int i = 0; i < 341; i++)
		p += sprintf(p, "%s{'containerID':%d,'hostID':%d,'size':1}", i ? "," : "", i, i);
	(void)stpcpy(p, "]}}");
	spec_refused(text, -EINVAL, "/linux/uidMappings: more than 340 rows");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(namespaces),	cmocka_unit_test(id_maps),
		cmocka_unit_test(without_root), cmocka_unit_test(time_offsets),
		cmocka_unit_test(names),	cmocka_unit_test(sysctls),
		cmocka_unit_test(bad_sysctls),	cmocka_unit_test(personalities),
		cmocka_unit_test(hidden_paths), cmocka_unit_test(bad_sections),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
