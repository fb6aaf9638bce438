/* SPDX-License-Identifier: MIT */
#include "cli/format.h"
#include "cli/client.h"
#include "cli/text.h"

#include <string.h>
#include <strings.h>

/* Where docker's name and ours differ by more than letter case; others are found as they are. */
static const char *const renamed[][2] = {
	{ ".Path", ".args" },
	{ ".RestartCount", ".restarts" },
	{ ".Mounts", ".spec.mounts" },
	{ ".State.OOMKilled", ".oom" },
	{ ".State.Error", ".exit_reason" },
	{ ".Config.Cmd", ".args" },
	{ ".Config.Env", ".spec.process.env" },
	{ ".Config.Hostname", ".spec.hostname" },
	{ ".Config.Domainname", ".spec.domainname" },
	{ ".Config.WorkingDir", ".spec.process.cwd" },
	{ ".Config.User", ".spec.process.user.uid" },
	{ ".Config.Tty", ".terminal" },
	{ ".Config.StopTimeout", ".stop_timeout_s" },
	{ ".HostConfig.RestartPolicy.Name", ".restart.policy" },
	{ ".HostConfig.RestartPolicy.MaximumRetryCount", ".restart.max_retries" },
	{ ".HostConfig.Memory", ".spec.linux.resources.memory.limit" },
	{ ".HostConfig.PidsLimit", ".spec.linux.resources.pids.limit" },
	{ ".HostConfig.ReadonlyRootfs", ".spec.root.readonly" },
	{ ".HostConfig.OomScoreAdj", ".spec.process.oomScoreAdj" },
	/* Of events. */
	{ ".Action", ".event" },
	{ ".Actor.ID", ".container" },
	{ ".Actor.Attributes.name", ".name" },
	{ ".Actor.Attributes.exitCode", ".exit_code" },
	{ ".TimeNano", ".time_ns" },
};

static const char *const times[][2] = {
	{ ".Created", "created_ns" },
	{ ".State.StartedAt", "started_ns" },
	{ ".State.FinishedAt", "finished_ns" },
};

static const char *const statuses[][2] = {
	{ ".State.Running", "running" },
	{ ".State.Paused", "paused" },
	{ ".State.Restarting", "restarting" },
	{ ".State.Dead", "dead" },
};

static bool same(const char *name, const char *path, size_t len)
{
	return strlen(name) == len && !strncasecmp(name, path, len);
}

static struct json_object *time_of(struct json_object *container, const char *key)
{
	uint64_t ns = (uint64_t)cow_get_int(container, key, 0);
	char text[64] = "0001-01-01T00:00:00Z";

	if (ns)
		cow_text_rfc3339(ns, true, text, sizeof(text));
	return json_object_new_string(text);
}

struct json_object *cow_docker_lookup(struct json_object *container, const char *path, size_t len)
{
	struct json_object *v;

	for (size_t i = 0; i < sizeof(renamed) / sizeof(renamed[0]); i++) {
		const char *ours = renamed[i][1];

		if (!same(renamed[i][0], path, len))
			continue;
		v = cow_format_lookup(container, ours, strlen(ours));
		if (i == 0 && json_object_is_type(v, json_type_array))
			v = json_object_array_get_idx(v, 0);
		return json_object_get(v);
	}
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		if (same(times[i][0], path, len) && cow_get(container, times[i][1]))
			return time_of(container, times[i][1]);
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		if (same(statuses[i][0], path, len) && cow_get(container, "status"))
			return json_object_new_boolean(
				!strcmp(cow_get_string(container, "status", ""), statuses[i][1]));
	return json_object_get(cow_format_lookup(container, path, len));
}
