/* SPDX-License-Identifier: MIT */
#include "cli/each.h"
#include "base/cleanup.h"
#include "base/ids.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>

struct asked {
	uint64_t id;
	bool answered;
	struct cow_message answer;
};

static int ask(struct cow_client *c, const struct cow_each *e, const char *container,
	       struct asked *ret, struct cow_error *err)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf b = COW_STRBUF_INIT;

	cow_strbuf_add(&b, "{");
	cow_params_string(&b, "container", container);
	if (e->params)
		cow_strbuf_add(&b, e->params);
	cow_strbuf_add(&b, "}");
	if (b.error)
		return cow_error_errno(err, b.error, "%s", e->method);
	return cow_client_send(c, e->method, b.data, NULL, 0, &ret->id, err);
}

/* One more message, or -ETIMEDOUT. */
static int receive(struct cow_client *c, uint64_t until_ms, struct cow_message *ret,
		   struct cow_error *err)
{
	for (;;) {
		struct pollfd p = { .fd = cow_client_fd(c), .events = POLLIN };
		uint64_t now = cow_monotonic_ms();
		int r = cow_client_receive(c, !until_ms, ret, err);

		if (r)
			return r;
		if (now >= until_ms)
			return cow_error_set(err, -ETIMEDOUT, "gave up waiting");
		(void)poll(&p, 1, (int)(until_ms - now < 1000000 ? until_ms - now : 1000000));
	}
}

static void tell(const struct cow_args *args, const struct cow_each *e, const char *container,
		 struct asked *a, int *status)
{
	int code = a->answer.error.code;

	if (code && code != e->ignore)
		*status = cow_fail(args, &a->answer.error);
	else if (!code && e->on_result)
		e->on_result(e->arg, container, a->answer.value);
}

/* Answers come in any order and are told in the order of the command line. */
static int collect(const struct cow_args *args, struct cow_client *c, const struct cow_each *e,
		   struct asked *asked, int *status, struct cow_error *err)
{
	uint64_t until = e->deadline_ms ? cow_monotonic_ms() + (uint64_t)e->deadline_ms : 0;
	int told = 0, r = 0;

	while (told < args->argc) {
		struct cow_message m = COW_MESSAGE_INIT;

		if (asked[told].answered) {
			tell(args, e, args->argv[told], &asked[told], status);
			told++;
			continue;
		}
		r = receive(c, until, &m, err);
		if (r < 0)
			return r;
		for (int i = told; i < args->argc; i++)
			if (!m.is_event && asked[i].id == m.id && !asked[i].answered) {
				asked[i].answered = true;
				asked[i].answer = m;
				m = (struct cow_message)COW_MESSAGE_INIT;
			}
		cow_message_finish(&m);
	}
	return 0;
}

int cow_each_run(const struct cow_args *args, struct cow_client *c, const struct cow_each *e)
{
	_cleanup_free_ struct asked *asked = calloc((size_t)args->argc + 1, sizeof(*asked));
	struct cow_error err = { 0 };
	int status = 0, r = asked ? 0 : cow_error_errno(&err, -ENOMEM, "%s", e->method);

	for (int i = 0; !r && i < args->argc; i++) {
		asked[i].answer = (struct cow_message)COW_MESSAGE_INIT;
		r = ask(c, e, args->argv[i], &asked[i], &err);
	}
	r = r ?: collect(args, c, e, asked, &status, &err);
	for (int i = 0; asked && i < args->argc; i++)
		if (asked[i].answered)
			cow_message_finish(&asked[i].answer);
	(void)fflush(stdout);
	return r ? cow_fail(args, &err) : status;
}

static void print_name(void *arg, const char *container, struct json_object *result)
{
	(void)arg;
	(void)result;
	(void)printf("%s\n", container);
}

int cow_each_container(const struct cow_args *args, const char *method, const char *params,
		       bool print)
{
	struct cow_each each = { .method = method,
				 .params = params,
				 .on_result = print ? print_name : NULL };
	struct cow_client *c = cow_client_open(args);
	int status;

	if (!c)
		return args->command->failure;
	status = cow_each_run(args, c, &each);
	cow_client_close(c);
	return status;
}
