/* SPDX-License-Identifier: MIT */
#include "layer/tombstones.h"

#include "layer/tree.h"
#include "layer/win_private.h"
#include "common/util.h"

#include <errno.h>
#include <string.h>

#define FILE_MAX (16u << 20)
#define FIRST "\xEF\xBB\xBFVersion 1.0"

static int add(struct tombstones *t, const char *line, struct plug_error *err)
{
	_cleanup_free_ char *path = NULL, *clean = NULL;
	const char *cause;
	int r = asprintf(&path, WIN_FILES "/%s", line + (*line == '\\')) < 0 ? -ENOMEM : 0;

	if (r < 0)
		path = NULL;
	for (char *p = path; p && *p; p++)
		*p = *p == '\\' ? '/' : *p;
	if (r == 0)
		r = win_name_clean(path, &clean, &cause);
	if (r == 0 && !win_name_below(clean, WIN_FILES)) {
		r = -EINVAL;
		cause = "it names nothing";
	}
	if (r == -EINVAL)
		return plug_error_set(err, -EBADMSG, WIN_TOMBSTONES ": \"%.200s\": %s", line, cause);
	if (r == 0 && t->count % 256 == 0) {
		struct tombstone *more = realloc(t->one, (t->count + 256) * sizeof(*more));

		if (more)
			t->one = more;
		r = more ? 0 : -ENOMEM;
	}
	if (r < 0)
		return plug_error_errno(err, r, WIN_TOMBSTONES);
	t->one[t->count].name = strrchr(clean, '/') + 1;
	t->one[t->count].name[-1] = 0;
	t->one[t->count].told = false;
	t->one[t->count++].dir = plug_take_ptr(clean);
	return 0;
}

static int by_place(const void *a, const void *b)
{
	const struct tombstone *x = a, *y = b;
	int order = strcmp(x->dir, y->dir);

	return order ? order : strcmp(x->name, y->name);
}

static int parse(char *text, size_t size, struct tombstones *t, struct plug_error *err)
{
	char *rest = text, *line;
	bool first = true;
	int r = memchr(text, 0, size) ? -EBADMSG : 0;

	while (r == 0 && (line = strsep(&rest, "\n"))) {
		size_t n = strlen(line);

		if (n && line[n - 1] == '\r')
			line[n - 1] = 0;
		if (first)
			r = strcmp(line, FIRST) != 0 ? -EBADMSG : 0;
		else if (*line)
			r = add(t, line, err);
		first = false;
	}
	return r < 0 && !err->code ? plug_error_set(err, r, WIN_TOMBSTONES ": invalid tombstones file") : r;
}

int tombstones_read(int dir, struct tombstones *ret, struct plug_error *err)
{
	struct tombstones t = { 0 };
	_cleanup_free_ char *text = NULL;
	size_t size;
	int r = st_tree_read_file(dir, WIN_TOMBSTONES, FILE_MAX, &text, &size);

	if (r == -ENOENT) {
		*ret = t;
		return 0;
	}
	if (r < 0)
		return plug_error_errno(err, r, WIN_TOMBSTONES);
	r = parse(text, size, &t, err);
	if (r < 0) {
		tombstones_finish(&t);
		return r;
	}
	if (t.count)
		qsort(t.one, t.count, sizeof(*t.one), by_place);
	*ret = t;
	return 0;
}

size_t tombstones_of(const struct tombstones *t, const char *dir)
{
	size_t low = 0, high = t->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (strcmp(t->one[middle].dir, dir) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void tombstones_finish(struct tombstones *t)
{
	for (size_t i = 0; i < t->count; i++)
		free(t->one[i].dir);
	free(t->one);
	*t = (struct tombstones){ 0 };
}
