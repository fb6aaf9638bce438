/* SPDX-License-Identifier: MIT */
/* Another process in a running container. */
#include "lcow.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>

struct exec {
	struct reply reply;
	struct system *system;
	struct process *process;
	char *text; /* the OCI process object */
	struct launch_plan *plan;
	struct launch_stdio stdio;
	struct launch_error err;
};

static void exec_free(struct exec *w)
{
	free(w->process);
	free(w->text);
	free(w->plan);
	free(w);
}

static int exec_work(void *arg)
{
	struct exec *w = arg;
	struct system *s = w->system;
	struct launch_compile_options compile = { .bundle = s->bundle,
						  .caps_possible = lcow.caps_possible };
	struct launch_run_options options;
	int r;

	r = launch_compile_exec(w->text, strlen(w->text), s->plan->launch, &compile, &w->plan,
				&w->err);
	if (r < 0)
		return r;
	system_options(s, &options);
	options.stdio = w->stdio;
	return launch_exec(w->plan, s->plan->launch, &s->child, &options, &w->process->child, &w->err);
}

static void exec_done(void *arg, int result)
{
	struct exec *w = arg;
	struct system *s = w->system;
	struct process *p = w->process;
	struct cowherd_answer answer = { .size = sizeof(answer), .fd = -1 };

	if (w->plan)
		plan_warn(w->plan, s->container);
	if (result == 0) {
		result = process_publish(p);
		if (result < 0)
			child_end(&p->child);
	}
	if (result < 0) {
		(void)reply_code(&w->reply, result, w->err.text);
	} else {
		w->process = NULL;
		answer.handle = p->id;
		answer.pid = p->child.pid;
		answer.fd = console_share(&p->child);
		if (reply_answer(&w->reply, &answer) == -ENOENT || s->closed)
			(void)pidfd_send_signal(p->child.pidfd, SIGKILL, NULL, 0);
	}
	exec_free(w);
	system_job_done(s);
}

int lcow_exec(uint64_t system, const char *process, const struct cowherd_stdio *stdio,
	      const struct reply *reply)
{
	struct system *s = system_find(system);
	struct exec *w;
	int r = -ENOMEM;

	if (!s)
		return -ENOENT;
	if (s->dead)
		return -ESRCH;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->reply = *reply;
	w->system = s;
	w->text = strdup(process);
	w->process = calloc(1, sizeof(*w->process));
	stdio_for_launch(stdio, &w->stdio);
	if (w->text && w->process) {
		w->process->system = s;
		r = lcow.host->offload(lcow.self, exec_work, exec_done, w);
	}
	if (r < 0) {
		exec_free(w);
		return r;
	}
	s->jobs++;
	return COWHERD_LATER;
}
