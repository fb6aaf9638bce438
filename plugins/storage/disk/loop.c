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
#include <unistd.h>

#include "disk/attach.h"

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
		r = loop_configure(dev, fd, o, flags | LO_FLAGS_DIRECT_IO);
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

static int loop_detach_if(const char *path, const char *name)
{
	struct loop_info64 info;
	int fd = open(path, O_RDONLY | O_CLOEXEC), r = 0;

	if (fd < 0)
		return errno == ENOENT || errno == ENXIO ? 0 : -errno;
	if (ioctl(fd, LOOP_GET_STATUS64, &info) == 0 &&
	    strncmp((const char *)info.lo_file_name, name, sizeof(info.lo_file_name) - 1) == 0 &&
	    ioctl(fd, LOOP_CLR_FD) < 0 && errno != ENXIO)
		r = -errno;
	(void)close(fd);
	return r;
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
