/* SPDX-License-Identifier: MIT */
/* What a copy of this process has, while most of it is left out; and that all is back afterwards. */
#include "plugins/lcow/launch/json_text.h"
#include "plugins/lcow/launch/parent.h"
#include "plugins/lcow/launch/sys.h"

#include <linux/sched.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void gaps(struct parent_range all, const struct parent_range *keep, size_t n,
		 const char *expected)
{
	struct parent_left left;
	char text[512] = "";

	parent_copy_gaps(all, keep, n, &left);
	for (size_t i = 0; i < left.n; i++)
		(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%zu-%zu ",
			       (size_t)left.range[i].from, (size_t)left.range[i].to);
	assert_string_equal(text, expected);
}

static void test_gaps(void **state)
{
	const struct parent_range some[] = { { 50, 60 }, { 20, 30 }, { 25, 40 }, { 7, 7 } };
	const struct parent_range edges[] = { { 90, 200 }, { 0, 20 }, { 300, 400 } };
	const struct parent_range whole = { 0, 100 };
	struct parent_range many[PARENT_LEFT_MAX + 4];
	struct parent_left left;

	(void)state;
	gaps((struct parent_range){ 10, 100 }, some, 4, "10-20 40-50 60-100 ");
	gaps((struct parent_range){ 10, 100 }, edges, 3, "20-90 ");
	gaps((struct parent_range){ 10, 100 }, &whole, 1, "");
	gaps((struct parent_range){ 10, 100 }, NULL, 0, "10-100 ");
	gaps((struct parent_range){ 0, 0 }, some, 4, "");
	/* More than fit: the rest is copied. */
	for (size_t i = 0; i < PARENT_LEFT_MAX + 4; i++)
		many[i] = (struct parent_range){ 10 * i + 5, 10 * i + 10 };
	parent_copy_gaps((struct parent_range){ 0, 1000 }, many, PARENT_LEFT_MAX + 4, &left);
	assert_int_equal(left.n, PARENT_LEFT_MAX);
	assert_int_equal(left.range[PARENT_LEFT_MAX - 1].to, 10 * PARENT_LEFT_MAX - 5);
}

/* A page each: what is asked for must be there in the copy, what is not should not. */
struct pages {
	char *needed, *other;
	bool begun; /* between begin and end */
	int status;
};

static char *page(void)
{
	char *at = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(at, MAP_FAILED);
	memset(at, 'x', 3 * 4096);
	return at;
}

/* write(2) answers EFAULT for what is not mapped: bit 0 needed, bit 1 other, bit 2 libc. */
__attribute__((no_sanitize("address", "undefined"))) static long
copy_look(const struct pages *p, int fd, const void *libc)
{
	long seen = sys(write, fd, p->needed, 1) == 1 ? 1 : 0;

	seen |= sys(write, fd, p->other, 1) == 1 ? 2 : 0;
	return seen | (sys(write, fd, libc, 1) == 1 ? 4 : 0);
}

__attribute__((no_sanitize("address", "undefined"))) static void pages_copy(struct pages *p, int fd)
{
	struct clone_args args = { .exit_signal = SIGCHLD };
	const void *libc = (const void *)(uintptr_t)&qsort;
	struct parent_left left = { 0 };
	long pid;

	if (p->begun)
		parent_copy_begin(p->needed, 4096, &left);
	else
		parent_copy_lock();
	pid = sys(clone3, &args, sizeof(args));
	if (pid == 0) {
		for (;;)
			(void)sys(exit_group, copy_look(p, fd, libc));
	}
	if (p->begun)
		parent_copy_end(&left);
	else
		parent_copy_unlock();
	assert_true(pid > 0);
	assert_int_equal(waitpid((pid_t)pid, &p->status, 0), pid);
}

static void *pages_run(void *arg)
{
	struct pages *p = arg;
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	p->needed = page();
	p->other = page();
	pages_copy(p, fds[1]);
	(void)munmap(p->needed, 3 * 4096);
	(void)munmap(p->other, 3 * 4096);
	(void)close(fds[0]);
	(void)close(fds[1]);
	return NULL;
}

#ifdef COW_SANITIZE
#define LEFT_OUT 7 /* nothing is */
#else
#define LEFT_OUT 1
#endif

static void test_needed(void **state)
{
	struct pages p = { .begun = true };
	pthread_t thread;

	(void)state;
	(void)pages_run(&p);
	assert_true(WIFEXITED(p.status));
	assert_int_equal(WEXITSTATUS(p.status), LEFT_OUT);
	/* And on another thread's stack. */
	assert_int_equal(pthread_create(&thread, NULL, pages_run, &p), 0);
	(void)pthread_join(thread, NULL);
	assert_true(WIFEXITED(p.status));
	assert_int_equal(WEXITSTATUS(p.status), LEFT_OUT);
}

/* All is there again: for a copy that is made under the lock, and for fork(3). */
static void test_back(void **state)
{
	struct pages p = { .begun = true };
	int status;
	pid_t pid;

	(void)state;
	(void)pages_run(&p);
	p.begun = false;
	(void)pages_run(&p);
	assert_true(WIFEXITED(p.status));
	assert_int_equal(WEXITSTATUS(p.status), 7);
	pid = fork();
	if (pid == 0) {
		char *text = launch_json_text("f");

		_exit(text && strcmp(text, "\"f\"") == 0 ? 42 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 42);
}

/* fork(3) on one thread while another leaves things out all the time. */
static void *forks_run(void *arg)
{
	_Atomic bool *over = arg;

	while (!*over) {
		struct parent_left left;

		parent_copy_begin(NULL, 0, &left);
		parent_copy_end(&left);
	}
	return NULL;
}

static void test_forks(void **state)
{
	_Atomic bool over = false;
	pthread_t thread;
	int bad = 0;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, forks_run, (void *)&over), 0);
	for (int i = 0; i < 50; i++) {
		int status = -1;
		pid_t pid = fork();

		if (pid == 0) {
			char *text = launch_json_text("f");

			_exit(text ? 42 : 1);
		}
		bad += waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
		       WEXITSTATUS(status) != 42;
	}
	over = true;
	(void)pthread_join(thread, NULL);
	assert_int_equal(bad, 0);
}

static void json(const char *text, const char *expected)
{
	char *quoted = launch_json_text(text);

	assert_string_equal(quoted, expected);
	free(quoted);
}

static void test_json_text(void **state)
{
	(void)state;
	json("", "\"\"");
	json("/a b", "\"/a b\"");
	json("\"\\", "\"\\\"\\\\\"");
	json("\x01\n\x1f\x7f", "\"\\u0001\\u000a\\u001f\x7f\"");
	json("\xc3\xa4", "\"\xc3\xa4\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gaps),  cmocka_unit_test(test_needed),
		cmocka_unit_test(test_back),  cmocka_unit_test(test_forks),
		cmocka_unit_test(test_json_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
