/* SPDX-License-Identifier: MIT */
#include "model/tables.h"

#include "base/cleanup.h"

#define BUSY COW_FACT_BUSY
#define FAILED COW_FACT_FAILED
#define EXPIRED COW_FACT_EXPIRED
#define ALIVE COW_FACT_ALIVE
#define OUTPUT COW_FACT_OUTPUT
#define HELD COW_FACT_HELD
#define KEEP COW_FACT_KEEP
#define RAN COW_FACT_RAN
#define BROKEN COW_FACT_BROKEN
#define RUN COW_FACT_RUN
#define STOP COW_FACT_STOP
#define KILL COW_FACT_KILL
#define PAUSE COW_FACT_PAUSE
#define DELETE COW_FACT_DELETE
#define RESTART COW_FACT_RESTART

/* Wishes about a life that is over. */
#define LIFE (STOP | KILL | PAUSE)

#define S(name) COW_STATE_##name
#define A(name) COW_ACTION_##name

const struct cow_rule cow_rules[] = {
	{ S(CREATING), BUSY | DELETE, 0, S(CREATING), A(CANCEL), 0, "deleted meanwhile" },
	{ S(CREATING), BUSY, 0, S(CREATING), A(NONE), 0, "the transaction is in flight" },
	{ S(CREATING), FAILED | HELD, 0, S(FAILED), A(NONE), 0, "undoing it left something" },
	{ S(CREATING), FAILED | KEEP, 0, S(FAILED), A(NONE), 0,
	  "the caller wants to see the pieces" },
	{ S(CREATING), FAILED, 0, S(DELETED), A(FORGET), 0, "undone" },
	{ S(CREATING), 0, 0, S(CREATED), A(NONE), 0, "recorded" },

	{ S(RECOVERING), BUSY, 0, S(RECOVERING), A(NONE), 0, "being judged" },
	{ S(RECOVERING), DELETE, ALIVE, S(DELETING), A(DELETE), 0, "half created or half deleted" },
	{ S(RECOVERING), BROKEN, 0, S(DEAD), A(NONE), 0,
	  "one broken record concerns one container" },
	{ S(RECOVERING), KEEP, 0, S(FAILED), A(NONE), 0, "its create failed, its pieces are kept" },
	{ S(RECOVERING), ALIVE | FAILED, 0, S(UNKNOWN), A(NONE), 0, "its death is not proved" },
	{ S(RECOVERING), ALIVE, 0, S(RUNNING), A(NONE), 0, "adopted" },
	{ S(RECOVERING), RAN, 0, S(STOPPED), A(NONE), 0, "it ended while nobody looked" },
	{ S(RECOVERING), 0, 0, S(CREATED), A(NONE), 0, "never started" },

	{ S(CREATED), BUSY, 0, S(CREATED), A(NONE), 0, "a failed start is being released" },
	{ S(CREATED), DELETE, 0, S(DELETING), A(DELETE), 0, "asked" },
	{ S(CREATED), RUN, ALIVE, S(STARTING), A(START), LIFE, "asked" },

	{ S(STARTING), BUSY | KILL, 0, S(STARTING), A(CANCEL), 0, "killed meanwhile" },
	{ S(STARTING), BUSY, 0, S(STARTING), A(NONE), 0, "the transaction is in flight" },
	{ S(STARTING), FAILED | RESTART, STOP | KILL, S(RESTARTING), A(RELEASE), RUN | RESTART,
	  "the restart policy tries again" },
	{ S(STARTING), FAILED | RAN, 0, S(STOPPED), A(RELEASE), RUN | RESTART | LIFE, "as before" },
	{ S(STARTING), FAILED, 0, S(CREATED), A(RELEASE), RUN | RESTART | LIFE, "as before" },
	{ S(STARTING), 0, 0, S(RUNNING), A(NONE), RUN | RESTART, "init was let go" },

	{ S(RUNNING), 0, ALIVE, S(DRAINING), A(NONE), 0, "init has ended" },
	{ S(RUNNING), KILL, 0, S(KILLING), A(TERMINATE), 0, "asked" },
	{ S(RUNNING), STOP, 0, S(STOPPING), A(SHUTDOWN), 0, "asked" },
	{ S(RUNNING), PAUSE, 0, S(PAUSING), A(PAUSE), 0, "asked" },

	{ S(PAUSING), 0, ALIVE, S(DRAINING), A(NONE), 0, "init has ended" },
	{ S(PAUSING), KILL, 0, S(KILLING), A(TERMINATE), 0, "asked" },
	{ S(PAUSING), BUSY, 0, S(PAUSING), A(NONE), 0, "the backend has not answered" },
	{ S(PAUSING), FAILED, 0, S(RUNNING), A(NONE), PAUSE, "refused" },
	{ S(PAUSING), 0, 0, S(PAUSED), A(NONE), 0, "frozen" },

	{ S(PAUSED), 0, ALIVE, S(DRAINING), A(NONE), 0, "init has ended" },
	{ S(PAUSED), KILL, 0, S(KILLING), A(TERMINATE), 0, "asked" },
	{ S(PAUSED), STOP, 0, S(RESUMING), A(RESUME), PAUSE, "what is frozen sees no signal" },
	{ S(PAUSED), 0, PAUSE, S(RESUMING), A(RESUME), 0, "asked" },

	{ S(RESUMING), 0, ALIVE, S(DRAINING), A(NONE), 0, "init has ended" },
	{ S(RESUMING), KILL, 0, S(KILLING), A(TERMINATE), 0, "asked" },
	{ S(RESUMING), BUSY, 0, S(RESUMING), A(NONE), 0, "the backend has not answered" },
	{ S(RESUMING), FAILED | STOP, 0, S(KILLING), A(TERMINATE), 0, "it cannot be asked to end" },
	{ S(RESUMING), FAILED, 0, S(PAUSED), A(NONE), 0, "refused" },
	{ S(RESUMING), 0, 0, S(RUNNING), A(NONE), 0, "thawed" },

	{ S(STOPPING), 0, ALIVE, S(DRAINING), A(NONE), 0, "init has ended" },
	{ S(STOPPING), KILL, 0, S(KILLING), A(TERMINATE), 0, "asked" },
	{ S(STOPPING), EXPIRED, 0, S(KILLING), A(TERMINATE), 0, "it did not end in time" },
	{ S(STOPPING), FAILED, 0, S(KILLING), A(TERMINATE), 0, "it could not be asked" },

	{ S(KILLING), 0, ALIVE, S(DRAINING), A(NONE), 0, "init has ended" },
	{ S(KILLING), EXPIRED, 0, S(UNKNOWN), A(NONE), LIFE | DELETE | RUN,
	  "no proof of its death" },
	{ S(KILLING), FAILED, 0, S(UNKNOWN), A(NONE), LIFE | DELETE | RUN, "it could not be told" },

	{ S(UNKNOWN), 0, ALIVE, S(DRAINING), A(NONE), 0, "init has ended" },
	{ S(UNKNOWN), KILL, 0, S(KILLING), A(TERMINATE), 0, "asked again" },
	{ S(UNKNOWN), STOP, 0, S(KILLING), A(TERMINATE), 0, "asked again" },

	{ S(DRAINING), 0, OUTPUT, S(STOPPED), A(REPORT), LIFE, "all output is in the log" },
	{ S(DRAINING), EXPIRED, 0, S(STOPPED), A(REPORT), LIFE, "another process keeps the pipe" },

	{ S(STOPPED), BUSY, 0, S(STOPPED), A(NONE), 0, "the compute system is being released" },
	{ S(STOPPED), DELETE, 0, S(DELETING), A(DELETE), 0, "asked" },
	{ S(STOPPED), RUN, ALIVE, S(STARTING), A(START), LIFE, "asked" },
	{ S(STOPPED), RESTART, 0, S(RESTARTING), A(NONE), RESTART, "the restart policy says so" },

	{ S(RESTARTING), BUSY, 0, S(RESTARTING), A(NONE), 0,
	  "the compute system is being released" },
	{ S(RESTARTING), DELETE, 0, S(DELETING), A(DELETE), 0, "asked" },
	{ S(RESTARTING), STOP, 0, S(STOPPED), A(NONE), LIFE | RUN, "asked" },
	{ S(RESTARTING), KILL, 0, S(STOPPED), A(NONE), LIFE | RUN, "asked" },
	{ S(RESTARTING), RUN, ALIVE, S(STARTING), A(START), 0, "asked not to wait" },
	{ S(RESTARTING), EXPIRED, ALIVE, S(STARTING), A(START), 0, "the delay is over" },

	{ S(DELETING), BUSY, 0, S(DELETING), A(NONE), 0, "being released" },
	{ S(DELETING), FAILED, 0, S(DEAD), A(NONE), DELETE, "something could not be released" },
	{ S(DELETING), 0, 0, S(DELETED), A(FORGET), 0, "nothing is left" },

	{ S(FAILED), BUSY, 0, S(FAILED), A(NONE), 0, "being released" },
	{ S(FAILED), DELETE, 0, S(DELETING), A(DELETE), 0, "asked" },

	{ S(DEAD), BUSY, 0, S(DEAD), A(NONE), 0, "being released" },
	{ S(DEAD), DELETE, 0, S(DELETING), A(DELETE), 0, "asked" },
};
const size_t cow_rules_count = COW_ELEMENTS(cow_rules);

#define P(name) COW_PROCESS_##name

const struct cow_process_rule cow_process_rules[] = {
	{ P(STARTING), BUSY, 0, P(STARTING), "the backend has not answered" },
	{ P(STARTING), FAILED, 0, P(FAILED), "refused" },
	{ P(STARTING), 0, 0, P(RUNNING), "its program is executing" },
	{ P(RUNNING), 0, ALIVE, P(EXITED), "its end is proved" },
};
const size_t cow_process_rules_count = COW_ELEMENTS(cow_process_rules);

const char *const cow_fact_names[COW_FACT_COUNT] = {
	"busy", "failed", "expired", "alive", "output", "held", "keep",   "ran",
	"broken", "RUN",    "STOP",    "KILL",  "PAUSE",  "DELETE", "RESTART",
};

const char *const cow_deadline_names[COW_DEADLINE_COUNT] = {
	[COW_DEADLINE_NONE] = "none: rests until asked",
	[COW_DEADLINE_STEPS] = "each step has its own",
	[COW_DEADLINE_CALL] = "the backend's answer",
	[COW_DEADLINE_STOP] = "stop timeout",
	[COW_DEADLINE_KILL] = "proof of death",
	[COW_DEADLINE_DRAIN] = "end of output",
	[COW_DEADLINE_BACKOFF] = "restart delay",
};
