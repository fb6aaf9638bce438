/* SPDX-License-Identifier: MIT */
/* Plans as blocks: specs of real engines explained; the same bytes again; checks; no memory. */
#include "spec.h"

#include <errno.h>
#include <linux/filter.h>
#include <malloc.h>
#include <sys/resource.h>
#include "tests/alloc_fail.h"

static char *file_read(const char *name, const char *suffix, size_t *ret_len)
{
	char path[1024], *text;
	FILE *file;
	size_t n;

	(void)snprintf(path, sizeof(path), COW_TEST_DATA "/specs/%s%s", name, suffix);
	file = fopen(path, "re");
	if (!file)
		fail_msg("%s: %s", path, strerror(errno));
	text = malloc(65536);
	assert_non_null(text);
	n = fread(text, 1, 65535, file);
	assert_true(n < 65535);
	text[n] = '\0';
	(void)fclose(file);
	if (ret_len)
		*ret_len = n;
	return text;
}

static struct launch_plan *file_plan(const char *name)
{
	static const struct launch_compile_options options = { .bundle = "/bundle" };
	struct launch_plan *plan = NULL;
	struct launch_error err = { 0 };
	size_t len;
	char *text = file_read(name, ".json", &len);
	int r = launch_compile(text, len, &options, &plan, &err);

	free(text);
	if (r)
		fail_msg("%s: %s", name, err.text);
	return plan;
}

static char *explained(const struct launch_plan *plan)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	assert_int_equal(launch_explain(plan, out), 0);
	(void)fclose(out);
	return text;
}

static const char *const engines[] = { "runc", "podman", "containerd", "docker" };
#define ENGINES (sizeof(engines) / sizeof(engines[0]))

static void specs_of_engines_are_explained(void **state)
{
	(void)state;
	for (size_t i = 0; i < ENGINES; i++) {
		struct launch_plan *plan = file_plan(engines[i]);
		char *text = explained(plan), *golden = file_read(engines[i], ".explain.txt", NULL);

		assert_int_equal(launch_plan_check(plan, plan->size), 0);
		assert_string_equal(text, golden);
		free(text);
		free(golden);
		free(plan);
	}
}

/* Everything that launch_explain() can say and the engines' specs do not. */
static void the_rest_is_explained(void **state)
{
	struct launch_plan *plan = spec_plan(
		"{'ociVersion':'1.1.0','root':{'path':'/r'},'domainname':'d\\u001b[2J','hooks':{"
		"'prestart':[{'path':'/h0','timeout':3}],'createRuntime':[{'path':'/h1'}],"
		"'createContainer':[{'path':'/h2'}],'startContainer':[{'path':'/h3'}],"
		"'poststart':[{'path':'/h4'}],'poststop':[{'path':'/h5'}]},'mounts':["
		"{'destination':'/a','options':['remount','ro','sync']},"
		"{'destination':'/b','type':'ext4','source':'/dev/sda'},"
		"{'destination':'/c','type':'bind','source':'/s','options':['ridmap','rro']},"
		"{'destination':'/d','type':'bind','source':'/s','options':['idmap']}],"
		"'process':{'args':['a'],'cwd':'/"
		"','user':{'uid':1},'capabilities':{'bounding':['CAP_KILL',"
		"'CAP_CHOWN'],'permitted':['CAP_KILL','CAP_BPF'],'effective':['CAP_BPF'],'"
		"inheritable':["
		"'CAP_KILL'],'ambient':['CAP_KILL']},'rlimits':[{'type':'RLIMIT_CPU','soft':1,"
		"'hard':18446744073709551615}],'selinuxLabel':'s','scheduler':{'policy':'SCHED_RR',"
		"'priority':3},'ioPriority':{'class':'IOPRIO_CLASS_IDLE','priority':1}},"
		"'linux':{'namespaces':[{'type':'user'},{'type':'mount'},{'type':'time'},{'type':'"
		"uts'},"
		"{'type':'network','path':'/run/"
		"n'}],'uidMappings':[{'containerID':0,'hostID':1000,'size':2}],"
		"'gidMappings':[{'containerID':1,'hostID':5,'size':1}],'timeOffsets':{'boottime':{'"
		"secs':-1,"
		"'nanosecs':7}},'personality':{'domain':'LINUX32'},'mountLabel':'m','"
		"rootfsPropagation':'rshared',"
		"'devices':[{'path':'/p','type':'p','fileMode':384},{'path':'/"
		"k','type':'b','major':1,"
		"'minor':2}],'resources':{'memory':{'limit':-1,'reservation':1000,'kernelTCP':4096}"
		","
		"'unified':{'memory.high':'5'}},"
		"'seccomp':{'defaultAction':'SCMP_ACT_ALLOW','listenerPath':'/l',"
		"'syscalls':[{'names':['mkdir'],'action':'SCMP_ACT_NOTIFY'}]}}}");
	char *text = explained(plan);
	static const char *const lines[] = {
		"creates new user, mount, uts and time namespaces\n",
		"joins the network namespace at /run/n\n",
		"maps user ids 0 to 1 to the host's 1000 to 1001\n",
		"maps group ids 1 to 1 to the host's 5 to 5\n",
		"limits memory to no limit\n",
		"protects memory up to 1000 bytes\n",
		"writes 4096 to the cgroup's memory.kmem.tcp.limit_in_bytes\n",
		"writes 5 to the cgroup's memory.high\n",
		"runs the hook /h0 before the start (prestart), for at most 3 s\n",
		"runs the hook /h1 when created, on the host (createRuntime)\n",
		"takes /r as root, rshared\n",
		"changes the mount of /a (ro, sync)\n",
		"mounts ext4 from /dev/sda on /b\n",
		"binds /s on /c (ridmap, rro)\n",
		"binds /s on /d (idmap)\n",
		"labels these mounts m\n",
		"/p (fifo, 600), /k (block 1:2, 666)\n",
		"runs the hook /h2 when created, in the container's namespaces (createContainer)\n",
		"moves the monotonic clock by 0.000000000 s and the boot clock by -1.000000007 s\n",
		"sets the NIS domain name to d\\x1b[2J\n",
		"runs with the personality LINUX32\n",
		"runs the hook /h3 in the container, before its program (startContainer)\n",
		"limits CPU seconds to 1, at most unlimited\n",
		"sets scheduling policy 2, nice 0, priority 3\n",
		"sets I/O class 3, priority 1\n",
		"drops all capabilities but CAP_KILL and CAP_BPF\n",
		"does not use at first CAP_KILL\n",
		"can gain from a program's file CAP_CHOWN\n",
		"can never gain again from a program's file CAP_BPF\n",
		"lets programs inherit CAP_KILL\n",
		"gives every program CAP_KILL\n",
		"confines it by the SELinux label s\n",
		"hands filtered system calls to /l\n",
		"runs a as uid 1, gid 0 in /\n",
		"runs the hook /h4 after the start (poststart)\n",
		"runs the hook /h5 after the container is deleted (poststop)\n",
	};
	const char *at = text;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) { /* in this order */
		at = strstr(at, lines[i]);
		if (!at)
			fail_msg("not there, or not in order: %sin\n%s", lines[i], text);
		at += strlen(lines[i]) - 1;
	}
	free(text);
	free(plan);
}

static void a_full_disk_is_reported(void **state)
{
	struct launch_plan *plan = file_plan("runc");
	FILE *out = fopen("/dev/full", "we");

	(void)state;
	assert_non_null(out);
	assert_int_equal(launch_explain(plan, out), -EIO);
	(void)fclose(out);
	free(plan);
}

static void the_same_spec_gives_the_same_bytes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ENGINES; i++) {
		struct launch_plan *plan = file_plan(engines[i]);

		for (int k = 1; k < 256; k += 50) {
			struct launch_plan *again;

			(void)mallopt(M_PERTURB, k); /* no memory is zero by luck */
			again = file_plan(engines[i]);
			assert_int_equal(again->size, plan->size);
			assert_memory_equal(again, plan, plan->size);
			free(again);
		}
		free(plan);
	}
}

static void damaged_plans_are_refused(void **state)
{
	struct launch_plan *plan = file_plan("docker"), bad;
	size_t size = plan->size;
	char *copy = malloc(size + 8);

	(void)state;
	assert_non_null(copy);
	assert_int_equal(launch_plan_check(plan, size - 1), -EINVAL);
	assert_int_equal(launch_plan_check(plan, size + 8), -EINVAL);
	assert_int_equal(launch_plan_check(plan, 0), -EINVAL);
	assert_int_equal(launch_plan_check(plan, sizeof(*plan)), -EINVAL);
	memcpy(copy + 4, plan, size); /* not aligned */
	assert_int_equal(launch_plan_check((void *)(copy + 4), size), -EINVAL);
#define DAMAGE(change)                                                                             \
	do {                                                                                       \
		memcpy(copy, plan, size);                                                          \
		memcpy(&bad, plan, sizeof(bad));                                                   \
		change;                                                                            \
		memcpy(copy, &bad, sizeof(bad));                                                   \
		assert_int_equal(launch_plan_check((void *)copy, size), -EINVAL);                  \
	} while (0)
	DAMAGE(bad.magic++);
	DAMAGE(bad.version++);
	DAMAGE(bad.size--);
	DAMAGE(copy[size - 1] = 'x');
	DAMAGE(bad.rootfs = (launch_str)size);
	DAMAGE(bad.rootfs = 4); /* in the head */
	DAMAGE(bad.hostname = UINT32_MAX);
	DAMAGE(bad.mounts.off++);
	DAMAGE(bad.mounts.n = UINT32_MAX);
	DAMAGE(bad.mounts.off = UINT32_MAX - 7);
	DAMAGE(bad.mounts.off = 0);
	DAMAGE(bad.process.args.n = 0);
	DAMAGE(bad.process.cwd = 0);
	DAMAGE(bad.process.env.n = (uint32_t)size);
	DAMAGE(bad.seccomp.filter.n = BPF_MAXINSNS + 1);
	DAMAGE(bad.annotations = bad.process.args; bad.annotations.n = 1);
#undef DAMAGE
	free(copy);
	free(plan);
}

/* Each word of a plan in turn set to what an attacker would try: refused, or safe to read. */
static void every_word_may_be_wrong(void **state)
{
	static const uint32_t words[] = { 0,	      1,	  4,	      7,	 1000,
					  0x7fffffff, 0x80000000, 0xfffffff8, UINT32_MAX };
	struct launch_plan *plan = file_plan("docker");
	size_t size = plan->size;
	FILE *out = fopen("/dev/null", "we");
	unsigned accepted = 0;

	(void)state;
	assert_non_null(out);
	for (size_t at = 0; at + 4 <= size; at += 4) {
		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
			char *copy =
				malloc(size); /* exactly: the sanitizer sees every step too far */

			assert_non_null(copy);
			memcpy(copy, plan, size);
			memcpy(copy + at, &words[i], 4);
			if (!launch_plan_check((void *)copy, size)) {
				(void)launch_explain((void *)copy, out);
				accepted++;
			}
			free(copy);
		}
	}
	assert_true(accepted > 0);
	(void)fclose(out);
	free(plan);
}

/* The n-th allocation fails, for every n: a clear error, and (says the sanitizer) no leak. */
static void without_memory(void **state)
{
	char *spec[ENGINES];
	size_t len[ENGINES];

	(void)state;
	for (size_t i = 0; i < ENGINES; i++) {
		spec[i] = file_read(engines[i], ".json", &len[i]);
		alloc_fail_each (n) {
			struct launch_plan *plan = NULL, *exec = NULL;
			struct launch_error err = { 0 };
			int r, r_exec = 0;

			r = launch_compile(spec[i], len[i], &spec_options, &plan, &err);
			if (!r)
				r_exec = launch_compile_exec("{\"args\":[\"x\"]}", 14, plan, NULL,
							     &exec, &err);
			(void)alloc_fail_stop();
			if (r || r_exec) {
				assert_int_equal(r ? r : r_exec, -ENOMEM);
				assert_string_equal(err.text, "launch plan: out of memory");
			}
			assert_int_equal(!r, plan != NULL);
			free(plan);
			free(exec);
		}
		free(spec[i]);
	}
}

/* The same for what the engines' specs do not need: a block that grows, a filter not kept yet. */
static void without_memory_for_more(void **state)
{
	static const char head[] =
		"{'ociVersion':'1.0.0','root':{'path':'r'},'process':{'args':['a'],'cwd':'/',"
		"'user':{'additionalGids':[1]}},'annotations':{'a':'%03000d'},'linux':{"
		"'namespaces':[{'type':'user'},{'type':'mount'}],'seccomp':{"
		"'defaultAction':'SCMP_ACT_ERRNO','syscalls':[{'names':['read'],"
		"'action':'SCMP_ACT_ERRNO','errnoRet':%u}]}},'mounts':[";
	char *text = malloc(65536), *p;
	bool failed = true;

	(void)state;
	assert_non_null(text);
	for (unsigned n = 1; failed; n++) {
		struct launch_plan *plan = NULL;
		struct launch_error err = { 0 };
		int r;

		p = text + sprintf(text, head, 0, 100 + n);
		for (int i = 0; i < 100; i++)
			p += sprintf(p,
				     "%s{'destination':'/"
				     "a','source':'s','options':['idmap=uids=0-0-1;gids=0-0-1',"
				     "'bind','x%0200d']}",
				     i ? "," : "", i);
		(void)stpcpy(p, "]}");
		for (p = text; *p; p++)
			if (*p == '\'')
				*p = '"';
		alloc_fail_arm(n);
		r = launch_compile(text, (size_t)(p - text), &spec_options, &plan, &err);
		failed = alloc_fail_stop();
		assert_true(r == 0 ||
			    (failed && r == -ENOMEM)); /* not getting smaller is no failure */
		assert_int_equal(r != 0, plan == NULL);
		if (r)
			assert_string_equal(err.text, "launch plan: out of memory");
		free(plan);
	}
	free(text);
}

/* A filter needs a descriptor for a moment: the error says so, and nothing is kept. */
static void without_descriptors(void **state)
{
	static const char spec[] = SPEC("", "",
					",'seccomp':{'defaultAction':'SCMP_ACT_ERRNO',"
					"'defaultErrnoRet':77}");
	struct rlimit before, none;
	struct launch_plan *plan = NULL;
	struct launch_error err = { 0 };
	int r;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	r = spec_try(spec, &spec_options, &plan, &err);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(r, -EMFILE);
	assert_string_equal(err.text,
			    "/linux/seccomp: cannot be made into a filter: Too many open files");
	assert_null(plan);
	free(spec_plan(spec));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(specs_of_engines_are_explained),
		cmocka_unit_test(the_rest_is_explained),
		cmocka_unit_test(a_full_disk_is_reported),
		cmocka_unit_test(the_same_spec_gives_the_same_bytes),
		cmocka_unit_test(damaged_plans_are_refused),
		cmocka_unit_test(every_word_may_be_wrong),
		cmocka_unit_test(without_memory),
		cmocka_unit_test(without_memory_for_more),
		cmocka_unit_test(without_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
