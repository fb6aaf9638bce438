/* SPDX-License-Identifier: MIT */
/* The verbs.  Each returns the exit status of the program and has said on stderr what went wrong. */
#ifndef COW_CLI_COMMANDS_H
#define COW_CLI_COMMANDS_H

#include "cli/options.h"

/* Those that are a supervisor, in the program itself. */
int cow_cmd_up(const struct cow_args *args);
int cow_cmd_daemon(const struct cow_args *args);
int cow_cmd_check(const struct cow_args *args);

int cow_cmd_reload(const struct cow_args *args);
int cow_cmd_shutdown(const struct cow_args *args);
int cow_cmd_run(const struct cow_args *args);
int cow_cmd_create(const struct cow_args *args);
int cow_cmd_start(const struct cow_args *args);
int cow_cmd_stop(const struct cow_args *args);
int cow_cmd_restart(const struct cow_args *args);
int cow_cmd_kill(const struct cow_args *args);
int cow_cmd_pause(const struct cow_args *args);
int cow_cmd_resume(const struct cow_args *args);
int cow_cmd_wait(const struct cow_args *args);
int cow_cmd_rm(const struct cow_args *args);
int cow_cmd_release(const struct cow_args *args);
int cow_cmd_exec(const struct cow_args *args);
int cow_cmd_attach(const struct cow_args *args);
int cow_cmd_ps(const struct cow_args *args);
int cow_cmd_logs(const struct cow_args *args);
int cow_cmd_inspect(const struct cow_args *args);
int cow_cmd_events(const struct cow_args *args);
int cow_cmd_stats(const struct cow_args *args);
int cow_cmd_top(const struct cow_args *args);
int cow_cmd_plugins(const struct cow_args *args);
int cow_cmd_plugin(const struct cow_args *args);
int cow_cmd_explain(const struct cow_args *args);
int cow_cmd_completion(const struct cow_args *args);
int cow_cmd_version(const struct cow_args *args);
int cow_cmd_help(const struct cow_args *args);
/* A verb that the table does not have: a plugin's.  argc, argv: the words after it. */
int cow_cmd_plugin_verb(const struct cow_args *top, const char *verb, int argc, char **argv);
/* Their names, as a supervisor knows them, one a line: for completion. */
int cow_plugin_verbs(const struct cow_args *top);
int cow_verb_help(const struct cow_args *args, const char *host, const char *verb);

#endif
