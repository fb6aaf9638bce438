/* SPDX-License-Identifier: MIT */
/* Which hierarchies this host mounts, and where. */
#include "cgroup_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool cgroup_list_has(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = list; at && *at;) {
		size_t n = strcspn(at, ",");

		if (n == len && strncmp(at, word, n) == 0)
			return true;
		at += n + (at[n] == ',');
	}
	return false;
}

/* The words of a v1 mount's options that name what it controls. */
static char *host_controllers(const char *options)
{
	static const char *const others[] = {
		"rw", "ro", "xattr", "noprefix", "clone_children", "cpuset_v2_mode"
	};
	char *out = calloc(1, strlen(options) + 1);
	size_t len = 0;

	for (const char *at = options; out && *at;) {
		size_t n = strcspn(at, ",\n");
		bool other = strncmp(at, "release_agent=", 14) == 0;

		for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
			other |= strlen(others[i]) == n && strncmp(at, others[i], n) == 0;
		if (!other && n) {
			if (len)
				out[len++] = ',';
			memcpy(out + len, at, n);
			len += n;
		}
		at += n;
		if (*at != ',')
			break;
		at++;
	}
	return out;
}

static bool host_knows(const struct cgroup_host *host, const struct cgroup_hierarchy *h)
{
	for (unsigned i = 0; i < host->n; i++) {
		const struct cgroup_hierarchy *o = &host->hierarchies[i];

		if (o->unified == h->unified && strcmp(o->controllers, h->controllers) == 0)
			return true;
	}
	return false;
}

/* The same one mounted twice: the first counts. */
static int host_add(struct cgroup_host *host, const char *mount, const char *type,
		    const char *options)
{
	struct cgroup_hierarchy h = { .unified = strcmp(type, "cgroup2") == 0 };
	bool known = false;

	if (host->n == CGROUP_HIERARCHIES_MAX)
		return 0;
	h.mount = strdup(mount);
	h.controllers = h.unified ? strdup("") : host_controllers(options);
	if (h.mount && h.controllers) {
		known = host_knows(host, &h);
		h.name = strrchr(h.mount, '/') + 1;
		if (!known) {
			host->hierarchies[host->n++] = h;
			return 0;
		}
	}
	free(h.mount);
	free(h.controllers);
	return known ? 0 : -ENOMEM;
}

/* "36 25 0:31 / /sys/fs/cgroup/cpu rw,... - cgroup cgroup rw,cpu" */
static int host_parse_line(char *line, struct cgroup_host *host)
{
	char *save = NULL, *word = strtok_r(line, " ", &save);
	char *root = NULL, *mount = NULL, *type, *options;

	for (int field = 0; word && strcmp(word, "-") != 0; field++) {
		root = field == 3 ? word : root;
		mount = field == 4 ? word : mount;
		word = strtok_r(NULL, " ", &save);
	}
	type = word ? strtok_r(NULL, " ", &save) : NULL;
	(void)strtok_r(NULL, " ", &save);
	options = strtok_r(NULL, " ", &save);
	if (!options || !mount || strncmp(type, "cgroup", 6) != 0)
		return 0;
	/* A part of a hierarchy mounted elsewhere is some container's. */
	if (strcmp(root, "/") != 0 || mount[0] != '/')
		return 0;
	return host_add(host, mount, type, options);
}

int cgroup_host_parse(const char *mountinfo, struct cgroup_host *ret)
{
	struct cgroup_host host = { 0 };
	char *copy = strdup(mountinfo), *save = NULL;
	bool v1 = false, v2 = false;
	int r = copy ? 0 : -ENOMEM;

	for (char *line = copy ? strtok_r(copy, "\n", &save) : NULL; line && r == 0;
	     line = strtok_r(NULL, "\n", &save))
		r = host_parse_line(line, &host);
	free(copy);
	if (r < 0) {
		cgroup_host_finish(&host);
		return r;
	}
	for (unsigned i = 0; i < host.n; i++) {
		v2 |= host.hierarchies[i].unified;
		v1 |= !host.hierarchies[i].unified;
	}
	host.mode = v1 && v2 ? LAUNCH_CGROUP_HYBRID
		    : v2     ? LAUNCH_CGROUP_V2
		    : v1     ? LAUNCH_CGROUP_V1
			     : LAUNCH_CGROUP_NONE;
	*ret = host;
	return 0;
}

void cgroup_host_finish(struct cgroup_host *host)
{
	for (unsigned i = 0; i < host->n; i++) {
		free(host->hierarchies[i].mount);
		free(host->hierarchies[i].controllers);
	}
	*host = (struct cgroup_host){ 0 };
}

/* All of it: a busy host's table is long, and read in one go where it can be. */
static char *host_read_mountinfo(void)
{
	size_t cap = 1 << 16, len = 0;
	char *buf = malloc(cap);
	int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : 1;

	while (buf && n > 0) {
		if (len + 1 == cap) {
			char *more = realloc(buf, cap * 2);

			if (!more)
				break;
			buf = more;
			cap *= 2;
		}
		n = read(fd, buf + len, cap - len - 1);
		len += n > 0 ? (size_t)n : 0;
	}
	if (fd >= 0)
		(void)close(fd);
	if (!buf || n != 0) {
		free(buf);
		return NULL;
	}
	buf[len] = '\0';
	return buf;
}

const struct cgroup_host *cgroup_host(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static struct cgroup_host host;
	static bool known;

	(void)pthread_mutex_lock(&lock);
	if (!known) {
		char *text = host_read_mountinfo();

		known = text && cgroup_host_parse(text, &host) == 0;
		free(text);
	}
	(void)pthread_mutex_unlock(&lock);
	return &host;
}

enum launch_cgroup_mode launch_cgroup_mode(void)
{
	return cgroup_host()->mode;
}

const struct cgroup_hierarchy *cgroup_host_find(const struct cgroup_host *host,
						const char *controller)
{
	for (unsigned i = 0; i < host->n; i++) {
		if (cgroup_list_has(host->hierarchies[i].controllers, controller))
			return &host->hierarchies[i];
	}
	return NULL;
}
