/* SPDX-License-Identifier: MIT */
#include "disk/watch.h"

#include "disk/attach.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct watched {
	struct watched *next;
	char token[40];
	int fd;
	uint64_t id; /* 0: not watched */
	bool told;   /* that it has ended */
};

struct look {
	char *dir;
	bool sweep;
	struct st_daemon *daemons;
	size_t count;
	char error[256];
};

static struct {
	const struct cowherd_host *host;
	struct cowherd_self *self;
	char *dir;
	struct watched *all;
	bool looking, again;
} watch;

static void look_begin(bool sweep);

static void watched_end(struct watched *w)
{
	if (w->id)
		watch.host->unwatch_fd(watch.self, w->id);
	if (w->fd >= 0)
		(void)close(w->fd);
	w->id = 0;
	w->fd = -1;
}

static struct watched *watched_find(const char *token)
{
	for (struct watched *w = watch.all; w; w = w->next)
		if (strcmp(w->token, token) == 0)
			return w;
	return NULL;
}

/* It has ended: because its disk was released, or by itself; the table knows. */
static void ended(void *arg, int fd, uint32_t events)
{
	(void)fd;
	(void)events;
	watched_end(arg);
	st_disk_watch_look();
}

static void tell(const struct st_daemon *d)
{
	char container[256], text[1024];

	(void)snprintf(container, sizeof(container), "%.*s", (int)strcspn(d->owner, "/"), d->owner);
	(void)snprintf(text, sizeof(text),
		       "%.700s: the qemu-storage-daemon behind it has ended: reads and writes fail for "
		       "all who use it (%u)",
		       d->path, d->refs);
	watch.host->log(watch.self, COWHERD_LOG_ERROR, container, "disk.lost", text);
}

/* One that is in the table. */
static void seen(struct st_daemon *d)
{
	struct watched *w = watched_find(d->token);

	if (!w) {
		w = calloc(1, sizeof(*w));
		if (!w)
			return; /* the next look may have better luck */
		memcpy(w->token, d->token, sizeof(w->token));
		w->fd = -1;
		w->next = watch.all;
		watch.all = w;
	}
	if (d->pidfd < 0) {
		watched_end(w);
		if (!w->told)
			tell(d);
		w->told = true;
	} else if (!w->id) {
		if (watch.host->watch_fd(watch.self, d->pidfd, COWHERD_FD_READ, ended, w, &w->id) == 0) {
			w->fd = d->pidfd;
			d->pidfd = -1;
		}
	}
}

static void drop_gone(const struct look *l)
{
	for (struct watched **p = &watch.all; *p;) {
		struct watched *w = *p;
		size_t i = 0;

		while (i < l->count && strcmp(l->daemons[i].token, w->token) != 0)
			i++;
		if (i < l->count) {
			p = &w->next;
			continue;
		}
		*p = w->next;
		watched_end(w);
		free(w);
	}
}

static int look_work(void *arg)
{
	struct look *l = arg;
	int r = l->sweep ? st_attach_sweep(l->dir, l->error, sizeof(l->error)) : 0;

	return st_attach_daemons(l->dir, &l->daemons, &l->count) ?: r;
}

static void look_free(struct look *l)
{
	st_daemons_free(l->daemons, l->count);
	free(l->dir);
	free(l);
}

static void look_done(void *arg, int result)
{
	struct look *l = arg;

	watch.looking = false;
	if (watch.dir) {
		for (size_t i = 0; i < l->count; i++)
			seen(&l->daemons[i]);
		if (result == 0)
			drop_gone(l);
		else if (result != -ECANCELED)
			watch.host->log(watch.self, COWHERD_LOG_WARN, NULL, "disk.sweep",
					*l->error ? l->error : strerror(-result));
	}
	look_free(l);
	if (watch.dir && watch.again)
		look_begin(false);
}

static void look_begin(bool sweep)
{
	struct look *l = calloc(1, sizeof(*l));

	watch.again = false;
	if (!l)
		return;
	l->sweep = sweep;
	l->dir = strdup(watch.dir);
	watch.looking = l->dir && watch.host->offload(watch.self, look_work, look_done, l) == 0;
	if (!watch.looking)
		look_free(l);
}

void st_disk_watch_look(void)
{
	watch.again = true;
	if (watch.dir && !watch.looking)
		look_begin(false);
}

void st_disk_watch_released(void)
{
	if (watch.all)
		st_disk_watch_look();
}

void st_disk_watch_init(const struct cowherd_host *host, struct cowherd_self *self, const char *dir)
{
	watch.host = host;
	watch.self = self;
	watch.looking = false;
	watch.dir = strdup(dir);
	if (watch.dir && access(dir, F_OK) == 0)
		look_begin(true);
}

void st_disk_watch_finish(void)
{
	const struct look none = { .count = 0 };

	drop_gone(&none);
	free(watch.dir);
	watch.dir = NULL;
}
