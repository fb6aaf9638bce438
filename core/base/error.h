/* SPDX-License-Identifier: MIT */
/* The first failure of an operation, kept by value, worded "step: object: cause". */
#ifndef COW_BASE_ERROR_H
#define COW_BASE_ERROR_H

#define COW_STEP_MAX 48
#define COW_MESSAGE_MAX 1024

struct cow_error {
	int code;                      /* 0, or a negative errno */
	char step[COW_STEP_MAX];       /* where in the transaction; "" outside of one */
	char message[COW_MESSAGE_MAX]; /* "object: cause", or the reference's sentence */
};

/*
 * Set *err to code and the formatted text; returns code.  err may be NULL.  A text that does not
 * fit loses its middle; control characters in it become '?'.  An error that is set already is kept:
 * the first failure wins.
 */
int cow_error_set(struct cow_error *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The same, and ": " with the text of code behind it. */
int cow_error_errno(struct cow_error *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The text of a negative errno ("No such file or directory"); thread-safe, never NULL. */
const char *cow_errno_text(int code);
/* Its name ("ENOENT"), or "E?" where it has none. */
const char *cow_errno_name(int code);

#endif
