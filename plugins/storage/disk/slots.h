/* SPDX-License-Identifier: MIT */
/*
 * Which disk has which place, and who uses it (hcs-behaviour.md §4.4): first free of the places of all
 * controllers, look-up by host path, counted by owner.  No side effects; attach.c keeps it in a file.
 */
#ifndef ST_DISK_SLOTS_H
#define ST_DISK_SLOTS_H

#include <stdbool.h>
#include <stddef.h>

#include "disk/attach.h"

struct st_slot {
	char *path; /* as the host has it, links resolved; NULL: free */
	char **owners;
	size_t owner_count;
	bool readonly;
	char token[40];  /* names loop device, export directory and process */
	char device[64]; /* "": about to be attached */
	unsigned long long size;
};

struct st_slots {
	unsigned controllers;
	char boot[40]; /* what is in it was attached in this boot */
	struct st_slot slot[ST_DISK_CONTROLLERS][ST_DISK_LUNS];
};

/* "no SCSI controllers configured…", "no available location" and so on; NULL: not one of these. */
const char *st_slots_message(int code);

/* Owner uses path from now on.  *ret_first: nobody did before.  -ENODEV: no controllers; -E2BIG: more
 * than there can be; -ENOSPC: all places taken; -EBUSY: attached read-only. */
int st_slots_add(struct st_slots *, const char *path, const char *owner, bool readonly,
		 unsigned *ret_controller, unsigned *ret_lun, bool *ret_first);
/* -ENOENT: not attached, or not by that owner.  *ret_last: nobody uses it any more; it stays till freed. */
int st_slots_remove(struct st_slots *, const char *path, const char *owner, bool *ret_last);
struct st_slot *st_slots_find(struct st_slots *, const char *path, unsigned *ret_controller,
			      unsigned *ret_lun);
void st_slot_free(struct st_slot *);
void st_slots_clear(struct st_slots *);

/* JSON, malloc()ed; NULL: no memory. */
char *st_slots_text(const struct st_slots *);
/* -EBADMSG: not such a text. */
int st_slots_parse(const char *text, struct st_slots *ret);

#endif
