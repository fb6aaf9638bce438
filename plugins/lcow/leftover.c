/* SPDX-License-Identifier: MIT */
/*
 * What no record names any more, because a ledger was cut off or destroyed on disk.  The cgroup that a
 * container gets by default is told by its id.  One that its spec chose is written down a second time,
 * beside the host's own files, before it is made; whatever releases it removes that note.
 */
#include "lcow.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOTE_MAX (64 << 10)
#define BOOT_LEN 36 /* and a newline */

/* NULL: there is no place for a note, or no memory. */
static char *note_path(const char *container)
{
	char *path;

	if (!lcow.host->run_dir || strchr(container, '/') ||
	    asprintf(&path, "%s/lcow.%s.cgroup", lcow.host->run_dir, container) < 0)
		return NULL;
	return path;
}

static int read_file(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	size_t len = 0;
	ssize_t n = 0;

	if (fd < 0)
		return -errno;
	while (len + 1 < size && (n = read(fd, buf + len, size - 1 - len)) > 0)
		len += (size_t)n;
	(void)close(fd);
	buf[len] = '\0';
	return n < 0 ? -EIO : 0;
}

/* Cgroups do not outlive the host: what is there after a reboot is somebody else's. */
static int read_boot(char *boot, size_t size)
{
	int r = read_file("/proc/sys/kernel/random/boot_id", boot, size);

	return r == 0 && strlen(boot) != BOOT_LEN + 1 ? -EIO : r;
}

static int write_file(const char *path, const char *boot, const char *record)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600), r = 0;

	if (fd < 0)
		return -errno;
	if (dprintf(fd, "%s%s", boot, record) < 0)
		r = -errno;
	if (close(fd) < 0 && r == 0)
		r = -errno;
	if (r < 0)
		(void)unlink(path);
	return r;
}

int leftover_note(const struct system *s, struct launch_error *err)
{
	char boot[BOOT_LEN + 16], *path, *record = NULL;
	int r;

	if (!s->cgroup || !s->plan->launch->cgroup_path)
		return 0;
	path = note_path(s->container);
	if (!path)
		return 0;
	r = read_boot(boot, sizeof(boot));
	if (r == 0)
		r = launch_cgroup_record(s->cgroup, &record);
	if (r == 0)
		r = write_file(path, boot, record);
	if (r < 0)
		(void)snprintf(err->text, sizeof(err->text), "%s: %s", path, strerror(-r));
	free(record);
	free(path);
	return r;
}

void leftover_forget(const char *container)
{
	char *path = note_path(container);

	if (path)
		(void)unlink(path);
	free(path);
}

static int note_release(const char *path, struct launch_error *err)
{
	char boot[BOOT_LEN + 16], *text = malloc(NOTE_MAX);
	int r = text ? read_file(path, text, NOTE_MAX) : -ENOMEM;

	if (r == 0)
		r = read_boot(boot, sizeof(boot));
	/* One that was cut off as the ledger was names nothing either. */
	if (r == 0 && strncmp(text, boot, BOOT_LEN + 1) == 0) {
		r = launch_cgroup_release(text + BOOT_LEN + 1, err);
		r = r == -EINVAL ? 0 : r;
	}
	if (r == 0)
		(void)unlink(path);
	free(text);
	return r;
}

struct leftover {
	cowherd_op op;
	struct launch_error err;
	char *container, *note; /* note: NULL: none */
	char path[sizeof(lcow.config.cgroup_parent) + 256];
};

static void leftover_free(struct leftover *w)
{
	if (!w)
		return;
	free(w->container);
	free(w->note);
	free(w);
}

static int leftover_work(void *arg)
{
	struct leftover *w = arg;
	int r = launch_cgroup_release_path(w->path, false, &w->err);
	int noted = w->note ? note_release(w->note, &w->err) : 0;

	return r < 0 ? r : noted;
}

static void leftover_done(void *arg, int result)
{
	struct leftover *w = arg;

	if (result >= 0)
		lcow.host->log(lcow.self, COWHERD_LOG_WARN, w->container, "cgroup.leftover",
			       "its ledger had lost its cgroup: what lived in it was ended");
	(void)reply_code(&(struct reply){ .op = w->op }, result < 0 ? result : 0, w->err.text);
	leftover_free(w);
}

/* After a delete nothing must be there.  Looking costs one call per hierarchy, and one more. */
int lcow_deleted(void *arg, cowherd_op op, const char *container)
{
	struct leftover *w;
	int r = -ENOMEM;

	(void)arg;
	if (!container || gone_forget(container))
		return 0;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	(void)snprintf(w->path, sizeof(w->path), "%s/%s", lcow.config.cgroup_parent, container);
	w->note = note_path(container);
	if (w->note && access(w->note, F_OK) < 0) {
		free(w->note);
		w->note = NULL;
	}
	if (!w->note && launch_cgroup_release_path(w->path, true, NULL) == 0) {
		leftover_free(w);
		return 0;
	}
	w->op = op;
	w->container = strdup(container);
	if (w->container)
		r = lcow.host->offload(lcow.self, leftover_work, leftover_done, w);
	if (r < 0) {
		leftover_free(w);
		return r;
	}
	return COWHERD_LATER;
}
