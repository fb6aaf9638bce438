/* SPDX-License-Identifier: MIT */
/* Bars on a terminal, a line for each layer elsewhere, nothing where nobody wants to know. */
#ifndef ST_IMAGE_PROGRESS_H
#define ST_IMAGE_PROGRESS_H

#include "image/command.h"

struct st_bars;

/* NULL: out of memory, or quiet; then there is none. */
struct st_bars *st_bars_begin(struct plug_run *run, bool quiet);
/* What a load calls. */
struct st_progress st_bars_progress(struct st_bars *bars);
void st_bars_end(struct st_bars *bars); /* NULL is fine */

#endif
