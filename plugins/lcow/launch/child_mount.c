/* SPDX-License-Identifier: MIT */
/*
 * Mounts.  Each is made detached (fsopen, open_tree), given its attributes, and then moved onto a
 * descriptor of its target: between looking at a path and mounting there is nothing to race with.
 */
#include "child.h"
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define MS_PROPAGATION (MS_PRIVATE | MS_SLAVE | MS_SHARED | MS_UNBINDABLE)
#define FSCONFIG_VALUE_MAX 255 /* what the kernel takes in one option */

int child_attach(int mount_fd, int target_fd)
{
	return (int)sys(move_mount, mount_fd, "", target_fd, "",
			MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

int child_clone_tree(int dir, const char *path, unsigned flags)
{
	return (int)sys(open_tree, dir, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | flags);
}

/* mount(2)'s words for mount_setattr(2)'s. */
static unsigned long child_ms_flags(uint64_t attr)
{
	unsigned long flags = 0;

	flags |= attr & MOUNT_ATTR_RDONLY ? MS_RDONLY : 0;
	flags |= attr & MOUNT_ATTR_NOSUID ? MS_NOSUID : 0;
	flags |= attr & MOUNT_ATTR_NODEV ? MS_NODEV : 0;
	flags |= attr & MOUNT_ATTR_NOEXEC ? MS_NOEXEC : 0;
	flags |= attr & MOUNT_ATTR_NODIRATIME ? MS_NODIRATIME : 0;
	if ((attr & MOUNT_ATTR__ATIME) == MOUNT_ATTR_NOATIME)
		flags |= MS_NOATIME;
	else if ((attr & MOUNT_ATTR__ATIME) == MOUNT_ATTR_STRICTATIME)
		flags |= MS_STRICTATIME;
	else
		flags |= MS_RELATIME;
	return flags;
}

/* The attributes that the mount of fd has now (statfs's ST_ flags are MS_ flags here). */
static int child_get_attr(int fd, uint64_t *ret)
{
	static const struct {
		long st;
		uint64_t attr;
	} map[] = { { 1, MOUNT_ATTR_RDONLY },	  { 2, MOUNT_ATTR_NOSUID },
		    { 4, MOUNT_ATTR_NODEV },	  { 8, MOUNT_ATTR_NOEXEC },
		    { 1024, MOUNT_ATTR_NOATIME }, { 2048, MOUNT_ATTR_NODIRATIME } };
	struct statfs st;
	long r = sys(fstatfs, fd, &st);

	if (r < 0)
		return (int)r;
	*ret = 0;
	for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++)
		*ret |= st.f_flags & map[i].st ? map[i].attr : 0;
	if (!(st.f_flags & (1024 | 4096))) /* neither noatime nor relatime */
		*ret |= MOUNT_ATTR_STRICTATIME;
	return 0;
}

/* /proc/self/fd/N: what mount(2) takes instead of a descriptor, through the host's procfs. */
static void child_fd_path(struct child *c, int fd)
{
	size_t pos = sys_append(c->buf2, sizeof(c->buf2), 0, "/proc/self/fd/");

	(void)sys_append_number(c->buf2, sizeof(c->buf2), pos, (unsigned long)fd);
}

/* Linux 5.10 and 5.11: after the mount is in its place, by path, one mount at a time. */
static int child_remount(struct child *c, int fd, uint64_t set, uint64_t clear, bool recursive)
{
	uint64_t attr;
	int r = child_get_attr(fd, &attr);

	if (r < 0)
		return r;
	if (((attr & ~clear) | set) == attr)
		return 0;
	if (recursive)
		return -EOPNOTSUPP;
	child_fd_path(c, fd);
	return (int)sys(mount, NULL, c->buf2, NULL,
			MS_BIND | MS_REMOUNT | child_ms_flags((attr & ~clear) | set), NULL);
}

int child_set_attr(struct child *c, int fd, uint64_t set, uint64_t clear, bool recursive)
{
	struct mount_attr attr = { .attr_set = set, .attr_clr = clear };
	long r;

	if ((set | clear) == 0)
		return 0;
	/* Access times are one field of three values, to be replaced as a whole. */
	if ((set | clear) & MOUNT_ATTR__ATIME)
		attr.attr_clr |= MOUNT_ATTR__ATIME;
	if (!c->mount_by_fd) {
		r = sys(mount_setattr, fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0),
			&attr, sizeof(attr));
		if (r != -ENOSYS)
			return (int)r;
	}
	return child_remount(c, fd, set, attr.attr_clr, recursive);
}

int child_propagate(struct child *c, int fd, uint32_t flags)
{
	struct mount_attr attr = { .propagation = flags & MS_PROPAGATION };
	long r = sys(mount_setattr, fd, "", AT_EMPTY_PATH | (flags & MS_REC ? AT_RECURSIVE : 0),
		     &attr, sizeof(attr));

	if (r != -ENOSYS)
		return (int)r;
	child_fd_path(c, fd);
	return (int)sys(mount, NULL, c->buf2, NULL, flags & (MS_PROPAGATION | MS_REC), NULL);
}

/*
 * The kernel's own words about a rejected option, if it has any: "e tmpfs: Bad value for 'size'".
 */
static void child_read_log(struct child *c, int fd)
{
	long n = sys(read, fd, c->text, sizeof(c->text) - 1);
	long skip = n > 2 && c->text[1] == ' ' ? 2 : 0;

	if (n < 0)
		n = skip = 0;
	for (long i = skip; i < n; i++)
		c->text[i - skip] = c->text[i] == '\n' ? '\0' : c->text[i];
	c->text[n - skip] = '\0';
}

/* The next "key[=value]" of a list; quotes keep commas, and go. */
static const char *child_next_option(const char *data, char *out, size_t size, char **ret_value)
{
	bool quoted = false;
	size_t n = 0;

	*ret_value = NULL;
	for (; *data && (quoted || *data != ','); data++) {
		if (*data == '"') {
			quoted = !quoted;
			continue;
		}
		if (n + 1 >= size)
			return NULL;
		if (*data == '=' && !*ret_value) {
			out[n++] = '\0';
			*ret_value = out + n;
			continue;
		}
		out[n++] = *data;
	}
	out[n] = '\0';
	return *data ? data + 1 : data;
}

/*
 * The mount points and devices within a tmpfs are made while it can be written, as with others; of
 * more of them than anyone has, the rest is read-only at once.
 */
static bool child_readonly_late(const struct child *c, const struct launch_mount *m)
{
	return m->kind == LAUNCH_MOUNT_FS && m->attr_set & MOUNT_ATTR_RDONLY &&
	       c->n_late < CHILD_LATE_MAX && sys_streq(launch_text(c->plan, m->type), "tmpfs");
}

static bool child_names_mode(const char *data)
{
	for (; *data; data++) {
		const char *word = "mode=";

		while (*word && *data == *word) {
			data++;
			word++;
		}
		if (!*word)
			return true;
		while (*data && *data != ',')
			data++;
		if (!*data)
			break;
	}
	return false;
}

/*
 * A tmpfs over a directory has that one's mode, as with others, where its options say nothing; of one
 * that is made for it, the file system's own.
 */
static int child_inherit_mode(struct child *c, int fs, const struct launch_mount *m)
{
	struct stat st;
	char mode[5];
	long r;
	int target;

	if (!sys_streq(launch_text(c->plan, m->type), "tmpfs") ||
	    (m->data && child_names_mode(launch_text(c->plan, m->data))))
		return 0;
	target = resolve(c->root, launch_text(c->plan, m->target), RESOLVE_MUST_EXIST);
	if (target < 0)
		return 0;
	r = sys(fstat, target, &st);
	(void)sys(close, target);
	if (r < 0 || !S_ISDIR(st.st_mode))
		return (int)r;
	for (int i = 0; i < 4; i++)
		mode[i] = (char)('0' + (st.st_mode >> (9 - 3 * i) & 7));
	mode[4] = '\0';
	return (int)sys(fsconfig, fs, FSCONFIG_SET_STRING, "mode", mode, 0);
}

/* What the options of mount(2) say in flags, and what a new file system needs besides. */
static long child_configure_head(struct child *c, int fs, const struct launch_mount *m,
				 unsigned command)
{
	static const struct {
		uint64_t flag;
		const char *name;
	} flags[] = { { MS_RDONLY, "ro" },
		      { MS_SYNCHRONOUS, "sync" },
		      { MS_DIRSYNC, "dirsync" },
		      { MS_MANDLOCK, "mand" },
		      { MS_LAZYTIME, "lazytime" } };
	const char *source = m->source ? launch_text(c->plan, m->source) : "none";
	long r = 0;

	if (command == FSCONFIG_CMD_CREATE)
		r = sys(fsconfig, fs, FSCONFIG_SET_STRING, "source", source, 0);
	if (command == FSCONFIG_CMD_CREATE && r == 0)
		r = child_inherit_mode(c, fs, m);
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]) && r == 0; i++) {
		if (m->sb_flags & flags[i].flag)
			r = sys(fsconfig, fs, FSCONFIG_SET_FLAG, flags[i].name, NULL, 0);
	}
	return r;
}

static int child_configure(struct child *c, int fs, const struct launch_mount *m, unsigned command,
			   bool *ret_long)
{
	const char *data = m->data ? launch_text(c->plan, m->data) : "";
	long r = child_configure_head(c, fs, m, command);

	while (*data && r == 0) {
		char *value;

		data = child_next_option(data, c->buf, sizeof(c->buf), &value);
		*ret_long = !data || (value && sys_strlen(value) > FSCONFIG_VALUE_MAX);
		if (*ret_long)
			return -E2BIG;
		if (!c->buf[0])
			continue;
		r = sys(fsconfig, fs, value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, c->buf,
			value, 0);
	}
	if (r == 0)
		r = sys(fsconfig, fs, command, NULL, NULL, 0);
	return (int)r;
}

/* A new file system, detached.  -E2BIG with *ret_long: an option is too long for fsconfig(2). */
static int child_make_fs(struct child *c, const struct launch_mount *m, bool *ret_long)
{
	long fs = sys(fsopen, launch_text(c->plan, m->type), FSOPEN_CLOEXEC), fd;
	uint64_t attr = m->attr_set & ~(uint64_t)MOUNT_ATTR_IDMAP;

	if (child_readonly_late(c, m))
		attr &= ~(uint64_t)MOUNT_ATTR_RDONLY;
	*ret_long = false;
	if (fs < 0)
		return (int)fs;
	fd = child_configure(c, (int)fs, m, FSCONFIG_CMD_CREATE, ret_long);
	if (fd == 0)
		fd = sys(fsmount, fs, FSMOUNT_CLOEXEC, attr);
	if (fd < 0 && !*ret_long)
		child_read_log(c, (int)fs);
	(void)sys(close, fs);
	return (int)fd;
}

/*
 * In a user namespace without a network or ipc namespace of its own, the host's is what can be had.
 */
static int child_host_fs(struct child *c, const struct launch_mount *m, int code)
{
	static const char *const instead[][2] = { { "sysfs", "/sys" },
						  { "mqueue", "/dev/mqueue" },
						  { "proc", "/proc" } };
	const char *type = launch_text(c->plan, m->type);
	int fd, r;

	if (!c->userns || (code != -EPERM && code != -EBUSY))
		return code;
	for (size_t i = 0; i < sizeof(instead) / sizeof(instead[0]); i++) {
		if (!sys_streq(type, instead[i][0]))
			continue;
		if (i == 2 && (c->clone_flags & CLONE_NEWPID))
			return code;
		fd = child_clone_tree(AT_FDCWD, instead[i][1], AT_RECURSIVE);
		if (fd < 0)
			return code;
		r = child_set_attr(c, fd, m->attr_set, m->attr_clear, false);
		if (r == 0) {
			c->text[0] = '\0';
			return fd;
		}
		(void)sys(close, fd);
		return r;
	}
	return code;
}

static int child_open_source(struct child *c, const struct launch_mount *m, uint32_t i)
{
	const char *source = launch_text(c->plan, m->source);
	unsigned flags = m->opts & LAUNCH_MOUNT_REC ? AT_RECURSIVE : 0;
	int fd, inside, r;

	if (m->opts & LAUNCH_MOUNT_IN_ROOT) {
		inside = resolve(c->root, source, RESOLVE_MUST_EXIST);
		if (inside < 0)
			return inside;
		fd = child_clone_tree(inside, "", flags | AT_EMPTY_PATH);
		(void)sys(close, inside);
		return fd;
	}
	if (!(m->opts & LAUNCH_MOUNT_IDMAP)) {
		if (m->opts & LAUNCH_MOUNT_NOFOLLOW_SRC)
			flags |= AT_SYMLINK_NOFOLLOW;
		fd = child_clone_tree(AT_FDCWD, source, flags);
		if (!c->userns || (fd != -EACCES && fd != -EPERM && fd != -EINVAL))
			return fd;
	}
	/*
	 * What the user namespace's root may not: reach it, bare it of what is mounted below, or
	 * map its ids.
	 */
	r = child_ask(c, LAUNCH_MSG_MOUNT, i, &fd);
	return r < 0 ? r : fd;
}

/*
 * What masked and read-only paths lie in has to be where they are looked for later: a link on the way,
 * into a volume that another container writes to, could lead elsewhere by then (CVE-2019-19921,
 * CVE-2023-27561).
 */
static bool child_without_links(struct child *c, const struct launch_mount *m)
{
	static const char *const places[] = { "/proc", "/sys" }, *const types[] = { "proc", "sysfs" };
	const char *type = m->type ? launch_text(c->plan, m->type) : "";

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (sys_streq(launch_text(c->plan, m->target), places[i]) || sys_streq(type, types[i]))
			return true;
	return false;
}

static int child_target(struct child *c, const struct launch_mount *m, uint32_t i, bool file)
{
	int how = file ? RESOLVE_MAKE_FILE : RESOLVE_MAKE_DIR;
	int r = child_step(c, LAUNCH_STEP_MOUNT_TARGET, i);

	if (m->opts & LAUNCH_MOUNT_NOFOLLOW_DST)
		how |= RESOLVE_NOFOLLOW;
	if (child_without_links(c, m))
		how |= RESOLVE_NO_LINKS;
	if (r == 0)
		r = resolve(c->root, launch_text(c->plan, m->target), how);
	if (r == -ELOOP && how & RESOLVE_NO_LINKS)
		(void)sys_append(c->text, sizeof(c->text), 0, "not mounted through a symlink");
	return r;
}

/* What was mounted on / is the root from now on. */
static int child_if_root(struct child *c, int target, int fd)
{
	struct stat a, b;

	if (sys(fstat, target, &a) < 0 || sys(fstat, c->root, &b) < 0 || a.st_ino != b.st_ino ||
	    a.st_dev != b.st_dev)
		return 0;
	return (int)sys(dup3, fd, c->root, O_CLOEXEC);
}

static int child_options(struct child *c, const struct launch_mount *m, uint32_t i, int fd, bool fs)
{
	int r = child_step(c, LAUNCH_STEP_MOUNT_OPTIONS, i);

	if (r == 0 && !fs)
		r = child_set_attr(c, fd, m->attr_set & ~(uint64_t)MOUNT_ATTR_IDMAP, m->attr_clear,
				   false);
	if (r == 0)
		r = child_set_attr(c, fd, m->rec_attr_set, m->rec_attr_clear, true);
	for (int k = 0; k < 2 && r == 0; k++) {
		if (m->propagation[k])
			r = child_propagate(c, fd, m->propagation[k]);
	}
	return r;
}

/* Closed, unless it is needed once more. */
static void child_mount_done(struct child *c, const struct launch_mount *m, uint32_t i, int fd)
{
	if (child_readonly_late(c, m))
		c->late[c->n_late++] = (struct child_late){ fd, i };
	else
		(void)sys(close, fd);
}

/* fd is a detached mount and is this function's in any case. */
static int child_place_mount(struct child *c, const struct launch_mount *m, uint32_t i, int fd,
			     bool fs)
{
	struct stat st; /* clearing all of it would be a call of memset */
	long r;
	int target;

	st.st_mode = S_IFDIR;
	r = fs ? 0 : sys(fstat, fd, &st);
	if (r == 0 && !c->mount_by_fd)
		r = child_options(c, m, i, fd, fs);
	target = r < 0 ? (int)r : child_target(c, m, i, !S_ISDIR(st.st_mode));
	r = target;
	if (target >= 0) {
		r = child_step(c, LAUNCH_STEP_MOUNT, i);
		if (r == 0 && m->opts & LAUNCH_MOUNT_TMPCOPYUP)
			r = child_copy_up(c, target, fd);
		if (r == 0)
			r = child_attach(fd, target);
		if (r == 0 && c->mount_by_fd)
			r = child_options(c, m, i, fd, fs);
		if (r == 0)
			r = child_if_root(c, target, fd);
		(void)sys(close, target);
	}
	child_mount_done(c, m, i, fd);
	return r < 0 ? (int)r : 0;
}

/* An option that only mount(2) can take: on the target's descriptor, by path. */
static int child_mount_long(struct child *c, const struct launch_mount *m, uint32_t i)
{
	int target = child_target(c, m, i, false);
	long r = target;

	if (target < 0)
		return target;
	child_fd_path(c, target);
	r = sys(mount, m->source ? launch_text(c->plan, m->source) : "none", c->buf2,
		launch_text(c->plan, m->type), m->sb_flags | child_ms_flags(m->attr_set),
		launch_text(c->plan, m->data));
	(void)sys(close, target);
	return (int)r;
}

static int child_mount_fs(struct child *c, const struct launch_mount *m, uint32_t i)
{
	bool too_long = false;
	int fd = child_make_fs(c, m, &too_long);

	if (too_long)
		return child_mount_long(c, m, i);
	if (fd < 0)
		fd = child_host_fs(c, m, fd);
	return fd < 0 ? fd : child_place_mount(c, m, i, fd, true);
}

/* The symlink that the source is, made again; -EINVAL: it is none. */
static int child_copy_symlink(struct child *c, const struct launch_mount *m)
{
	long n = sys(readlinkat, AT_FDCWD, launch_text(c->plan, m->source), c->buf2,
		     sizeof(c->buf2) - 1);
	int dir;

	if (n < 0)
		return (int)n;
	c->buf2[n] = '\0';
	dir = resolve_parent(c->root, launch_text(c->plan, m->target), c->buf);
	if (dir < 0)
		return dir;
	n = sys(symlinkat, c->buf2, dir, c->buf);
	(void)sys(close, dir);
	return n == -EINVAL ? -EIO : (int)n;
}

static int child_mount_bind(struct child *c, const struct launch_mount *m, uint32_t i)
{
	int fd, r = child_step(c, LAUNCH_STEP_MOUNT_SOURCE, i);

	if (r == 0 && m->opts & LAUNCH_MOUNT_COPY_SYMLINK) {
		r = child_copy_symlink(c, m);
		if (r != -EINVAL)
			return r;
		r = 0;
	}
	fd = r < 0 ? r : child_open_source(c, m, i);
	return fd < 0 ? fd : child_place_mount(c, m, i, fd, false);
}

/* The file system's own options, changed in place. */
static int child_reconfigure(struct child *c, const struct launch_mount *m, int target)
{
	long fs = sys(fspick, target, "", FSPICK_CLOEXEC | FSPICK_EMPTY_PATH);
	bool too_long = false;
	int r;

	if (fs < 0)
		return (int)fs;
	r = child_configure(c, (int)fs, m, FSCONFIG_CMD_RECONFIGURE, &too_long);
	if (r < 0)
		child_read_log(c, (int)fs);
	(void)sys(close, fs);
	return r;
}

static int child_mount_remount(struct child *c, const struct launch_mount *m, uint32_t i)
{
	int r = child_step(c, LAUNCH_STEP_MOUNT_TARGET, i);
	int fd = r < 0 ? r : resolve(c->root, launch_text(c->plan, m->target), RESOLVE_MUST_EXIST);

	if (fd < 0)
		return fd;
	if (!(m->opts & LAUNCH_MOUNT_REMOUNT_BIND) && (m->sb_flags || m->data))
		r = child_reconfigure(c, m, fd);
	if (r == 0)
		r = child_options(c, m, i, fd, false);
	(void)sys(close, fd);
	return r;
}

/*
 * What is the same in whatever network namespace it is mounted: these types, and not below /proc,
 * where a path may lead elsewhere once the namespace has changed.
 */
static bool child_ignores_net(struct child *c, const struct launch_mount *m)
{
	static const char *const types[] = { "proc", "tmpfs", "devpts", "mqueue" };
	const char *target = launch_text(c->plan, m->target), *proc = "/proc/";

	while (*proc && *target == *proc) {
		target++;
		proc++;
	}
	if (m->kind != LAUNCH_MOUNT_FS || !*proc)
		return false;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (sys_streq(launch_text(c->plan, m->type), types[i]))
			return true;
	}
	return false;
}

int child_mount(struct child *c, uint32_t i)
{
	const struct launch_mount *m = launch_at(c->plan, c->plan->mounts, struct launch_mount, i);
	int r = child_step(c, LAUNCH_STEP_MOUNT, i);

	if (r == 0 && !child_ignores_net(c, m))
		r = child_take_netns(c);
	if (r < 0)
		return r;
	switch (m->kind) {
	case LAUNCH_MOUNT_FS:
		r = child_mount_fs(c, m, i);
		break;
	case LAUNCH_MOUNT_BIND:
		r = child_mount_bind(c, m, i);
		break;
	case LAUNCH_MOUNT_CGROUP:
		r = child_mount_cgroup(c, m);
		break;
	default:
		r = child_mount_remount(c, m, i);
		break;
	}
	if (r < 0 && m->opts & LAUNCH_MOUNT_OPTIONAL && (r == -ENOENT || r == -ENODEV)) {
		c->text[0] = '\0';
		r = 0;
	}
	return r;
}
