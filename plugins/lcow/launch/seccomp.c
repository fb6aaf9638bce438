/* SPDX-License-Identifier: MIT */
/*
 * A profile's bytes made into a BPF program by libseccomp.  Its only way to give the program away
 * is into a file: the one system call of a compilation that is not an allocation.
 */
#include "filter.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define API_LEVEL 6 /* of libseccomp: all that kernel 5.10 has, whatever kernel compiles */
#define OPTIMIZE 2  /* a binary tree over the numbers instead of a list */
#define CACHE_ROWS 4

struct program {
	struct sock_filter *code;
	size_t n;
};

static struct {
	pthread_mutex_t lock;
	uint64_t clock;
	struct {
		struct seccomp_profile profile;
		struct program program;
		uint64_t used;
	} rows[CACHE_ROWS];
} cache = { .lock = PTHREAD_MUTEX_INITIALIZER };

struct build {
	scmp_filter_ctx ctx;
	const struct seccomp_head *head;
	const char *at; /* in the profile's bytes */
	uint32_t archs[SECCOMP_ARCHS_MAX + 1];
	int highest[SECCOMP_ARCHS_MAX + 1];
	size_t n_archs;
	const char *failed; /* the system call that could not be added */
};

static void build_take(struct build *b, void *to, size_t n)
{
	memcpy(to, b->at, n);
	b->at += n;
}

static int build_arch(struct build *b, uint32_t arch)
{
	int r = seccomp_arch_add(b->ctx, arch);

	if (r < 0 && r != -EEXIST)
		return r;
	for (size_t i = 0; i < b->n_archs; i++)
		if (b->archs[i] == arch)
			return 0;
	b->archs[b->n_archs] = arch;
	b->highest[b->n_archs++] = -1;
	return 0;
}

static int build_archs(struct build *b)
{
	int r = build_arch(b, seccomp_arch_native());

	for (uint32_t i = 0; i < b->head->n_archs && !r; i++)
		r = build_arch(b, b->head->archs[i]);
	return r;
}

static void build_highest(struct build *b, const char *name)
{
	for (size_t i = 0; i < b->n_archs; i++) {
		int nr = seccomp_syscall_resolve_name_arch(b->archs[i], name);

		if (nr > b->highest[i])
			b->highest[i] = nr;
	}
}

/* libseccomp takes one condition per argument: more on one are alternatives, as in runc. */
static bool args_repeat(const struct scmp_arg_cmp *args, unsigned int n)
{
	unsigned int seen = 0;

	for (unsigned int i = 0; i < n; i++) {
		if (seen & 1u << args[i].arg)
			return true;
		seen |= 1u << args[i].arg;
	}
	return false;
}

static int build_call(struct build *b, uint32_t action, const char *name,
		      const struct scmp_arg_cmp *args, unsigned int n)
{
	int nr = seccomp_syscall_resolve_name(name), r = 0;

	if (nr == __NR_SCMP_ERROR) /* newer than libseccomp, or another system's */
		return 0;
	build_highest(b, name);
	if (action == b->head->default_action)
		return 0;
	b->failed = name;
	if (!args_repeat(args, n))
		return seccomp_rule_add_array(b->ctx, action, nr, n, args);
	for (unsigned int i = 0; i < n && !r; i++)
		r = seccomp_rule_add_array(b->ctx, action, nr, 1, &args[i]);
	return r;
}

static int build_rule(struct build *b)
{
	struct scmp_arg_cmp args[SECCOMP_ARGS_MAX];
	struct seccomp_rule rule;
	struct seccomp_arg arg;
	int r = 0;

	build_take(b, &rule, sizeof(rule));
	for (uint32_t i = 0; i < rule.n_args; i++) {
		build_take(b, &arg, sizeof(arg));
		args[i] = (struct scmp_arg_cmp){ arg.index, (enum scmp_compare)arg.op, arg.value,
						 arg.value_two };
	}
	for (uint32_t i = 0; i < rule.n_names && !r; i++) {
		r = build_call(b, rule.action, b->at, args, rule.n_args);
		b->at += strlen(b->at) + 1;
	}
	return r;
}

static int build_fill(struct build *b)
{
	int r;

	b->ctx = seccomp_init(b->head->default_action);
	if (!b->ctx)
		return -ENOMEM;
	r = seccomp_attr_set(b->ctx, SCMP_FLTATR_CTL_OPTIMIZE, OPTIMIZE);
	if (!r)
		r = build_archs(b);
	for (uint32_t i = 0; i < b->head->rules && !r; i++)
		r = build_rule(b);
	if (!r)
		b->failed = NULL;
	return r;
}

/* Whether what the profile does not name is refused, so that ENOSYS is the better answer. */
static bool refuses(uint32_t action)
{
	switch (action & SECCOMP_RET_ACTION_FULL) {
	case SECCOMP_RET_ERRNO:
		return action != SCMP_ACT_ERRNO(ENOSYS);
	case SECCOMP_RET_KILL_PROCESS:
	case SECCOMP_RET_KILL_THREAD:
	case SECCOMP_RET_TRAP:
		return true;
	default:
		return false;
	}
}

static int build_read(struct build *b, int fd, struct program *ret)
{
	struct sock_filter unknown[SECCOMP_UNKNOWN_MAX];
	size_t before = 0, n;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (refuses(b->head->default_action))
		before = seccomp_unknown_write(b->archs, b->highest, b->n_archs, unknown);
	n = before + (size_t)st.st_size / sizeof(*ret->code);
	if (n > BPF_MAXINSNS)
		return -E2BIG;
	ret->code = calloc(n, sizeof(*ret->code));
	if (!ret->code)
		return -ENOMEM;
	memcpy(ret->code, unknown, before * sizeof(*unknown));
	if (pread(fd, ret->code + before, (size_t)st.st_size, 0) != st.st_size) {
		free(ret->code);
		ret->code = NULL;
		return -EIO;
	}
	ret->n = n;
	return 0;
}

static int build_export(struct build *b, struct program *ret)
{
	int fd = memfd_create("seccomp", MFD_CLOEXEC), r;

	if (fd < 0)
		return -errno;
	r = seccomp_export_bpf(b->ctx, fd);
	if (!r)
		r = build_read(b, fd, ret);
	(void)close(fd);
	return r;
}

static void api_level_set(void)
{
	(void)seccomp_api_set(API_LEVEL);
}

static int program_build(struct compile *c, const struct node *section,
			 const struct seccomp_profile *profile, struct program *ret)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct seccomp_head head;
	struct build b = { .head = &head, .at = profile->data };
	int r;

	(void)pthread_once(&once, api_level_set);
	build_take(&b, &head, sizeof(head));
	r = build_fill(&b);
	if (!r)
		r = build_export(&b, ret);
	seccomp_release(b.ctx);
	if (r == -E2BIG)
		compile_fail(c, section, NULL, r, "more than %d instructions", BPF_MAXINSNS);
	else if (r == -ENOMEM)
		compile_oom(c);
	else if (r && b.failed)
		compile_fail(c, section, NULL, -EINVAL, "system call %s: %s", b.failed,
			     strerror(-r));
	else if (r)
		compile_fail(c, section, NULL, r, "cannot be made into a filter: %s", strerror(-r));
	return r;
}

static const struct program *cache_find(const struct seccomp_profile *profile)
{
	for (size_t i = 0; i < CACHE_ROWS; i++) {
		const struct seccomp_profile *known = &cache.rows[i].profile;

		if (!known->data || known->len != profile->len ||
		    memcmp(known->data, profile->data, known->len) != 0)
			continue;
		cache.rows[i].used = ++cache.clock;
		return &cache.rows[i].program;
	}
	return NULL;
}

/* Takes both over, in place of what was not used for longest. */
static const struct program *cache_put(struct seccomp_profile *profile, struct program program)
{
	size_t oldest = 0;

	for (size_t i = 1; i < CACHE_ROWS; i++)
		if (cache.rows[i].used < cache.rows[oldest].used)
			oldest = i;
	free(cache.rows[oldest].profile.data);
	free(cache.rows[oldest].program.code);
	cache.rows[oldest].profile = *profile;
	cache.rows[oldest].program = program;
	cache.rows[oldest].used = ++cache.clock;
	profile->data = NULL;
	return &cache.rows[oldest].program;
}

/* Under the lock as a whole: of many equal containers that start together, one compiles. */
static void filter_get(struct compile *c, const struct node *section,
		       struct seccomp_profile *profile)
{
	const struct program *program;
	struct program made = { 0 };

	pthread_mutex_lock(&cache.lock);
	program = cache_find(profile);
	if (!program && !program_build(c, section, profile, &made))
		program = cache_put(profile, made);
	if (program)
		c->plan.seccomp.filter =
			build_copy(c, program->code, program->n, sizeof(*program->code));
	pthread_mutex_unlock(&cache.lock);
}

void compile_seccomp(struct compile *c, const struct node *os)
{
	struct seccomp_profile profile = { 0 };
	struct seccomp_head head;
	struct node section;

	if (!node_object(c, os, "seccomp", &section) || !json_object_object_length(section.value))
		return;
	seccomp_parse(c, &section, &profile);
	if (!c->code) {
		memcpy(&head, profile.data, sizeof(head));
		c->plan.seccomp.flags = head.flags;
		filter_get(c, &section, &profile);
	}
	free(profile.data);
}
