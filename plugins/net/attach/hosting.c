/* SPDX-License-Identifier: MIT */
/*
 * The requests to a hosting system, one after the other, on the loop.  Each has a deadline of its own: who
 * runs the system may hang.  An answer that is not waited for any more finds only its call, which it frees.
 */
#include "attach/hosting.h"

#include "common/util.h"

#include <stdio.h>
#include <string.h>

#define CALL_MS 15000	/* for one request */
#define CANCEL_MS 1000	/* then it is given up, cancelled or not */

/* One request under way. */
struct call {
	struct run *run; /* NULL: nobody waits for its answer */
	struct call *next; /* then: in `lost` */
};

/* All requests of one container's coming or going. */
struct run {
	struct run *next;
	struct net_hosted *h;
	bool remove, stop, cancelled;
	struct net_step *steps;
	size_t count, at;
	struct call *call;
	uint64_t timer;
	int (*intend)(void *arg, const char *record);
	net_hosting_done done;
	void *arg;
	struct plug_error *err, own; /* own: of the pool's jobs, and of what is only logged */
};

static struct {
	const struct cowherd_host *host;
	struct cowherd_self *self;
	struct run *runs;
	struct call *lost; /* kept until they are answered, however late */
} hosting;

void net_hosting_start(const struct cowherd_host *host, struct cowherd_self *self)
{
	hosting.host = host;
	hosting.self = self;
	hosting.runs = NULL;
}

static const struct cowherd_hosting *service(void)
{
	const struct cowherd_hosting *table =
		hosting.host->lookup(hosting.self, COWHERD_SERVICE_HOSTING, COWHERD_HOSTING_VERSION);
	const size_t least = offsetof(struct cowherd_hosting, cancel) + sizeof(table->cancel);

	return table && table->size >= least ? table : NULL;
}

int net_hosting_find(const char *system, const char *container, struct net_hosted **ret,
		     struct plug_error *err)
{
	const struct cowherd_hosting *table = service();
	struct cowherd_hosting_system found = { .size = sizeof(found) };
	struct net_hosted *h;
	int r;

	if (!table)
		return plug_error_set(err, -ENOTSUP, "hosting system %s: no plugin here runs any", system);
	r = table->describe(system, &found);
	if (r < 0)
		return plug_error_errno(err, r, "hosting system %s", system);
	h = calloc(1, sizeof(*h));
	if (h) {
		h->flags = found.flags;
		h->system = strdup(system);
		h->container = strdup(container);
	}
	if (!h || !h->system || !h->container) {
		net_hosted_free(h);
		return plug_error_errno(err, -ENOMEM, "hosting system %s", system);
	}
	*ret = h;
	return 0;
}

/* ---- a run's life */

static struct run *run_new(struct net_hosted *h, net_hosting_done done, void *arg, struct plug_error *err)
{
	struct run *run = calloc(1, sizeof(*run));

	if (!run)
		return NULL;
	*run = (struct run){ .h = h, .done = done, .arg = arg, .err = err, .next = hosting.runs };
	hosting.runs = run;
	return run;
}

static void run_free(struct run *run)
{
	struct run **p = &hosting.runs;

	while (*p != run)
		p = &(*p)->next;
	*p = run->next;
	if (run->remove)
		net_hosted_free(run->h);
	free(run->steps);
	free(run);
}

static void run_end(struct run *run, int result)
{
	net_hosting_done done = run->done;
	void *arg = run->arg;

	run_free(run);
	done(arg, result);
}

static void warn(const struct run *run, const char *cause)
{
	char text[600];

	(void)snprintf(text, sizeof(text), "hosting system %s: network namespace %s: %s", run->h->system,
		       run->h->ns, cause);
	hosting.host->log(hosting.self, COWHERD_LOG_WARN, run->h->container, "net.hosting", text);
}

/* What is going to be there stands in the ledger first. */
static int announce(struct run *run)
{
	_cleanup_json_ struct json_object *record = net_hosted_record(run->h);
	const char *text =
		record ? json_object_to_json_string_ext(record, JSON_C_TO_STRING_PLAIN) : NULL;

	return text ? run->intend(run->arg, text) : -ENOMEM;
}

/* ---- one request */

static void run_go(struct run *run);

static void call_forget(struct run *run)
{
	if (run->timer)
		hosting.host->timer_stop(hosting.self, run->timer);
	run->timer = 0;
	run->call = NULL;
	run->cancelled = false;
}

/* true: go on with the next one. */
static bool settle(struct run *run, int code, const char *message)
{
	const struct net_step *step = &run->steps[run->at];
	char cause[420];

	run->at++;
	if (code >= 0)
		return true;
	(void)snprintf(cause, sizeof(cause), "%s %s: %s", step->card ? step->card->id : "namespace",
		       step->type, message && *message ? message : strerror(-code));
	if (run->remove) {
		if (code != -ENOENT && code != -ESRCH)
			warn(run, cause);
		/* Who does not answer is not asked sixteen times more: the release has a deadline, too. */
		if (code == -ETIMEDOUT)
			run->at = run->count;
		return true;
	}
	run_end(run, plug_error_set(run->err, code, "hosting system %s: %s", run->h->system, cause));
	return false;
}

static void answered(void *arg, int code, const char *message)
{
	struct call *call = arg;
	struct run *run = call->run;

	if (!run)
		for (struct call **p = &hosting.lost; *p; p = &(*p)->next)
			if (*p == call) {
				*p = call->next;
				break;
			}
	free(call);
	if (!run)
		return;
	call_forget(run);
	if (settle(run, code > 0 ? -EPROTO : code, message))
		run_go(run);
}

/* Its answer may come some day. */
static void call_lose(struct run *run)
{
	struct call *call = run->call;

	call_forget(run);
	call->run = NULL;
	call->next = hosting.lost;
	hosting.lost = call;
}

static void timed_out(void *arg)
{
	struct run *run = arg;
	const struct cowherd_hosting *table = service();

	run->timer = 0;
	if (!run->cancelled) {
		run->cancelled = true;
		if (hosting.host->timer_start(hosting.self, CANCEL_MS, 0, timed_out, run, &run->timer) == 0) {
			if (table)
				table->cancel(answered, run->call);
			return;
		}
	}
	call_lose(run);
	if (settle(run, run->stop && !run->remove ? -ECANCELED : -ETIMEDOUT, NULL))
		run_go(run);
}

static int ask(struct run *run, const struct cowherd_hosting *table)
{
	_cleanup_json_ struct json_object *settings = NULL;
	_cleanup_free_ char *resource = NULL;
	struct cowherd_hosting_request request;
	struct call *call;
	int r = net_step_request(run->h, &run->steps[run->at], &request, &resource, &settings);

	call = r == 0 ? calloc(1, sizeof(*call)) : NULL;
	if (!call)
		return -ENOMEM;
	call->run = run;
	r = hosting.host->timer_start(hosting.self, CALL_MS, 0, timed_out, run, &run->timer);
	run->call = call;
	if (r == 0)
		r = table->modify(&request, answered, call);
	if (r < 0) {
		free(call);
		call_forget(run);
	}
	return r < 0 ? r : 0;
}

/* A card is announced before the first of its requests. */
static int begin_card(struct run *run)
{
	const struct net_card *card = run->steps[run->at].card;

	if (run->remove || !card || card < &run->h->cards[run->h->begun])
		return 0;
	run->h->begun++;
	return announce(run);
}

static int added(struct run *run)
{
	run->h->added = true;
	return announce(run);
}

static void add_end(struct run *run);
static void remove_end(struct run *run);

static void run_go(struct run *run)
{
	const struct cowherd_hosting *table = service();

	while (run->at < run->count) {
		int r = !table ? -ENOTSUP : run->stop && !run->remove ? -ECANCELED : begin_card(run);

		if (r == 0)
			r = ask(run, table);
		if (r == 0 || !settle(run, r, NULL))
			return;
	}
	if (run->remove)
		remove_end(run);
	else
		add_end(run);
}

void net_hosting_stop(struct net_hosted *h)
{
	for (struct run *run = hosting.runs; run; run = run->next) {
		if (run->h != h || run->stop)
			continue;
		run->stop = true;
		if (!run->call || run->cancelled)
			continue;
		hosting.host->timer_stop(hosting.self, run->timer);
		/* From the loop, not from here: whoever asks for the stop goes on first. */
		if (hosting.host->timer_start(hosting.self, 0, 0, timed_out, run, &run->timer) < 0)
			run->timer = 0;
	}
}

void net_hosting_finish(void)
{
	while (hosting.runs) {
		if (hosting.runs->call)
			call_lose(hosting.runs);
		run_end(hosting.runs, -ESHUTDOWN);
	}
}

/* ---- coming */

static void add_end(struct run *run)
{
	int r = added(run);

	run_end(run, r < 0 ? plug_error_errno(run->err, r, "hosting system %s", run->h->system) : 0);
}

static int claim_work(void *arg)
{
	struct run *run = arg;

	return net_hosted_claim(run->h, &run->own);
}

static void claim_done(void *arg, int result)
{
	struct run *run = arg;

	if (result == 0) {
		run_go(run);
		return;
	}
	*run->err = run->own;
	run_end(run, result);
}

int net_hosting_add(struct net_hosted *h, int (*intend)(void *arg, const char *record), net_hosting_done done,
		    void *arg, struct plug_error *err)
{
	struct run *run = run_new(h, done, arg, err);
	int r;

	if (!run)
		return plug_error_errno(err, -ENOMEM, "hosting system %s", h->system);
	run->intend = intend;
	r = net_hosted_steps(h, false, &run->steps, &run->count);
	if (r == 0)
		r = announce(run);
	if (r == 0)
		r = hosting.host->offload(hosting.self, claim_work, claim_done, run);
	if (r < 0)
		run_free(run);
	return r < 0 ? plug_error_errno(err, r, "hosting system %s", h->system) : 0;
}

/* ---- going */

static int unclaim_work(void *arg)
{
	struct run *run = arg;

	return net_hosted_unclaim(run->h, &run->own);
}

static void unclaim_done(void *arg, int result)
{
	struct run *run = arg;

	if (result < 0)
		*run->err = run->own;
	run_end(run, result);
}

static void remove_end(struct run *run)
{
	int r = hosting.host->offload(hosting.self, unclaim_work, unclaim_done, run);

	if (r < 0)
		run_end(run, plug_error_errno(run->err, r, "hosting system %s", run->h->system));
}

static int claimed_work(void *arg)
{
	struct run *run = arg;

	return net_hosted_claimed(run->h, &run->own);
}

/* Where the claim failed, nothing of ours is there: what is, is somebody else's. */
static void claimed_done(void *arg, int result)
{
	struct run *run = arg;

	if (result == -ECANCELED) {
		run_end(run, result);
		return;
	}
	if (result == 0)
		run->at = run->count;
	else if (!service()) {
		warn(run, "no plugin here runs hosting systems any more");
		run->at = run->count;
	}
	run_go(run);
}

int net_hosting_remove(struct json_object *record, net_hosting_done done, void *arg, struct plug_error *err)
{
	struct net_hosted *h = NULL;
	struct run *run;
	int r = net_hosted_read(record, &h, err);

	if (r < 0)
		return r;
	run = run_new(h, done, arg, err);
	if (!run) {
		net_hosted_free(h);
		return plug_error_errno(err, -ENOMEM, "hosting system");
	}
	run->remove = true;
	r = net_hosted_steps(h, true, &run->steps, &run->count);
	if (r == 0)
		r = hosting.host->offload(hosting.self, claimed_work, claimed_done, run);
	if (r < 0)
		run_free(run);
	return r < 0 ? plug_error_errno(err, r, "hosting system") : 0;
}
