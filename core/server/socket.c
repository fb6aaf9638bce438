/* SPDX-License-Identifier: MIT */
#include "server/internal.h"

#include "base/cleanup.h"
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#define LOCK_TRIES 50
#define LOCK_PAUSE_NS 10000000L

/*
 * sun_path has 108 bytes.  Whatever the length of the directory, the socket's own name is reached
 * through the directory's descriptor.
 */
static int socket_address(int dirfd, const char *path, const char *name, struct sockaddr_un *ret)
{
	int n;

	memset(ret, 0, sizeof(*ret));
	ret->sun_family = AF_UNIX;
	if (strlen(path) < sizeof(ret->sun_path))
		n = snprintf(ret->sun_path, sizeof(ret->sun_path), "%s", path);
	else
		n = snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/%s", dirfd,
			     name);
	return n < 0 || (size_t)n >= sizeof(ret->sun_path) ? -ENAMETOOLONG : 0;
}

static int socket_new(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? -errno : fd;
}

/* 0: nobody is behind it any more, or it is not there; -EADDRINUSE: somebody answers. */
static int socket_is_stale(const struct sockaddr_un *address)
{
	_cleanup_close_ int fd = socket_new();

	if (fd < 0)
		return fd;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN)
		return -EADDRINUSE;
	return errno == ECONNREFUSED || errno == ENOENT ? 0 : -errno;
}

static int socket_clear_place(int dirfd, const char *path, const char *name,
			      const struct sockaddr_un *address, struct cow_error *err)
{
	struct stat st;
	int r;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : cow_error_errno(err, -errno, "%s", path);
	if (!S_ISSOCK(st.st_mode))
		return cow_error_set(err, -EEXIST, "%s: exists and is not a socket", path);
	r = socket_is_stale(address);
	if (r == -EADDRINUSE)
		return cow_error_set(err, r, "%s: another supervisor answers there", path);
	if (r < 0)
		return cow_error_errno(err, r, "%s", path);
	if (unlinkat(dirfd, name, 0) < 0 && errno != ENOENT)
		return cow_error_errno(err, -errno, "%s", path);
	return 0;
}

/* Two that start at once must not take each other's new socket for a stale one. */
static int directory_lock(int dirfd)
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		if (flock(dirfd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK)
			return -errno;
		(void)nanosleep(&(struct timespec){ .tv_nsec = LOCK_PAUSE_NS }, NULL);
	}
	return -EBUSY;
}

static int socket_bind(int dirfd, const char *path, const char *name, struct cow_error *err)
{
	_cleanup_close_ int fd = -1;
	struct sockaddr_un address;
	int r;

	r = socket_address(dirfd, path, name, &address);
	if (r < 0)
		return cow_error_set(err, r, "%s: the socket's name is too long", path);
	r = socket_clear_place(dirfd, path, name, &address, err);
	if (r < 0)
		return r;
	fd = socket_new();
	if (fd < 0)
		return cow_error_errno(err, fd, "%s: socket", path);
	/*
	 * bind(2) makes the file with the mode of the socket: never open to others, not for a
	 * moment.
	 */
	if (fchmod(fd, 0600) < 0 ||
	    bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return cow_error_errno(err, -errno, "%s: bind", path);
	if (listen(fd, SOMAXCONN) < 0) {
		r = -errno;
		(void)unlinkat(dirfd, name, 0);
		return cow_error_errno(err, r, "%s: listen", path);
	}
	return cow_take_fd(&fd);
}

static int directory_open(const char *path, const char *slash, struct cow_error *err)
{
	_cleanup_free_ char *dir =
		slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
	int r, fd;

	if (!dir)
		return cow_error_errno(err, -ENOMEM, "%s", path);
	r = cow_fs_mkdirs(dir, 0700);
	if (r < 0)
		return cow_error_errno(err, r, "%s", dir);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? cow_error_errno(err, -errno, "%s", dir) : fd;
}

int server_listen(const char *path, int *ret_fd, dev_t *ret_dev, ino_t *ret_ino,
		  struct cow_error *err)
{
	const char *slash = strrchr(path, '/');
	_cleanup_close_ int dirfd = -1;
	struct stat st;
	int r, fd;

	if (path[0] != '/' || !slash[1])
		return cow_error_set(err, -EINVAL, "%s: not an absolute path of a socket", path);
	dirfd = directory_open(path, slash, err);
	if (dirfd < 0)
		return dirfd;
	r = directory_lock(dirfd);
	if (r < 0)
		return cow_error_errno(err, r, "%s: lock of its directory", path);
	fd = socket_bind(dirfd, path, slash + 1, err);
	if (fd < 0)
		return fd;
	if (fstatat(dirfd, slash + 1, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		r = -errno;
		(void)close(fd);
		return cow_error_errno(err, r, "%s", path);
	}
	*ret_fd = fd;
	*ret_dev = st.st_dev;
	*ret_ino = st.st_ino;
	return 0;
}

void server_unlink(const char *path, dev_t dev, ino_t ino)
{
	struct stat st;

	if (lstat(path, &st) == 0 && st.st_dev == dev && st.st_ino == ino)
		(void)unlink(path);
}

void server_refuse(int fd, int code, const char *message)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf b = COW_STRBUF_INIT;

	cow_strbuf_addf(
		&b, "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":%d,\"message\":", code);
	cow_strbuf_json(&b, message);
	cow_strbuf_addf(&b, ",\"data\":{\"name\":\"%s\",\"step\":\"\",\"txn\":\"\"}}}\n",
			rpc_code_name(code));
	if (!b.error)
		(void)send(fd, b.data, b.len, MSG_DONTWAIT | MSG_NOSIGNAL);
}
