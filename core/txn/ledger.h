/* SPDX-License-Identifier: MIT */
/*
 * The write-ahead ledger of one container: an append-only file of checksummed lines, each written
 * with a single write(2).  An intent is on file before the resource is taken; a torn last line is
 * an intent whose resource was never taken, and is dropped.  No fsync for volatile records: what
 * they name dies with the kernel, as the page cache does; durable ones are fsync'ed (and block),
 * unless somebody does that later.
 *
 * On file, fields between tabs, a CRC-32C of what follows it in front:
 *	CRC H 1 BOOT-ID                             header: version; boot of the lines that follow
 *	CRC I SEQ d|v ALLOCATOR KEY RECORD          intent, durable or not; a known SEQ replaces
 *	CRC R SEQ                                   released
 * A ledger that holds nothing is an empty file; one that has grown far beyond what it holds is
 * written anew and renamed.
 */
#ifndef COW_TXN_LEDGER_H
#define COW_TXN_LEDGER_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct cow_ledger;
struct cow_ledger_entry {
	uint64_t seq;
	const char *allocator; /* "lcow", "net.endpoint" */
	const char *key;       /* within the allocator and the container */
	const char *record;    /* JSON */
	bool durable;
	bool other_boot;       /* written before the last reboot */
};

/*
 * Open or create (0600); replays what is there.  A line that does not check is passed over and
 * counted (cow_ledger_damaged); where it was a header, the lines behind it count as of this boot.
 * -EPROTONOSUPPORT: written by a later version.
 */
int cow_ledger_open(const char *path, struct cow_ledger **ret, struct cow_error *err);
void cow_ledger_close(struct cow_ledger *ledger); /* NULL is fine; the file stays */
/*
 * About to take.  The same allocator and key again replaces the record and keeps the place in the
 * order.  On failure neither file nor memory has changed.  ret_seq may be NULL.
 */
int cow_ledger_intend(struct cow_ledger *ledger, const char *allocator, const char *key,
		      const char *record, bool durable, uint64_t *ret_seq);
/* A durable one that is not fsync'ed: whoever asks does that later, to the file and its directory. */
int cow_ledger_intend_lazily(struct cow_ledger *ledger, const char *allocator, const char *key,
			     const char *record, uint64_t *ret_seq);
/*
 * Given back (or never taken): forgotten in any case.  -ENOENT: not held.  Another error: the file
 * could not be told (a full disk), so that the next to open it finds the record and releases again.
 */
int cow_ledger_release(struct cow_ledger *ledger, uint64_t seq);
/* The newest entry held, or NULL; then older ones.  Valid until the next change. */
const struct cow_ledger_entry *cow_ledger_last(const struct cow_ledger *ledger);
const struct cow_ledger_entry *cow_ledger_before(const struct cow_ledger *ledger, uint64_t seq);
const struct cow_ledger_entry *cow_ledger_find(const struct cow_ledger *ledger,
					       const char *allocator, const char *key);
uint32_t cow_ledger_count(const struct cow_ledger *ledger);
/* Lines that did not check when it was opened; a torn tail is none of them. */
uint32_t cow_ledger_damaged(const struct cow_ledger *ledger);

#endif
