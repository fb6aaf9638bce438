/* SPDX-License-Identifier: MIT */
/* layer seal, and how layers are verified. */
#include "layer/command.h"
#include "layer/layer.h"
#include "layer/tree.h"
#include "plugin.h"
#include "common/util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int st_layer_verify(struct plug_run *run, enum st_verify *ret)
{
	const char *word = plug_run_value(run, "verify");
	int r = word ? st_verify_parse(word) : atomic_load(&st_plugin.verify);

	if (r < 0) {
		run->exit_code = 125;
		return plug_error_set(&run->error, r,
				      "layer %s: --verify: \"%.32s\" is not digest, verity or none",
				      run->word->name, word);
	}
	*ret = (enum st_verify)r;
	return 0;
}

/* IMAGE.json beside it. */
static int seal_write(const char *image, const struct st_seal *seal, struct plug_error *err)
{
	_cleanup_close_ int dir = -1;
	char name[256], text[256];
	const char *base;
	int r = st_layer_split(image, &dir, &base, err);

	if (r < 0)
		return r;
	(void)snprintf(name, sizeof(name), "%s.json", base);
	(void)snprintf(text, sizeof(text), "{\"digest\":\"%s\"%s%s%s}\n", seal->digest,
		       *seal->verity ? ",\"verity\":\"" : "", seal->verity, *seal->verity ? "\"" : "");
	r = st_tree_write_file(dir, name, 0600, text, strlen(text));
	return r < 0 ? plug_error_errno(err, r, "%.300s.json", image) : 0;
}

int st_layer_cmd_seal(struct plug_run *run)
{
	_cleanup_free_ char *path = plug_run_path(run, run->words[0]);
	char text[400] = "";
	struct st_layer_at at;
	struct st_seal seal;
	int r = path ? st_layer_find(path, &at, &run->error) : -ENOMEM;

	if (r < 0)
		return r;
	if (at.form != ST_FORM_PACKED) {
		r = plug_error_set(&run->error, -EINVAL,
				   "layer %.300s: not packed: files in a directory have no digest", at.path);
	} else {
		r = st_seal_measure(at.content, &seal, text, sizeof(text));
		if (r < 0)
			r = plug_error_set(&run->error, r, "%s", text);
	}
	if (r == 0)
		r = seal_write(at.content, &seal, &run->error);
	st_layer_leave(&at);
	if (r == 0)
		r = plug_run_print(run, "%s\n", seal.digest);
	if (r == 0 && *seal.verity)
		r = plug_run_print(run, "verity:%s\n", seal.verity);
	return r;
}
