/* SPDX-License-Identifier: MIT */
/*
 * Disks become block devices: raw files and fixed VHDs by a loop device, dynamic VHDs and VHDXs by
 * qemu-storage-daemon, which exports them over FUSE as a raw file, and a loop device on that (or by
 * qemu-nbd where the kernel has nbd).  All of these block: run them on the pool.
 *
 * Who takes what is written in a table (a file under a directory of ours, guarded by flock): a host
 * path has one device, however many owners use it (hcs-behaviour.md §4.4: look-up and counting by host
 * path, first free of 64 places on each controller).  A release knows the owner and the path only,
 * works in any process, and any number of times.
 */
#ifndef ST_DISK_ATTACH_H
#define ST_DISK_ATTACH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ST_DISK_CONTROLLERS 4u
#define ST_DISK_LUNS 64u

struct st_attach_options {
	const char *dir;   /* volatile, ours: HOST->run_dir "/storage/disks"; is made */
	const char *owner; /* who uses it: "CONTAINER/KEY"; the same again is no second use */
	const char *path;  /* the disk file or block device */
	bool readonly;
	bool allow_parent; /* differencing disks are refused unless this is set */
	unsigned controllers; /* 0: ST_DISK_CONTROLLERS */
};

struct st_attachment {
	char device[64]; /* "/dev/loop7", or the block device itself */
	unsigned controller, lun;
	unsigned refs; /* owners, this one included */
	bool readonly;
	uint64_t size; /* bytes */
};

/*
 * 0 and *ret, or a negative errno and "path: cause".  Nothing is left when it fails.  -ENOSPC "no
 * available location"; -EBUSY "already attached" (another owner has it read-only, or it is a
 * different kind now).  The ledger's record is {path, owner}: intend it before.
 */
int st_attach(const struct st_attach_options *, struct st_attachment *ret, char *error,
	      size_t error_size);
/* The owner's use of path ends; with the last one the device goes.  Not there: success. */
int st_detach(const char *dir, const char *owner, const char *path, char *error, size_t error_size);
/* All uses of an owner, or of every owner that begins with prefix and '/'. */
int st_detach_owner(const char *dir, const char *prefix, char *error, size_t error_size);
/* What the table says of a path: -ENOENT "not attached". */
int st_attached(const char *dir, const char *path, struct st_attachment *ret);

/* A daemon without which a device of the table does not work. */
struct st_daemon {
	char token[40];
	char *path, *owner; /* the disk, and the first who uses it */
	unsigned refs;
	int pidfd; /* -1: it has ended */
};

/* All of them; waits for whoever attaches or releases. */
int st_attach_daemons(const char *dir, struct st_daemon **ret, size_t *ret_count);
/* And closes their pidfds. */
void st_daemons_free(struct st_daemon *daemons, size_t count);

/* Finds what a dead process left half done (attached, not written down) and undoes it. */
int st_attach_sweep(const char *dir, char *error, size_t error_size);

/* One loop device for a file, without any table. */
struct st_loop_options {
	uint64_t offset, size; /* size 0: to the end */
	bool readonly;
	bool buffered;  /* not around the file's page cache: FUSE exports lose writes that way */
	bool autoclear; /* goes by itself with its last user: *ret_fd, a mount … */
	char name[64];  /* what LOOP_GET_STATUS64 tells; how a lost one is found again */
};
int st_loop_attach(int fd, const struct st_loop_options *, char device[64], int *ret_fd);
/* Every loop device of that name; none is success. */
int st_loop_detach_named(const char *name);

#endif
