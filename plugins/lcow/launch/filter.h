/* SPDX-License-Identifier: MIT */
/*
 * System call filters.  A profile is first written down as one canonical sequence of bytes
 * (seccomp_parse.c), and only that is made into a BPF program (seccomp.c), by libseccomp; which
 * costs milliseconds, so that programs are kept by those bytes.
 */
#ifndef LAUNCH_FILTER_H
#define LAUNCH_FILTER_H

#include "compile.h"

#include <linux/filter.h>

#define SECCOMP_ARCHS_MAX 24u
#define SECCOMP_ARGS_MAX 64u

struct seccomp_profile {
	char *data; /* records below; owned */
	size_t len, room;
};

/* The bytes: a head, then `rules` times a rule, its args, its names (each with its NUL). */
struct seccomp_head {
	uint32_t default_action; /* as libseccomp has it, errno included */
	uint32_t flags;          /* SECCOMP_FILTER_FLAG_... */
	uint32_t archs[SECCOMP_ARCHS_MAX]; /* SCMP_ARCH_..., beside the native one */
	uint32_t n_archs, rules;
};

struct seccomp_rule {
	uint32_t action, n_args, n_names, reserved;
};

struct seccomp_arg {
	uint32_t index, op; /* enum scmp_compare */
	uint64_t value, value_two;
};

/* The section /linux/seccomp as a profile, to be freed with free(ret->data). */
void seccomp_parse(struct compile *c, const struct node *section, struct seccomp_profile *ret);

/*
 * A program that answers ENOSYS to system calls above highest[i] of archs[i] and falls through
 * otherwise, to go before the filter.  highest -1: says nothing about that architecture.
 */
#define SECCOMP_UNKNOWN_MAX 256u
size_t seccomp_unknown_write(const uint32_t *archs, const int *highest, size_t n,
			     struct sock_filter ret[SECCOMP_UNKNOWN_MAX]);

#endif
