/* SPDX-License-Identifier: MIT */
/*
 * Verbs that have words, `cowherd network create …`: their options, their help, and a call of one of them,
 * which runs on a thread of its own, since it may read from a pipe that is silent for hours.
 */
#ifndef NET_VERBS_WORDS_H
#define NET_VERBS_WORDS_H

#include "base/error.h"
#include "base/text.h"

#include <cowherd/plugin.h>
#include <stdbool.h>
#include <stddef.h>

#define NET_VALUES_MAX 256

struct net_option {
	const char *name; /* without "--"; NULL ends a list */
	char letter;      /* 0: none */
	const char *argument; /* NULL: a flag */
	const char *help;
};

struct net_run;

struct net_word {
	const char *name;
	const char *usage; /* the words behind the options */
	const char *help;  /* one line */
	const char *details; /* more lines, or NULL */
	const struct net_option *options;
	size_t min, max; /* words */
	int (*run)(struct net_run *run);
};

/* A verb that has words. */
struct net_verb {
	const char *name;
	const struct net_word *words; /* the last one has no name */
	const char *const (*others)[2]; /* what people also say, and what it is called; NULL ends */
};

/* One call.  Strings live as long as it does. */
struct net_run {
	const struct net_verb *verb;
	const struct net_word *word;
	int in;
	int cancel; /* an eventfd: the client has gone */
	char **words; /* those that are no options */
	size_t word_count;
	struct {
		const struct net_option *option;
		const char *value;
	} values[NET_VALUES_MAX];
	size_t value_count;
	struct net_text out;   /* what is printed, where there is no error */
	struct net_text notes; /* what is printed on standard error before the end, in any case */
	struct net_error error;
	int exit_code; /* with error.code 0, too; 0: as usual */
};

/* words: what follows the verb.  -EINVAL with a reason and exit code 125. */
int net_run_parse(struct net_run *run, char **words, size_t count);
/* The last value of an option, or NULL. */
const char *net_run_value(const struct net_run *run, const char *name);
/* The n-th value of an option that may be given several times, or NULL. */
const char *net_run_nth(const struct net_run *run, const char *name, size_t n);
bool net_run_flag(const struct net_run *run, const char *name);
/* All of standard input, to be freed; -ECANCELED, -E2BIG beyond max. */
int net_run_read(struct net_run *run, size_t max, char **ret, size_t *ret_size);

/* Help for the verb (word NULL) or one of its words. */
void net_help_text(const struct net_verb *verb, const struct net_word *word, struct net_text *out);

/*
 * A verb whose call is net_call() with a struct net_verb * that lives as long as the plugin.  Loop thread.
 */
int net_call(void *arg, cowherd_op op, const struct cowherd_call *call);
void net_call_cancel(void *arg, cowherd_op op);
/* Cancels and waits for all calls: at the plugin's end. */
void net_calls_finish(void);

#endif
