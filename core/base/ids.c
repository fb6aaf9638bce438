/* SPDX-License-Identifier: MIT */
#include "base/ids.h"
#include "base/cleanup.h"
#include "base/fs.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <uuid/uuid.h>

void cow_uuid_v4(char out[COW_UUID_LEN])
{
	uuid_t id;

	/* uuid_generate_random() asks for the same bytes, and for a dozen other things around them. */
	if (getrandom(id, sizeof(id), GRND_NONBLOCK) == (ssize_t)sizeof(id)) {
		id[6] = (unsigned char)((id[6] & 0x0f) | 0x40); /* RFC 4122, 4.4 */
		id[8] = (unsigned char)((id[8] & 0x3f) | 0x80);
	} else {
		uuid_generate_random(id);
	}
	uuid_unparse_lower(id, out);
}

/* Not isalnum(): what an id is must not depend on the locale. */
static bool id_char(char c, bool first)
{
	if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))
		return true;
	return !first && c != '\0' && strchr("_.+-", c);
}

bool cow_id_valid(const char *id)
{
	size_t n = 0;
	while (n <= COW_ID_MAX && id_char(id[n], n == 0))
		n++;
	return n >= 1 && n <= COW_ID_MAX && id[n] == '\0';
}

static char boot_id[COW_UUID_LEN];

static void boot_id_load(void)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	if (cow_fs_read("/proc/sys/kernel/random/boot_id", 256, &text, &len) < 0)
		return;
	if (strcspn(text, "\n") == sizeof(boot_id) - 1)
		memcpy(boot_id, text, sizeof(boot_id) - 1);
}

const char *cow_boot_id(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	(void)pthread_once(&once, boot_id_load);
	return boot_id;
}

int cow_pid_start_time(pid_t pid, uint64_t *ret)
{
	char path[32];
	_cleanup_free_ char *stat = NULL;
	if (pid <= 0)
		return -ESRCH;
	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	int r = cow_fs_read(path, 4096, &stat, NULL);
	if (r == -ENOENT)
		return -ESRCH;
	if (r < 0)
		return r;
	/* The name (field 2) is in parentheses and may contain anything: count from its end. */
	const char *p = strrchr(stat, ')');
	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	unsigned long long start;
	if (!p || sscanf(p, " %llu", &start) != 1)
		return -EPROTO;
	*ret = start;
	return 0;
}

uint64_t cow_realtime_ns(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t cow_monotonic_ms(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}
