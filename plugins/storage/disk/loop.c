/* SPDX-License-Identifier: MIT */
/* Loop devices, found again by the name they were given. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "disk/attach.h"

#define GONE_TRIES 1000
#define TRIES 64 /* others may take the free device first */

static int loop_configure(int device, int fd, const struct st_loop_options *o, uint32_t flags)
{
	struct loop_config config = { .fd = (uint32_t)fd };

	config.info.lo_offset = o->offset;
	config.info.lo_sizelimit = o->size;
	config.info.lo_flags = flags;
	(void)snprintf((char *)config.info.lo_file_name, sizeof(config.info.lo_file_name), "%s",
		       o->name);
	return ioctl(device, LOOP_CONFIGURE, &config) < 0 ? -errno : 0;
}

int st_loop_attach(int fd, const struct st_loop_options *o, char device[64], int *ret_fd)
{
	uint32_t flags = (o->readonly ? LO_FLAGS_READ_ONLY : 0) |
			 (o->autoclear ? LO_FLAGS_AUTOCLEAR : 0);
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), number, dev, r = -EBUSY;

	if (control < 0)
		return -errno;
	for (int i = 0; r == -EBUSY && i < TRIES; i++) {
		number = ioctl(control, LOOP_CTL_GET_FREE);
		if (number < 0) {
			r = -errno;
			break;
		}
		(void)snprintf(device, 64, "/dev/loop%d", number);
		dev = open(device, (o->readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC);
		if (dev < 0) {
			r = -errno;
			break;
		}
		/* Around the page cache of the file, where the file system can do that. */
		r = o->buffered ? -EINVAL : loop_configure(dev, fd, o, flags | LO_FLAGS_DIRECT_IO);
		if (r == -EINVAL)
			r = loop_configure(dev, fd, o, flags);
		if (r == 0 && ret_fd)
			*ret_fd = dev;
		else
			(void)close(dev);
	}
	(void)close(control);
	return r;
}

static bool loop_is(int fd, const char *name)
{
	struct loop_info64 info;

	return ioctl(fd, LOOP_GET_STATUS64, &info) == 0 &&
	       strncmp((const char *)info.lo_file_name, name, sizeof(info.lo_file_name) - 1) == 0;
}

/*
 * The kernel lets go when the last one closes the device: somebody may just look at it.  What is
 * behind it (an export) may go only then.
 */
static int loop_gone(const char *path, const char *name)
{
	const struct timespec pause = { .tv_nsec = 2000000 };
	int fd, r = -EBUSY;

	for (int i = 0; r == -EBUSY && i < GONE_TRIES; i++) {
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || !loop_is(fd, name))
			r = 0;
		if (fd >= 0)
			(void)close(fd);
		if (r == -EBUSY)
			(void)nanosleep(&pause, NULL);
	}
	return r;
}

static int loop_detach_if(const char *path, const char *name)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), r = 0;

	if (fd < 0)
		return errno == ENOENT || errno == ENXIO ? 0 : -errno;
	if (!loop_is(fd, name)) {
		(void)close(fd);
		return 0;
	}
	/* What was written is in the file, and an error of that is told. */
	if (fsync(fd) < 0)
		r = -errno;
	if (ioctl(fd, LOOP_CLR_FD) < 0 && errno != ENXIO)
		r = -errno;
	(void)close(fd);
	return r < 0 ? r : loop_gone(path, name);
}

int st_loop_detach_named(const char *name)
{
	DIR *dir = opendir("/sys/block");
	char path[300];
	struct dirent *e;
	int r = 0, one;

	if (!dir)
		return -errno;
	while ((e = readdir(dir))) {
		if (strncmp(e->d_name, "loop", 4) != 0)
			continue;
		/* Only those in use have it. */
		(void)snprintf(path, sizeof(path), "/sys/block/%s/loop", e->d_name);
		if (access(path, F_OK) < 0)
			continue;
		(void)snprintf(path, sizeof(path), "/dev/%s", e->d_name);
		one = loop_detach_if(path, name);
		r = r < 0 ? r : one;
	}
	(void)closedir(dir);
	return r;
}
