/* SPDX-License-Identifier: MIT */
/* Starts a process and does not end it at release. */
#include "fake.h"

#include <signal.h>
#include <unistd.h>

static int orphan_acquire(void *arg, cowherd_op op, const struct cowherd_request *request)
{
	int rc = host->intend(self, op, "process", "{}");
	pid_t pid;

	(void)arg;
	(void)request;
	if (rc < 0)
		return rc;
	pid = fork();
	if (pid == 0) {
		(void)signal(SIGALRM, SIG_DFL);
		(void)alarm(30); /* should nobody else do it */
		for (;;)
			(void)pause();
	}
	return pid < 0 ? -errno : 0;
}

static int orphan_release(void *arg, cowherd_op op, const struct cowherd_record *record)
{
	(void)arg;
	(void)op;
	(void)record;
	return 0;
}

static int orphan_init(const struct cowherd_host *h, struct cowherd_self *s)
{
	static const struct cowherd_allocator allocator = {
		.size = sizeof(allocator), .name = "orphan", .phase = COWHERD_PHASE_COMPUTE,
		.acquire = orphan_acquire, .release = orphan_release,
	};

	host = h;
	self = s;
	return h->register_allocator(s, &allocator, NULL);
}

FAKE_PLUGIN("orphan", .init = orphan_init)
