/* SPDX-License-Identifier: MIT */
/*
 * cowherd-init is part of this library and is run from a sealed memory file: whatever a container
 * does with /proc/PID/exe, it finds neither the caller's binary nor anything that can be written.
 */
#include "parent.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

__asm__(".pushsection .rodata\n"
	".balign 16\n"
	"launch_stub_start:\n"
	".incbin \"" LAUNCH_STUB_FILE "\"\n"
	"launch_stub_end:\n"
	".popsection\n");
extern const char launch_stub_start[] __attribute__((visibility("hidden")));
extern const char launch_stub_end[] __attribute__((visibility("hidden")));

static int stub_make(void)
{
	const char *at = launch_stub_start;
	size_t left = (size_t)(launch_stub_end - launch_stub_start);
	int fd = memfd_create(LAUNCH_STUB_NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);

	if (fd < 0 && errno == EINVAL) /* before Linux 6.3 they are executable without a word */
		fd = memfd_create(LAUNCH_STUB_NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	while (left) {
		ssize_t n = write(fd, at, left);

		if (n <= 0) {
			int r = n < 0 ? -errno : -EIO;

			(void)close(fd);
			return r;
		}
		at += n;
		left -= (size_t)n;
	}
	if (fchmod(fd, 0555) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0) {
		int r = -errno;

		(void)close(fd);
		return r;
	}
	return fd;
}

int parent_stub(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static int made = -1;
	int fd;

	(void)pthread_mutex_lock(&lock);
	if (made < 0) {
		fd = stub_make();
		if (fd >= 0)
			made = fd;
	} else {
		fd = made;
	}
	(void)pthread_mutex_unlock(&lock);
	return fd;
}
