/* SPDX-License-Identifier: MIT */
/*
 * An array of small records that may be larger than memory: pages of 4096 bytes, the most recently used
 * ones in memory, the others in an unlinked file that is made when the first page has to go.
 */
#ifndef ST_DISK_SPILL_H
#define ST_DISK_SPILL_H

#include <stddef.h>
#include <stdint.h>

#define ST_SPILL_PAGE 4096u

struct st_spill;

/* dirfd: where the file goes (O_TMPFILE; else a memfd).  frames: pages kept in memory, at least 32. */
int st_spill_create(int dirfd, unsigned frames, struct st_spill **ret);
void st_spill_destroy(struct st_spill *); /* NULL: nothing */

/*
 * The page, zeros where it was never written.  Good until 16 other pages have been asked for.  write:
 * it will be changed through the pointer.
 */
int st_spill_page(struct st_spill *, uint64_t page, int write, void **ret);

#endif
