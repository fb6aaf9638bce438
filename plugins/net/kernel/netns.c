/* SPDX-License-Identifier: MIT */
#include "kernel/netns.h"

#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define STACK (256u << 10)

struct call {
	int (*cb)(void *arg);
	void *arg;
	int netns; /* -1: a new one */
	int result;
};

static void *call_run(void *arg)
{
	struct call *call = arg;
	int r = call->netns < 0 ? unshare(CLONE_NEWNET) : setns(call->netns, CLONE_NEWNET);

	call->result = r < 0 ? -errno : call->cb(call->arg);
	return NULL;
}

/* On a thread that ends with it: one that could not come back must not serve anybody else. */
static int call_inside(struct call *call)
{
	pthread_attr_t attr;
	sigset_t all, old;
	pthread_t thread;
	int r = pthread_attr_init(&attr);

	if (r != 0)
		return -r;
	(void)pthread_attr_setstacksize(&attr, STACK);
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&thread, &attr, call_run, call);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	(void)pthread_attr_destroy(&attr);
	if (r != 0)
		return -r;
	(void)pthread_join(thread, NULL);
	return call->result;
}

int net_ns_call(int netns, int (*cb)(void *arg), void *arg)
{
	struct call call = { .cb = cb, .arg = arg, .netns = netns };

	return netns < 0 ? -EBADF : call_inside(&call);
}

static int lo_up(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	return ioctl(fd, SIOCSIFFLAGS, &request) < 0 ? -errno : 0;
}

/* As docker has it: the ports below 1024 are the container's own, whoever it runs as. */
static void ports_free(void)
{
	_cleanup_close_ int fd =
		open("/proc/sys/net/ipv4/ip_unprivileged_port_start", O_WRONLY | O_CLOEXEC);

	if (fd >= 0)
		(void)plug_write_all(fd, "0", 1);
}

struct making {
	const char *path;
	int fd;
};

static int make_inside(void *arg)
{
	struct making *m = arg;
	int r = lo_up();

	ports_free();
	if (r == 0 && mount("/proc/thread-self/ns/net", m->path, NULL, MS_BIND, NULL) < 0)
		r = -errno;
	if (r < 0)
		return r;
	m->fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	return m->fd < 0 ? -errno : 0;
}

static int file_make(const char *path, struct plug_error *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);

	if (fd < 0)
		return plug_error_errno(err, -errno, "network namespace %s", path);
	(void)close(fd);
	return 0;
}

int net_ns_make(const char *path, int *ret_fd, struct plug_error *err)
{
	struct making making = { .path = path, .fd = -1 };
	struct call call = { .cb = make_inside, .arg = &making, .netns = -1 };
	int r = file_make(path, err);

	if (r < 0)
		return r;
	r = call_inside(&call);
	if (r < 0) {
		(void)umount2(path, MNT_DETACH);
		(void)unlink(path);
		return plug_error_errno(err, r, "network namespace %s", path);
	}
	if (ret_fd)
		*ret_fd = plug_take_fd(&making.fd);
	else
		(void)close(making.fd);
	return 0;
}

int net_ns_open(const char *path, struct plug_error *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct statfs st;

	if (fd < 0)
		return plug_error_errno(err, -errno, "network namespace %s", path);
	if (fstatfs(fd, &st) < 0 || st.f_type != NSFS_MAGIC || ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET)
		return plug_error_set(err, -EINVAL, "%s: is not a network namespace", path);
	return plug_take_fd(&fd);
}

int net_ns_move(const char *from, const char *to, struct plug_error *err)
{
	int r = file_make(to, err);

	if (r < 0)
		return r;
	/* Beneath a shared mount nothing can be moved: bind once more, let go of the first. */
	if (mount(from, to, NULL, MS_BIND, NULL) < 0) {
		r = plug_error_errno(err, -errno, "network namespace %s", to);
		(void)unlink(to);
		return r;
	}
	return net_ns_delete(from, err);
}

int net_ns_delete(const char *path, struct plug_error *err)
{
	/* EINVAL: nothing is bound; the file may be there. */
	if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && errno != EINVAL && errno != ENOENT)
		return plug_error_errno(err, -errno, "network namespace %s", path);
	if (unlink(path) < 0 && errno != ENOENT)
		return plug_error_errno(err, -errno, "network namespace %s", path);
	return 0;
}

bool net_ns_is_bound(const char *path)
{
	struct statfs st;

	return statfs(path, &st) == 0 && st.f_type == NSFS_MAGIC;
}
