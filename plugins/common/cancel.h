/* SPDX-License-Identifier: MIT */
/* Another thread may end what is under way: it sets `set` and makes fd readable. */
#ifndef PLUG_CANCEL_H
#define PLUG_CANCEL_H

#include <stdatomic.h>

struct plug_cancel {
	atomic_bool set;
	int fd; /* -1: none */
};

/* Waits until fd has one of these poll(2) events; -ECANCELED.  cancel may be NULL. */
int plug_cancel_wait(struct plug_cancel *cancel, int fd, short events);

#endif
