/* SPDX-License-Identifier: MIT */
/* {"connect": ["NAME:ip=…"], "disconnect": ["NAME"]} */
#include "attach/changes.h"

#include "common/files.h"
#include "common/util.h"
#include "model/json.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define NAME "net.changes"
#define SIZE_LIMIT 65536

static int changes_read(int dir, struct json_object **ret, struct plug_error *err)
{
	_cleanup_close_ int fd = openat(dir, NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	_cleanup_free_ char *text = NULL;
	size_t size;
	int r;

	*ret = NULL;
	if (fd < 0)
		return errno == ENOENT ? 0 : plug_error_errno(err, -errno, NAME);
	r = plug_file_read(fd, SIZE_LIMIT, &text, &size);
	return r < 0 ? plug_error_errno(err, r, NAME) : plug_json_parse(text, size, NAME, ret, err);
}

static int dir_open(const char *path, int *ret, struct plug_error *err)
{
	*ret = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret < 0 ? plug_error_errno(err, -errno, "%s", path) : 0;
}

static const char *text_at(struct json_object *list, size_t i)
{
	return json_object_get_string(json_object_array_get_idx(list, i));
}

int net_changes_apply(struct net_plan *plan, const char *state_dir, struct plug_error *err)
{
	_cleanup_json_ struct json_object *o = NULL;
	_cleanup_close_ int dir = -1;
	struct json_object *connect, *disconnect;
	int r;

	if (plan->mode != NET_PLAN_NETWORKS)
		return 0;
	r = dir_open(state_dir, &dir, err);
	if (r < 0)
		return r == -ENOENT ? plug_error_none(err) : r;
	r = changes_read(dir, &o, err);
	connect = net_json_get(o, "connect");
	disconnect = net_json_get(o, "disconnect");
	for (size_t i = 0; r == 0 && i < plug_json_length(disconnect); i++)
		net_plan_drop(plan, text_at(disconnect, i));
	for (size_t i = 0; r == 0 && i < plug_json_length(connect); i++)
		r = net_plan_add(plan, text_at(connect, i), err);
	return r;
}

/* "back:ip=10.0.0.7" is of "back". */
static bool is_of(const char *wanted, const char *network)
{
	size_t n = strlen(network);

	return !strncmp(wanted, network, n) && (!wanted[n] || wanted[n] == ':');
}

/* Out of a list, whatever stands behind the name; a new list. */
static struct json_object *without(struct json_object *list, const char *network)
{
	struct json_object *kept = json_object_new_array();

	for (size_t i = 0; i < plug_json_length(list); i++)
		if (!is_of(text_at(list, i), network))
			net_json_append(&kept, json_object_get(json_object_array_get_idx(list, i)));
	return kept;
}

static int changes_write(int dir, struct json_object *connect, struct json_object *disconnect,
			 struct plug_error *err)
{
	_cleanup_json_ struct json_object *o = json_object_new_object();
	int r = connect && disconnect ? 0 : -ENOMEM;

	net_json_add(&o, "connect", connect);
	net_json_add(&o, "disconnect", disconnect);
	if (r == 0)
		r = o ? plug_file_write(dir, NAME, "." NAME,
					json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN),
					PLUG_FILE_DURABLE)
		      : -ENOMEM;
	return r < 0 ? plug_error_errno(err, r, NAME) : 0;
}

int net_changes_connect(const char *state_dir, const char *wanted, struct plug_error *err)
{
	_cleanup_free_ char *network = strndup(wanted, strcspn(wanted, ":"));
	_cleanup_json_ struct json_object *o = NULL;
	_cleanup_close_ int dir = -1;
	struct json_object *connect;
	int r = network ? dir_open(state_dir, &dir, err) : plug_error_errno(err, -ENOMEM, NAME);

	if (r == 0)
		r = changes_read(dir, &o, err);
	if (r < 0)
		return r;
	connect = without(net_json_get(o, "connect"), network);
	net_json_append(&connect, json_object_new_string(wanted));
	return changes_write(dir, connect, without(net_json_get(o, "disconnect"), ""), err);
}

int net_changes_disconnect(const char *state_dir, const char *network, const char *original,
			   struct plug_error *err)
{
	_cleanup_json_ struct json_object *o = NULL;
	_cleanup_close_ int dir = -1;
	struct json_object *disconnect;
	int r = dir_open(state_dir, &dir, err);

	if (r == 0)
		r = changes_read(dir, &o, err);
	if (r < 0)
		return r;
	disconnect = without(net_json_get(o, "disconnect"), original ? original : "");
	if (original)
		net_json_append(&disconnect, json_object_new_string(original));
	return changes_write(dir, without(net_json_get(o, "connect"), network), disconnect, err);
}
