/* SPDX-License-Identifier: MIT */
/* Of the table of operations, what only transactions use: places kept for them in advance. */
#ifndef COW_TXN_OPS_H
#define COW_TXN_OPS_H

#include "txn/txn.h"

/* Keep a place, so that opening in it cannot fail.  -ENOMEM. */
int cow_ops_reserve(struct cow_ops *ops);
/* Give the place back; its operation must be closed. */
void cow_ops_unreserve(struct cow_ops *ops);
/* Open in a place kept, which is kept again once the operation is closed.  No deadline. */
cow_op cow_op_open_reserved(struct cow_ops *ops, cow_op_cb cb, void *arg);

#endif
