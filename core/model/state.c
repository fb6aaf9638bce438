/* SPDX-License-Identifier: MIT */
#include "model/state.h"

#include "model/tables.h"

#define D(name) COW_DEADLINE_##name
#define T_ONE COW_TIMER_DEADLINE
#define T_LIFE (COW_TIMER_HEALTH | COW_TIMER_STABLE)

static const struct cow_state_info states[COW_STATE_COUNT] = {
	[COW_STATE_CREATING] = { "creating", "created", "creating", D(STEPS), 0, false,
				 "its resources are being taken" },
	[COW_STATE_RECOVERING] = { "recovering", "created", "creating", D(STEPS), 0, false,
				   "found by a new supervisor, not yet judged" },
	[COW_STATE_CREATED] = { "created", "created", "created", D(NONE), 0, false,
				"made, never started" },
	[COW_STATE_STARTING] = { "starting", "created", "created", D(STEPS), 0, false,
				 "its first process is being let go" },
	[COW_STATE_RUNNING] = { "running", "running", "running", D(NONE), T_LIFE, false,
				"its first process lives" },
	[COW_STATE_PAUSING] = { "pausing", "running", "running", D(CALL), COW_TIMER_STABLE, false,
				"being frozen" },
	[COW_STATE_PAUSED] = { "paused", "paused", "running", D(NONE), 0, false, "frozen" },
	[COW_STATE_RESUMING] = { "resuming", "paused", "running", D(CALL), 0, false,
				 "being thawed" },
	[COW_STATE_STOPPING] = { "stopping", "running", "running", D(STOP), T_ONE, false,
				 "asked to end" },
	[COW_STATE_KILLING] = { "killing", "running", "running", D(KILL), T_ONE, false,
				"told to end; its death is awaited" },
	[COW_STATE_UNKNOWN] = { "unknown", "dead", "running", D(NONE), 0, false,
				"its death is not proved: never started a second time" },
	[COW_STATE_DRAINING] = { "draining", "running", "running", D(DRAIN), T_ONE, false,
				 "its first process has ended, output is on its way" },
	[COW_STATE_STOPPED] = { "stopped", "exited", "stopped", D(NONE), 0, false,
				"its end is recorded" },
	[COW_STATE_RESTARTING] = { "restarting", "restarting", "stopped", D(BACKOFF), T_ONE, false,
				   "waits for its restart delay" },
	[COW_STATE_DELETING] = { "deleting", "removing", "stopped", D(STEPS), 0, false,
				 "what it holds is being released" },
	[COW_STATE_DELETED] = { "deleted", "removing", "stopped", D(NONE), 0, true, "gone" },
	[COW_STATE_FAILED] = { "failed", "dead", "stopped", D(NONE), 0, false,
			       "its create failed and left pieces" },
	[COW_STATE_DEAD] = { "dead", "dead", "stopped", D(NONE), 0, false,
			     "its record does not read back, or a release failed" },
};

static const char *const actions[COW_ACTION_COUNT] = {
	[COW_ACTION_NONE] = "",
	[COW_ACTION_CANCEL] = "cancel",
	[COW_ACTION_START] = "start",
	[COW_ACTION_PAUSE] = "pause",
	[COW_ACTION_RESUME] = "resume",
	[COW_ACTION_SHUTDOWN] = "shutdown",
	[COW_ACTION_TERMINATE] = "terminate",
	[COW_ACTION_REPORT] = "report",
	[COW_ACTION_RELEASE] = "release",
	[COW_ACTION_DELETE] = "delete",
	[COW_ACTION_FORGET] = "forget",
};

const struct cow_state_info *cow_state_info(enum cow_state state)
{
	return &states[state];
}

const char *cow_action_name(enum cow_action action)
{
	return actions[action];
}

struct cow_move cow_container_step(enum cow_state state, uint32_t facts)
{
	for (size_t i = 0; i < cow_rules_count; i++) {
		const struct cow_rule *r = &cow_rules[i];

		if (r->from == state && (facts & r->with) == r->with && !(facts & r->without))
			return (struct cow_move){ r->to, r->action, r->clears };
	}
	return (struct cow_move){ state, COW_ACTION_NONE, 0 };
}

static const char *const process_states[COW_PROCESS_COUNT] = {
	[COW_PROCESS_STARTING] = "starting",
	[COW_PROCESS_RUNNING] = "running",
	[COW_PROCESS_EXITED] = "exited",
	[COW_PROCESS_FAILED] = "failed",
};

const char *cow_process_state_name(enum cow_process_state state)
{
	return process_states[state];
}

bool cow_process_state_final(enum cow_process_state state)
{
	return state == COW_PROCESS_EXITED || state == COW_PROCESS_FAILED;
}

enum cow_process_state cow_process_step(enum cow_process_state state, uint32_t facts)
{
	for (size_t i = 0; i < cow_process_rules_count; i++) {
		const struct cow_process_rule *r = &cow_process_rules[i];

		if (r->from == state && (facts & r->with) == r->with && !(facts & r->without))
			return r->to;
	}
	return state;
}
