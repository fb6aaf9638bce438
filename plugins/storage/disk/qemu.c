/* SPDX-License-Identifier: MIT */
#include "disk/qemu.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROGRAM "qemu-storage-daemon"
#define END_MS 10000

extern char **environ;

/* One argument as JSON, so that no character of a path means anything. */
static char *option(const char *first, ...)
{
	struct json_object *o = json_object_new_object(), *v;
	const char *key = first, *value, *text = NULL;
	bool whole = o != NULL;
	va_list args;
	char *copy;

	va_start(args, first);
	while (key) {
		value = va_arg(args, const char *);
		if (strcmp(value, "true") == 0 || strcmp(value, "false") == 0)
			v = json_object_new_boolean(*value == 't');
		else
			v = json_object_new_string(value);
		whole = whole && v && json_object_object_add(o, key, v) == 0;
		if (!whole)
			json_object_put(v);
		key = va_arg(args, const char *);
	}
	va_end(args);
	if (whole)
		text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
								 JSON_C_TO_STRING_NOSLASHESCAPE);
	copy = text ? strdup(text) : NULL;
	json_object_put(o);
	return copy;
}

/* Until it has exported and gone to the background; what it says goes to `log`. */
static int run(char *const argv[], const char *log)
{
	posix_spawn_file_actions_t actions;
	int r, status;
	pid_t pid;

	r = posix_spawn_file_actions_init(&actions);
	if (r)
		return -r;
	(void)posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	(void)posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	(void)posix_spawn_file_actions_addopen(&actions, 2, log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	r = posix_spawnp(&pid, PROGRAM, &actions, NULL, argv, environ);
	(void)posix_spawn_file_actions_destroy(&actions);
	if (r)
		return -r;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

static void log_tell(const char *log, const char *path, int code, const struct st_message *m)
{
	char text[400] = "";
	int fd = open(log, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	text[n < 0 ? 0 : n] = 0;
	text[strcspn(text, "\n")] = 0;
	(void)st_fail(m, code, PROGRAM ": %s: %s", path, *text ? text : strerror(-code));
	if (fd >= 0)
		(void)close(fd);
}

struct place {
	char dir[4096], disk[4112], log[4112];
};

static int place_of(const char *dir, const char *token, struct place *ret)
{
	int n = snprintf(ret->dir, sizeof(ret->dir), "%s/%s", dir, token);

	if (n < 0 || (size_t)n >= sizeof(ret->dir))
		return -ENAMETOOLONG;
	(void)snprintf(ret->disk, sizeof(ret->disk), "%s/disk", ret->dir);
	(void)snprintf(ret->log, sizeof(ret->log), "%s/log", ret->dir);
	return 0;
}

static int place_make(const struct place *p)
{
	int fd;

	if (mkdir(p->dir, 0700) < 0)
		return -errno;
	fd = open(p->disk, O_WRONLY | O_CREAT | O_CLOEXEC, 0600); /* what is mounted over */
	if (fd < 0)
		return -errno;
	(void)close(fd);
	return 0;
}

int st_qemu_export(const char *dir, const char *token, const char *path, enum st_disk_kind kind,
		   bool readonly, int *ret_fd, const struct st_message *m)
{
	bool vhdx = kind == ST_DISK_VHDX_FIXED || kind == ST_DISK_VHDX_DYNAMIC ||
		    kind == ST_DISK_VHDX_DIFFERENCING;
	const char *ro = readonly ? "true" : "false", *rw = readonly ? "false" : "true";
	char *file, *disk, *export;
	struct place p;
	int r = place_of(dir, token, &p);

	if (r == 0)
		r = place_make(&p);
	if (r < 0)
		return st_fail(m, r, "%s: %s", dir, strerror(-r));
	file = option("driver", "file", "node-name", "file", "filename", path, "read-only", ro, NULL);
	disk = option("driver", vhdx ? "vhdx" : "vpc", "node-name", "disk", "file", "file",
		      "read-only", ro, NULL);
	export = option("type", "fuse", "id", "export", "node-name", "disk", "mountpoint", p.disk,
			"writable", rw, NULL);
	if (file && disk && export) {
		char *argv[] = { (char[]){ PROGRAM }, (char[]){ "--blockdev" }, file,
				 (char[]){ "--blockdev" }, disk, (char[]){ "--export" }, export,
				 (char[]){ "--daemonize" }, NULL };

		r = run(argv, p.log);
	} else {
		r = -ENOMEM;
	}
	if (r == 0) {
		*ret_fd = open(p.disk, (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC);
		r = *ret_fd < 0 ? -errno : 0;
	}
	if (r < 0)
		log_tell(p.log, path, r, m);
	free(file);
	free(disk);
	free(export);
	return r;
}

/* Is it one of ours, started under this token? */
static bool process_matches(const char *pid, const char *token)
{
	char path[64], text[16384];
	int fd;
	ssize_t n, at = 0;

	(void)snprintf(path, sizeof(path), "/proc/%.20s/cmdline", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		(void)close(fd);
	if (n <= 0)
		return false;
	text[n] = 0;
	if (strcmp(text, PROGRAM) != 0)
		return false;
	for (; at < n; at += (ssize_t)strlen(text + at) + 1)
		if (strstr(text + at, token))
			return true;
	return false;
}

static int process_end(pid_t pid, const char *name, const char *token)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0), r = 0;
	struct pollfd gone = { .fd = fd, .events = POLLIN };

	if (fd < 0)
		return errno == ESRCH ? 0 : -errno;
	/* Looked at once more, now that the number cannot be somebody else's. */
	if (process_matches(name, token)) {
		(void)syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0);
		if (poll(&gone, 1, END_MS) == 0) {
			(void)syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
			r = poll(&gone, 1, END_MS) == 0 ? -EBUSY : 0;
		}
	}
	(void)close(fd);
	return r;
}

int st_qemu_pidfd(const char *dir, const char *token)
{
	struct place p;
	struct dirent *e;
	DIR *proc;
	int r = place_of(dir, token, &p), fd = -1;

	if (r < 0)
		return r;
	if (access(p.dir, F_OK) < 0)
		return -errno;
	proc = opendir("/proc");
	if (!proc)
		return -errno;
	while (fd < 0 && (e = readdir(proc))) {
		if (!isdigit((unsigned char)e->d_name[0]) || !process_matches(e->d_name, token))
			continue;
		fd = (int)syscall(SYS_pidfd_open, (pid_t)atoi(e->d_name), 0);
		/* Looked at once more, now that the number cannot be somebody else's. */
		if (fd >= 0 && !process_matches(e->d_name, token)) {
			(void)close(fd);
			fd = -1;
		}
	}
	(void)closedir(proc);
	return fd < 0 ? -ESRCH : fd;
}

/* Through the export into the image. */
static void sync_disk(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return;
	(void)fsync(fd);
	(void)close(fd);
}

int st_qemu_release(const char *dir, const char *token)
{
	struct place p;
	struct dirent *e;
	DIR *proc;
	int r = place_of(dir, token, &p), one;

	if (r < 0 || (access(p.dir, F_OK) < 0 && errno == ENOENT))
		return r;
	sync_disk(p.disk);
	proc = opendir("/proc");
	if (!proc)
		return -errno;
	while ((e = readdir(proc))) {
		if (!isdigit((unsigned char)e->d_name[0]) || !process_matches(e->d_name, token))
			continue;
		one = process_end((pid_t)atoi(e->d_name), e->d_name, token);
		r = r < 0 ? r : one;
	}
	(void)closedir(proc);
	if (r < 0)
		return r;
	(void)umount2(p.disk, MNT_DETACH);
	(void)unlink(p.disk);
	(void)unlink(p.log);
	return rmdir(p.dir) < 0 && errno != ENOENT ? -errno : 0;
}
