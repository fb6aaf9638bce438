/* SPDX-License-Identifier: MIT */
#ifndef NET_ROOTLESS_INTERNAL_H
#define NET_ROOTLESS_INTERNAL_H

#include "common/util.h"
#include "rootless/rootless.h"

/* Words of a command; the last is NULL. */
struct words {
	char *word[64];
	size_t count;
	int failed;
};
void words_add(struct words *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
void words_finish(struct words *w);
#define _cleanup_words_ __attribute__((cleanup(words_finish)))

/* The command of either: 0, -ENOMEM, or -E2BIG: too many ports. */
int rootless_pasta_words(const struct net_rootless *q, const char *path, struct words *w);
int rootless_slirp_words(const struct net_rootless *q, const char *path, int ready_fd, struct words *w);
/* Asks slirp4netns' API socket for each port. */
int rootless_slirp_ports(const struct net_rootless *q, struct plug_error *err);

/* DIR/NAME, with a process's number and start time.  -ESRCH: it does not live. */
int rootless_pid_write(const char *dir, const char *name, pid_t pid);
int rootless_pid_read(const char *dir, const char *name, pid_t *ret);
/* The same in an open directory; allocates nothing. */
int rootless_pid_at(int dir, const char *name, pid_t *ret);
/*
 * The rest of a holder's life, with the directory: while the process of its file "keeper" lives, nothing;
 * when it does not, and nobody but the program is in the namespaces any more, it ends the program and itself.
 * Nothing here allocates: it is the child of a process with many threads.
 */
__attribute__((noreturn)) void rootless_keep(int dir);
/* Ends it, waits for that, and removes the file. */
int rootless_end(const char *dir, const char *name, struct plug_error *err);

#endif
