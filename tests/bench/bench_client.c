/* SPDX-License-Identifier: MIT */
/*
 * One client over the control socket (docs/protocol.md), written to cost nothing itself:
 *   bench_client SOCKET cycle N BUNDLE              create, start, wait, delete
 *   bench_client SOCKET exec N CONTAINER PROGRAM    exec, wait
 *   bench_client SOCKET load N INFLIGHT BUNDLE      N cycles, INFLIGHT at a time
 * Prints the microseconds of each cycle.
 */
#include "bench.h"

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int sock;
static char in[1 << 16];
static size_t in_len;

static void say(const char *text)
{
	size_t len = strlen(text);

	while (len) {
		ssize_t n = send(sock, text, len, 0);
		if (n <= 0)
			bench_die("send");
		text += n;
		len -= (size_t)n;
	}
}

/* The next line, without its end; valid until the next call. */
static const char *hear(void)
{
	static char line[1 << 16];
	char *end;

	while (!(end = memchr(in, '\n', in_len))) {
		ssize_t n = recv(sock, in + in_len, sizeof(in) - in_len, 0);
		if (n <= 0)
			bench_die("recv");
		in_len += (size_t)n;
	}
	size_t len = (size_t)(end - in);
	memcpy(line, in, len);
	line[len] = '\0';
	in_len -= len + 1;
	memmove(in, end + 1, in_len);
	if (strstr(line, "\"error\":{")) {
		fprintf(stderr, "bench_client: %s\n", line);
		exit(1);
	}
	return line;
}

static const char *field(const char *line, const char *key)
{
	static char value[64];
	char pattern[64];
	const char *p;

	(void)snprintf(pattern, sizeof(pattern), "\"%s\":", key);
	p = strstr(line, pattern);
	if (!p) {
		fprintf(stderr, "bench_client: no %s in %s\n", key, line);
		exit(1);
	}
	p += strlen(pattern);
	p += strspn(p, " \"");
	(void)snprintf(value, sizeof(value), "%.*s", (int)strcspn(p, "\",}"), p);
	return value;
}

static void ask(long id, const char *method, const char *container, const char *more)
{
	char text[4096];

	(void)snprintf(text, sizeof(text),
		       "{\"jsonrpc\":\"2.0\",\"id\":%ld,\"method\":\"%s\","
		       "\"params\":{\"%s\":\"%s\"%s}}\n", id,
		       method, strcmp(method, "container.create") == 0 ? "bundle" : "container", container,
		       more);
	say(text);
}

/* One container's way through its life; id of the requests is 4 * slot + stage. */
struct cycle {
	char id[64];
	double begin;
	int stage;
};

static const char *const stages[] = { "container.create", "container.start", "container.wait",
				      "container.delete" };

static void begin(struct cycle *c, long slot, const char *bundle)
{
	c->begin = bench_now_us();
	c->stage = 0;
	ask(4 * slot, stages[0], bundle, "");
}

/* True when it has come to its end. */
static bool proceed(struct cycle *c, long slot, const char *line)
{
	if (c->stage == 0)
		(void)snprintf(c->id, sizeof(c->id), "%s", field(strstr(line, "\"result\":"), "id"));
	if (c->stage == 2 && strcmp(field(line, "exit_code"), "0") != 0) {
		fprintf(stderr, "bench_client: %s\n", line);
		exit(1);
	}
	if (++c->stage == 4)
		return true;
	ask(4 * slot + c->stage, stages[c->stage], c->id, "");
	return false;
}

static void load(long n, long inflight, const char *bundle)
{
	struct cycle *cycles = calloc((size_t)inflight, sizeof(*cycles));
	long begun = 0, ended = 0;

	if (!cycles)
		bench_die("calloc");
	for (; begun < inflight && begun < n; begun++)
		begin(&cycles[begun], begun, bundle);
	while (ended < n) {
		const char *line = hear();
		const char *id = strstr(line, "\"id\":");
		long slot = atol(id + 5) / 4;

		if (!proceed(&cycles[slot], slot, line))
			continue;
		printf("%.1f\n", bench_now_us() - cycles[slot].begin);
		ended++;
		if (begun < n) {
			begin(&cycles[slot], slot, bundle);
			begun++;
		}
	}
	free(cycles);
}

static void exec_cycles(long n, const char *container, const char *program)
{
	char more[512];

	(void)snprintf(more, sizeof(more), ",\"args\":[\"%s\"]", program);
	for (long i = 0; i < n; i++) {
		double from = bench_now_us();

		ask(1, "container.exec", container, more);
		char wait[128];
		(void)snprintf(wait, sizeof(wait), ",\"exec\":%s",
			       field(strstr(hear(), "\"result\":"), "exec"));
		ask(2, "exec.wait", container, wait);
		if (strcmp(field(hear(), "exit_code"), "0") != 0)
			exit(1);
		printf("%.1f\n", bench_now_us() - from);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (argc < 5 || strlen(argv[1]) >= sizeof(address.sun_path)) {
		fprintf(stderr, "usage: bench_client SOCKET cycle|exec|load N ...\n");
		return 2;
	}
	(void)strcpy(address.sun_path, argv[1]);
	sock = socket(AF_UNIX, SOCK_STREAM, 0);
	if (sock < 0 || connect(sock, (struct sockaddr *)&address, sizeof(address)) < 0)
		bench_die(argv[1]);
	if (strcmp(argv[2], "cycle") == 0)
		load(atol(argv[3]), 1, argv[4]);
	else if (strcmp(argv[2], "load") == 0 && argc > 5)
		load(atol(argv[3]), atol(argv[4]), argv[5]);
	else if (strcmp(argv[2], "exec") == 0 && argc > 5)
		exec_cycles(atol(argv[3]), argv[4], argv[5]);
	else
		return 2;
	return 0;
}
