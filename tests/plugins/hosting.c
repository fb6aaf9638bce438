/* SPDX-License-Identifier: MIT */
/*
 * Hosting systems without any machine: the service cowherd.hosting.  The directory COW_FAKE_HOSTING has
 *
 *	log    each call appended as a line of JSON
 *	fail   "N CODE": the N-th change from now on fails with that errno, "N CODE now": inside the call;
 *	       "N never": it is not answered; "N late": it is made, and not answered; "N dead": the process is
 *	       killed by SIGKILL instead; "N made": it is made, and then the process is killed
 *	gone   there is no system at all
 *
 * Systems are those whose names begin with "vm": "vm-windows" has a Windows guest, "vm-old" a Linux one
 * that knows no namespaces.
 */
#include "fake.h"

#include "cowherd/hosting.h"

#include <signal.h>
#include <unistd.h>

struct pending {
	struct pending *next;
	cowherd_hosting_cb cb;
	void *arg;
	uint64_t timer;
	int code;
};
static struct pending *pending;

static const char *path(const char *name, char *text, size_t size)
{
	const char *dir = getenv("COW_FAKE_HOSTING");

	(void)snprintf(text, size, "%s/%s", dir ? dir : "/nonexistent", name);
	return text;
}

static void note(const struct cowherd_hosting_request *r)
{
	char name[200];
	FILE *f = fopen(path("log", name, sizeof(name)), "ae");

	if (!f)
		return;
	(void)fprintf(f, "{\"system\":\"%s\",\"container\":\"%s\",\"side\":\"%s\",", r->system, r->container,
		      r->side == COWHERD_HOSTING_GUEST ? "guest" : "host");
	(void)fprintf(f, "\"resource\":\"%s\",\"type\":\"%s\",\"settings\":%s,", r->resource, r->type,
		      r->settings);
	(void)fprintf(f, "\"netns\":\"%s\",\"link\":\"%s\"}\n", r->netns ? r->netns : "",
		      r->link ? r->link : "");
	(void)fclose(f);
}

/* The word for this change, or "". */
static const char *script(char *word, size_t size)
{
	char name[200], text[64] = "";
	FILE *f = fopen(path("fail", name, sizeof(name)), "re");
	long n;
	char *end;

	if (!f)
		return "";
	if (!fgets(text, sizeof(text), f))
		text[0] = '\0';
	(void)fclose(f);
	n = strtol(text, &end, 10);
	if (n > 1) {
		f = fopen(name, "we");
		if (f) {
			(void)fprintf(f, "%ld%s", n - 1, end);
			(void)fclose(f);
		}
		return "";
	}
	if (n == 1)
		(void)unlink(name);
	(void)snprintf(word, size, "%s", n == 1 ? end + strspn(end, " ") : "");
	return word;
}

static void reply(void *arg)
{
	struct pending *p = arg, **at = &pending;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	p->cb(p->arg, p->code, p->code < 0 ? "device: as the script says" : NULL);
	free(p);
}

static int fake_describe(const char *system, struct cowherd_hosting_system *ret)
{
	char name[200];

	if (strncmp(system, "vm", 2) != 0 || access(path("gone", name, sizeof(name)), F_OK) == 0)
		return -ESRCH;
	ret->flags = strncmp(system, "vm-windows", 10) == 0 ?
			     COWHERD_HOSTING_WINDOWS | COWHERD_HOSTING_NAMESPACES :
		     strncmp(system, "vm-old", 6) == 0 ? 0 :
							 COWHERD_HOSTING_NAMESPACES;
	return 0;
}

static int fake_modify(const struct cowherd_hosting_request *request, cowherd_hosting_cb cb, void *arg)
{
	struct pending *p;
	char text[64];
	const char *word = script(text, sizeof(text));
	int code = -(int)strtol(word, NULL, 10);

	if (strncmp(word, "dead", 4) == 0)
		(void)raise(SIGKILL);
	if (code < 0 && strstr(word, "now"))
		return code;
	if (code == 0 && strncmp(word, "never", 5) != 0)
		note(request);
	if (strncmp(word, "made", 4) == 0)
		(void)raise(SIGKILL);
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	*p = (struct pending){ .next = pending, .cb = cb, .arg = arg, .code = code };
	pending = p;
	if (strncmp(word, "never", 5) != 0 && strncmp(word, "late", 4) != 0)
		return host->timer_start(self, 1, 0, reply, p, &p->timer);
	return 0;
}

/* Answers nobody: both "never" and "late" mean it. */
static void fake_cancel(cowherd_hosting_cb cb, void *arg)
{
	const struct cowherd_hosting_request none = { .system = "", .container = "", .resource = "",
						      .type = "cancel", .settings = "{}" };

	(void)cb;
	(void)arg;
	note(&none);
}

static int hosting_init(const struct cowherd_host *h, struct cowherd_self *s)
{
	static const struct cowherd_hosting service = { .size = sizeof(service), .describe = fake_describe,
							.modify = fake_modify, .cancel = fake_cancel };

	host = h;
	self = s;
	return h->provide(s, COWHERD_SERVICE_HOSTING, COWHERD_HOSTING_VERSION, &service);
}

static int hosting_fini(char *message, size_t size)
{
	(void)message;
	(void)size;
	while (pending) {
		struct pending *p = pending;

		pending = p->next;
		free(p);
	}
	return 0;
}

static const char *const provides[] = { "hosting", NULL };

FAKE_PLUGIN("fake-hosting", .init = hosting_init, .fini = hosting_fini, .provides = provides)
