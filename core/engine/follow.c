/* SPDX-License-Identifier: MIT */
/*
 * Readers of a container's log, each at its own pace: a slow one waits for its own pipe, and costs
 * neither the container nor other readers anything.
 */
#include "engine/follow.h"

#include "base/cleanup.h"
#include "engine/io.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static void follow_kick(struct cow_follow *f);

static void follow_free(struct cow_follow *f)
{
	if (f->handles || f->busy || !f->closing)
		return;
	for (size_t i = 0; i < 2; i++)
		if (f->out[i].fd >= 0)
			(void)close(f->out[i].fd);
	if (f->fd >= 0)
		(void)close(f->fd);
	cow_list_del(&f->of_engine);
	log_unref(f->log);
	free(f->pending);
	free(f);
}

static void out_closed(uv_handle_t *handle)
{
	struct follow_out *out = cow_container_of((uv_poll_t *)handle, struct follow_out, poll);
	struct cow_follow *f = out->follow;

	f->handles--;
	f->engine->jobs--;
	follow_free(f);
}

static void out_close(struct follow_out *out)
{
	if (out->polled)
		uv_close((uv_handle_t *)&out->poll, out_closed);
	out->polled = false;
	if (out->fd >= 0)
		(void)close(out->fd);
	out->fd = -1;
}

/* No job runs: let go of everything, and tell if nobody was told yet. */
static void follow_finish(struct cow_follow *f, int code)
{
	void (*done)(void *, int) = f->closing ? NULL : f->done;

	f->closing = true;
	cow_list_del(&f->link);
	for (size_t i = 0; i < 2; i++)
		out_close(&f->out[i]);
	if (done)
		done(f->arg, code);
	follow_free(f);
}

void cow_follow_close(struct cow_follow *f)
{
	if (!f || f->closing)
		return;
	f->closing = true;
	cow_list_del(&f->link);
	if (!f->busy) {
		for (size_t i = 0; i < 2; i++)
			out_close(&f->out[i]);
		follow_free(f);
	}
}

static void out_event(uv_poll_t *poll, int status, int events)
{
	struct follow_out *out = cow_container_of(poll, struct follow_out, poll);
	struct cow_follow *f = out->follow;

	(void)uv_poll_stop(poll);
	if (f->busy)
		return;
	if (status < 0 || events & UV_DISCONNECT) {
		out_close(out);
		if (f->out[0].fd < 0 && f->out[1].fd < 0) {
			follow_finish(f, -EPIPE);
			return;
		}
	}
	follow_kick(f);
}

static void out_watch(struct follow_out *out, int events)
{
	if (out->fd < 0)
		return;
	if (!out->polled) {
		if (uv_poll_init(out->follow->engine->setup.loop, &out->poll, out->fd) < 0)
			return;
		out->polled = true;
		out->follow->handles++;
		out->follow->engine->jobs++;
	}
	(void)uv_poll_start(&out->poll, events, out_event);
}

static bool container_rests(const struct container *c)
{
	switch (c->state) {
	case COW_STATE_STOPPED:
		return !(c->wishes & (COW_FACT_RESTART | COW_FACT_RUN)) && !c->looking;
	case COW_STATE_DELETING:
	case COW_STATE_DELETED:
	case COW_STATE_FAILED:
	case COW_STATE_DEAD:
		return true;
	default:
		return false;
	}
}

static bool follow_ended(const struct cow_follow *f)
{
	const struct container *c = f->container;

	if (!f->options.follow || !c)
		return true;
	if (io_open(c) || !container_rests(c))
		return false;
	return !f->options.await_start || c->start_order != f->start_order ||
	       c->state != COW_STATE_STOPPED;
}

static void follow_after(struct cow_follow *f)
{
	switch (f->result) {
	case FOLLOW_LEFT:
		out_close(&f->out[f->pending_out]);
		f->pending_len = f->pending_at = 0;
		if (f->code == -EPIPE && (f->out[0].fd >= 0 || f->out[1].fd >= 0))
			follow_kick(f); /* the other stream is still read */
		else
			follow_finish(f, f->code);
		return;
	case FOLLOW_BLOCKED:
		out_watch(&f->out[f->pending_out], UV_WRITABLE | UV_DISCONNECT);
		return;
	case FOLLOW_MORE:
		follow_kick(f);
		return;
	case FOLLOW_IDLE:
		break;
	}
	if (f->ended) {
		follow_finish(f, 0);
	} else if (f->again) {
		follow_kick(f);
	} else {
		out_watch(&f->out[0], UV_DISCONNECT);
		out_watch(&f->out[1], UV_DISCONNECT);
	}
}

static void follow_work(uv_work_t *work)
{
	follow_job(cow_container_of(work, struct cow_follow, work));
}

static void follow_worked(uv_work_t *work, int status)
{
	struct cow_follow *f = cow_container_of(work, struct cow_follow, work);

	(void)status;
	f->busy = false;
	f->engine->jobs--;
	if (!f->closing) {
		follow_after(f);
		return;
	}
	for (size_t i = 0; i < 2; i++)
		out_close(&f->out[i]);
	follow_free(f);
}

static void follow_kick(struct cow_follow *f)
{
	if (f->busy) {
		f->again = true;
		return;
	}
	f->again = false;
	f->ended = follow_ended(f);
	if (uv_queue_work(f->engine->setup.loop, &f->work, follow_work, follow_worked) < 0) {
		follow_finish(f, -ENOMEM);
		return;
	}
	f->busy = true;
	f->engine->jobs++;
}

void follows_close(struct cow_engine *e)
{
	cow_list_for_safe(l, tmp, &e->follows)
		cow_follow_close(cow_container_of(l, struct cow_follow, of_engine));
}

void log_wake(struct log *log)
{
	cow_list_for_safe(l, tmp, &log->followers) {
		struct cow_follow *f = cow_container_of(l, struct cow_follow, link);

		/* One that waits for its pipe has enough to do. */
		if (f->busy || f->result != FOLLOW_BLOCKED)
			follow_kick(f);
	}
}

void followers_wake(struct container *c)
{
	if (c->log && !cow_list_empty(&c->log->followers) && container_rests(c) && !io_open(c))
		log_wake(c->log);
}

void log_detach(struct container *c)
{
	struct log *log = c->log;

	if (!log)
		return;
	cow_list_for(l, &log->followers)
		cow_container_of(l, struct cow_follow, link)->container = NULL;
	log_wake(log);
	c->log = NULL;
	log_unref(log);
}

void log_drop(struct container *c)
{
	if (c->log && !cow_list_empty(&c->log->followers))
		log_keep(c->log);
	if (c->log)
		log_remove(c->log->path, c->log->files);
	log_detach(c);
}

/* What tail 0 leaves out: all that is there now. */
static void mark_end(struct cow_follow *f)
{
	struct log *log = f->log;
	uint64_t generation = 0;
	int fd = -1;

	f->begin_generation = log->generation;
	f->begin_offset = log->size;
	if (log->fd >= 0 || log->size)
		return;
	for (;;) { /* a predecessor's log, not opened by us yet: its newest file */
		int next = log_open_from(log->path, log->files, generation, &generation);

		if (next < 0)
			break;
		if (fd >= 0)
			(void)close(fd);
		fd = next;
		f->begin_generation = generation++;
	}
	if (fd < 0)
		return;
	f->begin_offset = log_end(fd);
	(void)close(fd);
}

static int follow_new(struct container *c, const struct cow_follow_options *options,
		      struct cow_follow **ret)
{
	struct cow_follow *f = calloc(1, sizeof(*f));

	if (!c->log)
		c->log = log_new(c->state_dir, c->def->log_max_bytes, c->def->log_files);
	if (!f || !c->log) {
		free(f);
		return -ENOMEM;
	}
	f->engine = c->engine;
	f->container = c;
	f->log = log_ref(c->log);
	f->options = *options;
	/* One that is being started, or lives, has the awaited life before it already. */
	f->start_order = c->state == COW_STATE_STOPPED ? c->start_order : UINT64_MAX;
	f->fd = -1;
	cow_list_init(&f->link);
	cow_list_add(&f->engine->follows, &f->of_engine);
	*ret = f;
	return 0;
}

static void follow_take(struct cow_follow *f, unsigned i, int fd)
{
	f->out[i].follow = f;
	f->out[i].fd = fd;
	if (fd >= 0)
		(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

int cow_engine_follow(struct cow_engine *e, const char *key,
		      const struct cow_follow_options *options, int out_fd, int err_fd,
		      void (*done)(void *arg, int code), void *arg, struct cow_follow **ret,
		      struct cow_error *err)
{
	_cleanup_close_ int out = out_fd, errfd = err_fd;
	struct container *c = container_find(e, key, err);
	struct cow_follow *f;

	if (!c)
		return -ENOENT;
	if (follow_new(c, options, &f) < 0)
		return cow_error_set(err, -ENOMEM, "log: out of memory");
	follow_take(f, 0, cow_take_fd(&out));
	follow_take(f, 1, cow_take_fd(&errfd));
	f->done = done;
	f->arg = arg;
	cow_list_add(&f->log->followers, &f->link);
	if (options->tail == 0)
		mark_end(f);
	*ret = f;
	follow_kick(f);
	return 0;
}
