/* SPDX-License-Identifier: MIT */
/* Unpacking of layers, two at a time, each while it is still coming. */
#include "image/load_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Reads a part's file as far as it has been written, and waits for more. */
struct follower {
	struct load *load;
	struct load_job *job;
	int fd;
	uint64_t at;
};

static const char *label(const struct load_part *part, char ret[16])
{
	const char *name = strncmp(part->path, "blobs/sha256/", 13) ? part->path : part->path + 13;

	(void)snprintf(ret, 16, "%.12s", name);
	return ret;
}

static ssize_t follow_read(void *arg, void *buffer, size_t size)
{
	struct follower *f = arg;
	const struct st_progress *progress = &f->load->options->progress;
	struct load_part *part = f->job->part;
	char text[16];
	uint64_t have;
	bool stop;
	ssize_t n;

	(void)pthread_mutex_lock(&f->load->mutex);
	while (!part->stored && part->have == f->at && !part->complete && !f->load->stop)
		(void)pthread_cond_wait(&f->load->changed, &f->load->mutex);
	have = part->stored ? part->size : part->have;
	stop = f->load->stop;
	(void)pthread_mutex_unlock(&f->load->mutex);
	if (stop || load_cancelled(f->load))
		return -ECANCELED;
	if (have == f->at)
		return 0;
	if (size > have - f->at)
		size = (size_t)(have - f->at);
	do
		n = pread(f->fd, buffer, size, (off_t)f->at);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n < 0 ? -errno : -EIO;
	f->at += (uint64_t)n;
	if (progress->at)
		progress->at(progress->arg, label(part, text), f->at, part->size);
	return n;
}

static int unpack_progress(void *arg, uint64_t bytes)
{
	const struct load *l = arg;

	(void)bytes;
	return l->stop || load_cancelled(l) ? -ECANCELED : 0;
}

static int unpack_stream(struct load *l, struct load_job *job, struct st_stream *stream, int fs)
{
	const struct st_unpack_options options = { .whiteouts = ST_WHITEOUT_OVERLAY,
						   .no_owner = geteuid() != 0,
						   .progress = unpack_progress,
						   .arg = l };
	char text[sizeof(job->error.text)] = "";
	struct st_tar *tar;
	int r = st_tar_open(st_stream_read, stream, NULL, &tar);

	if (r < 0)
		return plug_error_errno(&job->error, r, "%s", job->part->path);
	r = st_unpack(tar, fs, &options, &job->unpacked, text, sizeof(text));
	if (r == 0)
		r = st_stream_finish(stream, &job->stream);
	if (r < 0)
		(void)plug_error_set(&job->error, r, "%s: layer %s: %s", l->options->what,
				     job->part->path,
				     *st_stream_error(stream) ? st_stream_error(stream) :
				     *text		    ? text :
							      strerror(-r));
	st_tar_close(tar);
	return r;
}

static int job_run(struct load *l, struct load_job *job)
{
	_cleanup_close_ int fs = -1, fd = load_open(l, job->part);
	struct follower f = { .load = l, .job = job, .fd = fd };
	const struct st_stream_options options = { .read = follow_read, .arg = &f };
	struct st_stream *stream;
	int r;

	if (fd < 0)
		return plug_error_errno(&job->error, fd, "%s: %s", l->options->what, job->part->path);
	r = st_work_layer(l->work, job->dir, sizeof(job->dir), &fs, &job->error);
	if (r < 0)
		return r;
	r = st_stream_open(&options, &stream);
	if (r < 0)
		return plug_error_errno(&job->error, r, "%s: %s", l->options->what, job->part->path);
	r = unpack_stream(l, job, stream, fs);
	st_stream_close(stream);
	return r;
}

static void *worker(void *arg)
{
	struct load *l = arg;
	const struct st_progress *progress = &l->options->progress;
	char text[16];

	(void)pthread_mutex_lock(&l->mutex);
	for (;;) {
		struct load_job *job;

		while (!l->first && !l->stop)
			(void)pthread_cond_wait(&l->changed, &l->mutex);
		if (l->stop)
			break;
		job = l->first;
		l->first = job->next;
		(void)pthread_mutex_unlock(&l->mutex);
		job->code = job_run(l, job);
		if (!job->code && progress->finished)
			progress->finished(progress->arg, label(job->part, text),
					   job->unpacked.bytes);
		(void)pthread_mutex_lock(&l->mutex);
		job->done = true;
		l->unfinished--;
		(void)pthread_cond_broadcast(&l->changed);
	}
	(void)pthread_mutex_unlock(&l->mutex);
	return NULL;
}

int load_job_queue(struct load *l, struct load_part *part)
{
	struct load_job *job = calloc(1, sizeof(*job)), **grown;

	if (!job)
		return -ENOMEM;
	job->part = part;
	grown = reallocarray(part->jobs, part->job_count + 1, sizeof(job));
	if (!grown) {
		free(job);
		return -ENOMEM;
	}
	part->jobs = grown;
	part->jobs[part->job_count++] = job;
	(void)pthread_mutex_lock(&l->mutex);
	if (l->first)
		l->last->next = job;
	else
		l->first = job;
	l->last = job;
	l->unfinished++;
	(void)pthread_cond_broadcast(&l->changed);
	(void)pthread_mutex_unlock(&l->mutex);
	return 0;
}

int load_jobs_wait(struct load *l)
{
	(void)pthread_mutex_lock(&l->mutex);
	while (l->unfinished)
		(void)pthread_cond_wait(&l->changed, &l->mutex);
	(void)pthread_mutex_unlock(&l->mutex);
	return load_cancelled(l) ? -ECANCELED : 0;
}

int load_workers_start(struct load *l)
{
	for (; l->worker_count < LOAD_WORKERS; l->worker_count++) {
		int r = pthread_create(&l->workers[l->worker_count], NULL, worker, l);

		if (r)
			return l->worker_count ? 0 : -r;
	}
	return 0;
}

void load_workers_stop(struct load *l)
{
	(void)pthread_mutex_lock(&l->mutex);
	l->stop = true;
	(void)pthread_cond_broadcast(&l->changed);
	(void)pthread_mutex_unlock(&l->mutex);
	for (size_t i = 0; i < l->worker_count; i++)
		(void)pthread_join(l->workers[i], NULL);
}

/* A tar header's checksum: the sum of its bytes, its own field taken as blanks (POSIX pax, ustar). */
static bool tar_header(const unsigned char *p)
{
	unsigned long sum = 0;
	char *end, field[9] = "";

	for (int i = 0; i < 512; i++)
		sum += i >= 148 && i < 156 ? ' ' : p[i];
	memcpy(field, p + 148, 8);
	/* The end of an archive: one without entries is a layer, too. */
	return sum == 8 * ' ' || (strtoul(field, &end, 8) == sum && end != field);
}

bool load_looks_like_layer(const void *data, size_t size)
{
	const unsigned char *p = data;

	if (size >= 2 && p[0] == 0x1f && p[1] == 0x8b)
		return true;
	if (size >= 4 && p[1] == 0xb5 && p[2] == 0x2f && p[3] == 0xfd && p[0] == 0x28)
		return true;
	return size >= 512 && tar_header(p);
}
