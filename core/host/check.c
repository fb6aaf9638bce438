/* SPDX-License-Identifier: MIT */
/*
 * `cowherd plugin check`: a plugin's manners, tried out.  Every allocator meets every sample spec and
 * every point at which things can go wrong; every case is its own process, so that a crash is a line
 * in the report.
 */
#include "base/cleanup.h"
#include "host/check.h"
#include "host/internal.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* A case that takes longer does not come back to the loop. */
#define CASE_SECONDS 20u
/* Turns of the loop at which to interrupt; an acquire that takes more is interrupted at these. */
#define TURNS_MAX 16u

struct sweep {
	struct check_case c;
	struct check_samples samples;
	uint32_t cases, lines, failed;
};

static void line(struct sweep *s, bool pass, const char *what, const char *why)
{
	s->lines++;
	s->failed += !pass;
	(void)printf("%s %s%s%s\n", pass ? "PASS" : "FAIL", what, why && why[0] ? ": " : "",
		     why ? why : "");
	(void)fflush(stdout);
}

/* Why a child failed, into shared->why; a death that was meant to be is none. */
static void child_judge(struct check_shared *shared, int status)
{
	int signo = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

	if (shared->why[0] || (WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
	    (signo == SIGKILL && shared->killed))
		return;
	if (signo == SIGALRM)
		(void)snprintf(shared->why, sizeof(shared->why), "it does not come back in %u s",
			       CASE_SECONDS);
	else if (signo)
		(void)snprintf(shared->why, sizeof(shared->why), "it crashes with SIG%s",
			       sigabbrev_np(signo));
	else
		(void)snprintf(shared->why, sizeof(shared->why), "it ends the process with status %d",
			       WEXITSTATUS(status));
}

/* Whatever the program does about signals: here a crash ends the process, and is seen to. */
static void child_signals(void)
{
	for (int signo = 1; signo < SIGSYS; signo++)
		(void)signal(signo, SIG_DFL);
	(void)alarm(CASE_SECONDS);
}

static void child_run(const struct check_case *c, void (*body)(const struct check_case *c))
{
	pid_t pid;
	int status;

	(void)fflush(NULL);
	pid = fork();
	if (pid == 0) {
		child_signals();
		body(c);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		(void)snprintf(c->shared->why, sizeof(c->shared->why), "cannot start a process: %s",
			       cow_errno_text(-errno));
	else
		child_judge(c->shared, status);
}

/* One case; false: it failed, shared->why says why. */
static bool case_run(struct sweep *s, enum check_kind kind, uint32_t at)
{
	struct check_shared *shared = s->c.shared;
	struct check_scratch scratch = { 0 };

	shared->why[0] = '\0';
	shared->record_count = shared->points = shared->turns = 0;
	shared->killed = false;
	if (check_scratch_make(&scratch) < 0) {
		(void)snprintf(shared->why, sizeof(shared->why), "cannot make a scratch directory");
		return false;
	}
	s->c.root = scratch.root;
	s->c.kind = kind;
	s->c.at = at;
	child_run(&s->c, check_acquire);
	if (!shared->why[0] && shared->record_count)
		child_run(&s->c, check_release);
	check_scratch_finish(&scratch, shared->why, sizeof(shared->why));
	s->cases++;
	return !shared->why[0];
}

static const struct {
	enum check_kind kind;
	const char *what, *at;
} kinds[] = {
	{ CHECK_PLAIN, "acquires and releases, as often as asked", NULL },
	{ CHECK_NEW_PROCESS, "releases by record alone, in a new process", NULL },
	{ CHECK_FAIL_AT, "bears the failure of each host call", "host call" },
	{ CHECK_KILL_BEFORE, "is killed before each host call", "host call" },
	{ CHECK_KILL_AFTER, "is killed after each host call", "host call" },
	{ CHECK_CANCEL_AT, "is cancelled at each turn of the loop", "turn" },
	{ CHECK_ABANDON_AT, "is given up at each turn of the loop", "turn" },
};

/* Every point of one kind for one spec; false: failed, shared->why says why and where. */
static bool spec_run(struct sweep *s, size_t k, uint32_t sample, uint32_t points, uint32_t turns)
{
	struct check_shared *shared = s->c.shared;
	bool by_turn = kinds[k].kind == CHECK_CANCEL_AT || kinds[k].kind == CHECK_ABANDON_AT;
	uint32_t first = by_turn ? 0 : 1, last = by_turn ? turns : points;
	char why[sizeof(shared->why)];

	if (!kinds[k].at)
		first = last = 0;
	if (last > TURNS_MAX && by_turn)
		last = TURNS_MAX;
	s->c.spec = s->samples.specs[sample];
	for (uint32_t at = first; at <= last; at++) {
		if (case_run(s, kinds[k].kind, at))
			continue;
		(void)memcpy(why, shared->why, sizeof(why));
		if (kinds[k].at)
			(void)snprintf(shared->why, sizeof(shared->why), "spec %u, %s %u: %.400s",
				       sample + 1, kinds[k].at, at, why);
		else
			(void)snprintf(shared->why, sizeof(shared->why), "spec %u: %.400s", sample + 1,
				       why);
		return false;
	}
	return true;
}

static void allocator_run(struct sweep *s)
{
	struct check_shared *shared = s->c.shared;
	const char *name = shared->allocators[s->c.allocator].name;
	uint32_t *points = calloc(s->samples.count, 2 * sizeof(*points)), *turns;
	char what[160];

	if (!points) {
		line(s, false, name, cow_errno_text(-ENOMEM));
		return;
	}
	turns = points + s->samples.count;
	for (size_t k = 0; k < COW_ELEMENTS(kinds); k++) {
		bool pass = true;

		/* One that cannot be cancelled is not asked. */
		if (kinds[k].kind == CHECK_CANCEL_AT && !shared->allocators[s->c.allocator].cancels)
			continue;
		for (uint32_t i = 0; pass && i < s->samples.count; i++) {
			pass = spec_run(s, k, i, points[i], turns[i]);
			if (kinds[k].kind == CHECK_PLAIN) {
				points[i] = shared->points;
				turns[i] = shared->turns;
			}
		}
		(void)snprintf(what, sizeof(what), "%s %s", name, kinds[k].what);
		line(s, pass, what, pass ? NULL : shared->why);
		if (!pass && kinds[k].kind == CHECK_PLAIN)
			break; /* the rest is built upon it */
	}
	free(points);
}

/* What a plugin offers, for people. */
void check_describe(const struct cow_plugin *plugin, struct cow_strbuf *out)
{
	static const char *const words[OFFER_KIND_COUNT] = {
		[OFFER_ALLOCATOR] = "allocator", [OFFER_BACKEND] = "backend", [OFFER_HOOK] = "hook",
		[OFFER_VERB] = "verb",		 [OFFER_CONFIG] = "section",  [OFFER_SERVICE] = "service",
		[OFFER_IMAGE_SOURCE] = "image source",
	};
	static const char *const hooks[] = {
		[COWHERD_HOOK_CONTAINER_STOPPED] = "container stopped",
		[COWHERD_HOOK_CONTAINER_DELETED] = "container deleted",
		[COWHERD_HOOK_SUPERVISOR_SHUTDOWN] = "supervisor shutdown",
		[COWHERD_HOOK_CONTAINER_START] = "container start",
	};
	const struct cowherd_plugin *t = &plugin->table;

	cow_strbuf_addf(out, "plugin %s %s (ABI %u.%u) %s\n", plugin->name, t->version, t->abi_major,
			t->abi_minor, t->description);
	cow_list_for(node, &plugin->offers) {
		const struct cow_offer *offer = cow_container_of(node, struct cow_offer, node);

		cow_strbuf_addf(out, "     %s", words[offer->kind]);
		if (offer->kind == OFFER_HOOK)
			cow_strbuf_addf(out, " %s", hooks[offer->shown.hook.hook]);
		else
			cow_strbuf_addf(out, " %s", offer->name);
		if (offer->kind == OFFER_ALLOCATOR)
			cow_strbuf_addf(out, " in phase %s",
					cow_phase_name((enum cow_phase)offer->theirs.allocator.phase));
		cow_strbuf_add(out, "\n");
	}
}

static void sweep_run(struct sweep *s)
{
	struct check_shared *shared = s->c.shared;
	struct check_scratch scratch = { 0 };

	if (check_scratch_make(&scratch) < 0) {
		line(s, false, "scratch directory", "cannot make one");
		return;
	}
	s->c.root = scratch.root;
	child_run(&s->c, check_offers);
	check_scratch_finish(&scratch, shared->why, sizeof(shared->why));
	line(s, !shared->why[0], "loads, starts, stops and leaves nothing", shared->why);
	if (shared->why[0])
		return;
	for (s->c.allocator = 0; s->c.allocator < shared->allocator_count; s->c.allocator++)
		allocator_run(s);
}

/*
 * In a process of its own, which adopts what the cases leave running, and whose mounts end with it.
 * Without the right to a mount namespace, mounts are still compared.
 */
static int sweep_process(struct sweep *s)
{
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (unshare(CLONE_NEWNS) == 0)
		(void)mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	sweep_run(s);
	(void)printf("cases: %u, checks: %u, %u failed\n", s->cases, s->lines, s->failed);
	(void)fflush(stdout);
	return s->failed ? 1 : 0;
}

int cow_host_check_plugin(const char *path, struct cow_error *err)
{
	_cleanup_free_ char *real = realpath(path, NULL);
	struct sweep s = { .c = { .plugin = real } };
	int rc, status;
	pid_t pid;

	if (!real)
		return cow_error_errno(err, -errno, "plugin %s", path);
	rc = check_samples_read(real, &s.samples, err);
	if (rc < 0)
		return rc;
	s.c.shared = mmap(NULL, sizeof(*s.c.shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			  -1, 0);
	if (s.c.shared == MAP_FAILED) {
		check_samples_finish(&s.samples);
		return cow_error_errno(err, -ENOMEM, "plugin %s", path);
	}
	(void)fflush(NULL);
	pid = fork();
	if (pid == 0)
		_exit(sweep_process(&s));
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		rc = cow_error_errno(err, -errno, "plugin %s", path);
	else if (status != 0)
		rc = cow_error_set(err, -EPROTO, "plugin %s: does not pass", path);
	check_samples_finish(&s.samples);
	(void)munmap(s.c.shared, sizeof(*s.c.shared));
	return rc;
}
