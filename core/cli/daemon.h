/* SPDX-License-Identifier: MIT */
#ifndef COW_CLI_DAEMON_H
#define COW_CLI_DAEMON_H

#include "cli/options.h"
#include "cli/supervise.h"

/* What both `daemon` and `up` take from the command line. */
void cow_daemon_options(const struct cow_args *args, struct cow_supervise_options *ret);
/*
 * Start a supervisor in the background; returns the exit status once it answers, or has said why
 * not.
 */
int cow_daemon_detach(const struct cow_args *args, const struct cow_supervise_options *options);
/* "cowherd: LINE" on stderr for each line of why. */
void cow_daemon_complain(const char *why);

#endif
