/* SPDX-License-Identifier: MIT */
/*
 * Takes its time, as it may: one file, made on the thread pool after 50 ms, removed after 50 ms.
 * Cancelled in between, it answers at once and does not make the file.  A release that comes while the
 * file is still being made, because the host has given that up, waits for it.
 */
#include "fake.h"

#include <fcntl.h>
#include <unistd.h>

struct job {
	cowherd_op op;
	uint64_t timer; /* 0: on the pool */
	int remove;
	struct job *next;
	char path[256];
};

static struct job *jobs;

static void job_answer(struct job *job, int code)
{
	const struct cowherd_answer answer = { .size = sizeof(answer), .code = code };

	for (struct job **j = &jobs; *j; j = &(*j)->next)
		if (*j == job) {
			*j = job->next;
			break;
		}
	fake_note("slow.answered", host->answer(self, job->op, &answer));
	free(job);
}

static int job_work(void *arg)
{
	const struct job *job = arg;
	int fd;

	if (job->remove)
		return unlink(job->path) == 0 || errno == ENOENT ? 0 : -errno;
	fd = open(job->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	(void)close(fd);
	return 0;
}

static void job_done(void *arg, int result)
{
	job_answer(arg, result);
}

static int being_made(const char *path)
{
	for (const struct job *job = jobs; job; job = job->next)
		if (!job->remove && strcmp(job->path, path) == 0)
			return 1;
	return 0;
}

static void job_due(void *arg)
{
	struct job *job = arg;
	int rc;

	if (job->remove && being_made(job->path) &&
	    host->timer_start(self, 50, 0, job_due, job, &job->timer) == 0)
		return;
	job->timer = 0;
	rc = host->offload(self, job_work, job_done, job);
	if (rc < 0)
		job_answer(job, rc);
}

static int job_start(cowherd_op op, const char *path, int remove)
{
	struct job *job = calloc(1, sizeof(*job));
	int rc;

	if (!job)
		return -ENOMEM;
	job->op = op;
	job->remove = remove;
	(void)snprintf(job->path, sizeof(job->path), "%s", path);
	rc = host->timer_start(self, 50, 0, job_due, job, &job->timer);
	if (rc < 0) {
		free(job);
		return rc;
	}
	job->next = jobs;
	jobs = job;
	return COWHERD_LATER;
}

static int slow_acquire(void *arg, cowherd_op op, const struct cowherd_request *request)
{
	char path[256], record[320];
	int rc;

	(void)arg;
	(void)snprintf(path, sizeof(path), "%.200s/slow", request->run_dir);
	(void)snprintf(record, sizeof(record), "{\"path\":\"%s\"}", path);
	rc = host->intend(self, op, "file", record);
	return rc < 0 ? rc : job_start(op, path, 0);
}

static int slow_release(void *arg, cowherd_op op, const struct cowherd_record *record)
{
	char path[256];

	(void)arg;
	if (!fake_string(record->record, "path", path, sizeof(path)))
		return -EINVAL;
	return job_start(op, path, 1);
}

static void slow_cancel(void *arg, cowherd_op op)
{
	(void)arg;
	for (struct job *job = jobs; job; job = job->next)
		if (job->op == op && job->timer) {
			host->timer_stop(self, job->timer);
			job_answer(job, -ECANCELED);
			return;
		}
}

static int slow_init(const struct cowherd_host *h, struct cowherd_self *s)
{
	static const struct cowherd_allocator slow = {
		.size = sizeof(slow), .name = "slow", .phase = COWHERD_PHASE_STORAGE,
		.acquire = slow_acquire, .release = slow_release, .cancel = slow_cancel,
	};

	host = h;
	self = s;
	return h->register_allocator(s, &slow, NULL);
}

/* What still waits for its timer when the host goes is forgotten with it. */
static int slow_fini(char *message, size_t size)
{
	(void)message;
	(void)size;
	while (jobs) {
		struct job *job = jobs;

		jobs = job->next;
		free(job);
	}
	return 0;
}

FAKE_PLUGIN("slow", .init = slow_init, .fini = slow_fini)
