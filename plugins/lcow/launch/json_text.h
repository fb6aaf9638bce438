/* SPDX-License-Identifier: MIT */
/* Small JSON texts that are written often: without a tree of objects. */
#ifndef LAUNCH_JSON_TEXT_H
#define LAUNCH_JSON_TEXT_H

/* text as a JSON string with its quotes, to be freed; NULL: out of memory.  Bytes from 0x80 stay. */
char *launch_json_text(const char *text);

#endif
