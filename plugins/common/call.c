/* SPDX-License-Identifier: MIT */
/* A call of a word: from the client's JSON to its answer, on a thread of its own in between. */
#include "common/util.h"
#include "common/words.h"

#include <json-c/json.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>

#define CALLS_MAX 16

struct call {
	struct call *next;
	cowherd_op op;
	pthread_t thread;
	int done; /* an eventfd: the thread is about to end */
	uint64_t watch;
	char **words, **order, *cwd;
	size_t word_count;
	struct plug_run run;
};

static const struct cowherd_host *host;
static struct cowherd_self *self;
static struct call *calls;
static size_t call_count;

void plug_calls_use(const struct cowherd_host *h, struct cowherd_self *s)
{
	host = h;
	self = s;
}

static int call_run(struct plug_run *run)
{
	int r = 0;

	if (plug_run_flag(run, "help")) {
		plug_help_text(run->verb, run->word, &run->text);
		return run->text.failed;
	}
	if (run->verb->begin)
		r = run->verb->begin(run);
	if (r == 0)
		r = run->word->run(run);
	return r == 0 ? run->text.failed : r;
}

static void *call_thread(void *arg)
{
	struct call *c = arg;
	struct plug_run *run = &c->run;
	const uint64_t one = 1;
	sigset_t all;
	int r;

	/* Signals are the loop's; that the client's pipe is closed is an error like others. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_BLOCK, &all, NULL);
	r = call_run(run);
	if (r >= 0)
		r = plug_run_write(run, run->out, run->text.data, run->text.len);
	/* What was tried on the way and did not matter. */
	if (r >= 0)
		(void)plug_error_none(&run->error);
	else if (!run->error.code)
		(void)plug_error_errno(&run->error, r, "%s %s", run->verb->name, run->word->name);
	(void)plug_run_write(run, run->err, run->notes.data, run->notes.len);
	(void)!write(c->done, &one, sizeof(one));
	return NULL;
}

static void call_free(struct call *c)
{
	for (struct call **p = &calls; *p; p = &(*p)->next)
		if (*p == c) {
			*p = c->next;
			call_count--;
			break;
		}
	if (c->watch)
		host->unwatch_fd(self, c->watch);
	for (size_t i = 0; i < c->word_count; i++)
		free(c->words[i]);
	/* Parsing moves pointers within the other ones. */
	free(c->words);
	free(c->order);
	free(c->cwd);
	plug_text_finish(&c->run.text);
	plug_text_finish(&c->run.notes);
	plug_closep(&c->done);
	plug_closep(&c->run.cancel.fd);
	free(c);
}

static void call_answer(struct call *c)
{
	struct cowherd_answer answer = { .size = sizeof(answer),
					 .code = c->run.error.code,
					 .fd = -1,
					 .message = c->run.error.code ? c->run.error.text : NULL,
					 .exit_code = c->run.exit_code };

	(void)host->answer(self, c->op, &answer);
}

static void call_done(void *arg, int fd, uint32_t events)
{
	struct call *c = arg;

	(void)fd;
	(void)events;
	(void)pthread_join(c->thread, NULL);
	if (c->run.verb->end)
		c->run.verb->end(&c->run);
	call_answer(c);
	call_free(c);
}

static int word_add(struct call *c, const char *word)
{
	c->words[c->word_count] = word ? strdup(word) : NULL;
	if (!c->words[c->word_count])
		return -ENOMEM;
	c->word_count++;
	return 0;
}

/* argv from the client's JSON, with the word that an alias stands for before it. */
static int words_copy(struct call *c, const char *alias, const char *args)
{
	struct json_object *list = json_tokener_parse(args);
	size_t n = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
	int r = 0;

	c->words = calloc(n + 2, sizeof(char *));
	c->order = calloc(n + 2, sizeof(char *));
	if (!c->words || !c->order)
		r = -ENOMEM;
	if (r == 0 && alias)
		r = word_add(c, alias);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = word_add(c, json_object_get_string(json_object_array_get_idx(list, i)));
	json_object_put(list);
	if (r == 0)
		memcpy(c->order, c->words, c->word_count * sizeof(char *));
	return r;
}

static int call_start(struct call *c)
{
	int r = host->watch_fd(self, c->done, COWHERD_FD_READ, call_done, c, &c->watch);

	if (r < 0)
		return r;
	return -pthread_create(&c->thread, NULL, call_thread, c);
}

static struct call *call_new(const struct plug_call_as *as, cowherd_op op, const struct cowherd_call *call)
{
	struct call *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->op = op;
	c->done = eventfd(0, EFD_CLOEXEC);
	c->cwd = strdup(call->cwd ? call->cwd : "/");
	c->run.verb = as->verb;
	c->run.cwd = c->cwd;
	c->run.in = call->in;
	c->run.out = call->out;
	c->run.err = call->err;
	c->run.cancel.fd = eventfd(0, EFD_CLOEXEC);
	c->next = calls;
	calls = c;
	call_count++;
	return c;
}

int plug_call(void *arg, cowherd_op op, const struct cowherd_call *call)
{
	const struct plug_call_as *as = arg;
	struct call *c = call_count < CALLS_MAX ? call_new(as, op, call) : NULL;
	int r;

	if (!c)
		return call_count < CALLS_MAX ? -ENOMEM : -EAGAIN;
	r = c->done < 0 || c->run.cancel.fd < 0 ? -EMFILE : c->cwd ? 0 : -ENOMEM;
	if (r == 0)
		r = words_copy(c, as->alias, call->args);
	if (r == 0) {
		r = plug_run_parse(&c->run, c->order, c->word_count);
		if (r == 0 && as->verb->look && !plug_run_flag(&c->run, "help"))
			r = as->verb->look(&c->run);
		if (r < 0) {
			call_answer(c);
			call_free(c);
			return COWHERD_LATER;
		}
		r = call_start(c);
	}
	if (r < 0)
		call_free(c);
	return r < 0 ? r : COWHERD_LATER;
}

static void call_cancel(struct call *c)
{
	const uint64_t one = 1;

	atomic_store(&c->run.cancel.set, true);
	(void)!write(c->run.cancel.fd, &one, sizeof(one));
}

void plug_call_cancel(void *arg, cowherd_op op)
{
	(void)arg;
	for (struct call *c = calls; c; c = c->next)
		if (c->op == op)
			call_cancel(c);
}

void plug_calls_finish(void)
{
	while (calls) {
		struct call *c = calls;

		call_cancel(c);
		(void)pthread_join(c->thread, NULL);
		if (c->run.verb->end)
			c->run.verb->end(&c->run);
		call_free(c);
	}
}
