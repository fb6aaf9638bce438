/* SPDX-License-Identifier: MIT */
/* Launches on many threads at once, as a supervisor's pool makes them: each gets its own. */
#include "box.h"

#include <pthread.h>

#define THREADS 8
#define ROUNDS 12

struct worker {
	struct box *b;
	const struct launch_plan *plan, *exec;
	unsigned number;
	pthread_t thread;
	char failure[256];
};

static int worker_wait(struct launch_child *child)
{
	siginfo_t info = { 0 };

	if (waitid(P_PIDFD, (id_t)child->pidfd, &info, WEXITED) < 0)
		return -errno;
	return info.si_status;
}

/* Create, start, exec into it, end it; a descriptor that leaked to a neighbour would hang one of them. */
static bool worker_round(struct worker *w)
{
	struct launch_run_options o = { .id = "box", .init = true, .stdio = { -1, -1, -1, 0, 0 } };
	struct launch_child child, more;
	struct launch_error err = { 0 };
	char text[64] = "";
	int out[2];

	if (pipe2(out, O_CLOEXEC) < 0)
		return false;
	if (launch_create(w->plan, &o, &child, &err) < 0 ||
	    launch_start(w->plan, &o, &child, &err) < 0)
		goto fail;
	o.stdio.out = out[1];
	if (launch_exec(w->exec, w->plan, &child, &o, &more, &err) < 0)
		goto fail;
	(void)close(out[1]);
	if (read(out[0], text, sizeof(text) - 1) <= 0 || strcmp(text, "in pid 1 2\n") != 0 ||
	    read(out[0], text, 1) != 0 || worker_wait(&more) != 5) {
		(void)snprintf(w->failure, sizeof(w->failure), "exec said: %s", text);
		return false;
	}
	launch_close(&more);
	(void)close(out[0]);
	(void)kill(child.pid, SIGKILL);
	if (worker_wait(&child) != SIGKILL)
		return false;
	launch_close(&child);
	return true;
fail:
	(void)snprintf(w->failure, sizeof(w->failure), "%.200s", err.text);
	return false;
}

static void *worker_run(void *arg)
{
	struct worker *w = arg;

	for (int i = 0; i < ROUNDS; i++) {
		if (!worker_round(w)) {
			if (!w->failure[0])
				(void)snprintf(w->failure, sizeof(w->failure), "round %d", i);
			break;
		}
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct box *b = *state;
	struct launch_plan *plan = box_plan(b, &(struct box_spec){ .script = "exec sleep 1000" });
	struct launch_plan *exec = box_exec_plan(
		b, plan,
		"{\"args\":[\"/bin/sh\",\"-c\",\"echo in pid [12]; exit 5\"],"
		"\"cwd\":\"/proc\",\"env\":[\"PATH=/bin\"]}");
	struct worker workers[THREADS] = { 0 };

	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ .b = b, .plan = plan, .exec = exec, .number = i };
		assert_int_equal(
			pthread_create(&workers[i].thread, NULL, worker_run, &workers[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		(void)pthread_join(workers[i].thread, NULL);
	for (unsigned i = 0; i < THREADS; i++)
		assert_string_equal(workers[i].failure, "");
	free(exec);
	free(plan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_threads, box_setup, box_teardown),
	};

	return cmocka_run_group_tests(tests, box_warm_up, NULL);
}
