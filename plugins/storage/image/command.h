/* SPDX-License-Identifier: MIT */
/*
 * The words of a verb, `cowherd image`, `cowherd layer`: each has options, a line of help, and a function
 * that runs on a thread of its own, since it may read from a pipe that is silent for hours.
 */
#ifndef ST_IMAGE_COMMAND_H
#define ST_IMAGE_COMMAND_H

#include "image/load.h"

#include <cowherd/plugin.h>

#define ST_VALUES_MAX 160 /* 128 layers, and more */

struct st_option {
	const char *name; /* without "--"; NULL ends a list */
	char letter;      /* 0: none */
	const char *argument; /* NULL: a flag */
	const char *help;     /* NULL: works, but is not shown */
};

struct st_command;

/* A verb that has words. */
struct st_words {
	const char *verb;
	const struct st_command *commands; /* the last one has no name */
	const char *const (*others)[2];    /* what people also say, and what it is called; NULL ends */
	bool store;                        /* the images' store is opened first */
};

/* One call.  Strings live as long as it does. */
struct st_run {
	const struct st_words *verb;
	const struct st_command *command;
	const char *cwd;
	int in, out, err;
	struct st_cancel cancel;
	char **words; /* those that are no options, NULL-terminated */
	size_t word_count;
	struct {
		const struct st_option *option;
		const char *value;
	} values[ST_VALUES_MAX];
	size_t value_count;
	struct st_store *store;
	struct st_error error;
	int exit_code; /* with error.code 0, too; 0: as usual */
};

struct st_command {
	const char *name;
	const char *usage; /* the words behind the options */
	const char *help;  /* one line */
	const char *details; /* more lines, or NULL */
	const struct st_option *options;
	size_t min, max; /* words */
	int (*run)(struct st_run *run);
};

extern const struct st_words st_image_words;

/* The last value of an option, or NULL. */
const char *st_run_value(const struct st_run *run, const char *name);
/* The n-th value of an option that may be given several times, or NULL. */
const char *st_run_nth(const struct st_run *run, const char *name, size_t n);
bool st_run_flag(const struct st_run *run, const char *name);
/* words: what follows run->verb.  -EINVAL with a reason and exit code 125. */
int st_run_parse(struct st_run *run, char **words, size_t count);
/* To the client's standard output (or error), waiting as long as it takes; -ECANCELED, -EPIPE. */
int st_run_write(struct st_run *run, int fd, const void *data, size_t size);
int st_run_print(struct st_run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* An absolute path of what the client says, to be freed; NULL: out of memory. */
char *st_run_path(const struct st_run *run, const char *path);

int st_command_load(struct st_run *run);
int st_command_ls(struct st_run *run);
int st_command_inspect(struct st_run *run);
int st_command_rm(struct st_run *run);
int st_command_tag(struct st_run *run);
int st_command_gc(struct st_run *run);
int st_command_export(struct st_run *run);

/* Help for the verb (command NULL) or one of its words, to be freed. */
char *st_help_text(const struct st_words *verb, const struct st_command *command);

/*
 * A verb whose call is st_verb_call() with a struct st_verb_arg * that lives as long as the plugin.
 * Loop thread.
 */
struct st_verb_arg {
	const struct st_words *words;
	const char *alias; /* a word that is put before the client's; may be NULL */
};
int st_verb_call(void *arg, cowherd_op op, const struct cowherd_call *call);
void st_verb_cancel(void *arg, cowherd_op op);

#endif
