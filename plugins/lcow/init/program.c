/* SPDX-License-Identifier: MIT */
/* Which file is the user's program, and what it is given. */
#include "stub.h"
#include "../launch/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROGRAM_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define PASSWD_MAX 65536

static const char *program_env(struct stub *s, const char *name)
{
	const struct launch_process *p = &s->plan->process;
	size_t len = sys_strlen(name);

	for (uint32_t i = 0; i < p->env.n; i++) {
		const char *e = launch_text(s->plan, *launch_at(s->plan, p->env, launch_str, i));
		size_t n = 0;

		while (n < len && e[n] == name[n])
			n++;
		if (n == len && e[n] == '=')
			return e + n + 1;
	}
	return NULL;
}

static int program_usable(const char *path)
{
	struct stat st;
	long r = sys(newfstatat, AT_FDCWD, path, &st, 0);

	if (r < 0)
		return (int)r;
	return S_ISDIR(st.st_mode) ? -EACCES : (int)sys(faccessat, AT_FDCWD, path, X_OK);
}

/*
 * As execvp: the first in PATH that may be executed; that one may not counts if there is no other.
 */
static int program_search(struct stub *s, const char *name)
{
	const char *dirs = program_env(s, "PATH");
	int denied = 0;

	if (!dirs)
		dirs = PROGRAM_PATH;
	for (;;) {
		size_t n = 0;
		int r;

		for (; *dirs && *dirs != ':'; dirs++) {
			if (n + 2 < sizeof(s->path))
				s->path[n++] = *dirs;
		}
		s->path[n] = '\0';
		n = sys_append(s->path, sizeof(s->path), n, n ? "/" : "./");
		if (sys_append(s->path, sizeof(s->path), n, name) < sizeof(s->path)) {
			r = program_usable(s->path);
			if (r == 0)
				return 0;
			denied |= r == -EACCES;
		}
		if (!*dirs)
			return denied ? -EACCES : -ENOENT;
		dirs++;
	}
}

/*
 * "name:x:uid:gid:words:HOME:shell" -> HOME, where uid is the one; NULL otherwise.  Ends the line.
 */
static char *passwd_home(char *line, uint32_t uid)
{
	unsigned long number = 0;
	char *home = NULL;
	int field = 0;

	for (char *p = line; *p; p++) {
		if (*p == ':') {
			*p = '\0';
			if (++field == 5)
				home = p + 1;
		} else if (field == 2) {
			if (*p < '0' || *p > '9' || number > UINT32_MAX)
				return NULL;
			number = number * 10 + (unsigned long)(*p - '0');
		}
	}
	return field >= 6 && number == uid && *home ? home : NULL;
}

/* HOME from the container's own passwd; text is of PASSWD_MAX bytes. */
static const char *program_home(struct stub *s, char *text)
{
	struct open_how how = { .flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC,
				.resolve = RESOLVE_NO_MAGICLINKS };
	long fd = sys(openat2, AT_FDCWD, "/etc/passwd", &how, sizeof(how));
	long n = fd < 0 ? 0 : sys(read, fd, text, PASSWD_MAX - 1);
	char *line = text;

	if (fd >= 0)
		(void)sys(close, fd);
	for (long i = 0; i < n; i++) {
		char *home;

		if (text[i] != '\n')
			continue;
		text[i] = '\0';
		home = passwd_home(line, s->plan->process.uid);
		if (home)
			return home;
		line = text + i + 1;
	}
	return "/";
}

/* The plan's strings as the kernel wants them, in memory of their own. */
static int program_vectors(struct stub *s, char ***ret_argv, char ***ret_envp)
{
	const struct launch_process *p = &s->plan->process;
	size_t pointers = (size_t)p->args.n + p->env.n + 3;
	size_t size = pointers * sizeof(char *) + PATH_MAX;
	long at = sys(mmap, NULL, size + PASSWD_MAX, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char **argv = (char **)at, **envp, *home;
	size_t n;

	if (at < 0 && at > -4096)
		return (int)at;
	envp = argv + p->args.n + 1;
	for (uint32_t i = 0; i < p->args.n; i++)
		argv[i] = (char *)(uintptr_t)launch_text(
			s->plan, *launch_at(s->plan, p->args, launch_str, i));
	for (uint32_t i = 0; i < p->env.n; i++)
		envp[i] = (char *)(uintptr_t)launch_text(
			s->plan, *launch_at(s->plan, p->env, launch_str, i));
	if (!program_env(s, "HOME")) {
		home = (char *)(argv + pointers);
		n = sys_append(home, PATH_MAX, 0, "HOME=");
		n = sys_append(home, PATH_MAX, n, program_home(s, (char *)at + size));
		if (n < PATH_MAX)
			envp[p->env.n] = home;
	}
	*ret_argv = argv;
	*ret_envp = envp;
	return 0;
}

int stub_program(struct stub *s, const char **ret_path, char ***ret_argv, char ***ret_envp)
{
	const char *name =
		launch_text(s->plan, *launch_at(s->plan, s->plan->process.args, launch_str, 0));
	int r = stub_step(s, LAUNCH_STEP_EXEC, 0);

	if (r < 0)
		return r;
	*ret_path = s->path;
	for (const char *c = name; *c; c++) {
		if (*c == '/')
			*ret_path = name;
	}
	if (*ret_path != name) {
		r = *name ? program_search(s, name) : -ENOENT;
		if (r < 0)
			return r;
	}
	return program_vectors(s, ret_argv, ret_envp);
}
