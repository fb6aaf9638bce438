/* SPDX-License-Identifier: MIT */
#include "rootfs/ready.h"

#include "rootfs/cache.h"
#include "rootfs/place.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

#define BEGIN_MS 10  /* the container that wants another one after it is started first */
#define KEEP_MS 1000

/* One that is ready, or what it takes to make it. */
struct ready {
	struct st_mark mark;
	char digest[ST_DIGEST_SIZE];
	char *scratch;
	int tree;
};

static struct {
	const struct cowherd_host *host;
	struct cowherd_self *self;
	/* Of the loop. */
	const char *store_dir;
	char digest[ST_DIGEST_SIZE]; /* of the image used last */
	uint64_t timer;
	unsigned wanted; /* since the timer was started */
	bool making;
	/* Of whoever holds it. */
	pthread_mutex_t mutex;
	struct ready *kept;
	struct st_work *work;
} ready = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static void ready_free(struct ready *r)
{
	struct plug_error err;

	if (!r)
		return;
	plug_closep(&r->tree);
	if (r->scratch)
		(void)st_place_remove(r->scratch, &err);
	free(r->scratch);
	free(r);
}

static int free_work(void *arg)
{
	ready_free(arg);
	return 0;
}

static void nothing_done(void *arg, int result)
{
	(void)arg;
	(void)result;
}

/* An unmount waits for the disk. */
static void free_later(struct ready *r)
{
	if (r && ready.host->offload(ready.self, free_work, nothing_done, r) < 0)
		ready_free(r);
}

bool st_ready_take(struct st_part *part, const char *scratch, const char *target)
{
	struct st_store *store;
	struct ready *r;

	if (!st_cache_opened(&store))
		return false;
	(void)pthread_mutex_lock(&ready.mutex);
	r = ready.kept;
	/* Before anybody else, who would remove it, can have it. */
	if (r && (strcmp(r->digest, part->plan.digest) != 0 ||
		  !st_store_unchanged(store, &r->mark) ||
		  renameat2(AT_FDCWD, r->scratch, AT_FDCWD, scratch, RENAME_NOREPLACE) < 0))
		r = NULL;
	if (r)
		ready.kept = NULL;
	(void)pthread_mutex_unlock(&ready.mutex);
	if (!r)
		return false;
	free(r->scratch);
	r->scratch = NULL;
	if (move_mount(r->tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0) {
		free_later(r);
		return false;
	}
	ready_free(r);
	return true;
}

/* ---- on the pool */

struct making {
	struct st_part part; /* nothing but what st_base_tree() looks at */
	struct ready *made;
};

static int work_open(struct making *m, struct st_store *store, char **ret_scratch)
{
	char name[32];
	int r = 0;

	if (!ready.work)
		r = st_work_begin(store, &ready.work, &m->part.err);
	if (r < 0)
		return r;
	st_work_name(ready.work, "ready", name, sizeof(name));
	*ret_scratch = st_work_path(ready.work, name);
	return *ret_scratch ? 0 : -ENOMEM;
}

static int make_work(void *arg)
{
	struct making *m = arg;
	struct ready *made = calloc(1, sizeof(*made));
	struct st_store *store;
	int r = made ? st_cache_store(m->part.store_dir, &store, &m->part.err) : -ENOMEM;

	if (!made)
		return r;
	made->tree = -1;
	if (r == 0) {
		st_store_mark(store, &made->mark);
		r = made->mark.settled ? work_open(m, store, &made->scratch) : -EAGAIN;
	}
	if (r == 0)
		r = st_place_make(made->scratch, 0700, &m->part.err);
	if (r == 0)
		r = st_base_tree(&m->part, made->scratch, &made->tree);
	if (r < 0) {
		ready_free(made);
		return r;
	}
	(void)snprintf(made->digest, sizeof(made->digest), "%s", m->part.plan.digest);
	m->made = made;
	return 0;
}

static void drop_work(void)
{
	struct st_work *work;

	struct ready *r;

	(void)pthread_mutex_lock(&ready.mutex);
	r = ready.kept;
	ready.kept = NULL;
	work = ready.work;
	ready.work = NULL;
	(void)pthread_mutex_unlock(&ready.mutex);
	ready_free(r);
	st_work_end(work);
}

static int give_up_work(void *arg)
{
	(void)arg;
	drop_work();
	return 0;
}

/* ---- on the loop */

static void given_up(void *arg, int result)
{
	(void)arg;
	(void)result;
	ready.making = false;
}

static void make_done(void *arg, int result)
{
	struct making *m = arg;
	struct ready *before;

	ready.making = false;
	if (result == 0) {
		(void)pthread_mutex_lock(&ready.mutex);
		before = ready.kept;
		ready.kept = m->made;
		(void)pthread_mutex_unlock(&ready.mutex);
		free_later(before);
	}
	st_plan_finish(&m->part.plan);
	free(m);
}

static void make_begin(void)
{
	struct making *m = calloc(1, sizeof(*m));

	if (!m)
		return;
	m->part.store_dir = ready.store_dir;
	m->part.plan.root = ST_ROOT_IMAGE;
	m->part.plan.digest = strdup(ready.digest);
	if (m->part.plan.digest &&
	    ready.host->offload(ready.self, make_work, make_done, m) == 0) {
		ready.making = true;
		return;
	}
	st_plan_finish(&m->part.plan);
	free(m);
}

/* And what it was made from is what there is. */
static bool is_kept(const char *digest)
{
	struct st_store *store;
	bool is = st_cache_opened(&store);

	(void)pthread_mutex_lock(&ready.mutex);
	is = is && ready.kept && strcmp(ready.kept->digest, digest) == 0 &&
	     st_store_unchanged(store, &ready.kept->mark);
	(void)pthread_mutex_unlock(&ready.mutex);
	return is;
}

static void timer_start(uint64_t ms, cowherd_timer_cb cb)
{
	if (ready.host->timer_start(ready.self, ms, 0, cb, NULL, &ready.timer) < 0)
		ready.timer = 0;
}

static void idle(void *arg)
{
	(void)arg;
	ready.timer = 0;
	if (ready.making) {
		timer_start(KEEP_MS, idle);
		return;
	}
	ready.digest[0] = '\0';
	/* Nothing else is made while it goes. */
	ready.making = ready.host->offload(ready.self, give_up_work, given_up, NULL) == 0;
}

static void begin(void *arg)
{
	(void)arg;
	ready.timer = 0;
	if (ready.wanted > 1 && !ready.making && !is_kept(ready.digest))
		make_begin();
	timer_start(KEEP_MS, idle);
}

void st_ready_want(const char *digest)
{
	if (strcmp(ready.digest, digest) != 0) {
		(void)snprintf(ready.digest, sizeof(ready.digest), "%s", digest);
		ready.wanted = 0;
	}
	ready.wanted++;
	if (ready.timer)
		ready.host->timer_stop(ready.self, ready.timer);
	timer_start(BEGIN_MS, begin);
}

/* A store with nothing in the making needs not even be opened. */
static int sweep_work(void *arg)
{
	_cleanup_free_ char *tmp = st_path_join(arg, "tmp");
	_cleanup_closedir_ DIR *d = tmp ? opendir(tmp) : NULL;
	struct st_store *store;
	struct plug_error err;
	struct dirent *e = NULL;

	while (d && (e = readdir(d)) && e->d_name[0] == '.')
		;
	if (!e || st_cache_store(arg, &store, &err) < 0)
		return 0;
	return st_store_sweep(store, NULL, &err);
}

static void sweep(void *arg)
{
	(void)arg;
	(void)ready.host->offload(ready.self, sweep_work, nothing_done, (void *)ready.store_dir);
}

void st_ready_init(const struct cowherd_host *host, struct cowherd_self *self, const char *store_dir)
{
	uint64_t timer;

	ready.host = host;
	ready.self = self;
	ready.store_dir = store_dir;
	ready.timer = 0;
	ready.wanted = 0;
	ready.making = false;
	(void)host->timer_start(self, KEEP_MS, 0, sweep, NULL, &timer);
}

void st_ready_finish(void)
{
	drop_work();
	ready.digest[0] = '\0';
}
