/* SPDX-License-Identifier: MIT */
/*
 * A container's two directories.  Making and removing inodes is the dearest thing a file system can
 * be asked for (3 ms for the four of a short-lived container on ext4, which looks for one that was
 * not deleted lately), so a few directories that are done with are kept, with the files in them,
 * and renamed for the next container.  They are called ".spareN", which no container is, and they
 * go when none was wanted for a moment: what rests leaves nothing.
 */
#include "engine/container.h"

#include "base/cleanup.h"
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SPARE_MS 1000u
#define SPARE_NEXT_MS 20u /* between two of those that go: each takes a while */

static const char *root_of(const struct cow_engine *e, enum dir_kind kind)
{
	return kind == DIR_RUN ? e->setup.run_root : e->setup.state_root;
}

static char *spare_path(const struct cow_engine *e, enum dir_kind kind, uint32_t n)
{
	return cow_asprintf("%s/containers/.spare%u", root_of(e, kind), n);
}

static int dir_make(struct cow_engine *e, enum dir_kind kind, const char *path)
{
	_cleanup_free_ char *spare =
		e->spares[kind] ? spare_path(e, kind, e->spares[kind] - 1) : NULL;

	if (spare && renameat2(AT_FDCWD, spare, AT_FDCWD, path, RENAME_NOREPLACE) == 0) {
		e->spares[kind]--;
		return 0;
	}
	return mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

/* What may stay in a directory that is kept: an empty ledger, and where the next record is written. */
static bool may_stay(int dir, const char *name)
{
	struct stat st;

	if (strcmp(name, "ledger") != 0)
		return strcmp(name, RECORD_TEMPORARY) == 0;
	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
	       st.st_size == 0;
}

/* Nothing in it but files of ours, and as we made it. */
static bool dir_clean(const char *path)
{
	_cleanup_closedir_ DIR *dir = opendir(path);
	struct stat st;

	if (!dir || fstat(dirfd(dir), &st) < 0 || (st.st_mode & 07777) != 0700 ||
	    st.st_uid != geteuid())
		return false;
	for (struct dirent *d = readdir(dir); d; d = readdir(dir))
		if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0 &&
		    !may_stay(dirfd(dir), d->d_name))
			return false;
	return true;
}

static void spare_remove(struct cow_engine *e, enum dir_kind kind, uint32_t n)
{
	_cleanup_free_ char *spare = spare_path(e, kind, n);

	if (spare)
		(void)cow_fs_remove_tree(spare);
}

static void spares_go(struct cow_timer *timer, void *arg)
{
	struct cow_engine *e = arg;
	uint32_t left = 0;

	(void)timer;
	for (unsigned kind = 0; kind < DIR_KINDS; kind++) {
		if (e->spares[kind] > 0)
			spare_remove(e, (enum dir_kind)kind, --e->spares[kind]);
		left += e->spares[kind];
	}
	if (left > 0)
		cow_timer_start(e->setup.timers, &e->spare_timer, SPARE_NEXT_MS, spares_go, e);
}

/* Walking a tree takes descriptors; where there are none, what we put there goes by its name. */
static int dir_remove(const char *path)
{
	int rc = cow_fs_remove_tree(path);
	_cleanup_free_ char *ledger = NULL, *record = NULL;

	if (rc != -EMFILE && rc != -ENFILE)
		return rc;
	ledger = cow_fs_join(path, "ledger");
	record = cow_fs_join(path, RECORD_TEMPORARY);
	if (ledger)
		(void)unlink(ledger);
	if (record)
		(void)unlink(record);
	return rmdir(path) < 0 ? rc : 0;
}

static int dir_drop(struct cow_engine *e, enum dir_kind kind, const char *path)
{
	bool keep = !e->closing && e->spares[kind] < SPARES_MAX && dir_clean(path);
	_cleanup_free_ char *spare = keep ? spare_path(e, kind, e->spares[kind]) : NULL;

	if (spare && renameat2(AT_FDCWD, path, AT_FDCWD, spare, RENAME_NOREPLACE) == 0) {
		e->spares[kind]++;
		cow_timer_start(e->setup.timers, &e->spare_timer, SPARE_MS, spares_go, e);
		return 0;
	}
	return dir_remove(path);
}

int dirs_make(struct container *c, struct cow_error *err)
{
	int rc = dir_make(c->engine, DIR_RUN, c->run_dir);

	if (rc < 0)
		return cow_error_errno(err, rc, "%s", c->run_dir);
	rc = dir_make(c->engine, DIR_STATE, c->state_dir);
	return rc < 0 ? cow_error_errno(err, rc, "%s", c->state_dir) : 0;
}

int dirs_drop(struct container *c, struct cow_error *err)
{
	int rc = dir_drop(c->engine, DIR_STATE, c->state_dir), r;

	if (rc < 0)
		(void)cow_error_errno(err, rc, "%s", c->state_dir);
	r = dir_drop(c->engine, DIR_RUN, c->run_dir);
	if (r < 0)
		(void)cow_error_errno(err, r, "%s", c->run_dir);
	return rc < 0 ? rc : r;
}

void dirs_sweep(struct cow_engine *e, bool all)
{
	cow_timer_stop(e->setup.timers, &e->spare_timer);
	for (unsigned kind = 0; kind < DIR_KINDS; kind++) {
		uint32_t n = all ? SPARES_MAX : e->spares[kind];

		e->spares[kind] = 0;
		while (n-- > 0)
			spare_remove(e, (enum dir_kind)kind, n);
	}
}
