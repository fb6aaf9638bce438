/* SPDX-License-Identifier: MIT */
/* The backend as a service for other plugins: the same functions, answers by callback. */
#include "lcow.h"

#include <errno.h>

static int launcher_create(const struct cowherd_request *request, const struct cowherd_stdio *stdio,
			   cowherd_launcher_intend_cb intend, cowherd_launcher_cb cb,
			   cowherd_launcher_exit_cb exit_cb, void *arg)
{
	return lcow_create(request, stdio, &(struct reply){ .cb = cb, .arg = arg }, intend, exit_cb,
			   arg);
}

static int launcher_start(uint64_t system, cowherd_launcher_cb cb, void *arg)
{
	return lcow_start(system, &(struct reply){ .cb = cb, .arg = arg });
}

static int launcher_exec(uint64_t system, const char *process, const struct cowherd_stdio *stdio,
			 cowherd_launcher_cb cb, void *arg)
{
	return lcow_exec(system, process, stdio, &(struct reply){ .cb = cb, .arg = arg });
}

static void ignore_answer(void *arg, const struct cowherd_answer *answer)
{
	(void)arg;
	(void)answer;
}

static int launcher_signal(uint64_t system, uint64_t process, int signo, uint32_t flags)
{
	int r = lcow_signal(system, process, signo, flags, &(struct reply){ .cb = ignore_answer });

	return r == COWHERD_LATER ? 0 : r;
}

static int launcher_resize(uint64_t system, uint64_t process, uint16_t height, uint16_t width)
{
	return lcow_resize(system, process, height, width);
}

static int launcher_stats(uint64_t system, cowherd_launcher_cb cb, void *arg)
{
	return lcow_stats(system, &(struct reply){ .cb = cb, .arg = arg });
}

static int launcher_terminate(uint64_t system, cowherd_launcher_cb cb, void *arg)
{
	return lcow_terminate(system, &(struct reply){ .cb = cb, .arg = arg });
}

static void launcher_close(uint64_t system)
{
	struct system *s = system_find(system);

	if (s)
		system_close(s);
}

static int launcher_adopt(const struct cowherd_record *record, cowherd_launcher_cb cb,
			  cowherd_launcher_exit_cb exit_cb, void *arg)
{
	return lcow_adopt(record, &(struct reply){ .cb = cb, .arg = arg }, exit_cb, arg);
}

static int launcher_release(const struct cowherd_record *record, cowherd_launcher_cb cb, void *arg)
{
	return lcow_release(record, &(struct reply){ .cb = cb, .arg = arg });
}

const struct cowherd_launcher lcow_launcher = {
	.size = sizeof(lcow_launcher),
	.create = launcher_create,
	.start = launcher_start,
	.exec = launcher_exec,
	.signal = launcher_signal,
	.resize = launcher_resize,
	.stats = launcher_stats,
	.terminate = launcher_terminate,
	.close = launcher_close,
	.adopt = launcher_adopt,
	.release = launcher_release,
};
