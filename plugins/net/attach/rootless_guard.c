/* SPDX-License-Identifier: MIT */
/*
 * On the loop: the program of each container is watched, and started again when it ends, until the
 * container's release; after a start of the supervisor, too, by what its predecessor noted.
 */
#include "attach/rootless.h"
#include "attach/state.h"
#include "common/files.h"
#include "common/util.h"
#include "model/json.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define RESTARTS_MAX 5
#define NOTE_MAX 65536

struct guard {
	struct guard *next;
	const struct cowherd_host *host;
	struct cowherd_self *self;
	char *container, *run_dir;
	struct net_rootless_request q;
	struct plug_error err;
	int pidfd;
	uint64_t watch;
	unsigned restarts;
	bool working, gone;
	bool known;   /* it was started by us, or has been adopted */
	bool started; /* by the work that has just ended */
};

static struct guard *guards;

static void guard_free(struct guard *g)
{
	if (g->watch)
		g->host->unwatch_fd(g->self, g->watch);
	plug_closep(&g->pidfd);
	net_rootless_request_finish(&g->q);
	free(g->container);
	free(g->run_dir);
	free(g);
}

static void guard_watch(struct guard *g, pid_t pid);

/* Ours now.  Where the holder ended, without a supervisor, another one is made for the next start. */
static int adopt(struct guard *g)
{
	pid_t holder;
	int r = net_rootless_adopt(g->q.dir);

	if (r < 0)
		return plug_error_errno(&g->err, r, "%s", g->q.dir);
	if (net_rootless_holder(g->q.dir, &holder) < 0)
		r = net_rootless_hold(g->q.dir, &holder, &g->err);
	if (r == 0)
		net_rootless_request_holder(&g->q, holder);
	g->known = r == 0;
	return r;
}

/* The program's pid. */
static int guard_work(void *arg)
{
	struct guard *g = arg;
	bool known = g->known;
	pid_t pid;
	int r = known ? 0 : adopt(g);

	g->started = false;
	if (r == 0 && !known && net_rootless_find(g->q.dir, &pid) == 0)
		return pid;
	if (r == 0)
		r = net_rootless_start(&g->q.q, &pid, &g->err);
	g->started = r == 0;
	return r < 0 ? r : pid;
}

/* The release came while it was being started again, and may not have seen it. */
static int guard_end_work(void *arg)
{
	struct guard *g = arg;

	return net_rootless_stop(g->q.dir, NULL);
}

static void guard_end_done(void *arg, int result)
{
	(void)result;
	guard_free(arg);
}

static void guard_done(void *arg, int result)
{
	struct guard *g = arg;

	g->working = false;
	if (g->gone) {
		if (g->host->offload(g->self, guard_end_work, guard_end_done, g) < 0)
			guard_free(g);
		return;
	}
	if (result < 0)
		g->host->log(g->self, COWHERD_LOG_ERROR, g->container, "net.rootless", g->err.text);
	else if (g->started)
		g->host->log(g->self, COWHERD_LOG_WARN, g->container, "net.rootless",
			     "the program that carries its packets had ended: started again");
	if (result > 0)
		guard_watch(g, result);
}

static void guard_cb(void *arg, int fd, uint32_t events)
{
	struct guard *g = arg;
	siginfo_t info;

	(void)events;
	g->host->unwatch_fd(g->self, g->watch);
	g->watch = 0;
	(void)waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG);
	plug_closep(&g->pidfd);
	g->pidfd = -1;
	if (g->restarts++ < RESTARTS_MAX && g->host->offload(g->self, guard_work, guard_done, g) == 0)
		g->working = true;
	else
		g->host->log(g->self, COWHERD_LOG_ERROR, g->container, "net.rootless",
			     "the program that carries its packets has ended, and not for the first time");
}

static void guard_watch(struct guard *g, pid_t pid)
{
	g->pidfd = (int)syscall(SYS_pidfd_open, pid, 0u);
	if (g->pidfd >= 0)
		(void)g->host->watch_fd(g->self, g->pidfd, COWHERD_FD_READ, guard_cb, g, &g->watch);
}

static struct guard *guard_new(const struct cowherd_host *host, struct cowherd_self *self,
			       const char *container, const char *run_dir)
{
	struct guard *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	*g = (struct guard){ .host = host, .self = self, .pidfd = -1 };
	g->container = strdup(container);
	g->run_dir = strdup(run_dir);
	if (g->container && g->run_dir)
		return g;
	guard_free(g);
	return NULL;
}

int net_rootless_guard(const struct cowherd_host *host, struct cowherd_self *self,
		       const struct net_part *part, struct plug_error *err)
{
	struct guard *g = guard_new(host, self, part->plan.container, part->run_dir);
	pid_t holder, pid;
	int r = g ? 0 : -ENOMEM;

	if (r < 0)
		return plug_error_errno(err, r, "network");
	r = net_rootless_request_make(&g->q, part->rootless, part->run_dir, &part->plan.ports, err);
	if (r == 0)
		r = net_rootless_find(g->q.dir, &pid);
	if (r == 0)
		r = net_rootless_holder(g->q.dir, &holder);
	if (r < 0) {
		guard_free(g);
		return r;
	}
	net_rootless_request_holder(&g->q, holder);
	g->known = true;
	g->next = guards;
	guards = g;
	guard_watch(g, pid);
	return 0;
}

/* ---- after a start */

char *net_rootless_notes(void)
{
	char *path;

	return asprintf(&path, "%s/net/rootless", net_state_run_dir()) < 0 ? NULL : path;
}

/* What the predecessor noted, as guards that watch nothing yet. */
struct beginning {
	const struct cowherd_host *host;
	struct cowherd_self *self;
	struct guard *found;
};

/* Releases that came while the notes were being read. */
static struct {
	bool reading;
	struct net_strv released;
} early;

static int note_parse(struct beginning *b, const char *container, struct json_object *o, struct guard **ret)
{
	__attribute__((cleanup(net_strv_finish))) struct net_strv ports = { 0 };
	struct json_object *list = NULL;
	const char *run_dir = NULL, *name = NULL;
	enum net_rootless_kind kind = NET_ROOTLESS_ANY;
	struct guard *g;
	int r = net_json_string(o, "run_dir", &run_dir, NULL) ?: net_json_string(o, "kind", &name, NULL) ?:
		net_json_array(o, "ports", &list, NULL);

	for (size_t i = 0; r == 0 && i < plug_json_length(list); i++)
		r = net_strv_add(&ports, json_object_get_string(json_object_array_get_idx(list, i)));
	if (r == 0)
		r = run_dir && name ? net_rootless_kind_parse(name, &kind) : -EBADMSG;
	g = r == 0 ? guard_new(b->host, b->self, container, run_dir) : NULL;
	if (!g)
		return r < 0 ? r : -ENOMEM;
	r = net_rootless_request_make(&g->q, kind, run_dir, &ports, NULL);
	if (r < 0)
		guard_free(g);
	else
		*ret = g;
	return r;
}

static struct guard *note_read(struct beginning *b, int dir, const char *name)
{
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	_cleanup_json_ struct json_object *o = NULL;
	_cleanup_free_ char *text = NULL;
	struct guard *g = NULL;
	size_t size;

	if (fd < 0 || plug_file_read(fd, NOTE_MAX, &text, &size) < 0 ||
	    plug_json_parse(text, size, name, &o, NULL) < 0 || note_parse(b, name, o, &g) < 0)
		return NULL;
	return g;
}

static int begin_work(void *arg)
{
	struct beginning *b = arg;
	_cleanup_free_ char *path = net_rootless_notes();
	_cleanup_closedir_ DIR *d = path ? opendir(path) : NULL;
	struct dirent *e;

	while (d && (e = readdir(d))) {
		struct guard *g = *e->d_name == '.' ? NULL : note_read(b, dirfd(d), e->d_name);

		if (!g)
			continue;
		g->next = b->found;
		b->found = g;
	}
	return 0;
}

static void begin_done(void *arg, int result)
{
	struct beginning *b = arg;

	for (struct guard *g = b->found, *next; g; g = next) {
		next = g->next;
		g->working = result != -ECANCELED && !net_strv_has(&early.released, g->run_dir) &&
			     b->host->offload(b->self, guard_work, guard_done, g) == 0;
		if (!g->working) {
			guard_free(g);
			continue;
		}
		g->next = guards;
		guards = g;
	}
	early.reading = false;
	net_strv_finish(&early.released);
	free(b);
}

void net_rootless_begin(const struct cowherd_host *host, struct cowherd_self *self)
{
	struct beginning *b = calloc(1, sizeof(*b));

	if (!b)
		return;
	*b = (struct beginning){ host, self, NULL };
	early.reading = host->offload(self, begin_work, begin_done, b) == 0;
	if (!early.reading)
		free(b);
}

/* ---- the end */

static void guard_leave(struct guard *g)
{
	g->gone = true;
	if (!g->working)
		guard_free(g);
}

void net_rootless_unguard(const char *run_dir)
{
	if (early.reading)
		(void)net_strv_add(&early.released, run_dir);
	for (struct guard **p = &guards, *g; (g = *p); p = &g->next) {
		if (strcmp(g->run_dir, run_dir) != 0)
			continue;
		*p = g->next;
		guard_leave(g);
		return;
	}
}

void net_rootless_unguard_all(void)
{
	while (guards)
		net_rootless_unguard(guards->run_dir);
}
