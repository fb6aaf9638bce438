/* SPDX-License-Identifier: MIT */
#include "common/cancel.h"

#include <errno.h>
#include <poll.h>

int plug_cancel_wait(struct plug_cancel *cancel, int fd, short events)
{
	struct pollfd p[2] = { { .fd = fd, .events = events },
			       { .fd = cancel ? cancel->fd : -1, .events = POLLIN } };

	while (poll(p, 2, -1) < 0)
		if (errno != EINTR)
			return -errno;
	return cancel && atomic_load(&cancel->set) ? -ECANCELED : 0;
}
