/* SPDX-License-Identifier: MIT */
#include "rootfs/cache.h"

#include "util.h"

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

static struct {
	pthread_mutex_t mutex;
	char *dir;
	struct st_store *store;
	struct entry *entries[KEPT * 4]; /* forgotten ones with users among them */
	uint64_t time;
} cache = { .mutex = PTHREAD_MUTEX_INITIALIZER };

#define PLACES ST_ELEMENTS(cache.entries)

int st_cache_store(const char *dir, struct st_store **ret, struct st_error *err)
{
	int r = 0;

	(void)pthread_mutex_lock(&cache.mutex);
	if (!cache.store) {
		cache.dir = strdup(dir);
		r = cache.dir ? st_store_open(dir, &cache.store, err) : -ENOMEM;
	} else if (strcmp(cache.dir, dir) != 0) {
		r = st_error_set(err, -EBUSY, "%s: the store is %s", dir, cache.dir);
	}
	if (r == 0)
		*ret = cache.store;
	(void)pthread_mutex_unlock(&cache.mutex);
	return r;
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

int st_cache_image(const char *dir, const char *digest, const struct st_image **ret, bool *ret_fresh,
		   struct st_error *err)
{
	struct st_store *store;
	struct st_image *image = NULL;
	struct entry *e;
	int r = st_cache_store(dir, &store, err);

	if (r < 0)
		return r;
	(void)pthread_mutex_lock(&cache.mutex);
	e = find(digest);
	*ret_fresh = !e;
	if (!e)
		r = st_store_resolve(store, digest, &image, err);
	if (image && !(e = keep(image))) {
		st_image_free(image);
		r = st_error_set(err, -ENOMEM, "image %s: too many at once", digest);
	}
	if (e) {
		e->users++;
		e->used = ++cache.time;
		*ret = e->image;
	}
	(void)pthread_mutex_unlock(&cache.mutex);
	return r;
}

void st_cache_put(const struct st_image *image, bool forget)
{
	(void)pthread_mutex_lock(&cache.mutex);
	for (size_t i = 0; i < PLACES; i++) {
		struct entry *e = cache.entries[i];

		if (!e || e->image != image)
			continue;
		e->users--;
		e->forgotten = e->forgotten || forget;
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
	e = keep(image);
	if (e)
		e->used = ++cache.time;
	else
		st_image_free(image);
	trim();
	(void)pthread_mutex_unlock(&cache.mutex);
}

void st_cache_finish(void)
{
	(void)pthread_mutex_lock(&cache.mutex);
	for (size_t i = 0; i < PLACES; i++)
		if (cache.entries[i])
			entry_drop(i);
	st_store_close(cache.store);
	free(cache.dir);
	cache.store = NULL;
	cache.dir = NULL;
	(void)pthread_mutex_unlock(&cache.mutex);
}
