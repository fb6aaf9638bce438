/* SPDX-License-Identifier: MIT */
/* layer changes, diff, size */
#include "layer/command.h"
#include "layer/compare.h"
#include "layer/layer.h"
#include "layer/pack.h"
#include "common/util.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

struct comparing {
	struct st_layer_at at;
	int upper;
	int lower[ST_CHAIN_MAX];
	size_t lower_count;
	bool whole;
};

static void comparing_close(struct comparing *c)
{
	for (size_t i = 0; i < c->lower_count; i++)
		(void)close(c->lower[i]);
	plug_closep(&c->upper);
	st_layer_leave(&c->at);
}

static int lower_open(struct comparing *c, const char *path, enum st_verify how,
		      struct plug_error *err)
{
	struct st_layer_at at;
	int r = st_layer_find(path, &at, err);

	if (r < 0)
		return r;
	r = st_layer_content(&at, how, err);
	st_layer_leave(&at);
	if (r < 0)
		return r;
	c->lower[c->lower_count++] = r;
	return 0;
}

static int comparing_open(struct plug_run *run, struct comparing *ret)
{
	_cleanup_free_ char *path = plug_run_path(run, run->words[0]);
	struct comparing c = { .at = { .fd = -1 }, .upper = -1, .whole = plug_run_flag(run, "whole") };
	struct st_chain parents = { 0 };
	enum st_verify how;
	int r = path ? st_layer_verify(run, &how) : -ENOMEM;

	if (r == 0)
		r = st_layer_parents_of(run, path, &parents);
	if (r == 0)
		r = st_layer_find(path, &c.at, &run->error);
	if (r == 0) {
		c.upper = st_layer_content(&c.at, how, &run->error);
		r = c.upper < 0 ? c.upper : 0;
	}
	for (size_t i = 0; r == 0 && i < parents.count; i++)
		r = lower_open(&c, parents.path[i], how, &run->error);
	st_chain_finish(&parents);
	if (r < 0)
		comparing_close(&c);
	else
		*ret = c;
	return r;
}

static int compare(struct plug_run *run, struct comparing *c, struct st_changes *ret)
{
	return st_compare(c->upper, c->whole, c->lower, c->lower_count, ret, &run->error);
}

int st_layer_cmd_changes(struct plug_run *run)
{
	struct st_changes changes = { 0 };
	struct comparing c;
	const char *top;
	int r = comparing_open(run, &c);

	if (r < 0)
		return r;
	top = c.at.form == ST_FORM_WINDOWS ? "/Files" : "";
	r = compare(run, &c, &changes);
	for (size_t i = 0; r == 0 && i < changes.count; i++)
		r = plug_run_print(run, "%c %s/%s\n", changes.change[i].kind, top,
				   changes.change[i].path);
	st_changes_finish(&changes);
	comparing_close(&c);
	return r;
}

int st_layer_cmd_size(struct plug_run *run)
{
	struct st_changes changes;
	struct comparing c;
	int r = comparing_open(run, &c);

	if (r < 0)
		return r;
	r = compare(run, &c, &changes);
	comparing_close(&c);
	if (r < 0)
		return r;
	r = plug_run_print(run, "%" PRIu64 "\n", changes.bytes);
	st_changes_finish(&changes);
	return r;
}

struct filling {
	struct comparing *c;
	struct st_changes changes;
};

static int diff_fill(void *arg, struct st_tar_writer *writer, struct plug_error *err)
{
	struct filling *f = arg;
	struct st_pack *pack;
	int r = st_pack_open(f->c->upper, writer, &pack);

	if (r < 0)
		return plug_error_errno(err, r, "archive");
	for (size_t i = 0; r == 0 && i < f->changes.count; i++) {
		const struct st_change *change = &f->changes.change[i];

		r = change->kind == 'D' ? st_pack_whiteout(pack, change->path, false, err)
					: st_pack_entry(pack, change->path, err);
	}
	st_pack_close(pack);
	return r;
}

int st_layer_cmd_diff(struct plug_run *run)
{
	struct filling f = { 0 };
	struct comparing c;
	int r = comparing_open(run, &c);

	if (r < 0)
		return r;
	if (c.at.form == ST_FORM_WINDOWS) {
		comparing_close(&c);
		return st_layer_cmd_export(run); /* its entries are the difference */
	}
	f.c = &c;
	r = compare(run, &c, &f.changes);
	if (r == 0)
		r = st_layer_archive(run, diff_fill, &f);
	st_changes_finish(&f.changes);
	comparing_close(&c);
	return r;
}
