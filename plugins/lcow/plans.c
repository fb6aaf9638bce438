/* SPDX-License-Identifier: MIT */
#include "lcow.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEPT 8
#define KEPT_BYTES (256u << 10) /* a plan larger than this is compiled anew each time */
#define PLAN_MAX (64u << 20)

static struct plan *kept[KEPT]; /* the one used last comes first */

/* Two different mixers, so that equal hashes mean equal texts. */
static void plan_hash(const char *spec, size_t len, const char *bundle, uint64_t ret[2])
{
	uint64_t a = 0xcbf29ce484222325u, b = 0x9e3779b97f4a7c15u;
	size_t bundle_len = strlen(bundle) + 1;

	for (size_t i = 0; i < len + bundle_len; i++) {
		unsigned char c =
			(unsigned char)(i < bundle_len ? bundle[i] : spec[i - bundle_len]);

		a = (a ^ c) * 0x100000001b3u;
		b = ((b << 5 | b >> 59) + c) * 0xff51afd7ed558ccdu;
	}
	ret[0] = a;
	ret[1] = b ^ b >> 33;
}

static void kept_to_front(unsigned i)
{
	struct plan *p = kept[i];

	memmove(kept + 1, kept, i * sizeof(kept[0]));
	kept[0] = p;
}

struct plan *plan_find(const char *spec, size_t len, const char *bundle)
{
	uint64_t hash[2];

	plan_hash(spec, len, bundle, hash);
	for (unsigned i = 0; i < KEPT && kept[i]; i++) {
		if (kept[i]->spec_len != len || memcmp(kept[i]->hash, hash, sizeof(hash)) != 0)
			continue;
		kept_to_front(i);
		kept[0]->refs++;
		return kept[0];
	}
	return NULL;
}

static struct plan *plan_wrap(struct launch_plan *launch)
{
	struct plan *p = calloc(1, sizeof(*p));

	if (!p) {
		free(launch);
		return NULL;
	}
	p->refs = 1;
	p->launch = launch;
	return p;
}

int plan_compile(const char *spec, size_t len, const char *bundle, struct plan **ret,
		 struct launch_error *err)
{
	struct launch_compile_options options = { .bundle = bundle,
						  .caps_possible = lcow.caps_possible };
	struct launch_plan *launch;
	struct plan *p;
	int r;

	r = launch_compile(spec, len, &options, &launch, err);
	if (r < 0)
		return r;
	p = plan_wrap(launch);
	if (!p)
		return -ENOMEM;
	p->spec_len = len;
	plan_hash(spec, len, bundle, p->hash);
	*ret = p;
	return 0;
}

void plan_warn(const struct launch_plan *plan, const char *container)
{
	for (uint32_t i = 0; i < plan->ignored.n; i++)
		lcow.host->log(lcow.self, COWHERD_LOG_WARN, container, "spec.ignored",
			       launch_text(plan, *launch_at(plan, plan->ignored, launch_str, i)));
}

void plan_keep(struct plan *plan)
{
	if (plan->launch->size > KEPT_BYTES)
		return;
	plan_unref(kept[KEPT - 1]);
	kept[KEPT - 1] = plan;
	plan->refs++;
	kept_to_front(KEPT - 1);
}

void plan_unref(struct plan *plan)
{
	if (!plan || --plan->refs > 0)
		return;
	free(plan->launch);
	free(plan);
}

void plans_drop(void)
{
	for (unsigned i = 0; i < KEPT; i++) {
		plan_unref(kept[i]);
		kept[i] = NULL;
	}
}

int plan_save(const struct plan *plan, const char *path)
{
	const char *data = (const char *)plan->launch;
	size_t left = plan->launch->size;
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600), r = 0;

	if (fd < 0)
		return -errno;
	while (left > 0 && r == 0) {
		ssize_t n = write(fd, data, left);

		if (n < 0 && errno != EINTR)
			r = -errno;
		data += n > 0 ? n : 0;
		left -= n > 0 ? (size_t)n : 0;
	}
	if (close(fd) < 0 && r == 0)
		r = -errno;
	return r;
}

static int read_whole(int fd, char *buf, size_t len)
{
	while (len > 0) {
		ssize_t n = read(fd, buf, len);

		if (n == 0)
			return -EBADMSG;
		if (n < 0 && errno != EINTR)
			return -errno;
		buf += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

int plan_load(const char *path, struct plan **ret)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), r = 0;
	struct launch_plan *launch = NULL;
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		r = -errno;
	else if (st.st_size < (off_t)sizeof(*launch) || st.st_size > (off_t)PLAN_MAX)
		r = -EBADMSG;
	if (r == 0) {
		launch = malloc((size_t)st.st_size);
		r = launch ? read_whole(fd, (char *)launch, (size_t)st.st_size) : -ENOMEM;
	}
	(void)close(fd);
	if (r == 0)
		r = launch_plan_check(launch, (size_t)st.st_size);
	if (r < 0) {
		free(launch);
		return r;
	}
	*ret = plan_wrap(launch);
	return *ret ? 0 : -ENOMEM;
}
