/* SPDX-License-Identifier: MIT */
/*
 * A plugin that crashes while it is started takes the process with it; it can be reported, not
 * survived.  A line on stderr names it, and a marker file tells the next start.
 */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/log.h"
#include "host/internal.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#define MARKER_MAX 4096

static const int crash_signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT };

/* Process-wide as signal dispositions are. */
static struct {
	char line[256];
	size_t len;
	struct sigaction before[COW_ELEMENTS(crash_signals)];
} crash;

static void crash_restore(void)
{
	for (size_t i = 0; i < COW_ELEMENTS(crash_signals); i++)
		(void)sigaction(crash_signals[i], &crash.before[i], NULL);
}

/* Async-signal-safe.  On return the faulting instruction runs again, now as it would have without us. */
static void crash_handler(int signo, siginfo_t *info, void *context)
{
	ssize_t n = write(STDERR_FILENO, crash.line, crash.len);

	(void)n;
	(void)context;
	crash_restore();
	/* Sent by raise(), abort() or kill(): nothing will fault again. */
	if (info->si_code <= 0)
		(void)raise(signo);
}

static char *marker_path(const struct cow_host *host)
{
	if (!host->setup.run_root || host->setup.visitor)
		return NULL;
	return cow_fs_join(host->setup.run_root, "plugin.starting");
}

/* The marker is "PID PLUGIN (WHAT)". */
void crash_report_last(struct cow_host *host)
{
	_cleanup_free_ char *path = marker_path(host), *text = NULL, *msg = NULL;
	char *who;
	pid_t pid;

	if (!path || cow_fs_read(path, MARKER_MAX, &text, NULL) < 0)
		return;
	pid = (pid_t)strtol(text, &who, 10);
	if (pid > 0 && pid != getpid() && kill(pid, 0) == 0)
		return;
	(void)unlink(path);
	msg = cow_asprintf("process %d died while it started plugin%s", (int)pid, who);
	cow_log(.level = COW_LOG_ERROR, .event = "plugin.crashed", .msg = msg ? msg : text);
}

void crash_guard_enter(struct cow_host *host, const char *plugin, const char *what)
{
	_cleanup_free_ char *path = marker_path(host), *text = NULL;
	struct sigaction action = { .sa_sigaction = crash_handler, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	int len = snprintf(crash.line, sizeof(crash.line), "cowherd: plugin %.128s crashed in %s\n",
			   plugin, what);

	crash.len = len > 0 ? (size_t)len : 0;
	(void)sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < COW_ELEMENTS(crash_signals); i++)
		(void)sigaction(crash_signals[i], &action, &crash.before[i]);
	/* Without the marker a crash is still told on stderr; starting the plugin matters more. */
	text = cow_asprintf("%d %s (%s)", (int)getpid(), plugin, what);
	if (path && text)
		(void)cow_fs_write_atomic(path, text, strlen(text), 0600, 0);
}

void crash_guard_leave(struct cow_host *host)
{
	_cleanup_free_ char *path = marker_path(host);

	crash_restore();
	if (path)
		(void)unlink(path);
}
