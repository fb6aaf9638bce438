/* SPDX-License-Identifier: MIT */
/* Filters, by running the compiled programs on made-up system calls. */
#include "spec.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <seccomp.h>
#include <time.h>

#define SECCOMP(members) SPEC("", "", ",'seccomp':{" members "}")
#define ERRNO_RET(n) (SECCOMP_RET_ERRNO | (n))
#define KILL SECCOMP_RET_KILL_THREAD
#define ALLOW SECCOMP_RET_ALLOW

/* What the kernel would do, for the instructions that libseccomp and we make. */
static uint32_t run(const struct launch_plan *plan, const struct seccomp_data *data)
{
	uint32_t a = 0, n = plan->seccomp.filter.n;

	for (uint32_t pc = 0; pc < n; pc++) {
		const struct sock_filter *f =
			launch_at(plan, plan->seccomp.filter, struct sock_filter, pc);
		bool taken;

		switch (f->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			assert_true(f->k % 4 == 0 && f->k + 4 <= sizeof(*data));
			memcpy(&a, (const char *)data + f->k, sizeof(a));
			continue;
		case BPF_RET | BPF_K:
			return f->k;
		case BPF_JMP | BPF_JA:
			pc += f->k;
			continue;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= f->k;
			continue;
		case BPF_JMP | BPF_JEQ | BPF_K:
			taken = a == f->k;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			taken = a > f->k;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			taken = a >= f->k;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			taken = a & f->k;
			break;
		default:
			fail_msg("instruction %u: %#x", pc, f->code);
			return 0;
		}
		pc += taken ? f->jt : f->jf;
	}
	fail_msg("ran off the end");
	return 0;
}

static uint32_t call_arch(const struct launch_plan *plan, uint32_t arch, int nr, uint64_t arg0,
			  uint64_t arg1)
{
	struct seccomp_data data = { .nr = nr, .arch = arch, .args = { arg0, arg1 } };

	if (arch == SCMP_ARCH_X32)
		data.arch = AUDIT_ARCH_X86_64;
	return run(plan, &data);
}

static uint32_t call(const struct launch_plan *plan, const char *name, uint64_t arg0, uint64_t arg1)
{
	uint32_t native = seccomp_arch_native();

	return call_arch(plan, native, seccomp_syscall_resolve_name_arch(native, name), arg0, arg1);
}

static void every_action(void **state)
{
	static const struct {
		const char *members;
		uint32_t result;
	} rows[] = {
		{ "'action':'SCMP_ACT_KILL'", SECCOMP_RET_KILL_THREAD },
		{ "'action':'SCMP_ACT_KILL_THREAD'", SECCOMP_RET_KILL_THREAD },
		{ "'action':'SCMP_ACT_KILL_PROCESS'", SECCOMP_RET_KILL_PROCESS },
		{ "'action':'SCMP_ACT_TRAP'", SECCOMP_RET_TRAP },
		{ "'action':'SCMP_ACT_LOG'", SECCOMP_RET_LOG },
		{ "'action':'SCMP_ACT_ERRNO'", ERRNO_RET(EPERM) },
		{ "'action':'SCMP_ACT_ERRNO','errnoRet':38", ERRNO_RET(ENOSYS) },
		{ "'action':'SCMP_ACT_ERRNO','errnoRet':0", ERRNO_RET(0) },
		{ "'action':'SCMP_ACT_ERRNO','errnoRet':4094", ERRNO_RET(4094) },
		{ "'action':'SCMP_ACT_TRACE'", SECCOMP_RET_TRACE | EPERM },
		{ "'action':'SCMP_ACT_TRACE','errnoRet':65535", SECCOMP_RET_TRACE | 65535 },
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct launch_plan *plan;

		(void)snprintf(text, sizeof(text),
			       SECCOMP("'defaultAction':'SCMP_ACT_ALLOW','syscalls':[{'names':['"
				       "uname'],%s}]"),
			       rows[i].members);
		plan = spec_plan(text);
		assert_int_equal(call(plan, "uname", 0, 0), rows[i].result);
		assert_int_equal(call(plan, "read", 0, 0), ALLOW);
		free(plan);
	}
}

static void every_default(void **state)
{
	static const struct {
		const char *members;
		uint32_t result;
		bool refuses;
	} rows[] = {
		{ "'defaultAction':'SCMP_ACT_KILL'", SECCOMP_RET_KILL_THREAD, true },
		{ "'defaultAction':'SCMP_ACT_KILL_PROCESS'", SECCOMP_RET_KILL_PROCESS, true },
		{ "'defaultAction':'SCMP_ACT_TRAP'", SECCOMP_RET_TRAP, true },
		{ "'defaultAction':'SCMP_ACT_ERRNO'", ERRNO_RET(EPERM), true },
		{ "'defaultAction':'SCMP_ACT_ERRNO','defaultErrnoRet':13", ERRNO_RET(EACCES),
		  true },
		{ "'defaultAction':'SCMP_ACT_ERRNO','defaultErrnoRet':38", ERRNO_RET(ENOSYS),
		  false },
		{ "'defaultAction':'SCMP_ACT_LOG'", SECCOMP_RET_LOG, false },
		{ "'defaultAction':'SCMP_ACT_TRACE'", SECCOMP_RET_TRACE | EPERM, false },
		{ "'defaultAction':'SCMP_ACT_ALLOW'", ALLOW, false },
	};
	uint32_t native = seccomp_arch_native();
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct launch_plan *plan;
		int nr = seccomp_syscall_resolve_name("clone3");

		/* what is not named: refused as the profile says, or not there yet when newer */
		(void)snprintf(
			text, sizeof(text),
			SECCOMP("%s,'syscalls':[{'names':['clone3'],'action':'SCMP_ACT_ALLOW'}]"),
			rows[i].members);
		plan = spec_plan(text);
		assert_int_equal(call(plan, "clone3", 0, 0), ALLOW);
		assert_int_equal(call(plan, "read", 0, 0), rows[i].result);
		assert_int_equal(call_arch(plan, native, nr + 1, 0, 0),
				 rows[i].refuses ? ERRNO_RET(ENOSYS) : rows[i].result);
		assert_int_equal(call_arch(plan, native, 5000, 0, 0),
				 rows[i].refuses ? ERRNO_RET(ENOSYS) : rows[i].result);
		/* an architecture that is not allowed is killed, not told ENOSYS */
		assert_int_equal(call_arch(plan, AUDIT_ARCH_S390, 5000, 0, 0), KILL);
		free(plan);
		/* no names, no knowledge of what is newer */
		(void)snprintf(text, sizeof(text), SECCOMP("%s"), rows[i].members);
		plan = spec_plan(text);
		assert_int_equal(call_arch(plan, native, 5000, 0, 0), rows[i].result);
		free(plan);
	}
}

static void every_operator(void **state)
{
	static const struct {
		const char *arg;
		uint64_t value;
		bool holds;
	} rows[] = {
		{ "'op':'SCMP_CMP_EQ','value':5", 5, true },
		{ "'op':'SCMP_CMP_EQ','value':5", 6, false },
		{ "'op':'SCMP_CMP_EQ','value':5", UINT64_C(0x100000005), false },
		{ "'op':'SCMP_CMP_NE','value':5", 5, false },
		{ "'op':'SCMP_CMP_NE','value':5", 6, true },
		{ "'op':'SCMP_CMP_LT','value':5", 4, true },
		{ "'op':'SCMP_CMP_LT','value':5", 5, false },
		{ "'op':'SCMP_CMP_LE','value':5", 5, true },
		{ "'op':'SCMP_CMP_LE','value':5", 6, false },
		{ "'op':'SCMP_CMP_GT','value':5", 6, true },
		{ "'op':'SCMP_CMP_GT','value':5", 5, false },
		{ "'op':'SCMP_CMP_GE','value':5", 5, true },
		{ "'op':'SCMP_CMP_GE','value':5", 4, false },
		{ "'op':'SCMP_CMP_MASKED_EQ','value':240,'valueTwo':16", 0x1f, true },
		{ "'op':'SCMP_CMP_MASKED_EQ','value':240,'valueTwo':16", 0x2f, false },
		{ "'op':'SCMP_CMP_EQ','value':18446744073709551615", UINT64_MAX, true },
		{ "'op':'SCMP_CMP_EQ','value':18446744073709551615", UINT32_MAX, false },
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct launch_plan *plan;

		(void)snprintf(text, sizeof(text),
			       SECCOMP("'defaultAction':'SCMP_ACT_ALLOW','syscalls':[{'names':['"
				       "personality'],"
				       "'action':'SCMP_ACT_ERRNO','args':[{'index':0,%s}]}]"),
			       rows[i].arg);
		plan = spec_plan(text);
		if (call(plan, "personality", rows[i].value, 0) !=
		    (rows[i].holds ? ERRNO_RET(EPERM) : ALLOW))
			fail_msg("%s of %llx", rows[i].arg, (unsigned long long)rows[i].value);
		free(plan);
	}
}

static void conditions_on_arguments(void **state)
{
	/* of different arguments: all must hold; of the same one: any */
	struct launch_plan *plan = spec_plan(SECCOMP(
		"'defaultAction':'SCMP_ACT_ERRNO','syscalls':[{'names':['read'],"
		"'action':'SCMP_ACT_ALLOW','args':[{'index':0,'value':1,'op':'SCMP_CMP_EQ'},"
		"{'index':1,'value':2,'op':'SCMP_CMP_EQ'}]},{'names':['write'],"
		"'action':'SCMP_ACT_ALLOW','args':[{'index':0,'value':1,'op':'SCMP_CMP_EQ'},"
		"{'index':0,'value':2,'op':'SCMP_CMP_EQ'}]},{'names':['uname'],"
		"'action':'SCMP_ACT_ALLOW','args':[]},{'names':['close'],'action':'SCMP_ACT_ALLOW',"
		"'args':null}]"));

	(void)state;
	assert_int_equal(call(plan, "read", 1, 2), ALLOW);
	assert_int_equal(call(plan, "read", 1, 1), ERRNO_RET(EPERM));
	assert_int_equal(call(plan, "read", 2, 2), ERRNO_RET(EPERM));
	assert_int_equal(call(plan, "write", 1, 0), ALLOW);
	assert_int_equal(call(plan, "write", 2, 0), ALLOW);
	assert_int_equal(call(plan, "write", 3, 0), ERRNO_RET(EPERM));
	assert_int_equal(call(plan, "uname", 9, 9), ALLOW);
	assert_int_equal(call(plan, "close", 9, 9), ALLOW);
	free(plan);
}

static void what_nobody_knows_is_skipped(void **state)
{
	struct launch_plan *plan = spec_plan(SECCOMP(
		"'defaultAction':'SCMP_ACT_ERRNO','architectures':['SCMP_ARCH_LOONGARCH64'],"
		"'syscalls':[{'names':['no_such_call','uname','arm_sync_file_range','read'],"
		"'action':'SCMP_ACT_ALLOW'},{'names':['close'],'action':'SCMP_ACT_ERRNO'}]"));

	(void)state;
	assert_int_equal(call(plan, "uname", 0, 0), ALLOW);
	assert_int_equal(call(plan, "read", 0, 0), ALLOW);
	assert_int_equal(call(plan, "close", 0, 0), ERRNO_RET(EPERM));
	free(plan);
	plan = spec_plan(SECCOMP(""));
	assert_int_equal(plan->seccomp.filter.n, 0);
	free(plan);
}

static void other_architectures(void **state)
{
#if defined(__x86_64__)
	static const char spec[] = SECCOMP(
		"'defaultAction':'SCMP_ACT_ERRNO','architectures':['SCMP_ARCH_X86_64','SCMP_ARCH_"
		"X86',"
		"'SCMP_ARCH_X32','SCMP_ARCH_X86'],'syscalls':[{'names':['read','clone3','statx'],"
		"'action':'SCMP_ACT_ALLOW'}]");
	struct launch_plan *plan = spec_plan(spec);
	uint32_t archs[] = { SCMP_ARCH_X86_64, SCMP_ARCH_X86, SCMP_ARCH_X32 };
	int read_nr, clone3_nr, getpid_nr;

	for (size_t i = 0; i < sizeof(archs) / sizeof(archs[0]); i++) {
		read_nr = seccomp_syscall_resolve_name_arch(archs[i], "read");
		clone3_nr = seccomp_syscall_resolve_name_arch(archs[i], "clone3");
		getpid_nr = seccomp_syscall_resolve_name_arch(archs[i], "getpid");
		assert_int_equal(call_arch(plan, archs[i], read_nr, 0, 0), ALLOW);
		assert_int_equal(call_arch(plan, archs[i], clone3_nr, 0, 0), ALLOW);
		assert_int_equal(call_arch(plan, archs[i], getpid_nr, 0, 0), ERRNO_RET(EPERM));
		assert_int_equal(call_arch(plan, archs[i], clone3_nr + 1, 0, 0), ERRNO_RET(ENOSYS));
	}
	free(plan);
	/* without x32 its calls are those of a foreign architecture */
	plan = spec_plan(SECCOMP("'defaultAction':'SCMP_ACT_ERRNO','syscalls':[{'names':['read'],"
				 "'action':'SCMP_ACT_ALLOW'}]"));
	assert_int_equal(call_arch(plan, SCMP_ARCH_X32, 0x40000000, 0, 0), KILL);
	assert_int_equal(call_arch(plan, SCMP_ARCH_X32, 0x40000fff, 0, 0), KILL);
	assert_int_equal(call_arch(plan, SCMP_ARCH_X86_64, 1000, 0, 0), ERRNO_RET(ENOSYS));
	free(plan);
#endif
	(void)state;
}

static void flags_and_listeners(void **state)
{
	struct launch_plan *plan = spec_plan(
		SECCOMP("'defaultAction':'SCMP_ACT_ALLOW','flags':['SECCOMP_FILTER_FLAG_TSYNC',"
			"'SECCOMP_FILTER_FLAG_LOG','SECCOMP_FILTER_FLAG_SPEC_ALLOW',"
			"'SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV'],'listenerPath':'/unused'"));

	(void)state;
	assert_int_equal(plan->seccomp.flags, SECCOMP_FILTER_FLAG_LOG |
						      SECCOMP_FILTER_FLAG_SPEC_ALLOW |
						      SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
	assert_int_equal(plan->seccomp.listener_path, 0);
	free(plan);
	plan = spec_plan(SECCOMP(
		"'defaultAction':'SCMP_ACT_ALLOW','listenerPath':'/l','listenerMetadata':'m',"
		"'syscalls':[{'names':['mkdir'],'action':'SCMP_ACT_NOTIFY'}]"));
	assert_int_equal(plan->seccomp.flags, SECCOMP_FILTER_FLAG_NEW_LISTENER);
	assert_string_equal(launch_text(plan, plan->seccomp.listener_path), "/l");
	assert_string_equal(launch_text(plan, plan->seccomp.listener_metadata), "m");
	assert_int_equal(call(plan, "mkdir", 0, 0), SECCOMP_RET_USER_NOTIF);
	free(plan);
}

static void bad_profiles(void **state)
{
#define RULE(members) SECCOMP("'defaultAction':'SCMP_ACT_ALLOW','syscalls':[{" members "}]")
#define ARG(members) RULE("'names':['read'],'action':'SCMP_ACT_KILL','args':[{" members "}]")
	static const struct refusal rows[] = {
		{ SPEC("", "", ",'seccomp':[]"), "/linux/seccomp: not an object" },
		{ SECCOMP("'flags':[]"), "/linux/seccomp/defaultAction: is missing" },
		{ SECCOMP("'defaultAction':'ALLOW'"),
		  "/linux/seccomp/defaultAction: \"ALLOW\" is not known" },
		{ SECCOMP("'defaultAction':'SCMP_ACT_NOTIFY'"),
		  "/linux/seccomp/defaultAction: cannot be SCMP_ACT_NOTIFY" },
		{ SECCOMP("'defaultAction':'SCMP_ACT_ALLOW','defaultErrnoRet':1"),
		  "/linux/seccomp/defaultErrnoRet: SCMP_ACT_ALLOW has no errno" },
		{ SECCOMP("'defaultAction':'SCMP_ACT_ERRNO','defaultErrnoRet':4095"),
		  "/linux/seccomp/defaultErrnoRet: not between 0 and 4094" },
		{ SECCOMP("'defaultAction':'SCMP_ACT_ALLOW','flags':['X']"),
		  "/linux/seccomp/flags/0: \"X\" is not known" },
		{ SECCOMP("'defaultAction':'SCMP_ACT_ALLOW','architectures':['x86']"),
		  "/linux/seccomp/architectures/0: \"x86\" is no architecture" },
		{ SECCOMP("'defaultAction':'SCMP_ACT_ALLOW','architectures':[1]"),
		  "/linux/seccomp/architectures/0: not a string" },
		{ SECCOMP("'defaultAction':'SCMP_ACT_ALLOW','listenerMetadata':'x'"),
		  "/linux/seccomp/listenerMetadata: without a listenerPath" },
		{ SECCOMP("'defaultAction':'SCMP_ACT_ALLOW','syscalls':{}"),
		  "/linux/seccomp/syscalls: not an array" },
		{ RULE("'names':['read']"), "/linux/seccomp/syscalls/0/action: is missing" },
		{ RULE("'names':['read'],'action':'X'"),
		  "/linux/seccomp/syscalls/0/action: \"X\" is not known" },
		{ RULE("'names':['read'],'action':'SCMP_ACT_KILL','errnoRet':1"),
		  "/linux/seccomp/syscalls/0/errnoRet: SCMP_ACT_KILL has no errno" },
		{ RULE("'action':'SCMP_ACT_KILL'"), "/linux/seccomp/syscalls/0/names: is missing" },
		{ RULE("'action':'SCMP_ACT_KILL','names':[]"),
		  "/linux/seccomp/syscalls/0/names: is missing" },
		{ RULE("'action':'SCMP_ACT_KILL','names':[1]"),
		  "/linux/seccomp/syscalls/0/names/0: not a string" },
		{ RULE("'action':'SCMP_ACT_NOTIFY','names':['mkdir']"),
		  "/linux/seccomp/listenerPath: is missing, and an action is SCMP_ACT_NOTIFY" },
		{ RULE("'action':'SCMP_ACT_NOTIFY','names':['write']"),
		  "/linux/seccomp/syscalls/0/names/0: write cannot be SCMP_ACT_NOTIFY" },
		{ ARG("'value':1,'op':'SCMP_CMP_EQ'"),
		  "/linux/seccomp/syscalls/0/args/0/index: is missing" },
		{ ARG("'index':6,'value':1,'op':'SCMP_CMP_EQ'"),
		  "/linux/seccomp/syscalls/0/args/0/index: not between 0 and 5" },
		{ ARG("'index':1,'op':'SCMP_CMP_EQ'"),
		  "/linux/seccomp/syscalls/0/args/0/value: is missing" },
		{ ARG("'index':1,'value':-1,'op':'SCMP_CMP_EQ'"),
		  "/linux/seccomp/syscalls/0/args/0/value: not between 0 and "
		  "18446744073709551615" },
		{ ARG("'index':1,'value':1"), "/linux/seccomp/syscalls/0/args/0/op: is missing" },
		{ ARG("'index':1,'value':1,'op':'EQ'"),
		  "/linux/seccomp/syscalls/0/args/0/op: \"EQ\" is not known" },
#if defined(__x86_64__)
		{ SECCOMP("'defaultAction':'SCMP_ACT_ALLOW','architectures':['SCMP_ARCH_S390X']"),
		  "/linux/seccomp: cannot be made into a filter: ..." },
#endif
	};
	char text[8192], *p = text;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct launch_plan *plan = NULL;
		struct launch_error err = { 0 };

		assert_true(spec_try(rows[i].spec, &spec_options, &plan, &err) < 0);
		if (!text_matches(err.text, rows[i].text))
			fail_msg("\"%s\"\ninstead of \"%s\"", err.text, rows[i].text);
	}
	p = stpcpy(
		p,
		"{'ociVersion':'1.0.0','root':{'path':'r'},'linux':{'seccomp':{'defaultAction':"
		"'SCMP_ACT_ALLOW','syscalls':[{'names':['read'],'action':'SCMP_ACT_KILL','args':[");
	for (int i = 0; i < 65; i++)
		p += sprintf(p, "%s{'index':1,'value':%d,'op':'SCMP_CMP_EQ'}", i ? "," : "", i);
	(void)stpcpy(p, "]}]}}}");
	spec_refused(text, -EINVAL, "/linux/seccomp/syscalls/0/args: more than 64 conditions");
}

static void filters_have_a_limit(void **state)
{
	char *text = malloc(1 << 20), *p = text;

	(void)state;
	assert_non_null(text);
	p = stpcpy(p,
		   "{'ociVersion':'1.0.0','root':{'path':'/r'},'linux':{'seccomp':{'defaultAction':"
		   "'SCMP_ACT_ALLOW','syscalls':[");
	for (unsigned i = 0; i < 5000; i++)
		p += sprintf(p,
			     "%s{'names':['ioctl'],'action':'SCMP_ACT_KILL','args':[{'index':1,"
			     "'value':%u,'op':'SCMP_CMP_EQ'}]}",
			     i ? "," : "", i * 7919);
	(void)stpcpy(p, "]}}}");
	spec_refused(text, -E2BIG, "/linux/seccomp: more than 4096 instructions");
	free(text);
}

static void conflicting_rules_are_refused(void **state)
{
	(void)state;
	/* 32-bit x86 knows socket() only as socketcall(), whose arguments a filter cannot see */
#if defined(__x86_64__)
	spec_refused(SECCOMP("'defaultAction':'SCMP_ACT_ERRNO','architectures':['SCMP_ARCH_X86'],'"
			     "syscalls':["
			     "{'names':['socket'],'action':'SCMP_ACT_KILL','args':[{'index':0,'"
			     "value':16,"
			     "'op':'SCMP_CMP_EQ'},{'index':2,'value':9,'op':'SCMP_CMP_EQ'}]},"
			     "{'names':['socket'],'action':'SCMP_ACT_ALLOW','args':[{'index':2,'"
			     "value':9,"
			     "'op':'SCMP_CMP_NE'}]},{'names':['socket'],'action':'SCMP_ACT_ALLOW','"
			     "args':["
			     "{'index':0,'value':16,'op':'SCMP_CMP_NE'}]}]"),
		     -EINVAL, "/linux/seccomp: system call socket: File exists");
#endif
	/* saying the same again is no conflict */
	free(spec_plan(SECCOMP(
		"'defaultAction':'SCMP_ACT_ERRNO','syscalls':[{'names':['read','read'],"
		"'action':'SCMP_ACT_ALLOW'},{'names':['read'],'action':'SCMP_ACT_ALLOW'}]")));
}

/* A profile of Docker's size: 350 calls, three architectures. */
static char *big_profile(unsigned first)
{
	char *text = malloc(65536), *p = text;
	unsigned n = 0;

	assert_non_null(text);
	p = stpcpy(p,
		   "{'ociVersion':'1.0.0','root':{'path':'/r'},'linux':{'seccomp':{'defaultAction':"
		   "'SCMP_ACT_ERRNO','architectures':['SCMP_ARCH_X86_64','SCMP_ARCH_X86','SCMP_"
		   "ARCH_X32'],"
		   "'syscalls':[{'action':'SCMP_ACT_ALLOW','names':[");
	for (unsigned nr = first; n < 350; nr++) {
		char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, (int)nr);

		if (name)
			p += sprintf(p, "%s'%s'", n++ ? "," : "", name);
		free(name);
		if (nr > 1000)
			break;
	}
	(void)stpcpy(p, "]}]}}}");
	return text;
}

static double compile_ms(const char *quoted, struct launch_plan **ret)
{
	struct timespec from, to;
	char *text = spec_text(quoted);

	clock_gettime(CLOCK_MONOTONIC, &from);
	assert_int_equal(launch_compile(text, strlen(text), NULL, ret, NULL), 0);
	clock_gettime(CLOCK_MONOTONIC, &to);
	free(text);
	return (double)(to.tv_sec - from.tv_sec) * 1e3 + (double)(to.tv_nsec - from.tv_nsec) / 1e6;
}

static void the_second_time_is_free(void **state)
{
	char *text[6];
	struct launch_plan *plan[6], *again;
	double made, kept = 1e9, ms;

	(void)state;
	for (unsigned i = 0; i < 6; i++) { /* more than are kept */
		text[i] = big_profile(i);
		(void)compile_ms(text[i], &plan[i]);
	}
	made = compile_ms(text[0], &again);
	free(again);
	for (int i = 0; i < 5; i++) {
		ms = compile_ms(text[0], &again);
		kept = ms < kept ? ms : kept;
		free(again);
	}
	if (kept * 4 > made)
		fail_msg("%.2f ms the first time, %.2f ms later", made, kept);
	for (unsigned i = 0; i < 6; i++) {
		(void)compile_ms(text[i], &again);
		assert_int_equal(again->size, plan[i]->size);
		assert_memory_equal(again, plan[i], again->size);
		free(again);
		free(plan[i]);
		free(text[i]);
	}
}

static void *compile_many(void *arg)
{
	struct launch_plan *plan;
	char *text;

	for (unsigned i = 0; i < 6; i++) {
		text = spec_text(((char **)arg)[i % 3]);
		if (!launch_compile(text, strlen(text), NULL, &plan, NULL))
			free(plan);
		free(text);
	}
	return NULL;
}

static void threads_may_compile_at_once(void **state)
{
	char *text[3] = { big_profile(10), big_profile(11), big_profile(12) };
	pthread_t threads[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, compile_many, text), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	for (int i = 0; i < 3; i++)
		free(text[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_action),
		cmocka_unit_test(every_default),
		cmocka_unit_test(every_operator),
		cmocka_unit_test(conditions_on_arguments),
		cmocka_unit_test(what_nobody_knows_is_skipped),
		cmocka_unit_test(other_architectures),
		cmocka_unit_test(flags_and_listeners),
		cmocka_unit_test(bad_profiles),
		cmocka_unit_test(filters_have_a_limit),
		cmocka_unit_test(conflicting_rules_are_refused),
		cmocka_unit_test(the_second_time_is_free),
		cmocka_unit_test(threads_may_compile_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
