/* SPDX-License-Identifier: MIT */
/* /process, and the process object of an exec. */
#include "spec.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <sys/resource.h>

#define PROCESS(members) SPEC("", members, "")
#define CAP(name) (UINT64_C(1) << CAP_##name)

static void the_whole_process(void **state)
{
	struct launch_plan *plan = spec_plan(PROCESS(
		",'env':['A=1','PATH=/bin:/x','E='],'cwd':'/w','user':{'uid':1,'gid':2,"
		"'additionalGids':[3,4294967294],'umask':18},'noNewPrivileges':true,'oomScoreAdj':-"
		"1000,"
		"'terminal':true,'consoleSize':{'height':24,'width':65535},'apparmorProfile':'p',"
		"'selinuxLabel':'l','args':['a','','c d']"));
	const struct launch_process *p = &plan->process;

	(void)state;
	assert_int_equal(plan->has_process, 1);
	assert_int_equal(p->args.n, 3);
	assert_string_equal(plan_string(plan, p->args, 1), "");
	assert_string_equal(plan_string(plan, p->args, 2), "c d");
	assert_int_equal(p->env.n, 3);
	assert_string_equal(plan_string(plan, p->env, 1), "PATH=/bin:/x");
	assert_string_equal(launch_text(plan, p->cwd), "/w");
	assert_int_equal(p->uid, 1);
	assert_int_equal(p->gid, 2);
	assert_int_equal(p->groups.n, 2);
	assert_int_equal(*launch_at(plan, p->groups, uint32_t, 1), 4294967294u);
	assert_int_equal(p->umask_set, 1);
	assert_int_equal(p->umask, 022);
	assert_int_equal(p->no_new_privs, 1);
	assert_int_equal(p->oom_score_adj_set, 1);
	assert_int_equal(p->oom_score_adj, -1000);
	assert_int_equal(p->terminal, 1);
	assert_int_equal(p->height, 24);
	assert_int_equal(p->width, 65535);
	assert_string_equal(launch_text(plan, p->apparmor), "p");
	assert_string_equal(launch_text(plan, p->selinux), "l");
	free(plan);
}

static void the_least_process(void **state)
{
	struct launch_plan *plan = spec_plan(PROCESS(
		",'consoleSize':{'height':24,'width':80},'apparmorProfile':'','selinuxLabel':''"));
	const struct launch_process *p = &plan->process;

	(void)state;
	assert_int_equal(p->caps_set, 1); /* none at all */
	assert_int_equal(p->cap_permitted | p->cap_bounding, 0);
	assert_int_equal(p->umask_set | p->oom_score_adj_set | p->scheduler_set | p->ioprio_set, 0);
	assert_int_equal(p->apparmor | p->selinux, 0);
	assert_int_equal(p->height | p->width, 0); /* only a terminal has a size */
	free(plan);
}

static void capabilities(void **state)
{
	static const struct launch_compile_options old = {
		.bundle = "/b",
		.caps_possible = CAP(KILL) | CAP(CHOWN),
	};
	static const char spec[] =
		PROCESS(",'capabilities':{'bounding':['CAP_KILL','CAP_CHECKPOINT_RESTORE','CAP_"
			"NEWER_THAN_ALL2'],"
			"'effective':['CAP_KILL'],'permitted':['CAP_KILL','CAP_CHOWN','CAP_BPF'],"
			"'inheritable':['CAP_CHOWN'],'ambient':['CAP_CHOWN','CAP_KILL']}");
	struct launch_plan *plan = spec_plan(spec);
	const struct launch_process *p = &plan->process;

	(void)state;
	assert_int_equal(p->caps_set, 1);
	assert_true(p->cap_bounding == (CAP(KILL) | CAP(CHECKPOINT_RESTORE)));
	assert_true(p->cap_effective == CAP(KILL));
	assert_true(p->cap_permitted == (CAP(KILL) | CAP(CHOWN) | CAP(BPF)));
	assert_true(p->cap_inheritable == CAP(CHOWN));
	assert_true(p->cap_ambient == CAP(CHOWN)); /* what the kernel would take */
	free(plan);
	plan = NULL;
	assert_int_equal(spec_try(spec, &old, &plan, NULL), 0);
	assert_true(plan->process.cap_bounding == CAP(KILL));
	assert_true(plan->process.cap_permitted == old.caps_possible);
	free(plan);
}

static void every_capability(void **state)
{
	static const char *const names[] = {
		"CHOWN",
		"DAC_OVERRIDE",
		"DAC_READ_SEARCH",
		"FOWNER",
		"FSETID",
		"KILL",
		"SETGID",
		"SETUID",
		"SETPCAP",
		"LINUX_IMMUTABLE",
		"NET_BIND_SERVICE",
		"NET_BROADCAST",
		"NET_ADMIN",
		"NET_RAW",
		"IPC_LOCK",
		"IPC_OWNER",
		"SYS_MODULE",
		"SYS_RAWIO",
		"SYS_CHROOT",
		"SYS_PTRACE",
		"SYS_PACCT",
		"SYS_ADMIN",
		"SYS_BOOT",
		"SYS_NICE",
		"SYS_RESOURCE",
		"SYS_TIME",
		"SYS_TTY_CONFIG",
		"MKNOD",
		"LEASE",
		"AUDIT_WRITE",
		"AUDIT_CONTROL",
		"SETFCAP",
		"MAC_OVERRIDE",
		"MAC_ADMIN",
		"SYSLOG",
		"WAKE_ALARM",
		"BLOCK_SUSPEND",
		"AUDIT_READ",
		"PERFMON",
		"BPF",
		"CHECKPOINT_RESTORE",
	};
	char text[512];

	(void)state;
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct launch_plan *plan;

		(void)snprintf(text, sizeof(text),
			       PROCESS(",'capabilities':{'bounding':['CAP_%s']}"), names[i]);
		plan = spec_plan(text);
		assert_true(plan->process.cap_bounding == UINT64_C(1) << i);
		free(plan);
	}
}

static void rlimits(void **state)
{
	static const struct {
		const char *name;
		uint32_t resource;
	} rows[] = {
		{ "AS", RLIMIT_AS },
		{ "CORE", RLIMIT_CORE },
		{ "CPU", RLIMIT_CPU },
		{ "DATA", RLIMIT_DATA },
		{ "FSIZE", RLIMIT_FSIZE },
		{ "LOCKS", RLIMIT_LOCKS },
		{ "MEMLOCK", RLIMIT_MEMLOCK },
		{ "MSGQUEUE", RLIMIT_MSGQUEUE },
		{ "NICE", RLIMIT_NICE },
		{ "NOFILE", RLIMIT_NOFILE },
		{ "NPROC", RLIMIT_NPROC },
		{ "RSS", RLIMIT_RSS },
		{ "RTPRIO", RLIMIT_RTPRIO },
		{ "RTTIME", RLIMIT_RTTIME },
		{ "SIGPENDING", RLIMIT_SIGPENDING },
		{ "STACK", RLIMIT_STACK },
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct launch_plan *plan;
		const struct launch_rlimit *r;

		(void)snprintf(text, sizeof(text),
			       PROCESS(",'rlimits':[{'type':'RLIMIT_%s','soft':%u,"
				       "'hard':18446744073709551615}]"),
			       rows[i].name, (unsigned)i);
		plan = spec_plan(text);
		r = launch_at(plan, plan->process.rlimits, struct launch_rlimit, 0);
		assert_int_equal(r->resource, rows[i].resource);
		assert_true(r->soft == i && r->hard == UINT64_MAX);
		free(plan);
	}
}

static void scheduling(void **state)
{
	static const struct {
		const char *name;
		uint32_t policy;
	} rows[] = { { "OTHER", SCHED_NORMAL }, { "FIFO", SCHED_FIFO },
		     { "RR", SCHED_RR },	{ "BATCH", SCHED_BATCH },
		     { "IDLE", SCHED_IDLE },	{ "DEADLINE", SCHED_DEADLINE } };
	struct launch_plan *plan;
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		(void)snprintf(text, sizeof(text), PROCESS(",'scheduler':{'policy':'SCHED_%s'}"),
			       rows[i].name);
		plan = spec_plan(text);
		assert_int_equal(plan->process.scheduler_set, 1);
		assert_int_equal(plan->process.sched_policy, rows[i].policy);
		free(plan);
	}
	plan = spec_plan(
		PROCESS(",'scheduler':{'policy':'SCHED_DEADLINE','nice':-20,'priority':99,"
			"'flags':['SCHED_FLAG_RESET_ON_FORK','SCHED_FLAG_RECLAIM'],'runtime':1,"
			"'deadline':2,'period':3},'ioPriority':{'class':'IOPRIO_CLASS_BE',"
			"'priority':4}"));
	assert_int_equal(plan->process.sched_nice, -20);
	assert_int_equal(plan->process.sched_priority, 99);
	assert_int_equal(plan->process.sched_flags, 3);
	assert_true(plan->process.sched_runtime == 1 && plan->process.sched_deadline == 2 &&
		    plan->process.sched_period == 3);
	assert_int_equal(plan->process.ioprio_set, 1);
	assert_int_equal(plan->process.ioprio, (2 << 13) | 4);
	free(plan);
}

static void unknown_capabilities(void **state)
{
	static const char *const told[] = {
		"/process/capabilities/bounding/1: \"KILL\" is no capability that is known",
		"/process/capabilities/bounding/2: \"CAP_NEW?\" is no capability that is known",
		"/process/capabilities/permitted/0: \"\" is no capability that is known",
		"/process/capabilities/permitted/3: \"CAP_BPF\" is no capability of this kernel",
	};
	const struct launch_compile_options options = { .bundle = "/b", .caps_possible = CAP(KILL) };
	struct launch_plan *plan = NULL;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	assert_int_equal(spec_try(PROCESS(",'capabilities':{'bounding':['CAP_KILL','KILL','CAP_NEW\\n'],"
					  "'permitted':['','CAP_KILL','KILL','CAP_BPF']}"),
				  &options, &plan, NULL), 0);
	assert_true(plan->process.cap_bounding == CAP(KILL));
	assert_true(plan->process.cap_permitted == CAP(KILL));
	assert_int_equal(plan->ignored.n, sizeof(told) / sizeof(told[0]));
	for (uint32_t i = 0; i < plan->ignored.n; i++)
		assert_string_equal(launch_text(plan, *launch_at(plan, plan->ignored, launch_str, i)),
				    told[i]);
	assert_int_equal(launch_plan_check(plan, plan->size), 0);
	assert_int_equal(launch_explain(plan, out), 0);
	(void)fclose(out);
	assert_non_null(strstr(text, "ignores /process/capabilities/bounding/1: \"KILL\" is no"));
	free(text);
	free(plan);
}

static void bad_processes(void **state)
{
#define CAPS(c) PROCESS(",'capabilities':" c)
#define RLIMIT(r) PROCESS(",'rlimits':[" r "]")
	static const struct refusal rows[] = {
		{ PROCESS(",'args':null"), "/process/args: is missing" },
		{ PROCESS(",'args':[]"), "/process/args: is missing" },
		{ PROCESS(",'args':'sh'"), "/process/args: not an array" },
		{ PROCESS(",'args':['sh',1]"), "/process/args/1: not a string" },
		{ PROCESS(",'cwd':null"), "/process/cwd: is missing" },
		{ PROCESS(",'cwd':''"), "/process/cwd: is missing" },
		{ PROCESS(",'cwd':'a'"), "/process/cwd: a is not absolute" },
		{ PROCESS(",'env':['A=1','B']"), "/process/env/1: not NAME=VALUE" },
		{ PROCESS(",'env':['=1']"), "/process/env/0: not NAME=VALUE" },
		{ PROCESS(",'env':[{}]"), "/process/env/0: not a string" },
		{ PROCESS(",'user':{'uid':-1}"),
		  "/process/user/uid: not between 0 and 4294967295" },
		{ PROCESS(",'user':{'uid':4294967295}"), "/process/user/uid: is no id" },
		{ PROCESS(",'user':{'gid':4294967295}"), "/process/user/gid: is no id" },
		{ PROCESS(",'user':{'uid':1.0}"), "/process/user/uid: not an integer" },
		{ PROCESS(",'user':{'uid':1e3}"), "/process/user/uid: not an integer" },
		{ PROCESS(",'user':{'uid':'0'}"), "/process/user/uid: not an integer" },
		{ PROCESS(",'user':{'umask':512}"), "/process/user/umask: not between 0 and 511" },
		{ PROCESS(",'user':{'additionalGids':[1,-1]}"),
		  "/process/user/additionalGids/1: not a group id" },
		{ PROCESS(",'user':{'additionalGids':[18446744073709551615]}"),
		  "/process/user/additionalGids/0: not a group id" },
		{ PROCESS(",'user':{'additionalGids':['1']}"),
		  "/process/user/additionalGids/0: not a group id" },
		{ PROCESS(",'terminal':1"), "/process/terminal: not true or false" },
		{ PROCESS(",'consoleSize':{'height':65536}"),
		  "/process/consoleSize/height: not between 0 and 65535" },
		{ PROCESS(",'oomScoreAdj':1001"),
		  "/process/oomScoreAdj: not between -1000 and 1000" },
		{ PROCESS(",'oomScoreAdj':-1001"),
		  "/process/oomScoreAdj: not between -1000 and 1000" },
		{ CAPS("[]"), "/process/capabilities: not an object" },
		{ CAPS("{'bounding':'CAP_KILL'}"), "/process/capabilities/bounding: not an array" },
		{ CAPS("{'effective':['CAP_KILL']}"),
		  "/process/capabilities/effective: has one that is not in permitted" },
		{ RLIMIT("{'soft':1,'hard':1}"), "/process/rlimits/0/type: is missing" },
		{ RLIMIT("{'type':'NOFILE','soft':1,'hard':1}"),
		  "/process/rlimits/0/type: \"NOFILE\" is not known" },
		{ RLIMIT("{'type':'RLIMIT_CPU','hard':1}"), "/process/rlimits/0/soft: is missing" },
		{ RLIMIT("{'type':'RLIMIT_CPU','soft':1}"), "/process/rlimits/0/hard: is missing" },
		{ RLIMIT("{'type':'RLIMIT_CPU','soft':2,'hard':1}"),
		  "/process/rlimits/0/soft: is above hard" },
		{ RLIMIT("{'type':'RLIMIT_CPU','soft':-1,'hard':1}"),
		  "/process/rlimits/0/soft: not between 0 and 18446744073709551615" },
		{ RLIMIT("{'type':'RLIMIT_CPU','soft':1,'hard':1},{'type':'RLIMIT_CPU','soft':1,'"
			 "hard':2}"),
		  "/process/rlimits/1/type: RLIMIT_CPU is there already" },
		{ PROCESS(",'scheduler':{}"), "/process/scheduler/policy: is missing" },
		{ PROCESS(",'scheduler':{'policy':'SCHED_X'}"),
		  "/process/scheduler/policy: \"SCHED_X\" is not known" },
		{ PROCESS(",'scheduler':{'policy':'SCHED_RR','flags':['X']}"),
		  "/process/scheduler/flags/0: \"X\" is not known" },
		{ PROCESS(",'scheduler':{'policy':'SCHED_RR','nice':20}"),
		  "/process/scheduler/nice: not between -20 and 19" },
		{ PROCESS(",'ioPriority':{'class':'X'}"),
		  "/process/ioPriority/class: \"X\" is not known" },
		{ PROCESS(",'ioPriority':{'class':'IOPRIO_CLASS_RT','priority':8}"),
		  "/process/ioPriority/priority: not between 0 and 7" },
	};

	(void)state;
	ALL_REFUSED(rows);
}

static struct launch_plan *exec_of(const struct launch_plan *base, const char *quoted)
{
	struct launch_plan *plan = NULL;
	struct launch_error err = { 0 };
	char *text = spec_text(quoted);
	int r = launch_compile_exec(text, strlen(text), base, &spec_options, &plan, &err);

	free(text);
	if (r)
		fail_msg("%d %s", r, err.text);
	assert_int_equal(launch_plan_check(plan, plan->size), 0);
	return plan;
}

static const char container[] = SPEC(
	"",
	",'env':['A=1'],'cwd':'/w','user':{'uid':7,'gid':8,'additionalGids':[9],'umask':63},"
	"'capabilities':{'bounding':['CAP_KILL'],'permitted':['CAP_KILL']},'noNewPrivileges':true,"
	"'rlimits':[{'type':'RLIMIT_CPU','soft':1,'hard':2}],'oomScoreAdj':5,'terminal':true,"
	"'consoleSize':{'height':3,'width':4},'apparmorProfile':'p','selinuxLabel':'l',"
	"'ioPriority':{'class':'IOPRIO_CLASS_RT'},'scheduler':{'policy':'SCHED_RR','priority':3}",
	",'seccomp':{'defaultAction':'SCMP_ACT_ALLOW','flags':['SECCOMP_FILTER_FLAG_LOG'],"
	"'syscalls':[{'names':['uname'],'action':'SCMP_ACT_ERRNO'}]}");

static void an_exec_inherits(void **state)
{
	struct launch_plan *base = spec_plan(container);
	struct launch_plan *plan = exec_of(base, "{'args':['x']}");
	struct launch_process expected = base->process, p = plan->process;

	(void)state;
	assert_int_equal(plan->has_process, 1);
	assert_int_equal(p.args.n, 1);
	assert_string_equal(plan_string(plan, p.args, 0), "x");
	assert_string_equal(plan_string(plan, p.env, 0), "A=1");
	assert_string_equal(launch_text(plan, p.cwd), "/w");
	assert_int_equal(*launch_at(plan, p.groups, uint32_t, 0), 9);
	assert_true(launch_at(plan, p.rlimits, struct launch_rlimit, 0)->hard == 2);
	assert_string_equal(launch_text(plan, p.apparmor), "p");
	assert_string_equal(launch_text(plan, p.selinux), "l");
	assert_int_equal(p.terminal | p.height | p.width, 0); /* not the container's terminal */
	/* all the rest is equal */
	expected.terminal = expected.height = expected.width = 0;
	expected.args = p.args;
	expected.env = p.env;
	expected.cwd = p.cwd;
	expected.groups = p.groups;
	expected.rlimits = p.rlimits;
	expected.apparmor = p.apparmor;
	expected.selinux = p.selinux;
	assert_memory_equal(&p, &expected, sizeof(p));
	/* and the filter, but no namespaces, mounts, limits */
	assert_true(base->seccomp.filter.n > 0);
	assert_int_equal(plan->seccomp.filter.n, base->seccomp.filter.n);
	assert_int_equal(plan->seccomp.flags, base->seccomp.flags);
	assert_memory_equal((char *)plan + plan->seccomp.filter.off,
			    (char *)base + base->seccomp.filter.off,
			    plan->seccomp.filter.n * sizeof(struct sock_filter));
	assert_int_equal(plan->clone_flags | plan->rootfs | plan->mounts.n | plan->devices.n |
				 plan->cgroup_devices.n | plan->hooks[0].n,
			 0);
	free(plan);
	free(base);
}

static void an_exec_says_otherwise(void **state)
{
	struct launch_plan *base = spec_plan(container);
	struct launch_plan *plan = exec_of(
		base,
		"{'args':['x','y'],'env':['B=2','C=3'],'cwd':'/v','user':{'uid':1},'terminal':true,"
		"'consoleSize':{'height':9,'width':8},'capabilities':{'bounding':['CAP_CHOWN']},"
		"'noNewPrivileges':false,'rlimits':[],'oomScoreAdj':-3,'apparmorProfile':'',"
		"'selinuxLabel':'m'}");
	struct launch_process p = plan->process;

	(void)state;
	assert_int_equal(p.env.n, 2);
	assert_string_equal(plan_string(plan, p.env, 0), "B=2");
	assert_string_equal(launch_text(plan, p.cwd), "/v");
	assert_int_equal(p.uid, 1);
	assert_int_equal(p.gid, 0);
	assert_int_equal(p.groups.n, 0);
	assert_int_equal(p.terminal, 1);
	assert_int_equal(p.height, 9);
	assert_int_equal(p.width, 8);
	assert_true(p.cap_bounding == CAP(CHOWN) && p.cap_permitted == 0);
	assert_int_equal(p.no_new_privs, 0);
	assert_int_equal(p.rlimits.n, 0);
	assert_int_equal(p.oom_score_adj, -3);
	assert_int_equal(p.apparmor, 0);
	assert_string_equal(launch_text(plan, p.selinux), "m");
	free(plan);
	free(base);
}

static void a_bad_exec_is_refused(void **state)
{
	static const struct refusal rows[] = {
		{ "{}", "/args: is missing" },
		{ "[]", "spec: not an object" },
		{ "{'args':['x'],'cwd':'y'}", "/cwd: y is not absolute" },
		{ "{'args':['x'],'env':[1]}", "/env/0: not a string" },
	};
	struct launch_plan *base = spec_plan(container), *plan = NULL;
	struct launch_plan *idle = spec_plan("{'ociVersion':'1.0.0','root':{'path':'/r'}}");
	struct launch_error err;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *text = spec_text(rows[i].spec);

		assert_int_equal(launch_compile_exec(text, strlen(text), base, NULL, &plan, &err),
				 -EINVAL);
		assert_string_equal(err.text, rows[i].text);
		assert_null(plan);
		free(text);
	}
	/* a container without a process of its own has nothing to inherit */
	assert_int_equal(launch_compile_exec("{\"args\":[\"x\"]}", 14, idle, NULL, &plan, &err),
			 -EINVAL);
	assert_string_equal(err.text, "/cwd: is missing");
	free(exec_of(idle, "{'args':['x'],'cwd':'/'}"));
	free(base);
	free(idle);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_whole_process),
		cmocka_unit_test(the_least_process),
		cmocka_unit_test(capabilities),
		cmocka_unit_test(every_capability),
		cmocka_unit_test(rlimits),
		cmocka_unit_test(scheduling),
		cmocka_unit_test(unknown_capabilities),
		cmocka_unit_test(bad_processes),
		cmocka_unit_test(an_exec_inherits),
		cmocka_unit_test(an_exec_says_otherwise),
		cmocka_unit_test(a_bad_exec_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
