/* SPDX-License-Identifier: MIT */
#include "attach/files.h"

#include "common/util.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

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

static int write_resolv(const struct net_plan *plan, const struct net_files_of *of, const char *dir,
			const struct addresses *gateways, struct plug_error *err)
{
	static const struct net_dns none = { 0 };
	const struct net_dns *dns = of->count ? &of->networks[0]->dns : &none;
	const char *const *lists[] = { list_of(&plan->dns),    list_of(&plan->search),
				       list_of(&plan->options), list_of(&dns->servers),
				       list_of(&dns->search),   list_of(&dns->options) };
	_cleanup_text_ struct plug_text host = { 0 }, text = { 0 };
	struct net_resolv_request request = {
		.servers = lists[0], .search = lists[1], .options = lists[2],
		.net_servers = lists[3], .net_search = lists[4], .net_options = lists[5],
		.net_domain = dns->domain,
		.resolver = of->resolver && gateways->count ? gateways->list : NULL,
		.unqualified = plan->unqualified, .shares_host = plan->host,
	};
	int r = net_resolv_read(NULL, NULL, plan->host, &host);

	if (r < 0)
		(void)plug_error_errno(err, r, "/etc/resolv.conf");
	request.host = host.data;
	if (r == 0)
		r = net_resolv_compose(&request, &text, err);
	if (r == 0)
		r = write_text(dir, "resolv.conf", &text, err);
	for (size_t i = 0; i < PLUG_ELEMENTS(lists); i++)
		free((void *)lists[i]);
	return r;
}

static int write_hosts(const struct net_plan *plan, const struct net_files_of *of, const char *dir,
		       const struct addresses *gateways, struct plug_error *err)
{
	__attribute__((cleanup(addresses_finish))) struct addresses own = { 0 };
	_cleanup_free_ const char *const *add = list_of(&plan->hosts);
	_cleanup_text_ struct plug_text text = { 0 };
	struct net_hosts_request request = { .hostname = plan->hostname, .domain = plan->domainname,
					     .add = add, .gateways = gateways->list };
	size_t most = 0;
	int r;

	for (size_t i = 0; i < of->count; i++)
		most += of->endpoints[i]->ip_count;
	r = addresses_init(&own, most);
	if (r < 0)
		return plug_error_errno(err, r, "hosts");
	for (size_t i = 0; i < of->count; i++)
		for (size_t n = 0; n < of->endpoints[i]->ip_count; n++) {
			addresses_add(&own, &of->endpoints[i]->ips[n]);
			request.ipv6 |= of->endpoints[i]->ips[n].family == AF_INET6;
		}
	request.addresses = own.list;
	r = net_hosts_compose(&request, &text, err);
	return r < 0 ? r : write_text(dir, "hosts", &text, err);
}

int net_files_write(const struct net_plan *plan, const struct net_files_of *of, const char *dir,
		    struct plug_error *err)
{
	__attribute__((cleanup(addresses_finish))) struct addresses gateways = { 0 };
	int r;

	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		return plug_error_errno(err, -errno, "%s", dir);
	r = gateways_of(of, &gateways);
	if (r < 0)
		return plug_error_errno(err, r, "%s", dir);
	r = write_resolv(plan, of, dir, &gateways, err);
	return r < 0 ? r : write_hosts(plan, of, dir, &gateways, err);
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
	for (size_t i = 0; i < PLUG_ELEMENTS(names); i++)
		if (unlinkat(fd, names[i], 0) < 0 && errno != ENOENT)
			return plug_error_errno(err, -errno, "%s/%s", dir, names[i]);
	return rmdir(dir) < 0 && errno != ENOENT ? plug_error_errno(err, -errno, "%s", dir) : 0;
}
