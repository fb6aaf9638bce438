/* SPDX-License-Identifier: MIT */
#include "cli/daemon.h"

#include "base/cleanup.h"
#include "base/fs.h"
#include "cli/commands.h"
#include "cli/supervise_place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

void cow_daemon_options(const struct cow_args *args, struct cow_supervise_options *ret)
{
	*ret = (struct cow_supervise_options){
		.root = cow_args_string(args, "root"),
		.state = cow_args_string(args, "state"),
		.host = cow_args_string(args, "host"),
		.plugin_dir = cow_args_string(args, "plugin-dir"),
		.log_level = cow_args_string(args, "log-level"),
		.log_format = cow_args_string(args, "log-format"),
		.log_fd = -1,
		.log_default = COW_LOG_INFO,
		.stop_timeout_ms = -1,
	};
}

void cow_daemon_complain(const char *why)
{
	for (const char *line = why; line && *line;) {
		size_t n = strcspn(line, "\n");

		(void)fprintf(stderr, "cowherd: %.*s\n", (int)n, line);
		line += n + (line[n] == '\n');
	}
}

/* 0, or the lines of why are told. */
static int supervise(const struct cow_supervise_options *options, struct cow_strbuf *why)
{
	struct cow_supervisor *s = NULL;
	int r = cow_supervisor_create(options, &s, why);

	if (r == 0)
		r = cow_supervisor_run(s, why);
	cow_supervisor_destroy(s);
	return r;
}

/* The terminal and the directory we were started in are let go of, and the parent is told. */
static void detach_ready(void *arg, struct cow_supervisor *supervisor)
{
	int *pipe_fd = arg, null = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)supervisor;
	(void)!chdir("/");
	for (int fd = 0; null >= 0 && fd <= STDERR_FILENO; fd++)
		(void)dup2(null, fd);
	if (null > STDERR_FILENO)
		(void)close(null);
	(void)cow_fs_write_all(*pipe_fd, "R", 1);
	(void)close(*pipe_fd);
	*pipe_fd = -1;
}

/* In the grandchild: lines of why, or "R". */
static int detached(const struct cow_supervise_options *given, int pipe_fd)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf why = COW_STRBUF_INIT;
	struct cow_supervise_options options = *given;
	int r;

	options.ready = detach_ready;
	options.arg = &pipe_fd;
	r = supervise(&options, &why);
	if (pipe_fd >= 0 && why.data)
		(void)cow_fs_write_all(pipe_fd, why.data, why.len);
	return r < 0;
}

/* Read what the supervisor says until it is ready or has ended. */
static int await(const struct cow_args *args, int fd)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf said = COW_STRBUF_INIT;
	char buf[4096];
	ssize_t n;

	do {
		n = read(fd, buf, sizeof(buf));
		if (n > 0)
			cow_strbuf_addn(&said, buf, (size_t)n);
	} while (n > 0 || (n < 0 && errno == EINTR));
	if (said.data && strcmp(said.data, "R") == 0)
		return 0;
	cow_daemon_complain(said.len ? said.data : "the supervisor ended before it was ready");
	return args->command->failure;
}

int cow_daemon_detach(const struct cow_args *args, const struct cow_supervise_options *options)
{
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0) {
		cow_daemon_complain(strerror(errno));
		return args->command->failure;
	}
	(void)fflush(NULL);
	pid = fork();
	if (pid == 0) {
		(void)close(fds[0]);
		(void)setsid();
		/* Twice, so that it never gets a terminal again. */
		pid = fork();
		_exit(pid == 0 ? detached(options, fds[1]) : pid < 0);
	}
	(void)close(fds[1]);
	if (pid < 0) {
		cow_daemon_complain(strerror(errno));
		(void)close(fds[0]);
		return args->command->failure;
	}
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	int status = await(args, fds[0]);

	(void)close(fds[0]);
	return status;
}

int cow_cmd_daemon(const struct cow_args *args)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf why = COW_STRBUF_INIT;
	struct cow_supervise_options options;

	cow_daemon_options(args, &options);
	options.config = cow_args_string(args, "config");
	if (!cow_args_flag(args, "foreground-log", false))
		return cow_daemon_detach(args, &options);
	/* A log that nobody reads must not stop the supervisor. */
	options.log_fd = cow_process_reopen(STDERR_FILENO);
	if (options.log_fd < 0)
		options.log_fd = STDERR_FILENO;
	if (supervise(&options, &why) == 0)
		return 0;
	cow_daemon_complain(why.data);
	return args->command->failure;
}
