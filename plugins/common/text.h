/* SPDX-License-Identifier: MIT */
/* Text that grows. */
#ifndef PLUG_TEXT_H
#define PLUG_TEXT_H

#include <stddef.h>

/* Zeroed: empty.  Once memory was missing, `failed` stays set and nothing more is added. */
struct plug_text {
	char *data; /* NUL-terminated, or NULL while nothing was added */
	size_t len, size;
	int failed; /* 0, or -ENOMEM: look once, at the end */
};

/* Appends; errors are kept in the text. */
void plug_text_add(struct plug_text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void plug_text_finish(struct plug_text *t);

#define _cleanup_text_ __attribute__((cleanup(plug_text_finish)))

#endif
