/* SPDX-License-Identifier: MIT */
/* The client's own terminal: raw while a container uses it, as it was on every way out. */
#ifndef COW_CLI_TERMINAL_H
#define COW_CLI_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Make fd's terminal raw until cow_terminal_restore() or exit().  0 or negative errno. */
int cow_terminal_raw(int fd);
void cow_terminal_restore(void); /* any number of times */
/* Rows and columns of the terminal behind fd; 0 and 0 where there is none. */
void cow_terminal_size(int fd, uint16_t *ret_height, uint16_t *ret_width);

#define COW_DETACH_KEYS "ctrl-p,ctrl-q"
#define COW_DETACH_MAX 16

/* Finds a sequence of keys in what is typed, and holds back what may become one. */
struct cow_detach {
	unsigned char keys[COW_DETACH_MAX];
	size_t count, matched;
};

/* "ctrl-p,ctrl-q", "ctrl-@,x"; "" has no keys.  -EINVAL. */
int cow_detach_parse(const char *text, struct cow_detach *ret);
/*
 * Bytes that were typed; those to pass on go to out (room for len + COW_DETACH_MAX).  True: the
 * sequence is complete, the rest of in is dropped.
 */
bool cow_detach_feed(struct cow_detach *detach, const unsigned char *in, size_t len,
		     unsigned char *out, size_t *ret_len);

#endif
