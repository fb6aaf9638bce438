/* SPDX-License-Identifier: MIT */
#include "cli/supervise_place.h"

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/ids.h"
#include "cli/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define SOCKET_SCHEME "unix://"

static char *choose_path(const char *given, const char *configured, const char *otherwise)
{
	_cleanup_free_ char *cwd = getcwd(NULL, 0);

	return cow_fs_absolute(cwd ? cwd : "/", given	     ? given
						: configured ? configured
							     : otherwise);
}

static int choose_socket(struct cow_place *place, const char *host, struct cow_error *err)
{
	if (!host)
		place->socket = cow_fs_join(place->root, "cowherd.sock");
	else if (strncmp(host, SOCKET_SCHEME "/", sizeof(SOCKET_SCHEME)) == 0)
		place->socket = strdup(host + strlen(SOCKET_SCHEME));
	else if (*host == '/')
		place->socket = strdup(host);
	else
		return cow_error_set(err, -EINVAL, "host %s: not unix:///PATH", host);
	return place->socket ? 0 : cow_error_errno(err, -ENOMEM, "host");
}

int cow_place_init(struct cow_place *place, const struct cow_supervise_options *o,
		   const struct cow_config *config, struct cow_error *err)
{
	const char *plugins = o->plugin_dir ? o->plugin_dir : config->plugins_dir;

	*place = (struct cow_place){ .lock = -1 };
	place->root = choose_path(o->root, config->root, "/run/cowherd");
	place->state = choose_path(o->state, config->state, "/var/lib/cowherd");
	place->plugins = cow_paths_plugin_dir(plugins);
	place->libexec = cow_paths_libexec_dir();
	if (!place->root || !place->state || !place->plugins || !place->libexec)
		return cow_error_errno(err, -ENOMEM, "directories");
	return choose_socket(place, o->host ? o->host : config->host, err);
}

void cow_place_finish(struct cow_place *place)
{
	free(place->root);
	free(place->state);
	free(place->socket);
	free(place->plugins);
	free(place->libexec);
	*place = (struct cow_place){ .lock = -1 };
}

/*
 * A record lock: it ends with this process and is not inherited by a container that is being
 * launched, as a lock of the open file would be.
 */
static int lock_file(int fd, const char *root, struct cow_error *err)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct flock owner = lock;

	if (fcntl(fd, F_SETLK, &lock) == 0)
		return 0;
	if (errno != EAGAIN && errno != EACCES)
		return cow_error_errno(err, -errno, "%s/lock", root);
	if (fcntl(fd, F_GETLK, &owner) == 0 && owner.l_type != F_UNLCK)
		return cow_error_set(err, -EBUSY, "%s: a supervisor runs there already, process %d",
				     root, (int)owner.l_pid);
	return cow_error_set(err, -EBUSY, "%s: a supervisor runs there already", root);
}

static int take_lock(struct cow_place *place, struct cow_error *err)
{
	_cleanup_free_ char *path = cow_fs_join(place->root, "lock");
	char text[128] = "", mine[128];
	struct stat st;
	int r;

	if (!path)
		return cow_error_errno(err, -ENOMEM, "lock");
	for (;;) {
		_cleanup_close_ int fd =
			open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

		if (fd < 0)
			return cow_error_errno(err, -errno, "%s", path);
		r = lock_file(fd, place->root, err);
		if (r < 0)
			return r;
		/* Its last owner may have removed the file between our open and our lock. */
		if (fstat(fd, &st) == 0 && st.st_nlink > 0) {
			place->lock = cow_take_fd(&fd);
			break;
		}
	}
	if (read(place->lock, text, sizeof(text) - 1) > 0)
		place->crashed = *cow_boot_id() && strstr(text, cow_boot_id());
	(void)snprintf(mine, sizeof(mine), "%d %s\n", (int)getpid(), cow_boot_id());
	if (ftruncate(place->lock, 0) < 0 || pwrite(place->lock, mine, strlen(mine), 0) < 0)
		return cow_error_errno(err, -errno, "%s", path);
	return 0;
}

int cow_place_take(struct cow_place *place, struct cow_error *err)
{
	const char *dirs[] = { place->root, place->state };

	for (size_t i = 0; i < COW_ELEMENTS(dirs); i++) {
		int r = cow_fs_mkdirs(dirs[i], 0700);

		if (r < 0)
			return cow_error_errno(err, r, "%s", dirs[i]);
	}
	return take_lock(place, err);
}

static void remove_empty(const char *dir, const char *sub)
{
	_cleanup_free_ char *path = cow_fs_join(dir, sub);

	if (path)
		(void)rmdir(path);
}

void cow_place_release(struct cow_place *place, bool remove)
{
	_cleanup_free_ char *path = NULL;

	if (place->lock < 0)
		return;
	if (remove) {
		path = cow_fs_join(place->root, "lock");
		remove_empty(place->root, "containers");
		remove_empty(place->state, "containers");
		if (path)
			(void)unlink(path);
		(void)rmdir(place->root);
		(void)rmdir(place->state);
	} else {
		/* Empty: it ended as it should. */
		(void)!ftruncate(place->lock, 0);
	}
	(void)close(place->lock);
	place->lock = -1;
}

#define FDS_MIN 32 /* libuv aborts where its own do not open */

int cow_process_prepare(struct cow_error *err)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return cow_error_errno(err, -errno, "RLIMIT_NOFILE");
	if (files.rlim_max < FDS_MIN)
		return cow_error_set(err, -EMFILE,
				     "RLIMIT_NOFILE: %llu descriptors, and a supervisor needs %d",
				     (unsigned long long)files.rlim_max, FDS_MIN);
	if (files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	/*
	 * The heap of a supervisor is small and long-lived: arenas of the threads would be most of
	 * it.  And a backend keeps the heap out of what it clones, which it can only where it is one.
	 */
	(void)mallopt(M_ARENA_MAX, 1);
	(void)mallopt(M_TRIM_THRESHOLD, 128 << 10);
	/* Launching waits in the kernel more than it computes. */
	(void)setenv("UV_THREADPOOL_SIZE", "8", 0);
	(void)umask(022);
	return 0;
}

#define PARALLEL_MAX 16
#define LAUNCH_FDS 24 /* a launch under way has about that many descriptors */

uint32_t cow_process_parallel(void)
{
	struct rlimit files;
	rlim_t n = PARALLEL_MAX;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur / LAUNCH_FDS < n)
		n = files.rlim_cur / LAUNCH_FDS;
	return n ? (uint32_t)n : 1;
}

int cow_process_reopen(int fd)
{
	char path[64];
	struct stat st;

	if (fstat(fd, &st) < 0 || (!S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode)))
		return -1;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
}

void cow_process_notify(const char *state)
{
	const char *where = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = -1;
	size_t n = where ? strlen(where) : 0;

	if (n < 2 || n >= sizeof(to.sun_path) || (*where != '/' && *where != '@'))
		return;
	memcpy(to.sun_path, where, n);
	if (*where == '@')
		to.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0)
		(void)!sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&to,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
}
