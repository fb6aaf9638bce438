/* SPDX-License-Identifier: MIT */
#include "rootfs/sync.h"

#include "rootfs/cache.h"
#include "common/util.h"

#include <string.h>

#define DELAY_MS 200 /* the host waits for half a second */

struct owner {
	struct owner *next;
	char name[];
};

static struct {
	const struct cowherd_host *host;
	struct cowherd_self *self;
	struct owner *owners; /* whose references are not on the disk yet */
	uint64_t timer;
} sync_state;

void st_sync_init(const struct cowherd_host *host, struct cowherd_self *self)
{
	sync_state.host = host;
	sync_state.self = self;
	sync_state.timer = 0;
}

static int sync_work(void *arg)
{
	struct st_store *store;

	(void)arg;
	return st_cache_opened(&store) ? st_store_sync_refs(store) : 0;
}

static void sync_done(void *arg, int result)
{
	(void)arg;
	if (result < 0 && result != -ECANCELED)
		sync_state.host->log(sync_state.self, COWHERD_LOG_WARN, NULL, "sync",
				     strerror(-result));
}

static bool owners_drop(void)
{
	bool any = sync_state.owners != NULL;

	for (struct owner *o = sync_state.owners, *next; o; o = next) {
		next = o->next;
		free(o);
	}
	sync_state.owners = NULL;
	return any;
}

static void sync_now(void *arg)
{
	(void)arg;
	sync_state.timer = 0;
	if (owners_drop())
		(void)sync_state.host->offload(sync_state.self, sync_work, sync_done, NULL);
}

void st_sync_later(const char *owner)
{
	size_t len = strlen(owner) + 1;
	struct owner *o = malloc(sizeof(*o) + len);

	if (!o)
		return;
	(void)memcpy(o->name, owner, len);
	o->next = sync_state.owners;
	sync_state.owners = o;
	if (!sync_state.timer)
		(void)sync_state.host->timer_start(sync_state.self, DELAY_MS, 0, sync_now, NULL,
						   &sync_state.timer);
}

void st_sync_forget(const char *owner)
{
	for (struct owner **p = &sync_state.owners, *o; (o = *p);) {
		if (strcmp(o->name, owner) != 0) {
			p = &o->next;
			continue;
		}
		*p = o->next;
		free(o);
	}
}

void st_sync_finish(void)
{
	if (owners_drop())
		(void)sync_work(NULL);
}
