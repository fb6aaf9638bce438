/* SPDX-License-Identifier: MIT */
#include "attach/neighbours.h"

#include "common/files.h"
#include "common/text.h"
#include "common/util.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define HOSTS_MAX (1u << 20)
#define MARK "\t# endpoint "

/* One who changes files at a time, so that no line is lost. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* The plugins made it, not we: it has no end of ours on the host. */
static bool is_cni(const struct net_endpoint *e)
{
	return !*e->host_link && *e->guest_link && e->ip_count && e->containers.count;
}

static void lines_of(const struct net_endpoint *e, struct plug_text *ret)
{
	for (size_t i = 0; i < e->ip_count; i++) {
		char address[NET_ADDR_TEXT];

		net_addr_format(&e->ips[i], address);
		plug_text_add(ret, "%s\t%s", address, e->name ? e->name : e->containers.items[0]);
		for (size_t k = 0; k < e->aliases.count; k++)
			plug_text_add(ret, " %s", e->aliases.items[k]);
		plug_text_add(ret, " %.12s" MARK "%s\n", e->containers.items[0], e->id);
	}
}

/* The hosts file of e's container, which has its directory beside run_dir; -1. */
static int hosts_open(const struct net_endpoint *e, const char *run_dir)
{
	const char *end = strrchr(run_dir, '/');
	_cleanup_free_ char *path = NULL;

	if (!end || asprintf(&path, "%.*s/%s/net/hosts", (int)(end - run_dir), run_dir,
			     e->containers.items[0]) < 0) {
		path = NULL;
		return -1;
	}
	return open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
}

/* The lines that bear the mark go; then more (may be NULL) comes behind.  In place: the file is mounted. */
static void hosts_edit(int fd, const char *mark, const char *more)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_text_ struct plug_text out = { 0 };
	char *rest, *line;
	size_t size;

	if (fd < 0 || plug_file_read(fd, HOSTS_MAX, &text, &size) < 0)
		return;
	for (rest = text; (line = strsep(&rest, "\n")) && (*line || rest);)
		if (!strstr(line, mark))
			plug_text_add(&out, "%s\n", line);
	plug_text_add(&out, "%s", more ? more : "");
	if (out.failed || (out.len == size && !memcmp(out.data, text, size)))
		return;
	if (lseek(fd, 0, SEEK_SET) == 0 && plug_write_all(fd, out.data ? out.data : "", out.len) == 0)
		(void)!ftruncate(fd, (off_t)out.len);
}

static void hosts_put(const struct net_endpoint *in, const struct net_endpoint *of, const char *run_dir,
		      bool there)
{
	_cleanup_close_ int fd = hosts_open(in, run_dir);
	_cleanup_text_ struct plug_text lines = { 0 };
	char mark[NET_ID_SIZE + sizeof(MARK)];

	(void)snprintf(mark, sizeof(mark), MARK "%s", of->id);
	if (there)
		lines_of(of, &lines);
	if (!lines.failed)
		hosts_edit(fd, mark, lines.data);
}

/* Between e and each other one of its network. */
static void each_other(struct net_state *s, const struct net_endpoint *e, const char *run_dir, bool there)
{
	struct net_entry *entries = NULL;
	size_t count = 0;

	if (net_store_list(s->store, NET_ENDPOINTS, e->network, &entries, &count, NULL) < 0)
		return;
	(void)pthread_mutex_lock(&lock);
	for (size_t i = 0; i < count; i++) {
		struct net_endpoint *other = NULL;

		if (!strcmp(entries[i].id, e->id) ||
		    net_store_endpoint(s->store, entries[i].id, &other, NULL) < 0)
			continue;
		if (is_cni(other)) {
			hosts_put(other, e, run_dir, there);
			if (there)
				hosts_put(e, other, run_dir, true);
		}
		net_endpoint_free(other);
	}
	(void)pthread_mutex_unlock(&lock);
	net_entries_free(entries, count);
}

void net_neighbours_join(struct net_state *s, const struct net_endpoint *e, const char *run_dir)
{
	if (is_cni(e))
		each_other(s, e, run_dir, true);
}

void net_neighbours_leave(struct net_state *s, const char *endpoint, const char *run_dir)
{
	struct net_endpoint *e = NULL;

	if (net_store_endpoint(s->store, endpoint, &e, NULL) < 0)
		return;
	if (is_cni(e))
		each_other(s, e, run_dir, false);
	net_endpoint_free(e);
}
