/* SPDX-License-Identifier: MIT */
/*
 * The spec of a plain directory: that of `runc spec` without its terminal and with a writable root,
 * with the capabilities that a container of the docker client has.
 */
#include "spec/options.h"
#include "spec/values.h"

#include <errno.h>
#include <sys/resource.h>
#include <unistd.h>

static const char skeleton[] =
	"{\"ociVersion\":\"1.0.2\","
	"\"process\":{"
	"\"user\":{\"uid\":0,\"gid\":0},"
	"\"args\":[\"/bin/sh\"],"
	"\"env\":[\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\"],"
	"\"cwd\":\"/\"},"
	"\"mounts\":["
	"{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\","
	"\"options\":[\"nosuid\",\"noexec\",\"nodev\"]},"
	"{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"source\":\"tmpfs\","
	"\"options\":[\"nosuid\",\"strictatime\",\"mode=755\",\"size=65536k\"]},"
	"{\"destination\":\"/dev/pts\",\"type\":\"devpts\",\"source\":\"devpts\","
	"\"options\":[\"nosuid\",\"noexec\",\"newinstance\",\"ptmxmode=0666\",\"mode=0620\",\"gid=5\"]},"
	"{\"destination\":\"/dev/shm\",\"type\":\"tmpfs\",\"source\":\"shm\","
	"\"options\":[\"nosuid\",\"noexec\",\"nodev\",\"mode=1777\",\"size=65536k\"]},"
	"{\"destination\":\"/dev/mqueue\",\"type\":\"mqueue\",\"source\":\"mqueue\","
	"\"options\":[\"nosuid\",\"noexec\",\"nodev\"]}],"
	"\"linux\":{\"resources\":{},"
	"\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"network\"},{\"type\":\"ipc\"},{\"type\":\"uts\"},"
	"{\"type\":\"mount\"},{\"type\":\"cgroup\"}]}}";

/* What only an unprivileged container has; the rest of both is the same. */
static const char confined[] =
	"{\"mounts\":["
	"{\"destination\":\"/sys\",\"type\":\"sysfs\",\"source\":\"sysfs\","
	"\"options\":[\"nosuid\",\"noexec\",\"nodev\",\"ro\"]},"
	"{\"destination\":\"/sys/fs/cgroup\",\"type\":\"cgroup\",\"source\":\"cgroup\","
	"\"options\":[\"nosuid\",\"noexec\",\"nodev\",\"relatime\",\"ro\"]}],"
	"\"devices\":[{\"allow\":false,\"access\":\"rwm\"}],"
	"\"maskedPaths\":[\"/proc/acpi\",\"/proc/asound\",\"/proc/interrupts\",\"/proc/kcore\","
	"\"/proc/keys\",\"/proc/latency_stats\",\"/proc/timer_list\",\"/proc/timer_stats\","
	"\"/proc/sched_debug\",\"/proc/scsi\",\"/sys/firmware\",\"/sys/devices/virtual/powercap\"],"
	"\"readonlyPaths\":[\"/proc/bus\",\"/proc/fs\",\"/proc/irq\",\"/proc/sys\","
	"\"/proc/sysrq-trigger\"]}";

static const char open_[] =
	"{\"mounts\":["
	"{\"destination\":\"/sys\",\"type\":\"sysfs\",\"source\":\"sysfs\","
	"\"options\":[\"nosuid\",\"noexec\",\"nodev\"]},"
	"{\"destination\":\"/sys/fs/cgroup\",\"type\":\"cgroup\",\"source\":\"cgroup\","
	"\"options\":[\"nosuid\",\"noexec\",\"nodev\",\"relatime\"]}],"
	"\"devices\":[{\"allow\":true,\"access\":\"rwm\"}]}";

static const uint8_t docker_caps[] = { 0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31 };

static int add_capabilities(struct json_object *process, bool privileged)
{
	static const char *const sets[] = { "bounding", "effective", "permitted" };
	struct json_object *caps = cow_json_want_object(process, "capabilities");
	uint64_t mask = 0;
	int r = 0;

	for (size_t i = 0; i < sizeof(docker_caps); i++)
		mask |= UINT64_C(1) << docker_caps[i];
	if (privileged)
		mask = cow_cap_all();
	for (size_t s = 0; s < 3 && r == 0; s++) {
		struct json_object *set = json_object_new_array();

		r = cow_json_put(caps, sets[s], set);
		for (size_t i = 0; i < COW_CAP_COUNT && r == 0; i++)
			if (mask & UINT64_C(1) << i)
				r = cow_json_append(set, json_object_new_string(cow_cap_names[i]));
	}
	return r;
}

/* 1,024 files, as programs that loop over all of them like it; more where one asks for it. */
static int add_limits(struct json_object *process)
{
	struct json_object *limits = json_object_new_array(), *limit = json_object_new_object();
	struct rlimit own = { 1024, 1024 };
	int r = cow_json_put(process, "rlimits", limits);

	(void)getrlimit(RLIMIT_NOFILE, &own);
	if (r == 0)
		r = cow_json_append(limits, limit);
	else
		json_object_put(limit);
	if (r == 0)
		r = cow_json_put(limit, "type", json_object_new_string("RLIMIT_NOFILE"));
	if (r == 0)
		r = cow_json_put(limit, "hard", json_object_new_uint64(own.rlim_max));
	if (r == 0)
		r = cow_json_put(limit, "soft",
				 json_object_new_uint64(own.rlim_max < 1024 ? own.rlim_max : 1024));
	return r;
}

static int add_confinement(struct json_object *spec, bool privileged)
{
	struct json_object *more = json_tokener_parse(privileged ? open_ : confined);
	struct json_object *mounts = json_object_object_get(spec, "mounts");
	struct json_object *linux_ = json_object_object_get(spec, "linux"), *list;
	int r = more ? 0 : -ENOMEM;

	list = json_object_object_get(more, "mounts");
	for (size_t i = 0; r == 0 && i < json_object_array_length(list); i++)
		r = cow_json_append(mounts, json_object_get(json_object_array_get_idx(list, i)));
	if (r == 0)
		r = cow_json_put(json_object_object_get(linux_, "resources"), "devices",
				 json_object_get(json_object_object_get(more, "devices")));
	if (r == 0 && !privileged)
		r = cow_json_put(linux_, "maskedPaths",
				 json_object_get(json_object_object_get(more, "maskedPaths")));
	if (r == 0 && !privileged)
		r = cow_json_put(linux_, "readonlyPaths",
				 json_object_get(json_object_object_get(more, "readonlyPaths")));
	json_object_put(more);
	return r;
}

struct json_object *cow_spec_default(const char *rootfs, const char *hostname, bool privileged)
{
	struct json_object *spec = json_tokener_parse(skeleton), *process;
	int r = spec ? 0 : -ENOMEM;

	process = json_object_object_get(spec, "process");
	if (r == 0)
		r = cow_json_put(process, "noNewPrivileges", json_object_new_boolean(!privileged));
	if (r == 0)
		r = add_capabilities(process, privileged);
	if (r == 0)
		r = add_limits(process);
	if (r == 0)
		r = cow_json_put(cow_json_want_object(spec, "root"), "path",
				 json_object_new_string(rootfs));
	if (r == 0)
		r = cow_json_put(spec, "hostname", json_object_new_string(hostname));
	if (r == 0)
		r = add_confinement(spec, privileged);
	if (r == 0 && geteuid() != 0)
		r = cow_spec_rootless(spec, geteuid(), getegid());
	if (r < 0) {
		json_object_put(spec);
		return NULL;
	}
	return spec;
}
