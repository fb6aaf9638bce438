/* SPDX-License-Identifier: MIT */
#include "disk/seal.h"

#include "disk/error.h"
#include "disk/packed.h"
#include "common/util.h"

#include <fcntl.h>
#include <json-c/json.h>
#include <string.h>
#include <sys/stat.h>

#define SEAL_MAX 65536

int st_verify_parse(const char *word)
{
	static const char *const names[ST_VERIFY_COUNT] = { "none", "digest", "verity" };

	for (int i = 0; i < ST_VERIFY_COUNT; i++)
		if (strcmp(word, names[i]) == 0)
			return i;
	return -EINVAL;
}

/* A file's text, to be freed; -ENOENT. */
static int text_read(const char *path, char **ret)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	_cleanup_free_ char *text = NULL;
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size > SEAL_MAX)
		return -EBADMSG;
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return -ENOMEM;
	n = pread(fd, text, (size_t)st.st_size, 0);
	if (n < 0)
		return -errno;
	text[n] = 0;
	*ret = plug_take_ptr(text);
	return 0;
}

/* Absent: "".  What is no digest at all is found when it is compared. */
static int member_read(struct json_object *o, const char *key, char *ret, size_t size)
{
	struct json_object *value;

	if (!json_object_object_get_ex(o, key, &value))
		return 0;
	if (!json_object_is_type(value, json_type_string) ||
	    (size_t)json_object_get_string_len(value) >= size)
		return -EBADMSG;
	(void)strcpy(ret, json_object_get_string(value));
	return 0;
}

static int seal_parse(const char *text, struct st_seal *ret)
{
	struct json_object *o = json_tokener_parse(text);
	int r = json_object_is_type(o, json_type_object) ? 0 : -EBADMSG;

	if (r == 0)
		r = member_read(o, "digest", ret->digest, sizeof(ret->digest));
	if (r == 0)
		r = member_read(o, "verity", ret->verity, sizeof(ret->verity));
	json_object_put(o);
	return r;
}

int st_seal_read(const char *image, struct st_seal *ret, char *error, size_t error_size)
{
	const char *slash = strrchr(image, '/');
	struct st_message m = { error, error_size };
	_cleanup_free_ char *path = NULL, *text = NULL;
	struct st_seal seal = { "", "" };
	int r;

	if (asprintf(&path, "%s.json", image) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	r = text_read(path, &text);
	if (r == -ENOENT) {
		free(path);
		if (asprintf(&path, "%.*slayer.json", slash ? (int)(slash - image + 1) : 0, image) < 0) {
			path = NULL;
			return -ENOMEM;
		}
		r = text_read(path, &text);
	}
	if (r == 0)
		r = seal_parse(text, &seal);
	if (r < 0 && r != -ENOENT)
		return st_fail(&m, r, "%s: %s", path,
			       r == -EBADMSG ? "no description of a layer" : strerror(-r));
	*ret = seal;
	return 0;
}

int st_seal_mount(const char *image, enum st_verify how, int *ret_fd, char *error, size_t error_size)
{
	struct st_message m = { error, error_size };
	struct st_packed_options options = { 0 };
	struct st_seal seal = { "", "" };
	int r = how == ST_VERIFY_NONE ? 0 : st_seal_read(image, &seal, error, error_size);

	if (r < 0)
		return r;
	if (how == ST_VERIFY_DIGEST)
		options.digest = seal.digest;
	else if (how == ST_VERIFY_VERITY)
		options.verity = seal.verity;
	if ((options.digest && !*options.digest) || (options.verity && !*options.verity))
		return st_fail(&m, -ENOKEY, "%s: cannot be verified: its layer.json has no \"%s\"", image,
			       how == ST_VERIFY_DIGEST ? "digest" : "verity");
	return st_packed_mount(image, &options, ret_fd, error, error_size);
}

int st_seal_mount_at(const char *image, enum st_verify how, const char *target, char *error,
		     size_t error_size)
{
	struct st_message m = { error, error_size };
	_cleanup_close_ int fd = -1;
	int r = st_seal_mount(image, how, &fd, error, error_size);

	return r < 0 ? r : st_packed_place(fd, target, &m);
}
