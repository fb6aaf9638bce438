/* SPDX-License-Identifier: MIT */
/* Private to record.c and definition.c. */
#ifndef COW_ENGINE_RECORD_H
#define COW_ENGINE_RECORD_H

#include "base/error.h"

struct json_object;
struct state_record;

/*
 * The record of a directory, checked and parsed; both are the caller's, *ret_state is NULL where
 * there is none.  -ENOENT: there is no record.
 */
int record_read(const char *dir, struct json_object **ret_definition,
		struct json_object **ret_state, struct cow_error *err);
void record_take_state(struct json_object *state, struct state_record *ret);

#endif
