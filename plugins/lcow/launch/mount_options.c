/* SPDX-License-Identifier: MIT */
/* The option strings of the runtime spec's table, and those that runc and crun know besides. */
#include "compile.h"

#include <linux/mount.h>
#include <stdlib.h>
#include <string.h>

/* Not in every libc's header, and <sys/mount.h> does not go with <linux/mount.h>. */
#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif

#define ATTR MOUNT_OPTION_ATTR
#define REC MOUNT_OPTION_REC_ATTR
#define SB MOUNT_OPTION_SB
#define PROPAGATION MOUNT_OPTION_PROPAGATION
#define ATIME MOUNT_ATTR__ATIME

/* Sorted by name, for bsearch(3). */
static const struct mount_option options[] = {
	{ "acl", SB, MS_POSIXACL, 0 },
	{ "async", SB, 0, MS_SYNCHRONOUS },
	{ "atime", ATTR, 0, ATIME },
	{ "bind", MOUNT_OPTION_BIND, 0, 0 },
	{ "copy-symlink", MOUNT_OPTION_OPTS, LAUNCH_MOUNT_COPY_SYMLINK, 0 },
	{ "defaults", MOUNT_OPTION_NOTHING, 0, 0 },
	{ "dest-nofollow", MOUNT_OPTION_OPTS, LAUNCH_MOUNT_NOFOLLOW_DST, 0 },
	{ "dev", ATTR, 0, MOUNT_ATTR_NODEV },
	{ "diratime", ATTR, 0, MOUNT_ATTR_NODIRATIME },
	{ "dirsync", SB, MS_DIRSYNC, 0 },
	{ "exec", ATTR, 0, MOUNT_ATTR_NOEXEC },
	{ "idmap", MOUNT_OPTION_OPTS, LAUNCH_MOUNT_IDMAP, 0 },
	{ "iversion", SB, MS_I_VERSION, 0 },
	{ "lazytime", SB, MS_LAZYTIME, 0 },
	{ "loud", SB, 0, MS_SILENT },
	{ "mand", SB, MS_MANDLOCK, 0 },
	{ "noacl", SB, 0, MS_POSIXACL },
	{ "noatime", ATTR, MOUNT_ATTR_NOATIME, ATIME },
	{ "nodev", ATTR, MOUNT_ATTR_NODEV, 0 },
	{ "nodiratime", ATTR, MOUNT_ATTR_NODIRATIME, 0 },
	{ "noexec", ATTR, MOUNT_ATTR_NOEXEC, 0 },
	{ "noiversion", SB, 0, MS_I_VERSION },
	{ "nolazytime", SB, 0, MS_LAZYTIME },
	{ "nomand", SB, 0, MS_MANDLOCK },
	{ "norelatime", ATTR, 0, ATIME },
	{ "nostrictatime", ATTR, 0, ATIME },
	{ "nosuid", ATTR, MOUNT_ATTR_NOSUID, 0 },
	{ "nosymfollow", ATTR, MOUNT_ATTR_NOSYMFOLLOW, 0 },
	{ "private", PROPAGATION, MS_PRIVATE, 0 },
	{ "ratime", REC, 0, ATIME },
	{ "rbind", MOUNT_OPTION_BIND, LAUNCH_MOUNT_REC, 0 },
	{ "rdev", REC, 0, MOUNT_ATTR_NODEV },
	{ "rdiratime", REC, 0, MOUNT_ATTR_NODIRATIME },
	{ "relatime", ATTR, MOUNT_ATTR_RELATIME, ATIME },
	{ "remount", MOUNT_OPTION_REMOUNT, 0, 0 },
	{ "rexec", REC, 0, MOUNT_ATTR_NOEXEC },
	{ "ridmap", MOUNT_OPTION_OPTS, LAUNCH_MOUNT_IDMAP | LAUNCH_MOUNT_IDMAP_REC, 0 },
	{ "rnoatime", REC, MOUNT_ATTR_NOATIME, ATIME },
	{ "rnodev", REC, MOUNT_ATTR_NODEV, 0 },
	{ "rnodiratime", REC, MOUNT_ATTR_NODIRATIME, 0 },
	{ "rnoexec", REC, MOUNT_ATTR_NOEXEC, 0 },
	{ "rnorelatime", REC, 0, ATIME },
	{ "rnostrictatime", REC, 0, ATIME },
	{ "rnosuid", REC, MOUNT_ATTR_NOSUID, 0 },
	{ "rnosymfollow", REC, MOUNT_ATTR_NOSYMFOLLOW, 0 },
	{ "ro", ATTR, MOUNT_ATTR_RDONLY, 0 },
	{ "rprivate", PROPAGATION, MS_PRIVATE | MS_REC, 0 },
	{ "rrelatime", REC, MOUNT_ATTR_RELATIME, ATIME },
	{ "rro", REC, MOUNT_ATTR_RDONLY, 0 },
	{ "rrw", REC, 0, MOUNT_ATTR_RDONLY },
	{ "rshared", PROPAGATION, MS_SHARED | MS_REC, 0 },
	{ "rslave", PROPAGATION, MS_SLAVE | MS_REC, 0 },
	{ "rstrictatime", REC, MOUNT_ATTR_STRICTATIME, ATIME },
	{ "rsuid", REC, 0, MOUNT_ATTR_NOSUID },
	{ "rsymfollow", REC, 0, MOUNT_ATTR_NOSYMFOLLOW },
	{ "runbindable", PROPAGATION, MS_UNBINDABLE | MS_REC, 0 },
	{ "rw", ATTR, 0, MOUNT_ATTR_RDONLY },
	{ "shared", PROPAGATION, MS_SHARED, 0 },
	{ "silent", SB, MS_SILENT, 0 },
	{ "slave", PROPAGATION, MS_SLAVE, 0 },
	{ "src-nofollow", MOUNT_OPTION_OPTS, LAUNCH_MOUNT_NOFOLLOW_SRC, 0 },
	{ "strictatime", ATTR, MOUNT_ATTR_STRICTATIME, ATIME },
	{ "suid", ATTR, 0, MOUNT_ATTR_NOSUID },
	{ "symfollow", ATTR, 0, MOUNT_ATTR_NOSYMFOLLOW },
	{ "sync", SB, MS_SYNCHRONOUS, 0 },
	{ "tmpcopyup", MOUNT_OPTION_OPTS, LAUNCH_MOUNT_TMPCOPYUP, 0 },
	{ "unbindable", PROPAGATION, MS_UNBINDABLE, 0 },
};
#define OPTION_COUNT (sizeof(options) / sizeof(options[0]))

struct option_key {
	const char *name;
	size_t len;
};

static int option_compare(const void *key, const void *element)
{
	const struct option_key *wanted = key;
	const char *name = ((const struct mount_option *)element)->name;
	int order = strncmp(wanted->name, name, wanted->len);

	return order ? order : -(name[wanted->len] != '\0');
}

const struct mount_option *mount_option_find(const char *name, size_t len)
{
	struct option_key key = { name, len };

	return bsearch(&key, options, OPTION_COUNT, sizeof(options[0]), option_compare);
}

/* Does this option say what `mount` does?  The ones that only clear something say nothing. */
static bool option_holds(const struct mount_option *option, const struct launch_mount *mount)
{
	switch (option->field) {
	case MOUNT_OPTION_ATTR:
		return option->set && (mount->attr_set & option->set) == option->set;
	case MOUNT_OPTION_REC_ATTR:
		return option->set && (mount->rec_attr_set & option->set) == option->set;
	case MOUNT_OPTION_SB:
		return option->set && (mount->sb_flags & option->set) == option->set;
	case MOUNT_OPTION_PROPAGATION:
		return mount->propagation[0] == option->set || mount->propagation[1] == option->set;
	case MOUNT_OPTION_OPTS:
		if (option->set == LAUNCH_MOUNT_IDMAP && (mount->opts & LAUNCH_MOUNT_IDMAP_REC))
			return false; /* "ridmap" says it */
		return (mount->opts & option->set) == option->set;
	default:
		return false;
	}
}

size_t mount_option_names(const struct launch_mount *mount, char *buf, size_t size)
{
	size_t n = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		if (!option_holds(&options[i], mount) || n + strlen(options[i].name) + 3 > size)
			continue;
		n += (size_t)snprintf(buf + n, size - n, "%s%s", n ? ", " : "", options[i].name);
	}
	return n;
}
