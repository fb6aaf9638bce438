/* SPDX-License-Identifier: MIT */
#include "dns/files.h"
#include "common/util.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define FILE_MAX 65536 /* more of a resolv.conf is not looked at */
#define SPACE " \t\r\f\v"

/* The next line of *text without its end, cut in place; NULL: there is none. */
static char *line_next(char **text)
{
	return strsep(text, "\n");
}

/* What a keyword's line says; NULL: it is another line. */
static char *line_of(char *line, const char *keyword)
{
	size_t len = strlen(keyword);

	if (strncmp(line, keyword, len) != 0 || !line[len] || !strchr(SPACE, line[len]))
		return NULL;
	return line + len + strspn(line + len, SPACE);
}

/* The next word of *words, cut in place; NULL: there is none. */
static char *word_next(char **words)
{
	char *word;

	do {
		word = strsep(words, SPACE);
	} while (word && !*word);
	return word;
}

void net_strings_free(char **strings)
{
	for (char **s = strings; s && *s; s++)
		free(*s);
	free(strings);
}

static void strings_freep(char ***strings)
{
	net_strings_free(*strings);
}

static int strings_add(char ***strings, size_t *n, const char *text)
{
	char **more = realloc(*strings, (*n + 2) * sizeof(*more));

	if (!more)
		return -ENOMEM;
	*strings = more;
	more[*n + 1] = NULL;
	more[*n] = strdup(text);
	if (!more[*n])
		return -ENOMEM;
	(*n)++;
	return 0;
}

int net_dns_check_address(const char *text)
{
	char bare[INET6_ADDRSTRLEN + 1];
	unsigned char in[sizeof(struct in6_addr)];
	const char *scope = strchr(text, '%');
	size_t len = scope ? (size_t)(scope - text) : strlen(text);

	if (scope && (!scope[1] || strlen(scope + 1) > 15 || strpbrk(scope + 1, SPACE "%/#;\n")))
		return -EINVAL;
	if (len >= sizeof(bare))
		return -EINVAL;
	memcpy(bare, text, len);
	bare[len] = 0;
	return inet_pton(AF_INET6, bare, in) == 1 || (!scope && inet_pton(AF_INET, bare, in) == 1)
		       ? 0
		       : -EINVAL;
}

static bool address_loopback(const char *text)
{
	struct in_addr in;

	if (inet_pton(AF_INET, text, &in) == 1)
		return (ntohl(in.s_addr) >> 24) == 127 || !in.s_addr;
	return !strcmp(text, "::1") || !strcmp(text, "::") || !strncmp(text, "::1%", 4);
}

int net_dns_check_name(const char *text)
{
	size_t len = strlen(text), label = 0;

	if (len && text[len - 1] == '.')
		len--;
	if (!len || len > 253)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '.' ? !label : !isalnum(c) && c != '-' && c != '_')
			return -EINVAL;
		label = c == '.' ? 0 : label + 1;
		if (label > 63)
			return -EINVAL;
	}
	return label ? 0 : -EINVAL;
}

/* The host's resolv.conf. */

/* What counts of it, in the words of resolv.conf(5): the last search list, all servers and options. */
struct host {
	char **servers, **search, **options;
	size_t server_count, search_count, option_count;
};

static void host_finish(struct host *h)
{
	net_strings_free(h->servers);
	net_strings_free(h->search);
	net_strings_free(h->options);
}

static int host_search(struct host *h, char *words)
{
	char *word;
	int r = 0;

	net_strings_free(h->search);
	h->search = NULL;
	h->search_count = 0;
	while (r == 0 && (word = word_next(&words))) {
		if (net_dns_check_name(word) == 0)
			r = strings_add(&h->search, &h->search_count, word);
	}
	return r;
}

static int host_server(struct host *h, char *words, bool loopback)
{
	char *word = word_next(&words);

	if (!word || net_dns_check_address(word) < 0 || (!loopback && address_loopback(word)))
		return 0;
	return strings_add(&h->servers, &h->server_count, word);
}

static int host_options(struct host *h, char *words)
{
	char *word;
	int r = 0;

	while (r == 0 && (word = word_next(&words)))
		r = strings_add(&h->options, &h->option_count, word);
	return r;
}

/* What libc would not understand is passed over, as libc does. */
static int host_parse(const char *text, bool loopback, struct host *h)
{
	_cleanup_free_ char *copy = strndup(text, FILE_MAX);
	char *rest = copy, *line, *words;
	int r = copy ? 0 : -ENOMEM;

	while (r == 0 && (line = line_next(&rest))) {
		if ((words = line_of(line, "nameserver")))
			r = host_server(h, words, loopback);
		else if ((words = line_of(line, "search")) || (words = line_of(line, "domain")))
			r = host_search(h, words);
		else if ((words = line_of(line, "options")))
			r = host_options(h, words);
	}
	return r;
}

int net_resolv_servers(const char *text, bool loopback, char ***ret)
{
	_cleanup_(host_finish) struct host h = { 0 };
	int r = host_parse(text, loopback, &h);

	if (r == 0 && !h.servers) {
		h.servers = calloc(1, sizeof(*h.servers));
		r = h.servers ? 0 : -ENOMEM;
	}
	if (r == 0)
		*ret = plug_take_ptr(h.servers);
	return r;
}

/* A small file; one that does not exist is empty. */
static int file_read(const char *path, char **ret)
{
	_cleanup_free_ char *buffer = malloc(FILE_MAX + 1);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	size_t len = 0;
	ssize_t n = 0;

	if (!buffer)
		return -ENOMEM;
	if (fd < 0 && errno != ENOENT)
		return -errno;
	while (fd >= 0 && len < FILE_MAX) {
		n = read(fd, buffer + len, FILE_MAX - len);
		if (n == 0 || (n < 0 && errno != EINTR))
			break;
		len += n > 0 ? (size_t)n : 0;
	}
	if (n < 0)
		return -errno;
	buffer[len] = 0;
	*ret = plug_take_ptr(buffer);
	return 0;
}

/* All servers of the text are on loopback: it is of use on the host only. */
static int text_local(const char *text, bool *ret)
{
	_cleanup_(strings_freep) char **all = NULL, **reachable = NULL;
	int r = net_resolv_servers(text, true, &all);

	if (r == 0)
		r = net_resolv_servers(text, false, &reachable);
	if (r == 0)
		*ret = all[0] && !reachable[0];
	return r;
}

int net_resolv_read(const char *etc, const char *resolved, bool shares_host, struct plug_text *ret)
{
	_cleanup_free_ char *text = NULL, *other = NULL;
	bool local = false, other_local = true;
	int r = file_read(etc ? etc : "/etc/resolv.conf", &text);

	if (r == 0 && !shares_host)
		r = text_local(text, &local);
	if (r == 0 && local &&
	    file_read(resolved ? resolved : "/run/systemd/resolve/resolv.conf", &other) == 0 && *other)
		r = text_local(other, &other_local);
	if (r < 0)
		return r;
	plug_text_add(ret, "%s", other_local ? text : other);
	return ret->failed;
}

/* The container's. */

static const char *const *first_of(const char *const *a, const char *const *b, const char *const *c)
{
	static const char *const none[] = { NULL };

	if (a && *a)
		return a;
	if (b && *b)
		return b;
	return c && *c ? c : none;
}

/* An option is a word, and no comment. */
static int check_option(const char *text)
{
	size_t len = strlen(text);

	if (!len || len > 64 || *text == '#' || *text == ';')
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		if (!isgraph((unsigned char)text[i]))
			return -EINVAL;
	}
	return 0;
}

static int check_all(const char *const *texts, int (*check)(const char *), const char *what,
		     const char *cause, struct plug_error *err)
{
	for (; texts && *texts; texts++) {
		if (check(*texts) < 0)
			return plug_error_set(err, -EINVAL, "%s %.200s: %s", what, *texts, cause);
	}
	return 0;
}

static int check_domain(const char *text)
{
	return strcmp(text, ".") ? net_dns_check_name(text) : 0;
}

static int request_check(const struct net_resolv_request *q, struct plug_error *err)
{
	const char *domain[] = { q->net_domain, NULL };
	const char *const *servers[] = { q->servers, q->net_servers, q->resolver };
	int r = check_all(domain, net_dns_check_name, "DNS domain", "not a domain name", err);

	for (size_t i = 0; i < PLUG_ELEMENTS(servers) && r == 0; i++)
		r = check_all(servers[i], net_dns_check_address, "DNS server", "not an address", err);
	if (r == 0)
		r = check_all(q->search, check_domain, "DNS search domain", "not a domain name", err);
	if (r == 0)
		r = check_all(q->net_search, check_domain, "DNS search domain", "not a domain name", err);
	if (r == 0)
		r = check_all(q->options, check_option, "DNS option", "not one word", err);
	if (r == 0)
		r = check_all(q->net_options, check_option, "DNS option", "not one word", err);
	return r;
}

static bool has(const char *const *texts, const char *text)
{
	for (; texts && *texts; texts++) {
		if (!strcasecmp(*texts, text))
			return true;
	}
	return false;
}

static void compose_search(const struct net_resolv_request *q, const struct host *h, struct plug_text *ret)
{
	const char *const *list = first_of(q->search, q->net_search, (const char *const *)h->search);
	bool asked = q->search && *q->search;
	const char *first = asked ? NULL : q->net_domain;
	unsigned n = 0;

	if (asked && !strcmp(list[0], ".") && !list[1])
		return;
	if (first)
		plug_text_add(ret, "%s%s", n++ ? " " : "search ", first);
	for (; *list; list++) {
		if (strcmp(*list, ".") && !(first && !strcasecmp(first, *list)))
			plug_text_add(ret, "%s%s", n++ ? " " : "search ", *list);
	}
	if (n)
		plug_text_add(ret, "\n");
}

static void compose_options(const struct net_resolv_request *q, const struct host *h, struct plug_text *ret)
{
	const char *const *list = first_of(q->options, q->net_options, (const char *const *)h->options);
	bool deny = q->unqualified == NET_UNQUALIFIED_DENY && !has(list, "no-tld-query");
	unsigned n = 0;

	for (; *list; list++) {
		if (q->unqualified == NET_UNQUALIFIED_ALLOW && !strcasecmp(*list, "no-tld-query"))
			continue;
		plug_text_add(ret, "%s%s", n++ ? " " : "options ", *list);
	}
	if (deny)
		plug_text_add(ret, "%sno-tld-query", n++ ? " " : "options ");
	if (n)
		plug_text_add(ret, "\n");
}

int net_resolv_compose(const struct net_resolv_request *q, struct plug_text *ret, struct plug_error *err)
{
	_cleanup_(host_finish) struct host h = { 0 };
	const char *const *servers;
	int r = request_check(q, err);

	if (r < 0)
		return r;
	r = q->host ? host_parse(q->host, q->shares_host, &h) : 0;
	if (r < 0)
		return plug_error_errno(err, r, "resolv.conf");
	servers = first_of(q->servers, q->net_servers, (const char *const *)h.servers);
	for (servers = first_of(q->resolver, servers, NULL); *servers; servers++)
		plug_text_add(ret, "nameserver %s\n", *servers);
	compose_search(q, &h, ret);
	compose_options(q, &h, ret);
	return ret->failed ? plug_error_errno(err, ret->failed, "resolv.conf") : 0;
}
