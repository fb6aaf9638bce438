/* SPDX-License-Identifier: MIT */
/*
 * Verbs that have words, `cowherd image load`, `cowherd network create`: their options, their help, and a
 * call of one of them, which runs on a thread of its own, since it may read from a pipe that is silent for
 * hours.
 */
#ifndef PLUG_WORDS_H
#define PLUG_WORDS_H

#include "common/cancel.h"
#include "common/error.h"
#include "common/text.h"

#include <cowherd/plugin.h>
#include <stdbool.h>
#include <stddef.h>

#define PLUG_VALUES_MAX 256 /* 128 layers, and more */

struct plug_option {
	const char *name; /* without "--"; NULL ends a list */
	char letter;      /* 0: none */
	const char *argument; /* NULL: a flag */
	const char *help;     /* NULL: works, but is not shown */
};

struct plug_run;

struct plug_word {
	const char *name;
	const char *usage; /* the words behind the options */
	const char *help;  /* one line */
	const char *details; /* more lines, or NULL */
	const struct plug_option *options;
	size_t min, max; /* words */
	int (*run)(struct plug_run *run);
};

/* A verb that has words. */
struct plug_verb {
	const char *name;
	const struct plug_word *words;  /* the last one has no name */
	const char *const (*others)[2]; /* what people also say, and what it is called; NULL ends */
	int (*begin)(struct plug_run *run); /* before each word's run, on its thread; may be NULL */
	/* Before that, on the loop: what only the host can tell; its error is the answer.  May be NULL. */
	int (*look)(struct plug_run *run);
	void (*end)(struct plug_run *run); /* after it, on the loop, before the answer; may be NULL */
};

/* One call.  Strings live as long as it does. */
struct plug_run {
	const struct plug_verb *verb;
	const struct plug_word *word;
	const char *cwd;
	int in, out, err; /* the client's; -1: it has none */
	struct plug_cancel cancel; /* the client has gone */
	char **words; /* those that are no options */
	size_t word_count;
	struct {
		const struct plug_option *option;
		const char *value;
	} values[PLUG_VALUES_MAX];
	size_t value_count;
	struct plug_text text;  /* what is printed in the end, where there is no error */
	struct plug_text notes; /* what is printed on standard error behind it, in any case */
	struct plug_error error;
	int exit_code; /* with error.code 0, too; 0: as usual */
	void *data;    /* the verb's own */
};

/* words: what follows the verb.  -EINVAL with a reason and exit code 125. */
int plug_run_parse(struct plug_run *run, char **words, size_t count);
/* The last value of an option, or NULL. */
const char *plug_run_value(const struct plug_run *run, const char *name);
/* The n-th value of an option that may be given several times, or NULL. */
const char *plug_run_nth(const struct plug_run *run, const char *name, size_t n);
bool plug_run_flag(const struct plug_run *run, const char *name);
/* An absolute path of what the client says, to be freed; NULL: out of memory. */
char *plug_run_path(const struct plug_run *run, const char *path);
/* All of standard input, to be freed; -ECANCELED, -E2BIG beyond max. */
int plug_run_read(struct plug_run *run, size_t max, char **ret, size_t *ret_size);
/*
 * To the client's standard output (or error) at once, waiting as long as it takes; -ECANCELED, -EPIPE.
 */
int plug_run_write(struct plug_run *run, int fd, const void *data, size_t size);
int plug_run_print(struct plug_run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Help for the verb (word NULL) or one of its words. */
void plug_help_text(const struct plug_verb *verb, const struct plug_word *word, struct plug_text *out);

/*
 * A cowherd_verb whose call is plug_call(), cancel plug_call_cancel(), and argument one of these, which
 * lives as long as the plugin.  Loop thread.
 */
struct plug_call_as {
	const struct plug_verb *verb;
	const char *alias; /* a word that is put before the client's; may be NULL */
};
void plug_calls_use(const struct cowherd_host *host, struct cowherd_self *self); /* first of all */
int plug_call(void *arg, cowherd_op op, const struct cowherd_call *call);
void plug_call_cancel(void *arg, cowherd_op op);
/* Cancels and waits for all calls: at the plugin's end. */
void plug_calls_finish(void);

#endif
