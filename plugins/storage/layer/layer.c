/* SPDX-License-Identifier: MIT */
#include "layer/layer.h"

#include "layer/tree.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#define MARK "layer.json"
#define MARK_MAX (64u << 10)

static bool has(int dirfd, const char *name, mode_t type)
{
	struct stat st;

	return st_tree_stat(dirfd, name, &st) == 0 && (st.st_mode & S_IFMT) == type;
}

/* The kind that layer.json says: 1, with *ret; 0: there is none. */
static int mark_read(int dirfd, enum st_layer_form *ret)
{
	static const struct {
		const char *kind;
		enum st_layer_form form;
	} kinds[] = { { "dir", ST_FORM_DIR },
		      { "windows", ST_FORM_WINDOWS },
		      { "scratch", ST_FORM_SCRATCH },
		      { "ext4", ST_FORM_PACKED },
		      { "erofs", ST_FORM_PACKED },
		      { "squashfs", ST_FORM_PACKED } };
	_cleanup_free_ char *text = NULL;
	struct json_object *o, *kind;
	const char *name;
	size_t size;
	int r = st_tree_read_file(dirfd, MARK, MARK_MAX, &text, &size);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	o = json_tokener_parse(text);
	name = json_object_object_get_ex(o, "kind", &kind) ? json_object_get_string(kind) : NULL;
	r = -EBADMSG;
	for (size_t i = 0; name && i < PLUG_ELEMENTS(kinds); i++)
		if (!strcmp(kinds[i].kind, name)) {
			*ret = kinds[i].form;
			r = 1;
		}
	json_object_put(o);
	return r;
}

static enum st_layer_form form_of(int dirfd)
{
	if (has(dirfd, "layer.vhd", S_IFREG))
		return ST_FORM_PACKED;
	if (has(dirfd, "Files", S_IFDIR) &&
	    (has(dirfd, "Hives", S_IFDIR) || has(dirfd, "UtilityVM", S_IFDIR) ||
	     has(dirfd, "tombstones.txt", S_IFREG)))
		return ST_FORM_WINDOWS;
	if (has(dirfd, "upper", S_IFDIR) && has(dirfd, "work", S_IFDIR))
		return ST_FORM_SCRATCH;
	return ST_FORM_PLAIN;
}

static int content_of(struct st_layer_at *layer)
{
	static const char *const names[] = {
		[ST_FORM_DIR] = "/fs", [ST_FORM_PLAIN] = "", [ST_FORM_WINDOWS] = "/Files",
		[ST_FORM_SCRATCH] = "/upper", [ST_FORM_PACKED] = "/layer.vhd",
	};

	const char *name = layer->fd < 0 ? "" : names[layer->form];

	/* With a limit it is within a file system of its own, where that is mounted. */
	if (layer->form == ST_FORM_SCRATCH && has(layer->fd, "disk.img", S_IFREG))
		name = "/volume/upper";
	if (layer->form == ST_FORM_PACKED && layer->fd >= 0 && !has(layer->fd, "layer.vhd", S_IFREG))
		name = "/image";
	if (asprintf(&layer->content, "%s%s", layer->path, name) < 0) {
		layer->content = NULL;
		return -ENOMEM;
	}
	return 0;
}

/* An image that is given as a file, or a directory. */
static int form_find(struct st_layer_at *layer)
{
	struct stat st;
	int r;

	if (stat(layer->path, &st) < 0)
		return -errno;
	if (S_ISREG(st.st_mode)) {
		layer->form = ST_FORM_PACKED;
		return 0;
	}
	layer->fd = open(layer->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = layer->fd < 0 ? -errno : mark_read(layer->fd, &layer->form);
	if (r == 0)
		layer->form = form_of(layer->fd);
	return r < 0 ? r : 0;
}

int st_layer_find(const char *path, struct st_layer_at *ret, struct plug_error *err)
{
	struct st_layer_at layer = { .fd = -1, .path = strdup(path) };
	int r = layer.path ? 0 : -ENOMEM;

	for (size_t n = r == 0 ? strlen(path) : 0; n > 1 && layer.path[n - 1] == '/'; n--)
		layer.path[n - 1] = 0;
	if (r == 0)
		r = form_find(&layer);
	if (r == 0)
		r = content_of(&layer);
	if (r < 0) {
		st_layer_leave(&layer);
		return r == -EBADMSG ? plug_error_set(err, r, "layer %.300s: %s: broken", path, MARK)
				     : plug_error_errno(err, r, "layer %.300s", path);
	}
	*ret = layer;
	return 0;
}

void st_layer_leave(struct st_layer_at *layer)
{
	free(layer->path);
	free(layer->content);
	if (layer->fd >= 0)
		(void)close(layer->fd);
	*layer = (struct st_layer_at){ .fd = -1 };
}

/* The open directory holds the mount: with it the mount goes, and its loop device. */
static int packed_content(const char *image, enum st_verify how, struct plug_error *err)
{
	char text[sizeof(err->text)] = "";
	_cleanup_close_ int mounted = -1;
	int fd, r = st_seal_mount(image, how, &mounted, text, sizeof(text));

	if (r < 0)
		return plug_error_set(err, r, "%s", text);
	fd = openat(mounted, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? plug_error_errno(err, -errno, "layer %.300s", image) : fd;
}

int st_layer_content(const struct st_layer_at *layer, enum st_verify how, struct plug_error *err)
{
	int fd;

	if (layer->form == ST_FORM_PACKED)
		return packed_content(layer->content, how, err);
	fd = open(layer->content, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? plug_error_errno(err, -errno, "layer %.300s", layer->content) : fd;
}

/* A member of layer.json, where there is a value. */
static void mark_add(char *text, size_t size, const char *key, const char *value)
{
	size_t n = strlen(text);

	if (value && *value)
		(void)snprintf(text + n, size - n, ",\"%s\":\"%s\"", key, value);
}

int st_layer_mark(int dirfd, const struct st_layer_mark *mark, struct plug_error *err)
{
	char text[512];
	int r;

	(void)snprintf(text, sizeof(text), "{\"version\":1,\"kind\":\"%s\",\"size\":%" PRIu64,
		       mark->kind, mark->size);
	mark_add(text, sizeof(text), "diff_id", mark->diff_id);
	mark_add(text, sizeof(text), "digest", mark->seal ? mark->seal->digest : NULL);
	mark_add(text, sizeof(text), "verity", mark->seal ? mark->seal->verity : NULL);
	(void)strcat(text, "}\n");
	r = st_tree_write_file(dirfd, MARK, 0600, text, strlen(text));
	if (r == 0 && syncfs(dirfd) < 0)
		r = -errno;
	return r < 0 ? plug_error_errno(err, r, "%s", MARK) : 0;
}

int st_layer_split(const char *path, int *ret_dir, const char **base, struct plug_error *err)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *dir = NULL;
	int fd;

	if (!slash || !slash[1] || !strcmp(slash + 1, ".") || !strcmp(slash + 1, "..") ||
	    strlen(slash + 1) > 200)
		return plug_error_set(err, -EINVAL, "layer %.300s: not a name that a layer can have",
				      path);
	dir = strndup(path, (size_t)(slash - path) + 1);
	fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (fd < 0)
		return plug_error_errno(err, dir ? -errno : -ENOMEM, "%.300s", dir ? dir : path);
	*ret_dir = fd;
	*base = slash + 1;
	return 0;
}
