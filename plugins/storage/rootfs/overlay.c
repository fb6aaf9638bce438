/* SPDX-License-Identifier: MIT */
/*
 * One mount of many layers.  Since 6.8 each is told by itself ("lowerdir+"); before, all of them
 * stand in one option of at most a page, so that they need short names.
 */
#include "rootfs/place.h"
#include "rootfs/plan.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define VALUE_MAX 255 /* of fsconfig(2) */

/* The last thing the kernel said about this context: "e overlay: …". */
static int context_fail(int fs, int code, const char *target, struct plug_error *err)
{
	char line[256];
	ssize_t n = read(fs, line, sizeof(line) - 1);

	while (n > 0 && line[n - 1] == '\n')
		n--;
	if (n <= 2)
		return plug_error_errno(err, code, "mounting %s", target);
	line[n] = '\0';
	return plug_error_errno(err, code, "mounting %s: %s", target, line + 2);
}

/* A directory as an option's value; one that is too long or would be unescaped goes by descriptor. */
static int set_dir(int fs, const char *key, const char *path)
{
	_cleanup_close_ int fd = -1;
	char link[48];

	if (strlen(path) <= VALUE_MAX && !strpbrk(path, "\\:,"))
		return fsconfig(fs, FSCONFIG_SET_STRING, key, path, 0) < 0 ? -errno : 0;
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	return fsconfig(fs, FSCONFIG_SET_STRING, key, link, 0) < 0 ? -errno : 0;
}

/* -EOPNOTSUPP: this kernel has no "lowerdir+". */
static int set_layers(int fs, const struct st_overlay *o, struct plug_error *err)
{
	for (size_t i = 0; i < o->lower_count; i++) {
		int r = set_dir(fs, "lowerdir+", o->lower[i]);

		if (r == -EINVAL && i == 0)
			return -EOPNOTSUPP;
		if (r < 0)
			return plug_error_errno(err, r, "layer %s", o->lower[i]);
	}
	return 0;
}

static int create(int fs, const struct st_overlay *o, int *ret)
{
	int r = o->upper ? set_dir(fs, "upperdir", o->upper) : 0;

	if (r == 0 && o->upper)
		r = set_dir(fs, "workdir", o->work);
	if (r < 0)
		return r;
	/* What a hard link to a lower file is copied to need not be found again over NFS. */
	(void)fsconfig(fs, FSCONFIG_SET_STRING, "index", "off", 0);
	(void)fsconfig(fs, FSCONFIG_SET_STRING, "source", "overlay", 0);
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	*ret = fsmount(fs, FSMOUNT_CLOEXEC, o->upper ? 0 : MOUNT_ATTR_RDONLY);
	return *ret < 0 ? -errno : 0;
}

int st_overlay_tree(const struct st_overlay *o, const char *target, int *ret, struct plug_error *err)
{
	_cleanup_close_ int fs = fsopen("overlay", FSOPEN_CLOEXEC);
	int r;

	if (fs < 0)
		return errno == ENOSYS ? -EOPNOTSUPP : plug_error_errno(err, -errno, "overlay");
	r = set_layers(fs, o, err);
	if (r < 0)
		return r;
	r = create(fs, o, ret);
	return r < 0 ? context_fail(fs, r, target, err) : 0;
}

static int mount_context(const struct st_overlay *o, const char *target, struct plug_error *err)
{
	_cleanup_close_ int tree = -1;
	int r = st_overlay_tree(o, target, &tree, err);

	if (r < 0)
		return r;
	if (move_mount(tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return plug_error_errno(err, -errno, "mounting %s", target);
	return 0;
}

/* A link of the name "N" to a directory, anew. */
static int link_dir(const char *links, const char *name, const char *path)
{
	_cleanup_free_ char *link = st_path_join(links, name);

	if (!link)
		return -ENOMEM;
	(void)unlink(link);
	return symlink(path, link) < 0 ? -errno : 0;
}

static int make_links(const struct st_overlay *o, char *options, size_t size)
{
	size_t n = (size_t)snprintf(options, size, "index=off,%slowerdir=",
				    o->upper ? "upperdir=u,workdir=w," : "");
	int r = o->upper ? link_dir(o->links, "u", o->upper) : 0;
	char name[24];

	if (r == 0 && o->upper)
		r = link_dir(o->links, "w", o->work);
	for (size_t i = 0; r == 0 && i < o->lower_count; i++) {
		(void)snprintf(name, sizeof(name), "%zu", i);
		r = link_dir(o->links, name, o->lower[i]);
		if (r == 0)
			n += (size_t)snprintf(options + n, size - n, "%s%s", i ? ":" : "", name);
		if (n >= size)
			return -E2BIG;
	}
	return r;
}

/* The working directory is the process's: a child of its own changes it. */
static int mount_classic(const struct st_overlay *o, const char *target, struct plug_error *err)
{
	char options[4096];
	int r, status = 0;
	pid_t pid;

	if (!o->links)
		return plug_error_set(err, -EOPNOTSUPP, "mounting %s: this kernel is too old", target);
	r = st_place_make(o->links, 0700, err);
	if (r < 0)
		return r;
	r = make_links(o, options, sizeof(options));
	if (r < 0)
		return plug_error_errno(err, r, "mounting %s", target);
	pid = fork();
	if (pid == 0) {
		if (chdir(o->links) < 0 ||
		    mount("overlay", target, "overlay", o->upper ? 0 : MS_RDONLY, options) < 0)
			_exit(errno);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return plug_error_errno(err, -errno, "mounting %s", target);
	r = WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
	return r < 0 ? plug_error_errno(err, r, "mounting %s", target) : 0;
}

int st_overlay_mount(const struct st_overlay *o, const char *target, struct plug_error *err)
{
	int r = o->classic ? -EOPNOTSUPP : mount_context(o, target, err);

	return r == -EOPNOTSUPP ? mount_classic(o, target, err) : r;
}
