/* SPDX-License-Identifier: MIT */
/* Starts a timer, a watch and work on the pool, and leaves it to the host to end them. */
#include "fake.h"

#include <unistd.h>

static int ends[2] = { -1, -1 };

static void leaky_timer(void *arg)
{
	(void)arg;
	fake_note("leaky.timer", 0);
}

static void leaky_watch(void *arg, int fd, uint32_t events)
{
	char byte;

	(void)arg;
	if (read(fd, &byte, 1) == 1)
		fake_note("leaky.watch", (long)events);
}

static int leaky_work(void *arg)
{
	(void)arg;
	return 7;
}

static void leaky_done(void *arg, int result)
{
	(void)arg;
	fake_note("leaky.done", result);
}

static int leaky_init(const struct cowherd_host *h, struct cowherd_self *s)
{
	uint64_t id;
	int rc;

	host = h;
	self = s;
	if (pipe(ends) < 0)
		return -errno;
	rc = h->timer_start(s, 100, 100, leaky_timer, NULL, &id);
	if (rc == 0)
		rc = h->watch_fd(s, ends[0], COWHERD_FD_READ, leaky_watch, NULL, &id);
	if (rc == 0)
		rc = h->offload(s, leaky_work, leaky_done, NULL);
	return write(ends[1], "x", 1) == 1 ? rc : -EIO;
}

static int leaky_fini(char *message, size_t size)
{
	(void)message;
	(void)size;
	(void)close(ends[1]);
	return 0; /* and the read end stays watched until the host has ended that */
}

/* The descriptor itself is the plugin's: closed when the file is unmapped, or the process ends. */
__attribute__((destructor)) static void leaky_unmapped(void)
{
	if (ends[0] >= 0)
		(void)close(ends[0]);
}

FAKE_PLUGIN("leaky", .init = leaky_init, .fini = leaky_fini)
