/* SPDX-License-Identifier: MIT */
/*
 * What stands on disk about a container, in <state_root>/containers/<id>/: its definition, whose
 * appearance commits a create and whose disappearance commits a delete, and the state of its life.
 * A record is one line that names version, checksum and length, and then JSON; written whole.
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

static int record_write(const char *dir, const char *name, const struct cow_strbuf *body)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf b = COW_STRBUF_INIT;
	_cleanup_free_ char *path = cow_fs_join(dir, name);

	cow_strbuf_addf(&b, "cowherd-%s 1 %016" PRIx64 " %zu\n", name, checksum(body->data, body->len),
			body->len);
	cow_strbuf_addn(&b, body->data, body->len);
	if (!path || b.error)
		return -ENOMEM;
	return cow_fs_write_atomic(path, b.data, b.len, 0600, 0);
}

int record_open(const char *dir, const char *name, struct json_object **ret, struct cow_error *err)
{
	_cleanup_free_ char *path = cow_fs_join(dir, name), *text = NULL;
	char kind[32];
	unsigned version;
	uint64_t sum;
	size_t len, want;
	int rc, used = 0;

	rc = path ? cow_fs_read(path, RECORD_MAX, &text, &len) : -ENOMEM;
	if (rc < 0)
		return rc == -ENOENT ? rc : cow_error_errno(err, rc, "%s record", name);
	if (sscanf(text, "cowherd-%31s %u %16" SCNx64 " %zu%n", kind, &version, &sum, &want, &used) != 4 ||
	    strcmp(kind, name) != 0 || text[used] != '\n')
		return cow_error_set(err, -EBADMSG, "%s record: not a record", name);
	if (version != 1)
		return cow_error_set(err, -EPROTONOSUPPORT, "%s record: version %u is not known", name,
				     version);
	used++;
	if (len - (size_t)used != want)
		return cow_error_set(err, -EBADMSG, "%s record: torn: %zu of %zu bytes", name,
				     len - (size_t)used, want);
	if (checksum(text + used, want) != sum)
		return cow_error_set(err, -EBADMSG, "%s record: damaged: its checksum differs", name);
	return cow_json_parse(name, text + used, want, ret, err);
}

static void add_string(struct cow_strbuf *b, const char *key, const char *value)
{
	if (!value)
		return;
	cow_strbuf_addf(b, ",\"%s\":", key);
	cow_strbuf_json(b, value);
}

int record_write_definition(struct container *c, struct cow_error *err)
{
	const struct definition *d = c->def;
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf b = COW_STRBUF_INIT;
	int rc;

	cow_strbuf_addf(&b, "{\"created_ns\":%" PRIu64 ",\"schema\":[%u,%u]", d->created_ns,
			d->schema_major, d->schema_minor);
	add_string(&b, "id", d->id);
	add_string(&b, "name", d->name);
	add_string(&b, "owner", d->owner);
	add_string(&b, "backend", c->backend);
	cow_strbuf_addf(&b, ",\"failed\":%s,\"options\":%s,\"spec\":%s}",
			c->state == COW_STATE_FAILED ? "true" : "false", d->options, d->spec);
	rc = b.error ? b.error : record_write(c->state_dir, "definition", &b);
	if (rc < 0)
		return cow_error_errno(err, rc, "%s/definition", c->state_dir);
	c->recorded = true;
	record_dirty(c);
	return 0;
}

int record_write_state(struct container *c)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf b = COW_STRBUF_INIT;
	const struct ending *end = &c->ending;
	int rc;

	if (!c->recorded)
		return 0;
	cow_strbuf_addf(&b,
			"{\"boot\":\"%s\",\"started\":%s,\"paused\":%s,\"by_user\":%s,\"started_ns\":%" PRIu64
			",\"restarts\":%u",
			cow_boot_id(), c->ran ? "true" : "false",
			c->state == COW_STATE_PAUSED || c->state == COW_STATE_RESUMING ? "true" : "false",
			c->stopped_by_user ? "true" : "false", c->started_ns, c->restarts);
	if (end->known) {
		cow_strbuf_addf(&b, ",\"exit\":{\"code\":%d,\"signal\":%d,\"oom\":%s,\"time_ns\":%" PRIu64,
				end->code, end->signal, end->oom ? "true" : "false", end->time_ns);
		add_string(&b, "reason", end->reason);
		cow_strbuf_add(&b, "}");
	}
	cow_strbuf_add(&b, "}");
	rc = b.error ? b.error : record_write(c->state_dir, "state", &b);
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

int record_read_state(const char *state_dir, struct state_record *ret)
{
	struct json_object *o;
	const char *boot;
	int rc = record_open(state_dir, "state", &o, NULL);

	*ret = (struct state_record){ 0 };
	if (rc < 0)
		return rc;
	boot = json_object_get_string(json_object_object_get(o, "boot"));
	(void)snprintf(ret->boot, sizeof(ret->boot), "%s", boot ? boot : "");
	ret->started = get_flag(o, "started");
	ret->paused = get_flag(o, "paused");
	ret->by_user = get_flag(o, "by_user");
	ret->started_ns = get_number(o, "started_ns");
	ret->restarts = (uint32_t)get_number(o, "restarts");
	read_ending(json_object_object_get(o, "exit"), &ret->ending);
	json_object_put(o);
	return 0;
}

static int remove_file(const char *dir, const char *name)
{
	_cleanup_free_ char *path = cow_fs_join(dir, name);

	if (!path)
		return -ENOMEM;
	return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

/* Usually empty by now; whatever a plugin or an older version left goes too. */
static int remove_dir(const char *dir)
{
	if (rmdir(dir) == 0 || errno == ENOENT)
		return 0;
	return cow_fs_remove_tree(dir);
}

int record_remove(struct container *c, struct cow_error *err)
{
	static const char *const files[] = { "state", "log", "ledger" };
	int rc = 0, r;

	for (size_t i = 0; i < COW_ELEMENTS(files); i++)
		(void)remove_file(c->state_dir, files[i]);
	(void)remove_file(c->run_dir, "ledger");
	rc = remove_dir(c->state_dir);
	if (rc < 0)
		(void)cow_error_errno(err, rc, "%s", c->state_dir);
	r = remove_dir(c->run_dir);
	if (r < 0)
		(void)cow_error_errno(err, r, "%s", c->run_dir);
	return rc < 0 ? rc : r;
}

int record_remove_definition(struct container *c)
{
	c->recorded = false;
	return remove_file(c->state_dir, "definition");
}

void ending_finish(struct ending *end)
{
	free(end->reason);
	*end = (struct ending){ 0 };
}
