/* SPDX-License-Identifier: MIT */
/* A record of a directory, checked and parsed; *ret is the caller's.  -ENOENT: there is none. */
#ifndef COW_ENGINE_RECORD_H
#define COW_ENGINE_RECORD_H

#include "base/error.h"

struct json_object;

int record_open(const char *dir, const char *name, struct json_object **ret, struct cow_error *err);

#endif
