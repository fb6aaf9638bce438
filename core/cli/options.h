/* SPDX-License-Identifier: MIT */
/*
 * The one table of verbs and options.  Parsing, help, manual pages and completion are made from it.
 * Pure data and pure functions: what a verb does stands in cowherd.c's row of handlers.
 */
#ifndef COW_CLI_OPTIONS_H
#define COW_CLI_OPTIONS_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cow_option_type {
	COW_OPTION_FLAG,     /* --x; also --x=true, --x=false */
	COW_OPTION_STRING,   /* the last one counts */
	COW_OPTION_LIST,     /* each one counts */
	COW_OPTION_INT,      /* a decimal number; the last one counts */
	COW_OPTION_DURATION, /* "90", "1m30s", "200ms": a plain number is seconds */
	COW_OPTION_SIZE,     /* "512", "64m", "1.5g": bytes, powers of 1024 */
	COW_OPTION_DECIMAL,  /* "1.5", not negative */
};

struct cow_option {
	const char *name; /* without "--"; NULL ends a list */
	char letter;      /* 0: none */
	enum cow_option_type type;
	const char *argument; /* what the value is called in help; NULL for a flag */
	const char *help;     /* NULL: works, but is not shown */
};

enum cow_command_id {
	COW_COMMAND_UP,
	COW_COMMAND_DAEMON,
	COW_COMMAND_CHECK,
	COW_COMMAND_RELOAD,
	COW_COMMAND_SHUTDOWN,
	COW_COMMAND_RUN,
	COW_COMMAND_CREATE,
	COW_COMMAND_START,
	COW_COMMAND_STOP,
	COW_COMMAND_RESTART,
	COW_COMMAND_KILL,
	COW_COMMAND_PAUSE,
	COW_COMMAND_RESUME,
	COW_COMMAND_WAIT,
	COW_COMMAND_RM,
	COW_COMMAND_RELEASE,
	COW_COMMAND_EXEC,
	COW_COMMAND_ATTACH,
	COW_COMMAND_PS,
	COW_COMMAND_LOGS,
	COW_COMMAND_INSPECT,
	COW_COMMAND_EVENTS,
	COW_COMMAND_STATS,
	COW_COMMAND_TOP,
	COW_COMMAND_PLUGINS,
	COW_COMMAND_PLUGIN,
	COW_COMMAND_EXPLAIN,
	COW_COMMAND_COMPLETION,
	COW_COMMAND_VERSION,
	COW_COMMAND_HELP,
	COW_COMMAND_COUNT,
};

/* What the words after the options are, for completion. */
enum cow_complete {
	COW_COMPLETE_NOTHING,
	COW_COMPLETE_CONTAINER,
	COW_COMPLETE_FILE,
	COW_COMPLETE_VERB,
};

struct cow_command {
	const char *name;
	const char *alias;   /* another name, or NULL */
	const char *usage;   /* the words after the options */
	const char *summary; /* one line, no full stop */
	const char *details; /* paragraphs parted by empty lines, or NULL */
	const struct cow_option *options;
	int min, max; /* number of words; max -1: any */
	bool rest;    /* options end at the first word: what follows belongs to someone else */
	int failure;  /* exit status when cowherd itself fails */
	enum cow_complete complete;
};

/* Indexed by enum cow_command_id. */
extern const struct cow_command cow_commands[COW_COMMAND_COUNT];
/* What stands before the verb, and (`host`, `help`) after every verb too. */
extern const struct cow_command cow_command_top;
extern const struct cow_option cow_options_common[];

/* By name or alias; COW_COMMAND_COUNT: none. */
enum cow_command_id cow_command_find(const char *name);

/* A parsed command line.  Borrows argv and the table. */
struct cow_args {
	const struct cow_command *command;
	const struct cow_args *parent; /* what stood before the verb; NULL: nothing */
	int argc;                      /* the words */
	char **argv;
	/* private */
	struct cow_args_value {
		const struct cow_option *option;
		const char *value;
	} *values;
	size_t count;
};

/* argv: what follows the verb; its words are put in order.  -EINVAL: err says what is wrong with it. */
int cow_args_parse(const struct cow_command *command, const struct cow_args *parent, int argc, char **argv,
		   struct cow_args *ret, struct cow_error *err);
void cow_args_finish(struct cow_args *args); /* zeroed is fine */

/* By the option's long name, which must be in the table.  All values were checked by the parser. */
bool cow_args_has(const struct cow_args *args, const char *name);
bool cow_args_flag(const struct cow_args *args, const char *name, bool absent);
const char *cow_args_string(const struct cow_args *args, const char *name); /* NULL: absent */
/* Number, milliseconds or bytes, as the type has it. */
int64_t cow_args_int(const struct cow_args *args, const char *name, int64_t absent);
double cow_args_decimal(const struct cow_args *args, const char *name, double absent);
/* Value number i of a list; NULL beyond its end. */
const char *cow_args_nth(const struct cow_args *args, const char *name, size_t i);

#endif
