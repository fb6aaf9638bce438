/* SPDX-License-Identifier: MIT */
/*
 * What stands on disk about a container: <state_root>/containers/<id>/record.
 *
 * The file begins with the definition, which is put there whole, by rename: its appearance commits
 * a create, its disappearance a delete.  States of its life are appended to it, each with a single
 * write, and the last one that checks counts.  Every part is a line with its kind, version,
 * checksum and length, and then JSON.
 */
#include "engine/container.h"

#include "base/cleanup.h"
#include "base/fs.h"
#include "engine/record.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define RECORD_MAX (64u << 20)

static uint64_t checksum(const char *data, size_t len)
{
	uint64_t h = 0xcbf29ce484222325u; /* FNV-1a */

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)data[i]) * 0x100000001b3u;
	return h;
}

#define PART_HEAD_MAX 80
#define STATES_MAX (16u << 10) /* of bytes behind the definition: then the file is written anew */

static void part_add(struct cow_strbuf *out, const char *kind, const struct cow_strbuf *body)
{
	cow_strbuf_addf(out, "cowherd-%s 1 %016" PRIx64 " %zu\n", kind,
			checksum(body->data, body->len), body->len);
	cow_strbuf_addn(out, body->data, body->len);
	cow_strbuf_add(out, "\n");
}

/* One part of the text at `at`; its end to *ret_end.  -ENODATA: the text ends here. */
static int part_read(const char *kind, const char *at, const char *end, const char **ret_body,
		     size_t *ret_len, const char **ret_end, struct cow_error *err)
{
	char head[PART_HEAD_MAX], found[24];
	const char *newline = memchr(at, '\n', (size_t)(end - at));
	unsigned version;
	uint64_t sum;
	size_t len, left;

	if (at == end)
		return -ENODATA;
	(void)snprintf(head, sizeof(head), "%.*s", (int)((newline ? newline : end) - at), at);
	if (!newline ||
	    sscanf(head, "cowherd-%23s %u %16" SCNx64 " %zu", found, &version, &sum, &len) != 4 ||
	    strcmp(found, kind) != 0)
		return cow_error_set(err, -EBADMSG, "%s record: torn, or not a record", kind);
	if (version != 1)
		return cow_error_set(err, -EPROTONOSUPPORT, "%s record: version %u is not known",
				     kind, version);
	left = (size_t)(end - newline - 1);
	if (left < len)
		return cow_error_set(err, -EBADMSG, "%s record: torn: %zu of %zu bytes", kind, left,
				     len);
	if (checksum(newline + 1, len) != sum)
		return cow_error_set(err, -EBADMSG, "%s record: damaged: its checksum differs",
				     kind);
	*ret_body = newline + 1;
	*ret_len = len;
	*ret_end = newline + 1 + len + (left > len);
	return 0;
}

/* The last state that checks, or NULL; damaged ones before it do not matter any more. */
static struct json_object *last_state(const char *at, const char *end)
{
	struct json_object *state = NULL, *parsed;
	const char *body;
	size_t len;

	while (part_read("state", at, end, &body, &len, &at, NULL) == 0) {
		if (cow_json_parse("state", body, len, &parsed, NULL) < 0)
			continue;
		json_object_put(state);
		state = parsed;
	}
	return state;
}

/* A name and a length, and nothing behind them: power was cut before what was written had got anywhere. */
static bool is_blank(const char *text, size_t len)
{
	return len > 0 && text[0] == 0 && memcmp(text, text + 1, len - 1) == 0;
}

int record_read(const char *dir, struct json_object **ret_definition,
		struct json_object **ret_state, struct cow_error *err)
{
	_cleanup_free_ char *path = cow_fs_join(dir, "record"), *text = NULL;
	const char *body, *next;
	size_t len, body_len;
	int rc;

	rc = path ? cow_fs_read(path, RECORD_MAX, &text, &len) : -ENOMEM;
	if (rc < 0)
		return rc == -ENOENT ? rc : cow_error_errno(err, rc, "record");
	if (is_blank(text, len))
		return cow_error_set(err, -ENODATA, "definition record: blank");
	rc = part_read("definition", text, text + len, &body, &body_len, &next, err);
	if (rc == -ENODATA)
		return cow_error_set(err, -EBADMSG, "definition record: empty");
	if (rc == 0)
		rc = cow_json_parse("definition", body, body_len, ret_definition, err);
	if (rc == 0)
		*ret_state = last_state(next, text + len);
	return rc;
}

static void add_string(struct cow_strbuf *b, const char *key, const char *value)
{
	if (!value)
		return;
	cow_strbuf_addf(b, ",\"%s\":", key);
	cow_strbuf_json(b, value);
}

static void definition_body(const struct container *c, struct cow_strbuf *b)
{
	const struct definition *d = c->def;

	cow_strbuf_addf(b, "{\"created_ns\":%" PRIu64 ",\"schema\":[%u,%u]", d->created_ns,
			d->schema_major, d->schema_minor);
	add_string(b, "id", d->id);
	add_string(b, "name", d->name);
	add_string(b, "owner", d->owner);
	add_string(b, "backend", c->backend);
	cow_strbuf_addf(b, ",\"failed\":%s,\"options\":",
			c->state == COW_STATE_FAILED ? "true" : "false");
	cow_strbuf_add(b, d->options);
	cow_strbuf_add(b, ",\"spec\":"); /* long: not through a format, which would read it twice */
	cow_strbuf_add(b, d->spec);
	if (d->resolved) {
		cow_strbuf_add(b, ",\"resolved\":");
		cow_strbuf_add(b, d->resolved);
	}
	if (c->patched) {
		cow_strbuf_add(b, ",\"patched\":");
		cow_strbuf_add(b, c->patched);
	}
	cow_strbuf_add(b, "}");
}

static void state_body(const struct container *c, struct cow_strbuf *b)
{
	const struct ending *end = &c->ending;
	bool paused = c->state == COW_STATE_PAUSED || c->state == COW_STATE_RESUMING;

	cow_strbuf_addf(b,
			"{\"boot\":\"%s\",\"started\":%s,\"paused\":%s,\"by_user\":%s,"
			"\"started_ns\":%" PRIu64 ",\"restarts\":%u",
			cow_boot_id(), c->ran ? "true" : "false", paused ? "true" : "false",
			c->stopped_by_user ? "true" : "false", c->started_ns, c->restarts);
	if (end->known) {
		cow_strbuf_addf(
			b, ",\"exit\":{\"code\":%d,\"signal\":%d,\"oom\":%s,\"time_ns\":%" PRIu64,
			end->code, end->signal, end->oom ? "true" : "false", end->time_ns);
		add_string(b, "reason", end->reason);
		cow_strbuf_add(b, "}");
	}
	cow_strbuf_add(b, "}");
}

static int part_of(const struct container *c, const char *kind,
		   void (*body)(const struct container *c, struct cow_strbuf *b),
		   struct cow_strbuf *out)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf b = COW_STRBUF_INIT;

	body(c, &b);
	if (b.error)
		return b.error;
	part_add(out, kind, &b);
	return out->error;
}

/*
 * By rename, and back: the temporary file stays for the next record, so that it is the same inode
 * each time.  It is cut to length after it is written, not before: emptying a file makes ext4 flush
 * it.
 */
static int put_whole(const char *dir, const struct cow_strbuf *data)
{
	_cleanup_free_ char *path = cow_fs_join(dir, "record"),
			    *tmp = cow_fs_join(dir, RECORD_TEMPORARY);
	_cleanup_close_ int fd = -1;
	int rc;

	if (!path || !tmp)
		return -ENOMEM;
	fd = open(tmp, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	rc = cow_fs_write_all(fd, data->data, data->len);
	if (rc == 0 && (ftruncate(fd, (off_t)data->len) < 0 || rename(tmp, path) < 0))
		rc = -errno;
	return rc;
}

int record_write_definition(struct container *c, struct cow_error *err)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf b = COW_STRBUF_INIT;
	int rc = part_of(c, "definition", definition_body, &b);

	if (rc == 0 && c->ran)
		rc = part_of(c, "state", state_body, &b);
	if (rc == 0)
		rc = put_whole(c->state_dir, &b);
	if (rc < 0)
		return cow_error_errno(err, rc, "%s/record", c->state_dir);
	c->recorded = true;
	c->states_bytes = 0;
	record_dirty(c);
	return 0;
}

int record_write_state(struct container *c)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf b = COW_STRBUF_INIT;
	_cleanup_free_ char *path = cow_fs_join(c->state_dir, "record");
	_cleanup_close_ int fd = -1;
	int rc = path ? part_of(c, "state", state_body, &b) : -ENOMEM;

	if (!c->recorded || rc < 0)
		return rc;
	/* Also where the end of the file may be damaged: a fresh file has no such past. */
	if (c->states_bytes > STATES_MAX)
		return record_write_definition(c, NULL);
	fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	rc = cow_fs_write_all(fd, b.data, b.len);
	c->states_bytes = rc < 0 ? UINT32_MAX : c->states_bytes + (uint32_t)b.len;
	if (rc == 0)
		record_dirty(c);
	return rc;
}

static uint64_t get_number(struct json_object *o, const char *key)
{
	return (uint64_t)json_object_get_int64(json_object_object_get(o, key));
}

static bool get_flag(struct json_object *o, const char *key)
{
	return json_object_get_boolean(json_object_object_get(o, key));
}

static void read_ending(struct json_object *exit, struct ending *ret)
{
	struct json_object *reason = json_object_object_get(exit, "reason");

	if (!exit)
		return;
	ret->known = true;
	ret->code = (int)get_number(exit, "code");
	ret->signal = (int)get_number(exit, "signal");
	ret->oom = get_flag(exit, "oom");
	ret->time_ns = get_number(exit, "time_ns");
	if (reason)
		ret->reason = strdup(json_object_get_string(reason));
}

void record_take_state(struct json_object *o, struct state_record *ret)
{
	const char *boot = json_object_get_string(json_object_object_get(o, "boot"));

	*ret = (struct state_record){ 0 };
	(void)snprintf(ret->boot, sizeof(ret->boot), "%s", boot ? boot : "");
	ret->started = get_flag(o, "started");
	ret->paused = get_flag(o, "paused");
	ret->by_user = get_flag(o, "by_user");
	ret->started_ns = get_number(o, "started_ns");
	ret->restarts = (uint32_t)get_number(o, "restarts");
	read_ending(json_object_object_get(o, "exit"), &ret->ending);
}

int record_remove_definition(struct container *c)
{
	_cleanup_free_ char *path = cow_fs_join(c->state_dir, "record");
	_cleanup_free_ char *tmp = cow_fs_join(c->state_dir, RECORD_TEMPORARY);

	c->recorded = false;
	if (!path || !tmp)
		return -ENOMEM;
	return rename(path, tmp) < 0 && errno != ENOENT ? -errno : 0;
}

void ending_finish(struct ending *end)
{
	free(end->reason);
	*end = (struct ending){ 0 };
}
