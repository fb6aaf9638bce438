/* SPDX-License-Identifier: MIT */
/* The words of `image`, and their options. */
#include "image/command.h"

#include <stdint.h>

static const struct plug_option load_options[] = {
	{ "input", 'i', "FILE", "read this file or directory instead of standard input" },
	{ "tag", 't', "NAME", "call the image so, whatever the archive says" },
	{ "platform", 0, "OS/ARCH[/VARIANT]", "of several images take the one for this platform" },
	{ "quiet", 'q', NULL, "no progress" },
	{ 0 },
};

static const struct plug_option ls_options[] = {
	{ "all", 'a', NULL, NULL },
	{ "digests", 0, NULL, "show the digest of each manifest" },
	{ "filter", 'f', "KEY=VALUE",
	  "only some: reference=PATTERN, dangling=true, label=KEY[=VALUE], before=IMAGE, since=IMAGE" },
	{ "format", 0, "FORMAT", "\"json\", or a template like \"{{.Repository}}:{{.Tag}}\"" },
	{ "no-trunc", 0, NULL, "whole ids" },
	{ "quiet", 'q', NULL, "ids only" },
	{ 0 },
};

static const struct plug_option inspect_options[] = {
	{ "format", 'f', "FORMAT", "a template like \"{{.Config.Cmd}}\" or \"{{json .RootFS}}\"" },
	{ 0 },
};

static const struct plug_option rm_options[] = {
	{ "force", 'f', NULL, "also where containers use it, or it has several names" },
	{ 0 },
};

static const struct plug_option none[] = { { 0 } };

static const struct plug_option export_options[] = {
	{ "format", 0, "FORMAT", "oci-archive (as usual), oci-dir or docker-archive" },
	{ "output", 'o', "FILE", "write to this file or directory instead of standard output" },
	{ 0 },
};

static const struct plug_word commands[] = {
	{ "load", "[FILE|DIRECTORY]", "Load images from an archive, a directory or standard input",
	  "  An archive is an OCI layout or what `docker save` writes, as tar, plain or compressed with\n"
	  "  gzip or zstd; a directory is an OCI layout.\n",
	  load_options, 0, 1, st_command_load },
	{ "ls", "[NAME[:TAG]]", "List images", NULL, ls_options, 0, 1, st_command_ls },
	{ "inspect", "IMAGE...", "Show all about images, as JSON", NULL, inspect_options, 1,
	  SIZE_MAX, st_command_inspect },
	{ "tag", "IMAGE NAME[:TAG]", "Give an image another name", NULL, none, 2, 2,
	  st_command_tag },
	{ "rm", "IMAGE...", "Remove names and, with the last one, images", NULL, rm_options, 1,
	  SIZE_MAX, st_command_rm },
	{ "gc", "", "Remove what no image and no container uses", NULL, none, 0, 0, st_command_gc },
	{ "export", "IMAGE... [> FILE]", "Write images as one OCI archive, with their own digests",
	  NULL, export_options, 1, SIZE_MAX, st_command_export },
	{ 0 },
};

static const char *const others[][2] = {
	{ "list", "ls" },   { "import", "load" }, { "save", "export" },
	{ "remove", "rm" }, { "prune", "gc" },	  { NULL, NULL },
};

const struct plug_verb st_image_words = { .name = "image", .words = commands, .others = others,
					    .begin = st_image_begin };
