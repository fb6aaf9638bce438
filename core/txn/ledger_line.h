/* SPDX-License-Identifier: MIT */
/* Lines of a ledger as text: pure. */
#ifndef COW_TXN_LEDGER_LINE_H
#define COW_TXN_LEDGER_LINE_H

#include "base/strbuf.h"
#include "txn/ledger.h"

#define COW_LEDGER_VERSION 1
#define COW_LEDGER_OTHER_BOOT "other" /* in a header: any boot but this one */

struct cow_ledger_line {
	char kind; /* 'H', 'I', 'R' */
	unsigned version;
	const char *boot;
	struct cow_ledger_entry entry; /* strings are the text's; other_boot is not set */
};

void cow_ledger_line_header(struct cow_strbuf *b, const char *boot);
void cow_ledger_line_intent(struct cow_strbuf *b, const struct cow_ledger_entry *entry);
void cow_ledger_line_release(struct cow_strbuf *b, uint64_t seq);
/*
 * Take apart the line of len bytes at text (its newline not included), in place; text[len] is
 * overwritten.  -EBADMSG: it does not check.
 */
int cow_ledger_line_parse(char *text, size_t len, struct cow_ledger_line *ret);

#endif
