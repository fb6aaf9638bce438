/* SPDX-License-Identifier: MIT */
/* create and run. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "cli/commands.h"
#include "cli/foreground.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* Made before the container: a file that is there already belongs to another one. */
static int open_cidfile(const struct cow_args *args, int *ret, struct cow_error *err)
{
	const char *path = cow_args_string(args, "cidfile");

	*ret = -1;
	if (!path)
		return 0;
	*ret = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	return *ret < 0 ? cow_error_errno(err, -errno, "--cidfile: %s", path) : 0;
}

static int fill_cidfile(const struct cow_args *args, int fd, const char *id, struct cow_error *err)
{
	const char *path = cow_args_string(args, "cidfile");
	int r;

	if (fd < 0)
		return 0;
	if (!*id) {
		(void)unlink(path);
		return 0;
	}
	r = cow_fs_write_all(fd, id, strlen(id));
	return r ? cow_error_errno(err, r, "--cidfile: %s", path) : 0;
}

static int pid_of(void *arg, const char *container, int64_t *ret, struct cow_error *err)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf b = COW_STRBUF_INIT;
	struct cow_message m = COW_MESSAGE_INIT;
	const struct cow_foreground *f = arg;
	int r;

	cow_strbuf_add(&b, "{");
	cow_params_string(&b, "container", container);
	cow_strbuf_add(&b, "}");
	r = cow_session_call(f->session, "container.inspect", b.data, NULL, 0, &m, err);
	*ret = cow_get_int(m.value, "pid", 0);
	cow_message_finish(&m);
	if (!r && *ret <= 0)
		r = cow_error_set(err, -ESRCH, "container %s: it does not run", container);
	return r;
}

static int create(struct cow_foreground *f, struct cow_error *err)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf b = COW_STRBUF_INIT;
	_cleanup_close_ int cid_fd = -1;
	struct cow_message m = COW_MESSAGE_INIT;
	struct cow_params_place place;
	char cwd[PATH_MAX];
	int r = cow_foreground_place(&place, cwd, err);

	place.pid_of = pid_of;
	place.pid_of_arg = f;
	r = r ?: cow_params_create(f->args, &place, &b, err) ?: open_cidfile(f->args, &cid_fd, err);
	if (r)
		return r;
	r = cow_session_call(f->session, "container.create", b.data, NULL, 0, &m, err);
	(void)snprintf(f->id, sizeof(f->id), "%s", cow_get_string(m.value, "id", ""));
	cow_message_finish(&m);
	if (r) {
		/* Interrupted, but made. */
		cow_foreground_discard(f);
		f->id[0] = '\0';
	}
	return fill_cidfile(f->args, cid_fd, f->id, r ? NULL : err) ?: r;
}

int cow_cmd_create(const struct cow_args *args)
{
	struct cow_foreground f = { 0 };
	struct cow_error err = { 0 };
	int r = cow_foreground_open(&f, args, false, false);

	if (r)
		return r;
	r = create(&f, &err);
	if (r)
		r = cow_foreground_fail(&f, r, &err);
	else
		(void)printf("%s\n", f.id);
	cow_foreground_close(&f);
	return r;
}

static int run_background(struct cow_foreground *f)
{
	struct cow_error err = { 0 };
	int r = cow_foreground_call(f, "container.start", &err);

	if (!r) {
		(void)printf("%s\n", f->id);
		return 0;
	}
	if (r == -EINTR || cow_args_flag(f->args, "rm", false))
		cow_foreground_discard(f);
	if (r == -EINTR)
		return cow_foreground_fail(f, r, &err);
	return cow_foreground_start_failed(f->args, &err);
}

/* As docker has it: who sees nothing of the container at least gets its id. */
static void tell_id(const struct cow_foreground *f)
{
	if (cow_foreground_attached(f->args, "stdout") || cow_foreground_attached(f->args, "stderr"))
		return;
	(void)printf("%s\n", f->id);
	(void)fflush(stdout);
}

static int run_foreground(struct cow_foreground *f, bool interactive)
{
	struct cow_error err = { 0 };
	int r = cow_foreground_attach(f, interactive, true, &err)
		?: cow_foreground_begin(f, true, true, &err);

	if (!r)
		tell_id(f);
	if (!r)
		return cow_foreground_run(f, cow_args_flag(f->args, "rm", false));
	cow_foreground_discard(f);
	return cow_foreground_fail(f, r, &err);
}

static int check_attach(const struct cow_args *args, bool detach)
{
	static const char *const streams[] = { "stdin", "stdout", "stderr" };
	struct cow_error err = { 0 };
	const char *v;
	int r = 0;

	for (size_t i = 0; !r && (v = cow_args_nth(args, "attach", i)); i++) {
		size_t k = 0;

		while (k < COW_ELEMENTS(streams) && strcasecmp(streams[k], v) != 0)
			k++;
		if (detach)
			r = cow_error_set(&err, -EINVAL, "--attach and --detach exclude each other");
		else if (k == COW_ELEMENTS(streams))
			r = cow_error_set(&err, -EINVAL,
					  "--attach: \"%s\" is not one of stdin, stdout, stderr", v);
	}
	return r ? cow_fail(args, &err) : 0;
}

int cow_cmd_run(const struct cow_args *args)
{
	bool detach = cow_args_flag(args, "detach", false);
	bool interactive = cow_args_flag(args, "interactive", false) && !detach &&
			   cow_foreground_attached(args, "stdin");
	struct cow_foreground f = { 0 };
	struct cow_error err = { 0 };
	int r = check_attach(args, detach)
		?: cow_foreground_need_terminal(args, cow_args_flag(args, "tty", false), interactive)
		?: cow_foreground_open(&f, args, interactive,
				       cow_args_flag(args, "sig-proxy", true));

	if (r)
		return r;
	r = create(&f, &err);
	if (r)
		r = cow_foreground_fail(&f, r, &err);
	else
		r = detach ? run_background(&f) : run_foreground(&f, interactive);
	cow_foreground_close(&f);
	return r;
}
