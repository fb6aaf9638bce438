/* SPDX-License-Identifier: MIT */
#include "disk/spill.h"

#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define NONE UINT32_MAX
#define UNSET UINT64_MAX

struct frame {
	uint64_t page;
	uint32_t chain;      /* of one hash bucket */
	uint32_t newer, older; /* by use */
	bool dirty;
	uint8_t *data;
};

struct st_spill {
	int dirfd, fd;
	unsigned count, used;
	uint64_t written; /* pages of the file that may hold anything */
	uint32_t newest, oldest;
	uint32_t mask, *buckets;
	struct frame frames[];
};

int st_spill_create(int dirfd, unsigned frames, struct st_spill **ret)
{
	struct st_spill *s = calloc(1, sizeof(*s) + frames * sizeof(s->frames[0]));
	uint32_t size = 64;

	while (size < frames)
		size *= 2;
	if (s)
		s->buckets = malloc(size * sizeof(*s->buckets));
	if (!s || !s->buckets) {
		free(s);
		return -ENOMEM;
	}
	memset(s->buckets, 0xff, size * sizeof(*s->buckets));
	s->dirfd = dirfd;
	s->fd = -1;
	s->count = frames;
	s->mask = size - 1;
	s->newest = s->oldest = NONE;
	*ret = s;
	return 0;
}

void st_spill_destroy(struct st_spill *s)
{
	if (!s)
		return;
	for (unsigned i = 0; i < s->used; i++)
		free(s->frames[i].data);
	if (s->fd >= 0)
		(void)close(s->fd);
	free(s->buckets);
	free(s);
}

static uint32_t *spill_bucket(struct st_spill *s, uint64_t page)
{
	return &s->buckets[(uint32_t)(page * 0x9e3779b97f4a7c15u >> 40) & s->mask];
}

static int spill_file(struct st_spill *s)
{
	if (s->fd >= 0)
		return 0;
	s->fd = openat(s->dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (s->fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT))
		s->fd = memfd_create("spill", MFD_CLOEXEC);
	return s->fd < 0 ? -errno : 0;
}

static int spill_write(struct st_spill *s, const struct frame *f)
{
	int r = spill_file(s);

	if (r == 0)
		r = plug_pwrite_all(s->fd, f->data, ST_SPILL_PAGE, f->page * ST_SPILL_PAGE);
	if (r == 0 && f->page >= s->written)
		s->written = f->page + 1;
	return r;
}

static int spill_read(struct st_spill *s, struct frame *f)
{
	size_t done = 0;
	ssize_t n;

	if (f->page >= s->written) {
		memset(f->data, 0, ST_SPILL_PAGE);
		return 0;
	}
	while (done < ST_SPILL_PAGE) {
		n = pread(s->fd, f->data + done, ST_SPILL_PAGE - done,
			  (off_t)(f->page * ST_SPILL_PAGE + done));
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0) {
			memset(f->data + done, 0, ST_SPILL_PAGE - done);
			return 0;
		}
		done += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static void spill_unlink(struct st_spill *s, uint32_t i)
{
	struct frame *f = &s->frames[i];

	if (f->newer != NONE)
		s->frames[f->newer].older = f->older;
	else
		s->newest = f->older;
	if (f->older != NONE)
		s->frames[f->older].newer = f->newer;
	else
		s->oldest = f->newer;
}

static void spill_push(struct st_spill *s, uint32_t i)
{
	struct frame *f = &s->frames[i];

	f->newer = NONE;
	f->older = s->newest;
	if (s->newest != NONE)
		s->frames[s->newest].newer = i;
	else
		s->oldest = i;
	s->newest = i;
}

/* A frame that holds nothing, in no list: a new one, or the one that was not used for longest. */
static int spill_frame(struct st_spill *s, uint32_t *ret)
{
	struct frame *f;
	uint32_t i, *link;
	int r;

	if (s->used < s->count) {
		f = &s->frames[s->used];
		f->data = malloc(ST_SPILL_PAGE);
		if (!f->data)
			return -ENOMEM;
		*ret = s->used++;
		f->page = UNSET;
		return 0;
	}
	i = s->oldest;
	f = &s->frames[i];
	if (f->dirty) {
		r = spill_write(s, f);
		if (r < 0)
			return r;
	}
	spill_unlink(s, i);
	if (f->page != UNSET) {
		for (link = spill_bucket(s, f->page); *link != i; link = &s->frames[*link].chain)
			;
		*link = f->chain;
	}
	f->page = UNSET;
	f->dirty = false;
	*ret = i;
	return 0;
}

int st_spill_page(struct st_spill *s, uint64_t page, int write, void **ret)
{
	uint32_t *bucket = spill_bucket(s, page), i = *bucket;
	struct frame *f;
	int r;

	while (i != NONE && s->frames[i].page != page)
		i = s->frames[i].chain;
	if (i == NONE) {
		r = spill_frame(s, &i);
		if (r < 0)
			return r;
		f = &s->frames[i];
		f->page = page;
		r = spill_read(s, f);
		if (r < 0) {
			f->page = UNSET; /* in the list of use, and in no bucket */
			spill_push(s, i);
			return r;
		}
		f->chain = *bucket;
		*bucket = i;
		spill_push(s, i);
	} else if (i != s->newest) {
		spill_unlink(s, i);
		spill_push(s, i);
	}
	if (write)
		s->frames[i].dirty = true;
	*ret = s->frames[i].data;
	return 0;
}
