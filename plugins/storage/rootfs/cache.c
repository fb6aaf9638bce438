/* SPDX-License-Identifier: MIT */
#include "rootfs/cache.h"

#include "common/util.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#define KEPT 8

struct entry {
	struct st_image *image;
	unsigned users;
	bool forgotten;
	uint64_t used; /* the last time, by count */
};

/* What was answered once. */
struct said {
	struct st_mark mark;
	char *reference, *platform, *text;
};

static struct {
	pthread_mutex_t mutex;
	char *dir;
	struct st_store *store;
	struct entry *entries[KEPT * 4]; /* forgotten ones with users among them */
	uint64_t time;
	struct said said[KEPT];
	unsigned next_said;
} cache = { .mutex = PTHREAD_MUTEX_INITIALIZER };

#define PLACES PLUG_ELEMENTS(cache.entries)

int st_cache_store(const char *dir, struct st_store **ret, struct plug_error *err)
{
	int r = 0;

	(void)pthread_mutex_lock(&cache.mutex);
	if (!cache.store) {
		free(cache.dir); /* of a time when it could not be opened */
		cache.dir = strdup(dir);
		r = cache.dir ? st_store_open(dir, &cache.store, err) :
				plug_error_errno(err, -ENOMEM, "%s", dir);
	} else if (strcmp(cache.dir, dir) != 0) {
		r = plug_error_set(err, -EBUSY, "%s: the store is %s", dir, cache.dir);
	}
	if (r == 0)
		*ret = cache.store;
	(void)pthread_mutex_unlock(&cache.mutex);
	return r;
}

bool st_cache_opened(struct st_store **ret)
{
	(void)pthread_mutex_lock(&cache.mutex);
	*ret = cache.store;
	(void)pthread_mutex_unlock(&cache.mutex);
	return *ret != NULL;
}

static void entry_drop(size_t i)
{
	st_image_free(cache.entries[i]->image);
	free(cache.entries[i]);
	cache.entries[i] = NULL;
}

static struct entry *find(const char *digest)
{
	for (size_t i = 0; i < PLACES; i++) {
		struct entry *e = cache.entries[i];

		if (e && !e->forgotten && strcmp(e->image->digest, digest) == 0)
			return e;
	}
	return NULL;
}

/* A free place, or that of the one that nobody has used for longest; PLACES: none. */
static size_t place(void)
{
	size_t best = PLACES;

	for (size_t i = 0; i < PLACES; i++) {
		struct entry *e = cache.entries[i];

		if (!e)
			return i;
		if (e->users == 0 && (best == PLACES || e->used < cache.entries[best]->used))
			best = i;
	}
	if (best < PLACES)
		entry_drop(best);
	return best;
}

static unsigned kept(void)
{
	unsigned n = 0;

	for (size_t i = 0; i < PLACES; i++)
		n += cache.entries[i] != NULL;
	return n;
}

/* NULL: it could not be kept, and is the caller's still. */
static struct entry *keep(struct st_image *image)
{
	struct entry *e = find(image->digest);
	size_t i;

	if (e) {
		st_image_free(image);
		return e;
	}
	i = place();
	e = i < PLACES ? calloc(1, sizeof(*e)) : NULL;
	if (!e)
		return NULL;
	e->image = image;
	cache.entries[i] = e;
	return e;
}

static void trim(void)
{
	while (kept() > KEPT) {
		size_t best = PLACES;

		for (size_t i = 0; i < PLACES; i++) {
			struct entry *e = cache.entries[i];

			if (e && e->users == 0 &&
			    (best == PLACES || e->used < cache.entries[best]->used))
				best = i;
		}
		if (best == PLACES)
			return;
		entry_drop(best);
	}
}

/* Somebody uses it still: it goes when he puts it back. */
static void entry_forget(size_t i)
{
	cache.entries[i]->forgotten = true;
	if (cache.entries[i]->users == 0)
		entry_drop(i);
}

/* One that is not what the store has any more is forgotten. */
static struct entry *find_current(const char *digest)
{
	for (size_t i = 0; i < PLACES; i++) {
		struct entry *e = cache.entries[i];

		if (!e || e->forgotten || strcmp(e->image->digest, digest) != 0)
			continue;
		if (cache.store && st_store_unchanged(cache.store, &e->image->mark))
			return e;
		entry_forget(i);
	}
	return NULL;
}

static const struct st_image *entry_use(struct entry *e)
{
	e->users++;
	e->used = ++cache.time;
	return e->image;
}

int st_cache_image(const char *dir, const char *digest, const struct st_image **ret,
		   struct plug_error *err)
{
	struct st_store *store;
	struct st_image *image = NULL;
	struct entry *e;
	int r = st_cache_store(dir, &store, err);

	if (r < 0)
		return r;
	(void)pthread_mutex_lock(&cache.mutex);
	e = find_current(digest);
	if (!e)
		r = st_store_resolve(store, digest, &image, err);
	if (image && !(e = keep(image))) {
		st_image_free(image);
		r = plug_error_set(err, -ENOMEM, "image %s: too many at once", digest);
	}
	if (e)
		*ret = entry_use(e);
	(void)pthread_mutex_unlock(&cache.mutex);
	return r;
}

const struct st_image *st_cache_known(const char *digest)
{
	const struct st_image *image = NULL;
	struct entry *e;

	if (pthread_mutex_trylock(&cache.mutex) != 0)
		return NULL;
	e = find_current(digest);
	if (e)
		image = entry_use(e);
	(void)pthread_mutex_unlock(&cache.mutex);
	return image;
}

void st_cache_put(const struct st_image *image)
{
	(void)pthread_mutex_lock(&cache.mutex);
	for (size_t i = 0; i < PLACES; i++) {
		struct entry *e = cache.entries[i];

		if (!e || e->image != image)
			continue;
		e->users--;
		if (e->forgotten && e->users == 0)
			entry_drop(i);
	}
	trim();
	(void)pthread_mutex_unlock(&cache.mutex);
}

void st_cache_keep(struct st_image *image)
{
	struct entry *e;

	(void)pthread_mutex_lock(&cache.mutex);
	(void)find_current(image->digest);
	e = keep(image);
	if (e)
		e->used = ++cache.time;
	else
		st_image_free(image);
	trim();
	(void)pthread_mutex_unlock(&cache.mutex);
}

/* ---- answers */

static void said_drop(struct said *s)
{
	free(s->reference);
	free(s->platform);
	free(s->text);
	*s = (struct said){ 0 };
}

static struct said *said_find(const char *reference, const char *platform)
{
	for (unsigned i = 0; i < KEPT; i++) {
		struct said *s = &cache.said[i];

		if (s->text && strcmp(s->reference, reference) == 0 &&
		    strcmp(s->platform, platform ? platform : "") == 0)
			return s;
	}
	return NULL;
}

char *st_cache_answer(const char *reference, const char *platform)
{
	char *text = NULL;
	struct said *s;

	if (pthread_mutex_trylock(&cache.mutex) != 0)
		return NULL;
	s = said_find(reference, platform);
	if (s && cache.store && st_store_unchanged(cache.store, &s->mark))
		text = strdup(s->text);
	else if (s)
		said_drop(s);
	(void)pthread_mutex_unlock(&cache.mutex);
	return text;
}

void st_cache_keep_answer(const char *reference, const char *platform, const struct st_mark *mark,
			  const char *text)
{
	struct said *s;

	(void)pthread_mutex_lock(&cache.mutex);
	s = said_find(reference, platform);
	s = s ? s : &cache.said[cache.next_said++ % KEPT];
	said_drop(s);
	*s = (struct said){ *mark, strdup(reference), strdup(platform ? platform : ""), strdup(text) };
	if (!s->reference || !s->platform || !s->text)
		said_drop(s);
	(void)pthread_mutex_unlock(&cache.mutex);
}

void st_cache_finish(void)
{
	(void)pthread_mutex_lock(&cache.mutex);
	for (unsigned i = 0; i < KEPT; i++)
		said_drop(&cache.said[i]);
	for (size_t i = 0; i < PLACES; i++)
		if (cache.entries[i])
			entry_drop(i);
	st_store_close(cache.store);
	free(cache.dir);
	cache.store = NULL;
	cache.dir = NULL;
	(void)pthread_mutex_unlock(&cache.mutex);
}
