/* SPDX-License-Identifier: MIT */
#include "disk/format.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disk/attach.h"
#include "disk/error.h"
#include "disk/vhd.h"

#define GB_MAX (64u << 10)

extern char **environ;

/* Runs a program; its first line of complaint goes to text.  0, or a negative errno. */
static int run(char *const argv[], char text[256])
{
	int err = memfd_create("stderr", MFD_CLOEXEC), r, status = 0;
	posix_spawn_file_actions_t actions;
	ssize_t n;
	pid_t pid;

	*text = 0;
	if (err < 0)
		return -errno;
	r = posix_spawn_file_actions_init(&actions);
	if (r == 0) {
		(void)posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
		(void)posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
		(void)posix_spawn_file_actions_adddup2(&actions, err, 2);
		r = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
		(void)posix_spawn_file_actions_destroy(&actions);
	}
	while (r == 0 && waitpid(pid, &status, 0) < 0)
		r = errno == EINTR ? 0 : errno;
	n = pread(err, text, 255, 0);
	text[n < 0 ? 0 : n] = 0;
	text[strcspn(text, "\n")] = 0;
	(void)close(err);
	return r ? -r : WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

static int mkfs(const char *path, const struct st_message *m)
{
	char file[4096], text[256];
	char *argv[] = { (char[]){ "mkfs.ext4" }, (char[]){ "-q" }, (char[]){ "-F" }, (char[]){ "-E" },
			 (char[]){ "lazy_itable_init=0,nodiscard" }, (char[]){ "-O" },
			 (char[]){ "^has_journal,sparse_super2,^resize_inode" }, file, NULL };
	int r;

	if (strlen(path) >= sizeof(file))
		return st_fail(m, -ENAMETOOLONG, "%s: the name is too long", path);
	(void)snprintf(file, sizeof(file), "%s", path);
	r = run(argv, text);
	if (r < 0 && *text)
		return st_fail(m, r, "mkfs.ext4: failed. detailed error: %s", text);
	return r < 0 ? st_fail(m, r, "mkfs.ext4: %s", strerror(-r)) : 0;
}

static int to_vhdx(const char *raw, const char *dest, const struct st_message *m)
{
	char from[4096], to[4096], text[256];
	char *argv[] = { (char[]){ "qemu-img" }, (char[]){ "convert" }, (char[]){ "-q" },
			 (char[]){ "-f" }, (char[]){ "raw" }, (char[]){ "-O" }, (char[]){ "vhdx" },
			 (char[]){ "-o" }, (char[]){ "subformat=dynamic,block_size=1M" }, from, to,
			 NULL };
	int r;

	(void)snprintf(from, sizeof(from), "%s", raw);
	(void)snprintf(to, sizeof(to), "%s", dest);
	r = run(argv, text);
	return r < 0 ? st_fail(m, r, "qemu-img: %s", *text ? text : strerror(-r)) : 0;
}

/* A name beside the destination that nobody has; the file is made. */
static int temporary(const char *dest, char ret[4096], int *ret_fd)
{
	int n = snprintf(ret, 4096, "%s.XXXXXX", dest);

	if (n < 0 || n >= 4096)
		return -ENAMETOOLONG;
	*ret_fd = mkostemp(ret, O_CLOEXEC);
	return *ret_fd < 0 ? -errno : 0;
}

/* Only data is copied; where the file system can, the blocks are shared. */
static int copy_sparse(int from, int to)
{
	off_t end = lseek(from, 0, SEEK_END), at = 0, out;
	ssize_t n;

	if (end < 0)
		return -errno;
	if (ioctl(to, FICLONE, from) == 0)
		return 0;
	if (ftruncate(to, end) < 0)
		return -errno;
	while ((at = lseek(from, at, SEEK_DATA)) >= 0 && at < end) {
		off_t hole = lseek(from, at, SEEK_HOLE);

		while (at < hole) {
			out = at;
			n = copy_file_range(from, &at, to, &out, (size_t)(hole - at), 0);
			if (n <= 0)
				return n < 0 ? -errno : -EIO;
		}
	}
	return at < 0 && errno != ENXIO ? -errno : 0;
}

static int copy_file(const char *from, const char *dest)
{
	char temp[4096] = "";
	int in = open(from, O_RDONLY | O_CLOEXEC), out = -1, r;

	r = in < 0 ? -errno : temporary(dest, temp, &out);
	if (r == 0)
		r = copy_sparse(in, out);
	if (r == 0 && (fsync(out) < 0 || rename(temp, dest) < 0))
		r = -errno;
	if (r < 0 && out >= 0)
		(void)unlink(temp);
	if (out >= 0)
		(void)close(out);
	if (in >= 0)
		(void)close(in);
	return r;
}

static const char *suffix(const char *path)
{
	const char *dot = strrchr(path, '.');

	return dot && !strchr(dot, '/') ? dot : "";
}

/* The raw file becomes what the destination's name says. */
static int finish(const char *raw, int fd, uint64_t size, const char *dest, const struct st_message *m)
{
	char temp[4096];
	int r = 0, to;

	if (strcmp(suffix(dest), ".vhdx") == 0) {
		r = temporary(dest, temp, &to);
		if (r < 0)
			return st_fail(m, r, "%s: %s", dest, strerror(-r));
		r = to_vhdx(raw, temp, m);
		if (r == 0 && (fsync(to) < 0 || rename(temp, dest) < 0))
			r = st_fail(m, -errno, "%s: %s", dest, strerror(errno));
		if (r < 0)
			(void)unlink(temp);
		(void)close(to);
		return r;
	}
	if (strcmp(suffix(dest), ".vhd") == 0)
		r = st_vhd_append_footer(fd, size);
	if (r == 0 && (fsync(fd) < 0 || rename(raw, dest) < 0))
		r = -errno;
	return r < 0 ? st_fail(m, r, "%s: %s", dest, strerror(-r)) : 0;
}

static int make(const char *dest, uint64_t size, const struct st_message *m)
{
	char raw[4096];
	int fd, r = temporary(dest, raw, &fd);

	if (r < 0)
		return st_fail(m, r, "%s: %s", dest, strerror(-r));
	if (ftruncate(fd, (off_t)size) < 0)
		r = st_fail(m, -errno, "%s: %s", dest, strerror(errno));
	if (r == 0)
		r = mkfs(raw, m);
	if (r == 0)
		r = finish(raw, fd, size, dest, m);
	(void)unlink(raw); /* of a VHDX; the others have another name by now */
	(void)close(fd);
	return r;
}

static int copy_cached(const char *from, const char *to, const struct st_message *m)
{
	int r = copy_file(from, to);

	return r < 0 ? st_fail(m, r, "failed to copy cached file '%s' to '%s': %s", from, to,
			       strerror(-r))
		     : 0;
}

int st_scratch_disk_create(const char *dest, unsigned size_gb, const char *cache, char *error,
			   size_t error_size)
{
	struct st_message m = { error, error_size };
	int r;

	size_gb = size_gb ? size_gb : ST_SCRATCH_GB_DEFAULT;
	if (size_gb > GB_MAX)
		return st_fail(&m, -EFBIG, "%u GB: at most %u", size_gb, GB_MAX);
	if (size_gb != ST_SCRATCH_GB_DEFAULT || (cache && !*cache))
		cache = NULL;
	if (cache && access(cache, F_OK) == 0)
		return copy_cached(cache, dest, &m);
	r = make(dest, (uint64_t)size_gb << 30, &m);
	return r == 0 && cache ? copy_cached(dest, cache, &m) : r;
}

int st_disk_format(const char *dest, const char *dir, char *error, size_t error_size)
{
	struct st_message m = { error, error_size };
	struct st_attachment a;
	char owner[64], text[512] = "", cause[512] = "";
	struct st_message inner = { text, sizeof(text) };
	struct st_attach_options o = { .dir = dir, .owner = owner, .path = dest };
	int r, one;

	(void)snprintf(owner, sizeof(owner), "prepare-disk/%d", getpid());
	r = st_attach(&o, &a, text, sizeof(text));
	if (r == 0) {
		if (a.refs > 1)
			r = st_fail(&inner, -EBUSY, "%s: already attached", dest);
		else
			r = mkfs(a.device, &inner);
		one = st_detach(dir, owner, dest, cause, sizeof(cause));
		if (r == 0 && one < 0)
			r = st_fail(&inner, one, "%s", cause);
	}
	return r < 0 ? st_fail(&m, r, "failed to format disk '%s' with ext4: %s", dest,
			       *text ? text : strerror(-r))
		     : 0;
}
