/* SPDX-License-Identifier: MIT */
#include "rootfs/scratch.h"

#include "rootfs/place.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/loop.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define BYTES_MIN (2u << 20) /* less than that has no room for a file system */
#define LOOP_TRIES 64
#define OUTPUT_MAX 200

void st_scratch_finish(struct st_scratch *s)
{
	free(s->upper);
	free(s->work);
	*s = (struct st_scratch){ 0 };
}

int st_scratch_in(const char *dir, struct st_scratch *ret, struct plug_error *err)
{
	struct st_scratch s = { st_path_join(dir, "upper"), st_path_join(dir, "work") };
	int r = s.upper && s.work ? 0 : plug_error_set(err, -ENOMEM, "scratch: out of memory");

	/* What is written to it shows its mode as the container's "/". */
	if (r == 0)
		r = st_place_make(s.upper, 0755, err);
	if (r == 0)
		r = st_place_make(s.work, 0700, err);
	if (r < 0)
		st_scratch_finish(&s);
	else
		*ret = s;
	return r;
}

/* ---- a file system of its own */

/* The program's last words, for the error. */
static void read_output(int fd, char ret[OUTPUT_MAX])
{
	ssize_t n, len = 0;

	while (len < OUTPUT_MAX - 1 &&
	       (n = read(fd, ret + len, (size_t)(OUTPUT_MAX - 1 - len))) > 0)
		len += n;
	ret[len] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
}

static int run(char *const argv[], struct plug_error *err)
{
	static char *const environment[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };
	posix_spawn_file_actions_t actions;
	char output[OUTPUT_MAX] = "";
	int fds[2], status = 0, r;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return plug_error_errno(err, -errno, "%s", argv[0]);
	r = posix_spawn_file_actions_init(&actions);
	if (r == 0) {
		(void)posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
		(void)posix_spawn_file_actions_adddup2(&actions, fds[1], 1);
		(void)posix_spawn_file_actions_adddup2(&actions, fds[1], 2);
		r = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environment);
		(void)posix_spawn_file_actions_destroy(&actions);
	}
	(void)close(fds[1]);
	if (r == 0) {
		read_output(fds[0], output);
		if (waitpid(pid, &status, 0) != pid)
			r = errno;
	}
	(void)close(fds[0]);
	if (r)
		return plug_error_errno(err, -r, "%s", argv[0]);
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		return plug_error_set(err, -EIO, "%s: %s", argv[0],
				      *output ? output : "it failed and does not say why");
	return 0;
}

/* Under another name until it is whole. */
static int make_disk(const char *path, uint64_t bytes, struct plug_error *err)
{
	char tmp[4096];
	_cleanup_close_ int fd = -1;
	char *const argv[] = { "mkfs.ext4", "-q", "-F", "-m", "0", "-E",
			       "lazy_itable_init=1,lazy_journal_init=1,root_owner=0:0", tmp, NULL };
	int r;

	if (bytes < BYTES_MIN)
		return plug_error_set(err, -EINVAL, "scratch: %" PRIu64 " bytes are too few", bytes);
	(void)snprintf(tmp, sizeof(tmp), "%s.tmp", path);
	fd = open(tmp, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0)
		return plug_error_errno(err, -errno, "%s", tmp);
	r = run(argv, err);
	if (r == 0 && (fsync(fd) < 0 || rename(tmp, path) < 0))
		r = plug_error_errno(err, -errno, "%s", path);
	return r;
}

/* With its last user it goes by itself: the descriptor, then the mount. */
static int loop_attach(int file, int *ret, struct plug_error *err)
{
	struct loop_config config = { .fd = (uint32_t)file,
				      .info = { .lo_flags = LO_FLAGS_AUTOCLEAR } };
	_cleanup_close_ int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	char path[32];

	if (control < 0)
		return plug_error_errno(err, -errno, "/dev/loop-control");
	for (int i = 0; i < LOOP_TRIES; i++) {
		int n = ioctl(control, LOOP_CTL_GET_FREE), fd;

		if (n < 0)
			return plug_error_errno(err, -errno, "/dev/loop-control");
		(void)snprintf(path, sizeof(path), "/dev/loop%d", n);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			return plug_error_errno(err, -errno, "%s", path);
		if (ioctl(fd, LOOP_CONFIGURE, &config) == 0) {
			*ret = fd;
			return n;
		}
		(void)close(fd);
		if (errno != EBUSY) /* somebody was faster: another one */
			return plug_error_errno(err, -errno, "%s", path);
	}
	return plug_error_set(err, -EBUSY, "/dev/loop-control: no free loop device");
}

static int mount_disk(const char *disk, const char *place, struct plug_error *err)
{
	_cleanup_close_ int file = open(disk, O_RDWR | O_CLOEXEC | O_NOFOLLOW), loop = -1;
	char device[32];
	int n;

	if (file < 0)
		return plug_error_errno(err, -errno, "%s", disk);
	n = loop_attach(file, &loop, err);
	if (n < 0)
		return n;
	(void)snprintf(device, sizeof(device), "/dev/loop%d", n);
	if (mount(device, place, "ext4", 0, "discard") < 0)
		return plug_error_errno(err, -errno, "%s: mounting it at %s", disk, place);
	return 0;
}

int st_scratch_make(const char *dir, uint64_t bytes, struct plug_error *err)
{
	_cleanup_free_ char *disk = st_path_join(dir, "disk.img"), *upper = st_path_join(dir, "upper");
	int r = disk && upper ? st_place_make(dir, 0700, err) : -ENOMEM;

	if (r < 0)
		return r;
	/* As it was made: a limit that is changed later is another container's. */
	if (access(disk, F_OK) == 0 || access(upper, F_OK) == 0)
		return 0;
	return bytes ? make_disk(disk, bytes, err) : st_place_make(upper, 0755, err);
}

int st_scratch_open(const char *dir, const char *place, struct st_scratch *ret,
		    struct plug_error *err)
{
	_cleanup_free_ char *disk = st_path_join(dir, "disk.img");
	int r;

	if (!disk)
		return plug_error_set(err, -ENOMEM, "scratch: out of memory");
	if (access(disk, F_OK) < 0)
		return st_scratch_in(dir, ret, err);
	r = st_place_make(place, 0700, err);
	if (r == 0)
		r = mount_disk(disk, place, err);
	return r < 0 ? r : st_scratch_in(place, ret, err);
}
