/* SPDX-License-Identifier: MIT */
/* What the words of `cowherd layer` share. */
#ifndef ST_LAYER_COMMAND_H
#define ST_LAYER_COMMAND_H

#include "archive/tar.h"
#include "disk/seal.h"
#include "image/command.h"
#include "layer/chain.h"

/* The values of --layer, absolute, nearest first; with need: "at least one read-only layer …". */
int st_layer_parents(struct st_run *run, bool need, struct st_chain *ret);
/* The same, or where none are given what layerchain.json of the layer at path says. */
int st_layer_parents_of(struct st_run *run, const char *path, struct st_chain *ret);

/* As --verify says, or the configuration. */
int st_layer_verify(struct st_run *run, enum st_verify *ret);

/* An archive that is written to --output, whole or not at all, or to standard output. */
int st_layer_archive(struct st_run *run,
		     int (*fill)(void *arg, struct st_tar_writer *writer, struct st_error *err),
		     void *arg);

int st_layer_cmd_create(struct st_run *run);
int st_layer_cmd_remove(struct st_run *run);
int st_layer_cmd_import(struct st_run *run);
int st_layer_cmd_export(struct st_run *run);
int st_layer_cmd_chain(struct st_run *run);
int st_layer_cmd_changes(struct st_run *run);
int st_layer_cmd_diff(struct st_run *run);
int st_layer_cmd_size(struct st_run *run);
int st_layer_cmd_get(struct st_run *run);
int st_layer_cmd_seal(struct st_run *run);
int st_layer_cmd_mount(struct st_run *run);
int st_layer_cmd_unmount(struct st_run *run);
int st_layer_cmd_activate(struct st_run *run);
int st_layer_cmd_prepare(struct st_run *run);
int st_layer_cmd_path(struct st_run *run);
int st_layer_cmd_unprepare(struct st_run *run);
int st_layer_cmd_deactivate(struct st_run *run);

#endif
