/* SPDX-License-Identifier: MIT */
/* To its release "already gone" is an error.  The sweep has to find it. */
#include "fake.h"

#include <fcntl.h>
#include <unistd.h>

static int forgetful_acquire(void *arg, cowherd_op op, const struct cowherd_request *request)
{
	char path[256], record[320];
	int fd, rc;

	(void)arg;
	(void)snprintf(path, sizeof(path), "%.200s/forgetful", request->run_dir);
	(void)snprintf(record, sizeof(record), "{\"path\":\"%s\"}", path);
	rc = host->intend(self, op, "file", record);
	if (rc < 0)
		return rc;
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	(void)close(fd);
	return 0;
}

static int forgetful_release(void *arg, cowherd_op op, const struct cowherd_record *record)
{
	char path[256];

	(void)arg;
	(void)op;
	if (!fake_string(record->record, "path", path, sizeof(path)))
		return -EINVAL;
	return unlink(path) == 0 ? 0 : -errno;
}

static int forgetful_init(const struct cowherd_host *h, struct cowherd_self *s)
{
	static const struct cowherd_allocator allocator = {
		.size = sizeof(allocator), .name = "forgetful", .phase = COWHERD_PHASE_STORAGE,
		.acquire = forgetful_acquire, .release = forgetful_release,
	};

	host = h;
	self = s;
	return h->register_allocator(s, &allocator, NULL);
}

FAKE_PLUGIN("forgetful", .init = forgetful_init)
