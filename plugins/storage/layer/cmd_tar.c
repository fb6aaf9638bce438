/* SPDX-License-Identifier: MIT */
/* layer import, apply, export, chain */
#include "layer/command.h"
#include "layer/feed.h"
#include "layer/import.h"
#include "layer/layer.h"
#include "layer/pack.h"
#include "layer/stage.h"
#include "layer/transport.h"
#include "layer/win.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <isa-l/igzip_lib.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define GZIP_OUT (64 * 1024)

int st_layer_parents(struct plug_run *run, bool need, struct st_chain *ret)
{
	struct st_chain chain = { 0 };
	const char *value;
	int r = 0;

	for (size_t i = 0; r == 0 && (value = plug_run_nth(run, "layer", i)); i++) {
		_cleanup_free_ char *path = plug_run_path(run, value);

		r = path ? st_chain_add(&chain, path, &run->error) : -ENOMEM;
	}
	if (r == 0 && need && !chain.count) {
		run->exit_code = 125;
		r = plug_error_set(&run->error, -EINVAL,
				   "at least one read-only layer must be specified");
	}
	if (r < 0)
		st_chain_finish(&chain);
	else
		*ret = chain;
	return r;
}

int st_layer_parents_of(struct plug_run *run, const char *path, struct st_chain *ret)
{
	struct st_layer_at at;
	int r = st_layer_parents(run, false, ret);

	if (r < 0 || ret->count)
		return r;
	r = st_layer_find(path, &at, &run->error);
	if (r == 0 && at.fd >= 0)
		r = st_chain_read(at.fd, ret, &run->error);
	if (r == 0)
		st_layer_leave(&at);
	return r;
}

/* ---- writing archives */

struct sink {
	struct plug_run *run;
	int fd;
	struct isal_zstream *zip; /* NULL: plain */
	uint8_t *out, *level;
};

static int sink_raw(struct sink *s, const void *data, size_t size)
{
	if (atomic_load(&s->run->cancel.set))
		return -ECANCELED;
	return plug_run_write(s->run, s->fd, data, size);
}

static int sink_deflate(struct sink *s, const void *data, size_t size, bool end)
{
	struct isal_zstream *z = s->zip;
	int r = 0;

	z->next_in = (uint8_t *)(uintptr_t)data;
	z->avail_in = (uint32_t)size;
	z->end_of_stream = end;
	do {
		z->next_out = s->out;
		z->avail_out = GZIP_OUT;
		if (isal_deflate(z) != COMP_OK)
			return -EIO;
		r = sink_raw(s, s->out, GZIP_OUT - z->avail_out);
	} while (r == 0 && (z->avail_in || !z->avail_out ||
			    (end && z->internal_state.state != ZSTATE_END)));
	return r;
}

static int sink_write(void *arg, const void *data, size_t size)
{
	struct sink *s = arg;

	return s->zip ? sink_deflate(s, data, size, false) : sink_raw(s, data, size);
}

static int sink_zip(struct sink *s)
{
	s->zip = malloc(sizeof(*s->zip));
	s->out = malloc(GZIP_OUT);
	s->level = malloc(ISAL_DEF_LVL1_DEFAULT);
	if (!s->zip || !s->out || !s->level)
		return -ENOMEM;
	isal_deflate_init(s->zip);
	s->zip->level = 1;
	s->zip->level_buf = s->level;
	s->zip->level_buf_size = ISAL_DEF_LVL1_DEFAULT;
	s->zip->gzip_flag = IGZIP_GZIP;
	return 0;
}

static int sink_fill(struct sink *s,
		     int (*fill)(void *arg, struct st_tar_writer *writer, struct plug_error *err),
		     void *arg)
{
	struct st_tar_writer *writer = NULL;
	int r = plug_run_flag(s->run, "gzip") ? sink_zip(s) : 0;

	if (r == 0)
		r = st_tar_writer_open(sink_write, s, &writer);
	if (r == 0)
		r = fill(arg, writer, &s->run->error);
	if (r == 0)
		r = st_tar_finish(writer);
	if (r == 0 && s->zip)
		r = sink_deflate(s, "", 0, true);
	st_tar_writer_close(writer);
	free(s->zip);
	free(s->out);
	free(s->level);
	return r;
}

int st_layer_archive(struct plug_run *run,
		     int (*fill)(void *arg, struct st_tar_writer *writer, struct plug_error *err),
		     void *arg)
{
	const char *output = plug_run_value(run, "output");
	_cleanup_free_ char *path = NULL, *making = NULL;
	struct sink s = { .run = run, .fd = run->out };
	int r;

	if (!output || !strcmp(output, "-")) {
		if (isatty(run->out))
			return plug_error_set(&run->error, -EINVAL,
					      "layer %s: standard output is a terminal: use --output, "
					      "or a pipe",
					      run->word->name);
		return sink_fill(&s, fill, arg);
	}
	path = plug_run_path(run, output);
	if (!path || asprintf(&making, "%s.XXXXXX", path) < 0) {
		making = NULL;
		return -ENOMEM;
	}
	s.fd = mkostemp(making, O_CLOEXEC);
	if (s.fd < 0)
		return plug_error_errno(&run->error, -errno, "%s", path);
	r = sink_fill(&s, fill, arg);
	if (r == 0 && (fchmod(s.fd, 0644) < 0 || fsync(s.fd) < 0 || rename(making, path) < 0))
		r = plug_error_errno(&run->error, -errno, "%s", path);
	if (r < 0)
		(void)unlink(making);
	(void)close(s.fd);
	return r;
}

/* ---- export */

static int export_linux(int fd, struct st_tar_writer *writer, struct plug_error *err)
{
	struct st_pack *pack;
	int r = st_pack_open(fd, writer, &pack);

	if (r < 0)
		return plug_error_errno(err, r, "archive");
	r = st_pack_tree(pack, "", err);
	st_pack_close(pack);
	return r;
}

struct exporting {
	const struct st_layer_at *at;
	int content;
	bool windows;
};

static int export_fill(void *arg, struct st_tar_writer *writer, struct plug_error *err)
{
	const struct exporting *e = arg;

	if (e->at->form == ST_FORM_WINDOWS)
		return st_win_export(e->at->fd, writer, err);
	if (e->windows)
		return st_win_export_upper(e->content, writer, err);
	return export_linux(e->content, writer, err);
}

/* A scratch layer is what its parents are. */
static int over_windows(const struct st_chain *parents, bool *ret, struct plug_error *err)
{
	struct st_layer_at at;
	int r = parents->count ? st_layer_find(parents->path[0], &at, err) : 0;

	if (r < 0 || !parents->count)
		return r;
	*ret = at.form == ST_FORM_WINDOWS;
	st_layer_leave(&at);
	return 0;
}

/* The other format of Windows layers, a directory: whole or not at all. */
static int export_transport(struct plug_run *run, struct exporting *e)
{
	const char *output = plug_run_value(run, "output");
	_cleanup_free_ char *path = output ? plug_run_path(run, output) : NULL;
	struct st_tar *tar = NULL;
	struct st_stage stage;
	struct st_feed feed;
	int r;

	if (e->at->form != ST_FORM_WINDOWS && !e->windows)
		return plug_error_set(&run->error, -EINVAL, "layer %.300s: not a Windows layer", e->at->path);
	if (!output || plug_run_flag(run, "gzip"))
		return plug_error_set(&run->error, -EINVAL,
				      "layer %s: --transport makes a directory: it needs --output, and no "
				      "--gzip",
				      run->word->name);
	r = path ? st_stage_begin(path, &stage, &run->error) : -ENOMEM;
	if (r < 0)
		return r;
	r = st_feed_begin(&feed, export_fill, e);
	if (r == 0) {
		r = st_tar_open(st_feed_read, &feed, NULL, &tar);
		if (r == 0)
			r = st_transport_write(tar, stage.fd, e->at->fd, &run->error);
		st_tar_close(tar);
		r = st_feed_end(&feed, r, &run->error);
	}
	if (r == 0 && syncfs(stage.fd) < 0)
		r = -errno;
	if (r == 0)
		r = st_stage_commit(&stage, &run->error);
	st_stage_abort(&stage);
	return r;
}

int st_layer_cmd_export(struct plug_run *run)
{
	_cleanup_free_ char *path = plug_run_path(run, run->words[0]);
	struct st_chain parents = { 0 };
	_cleanup_close_ int content = -1;
	struct st_layer_at at = { .fd = -1 };
	struct exporting e = { .at = &at };
	enum st_verify how;
	int r = path ? st_layer_verify(run, &how) : -ENOMEM;

	if (r == 0)
		r = st_layer_parents_of(run, path, &parents);
	if (r == 0)
		r = st_layer_find(path, &at, &run->error);
	if (r == 0) {
		content = st_layer_content(&at, how, &run->error);
		r = content < 0 ? content : 0;
	}
	if (r == 0 && at.form == ST_FORM_SCRATCH)
		r = over_windows(&parents, &e.windows, &run->error);
	e.content = content;
	if (r == 0)
		r = plug_run_flag(run, "transport") ? export_transport(run, &e)
						  : st_layer_archive(run, export_fill, &e);
	st_layer_leave(&at);
	st_chain_finish(&parents);
	return r;
}

/* ---- import */

struct input {
	struct plug_cancel *cancel;
	int fd;
};

static ssize_t input_read(void *arg, void *buffer, size_t size)
{
	struct input *in = arg;
	struct stat st;
	ssize_t n;
	int r = !fstat(in->fd, &st) && S_ISREG(st.st_mode) ? 0
							 : plug_cancel_wait(in->cancel, in->fd, POLLIN);

	if (r < 0)
		return r;
	if (atomic_load(&in->cancel->set))
		return -ECANCELED;
	do
		n = read(in->fd, buffer, size);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static int input_open(struct plug_run *run, int *ret)
{
	const char *file = plug_run_value(run, "input");
	_cleanup_free_ char *path = NULL;

	if (!file || !strcmp(file, "-")) {
		if (run->in < 0 || isatty(run->in))
			return plug_error_set(&run->error, -EINVAL,
					      "layer %s: standard input is no archive: use --input, or "
					      "a pipe",
					      run->word->name);
		*ret = fcntl(run->in, F_DUPFD_CLOEXEC, 3);
		return *ret < 0 ? -errno : 0;
	}
	path = plug_run_path(run, file);
	*ret = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	return *ret < 0 ? plug_error_errno(&run->error, path ? -errno : -ENOMEM, "%s", file) : 0;
}

static int import_options(struct plug_run *run, struct st_layer_import *import)
{
	const char *os = plug_run_value(run, "os");

	import->vhd = plug_run_flag(run, "vhd");
	import->verity = plug_run_flag(run, "verity");
	if (import->verity && !import->vhd)
		return plug_error_set(&run->error, -EINVAL,
				      "layer %s: --verity: needs --vhd, files have no tree of digests",
				      run->word->name);
	if (os && strcmp(os, "linux") != 0 && strcmp(os, "windows") != 0)
		return plug_error_set(&run->error, -EINVAL,
				      "layer %s: --os: \"%.32s\" is not linux or windows",
				      run->word->name, os);
	if (import->vhd && os && *os == 'w')
		return plug_error_set(&run->error, -EINVAL,
				      "layer %s: --vhd: a Windows layer has to be a directory",
				      run->word->name);
	if (os || import->vhd)
		import->os = os && *os == 'w' ? ST_LAYER_OS_WINDOWS : ST_LAYER_OS_LINUX;
	return 0;
}

static int transport_fill(void *arg, struct st_tar_writer *writer, struct plug_error *err)
{
	const int *dir = arg;

	return st_transport_read(*dir, writer, err);
}

/* A directory of the other format of Windows layers. */
static int import_transport(struct plug_run *run, struct st_layer_import *import,
			    struct st_layer_imported *ret)
{
	const char *input = plug_run_value(run, "input");
	_cleanup_free_ char *path = input ? plug_run_path(run, input) : NULL;
	_cleanup_close_ int dir = path ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	struct st_feed feed;
	int r;

	if (!input || import->vhd || import->os == ST_LAYER_OS_LINUX)
		return plug_error_set(&run->error, -EINVAL,
				      "layer %s: --transport needs --input, a directory with a Windows layer",
				      run->word->name);
	if (dir < 0)
		return path ? plug_error_errno(&run->error, -errno, "%.300s", path) : -ENOMEM;
	import->os = ST_LAYER_OS_WINDOWS;
	import->read = st_feed_read;
	import->arg = &feed;
	r = st_feed_begin(&feed, transport_fill, &dir);
	if (r < 0)
		return r;
	r = st_layer_import(import, ret, &run->error);
	return st_feed_end(&feed, r, &run->error);
}

int st_layer_cmd_import(struct plug_run *run)
{
	struct input in = { &run->cancel, -1 };
	struct st_chain parents = { 0 };
	_cleanup_free_ char *path = plug_run_path(run, run->words[0]);
	struct st_layer_import import = { .path = path, .parents = &parents, .read = input_read,
					  .arg = &in };
	struct st_layer_imported done;
	int r = path ? import_options(run, &import) : -ENOMEM;

	if (r == 0)
		r = st_layer_parents(run, false, &parents);
	if (r == 0 && plug_run_flag(run, "transport")) {
		r = import_transport(run, &import, &done);
	} else if (r == 0) {
		r = input_open(run, &in.fd);
		if (r == 0)
			r = st_layer_import(&import, &done, &run->error);
	}
	if (r == 0)
		r = plug_run_print(run, "%" PRIu64 "\n", done.size);
	plug_closep(&in.fd);
	st_chain_finish(&parents);
	return r;
}

/* ---- the rest */

int st_layer_cmd_chain(struct plug_run *run)
{
	_cleanup_free_ char *path = plug_run_path(run, run->words[0]);
	struct st_layer_at at;
	struct st_chain chain = { 0 };
	int r = path ? st_layer_find(path, &at, &run->error) : -ENOMEM;

	if (r < 0)
		return r;
	if (at.fd >= 0)
		r = st_chain_read(at.fd, &chain, &run->error);
	for (size_t i = 0; r == 0 && i < chain.count; i++)
		r = plug_run_print(run, "%s\n", chain.path[i]);
	st_chain_finish(&chain);
	st_layer_leave(&at);
	return r;
}
