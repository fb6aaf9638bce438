/* SPDX-License-Identifier: MIT */
/* What the words of `cowherd layer` share. */
#ifndef ST_LAYER_COMMAND_H
#define ST_LAYER_COMMAND_H

#include "archive/tar.h"
#include "disk/seal.h"
#include "image/command.h"
#include "layer/chain.h"

/* The values of --layer, absolute, nearest first; with need: "at least one read-only layer …". */
int st_layer_parents(struct plug_run *run, bool need, struct st_chain *ret);
/* The same, or where none are given what layerchain.json of the layer at path says. */
int st_layer_parents_of(struct plug_run *run, const char *path, struct st_chain *ret);

/* As --verify says, or the configuration. */
int st_layer_verify(struct plug_run *run, enum st_verify *ret);

/* An archive that is written to --output, whole or not at all, or to standard output. */
int st_layer_archive(struct plug_run *run,
		     int (*fill)(void *arg, struct st_tar_writer *writer, struct plug_error *err),
		     void *arg);

int st_layer_cmd_create(struct plug_run *run);
int st_layer_cmd_remove(struct plug_run *run);
int st_layer_cmd_import(struct plug_run *run);
int st_layer_cmd_export(struct plug_run *run);
int st_layer_cmd_chain(struct plug_run *run);
int st_layer_cmd_changes(struct plug_run *run);
int st_layer_cmd_diff(struct plug_run *run);
int st_layer_cmd_size(struct plug_run *run);
int st_layer_cmd_get(struct plug_run *run);
int st_layer_cmd_seal(struct plug_run *run);
int st_layer_cmd_mount(struct plug_run *run);
int st_layer_cmd_unmount(struct plug_run *run);
int st_layer_cmd_activate(struct plug_run *run);
int st_layer_cmd_prepare(struct plug_run *run);
int st_layer_cmd_path(struct plug_run *run);
int st_layer_cmd_unprepare(struct plug_run *run);
int st_layer_cmd_deactivate(struct plug_run *run);

#endif
