/* SPDX-License-Identifier: MIT */
/* A crash while a plugin is started: reported twice, survived never. */
#include "world.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

/* Its stderr to fd, and no handlers of cmocka's, which would go on with the tests. */
static void child_begin(int fd)
{
	static const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT };

	(void)dup2(fd, STDERR_FILENO);
	for (size_t i = 0; i < COW_ELEMENTS(signals); i++)
		(void)signal(signals[i], SIG_DFL);
}

/* Start the fake in a child whose stderr is read; how it died. */
static int start_in_child(struct world *w, const char *name, char *out, size_t size)
{
	int ends[2], status;
	ssize_t n;
	size_t len = 0;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		child_begin(ends[1]);
		_exit(world_load(w, name, NULL) < 0 || cow_host_init_all(w->host, NULL) < 0);
	}
	(void)close(ends[1]);
	while ((n = read(ends[0], out + len, size - 1 - len)) > 0)
		len += (size_t)n;
	out[len] = '\0';
	(void)close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void test_crash_in_init(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *marker = cow_asprintf("%s/plugin.starting", w->root);
	char out[256];
	int status = start_in_child(w, "crash_init", out, sizeof(out));

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSEGV);
	assert_non_null(strstr(out, "cowherd: plugin crash crashed in init\n"));
	assert_int_equal(access(marker, F_OK), 0);
	/* The next start says so, once. */
	cow_host_destroy(w->host);
	world_host(w);
	assert_true(world_heard(w, " died while it started plugin crash (init)"));
	world_forget_log(w);
	cow_host_destroy(w->host);
	world_host(w);
	assert_false(world_heard(w, "plugin.crashed"));
	/* And others start. */
	world_start(w, "good");
}

static void test_no_crash(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *marker = cow_asprintf("%s/plugin.starting", w->root);
	struct sigaction before, after;
	char out[256];

	assert_int_equal(start_in_child(w, "good", out, sizeof(out)), 0);
	assert_string_equal(out, "");
	assert_int_equal(access(marker, F_OK), -1);
	/* The handlers are there only meanwhile. */
	(void)sigaction(SIGSEGV, NULL, &before);
	world_start(w, "good");
	(void)sigaction(SIGSEGV, NULL, &after);
	assert_ptr_equal(before.sa_sigaction, after.sa_sigaction);
}

/* The marker of a process that still lives is no crash. */
static void test_still_starting(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *marker = cow_asprintf("%s/plugin.starting", w->root);

	assert_int_equal(cow_fs_write_atomic(marker, "1 lcow (init)", 13, 0600, 0), 0);
	crash_report_last(w->host);
	assert_null(w->log.data);
	assert_int_equal(unlink(marker), 0);
}

static void test_abort(void **state)
{
	struct world *w = *state;
	int ends[2], status;
	char out[256] = "";
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		child_begin(ends[1]);
		crash_guard_enter(w->host, "some", "load");
		abort();
	}
	(void)close(ends[1]);
	assert_true(read(ends[0], out, sizeof(out) - 1) > 0);
	(void)close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_string_equal(out, "cowherd: plugin some crashed in load\n");
	crash_report_last(w->host);
	assert_true(world_heard(w, "started plugin some (load)"));
}

/* A signal that was sent, not a fault that happens again, ends the process all the same. */
static void test_sent(void **state)
{
	struct world *w = *state;
	int ends[2], status;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		child_begin(ends[1]);
		crash_guard_enter(w->host, "some", "load");
		(void)kill(getpid(), SIGBUS);
		_exit(0);
	}
	(void)close(ends[0]);
	(void)close(ends[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
	crash_report_last(w->host);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(test_crash_in_init),
		world_test(test_no_crash),
		world_test(test_still_starting),
		world_test(test_abort),
		world_test(test_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
