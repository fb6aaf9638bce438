/* SPDX-License-Identifier: MIT */
/* `cowherd create-scratch` and `cowherd prepare-disk`: runhcs's options and messages. */
#include <errno.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "disk/disk.h"
#include "disk/error.h"
#include "disk/format.h"

static const struct cowherd_host *host;
static struct cowherd_self *self;

/* One call: what it was asked, then what came of it. */
struct job {
	cowherd_op op;
	char *dest, *cache, *dir;
	unsigned size_gb;
	char error[1200];
};

static void job_free(struct job *j)
{
	free(j->dest);
	free(j->cache);
	free(j->dir);
	free(j);
}

/* A relative path is the client's. */
static char *path_of(const char *cwd, const char *path)
{
	char *whole;

	if (*path == '/' || !*path || !cwd)
		return strdup(path);
	return asprintf(&whole, "%s/%s", cwd, path) < 0 ? NULL : whole;
}

static int size_parse(struct job *j, const char *value)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(value, &end, 10);
	if (errno || end == value || *end || *value == '-' || n > 1u << 20)
		return -EINVAL;
	j->size_gb = (unsigned)n;
	return 0;
}

static int option_take(struct job *j, const char *cwd, const char *name, const char *value, bool scratch)
{
	char **path = strcmp(name, "destpath") == 0		    ? &j->dest
		      : scratch && strcmp(name, "cache-path") == 0 ? &j->cache
								    : NULL;

	if (path) {
		free(*path);
		*path = path_of(cwd, value);
		return *path ? 0 : -ENOMEM;
	}
	return scratch && strcmp(name, "sizeGB") == 0 ? size_parse(j, value) : -ENOENT;
}

/* --name=value and --name value. */
static int words_parse(struct job *j, const struct cowherd_call *call, bool scratch)
{
	struct json_object *words = json_tokener_parse(call->args);
	size_t count = json_object_is_type(words, json_type_array) ? json_object_array_length(words)
								   : 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < count; i++) {
		const char *word = json_object_get_string(json_object_array_get_idx(words, i));
		const char *equals = word ? strchr(word, '=') : NULL, *value;
		char name[32];

		if (!word || word[0] != '-' || word[1] != '-') {
			r = -EINVAL;
			break;
		}
		value = equals ? equals + 1
			       : json_object_get_string(json_object_array_get_idx(words, ++i));
		(void)snprintf(name, sizeof(name), "%.*s",
			       equals ? (int)(equals - word - 2) : (int)strlen(word + 2), word + 2);
		r = value ? option_take(j, call->cwd, name, value, scratch) : -EINVAL;
	}
	json_object_put(words);
	if (r < 0)
		(void)snprintf(j->error, sizeof(j->error), "%s",
			       r == -ENOMEM ? strerror(ENOMEM) : "invalid command usage");
	else if (!j->dest || !*j->dest) {
		r = -EINVAL;
		(void)snprintf(j->error, sizeof(j->error), "'destpath' is required");
	}
	return r;
}

static int scratch_work(void *arg)
{
	struct job *j = arg;
	char cause[900] = "";
	int r = st_scratch_disk_create(j->dest, j->size_gb, j->cache, cause, sizeof(cause));

	if (r < 0)
		(void)snprintf(j->error, sizeof(j->error), "failed to create ext4vhdx for '%.100s': %s",
			       j->dest, *cause ? cause : strerror(-r));
	return r;
}

static int format_work(void *arg)
{
	struct job *j = arg;

	return st_disk_format(j->dest, j->dir, j->error, sizeof(j->error));
}

static void answer(struct job *j, int code)
{
	struct cowherd_answer a = { .size = sizeof(a),
				    .code = code,
				    .message = code < 0 && *j->error ? j->error : NULL,
				    .fd = -1 };

	(void)host->answer(self, j->op, &a);
	job_free(j);
}

static void done(void *arg, int result)
{
	answer(arg, result);
}

static int call_begin(cowherd_op op, const struct cowherd_call *call, bool scratch)
{
	struct job *j = calloc(1, sizeof(*j));
	int r;

	if (!j)
		return -ENOMEM;
	j->op = op;
	r = words_parse(j, call, scratch);
	if (r == 0 && asprintf(&j->dir, "%s/storage/disks", host->run_dir) < 0) {
		j->dir = NULL;
		r = -ENOMEM;
	}
	if (r == 0)
		r = host->offload(self, scratch ? scratch_work : format_work, done, j);
	if (r < 0)
		answer(j, r);
	return COWHERD_LATER;
}

static int scratch_call(void *arg, cowherd_op op, const struct cowherd_call *call)
{
	(void)arg;
	return call_begin(op, call, true);
}

static int format_call(void *arg, cowherd_op op, const struct cowherd_call *call)
{
	(void)arg;
	return call_begin(op, call, false);
}

static const struct cowherd_verb scratch_verb = {
	.size = sizeof(scratch_verb),
	.name = "create-scratch",
	.usage = "create-scratch --destpath FILE [--sizeGB N] [--cache-path FILE]",
	.help = "Make a disk with an empty ext4 on it",
	.call = scratch_call,
	.details = "  --destpath FILE    .vhdx: a dynamic VHDX; .vhd: a fixed VHD; else a raw disk\n"
		   "  --sizeGB N         its size (20)\n"
		   "  --cache-path FILE  of the default size: copied from there, or kept there\n",
};

static const struct cowherd_verb format_verb = {
	.size = sizeof(format_verb),
	.name = "prepare-disk",
	.usage = "prepare-disk --destpath DISK",
	.help = "Format a disk with ext4",
	.call = format_call,
	.details = "  --destpath DISK    a block device, or a file with a disk in it (raw, VHD, VHDX)\n",
};

int st_disk_register(const struct cowherd_host *h, struct cowherd_self *s)
{
	int r;

	host = h;
	self = s;
	r = h->register_verb(s, &scratch_verb, NULL);
	return r < 0 ? r : h->register_verb(s, &format_verb, NULL);
}
