/* SPDX-License-Identifier: MIT */
/*
 * The model guest: files in the container's run directory as resources, a service, a verb, a section
 * and hooks.  The spec's annotation "good.files" says how many files (2 otherwise).
 */
#include "fake.h"

#include <fcntl.h>
#include <unistd.h>

static int file_make(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	(void)close(fd);
	return 0;
}

static int good_acquire(void *arg, cowherd_op op, const struct cowherd_request *request)
{
	long n = fake_number(request->spec, "good.files", 2);

	(void)arg;
	for (long i = 0; i < n; i++) {
		char path[256], key[32], record[320];
		int rc;

		(void)snprintf(path, sizeof(path), "%.200s/good-%ld", request->run_dir, i);
		(void)snprintf(key, sizeof(key), "file-%ld", i);
		(void)snprintf(record, sizeof(record), "{\"path\":\"%s\"}", path);
		rc = host->intend(self, op, key, record);
		if (rc == 0)
			rc = file_make(path);
		if (rc < 0)
			return rc;
	}
	return host->patch_spec(self, op, "{\"annotations\":{\"good.done\":\"yes\"}}");
}

static int good_release(void *arg, cowherd_op op, const struct cowherd_record *record)
{
	char path[256];

	(void)arg;
	(void)op;
	if (!fake_string(record->record, "path", path, sizeof(path)))
		return -EINVAL;
	return unlink(path) == 0 || errno == ENOENT ? 0 : -errno;
}

static int good_hook(void *arg, cowherd_op op, const char *container)
{
	(void)op;
	host->log(self, COWHERD_LOG_INFO, container, (const char *)arg, "hook");
	return 0;
}

static int good_call(void *arg, cowherd_op op, const struct cowherd_call *call)
{
	const struct cowherd_answer answer = { .size = sizeof(answer), .result = call->args };

	(void)arg;
	(void)host->progress(self, op, "{\"done\":1}");
	return host->answer(self, op, &answer) < 0 ? -EIO : COWHERD_LATER;
}

static int good_check(void *arg, const char *json, char *message, size_t size)
{
	(void)arg;
	if (strstr(json, "\"n\""))
		return 0;
	(void)snprintf(message, size, "/n: is required");
	return -EINVAL;
}

static int good_apply(void *arg, const char *json)
{
	(void)arg;
	host->log(self, COWHERD_LOG_INFO, NULL, "good.apply", json);
	return 0;
}

static int good_add(int a, int b)
{
	return a + b;
}

static int good_init(const struct cowherd_host *h, struct cowherd_self *s)
{
	static const struct cowherd_allocator files = {
		.size = sizeof(files), .name = "good.file", .phase = COWHERD_PHASE_MOUNTS,
		.acquire_ms = 1000, .acquire = good_acquire, .release = good_release,
	};
	static const struct cowherd_verb verb = {
		.size = sizeof(verb), .name = "good", .usage = "good WORD...", .help = "Says it again",
		.call = good_call,
	};
	static const struct cowherd_config_section section = {
		.size = sizeof(section), .name = "good", .check = good_check, .apply = good_apply,
	};
	static const struct {
		size_t size;
		int (*add)(int a, int b);
	} service = { sizeof(service), good_add };
	static char stopped[] = "good.stopped", deleted[] = "good.deleted", shutdown[] = "good.shutdown";
	int rc;

	host = h;
	self = s;
	rc = h->register_allocator(s, &files, NULL);
	if (rc == 0)
		rc = h->register_verb(s, &verb, NULL);
	if (rc == 0)
		rc = h->register_config(s, &section, NULL);
	if (rc == 0)
		rc = h->register_hook(s, COWHERD_HOOK_CONTAINER_STOPPED, good_hook, stopped);
	if (rc == 0)
		rc = h->register_hook(s, COWHERD_HOOK_CONTAINER_DELETED, good_hook, deleted);
	if (rc == 0)
		rc = h->register_hook(s, COWHERD_HOOK_SUPERVISOR_SHUTDOWN, good_hook, shutdown);
	return rc == 0 ? h->provide(s, "good.sum", 2, &service) : rc;
}

static int good_fini(char *message, size_t size)
{
	(void)message;
	(void)size;
	fake_note("good.fini", 0);
	return 0;
}

FAKE_PLUGIN("good", .init = good_init, .fini = good_fini)
