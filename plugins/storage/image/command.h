/* SPDX-License-Identifier: MIT */
/* The words of `cowherd image`. */
#ifndef ST_IMAGE_COMMAND_H
#define ST_IMAGE_COMMAND_H

#include "common/words.h"
#include "image/load.h"

extern const struct plug_verb st_image_words;

/* The images' store is opened, for st_run_store(). */
int st_image_begin(struct plug_run *run);
static inline struct st_store *st_run_store(const struct plug_run *run)
{
	return run->data;
}

int st_command_load(struct plug_run *run);
int st_command_ls(struct plug_run *run);
int st_command_inspect(struct plug_run *run);
int st_command_rm(struct plug_run *run);
int st_command_tag(struct plug_run *run);
int st_command_gc(struct plug_run *run);
int st_command_export(struct plug_run *run);

#endif
