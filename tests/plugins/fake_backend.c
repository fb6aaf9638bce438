/* SPDX-License-Identifier: MIT */
/*
 * A compute backend without any process, scripted through the spec's annotations (all strings):
 *
 *   fake.OP        what operation OP does (create start exec signal resize pause resume stats shutdown
 *                  terminate adopt release): "later:MS" answers after MS, "fail:ERRNO" fails,
 *                  "never" does not answer; otherwise it succeeds at once
 *   fake.exit_ms   the init process ends by itself so long after start
 *   fake.exit_code its code; fake.exit_signal: its signal; fake.lost: why the code is not known;
 *   fake.oom       "1": it ended for lack of memory
 *   fake.stubborn  "1": shutdown does not end it, terminate does
 *   fake.exec_ms, fake.exec_code: likewise for every exec'd process (1 ms, 0)
 *   fake.output    what the init process prints at start
 *   fake.backend   "1": prefer this backend to any other
 *
 * A system lives on in another process's eyes while <run_dir>/fake-alive exists: adopt() looks there.
 */
#include "fake.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

struct process {
	struct process *next;
	struct system *system;
	uint64_t id, timer;
	struct cowherd_exit end;
};

struct system {
	struct system *next;
	uint64_t handle, next_process;
	struct process *processes; /* that still run; init has id 0 */
	int out;
	char *spec;
	char alive[256];
	char lost[64];
};

struct reply {
	struct reply *next;
	cowherd_op op;
	uint64_t timer, handle;
};

static struct system *systems;
static struct reply *replies;
static uint64_t next_handle;

static struct system *system_find(uint64_t handle)
{
	struct system *system = systems;

	while (system && system->handle != handle)
		system = system->next;
	return system;
}

/* Ends. */

static void process_drop(struct process *process)
{
	struct process **p = &process->system->processes;

	while (*p != process)
		p = &(*p)->next;
	*p = process->next;
	if (process->timer)
		host->timer_stop(self, process->timer);
	free(process);
}

static void process_end(void *arg)
{
	struct process *process = arg;
	struct system *system = process->system;
	struct cowherd_exit end = process->end;
	uint64_t handle = system->handle, id = process->id;

	process->timer = 0;
	process_drop(process);
	if (id == 0) {
		(void)unlink(system->alive);
		if (system->out >= 0)
			(void)close(system->out);
		system->out = -1;
	}
	host->exited(self, handle, id, &end);
}

static void process_end_in(struct process *process, uint64_t ms)
{
	if (process->timer)
		host->timer_stop(self, process->timer);
	(void)host->timer_start(self, ms, 0, process_end, process, &process->timer);
}

static struct process *process_add(struct system *system, uint64_t id)
{
	struct process *process = calloc(1, sizeof(*process));

	if (!process)
		return NULL;
	process->system = system;
	process->id = id;
	process->end.size = sizeof(process->end);
	process->next = system->processes;
	system->processes = process;
	return process;
}

static struct process *process_find(struct system *system, uint64_t id)
{
	struct process *process = system->processes;

	while (process && process->id != id)
		process = process->next;
	return process;
}

static void process_kill(struct process *process, int signo)
{
	process->end.code = 128 + signo;
	process->end.signal = signo;
	process->end.reason = NULL;
	process_end_in(process, 1);
}

/* Answers. */

static void reply_send(void *arg)
{
	struct reply *reply = arg, **r = &replies;
	struct cowherd_answer answer = { .size = sizeof(answer), .handle = reply->handle };

	while (*r != reply)
		r = &(*r)->next;
	*r = reply->next;
	(void)host->answer(self, reply->op, &answer);
	free(reply);
}

static int reply_later(cowherd_op op, uint64_t handle, long ms)
{
	struct reply *reply = calloc(1, sizeof(*reply));
	int rc;

	if (!reply)
		return -ENOMEM;
	reply->op = op;
	reply->handle = handle;
	rc = host->timer_start(self, (uint64_t)ms, 0, reply_send, reply, &reply->timer);
	if (rc < 0) {
		free(reply);
		return rc;
	}
	reply->next = replies;
	replies = reply;
	return COWHERD_LATER;
}

/* As the script says: 0 go on and succeed, <0 fail, COWHERD_LATER: nothing more to do. */
static int reply_script(cowherd_op op, const char *spec, const char *name, uint64_t handle)
{
	char key[48], how[32] = "";

	(void)snprintf(key, sizeof(key), "fake.%s", name);
	if (!fake_string(spec, key, how, sizeof(how)))
		return 0;
	if (strcmp(how, "never") == 0)
		return COWHERD_LATER;
	if (strncmp(how, "fail:", 5) == 0)
		return -(int)strtol(how + 5, NULL, 10);
	if (strncmp(how, "later:", 6) == 0)
		return reply_later(op, handle, strtol(how + 6, NULL, 10));
	return 0;
}

static int reply_handle(cowherd_op op, const char *spec, const char *name, uint64_t handle)
{
	const struct cowherd_answer answer = { .size = sizeof(answer), .handle = handle };
	int rc = reply_script(op, spec, name, handle);

	if (rc != 0)
		return rc;
	(void)host->answer(self, op, &answer);
	return COWHERD_LATER;
}

/* Operations. */

static void system_free(struct system *system)
{
	struct system **s = &systems;

	while (*s != system)
		s = &(*s)->next;
	*s = system->next;
	while (system->processes)
		process_drop(system->processes);
	if (system->out >= 0)
		(void)close(system->out);
	free(system->spec);
	free(system);
}

static struct system *system_add(const char *spec, const char *alive)
{
	struct system *system = calloc(1, sizeof(*system));

	if (!system)
		return NULL;
	system->out = -1;
	system->handle = ++next_handle;
	system->next_process = 1;
	system->spec = strdup(spec);
	(void)snprintf(system->alive, sizeof(system->alive), "%s", alive);
	system->next = systems;
	systems = system;
	if (!system->spec || !process_add(system, 0)) {
		system_free(system);
		return NULL;
	}
	return system;
}

static int fake_supports(void *arg, const struct cowherd_request *request)
{
	(void)arg;
	return fake_number(request->spec, "fake.backend", 0) ? 100 : 1;
}

static int fake_create(void *arg, cowherd_op op, const struct cowherd_request *request,
		       const struct cowherd_stdio *stdio)
{
	char alive[256], record[320];
	struct system *system;
	int rc, fd;

	(void)arg;
	(void)snprintf(alive, sizeof(alive), "%.200s/fake-alive", request->run_dir);
	(void)snprintf(record, sizeof(record), "{\"alive\":\"%s\"}", alive);
	rc = host->intend(self, op, "system", record);
	if (rc < 0)
		return rc;
	fd = open(alive, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	(void)close(fd);
	system = system_add(request->spec, alive);
	if (!system)
		return -ENOMEM;
	if (stdio && stdio->out >= 0)
		system->out = fcntl(stdio->out, F_DUPFD_CLOEXEC, 3);
	rc = reply_handle(op, system->spec, "create", system->handle);
	if (rc < 0)
		system_free(system);
	return rc;
}

static int fake_start(void *arg, cowherd_op op, uint64_t handle)
{
	struct system *system = system_find(handle);
	struct process *init = system ? process_find(system, 0) : NULL;
	char text[256];
	long ms;
	int rc;

	(void)arg;
	if (!init)
		return -ESRCH;
	rc = reply_script(op, system->spec, "start", 0);
	if (rc < 0)
		return rc;
	if (system->out >= 0 && fake_string(system->spec, "fake.output", text, sizeof(text)) &&
	    write(system->out, text, strlen(text)) < 0)
		return -errno;
	init->end.code = (int)fake_number(system->spec, "fake.exit_code", 0);
	init->end.signal = (int)fake_number(system->spec, "fake.exit_signal", 0);
	init->end.oom = (int)fake_number(system->spec, "fake.oom", 0);
	if (fake_string(system->spec, "fake.lost", system->lost, sizeof(system->lost))) {
		init->end.code = -1;
		init->end.reason = system->lost;
	}
	ms = fake_number(system->spec, "fake.exit_ms", -1);
	if (ms >= 0)
		process_end_in(init, (uint64_t)ms);
	return rc;
}

static int fake_exec(void *arg, cowherd_op op, uint64_t handle, const char *process_json,
		     const struct cowherd_stdio *stdio)
{
	struct system *system = system_find(handle);
	struct process *process;
	int rc;

	(void)arg;
	(void)process_json;
	(void)stdio;
	if (!system || !process_find(system, 0))
		return -ESRCH;
	process = process_add(system, system->next_process++);
	if (!process)
		return -ENOMEM;
	process->end.code = (int)fake_number(system->spec, "fake.exec_code", 0);
	rc = reply_handle(op, system->spec, "exec", process->id);
	if (rc < 0)
		process_drop(process);
	else
		process_end_in(process, (uint64_t)fake_number(system->spec, "fake.exec_ms", 1));
	return rc;
}

static int fake_signal(void *arg, cowherd_op op, uint64_t handle, uint64_t id, int signo, uint32_t flags)
{
	struct system *system = system_find(handle);
	struct process *process = system ? process_find(system, id) : NULL;
	int rc;

	(void)arg;
	(void)flags;
	if (!process)
		return -ESRCH;
	rc = reply_script(op, system->spec, "signal", 0);
	if (rc >= 0 && (signo == SIGKILL ||
			(signo == SIGTERM && !fake_number(system->spec, "fake.stubborn", 0))))
		process_kill(process, signo);
	return rc;
}

static int system_reply(cowherd_op op, uint64_t handle, const char *name)
{
	struct system *system = system_find(handle);

	return system ? reply_script(op, system->spec, name, 0) : -ESRCH;
}

static int fake_resize(void *arg, cowherd_op op, uint64_t handle, uint64_t id, uint16_t height,
		       uint16_t width)
{
	(void)arg;
	(void)id;
	(void)height;
	(void)width;
	return system_reply(op, handle, "resize");
}

static int fake_pause(void *arg, cowherd_op op, uint64_t handle)
{
	(void)arg;
	return system_reply(op, handle, "pause");
}

static int fake_resume(void *arg, cowherd_op op, uint64_t handle)
{
	(void)arg;
	return system_reply(op, handle, "resume");
}

static int fake_stats(void *arg, cowherd_op op, uint64_t handle)
{
	const struct cowherd_answer answer = {
		.size = sizeof(answer),
		.result = "{\"cpu_ns\":1000000,\"memory_bytes\":4096,\"memory_limit_bytes\":8192,\"pids\":1,"
			  "\"pids_limit\":0,\"net_rx_bytes\":0,\"net_tx_bytes\":0,"
			  "\"block_read_bytes\":0,\"block_write_bytes\":0}",
	};
	int rc = system_reply(op, handle, "stats");

	(void)arg;
	if (rc != 0)
		return rc;
	(void)host->answer(self, op, &answer);
	return COWHERD_LATER;
}

static int fake_shutdown(void *arg, cowherd_op op, uint64_t handle, int signo)
{
	struct system *system = system_find(handle);
	struct process *init = system ? process_find(system, 0) : NULL;
	int rc;

	(void)arg;
	if (!init)
		return -ESRCH;
	rc = reply_script(op, system->spec, "shutdown", 0);
	if (rc >= 0 && !fake_number(system->spec, "fake.stubborn", 0))
		process_kill(init, signo ? signo : SIGTERM);
	return rc;
}

static int fake_terminate(void *arg, cowherd_op op, uint64_t handle)
{
	struct system *system = system_find(handle);
	int rc;

	(void)arg;
	if (!system)
		return -ESRCH;
	rc = reply_script(op, system->spec, "terminate", 0);
	if (rc < 0)
		return rc;
	for (struct process *process = system->processes; process; process = process->next)
		process_kill(process, SIGKILL);
	return rc;
}

static void fake_close(void *arg, uint64_t handle)
{
	struct system *system = system_find(handle);

	(void)arg;
	if (system)
		system_free(system);
}

static int fake_adopt(void *arg, cowherd_op op, const struct cowherd_record *record)
{
	char alive[256];
	struct system *system;
	int rc;

	(void)arg;
	if (!fake_string(record->record, "alive", alive, sizeof(alive)))
		return -EINVAL;
	if (record->other_boot || access(alive, F_OK) < 0)
		return -ESRCH;
	system = system_add("{}", alive);
	if (!system)
		return -ENOMEM;
	rc = reply_handle(op, system->spec, "adopt", system->handle);
	if (rc < 0)
		system_free(system);
	return rc;
}

static int fake_release(void *arg, cowherd_op op, const struct cowherd_record *record)
{
	char alive[256];

	(void)arg;
	(void)op;
	if (!fake_string(record->record, "alive", alive, sizeof(alive)))
		return -EINVAL;
	return unlink(alive) == 0 || errno == ENOENT ? 0 : -errno;
}

static void fake_cancel(void *arg, cowherd_op op)
{
	const struct cowherd_answer answer = { .size = sizeof(answer), .code = -ECANCELED };

	(void)arg;
	for (struct reply **r = &replies; *r; r = &(*r)->next) {
		struct reply *reply = *r;

		if (reply->op != op)
			continue;
		*r = reply->next;
		host->timer_stop(self, reply->timer);
		free(reply);
		(void)host->answer(self, op, &answer);
		return;
	}
}

static int fake_init(const struct cowherd_host *h, struct cowherd_self *s)
{
	static const struct cowherd_backend backend = {
		.size = sizeof(backend), .name = "fake", .create_ms = 10000, .start_ms = 10000,
		.release_ms = 10000, .supports = fake_supports, .create = fake_create,
		.start = fake_start, .exec = fake_exec, .signal = fake_signal, .resize = fake_resize,
		.pause = fake_pause, .resume = fake_resume, .stats = fake_stats,
		.shutdown = fake_shutdown, .terminate = fake_terminate, .close = fake_close,
		.adopt = fake_adopt, .release = fake_release, .cancel = fake_cancel,
	};

	host = h;
	self = s;
	return h->register_backend(s, &backend, NULL);
}

static int fake_fini(char *message, size_t size)
{
	(void)message;
	(void)size;
	while (systems)
		system_free(systems);
	while (replies) {
		struct reply *reply = replies;

		replies = reply->next;
		free(reply);
	}
	return 0;
}

FAKE_PLUGIN("fake-backend", .init = fake_init, .fini = fake_fini)
