/* SPDX-License-Identifier: MIT */
/* Verbs with words, each call on a thread of its own; `image`, and short ones that people know. */
#include "image/command.h"
#include "image/internal.h"
#include "plugin.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

#define CALLS_MAX 16

struct call {
	struct call *next;
	cowherd_op op;
	pthread_t thread;
	int done; /* an eventfd: the thread is about to end */
	uint64_t watch;
	char **words, *cwd;
	size_t word_count;
	struct st_run run;
};

static struct call *calls;
static size_t call_count;

/* A write that cannot block, also where the client has a pipe and does not read. */
static int piece_write(struct st_run *run, int fd, const char **data, size_t *size, bool file)
{
	ssize_t n;
	int r = file ? 0 : st_cancel_wait(&run->cancel, fd, POLLOUT);

	if (r < 0)
		return r;
	n = write(fd, *data, file || *size < 4096 ? *size : 4096);
	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : -errno;
	*data += n;
	*size -= (size_t)n;
	return 0;
}

int st_run_write(struct st_run *run, int fd, const void *data, size_t size)
{
	const char *p = data;
	struct stat st;
	bool file;
	int r = 0;

	if (fd < 0)
		return 0;
	file = !fstat(fd, &st) && S_ISREG(st.st_mode);
	while (r == 0 && size)
		r = piece_write(run, fd, &p, &size, file);
	return r;
}

int st_run_print(struct st_run *run, const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list args;
	int n;

	va_start(args, format);
	n = vasprintf(&text, format, args);
	va_end(args);
	if (n < 0) {
		text = NULL;
		return -ENOMEM;
	}
	return st_run_write(run, run->out, text, (size_t)n);
}

char *st_run_path(const struct st_run *run, const char *path)
{
	char *absolute;

	if (*path == '/')
		return strdup(path);
	return asprintf(&absolute, "%s/%s", run->cwd, path) < 0 ? NULL : absolute;
}

static int run_command(struct st_run *run)
{
	_cleanup_free_ char *help = NULL;
	int r;

	if (st_run_flag(run, "help")) {
		help = st_help_text(run->verb, run->command);
		return help ? st_run_print(run, "%s", help) : -ENOMEM;
	}
	r = run->verb->store ? st_plugin_store(&run->store, &run->error) : 0;
	return r < 0 ? r : run->command->run(run);
}

static void *call_thread(void *arg)
{
	struct call *c = arg;
	const uint64_t one = 1;
	sigset_t all;
	int r;

	/* Signals are the loop's; that the client's pipe is closed is an error like others. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_BLOCK, &all, NULL);
	r = run_command(&c->run);
	if (r < 0 && !c->run.error.code)
		(void)st_error_errno(&c->run.error, r, "%s %s", c->run.verb->verb,
				     c->run.command->name);
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
		st_plugin.host->unwatch_fd(st_plugin.self, c->watch);
	for (size_t i = 0; i < c->word_count; i++)
		free(c->words[i]);
	/* Parsing moves pointers within the other ones. */
	free(c->words);
	free(c->run.words);
	free(c->cwd);
	st_closep(&c->done);
	st_closep(&c->run.cancel.fd);
	free(c);
}

static int call_answer(struct call *c)
{
	struct cowherd_answer answer = { .size = sizeof(answer),
					 .code = c->run.error.code,
					 .fd = -1,
					 .message = c->run.error.code ? c->run.error.text : NULL,
					 .exit_code = c->run.exit_code };

	return st_plugin.host->answer(st_plugin.self, c->op, &answer);
}

static void call_done(void *arg, int fd, uint32_t events)
{
	struct call *c = arg;

	(void)fd;
	(void)events;
	(void)pthread_join(c->thread, NULL);
	(void)call_answer(c);
	call_free(c);
}

/* argv from the client's JSON, with the words that an alias stands for before it. */
static int words_copy(struct call *c, const char *alias, const char *args)
{
	struct json_object *list = json_tokener_parse(args);
	size_t n = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
	int r = 0;

	c->words = calloc(n + 2, sizeof(char *));
	c->run.words = calloc(n + 2, sizeof(char *));
	if (!c->words || !c->run.words)
		r = -ENOMEM;
	if (r == 0 && alias) {
		c->words[0] = strdup(alias);
		r = c->words[0] ? 0 : -ENOMEM;
		c->word_count = r == 0;
	}
	for (size_t i = 0; r == 0 && i < n; i++) {
		const char *word = json_object_get_string(json_object_array_get_idx(list, i));

		c->words[c->word_count] = word ? strdup(word) : NULL;
		r = c->words[c->word_count] ? 0 : -ENOMEM;
		c->word_count += r == 0;
	}
	json_object_put(list);
	if (r == 0)
		memcpy(c->run.words, c->words, c->word_count * sizeof(char *));
	return r;
}

static int call_start(struct call *c)
{
	int r = st_plugin.host->watch_fd(st_plugin.self, c->done, COWHERD_FD_READ, call_done, c,
					 &c->watch);

	if (r < 0)
		return r;
	return -pthread_create(&c->thread, NULL, call_thread, c);
}

int st_verb_call(void *arg, cowherd_op op, const struct cowherd_call *call)
{
	const struct st_verb_arg *verb = arg;
	struct call *c = call_count < CALLS_MAX ? calloc(1, sizeof(*c)) : NULL;
	int r;

	if (!c)
		return call_count < CALLS_MAX ? -ENOMEM : -EAGAIN;
	c->op = op;
	c->done = eventfd(0, EFD_CLOEXEC);
	c->cwd = strdup(call->cwd ? call->cwd : "/");
	c->run = (struct st_run){ .verb = verb->words, .in = call->in, .out = call->out,
				  .err = call->err, .cwd = c->cwd };
	c->run.cancel.fd = eventfd(0, EFD_CLOEXEC);
	c->next = calls;
	calls = c;
	call_count++;
	r = c->done < 0 || c->run.cancel.fd < 0 ? -EMFILE : c->cwd ? 0 : -ENOMEM;
	if (r == 0)
		r = words_copy(c, verb->alias, call->args);
	if (r == 0) {
		r = st_run_parse(&c->run, c->run.words, c->word_count);
		if (r < 0) {
			(void)call_answer(c);
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

void st_verb_cancel(void *arg, cowherd_op op)
{
	(void)arg;
	for (struct call *c = calls; c; c = c->next)
		if (c->op == op)
			call_cancel(c);
}

void st_image_finish(void)
{
	while (calls) {
		struct call *c = calls;

		call_cancel(c);
		(void)pthread_join(c->thread, NULL);
		call_free(c);
	}
}

static struct cowherd_verb image_verb = {
	.size = sizeof(image_verb),
	.name = "image",
	.usage = "image load|ls|inspect|tag|rm|gc|export [OPTIONS] [WORDS]",
	.help = "Load, list, show, remove and export images.",
	.call = st_verb_call,
	.cancel = st_verb_cancel,
};

static struct cowherd_verb aliases[] = {
	{ .name = "images", .usage = "images [OPTIONS] [NAME[:TAG]]",
	  .help = "List images (image ls)." },
	{ .name = "load", .usage = "load [OPTIONS] [FILE|DIRECTORY]",
	  .help = "Load images (image load)." },
	{ .name = "save", .usage = "save [OPTIONS] IMAGE...",
	  .help = "Write images as an archive (image export)." },
	{ .name = "rmi", .usage = "rmi [OPTIONS] IMAGE...", .help = "Remove images (image rm)." },
};
static struct st_verb_arg alias_args[] = {
	{ &st_image_words, "ls" },
	{ &st_image_words, "load" },
	{ &st_image_words, "export" },
	{ &st_image_words, "rm" },
};
_Static_assert(ST_ELEMENTS(aliases) == ST_ELEMENTS(alias_args), "an alias without its word");

int st_image_register(void)
{
	static struct st_verb_arg image_arg = { &st_image_words, NULL };
	const struct cowherd_host *host = st_plugin.host;
	int r;

	/* The host keeps the file mapped, and with it the text. */
	if (!image_verb.details)
		image_verb.details = st_help_text(&st_image_words, NULL);
	r = host->register_verb(st_plugin.self, &image_verb, &image_arg);
	for (size_t i = 0; r == 0 && i < ST_ELEMENTS(aliases); i++) {
		aliases[i].size = sizeof(aliases[i]);
		aliases[i].call = st_verb_call;
		aliases[i].cancel = st_verb_cancel;
		r = host->register_verb(st_plugin.self, &aliases[i], &alias_args[i]);
	}
	return r;
}
