/* SPDX-License-Identifier: MIT */
/*
 * Getting records onto the medium without waiting for it: what was written is there for the next
 * process at once, and fsync'ed half a second later on the thread pool, unless the container is
 * gone by then.  A power cut in between costs that container's newest record, which is then seen by
 * its checksum.
 */
#include "engine/container.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SYNC_DELAY_MS 500

struct sync_job {
	uv_work_t work;
	struct cow_engine *engine;
	uint32_t count;
	char *dirs[];
};

static void sync_file(const char *dir, const char *name)
{
	_cleanup_free_ char *path = cow_asprintf("%s/%s", dir, name);
	_cleanup_close_ int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	if (fd >= 0)
		(void)fsync(fd);
}

static void sync_work(uv_work_t *work)
{
	struct sync_job *job = cow_container_of(work, struct sync_job, work);

	for (uint32_t i = 0; i < job->count; i++) {
		sync_file(job->dirs[i], "ledger"); /* first what the record stands on */
		sync_file(job->dirs[i], "record");
		sync_file(job->dirs[i], ".");
	}
}

static void sync_free(struct sync_job *job)
{
	for (uint32_t i = 0; i < job->count; i++)
		free(job->dirs[i]);
	free(job);
}

static void sync_done(uv_work_t *work, int status)
{
	struct sync_job *job = cow_container_of(work, struct sync_job, work);

	(void)status;
	job->engine->jobs--;
	sync_free(job);
}

static void sync_now(struct cow_timer *timer, void *arg)
{
	struct cow_engine *e = arg;
	struct sync_job *job;
	uint32_t n = 0;

	(void)timer;
	cow_list_for(l, &e->dirty)
		n++;
	job = calloc(1, sizeof(*job) + n * sizeof(job->dirs[0]));
	if (!job)
		return; /* the next write tries again */
	job->engine = e;
	cow_list_for_safe(l, tmp, &e->dirty) {
		job->dirs[job->count] =
			strdup(cow_container_of(l, struct container, dirty)->state_dir);
		job->count += job->dirs[job->count] != NULL;
		cow_list_del(l);
	}
	if (job->count == 0 || uv_queue_work(e->setup.loop, &job->work, sync_work, sync_done) < 0)
		sync_free(job);
	else
		e->jobs++;
}

void record_dirty(struct container *c)
{
	struct cow_engine *e = c->engine;

	if (cow_list_empty(&c->dirty))
		cow_list_add(&e->dirty, &c->dirty);
	if (!cow_timer_active(&e->sync_timer))
		(void)cow_timer_start(e->setup.timers, &e->sync_timer, SYNC_DELAY_MS, sync_now, e);
}

void sync_stop(struct cow_engine *e)
{
	cow_timer_stop(e->setup.timers, &e->sync_timer);
}
