/* SPDX-License-Identifier: MIT */
/* layer create, create-scratch, activate, prepare, path, unprepare, deactivate, mount, unmount, remove */
#include "layer/command.h"
#include "layer/import.h"
#include "layer/life.h"
#include "rootfs/plan.h"
#include "common/util.h"

#include <errno.h>
#include <string.h>

/* One of the calls that need no more than the layer. */
static int simple(struct plug_run *run, int (*call)(const char *path, struct plug_error *err))
{
	_cleanup_free_ char *path = plug_run_path(run, run->words[0]);

	return path ? call(path, &run->error) : -ENOMEM;
}

int st_layer_cmd_create(struct plug_run *run)
{
	_cleanup_free_ char *path = plug_run_path(run, run->words[0]);
	const char *size = plug_run_value(run, "size");
	bool read_only = plug_run_flag(run, "read-only");
	struct st_chain parents = { 0 };
	uint64_t bytes = 0;
	int r = path ? st_layer_parents(run, !read_only, &parents) : -ENOMEM;

	if (r == 0 && size && st_size_parse(size, &bytes) < 0) {
		run->exit_code = 125;
		r = plug_error_set(&run->error, -EINVAL, "layer %s: --size: \"%.64s\" is not a size",
				   run->word->name, size);
	}
	if (r == 0)
		r = read_only ? st_layer_create(path, &parents, &run->error)
			      : st_life_create(path, &parents, bytes, &run->error);
	st_chain_finish(&parents);
	return r;
}

int st_layer_cmd_activate(struct plug_run *run)
{
	return simple(run, st_life_activate);
}

int st_layer_cmd_unprepare(struct plug_run *run)
{
	return simple(run, st_life_unprepare);
}

int st_layer_cmd_deactivate(struct plug_run *run)
{
	return simple(run, st_life_deactivate);
}

int st_layer_cmd_remove(struct plug_run *run)
{
	return simple(run, st_life_remove);
}

int st_layer_cmd_prepare(struct plug_run *run)
{
	_cleanup_free_ char *path = plug_run_path(run, run->words[0]);
	struct st_chain parents = { 0 };
	enum st_verify how;
	int r = path ? st_layer_verify(run, &how) : -ENOMEM;

	if (r == 0)
		r = st_layer_parents_of(run, path, &parents);
	if (r == 0)
		r = st_life_prepare(path, &parents, how, &run->error);
	st_chain_finish(&parents);
	return r;
}

int st_layer_cmd_path(struct plug_run *run)
{
	_cleanup_free_ char *path = plug_run_path(run, run->words[0]), *shown = NULL;
	int r = path ? st_life_path(path, &shown, &run->error) : -ENOMEM;

	return r == 0 ? plug_run_print(run, "%s\n", shown) : r;
}

int st_layer_cmd_mount(struct plug_run *run)
{
	_cleanup_free_ char *path = plug_run_path(run, run->words[0]), *shown = NULL,
			    *target = run->word_count > 1 ? plug_run_path(run, run->words[1]) : NULL;
	struct st_chain parents = { 0 };
	enum st_verify how;
	int r = !path || (run->word_count > 1 && !target) ? -ENOMEM : st_layer_verify(run, &how);

	if (r == 0)
		r = st_layer_parents_of(run, path, &parents);
	if (r == 0)
		r = st_life_mount(path, &parents, how, target, &shown, &run->error);
	st_chain_finish(&parents);
	return r == 0 ? plug_run_print(run, "%s\n", shown) : r;
}

int st_layer_cmd_unmount(struct plug_run *run)
{
	_cleanup_free_ char *path = plug_run_path(run, run->words[0]),
			    *target = run->word_count > 1 ? plug_run_path(run, run->words[1]) : NULL;

	if (!path || (run->word_count > 1 && !target))
		return -ENOMEM;
	return st_life_unmount(path, target, &run->error);
}
