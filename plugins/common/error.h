/* SPDX-License-Identifier: MIT */
/* An error for people, as "object: cause", with its errno. */
#ifndef PLUG_ERROR_H
#define PLUG_ERROR_H

struct plug_error {
	int code; /* negative errno; 0: none */
	char text[480];
};

/* Sets err (may be NULL) and returns code. */
int plug_error_set(struct plug_error *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The same with the text of code as the cause: "OBJECT: No such file or directory". */
int plug_error_errno(struct plug_error *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* What was an error to others is none here: 0, and err is empty. */
static inline int plug_error_none(struct plug_error *err)
{
	if (err)
		*err = (struct plug_error){ 0 };
	return 0;
}

#endif
