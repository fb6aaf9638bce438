/* SPDX-License-Identifier: MIT */
/*
 * Makes its file 50 ms later, and gets both ways of being interrupted wrong: cancelled, it forgets to
 * answer; given up, it makes the file after that was released.
 */
#include "fake.h"

#include <fcntl.h>
#include <unistd.h>

static char path[256];
static cowherd_op op_now;
static uint64_t timer;

static void hasty_due(void *arg)
{
	struct cowherd_answer answer = { .size = sizeof(answer) };
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	(void)arg;
	if (fd < 0)
		answer.code = -errno;
	else
		(void)close(fd);
	(void)host->answer(self, op_now, &answer);
}

static int hasty_acquire(void *arg, cowherd_op op, const struct cowherd_request *request)
{
	char record[320];
	int rc;

	(void)arg;
	(void)snprintf(path, sizeof(path), "%.200s/hasty", request->run_dir);
	(void)snprintf(record, sizeof(record), "{\"path\":\"%s\"}", path);
	op_now = op;
	rc = host->intend(self, op, "file", record);
	if (rc == 0)
		rc = host->timer_start(self, 50, 0, hasty_due, NULL, &timer);
	return rc < 0 ? rc : COWHERD_LATER;
}

static int hasty_release(void *arg, cowherd_op op, const struct cowherd_record *record)
{
	char gone[256];

	(void)arg;
	(void)op;
	if (!fake_string(record->record, "path", gone, sizeof(gone)))
		return -EINVAL;
	return unlink(gone) == 0 || errno == ENOENT ? 0 : -errno;
}

static void hasty_cancel(void *arg, cowherd_op op)
{
	(void)arg;
	if (op == op_now)
		host->timer_stop(self, timer);
}

static int hasty_init(const struct cowherd_host *h, struct cowherd_self *s)
{
	static const struct cowherd_allocator allocator = {
		.size = sizeof(allocator), .name = "hasty", .phase = COWHERD_PHASE_STORAGE,
		.acquire = hasty_acquire, .release = hasty_release, .cancel = hasty_cancel,
	};

	host = h;
	self = s;
	return h->register_allocator(s, &allocator, NULL);
}

FAKE_PLUGIN("hasty", .init = hasty_init)
