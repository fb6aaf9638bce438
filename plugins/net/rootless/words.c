/* SPDX-License-Identifier: MIT */
#include "rootless/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

void words_add(struct words *w, const char *format, ...)
{
	va_list args;

	if (w->failed)
		return;
	if (w->count + 1 == PLUG_ELEMENTS(w->word)) {
		w->failed = -E2BIG;
		return;
	}
	va_start(args, format);
	if (vasprintf(&w->word[w->count], format, args) < 0) {
		w->word[w->count] = NULL;
		w->failed = -ENOMEM;
	} else {
		w->count++;
	}
	va_end(args);
}

void words_finish(struct words *w)
{
	for (size_t i = 0; i < w->count; i++)
		free(w->word[i]);
}

/* Options -t or -u, each "[ADDRESS/]8080:80". */
static void pasta_ports(const struct net_rootless *q, bool udp, struct words *w)
{
	bool none = true;

	for (size_t i = 0; i < q->port_count; i++) {
		const struct net_rootless_port *p = &q->ports[i];

		if (p->udp != udp)
			continue;
		none = false;
		words_add(w, udp ? "-u" : "-t");
		words_add(w, "%s%s%u:%u", p->host ? p->host : "", p->host ? "/" : "", p->external,
			  p->internal);
	}
	if (none) {
		words_add(w, udp ? "-u" : "-t");
		words_add(w, "none");
	}
}

int rootless_pasta_words(const struct net_rootless *q, const char *path, struct words *w)
{
	/* -T, -U, --no-map-gw: what listens on the user's loopback is not for the container. */
	static const char *const options[] = { "-q", "-f",   "-e", "--config-net", "--no-map-gw",
					       "-T", "none", "-U", "none" };

	words_add(w, "%s", path);
	for (size_t i = 0; i < PLUG_ELEMENTS(options); i++)
		words_add(w, "%s", options[i]);
	words_add(w, "-I");
	words_add(w, "%s", q->ifname);
	words_add(w, "--dns-forward");
	words_add(w, NET_ROOTLESS_PASTA_DNS);
	words_add(w, "-P");
	words_add(w, "%s/pasta", q->dir);
	pasta_ports(q, false, w);
	pasta_ports(q, true, w);
	words_add(w, "--userns");
	words_add(w, "%s", q->userns);
	words_add(w, "--netns");
	words_add(w, "%s", q->netns);
	return w->failed;
}

int rootless_slirp_words(const struct net_rootless *q, const char *path, int ready_fd, struct words *w)
{
	words_add(w, "%s", path);
	words_add(w, "--configure");
	words_add(w, "--mtu=65520");
	words_add(w, "--disable-host-loopback");
	words_add(w, "--enable-ipv6");
	words_add(w, "--ready-fd=%d", ready_fd);
	words_add(w, "--api-socket=%s/api", q->dir);
	words_add(w, "--userns-path=%s", q->userns);
	words_add(w, "--netns-type=path");
	words_add(w, "%s", q->netns);
	words_add(w, "%s", q->ifname);
	return w->failed;
}

static int api_connect(const char *dir)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct timeval limit = { .tv_sec = 5 };
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (snprintf(un.sun_path, sizeof(un.sun_path), "%s/api", dir) >= (int)sizeof(un.sun_path))
		return -ENAMETOOLONG;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&un, sizeof(un)) < 0)
		return -errno;
	return plug_take_fd(&fd);
}

/* A request, an answer, a connection: {"return":…} or {"error":{"desc":…}}. */
static int api_ask(const char *dir, const char *request, char *answer, size_t size)
{
	_cleanup_close_ int fd = api_connect(dir);
	size_t got = 0;
	ssize_t n;
	int r = fd < 0 ? fd : plug_write_all(fd, request, strlen(request));

	if (r == 0 && shutdown(fd, SHUT_WR) < 0)
		r = -errno;
	while (r == 0 && got < size - 1) {
		n = read(fd, answer + got, size - 1 - got);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			r = -errno;
		if (n <= 0)
			break;
		got += (size_t)n;
	}
	answer[got] = 0;
	return r;
}

int rootless_slirp_ports(const struct net_rootless *q, struct plug_error *err)
{
	for (size_t i = 0; i < q->port_count; i++) {
		const struct net_rootless_port *p = &q->ports[i];
		char request[256], answer[512];
		int r;

		(void)snprintf(request, sizeof(request),
			       "{\"execute\":\"add_hostfwd\",\"arguments\":{\"proto\":\"%s\","
			       "\"host_addr\":\"%s\",\"host_port\":%u,\"guest_port\":%u}}",
			       p->udp ? "udp" : "tcp", p->host ? p->host : "0.0.0.0", p->external,
			       p->internal);
		r = api_ask(q->dir, request, answer, sizeof(answer));
		if (r < 0)
			return plug_error_errno(err, r, "slirp4netns: port %u", p->external);
		if (strstr(answer, "\"error\""))
			return plug_error_set(err, -EADDRINUSE, "slirp4netns: port %u: %.200s", p->external,
					      answer);
	}
	return 0;
}
