/* SPDX-License-Identifier: MIT */
/* The table of attached disks, in a file, and what happens when its first owner comes or its last goes. */
#include "disk/attach.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk/error.h"
#include "disk/qemu.h"
#include "disk/slots.h"
#include "disk/vhd.h"
#include "common/util.h"

/* The table as it is while its lock is held. */
struct table {
	const char *dir;
	int dirfd, lock;
	struct st_slots *slots;
};

static void boot_id(char ret[40])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, ret, 36);

	ret[n < 0 ? 0 : n] = 0;
	if (fd >= 0)
		(void)close(fd);
}

static int dir_make(const char *path)
{
	char *copy = strdup(path), *p = copy;

	if (!copy)
		return -ENOMEM;
	while ((p = strchr(p + 1, '/'))) {
		*p = 0;
		(void)mkdir(copy, 0700);
		*p = '/';
	}
	free(copy);
	return mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

static int table_read(struct table *t)
{
	char *text;
	struct stat st;
	int r, fd = openat(t->dirfd, "table.json", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	text = fstat(fd, &st) == 0 ? calloc(1, (size_t)st.st_size + 1) : NULL;
	n = text ? read(fd, text, (size_t)st.st_size) : -1;
	r = n < 0 ? -ENOMEM : st_slots_parse(text, t->slots);
	free(text);
	(void)close(fd);
	return r;
}

static void table_close(struct table *t)
{
	if (t->slots)
		st_slots_clear(t->slots);
	free(t->slots);
	if (t->lock >= 0)
		(void)close(t->lock);
	if (t->dirfd >= 0)
		(void)close(t->dirfd);
}

static int table_open(const char *dir, struct table *t)
{
	char boot[40];
	int r = dir_make(dir);

	*t = (struct table){ .dir = dir, .dirfd = -1, .lock = -1, .slots = calloc(1, sizeof(*t->slots)) };
	if (r == 0 && !t->slots)
		r = -ENOMEM;
	if (r == 0) {
		t->dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		t->lock = t->dirfd < 0 ? -1 : openat(t->dirfd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		if (t->lock < 0 || flock(t->lock, LOCK_EX) < 0)
			r = -errno;
	}
	if (r == 0)
		r = table_read(t);
	if (r < 0) {
		table_close(t);
		return r;
	}
	/* Devices of another boot are gone, whatever is written. */
	boot_id(boot);
	if (strcmp(boot, t->slots->boot) != 0) {
		st_slots_clear(t->slots);
		memcpy(t->slots->boot, boot, sizeof(boot));
	}
	return 0;
}

static int table_save(struct table *t)
{
	char *text = st_slots_text(t->slots);
	int fd = text ? openat(t->dirfd, "table.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)
		      : -1;
	size_t size = text ? strlen(text) : 0;
	int r = !text ? -ENOMEM : fd < 0 ? -errno : 0;

	if (r == 0)
		r = plug_write_all(fd, text, size);
	if (fd >= 0)
		(void)close(fd);
	if (r == 0 && renameat(t->dirfd, "table.new", t->dirfd, "table.json") < 0)
		r = -errno;
	free(text);
	return r;
}

static int token_make(char ret[40])
{
	uint8_t random[12];

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return -errno;
	(void)memcpy(ret, "cowherd:", 9);
	for (size_t i = 0; i < sizeof(random); i++)
		(void)snprintf(ret + 8 + i * 2, 3, "%02x", random[i]);
	return 0;
}

/* By the token alone: whatever was made under it goes. */
static int slot_undo(const char *dir, const struct st_slot *s)
{
	int r, one;

	if (!*s->token)
		return 0;
	one = st_qemu_pidfd(dir, s->token);
	if (one >= 0)
		(void)close(one);
	r = st_loop_detach_named(s->token);
	/* What a daemon that is dead had not written is lost; the device goes nevertheless. */
	if (r == -EIO && one == -ESRCH)
		r = 0;
	one = st_qemu_release(dir, s->token);
	return r < 0 ? r : one;
}

static int slot_loop(const struct st_attach_options *o, struct st_slot *s, int fd, bool exported)
{
	struct st_loop_options loop = { .size = s->size, .readonly = o->readonly, .buffered = exported };

	(void)snprintf(loop.name, sizeof(loop.name), "%s", s->token);
	return st_loop_attach(fd, &loop, s->device, NULL);
}

static int refuse(const struct st_attach_options *o, const struct st_disk_info *info,
		  const struct st_message *m)
{
	if ((info->kind == ST_DISK_VHD_DIFFERENCING || info->kind == ST_DISK_VHDX_DIFFERENCING) &&
	    !o->allow_parent)
		return st_fail(m, -EPERM, "%s: a differencing disk has a parent, which was not named",
			       o->path);
	return info->size ? 0 : st_fail(m, -EINVAL, "%s: there is no disk in it", o->path);
}

static int slot_attach(const struct st_attach_options *o, struct st_slot *s, const struct st_message *m)
{
	struct st_disk_info info;
	bool exported;
	int fd = -1, r = st_disk_probe(s->path, &info, &fd, m->text, m->size);

	if (r < 0)
		return r;
	r = refuse(o, &info, m);
	s->size = info.size;
	if (r < 0 || info.kind == ST_DISK_BLOCK) {
		(void)snprintf(s->device, sizeof(s->device), "%s", s->path);
		(void)close(fd);
		return r < 0 ? r : strlen(s->path) < sizeof(s->device) ? 0 : -ENAMETOOLONG;
	}
	exported = info.kind != ST_DISK_RAW && info.kind != ST_DISK_VHD_FIXED;
	if (exported) {
		(void)close(fd);
		r = st_qemu_export(o->dir, s->token, s->path, info.kind, o->readonly, &fd, m);
	} else if (!o->readonly) {
		(void)close(fd);
		fd = open(s->path, O_RDWR | O_CLOEXEC);
		r = fd < 0 ? st_fail(m, -errno, "%s: %s", o->path, strerror(errno)) : 0;
	}
	if (r == 0) {
		r = slot_loop(o, s, fd, exported);
		if (r < 0)
			(void)st_fail(m, r, "%s: loop device: %s", o->path, strerror(-r));
		(void)close(fd);
	}
	return r;
}

static void fill(const struct st_slot *s, unsigned controller, unsigned lun, struct st_attachment *ret)
{
	*ret = (struct st_attachment){ .controller = controller,
				       .lun = lun,
				       .refs = (unsigned)s->owner_count,
				       .readonly = s->readonly,
				       .size = s->size };
	memcpy(ret->device, s->device, sizeof(ret->device));
}

/* Written down before it is made, and once more when the device is known. */
static int slot_first(struct table *t, const struct st_attach_options *o, struct st_slot *s,
		      const struct st_message *m)
{
	int r = token_make(s->token);

	if (r == 0)
		r = table_save(t);
	if (r < 0)
		return st_fail(m, r, "%s: %s", o->dir, strerror(-r));
	r = slot_attach(o, s, m);
	if (r == 0) {
		r = table_save(t);
		if (r < 0)
			(void)st_fail(m, r, "%s: %s", o->dir, strerror(-r));
	}
	if (r < 0) {
		(void)slot_undo(o->dir, s);
		st_slot_free(s);
		(void)table_save(t);
	}
	return r;
}

/* Nobody gets a device behind which there is nobody any more. */
static int slot_check(struct table *t, const struct st_slot *s, const struct st_message *m,
		      const char *path)
{
	int fd = st_qemu_pidfd(t->dir, s->token);

	if (fd >= 0)
		(void)close(fd);
	return fd == -ESRCH ? st_fail(m, -EIO, "%s: the qemu-storage-daemon behind it has ended", path)
			    : 0;
}

int st_attach(const struct st_attach_options *o, struct st_attachment *ret, char *error,
	      size_t error_size)
{
	struct st_message m = { error, error_size };
	char *path = realpath(o->path, NULL);
	unsigned controller, lun;
	struct table t;
	bool first;
	int r;

	if (!path)
		return st_fail(&m, -errno, "%s: %s", o->path, strerror(errno));
	r = table_open(o->dir, &t);
	if (r < 0) {
		free(path);
		return st_fail(&m, r, "%s: %s", o->dir, strerror(-r));
	}
	t.slots->controllers = o->controllers ? o->controllers : ST_DISK_CONTROLLERS;
	r = st_slots_add(t.slots, path, o->owner, o->readonly, &controller, &lun, &first);
	if (r < 0) {
		(void)st_fail(&m, r, "%s: %s", o->path,
			      st_slots_message(r) ? st_slots_message(r) : strerror(-r));
	} else {
		struct st_slot *s = &t.slots->slot[controller][lun];

		if (!first && *s->device)
			r = slot_check(&t, s, &m, o->path);
		/* One without a device was begun by a process that is dead. */
		else if (!first)
			r = slot_undo(o->dir, s);
		if (r == 0)
			r = first || !*s->device ? slot_first(&t, o, s, &m) : table_save(&t);
		if (r == 0)
			fill(s, controller, lun, ret);
	}
	table_close(&t);
	free(path);
	return r;
}

/* Owners whose last use this was: the device first, then the record. */
static int slot_last(struct table *t, struct st_slot *s)
{
	int r = slot_undo(t->dir, s);

	if (r == 0)
		st_slot_free(s);
	return r;
}

static bool owner_matches(const char *owner, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(owner, prefix, n) == 0 && (!owner[n] || owner[n] == '/');
}

static int slot_release(struct table *t, struct st_slot *s, const char *owner, bool whole)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->owner_count;) {
		if (whole ? strcmp(s->owners[i], owner) != 0 : !owner_matches(s->owners[i], owner)) {
			i++;
			continue;
		}
		if (s->owner_count == 1) {
			r = slot_last(t, s);
			break;
		}
		free(s->owners[i]);
		s->owners[i] = s->owners[--s->owner_count];
	}
	return r;
}

/* path NULL: any. */
static int release(const char *dir, const char *owner, const char *path, const struct st_message *m)
{
	struct table t;
	int r = 0, one;

	if (access(dir, F_OK) < 0 && errno == ENOENT)
		return 0;
	r = table_open(dir, &t);
	if (r < 0)
		return st_fail(m, r, "%s: %s", dir, strerror(-r));
	for (unsigned i = 0; i < ST_DISK_CONTROLLERS * ST_DISK_LUNS; i++) {
		struct st_slot *s = &t.slots->slot[i / ST_DISK_LUNS][i % ST_DISK_LUNS];

		if (!s->path || (path && strcmp(s->path, path) != 0))
			continue;
		one = slot_release(&t, s, owner, path != NULL);
		if (one < 0)
			r = st_fail(m, one, "failed to remove SCSI disk %s from container %s: %s",
				    s->path, owner, strerror(-one));
	}
	one = table_save(&t);
	table_close(&t);
	return r < 0 ? r : one < 0 ? st_fail(m, one, "%s: %s", dir, strerror(-one)) : 0;
}

int st_detach(const char *dir, const char *owner, const char *path, char *error, size_t error_size)
{
	struct st_message m = { error, error_size };
	char *real = realpath(path, NULL);
	int r = release(dir, owner, real ? real : path, &m);

	free(real);
	return r;
}

int st_detach_owner(const char *dir, const char *prefix, char *error, size_t error_size)
{
	struct st_message m = { error, error_size };

	return release(dir, prefix, NULL, &m);
}

int st_attached(const char *dir, const char *path, struct st_attachment *ret)
{
	char *real = realpath(path, NULL);
	unsigned controller, lun;
	struct st_slot *s;
	struct table t;
	int r = access(dir, F_OK) < 0 ? -ENOENT : table_open(dir, &t);

	if (r == 0) {
		s = st_slots_find(t.slots, real ? real : path, &controller, &lun);
		r = s && *s->device ? 0 : -ENOENT;
		if (r == 0)
			fill(s, controller, lun, ret);
		table_close(&t);
	}
	free(real);
	return r;
}

static int daemon_fill(struct st_daemon *d, const struct st_slot *s, int pidfd)
{
	*d = (struct st_daemon){ .path = strdup(s->path),
				 .owner = strdup(s->owner_count ? s->owners[0] : ""),
				 .refs = (unsigned)s->owner_count,
				 .pidfd = pidfd };
	memcpy(d->token, s->token, sizeof(d->token));
	return d->path && d->owner ? 0 : -ENOMEM;
}

void st_daemons_free(struct st_daemon *daemons, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(daemons[i].path);
		free(daemons[i].owner);
		if (daemons[i].pidfd >= 0)
			(void)close(daemons[i].pidfd);
	}
	free(daemons);
}

int st_attach_daemons(const char *dir, struct st_daemon **ret, size_t *ret_count)
{
	struct st_daemon *daemons = NULL;
	size_t count = 0;
	struct table t;
	int r = access(dir, F_OK) < 0 ? -errno : table_open(dir, &t);

	*ret = NULL;
	*ret_count = 0;
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	daemons = calloc(ST_DISK_CONTROLLERS * ST_DISK_LUNS, sizeof(*daemons));
	r = daemons ? 0 : -ENOMEM;
	for (unsigned i = 0; r == 0 && i < ST_DISK_CONTROLLERS * ST_DISK_LUNS; i++) {
		struct st_slot *s = &t.slots->slot[i / ST_DISK_LUNS][i % ST_DISK_LUNS];
		int fd = s->path && *s->token && *s->device ? st_qemu_pidfd(dir, s->token) : -ENOENT;

		if (fd >= 0 || fd == -ESRCH)
			r = daemon_fill(&daemons[count++], s, fd >= 0 ? fd : -1);
	}
	table_close(&t);
	if (r < 0) {
		st_daemons_free(daemons, count);
		return r;
	}
	*ret = daemons;
	*ret_count = count;
	return 0;
}

int st_attach_sweep(const char *dir, char *error, size_t error_size)
{
	struct st_message m = { error, error_size };
	struct table t;
	int r, one;

	if (access(dir, F_OK) < 0 && errno == ENOENT)
		return 0;
	r = table_open(dir, &t);
	if (r < 0)
		return st_fail(&m, r, "%s: %s", dir, strerror(-r));
	for (unsigned i = 0; i < ST_DISK_CONTROLLERS * ST_DISK_LUNS; i++) {
		struct st_slot *s = &t.slots->slot[i / ST_DISK_LUNS][i % ST_DISK_LUNS];

		if (!s->path || *s->device)
			continue;
		one = slot_last(&t, s);
		if (one < 0)
			r = st_fail(&m, one, "%s: %s", s->path, strerror(-one));
	}
	one = table_save(&t);
	table_close(&t);
	return r < 0 ? r : one;
}
