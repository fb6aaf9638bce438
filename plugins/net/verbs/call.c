/* SPDX-License-Identifier: MIT */
/* A call of a word: from the client's JSON to its answer, on a thread of its own in between. */
#include "base/util.h"
#include "plugin.h"
#include "verbs/words.h"

#include <json-c/json.h>
#include <poll.h>
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
	int out, err; /* the client's */
	uint64_t watch;
	char **words, **order;
	size_t word_count;
	struct net_run run;
};

static struct call *calls;
static size_t call_count;

/* 0: fd is ready; -ECANCELED. */
static int ready_wait(struct net_run *run, int fd, short events)
{
	struct pollfd p[2] = { { .fd = fd, .events = events }, { .fd = run->cancel, .events = POLLIN } };

	while (poll(p, 2, -1) < 0)
		if (errno != EINTR)
			return -errno;
	return p[1].revents ? -ECANCELED : 0;
}

int net_run_read(struct net_run *run, size_t max, char **ret, size_t *ret_size)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0, room = 0;
	ssize_t n = 1;

	if (run->in < 0)
		return -EBADF;
	while (n) {
		int r = ready_wait(run, run->in, POLLIN);

		if (r < 0)
			return r;
		if (size + 1 >= room) {
			char *grown;

			if (size > max)
				return -E2BIG;
			room = room ? 2 * room : 16384;
			grown = realloc(text, room);
			if (!grown)
				return -ENOMEM;
			text = grown;
		}
		n = read(run->in, text + size, room - size - 1);
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return -errno;
		if (n > 0)
			size += (size_t)n;
	}
	if (size > max)
		return -E2BIG;
	text[size] = 0;
	*ret = net_take_ptr(text);
	*ret_size = size;
	return 0;
}

/*
 * A write that cannot block, also where the client has a pipe and does not read; files are always ready.
 * What is printed goes there and not into the answer, which a client without a supervisor shows as JSON.
 */
static int text_write(struct net_run *run, int fd, const struct net_text *text)
{
	size_t done = 0;

	while (fd >= 0 && done < text->len) {
		size_t left = text->len - done;
		int r = ready_wait(run, fd, POLLOUT);
		ssize_t n;

		if (r < 0)
			return r;
		n = write(fd, text->data + done, left < 4096 ? left : 4096);
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return -errno;
		done += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static void *call_thread(void *arg)
{
	struct call *c = arg;
	struct net_run *run = &c->run;
	const uint64_t one = 1;
	sigset_t all;
	int r = 0;

	/* Signals are the loop's; that the client's pipe is closed is an error like others. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_BLOCK, &all, NULL);
	if (net_run_flag(run, "help"))
		net_help_text(run->verb, run->word, &run->out);
	else
		r = run->word->run(run);
	if (r == 0)
		r = run->out.failed ?: text_write(run, c->out, &run->out);
	/* What was tried on the way and did not matter. */
	if (r >= 0)
		run->error = (struct net_error){ 0 };
	else if (!run->error.code)
		(void)net_error_errno(&run->error, r, "%s %s", run->verb->name, run->word->name);
	(void)text_write(run, c->err, &run->notes);
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
		net_plugin.host->unwatch_fd(net_plugin.self, c->watch);
	for (size_t i = 0; i < c->word_count; i++)
		free(c->words[i]);
	/* Parsing moves pointers within the other ones. */
	free(c->words);
	free(c->order);
	net_text_finish(&c->run.out);
	net_text_finish(&c->run.notes);
	net_closep(&c->done);
	net_closep(&c->run.cancel);
	free(c);
}

static void call_answer(struct call *c)
{
	struct cowherd_answer answer = { .size = sizeof(answer),
					 .code = c->run.error.code,
					 .fd = -1,
					 .message = c->run.error.code ? c->run.error.text : NULL,
					 .exit_code = c->run.exit_code };

	(void)net_plugin.host->answer(net_plugin.self, c->op, &answer);
}

static void call_done(void *arg, int fd, uint32_t events)
{
	struct call *c = arg;

	(void)fd;
	(void)events;
	(void)pthread_join(c->thread, NULL);
	call_answer(c);
	call_free(c);
}

/* argv from the client's JSON. */
static int words_copy(struct call *c, const char *args)
{
	struct json_object *list = json_tokener_parse(args);
	size_t n = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
	int r = 0;

	c->words = calloc(n + 1, sizeof(char *));
	c->order = calloc(n + 1, sizeof(char *));
	if (!c->words || !c->order)
		r = -ENOMEM;
	for (size_t i = 0; r == 0 && i < n; i++) {
		const char *word = json_object_get_string(json_object_array_get_idx(list, i));

		c->words[c->word_count] = word ? strdup(word) : NULL;
		r = c->words[c->word_count] ? 0 : -ENOMEM;
		c->word_count += r == 0;
	}
	json_object_put(list);
	if (r == 0)
		memcpy(c->order, c->words, c->word_count * sizeof(char *));
	return r;
}

static int call_start(struct call *c)
{
	int r = net_plugin.host->watch_fd(net_plugin.self, c->done, COWHERD_FD_READ, call_done, c,
					  &c->watch);

	if (r < 0)
		return r;
	return -pthread_create(&c->thread, NULL, call_thread, c);
}

int net_call(void *arg, cowherd_op op, const struct cowherd_call *call)
{
	struct call *c = call_count < CALLS_MAX ? calloc(1, sizeof(*c)) : NULL;
	int r;

	if (!c)
		return call_count < CALLS_MAX ? -ENOMEM : -EAGAIN;
	c->op = op;
	c->out = call->out;
	c->err = call->err;
	c->done = eventfd(0, EFD_CLOEXEC);
	c->run = (struct net_run){ .verb = arg, .in = call->in, .cancel = eventfd(0, EFD_CLOEXEC) };
	c->next = calls;
	calls = c;
	call_count++;
	r = c->done < 0 || c->run.cancel < 0 ? -EMFILE : words_copy(c, call->args);
	if (r == 0) {
		r = net_run_parse(&c->run, c->order, c->word_count);
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

	(void)!write(c->run.cancel, &one, sizeof(one));
}

void net_call_cancel(void *arg, cowherd_op op)
{
	(void)arg;
	for (struct call *c = calls; c; c = c->next)
		if (c->op == op)
			call_cancel(c);
}

void net_calls_finish(void)
{
	while (calls) {
		struct call *c = calls;

		call_cancel(c);
		(void)pthread_join(c->thread, NULL);
		call_free(c);
	}
}
