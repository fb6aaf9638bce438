/* SPDX-License-Identifier: MIT */
/* The supervisor's own log. */
#include "cli/supervise_internal.h"

#include "base/cleanup.h"
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define LOG_KEEP_BYTES (16 << 20) /* a larger one is moved aside when it is opened */

int cow_supervisor_log_open(struct cow_supervisor *s, struct cow_error *err)
{
	_cleanup_free_ char *path = cow_fs_join(s->place.state, "cowherd.log"), *old = NULL;
	struct stat st;
	int fd;

	if (s->options.log_fd >= 0) {
		cow_log_setup(s->options.log_fd, s->log_level, s->log_json);
		return 0;
	}
	old = path ? cow_asprintf("%s.1", path) : NULL;
	if (!old)
		return cow_error_errno(err, -ENOMEM, "log");
	if (stat(path, &st) == 0 && st.st_size > LOG_KEEP_BYTES)
		(void)rename(path, old);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0640);
	if (fd < 0)
		return cow_error_errno(err, -errno, "%s", path);
	cow_log_setup(fd, s->log_level, s->log_json);
	if (s->log_fd >= 0)
		(void)close(s->log_fd);
	s->log_fd = fd;
	return 0;
}

int cow_supervisor_log_settings(struct cow_supervisor *s, const struct cow_config *config,
				struct cow_error *err)
{
	const struct cow_supervise_options *o = &s->options;

	s->log_level =
		config->log_level >= 0 ? (enum cow_log_level)config->log_level : o->log_default;
	s->log_json = config->log_json > 0;
	if (o->log_level && cow_log_level_parse(o->log_level, &s->log_level) < 0)
		return cow_error_set(err, -EINVAL, "log level %s: not error, warn, info or debug",
				     o->log_level);
	if (o->log_format && strcmp(o->log_format, "json") != 0 &&
	    strcmp(o->log_format, "text") != 0)
		return cow_error_set(err, -EINVAL, "log format %s: not text or json",
				     o->log_format);
	if (o->log_format)
		s->log_json = strcmp(o->log_format, "json") == 0;
	return 0;
}

void cow_supervisor_log(enum cow_log_level level, const char *event, const char *text)
{
	cow_log(.level = level, .event = event, .msg = text);
}

/* One line of the log for each line of text. */
void cow_supervisor_log_lines(enum cow_log_level level, const char *event, const char *text)
{
	_cleanup_free_ char *copy = strdup(text ? text : "");
	char *rest = copy, *line;

	while ((line = strsep(&rest, "\n")))
		if (*line)
			cow_supervisor_log(level, event, line);
}
