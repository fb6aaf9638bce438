/* SPDX-License-Identifier: MIT */
/* Breaks the ledger rule: takes first and announces afterwards.  The sweep has to find it. */
#include "fake.h"

#include <fcntl.h>
#include <unistd.h>

static int unannounced_acquire(void *arg, cowherd_op op, const struct cowherd_request *request)
{
	char path[256], record[320];
	int fd;

	(void)arg;
	(void)snprintf(path, sizeof(path), "%.200s/unannounced", request->run_dir);
	(void)snprintf(record, sizeof(record), "{\"path\":\"%s\"}", path);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	(void)close(fd);
	return host->intend(self, op, "file", record);
}

static int unannounced_release(void *arg, cowherd_op op, const struct cowherd_record *record)
{
	char path[256];

	(void)arg;
	(void)op;
	if (!fake_string(record->record, "path", path, sizeof(path)))
		return -EINVAL;
	return unlink(path) == 0 || errno == ENOENT ? 0 : -errno;
}

static int unannounced_init(const struct cowherd_host *h, struct cowherd_self *s)
{
	static const struct cowherd_allocator allocator = {
		.size = sizeof(allocator), .name = "unannounced", .phase = COWHERD_PHASE_STORAGE,
		.acquire = unannounced_acquire, .release = unannounced_release,
	};

	host = h;
	self = s;
	return h->register_allocator(s, &allocator, NULL);
}

FAKE_PLUGIN("unannounced", .init = unannounced_init)
