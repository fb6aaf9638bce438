/* SPDX-License-Identifier: MIT */
#include "server/internal.h"

#include "base/cleanup.h"
#include "base/ids.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/vfs.h>

static void server_free(struct cow_server *s)
{
	free(s->owner);
	free(s->run_root);
	free(s->state_root);
	free(s->path);
	free(s->chunk);
	free(s);
}

void server_free_if_unused(struct cow_server *s)
{
	if (s->closed && s->requests == 0)
		server_free(s);
}

void server_handle_closed(struct cow_server *s)
{
	void (*done)(void *arg) = s->close_done;
	void *arg = s->close_arg;

	if (--s->handles > 0)
		return;
	verb_abandon_orphans(s);
	s->closed = true;
	server_free_if_unused(s);
	if (done)
		done(arg);
}

static void handle_closed_cb(uv_handle_t *handle)
{
	server_handle_closed(handle->data);
}

static bool peer_allowed(int fd, uid_t *ret_uid)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return false;
	*ret_uid = cred.uid;
	return cred.uid == 0 || cred.uid == geteuid();
}

static void server_take(struct cow_server *s, int fd)
{
	struct conn *c;
	uid_t uid = 0;

	if (!peer_allowed(fd, &uid)) {
		server_refuse(fd, -EACCES,
			      "the control socket is for root and the supervisor's own user");
	} else if (s->conn_count >= s->conn_max) {
		server_refuse(fd, -EBUSY, "too many connections: close one and try again");
	} else {
		(void)conn_open(s, fd, uid, &c); /* fails for memory only, and closes fd then */
		return;
	}
	(void)close(fd);
}

static int spare_open(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* No descriptor is left for a connection: tell the client with the one kept for that. */
static void server_take_spare(struct cow_server *s)
{
	int fd;

	if (s->spare_fd < 0)
		return;
	(void)close(s->spare_fd);
	fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0) {
		server_refuse(fd, -EMFILE, "the supervisor has no file descriptors left");
		(void)close(fd);
	}
	s->spare_fd = spare_open();
}

static void listen_cb(uv_poll_t *handle, int status, int events)
{
	struct cow_server *s = handle->data;

	(void)events;
	if (status < 0)
		return;
	for (int i = 0; i < 16; i++) {
		int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0)
			server_take(s, fd);
		else if (errno == EMFILE || errno == ENFILE)
			server_take_spare(s);
		else if (errno != EINTR && errno != ECONNABORTED)
			return;
	}
	if (s->spare_fd < 0)
		s->spare_fd = spare_open();
}

static const char *cgroup_layout(void)
{
	struct statfs fs;

	if (statfs("/sys/fs/cgroup", &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC)
		return "v2";
	if (statfs("/sys/fs/cgroup/unified", &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC)
		return "hybrid";
	return "v1";
}

static struct cow_server *server_new(const struct cow_server_setup *setup)
{
	struct cow_server *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->loop = setup->loop;
	s->timers = setup->timers;
	s->ops = setup->ops;
	s->engine = setup->engine;
	s->host = setup->host;
	s->callbacks = setup->callbacks;
	s->conn_max = setup->max_connections ? setup->max_connections : SERVER_CONNECTIONS;
	s->started_ms = cow_monotonic_ms();
	s->cgroup = cgroup_layout();
	s->fd = s->spare_fd = -1;
	cow_list_init(&s->conns);
	cow_list_init(&s->orphans);
	s->owner = strdup(setup->owner ? setup->owner : "");
	s->run_root = strdup(setup->run_root ? setup->run_root : "");
	s->state_root = strdup(setup->state_root ? setup->state_root : "");
	s->path = setup->socket_path ? strdup(setup->socket_path) : NULL;
	s->chunk = malloc(CONN_READ_BYTES);
	if (s->owner && s->run_root && s->state_root && s->chunk &&
	    (s->path || !setup->socket_path))
		return s;
	server_free(s);
	return NULL;
}

static int server_open(struct cow_server *s, struct cow_error *err)
{
	int r;

	if (!s->path)
		return 0;
	r = server_listen(s->path, &s->fd, &s->dev, &s->ino, err);
	if (r < 0)
		return r;
	s->spare_fd = spare_open();
	r = uv_poll_init(s->loop, &s->poll, s->fd);
	if (r < 0) {
		server_unlink(s->path, s->dev, s->ino);
		(void)close(s->fd);
		if (s->spare_fd >= 0)
			(void)close(s->spare_fd);
		return cow_error_errno(err, r, "%s: poll", s->path);
	}
	s->poll.data = s;
	s->handles++;
	return 0;
}

int cow_server_create(const struct cow_server_setup *setup, struct cow_server **ret,
		      struct cow_error *err)
{
	struct cow_server *s = server_new(setup);
	int r;

	if (!s)
		return cow_error_errno(err, -ENOMEM, "control socket");
	r = server_open(s, err);
	if (r < 0) {
		server_free(s);
		return r;
	}
	/* Neither of these can fail: the handles are initialised, the poll has its callback. */
	(void)uv_idle_init(s->loop, &s->anchor);
	s->anchor.data = s;
	s->handles++;
	cow_engine_on_progress(s->engine, verb_progress, s);
	if (s->path)
		(void)uv_poll_start(&s->poll, UV_READABLE, listen_cb);
	*ret = s;
	return 0;
}

void cow_server_close(struct cow_server *s, void (*done)(void *arg), void *arg)
{
	if (s->closing)
		return;
	s->closing = true;
	cow_engine_on_progress(s->engine, NULL, NULL);
	s->close_done = done;
	s->close_arg = arg;
	cow_list_for_safe(e, next, &s->conns)
		conn_doom((struct conn *)e);
	if (s->path) {
		server_unlink(s->path, s->dev, s->ino);
		uv_close((uv_handle_t *)&s->poll, handle_closed_cb);
		(void)close(s->fd);
		if (s->spare_fd >= 0)
			(void)close(s->spare_fd);
	}
	uv_close((uv_handle_t *)&s->anchor, handle_closed_cb);
}
