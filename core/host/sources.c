/* SPDX-License-Identifier: MIT */
/* What calls a plugin from the loop: its timers, watched descriptors and work on the thread pool. */
#include "base/log.h"
#include "host/internal.h"

#include <errno.h>
#include <stdlib.h>

struct plugin_timer {
	struct cow_list node; /* plugin->timers */
	struct cow_plugin *plugin;
	struct cow_timer timer;
	uint64_t id, repeat_ms;
	cowherd_timer_cb cb;
	void *arg;
};

struct plugin_watch {
	struct cow_list node; /* plugin->watches */
	struct cow_plugin *plugin;
	struct cow_host *host;
	uv_poll_t poll;
	uint64_t id;
	int fd;
	cowherd_fd_cb cb;
	void *arg;
};

struct plugin_job {
	struct cow_list node; /* plugin->jobs */
	struct cow_plugin *plugin;
	uv_work_t req;
	cowherd_work_cb work;
	cowherd_work_done_cb done;
	void *arg;
	int result;
};

/* Timers. */

static void timer_drop(struct plugin_timer *t)
{
	cow_timer_stop(t->plugin->host->setup.timers, &t->timer);
	cow_map_del(&t->plugin->host->timers, t->id);
	cow_list_del(&t->node);
	free(t);
}

static void timer_fired(struct cow_timer *timer, void *arg)
{
	struct plugin_timer *t = arg;
	struct cow_plugin *plugin = t->plugin;
	cowherd_timer_cb cb = t->cb;
	void *cb_arg = t->arg;

	/* Set up again, or gone, before the call: the plugin may stop or start timers in it. */
	if (!t->repeat_ms || cow_timer_start(plugin->host->setup.timers, timer, t->repeat_ms,
					     timer_fired, t) < 0)
		timer_drop(t);
	guard_enter(plugin);
	cb(cb_arg);
	guard_leave(plugin);
}

int calls_timer_start(struct cowherd_self *self, uint64_t after_ms, uint64_t repeat_ms,
		      cowherd_timer_cb cb, void *arg, uint64_t *ret_id)
{
	int rc;
	struct cow_plugin *plugin = calls_enter(self, true, &rc);
	struct plugin_timer *t;

	if (!plugin)
		return rc;
	if (!cb || !ret_id)
		return -EINVAL;
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	*t = (struct plugin_timer){ .plugin = plugin, .id = ++plugin->host->next_id,
				    .repeat_ms = repeat_ms, .cb = cb, .arg = arg };
	cow_list_add(&plugin->timers, &t->node);
	rc = cow_map_put(&plugin->host->timers, t->id, t, 0);
	if (rc == 0)
		rc = cow_timer_start(plugin->host->setup.timers, &t->timer, after_ms, timer_fired, t);
	if (rc < 0) {
		timer_drop(t);
		return rc;
	}
	*ret_id = t->id;
	return 0;
}

void calls_timer_stop(struct cowherd_self *self, uint64_t id)
{
	int rc;
	struct cow_plugin *plugin = calls_enter(self, false, &rc);
	struct cow_map_entry *entry = plugin ? cow_map_get(&plugin->host->timers, id) : NULL;
	struct plugin_timer *t = entry ? entry->value : NULL;

	if (t && t->plugin == plugin)
		timer_drop(t);
}

/* Descriptors. */

static void watch_closed(uv_handle_t *handle)
{
	struct plugin_watch *w = handle->data;

	w->host->open_handles--;
	free(w);
}

static void watch_drop(struct plugin_watch *w)
{
	cow_map_del(&w->host->watches, w->id);
	cow_list_del(&w->node);
	uv_close((uv_handle_t *)&w->poll, watch_closed);
}

static void watch_ready(uv_poll_t *poll, int status, int events)
{
	struct plugin_watch *w = poll->data;
	struct cow_plugin *plugin = w->plugin;
	uint32_t seen = 0;

	if (events & UV_READABLE)
		seen |= COWHERD_FD_READ;
	if (events & UV_WRITABLE)
		seen |= COWHERD_FD_WRITE;
	/* On an error libuv has stopped the watch: the peer is gone. */
	if ((events & UV_DISCONNECT) || status < 0)
		seen |= COWHERD_FD_HANGUP;
	guard_enter(plugin);
	w->cb(w->arg, w->fd, seen);
	guard_leave(plugin);
}

int calls_watch_fd(struct cowherd_self *self, int fd, uint32_t events, cowherd_fd_cb cb, void *arg,
		   uint64_t *ret_id)
{
	int rc, wanted = 0;
	struct cow_plugin *plugin = calls_enter(self, true, &rc);
	struct plugin_watch *w;

	if (!plugin)
		return rc;
	if (fd < 0 || !cb || !ret_id || !events ||
	    (events & ~(COWHERD_FD_READ | COWHERD_FD_WRITE | COWHERD_FD_HANGUP)))
		return -EINVAL;
	wanted |= events & COWHERD_FD_READ ? UV_READABLE : 0;
	wanted |= events & COWHERD_FD_WRITE ? UV_WRITABLE : 0;
	wanted |= events & COWHERD_FD_HANGUP ? UV_DISCONNECT : 0;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	*w = (struct plugin_watch){ .plugin = plugin, .host = plugin->host,
				    .id = ++plugin->host->next_id, .fd = fd, .cb = cb, .arg = arg };
	rc = uv_poll_init(plugin->host->setup.loop, &w->poll, fd);
	if (rc < 0) {
		free(w);
		return rc;
	}
	w->poll.data = w;
	plugin->host->open_handles++;
	cow_list_add(&plugin->watches, &w->node);
	rc = cow_map_put(&plugin->host->watches, w->id, w, 0);
	if (rc == 0)
		rc = uv_poll_start(&w->poll, wanted, watch_ready);
	if (rc < 0) {
		watch_drop(w);
		return rc;
	}
	*ret_id = w->id;
	return 0;
}

void calls_unwatch_fd(struct cowherd_self *self, uint64_t id)
{
	int rc;
	struct cow_plugin *plugin = calls_enter(self, false, &rc);
	struct cow_map_entry *entry = plugin ? cow_map_get(&plugin->host->watches, id) : NULL;
	struct plugin_watch *w = entry ? entry->value : NULL;

	if (w && w->plugin == plugin)
		watch_drop(w);
}

/* Work. */

static void job_work(uv_work_t *req) /* on a pool thread */
{
	struct plugin_job *job = req->data;

	job->result = job->work(job->arg);
}

static void job_done(uv_work_t *req, int status)
{
	struct plugin_job *job = req->data;
	struct cow_plugin *plugin = job->plugin;

	cow_list_del(&job->node);
	plugin->host->open_handles--;
	guard_enter(plugin);
	if (job->done)
		job->done(job->arg, status < 0 ? -ECANCELED : job->result);
	guard_leave(plugin);
	free(job);
}

int calls_offload(struct cowherd_self *self, cowherd_work_cb work, cowherd_work_done_cb done, void *arg)
{
	int rc;
	struct cow_plugin *plugin = calls_enter(self, true, &rc);
	struct plugin_job *job;

	if (!plugin)
		return rc;
	if (!work)
		return -EINVAL;
	job = calloc(1, sizeof(*job));
	if (!job)
		return -ENOMEM;
	*job = (struct plugin_job){ .plugin = plugin, .work = work, .done = done, .arg = arg };
	job->req.data = job;
	rc = uv_queue_work(plugin->host->setup.loop, &job->req, job_work, job_done);
	if (rc < 0) {
		free(job);
		return rc;
	}
	cow_list_add(&plugin->jobs, &job->node);
	plugin->host->open_handles++;
	return 0;
}

void sources_stop(struct cow_plugin *plugin)
{
	cow_list_for_safe(node, tmp, &plugin->timers)
		timer_drop(cow_container_of(node, struct plugin_timer, node));
	cow_list_for_safe(node, tmp, &plugin->watches)
		watch_drop(cow_container_of(node, struct plugin_watch, node));
	cow_list_for(node, &plugin->jobs)
		(void)uv_cancel((uv_req_t *)&cow_container_of(node, struct plugin_job, node)->req);
}
