/* SPDX-License-Identifier: MIT */
#include "attach/files.h"

#include "attach/names.h"
#include "common/files.h"
#include "common/util.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_MAX 1048576 /* more than that nobody has in there */

static int write_text(const char *dir, const char *name, const struct plug_text *text, struct plug_error *err)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = -1;
	int r;

	if (text->failed || asprintf(&path, "%s/%s", dir, name) < 0)
		return plug_error_errno(err, -ENOMEM, "%s", name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	/* Whatever the umask: all users of the container read it. */
	if (fd < 0 || fchmod(fd, 0644) < 0)
		return plug_error_errno(err, -errno, "%s", path);
	r = plug_write_all(fd, text->data ? text->data : "", text->len);
	return r < 0 ? plug_error_errno(err, r, "%s", path) : 0;
}

/* A list that ends with NULL, its strings still v's. */
static const char *const *list_of(const struct net_strv *v)
{
	const char **list = v->count ? calloc(v->count + 1, sizeof(*list)) : NULL;

	for (size_t i = 0; list && i < v->count; i++)
		list[i] = v->items[i];
	return list;
}

/* Addresses as texts, in one piece of memory with their list. */
struct addresses {
	char (*texts)[NET_ADDR_TEXT];
	const char **list;
	size_t count;
};

static void addresses_finish(struct addresses *a)
{
	free(a->texts);
	free(a->list);
}

static int addresses_init(struct addresses *a, size_t most)
{
	a->texts = calloc(most + 1, sizeof(*a->texts));
	a->list = calloc(most + 1, sizeof(*a->list));
	return a->texts && a->list ? 0 : -ENOMEM;
}

static void addresses_add(struct addresses *a, const struct net_addr *addr)
{
	if (!net_addr_is_set(addr))
		return;
	net_addr_format(addr, a->texts[a->count]);
	a->list[a->count] = a->texts[a->count];
	a->count++;
}

static int gateways_of(const struct net_files_of *of, struct addresses *ret)
{
	int r = addresses_init(ret, 2 * of->count);

	for (size_t i = 0; r == 0 && i < of->count; i++) {
		addresses_add(ret, &of->endpoints[i]->gateway);
		addresses_add(ret, &of->endpoints[i]->gateway6);
	}
	return r;
}

/* Nobody has named a server, and those of the host are on its loopback, or there are none. */
static int needs_forwarder(const struct net_plan *plan, const char *host, bool *ret)
{
	char **servers = NULL;
	int r = plan->dns.count ? 0 : net_resolv_servers(host ? host : "", false, &servers);

	*ret = servers && !*servers;
	net_strings_free(servers);
	return r;
}

/* Of those networks that have a resolver of ours. */
static int resolvers_of(const struct net_files_of *of, struct addresses *ret)
{
	int r = addresses_init(ret, 2 * of->count);

	for (size_t i = 0; r == 0 && of->resolver && i < of->count; i++) {
		if (!net_network_resolves(of->networks[i]))
			continue;
		addresses_add(ret, &of->endpoints[i]->gateway);
		addresses_add(ret, &of->endpoints[i]->gateway6);
	}
	return r;
}

/* Of each list the endpoint's, where it has one, else its network's. */
static const char *const *of_first(const struct net_files_of *of, size_t member)
{
	const struct net_strv *own, *theirs;

	if (!of->count)
		return NULL;
	own = (const void *)((const char *)&of->endpoints[0]->dns + member);
	theirs = (const void *)((const char *)&of->networks[0]->dns + member);
	return list_of(own->count ? own : theirs);
}

static const char *domain_of(const struct net_files_of *of)
{
	if (!of->count)
		return NULL;
	return of->endpoints[0]->dns.domain ? of->endpoints[0]->dns.domain : of->networks[0]->dns.domain;
}

static int compose_resolv(const struct net_plan *plan, const struct net_files_of *of, struct plug_text *ret,
			  struct plug_error *err)
{
	__attribute__((cleanup(addresses_finish))) struct addresses resolvers = { 0 };
	const char *const *lists[] = { list_of(&plan->dns),
				       list_of(&plan->search),
				       list_of(&plan->options),
				       of_first(of, offsetof(struct net_dns, servers)),
				       of_first(of, offsetof(struct net_dns, search)),
				       of_first(of, offsetof(struct net_dns, options)) };
	_cleanup_text_ struct plug_text host = { 0 };
	struct net_resolv_request request = {
		.servers = lists[0], .search = lists[1], .options = lists[2],
		.net_servers = lists[3], .net_search = lists[4], .net_options = lists[5],
		.net_domain = domain_of(of),
		.unqualified = plan->unqualified, .shares_host = plan->host,
	};
	const char *const forwarder[] = { of->forwarder, NULL };
	bool needed = false;
	int r = resolvers_of(of, &resolvers);

	if (r == 0)
		r = net_resolv_read(NULL, NULL, plan->host, &host);
	if (r == 0 && of->forwarder)
		r = needs_forwarder(plan, host.data, &needed);
	if (r < 0)
		(void)plug_error_errno(err, r, "/etc/resolv.conf");
	request.host = host.data;
	request.resolver = resolvers.count ? resolvers.list : needed ? forwarder : NULL;
	if (r == 0)
		r = net_resolv_compose(&request, ret, err);
	for (size_t i = 0; i < PLUG_ELEMENTS(lists); i++)
		free((void *)lists[i]);
	return r;
}

static int compose_hosts(const struct net_plan *plan, const struct net_files_of *of, struct plug_text *ret,
			 struct plug_error *err)
{
	__attribute__((cleanup(addresses_finish))) struct addresses own = { 0 }, gateways = { 0 };
	_cleanup_free_ const char *const *add = list_of(&plan->hosts);
	struct net_hosts_request request = { .hostname = plan->hostname, .domain = plan->domainname,
					     .add = add };
	size_t most = 0;
	int r;

	for (size_t i = 0; i < of->count; i++)
		most += of->endpoints[i]->ip_count;
	r = addresses_init(&own, most) ?: gateways_of(of, &gateways);
	if (r < 0)
		return plug_error_errno(err, r, "hosts");
	for (size_t i = 0; i < of->count; i++)
		for (size_t n = 0; n < of->endpoints[i]->ip_count; n++) {
			addresses_add(&own, &of->endpoints[i]->ips[n]);
			request.ipv6 |= of->endpoints[i]->ips[n].family == AF_INET6;
		}
	request.addresses = own.list;
	request.gateways = gateways.list;
	return net_hosts_compose(&request, ret, err);
}

static const struct {
	const char *name;
	int (*compose)(const struct net_plan *plan, const struct net_files_of *of, struct plug_text *ret,
		       struct plug_error *err);
} files[] = { { "resolv.conf", compose_resolv }, { "hosts", compose_hosts } };

int net_files_write(const struct net_plan *plan, const struct net_files_of *of, const char *dir,
		    struct plug_error *err)
{
	int r = mkdir(dir, 0755) < 0 && errno != EEXIST ? plug_error_errno(err, -errno, "%s", dir) : 0;

	for (size_t i = 0; r == 0 && i < PLUG_ELEMENTS(files); i++) {
		_cleanup_text_ struct plug_text text = { 0 };

		r = files[i].compose(plan, of, &text, err);
		if (r == 0)
			r = write_text(dir, files[i].name, &text, err);
	}
	return r;
}

/* ---- networks come and go while it runs */

/* Whether text has this line. */
static bool has_line(const char *text, const char *line, size_t len)
{
	for (const char *p = text; p && *p; p += strcspn(p, "\n"), p += *p == '\n')
		if (strcspn(p, "\n") == len && !memcmp(p, line, len))
			return true;
	return false;
}

/* Appends the lines of text, but for those that `not` has (and `but` has not). */
static void add_lines(const char *text, const char *not, const char *but, struct plug_text *ret)
{
	size_t len;

	for (const char *p = text; p && *p; p += len, p += *p == '\n') {
		len = strcspn(p, "\n");
		if (!not || !has_line(not, p, len) || (but && has_line(but, p, len)))
			plug_text_add(ret, "%.*s\n", (int)len, p);
	}
}

static int change_one(const struct net_plan *plan, const struct net_files_of *before,
		      const struct net_files_of *after, const char *dir, size_t i, struct plug_error *err)
{
	_cleanup_text_ struct plug_text old = { 0 }, next = { 0 }, merged = { 0 };
	_cleanup_free_ char *path = NULL, *now = NULL;
	_cleanup_close_ int fd = -1;
	size_t size;
	int r = asprintf(&path, "%s/%s", dir, files[i].name) < 0 ? -ENOMEM : 0;

	fd = r == 0 ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK) : -1;
	/* A container has no such file of ours: it mounts something there. */
	if (fd < 0)
		return r < 0 || errno != ENOENT ? plug_error_errno(err, r < 0 ? r : -errno, "%s", dir) : 0;
	r = plug_file_read(fd, FILE_MAX, &now, &size);
	if (r < 0)
		return plug_error_errno(err, r, "%s", path);
	r = files[i].compose(plan, before, &old, err) ?: files[i].compose(plan, after, &next, err);
	if (r < 0)
		return r;
	if (!strcmp(now, old.data ? old.data : ""))
		return write_text(dir, files[i].name, &next, err);
	/* Somebody inside has written to it: his lines stay. */
	add_lines(now, old.data, next.data, &merged);
	add_lines(next.data, now, NULL, &merged);
	return write_text(dir, files[i].name, &merged, err);
}

int net_files_change(const struct net_plan *plan, const struct net_files_of *before,
		     const struct net_files_of *after, const char *dir, struct plug_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < PLUG_ELEMENTS(files); i++)
		r = change_one(plan, before, after, dir, i, err);
	return r;
}

static const char *const names[] = { "resolv.conf", "hosts" };

static int share(int from, int to, const char *name)
{
	if (unlinkat(to, name, 0) < 0 && errno != ENOENT)
		return -errno;
	return linkat(from, name, to, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

int net_files_share(const char *from, const char *dir, struct plug_error *err)
{
	_cleanup_free_ char *theirs = NULL;
	_cleanup_close_ int source = -1, target = -1;
	int r = 0;

	if (asprintf(&theirs, "%s/net", from) < 0) {
		theirs = NULL;
		return plug_error_errno(err, -ENOMEM, "%s", from);
	}
	source = open(theirs, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (source < 0)
		return errno == ENOENT ? 0 : plug_error_errno(err, -errno, "%s", theirs);
	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		return plug_error_errno(err, -errno, "%s", dir);
	target = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (target < 0)
		return plug_error_errno(err, -errno, "%s", dir);
	for (size_t i = 0; r == 0 && i < PLUG_ELEMENTS(names); i++) {
		r = share(source, target, names[i]);
		if (r < 0)
			(void)plug_error_errno(err, r, "%s/%s", dir, names[i]);
	}
	return r;
}

int net_files_remove(const char *dir, struct plug_error *err)
{
	_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return errno == ENOENT ? 0 : plug_error_errno(err, -errno, "%s", dir);
	for (size_t i = 0; i < PLUG_ELEMENTS(files); i++)
		if (unlinkat(fd, files[i].name, 0) < 0 && errno != ENOENT)
			return plug_error_errno(err, -errno, "%s/%s", dir, files[i].name);
	return rmdir(dir) < 0 && errno != ENOENT ? plug_error_errno(err, -errno, "%s", dir) : 0;
}
