/* SPDX-License-Identifier: MIT */
/*
 * What a predecessor left, judged container by container: what lives is adopted, the rest is
 * released from the ledger, newest first; nothing is started while the old one's death is not
 * proved.
 *
 * Output of a container that outlived its supervisor goes nowhere from here on: its pipes died with
 * their reader.  A keeper that holds them would hand them over in adopt_answered().
 */
#include "engine/container.h"

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct recovery {
	struct cow_engine *engine;
	struct waiter *waiter;
	uint32_t open; /* containers being judged, and one for the scan */
	uint32_t adopted, lost, released, broken;
};

/* What is known of one container while it is judged. */
struct judgement {
	struct recovery *recovery;
	struct container *container;
	struct state_record was;
	uint64_t seq; /* of the record adopt() is asked with */
	struct cow_error error;
};

static void recovery_leave(struct recovery *r)
{
	struct cow_engine *e = r->engine;

	if (--r->open > 0)
		return;
	waiter_ok(r->waiter,
		  cow_asprintf("{\"adopted\":%u,\"lost\":%u,\"released\":%u,\"broken\":%u}",
			       r->adopted, r->lost, r->released, r->broken));
	e->recovery = NULL;
	free(r);
}

void recover_forget(struct container *c)
{
	struct judgement *j = c->judgement;

	if (!j)
		return;
	c->judgement = NULL;
	ending_finish(&j->was.ending);
	free(j);
}

void recover_abandon(struct cow_engine *e)
{
	if (!e->recovery)
		return;
	waiter_refuse(e->recovery->waiter, -ECANCELED, "the engine is gone");
	free(e->recovery);
	e->recovery = NULL;
}

/* ---- the verdict */

static void lose(struct judgement *j)
{
	struct container *c = j->container;
	bool down = strcmp(j->was.boot, cow_boot_id()) != 0;
	const struct cowherd_exit lost = { .size = sizeof(lost),
					   .code = -1,
					   .reason = down ? "host went down" :
							    "supervisor was not there" };

	(void)ending_set(&c->ending, &lost);
	c->started = c->ended = false;
	(void)record_write_state(c);
	j->recovery->lost++;
}

/* What the restart policy says about a life that ended while nobody looked, or before a reboot. */
static bool runs_again(const struct container *c, bool was_lost)
{
	switch (c->def->restart.policy) {
	case COW_RESTART_ALWAYS:
		return true;
	case COW_RESTART_UNLESS_STOPPED:
		return !c->stopped_by_user;
	case COW_RESTART_ON_FAILURE:
		return was_lost && !c->stopped_by_user;
	case COW_RESTART_NO:
		break;
	}
	return false;
}

static void judged(struct judgement *j)
{
	struct container *c = j->container;
	struct recovery *r = j->recovery;
	bool was_lost = j->was.started && !j->was.ending.known;
	struct cow_error err;

	if (container_alive(c)) {
		c->wishes |= j->was.paused ? COW_FACT_PAUSE : 0;
	} else if (c->ran && !(c->wishes & COW_FACT_DELETE)) {
		if (was_lost)
			lose(j);
		if (runs_again(c, was_lost))
			c->wishes |= COW_FACT_RESTART;
		else if (c->def->auto_remove)
			c->wishes |= COW_FACT_DELETE;
	}
	cow_log(.level = COW_LOG_INFO, .event = "container.recovered", .container = c->def->id,
		.msg = j->error.code ? j->error.message : NULL,
		.state_to = container_alive(c) ? "running" : c->ran ? "stopped" : "created");
	err = j->error;
	recover_forget(c);
	container_answered(c, err.code < 0 ? &err : NULL);
	recovery_leave(r);
}

static void rest_released(void *arg, const struct cow_error *err)
{
	struct judgement *j = arg;

	if (err)
		j->error = *err;
	j->container->made = false;
	judged(j);
}

/* Nothing of it lives: give back what it held. */
static void judge_dead(struct judgement *j)
{
	struct container *c = j->container;

	if (container_held(c))
		j->recovery->released++;
	release_start(c, NULL, RELEASE_VOLATILE, rest_released, j);
}

/* Neither alive nor dead for sure: it counts as alive, so that nobody starts a second one. */
static void judge_unknown(struct judgement *j, int code, const char *why)
{
	struct container *c = j->container;

	(void)snprintf(j->error.step, sizeof(j->error.step), "adopt");
	(void)cow_error_set(&j->error, code, "container %s: its death is not proved: %s",
			    c->def->name, why);
	c->started = true;
	c->ended = false;
	judged(j);
}

/* ---- adoption */

static void adopt_next(struct judgement *j);

static void adopt_answered(void *arg, const struct cow_answer *answer)
{
	struct judgement *j = arg;
	struct container *c = j->container;
	const struct cowherd_answer *payload = answer->payload;
	int fd = cow_host_take_fd(answer);

	if (fd >= 0)
		(void)close(fd);
	if (answer->code == -ESRCH) {
		adopt_next(j);
	} else if (answer->code < 0 || !payload || !payload->handle) {
		judge_unknown(j, answer->code < 0 ? answer->code : -EPROTO,
			      answer->message ? answer->message : cow_errno_text(answer->code));
	} else {
		container_take_system(c, payload->handle, payload->pid);
		c->started = true;
		c->ran = true;
		j->recovery->adopted++;
		judged(j);
	}
}

static void adopt_ask(struct judgement *j, const struct cow_backend *backend,
		      const struct cow_ledger_entry *entry)
{
	struct container *c = j->container;
	const struct cowherd_record record = { .size = sizeof(record), .container = c->def->id,
					       .key = entry->key, .record = entry->record,
					       .other_boot = entry->other_boot };
	cow_op op;
	int rc;

	j->seq = entry->seq;
	free(c->backend);
	c->backend = strdup(backend->table.name);
	rc = c->backend ? call_open(c, backend->table.name, backend->table.create_ms,
				    adopt_answered, j, &op) :
			  -ENOMEM;
	if (rc < 0)
		judge_unknown(j, rc, cow_errno_text(rc));
	else
		call_returned(c->engine, op, backend->table.adopt(backend->arg, op, &record));
}

/* Ask about the next older record of a backend; after the last one nothing of it lives. */
static void adopt_next(struct judgement *j)
{
	struct container *c = j->container;
	struct cow_host *host = c->engine->setup.host;
	const struct cow_ledger_entry *entry =
		j->seq ? cow_ledger_before(c->ledger, j->seq) : cow_ledger_last(c->ledger);

	for (; entry; entry = cow_ledger_before(c->ledger, entry->seq)) {
		const struct cow_backend *backend = cow_host_backend(host, entry->allocator);

		if (entry->other_boot)
			continue;
		if (!backend && !cow_host_allocator(host, entry->allocator)) {
			judge_unknown(j, -ENOENT, "no loaded plugin knows what it holds");
			return;
		}
		if (backend && backend->table.adopt) {
			adopt_ask(j, backend, entry);
			return;
		}
	}
	judge_dead(j);
}

/* ---- reading what is there */

/* For a record that does not read back, or is not there: enough to show it and to delete it. */
static struct definition *placeholder(const char *id)
{
	struct definition *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->id = strdup(id);
	d->name = strdup(id);
	d->owner = strdup("");
	d->image = strdup("");
	d->spec = strdup("{}");
	d->options = strdup("{}");
	d->stop_ms = KILL_MS;
	d->log_files = 1;
	if (d->id && d->name && d->owner && d->image && d->spec && d->options)
		return d;
	definition_destroy(d);
	return NULL;
}

static int open_ledgers(struct container *c, struct cow_error *err)
{
	_cleanup_free_ char *path = cow_fs_join(c->state_dir, "ledger");
	int rc = container_dirs(c, err);

	if (rc < 0)
		return rc;
	if (!path || access(path, F_OK) < 0)
		return 0;
	return cow_ledger_open(path, &c->durable, err);
}

static void note_damage(struct container *c)
{
	uint32_t lines = (c->ledger ? cow_ledger_damaged(c->ledger) : 0) +
			 (c->durable ? cow_ledger_damaged(c->durable) : 0);

	if (lines)
		cow_log(.level = COW_LOG_ERROR, .event = "ledger.damaged", .container = c->def->id,
			.msg = "lines of its ledger do not check: what they named may be left "
			       "over");
}

static void take_state(struct container *c, const struct state_record *was)
{
	c->ran = was->started;
	c->stopped_by_user = was->by_user;
	c->started_ns = was->started_ns;
	c->restarts = was->restarts;
	if (was->ending.known) {
		c->ending = was->ending;
		c->ending.reason = was->ending.reason ? strdup(was->ending.reason) : NULL;
	}
}

static bool known_in_run(struct cow_engine *e, const char *id)
{
	_cleanup_free_ char *dir = cow_asprintf("%s/containers/%s", e->setup.run_root, id);

	return !dir || access(dir, F_OK) == 0;
}

static struct container *read_container(struct cow_engine *e, const char *id,
					struct state_record *was)
{
	_cleanup_free_ char *state_dir = cow_asprintf("%s/containers/%s", e->setup.state_root, id);
	struct opened_record record = { 0 };
	struct cow_error err = { 0 };
	struct definition *def;
	struct container *c;
	int rc = state_dir ? record_open(state_dir, &record, &err) : -ENOMEM;

	/* Of a container that was not a second old, and that nothing in this boot knows: it never was. */
	if (rc == -ENODATA && !known_in_run(e, id))
		rc = -ENOENT;
	def = record.def;
	*was = record.state;
	if (rc == 0 && strcmp(def->id, id) != 0)
		rc = cow_error_set(&err, -EBADMSG, "definition record: is another container's: %s",
				   def->id);
	if (rc < 0) {
		definition_destroy(def);
		def = placeholder(id);
	}
	if (!def || container_new(e, def, &c, NULL) < 0) {
		free(record.backend);
		free(record.patched);
		return NULL;
	}
	c->state = COW_STATE_RECOVERING;
	c->recorded = rc == 0;
	c->keep = record.failed;
	c->broken = rc < 0 && rc != -ENOENT;
	c->wishes = rc == -ENOENT ? COW_FACT_DELETE : 0;
	c->backend = record.backend;
	c->patched = record.patched;
	c->states_bytes =
		UINT32_MAX; /* its end may be torn: the next state goes into a fresh file */
	take_state(c, was);
	rc = open_ledgers(c, &err);
	if (rc < 0)
		c->broken = true;
	note_damage(c);
	if (c->broken)
		(void)container_fail(c, &err);
	return c;
}

static void recover_one(struct recovery *r, const char *id)
{
	struct judgement *j;

	if (!cow_id_valid(id) || container_by_id(r->engine, id))
		return;
	j = calloc(1, sizeof(*j));
	if (!j)
		return;
	j->recovery = r;
	j->container = read_container(r->engine, id, &j->was);
	if (!j->container) {
		free(j);
		return;
	}
	r->open++;
	j->container->judgement = j;
	j->container->busy = true;
	if (j->container->broken) {
		r->broken++;
		j->error = *j->container->error;
		judged(j);
	} else if (j->container->keep) {
		judged(j); /* what a failed create kept stays until it is released */
	} else if (j->container->wishes & COW_FACT_DELETE) {
		judged(j); /* delete releases what is held */
	} else {
		adopt_next(j);
	}
}

static void recover_in(struct recovery *r, const char *root)
{
	_cleanup_free_ char *path = cow_fs_join(root, "containers");
	_cleanup_closedir_ DIR *dir = path ? opendir(path) : NULL;

	for (struct dirent *d = dir ? readdir(dir) : NULL; d; d = readdir(dir))
		if (*d->d_name != '.')
			recover_one(r, d->d_name);
}

static int by_start(const void *a, const void *b)
{
	const struct container *x = *(struct container *const *)a,
			       *y = *(struct container *const *)b;

	return (x->started_ns > y->started_ns) - (x->started_ns < y->started_ns);
}

static int by_creation(const void *a, const void *b)
{
	const struct container *x = *(struct container *const *)a,
			       *y = *(struct container *const *)b;

	return (x->def->created_ns > y->def->created_ns) -
	       (x->def->created_ns < y->def->created_ns);
}

/* A directory has no order: creation orders the list, start the shutdown. */
static void put_in_order(struct cow_engine *e)
{
	struct container **all;
	size_t n = 0, i = 0;

	cow_list_for(l, &e->containers)
		n++;
	all = calloc(n ? n : 1, sizeof(*all));
	if (!all)
		return;
	cow_list_for(l, &e->containers)
		all[i++] = cow_container_of(l, struct container, link);
	qsort(all, n, sizeof(*all), by_start);
	for (i = 0; i < n; i++)
		if (!all[i]->start_order)
			all[i]->start_order = ++e->next_start;
	qsort(all, n, sizeof(*all), by_creation);
	for (i = 0; i < n; i++) {
		cow_list_del(&all[i]->link);
		cow_list_add(&e->containers, &all[i]->link);
	}
	free(all);
}

void cow_engine_recover(struct cow_engine *e, cow_engine_cb done, void *arg)
{
	struct waiter *w = waiter_new(e, WAIT_CALL, done, arg);
	struct recovery *r;

	if (!w)
		return;
	r = calloc(1, sizeof(*r));
	if (!r || e->recovery) {
		free(r);
		waiter_refuse(w, r ? -EALREADY : -ENOMEM, "recover: %s",
			      r ? "under way" : "out of memory");
		return;
	}
	e->recovery = r;
	r->engine = e;
	r->waiter = w;
	r->open = 1;
	dirs_sweep(e, true);
	recover_in(r, e->setup.state_root);
	recover_in(r, e->setup.run_root);
	put_in_order(e);
	recovery_leave(r);
}
