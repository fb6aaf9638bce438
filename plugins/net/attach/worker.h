/* SPDX-License-Identifier: MIT */
/*
 * The plugin's own thread for what nobody waits for: the trash, and the pool's next entries.  It runs while
 * there is something to do and waits otherwise; started when it is first woken.
 */
#ifndef NET_WORKER_H
#define NET_WORKER_H

/* There is something to do.  Any thread; does not block. */
void net_worker_wake(void);
/* Lets it do what is to be done, and ends it.  Blocks. */
void net_worker_stop(void);
/* Waits until nothing is to be done any more.  Any thread but the loop's and its own. */
void net_worker_settle(void);

#endif
