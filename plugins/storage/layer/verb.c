/* SPDX-License-Identifier: MIT */
/* The verb `layer`. */
#include "layer/command.h"
#include "plugin.h"
#include "common/util.h"

#define PARENTS { "layer", 'l', "LAYER", "a parent, the nearest first; may be given several times" }
#define OUTPUT { "output", 'o', "FILE", "write to this file instead of standard output" }
#define GZIP { "gzip", 'z', NULL, "compress with gzip" }
#define INPUT { "input", 'i', "FILE", "read this file instead of standard input" }
#define OS { "os", 0, "OS", "linux or windows, where the archive's first entry does not tell" }

#define TRANSPORT_IN { "transport", 0, NULL, "--input is a directory as ExportLayer makes it (Windows)" }
#define TRANSPORT_OUT { "transport", 0, NULL, "--output is a directory as ImportLayer takes it (Windows)" }
#define VERIFY { "verify", 0, "HOW", "packed layers have to be as sealed: digest, verity, or none" }
#define VERITY { "verity", 0, NULL, "with --vhd: a dm-verity tree behind the file system" }
#define VHD { "vhd", 0, NULL, "do not unpack: layer.vhd, an ext4 image with a VHD footer" }

static const struct plug_option import_options[] = { PARENTS, INPUT, OS, VHD, VERITY, TRANSPORT_IN, { 0 } };
static const struct plug_option export_options[] = { PARENTS, VERIFY, OUTPUT, GZIP, TRANSPORT_OUT, { 0 } };
static const struct plug_option create_options[] = {
	PARENTS,
	{ "read-only", 0, NULL, "an empty layer to import into, not one to write to" },
	{ "size", 0, "SIZE", "the most that may be written (1g, 512m); without it, no limit" },
	{ 0 },
};
static const struct plug_option mount_options[] = { PARENTS, VERIFY, { 0 } };
#define WHOLE { "whole", 0, NULL, "the layer is a complete tree: what is not in it is deleted" }
static const struct plug_option changes_options[] = { PARENTS, WHOLE, VERIFY, { 0 } };
static const struct plug_option diff_options[] = { PARENTS, WHOLE, VERIFY, OUTPUT, GZIP, { 0 } };
static const struct plug_option get_options[] = {
	{ "tar", 't', NULL, "an archive of the files, with all that is known of them" },
	VERIFY,
	OUTPUT,
	GZIP,
	{ 0 },
};
static const struct plug_option none[] = { { 0 } };

static const struct plug_word commands[] = {
	{ "create", "LAYER", "Make a layer to write to, on top of its parents", NULL, create_options,
	  1, 1, st_layer_cmd_create },
	{ "create-scratch", "LAYER", "The same", NULL, create_options, 1, 1, st_layer_cmd_create },
	{ "mount", "LAYER [TARGET]", "Activate and prepare a layer, and print where it is",
	  "  Parents that are not given are those of layerchain.json.\n", mount_options, 1, 2,
	  st_layer_cmd_mount },
	{ "unmount", "LAYER [TARGET]", "Take a mount away, and with the last one all of them", NULL,
	  none, 1, 2, st_layer_cmd_unmount },
	{ "remove", "LAYER", "Unmount and delete a layer; absent: fine", NULL, none, 1, 1,
	  st_layer_cmd_remove },
	{ "activate", "LAYER", "ActivateLayer: mount its own file system, if it has one", NULL, none,
	  1, 1, st_layer_cmd_activate },
	{ "prepare", "LAYER", "PrepareLayer: mount it with its parents", NULL, mount_options, 1, 1,
	  st_layer_cmd_prepare },
	{ "path", "LAYER", "GetLayerMountPath: print where its files are", NULL, none, 1, 1,
	  st_layer_cmd_path },
	{ "unprepare", "LAYER", "UnprepareLayer", NULL, none, 1, 1, st_layer_cmd_unprepare },
	{ "deactivate", "LAYER", "DeactivateLayer", NULL, none, 1, 1, st_layer_cmd_deactivate },
	{ "import", "LAYER", "Make a layer of an archive (tar, gzip, zstd) and print its size",
	  NULL, import_options, 1, 1, st_layer_cmd_import },
	{ "apply", "LAYER", "The same (ApplyDiff)", NULL, import_options, 1, 1, st_layer_cmd_import },
	{ "export", "LAYER [> FILE]", "Write a layer as an archive", NULL, export_options, 1, 1,
	  st_layer_cmd_export },
	{ "chain", "LAYER", "List a layer's parents, the nearest first", NULL, none, 1, 1,
	  st_layer_cmd_chain },
	{ "changes", "LAYER", "List what a layer adds (A), changes (C) and deletes (D)", NULL,
	  changes_options, 1, 1, st_layer_cmd_changes },
	{ "diff", "LAYER [> FILE]", "Write what a layer changes as an archive", NULL, diff_options, 1,
	  1, st_layer_cmd_diff },
	{ "size", "LAYER", "Print how many bytes a layer's added and changed files have", NULL,
	  changes_options, 1, 1, st_layer_cmd_size },
	{ "get", "LAYER FILE...", "Write a file of a layer, or an archive of several", NULL,
	  get_options, 2, SIZE_MAX, st_layer_cmd_get },
	{ "seal", "LAYER", "Keep what a packed layer is now, for --verify, and print it", NULL, none,
	  1, 1, st_layer_cmd_seal },
	{ 0 },
};

static const char *const others[][2] = {
	{ "rm", "remove" }, { "destroy", "remove" }, { "umount", "unmount" }, { NULL, NULL },
};

static const struct plug_verb words = { .name = "layer", .words = commands, .others = others };

static struct cowherd_verb layer_verb = {
	.size = sizeof(layer_verb),
	.name = "layer",
	.usage = "layer WORD [OPTIONS] LAYER",
	.help = "Create, mount, compare, import and export layer directories.",
	.call = plug_call,
	.cancel = plug_call_cancel,
};

int st_layer_register(void)
{
	static struct plug_text details;
	static struct plug_call_as arg = { &words, NULL };

	if (!layer_verb.details) {
		plug_help_text(&words, NULL, &details);
		layer_verb.details = details.data;
	}
	return st_plugin.host->register_verb(st_plugin.self, &layer_verb, &arg);
}
