/* SPDX-License-Identifier: MIT */
/* Images for the store's tests: made of few small layers, so that they share many. */
#ifndef TEST_IMAGES_H
#define TEST_IMAGES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "image/internal.h"
#include "image/oci.h"
#include "image/sha.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define IMAGES 12
#define LAYERS 5
#define DEPTH 3
#define PARTS (2 + 2 * DEPTH) /* manifest, configuration, blobs, layers: what one image reaches */

struct test_image {
	char *config, *manifest;
	char id[ST_DIGEST_SIZE], digest[ST_DIGEST_SIZE];
	size_t depth;
	char blob[DEPTH][ST_DIGEST_SIZE], blob_text[DEPTH][32];
	char diff[DEPTH][ST_DIGEST_SIZE], chain[DEPTH][ST_DIGEST_SIZE];
};

static inline void test_image_make(struct test_image *t, unsigned k)
{
	struct st_descriptor config = { 0 }, layers[DEPTH];
	char diffs[DEPTH * 80] = "", text[32];
	unsigned seed = k * 2654435761u;

	memset(layers, 0, sizeof(layers));
	t->depth = 1 + k % DEPTH;
	for (size_t i = 0; i < t->depth; i++) {
		unsigned which = i == 0 ? k % 2 : (seed >> (4 * i)) % LAYERS;

		(void)snprintf(text, sizeof(text), "content of layer %u", which);
		st_sha256_text(text, strlen(text), t->diff[i]);
		(void)snprintf(t->blob_text[i], sizeof(t->blob_text[i]), "blob of layer %u", which);
		st_sha256_text(t->blob_text[i], strlen(t->blob_text[i]), t->blob[i]);
		st_chain_id(i ? t->chain[i - 1] : "", t->diff[i], t->chain[i]);
		(void)sprintf(diffs + strlen(diffs), "%s\"%s\"", i ? "," : "", t->diff[i]);
		(void)strcpy(layers[i].digest, t->blob[i]);
		layers[i].size = strlen(t->blob_text[i]);
		layers[i].media = (char *)(uintptr_t)ST_MEDIA_LAYER;
	}
	assert_true(asprintf(&t->config,
			     "{\"architecture\":\"amd64\",\"os\":\"linux\",\"author\":\"%u\","
			     "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[%s]}}",
			     k, diffs) > 0);
	st_sha256_text(t->config, strlen(t->config), t->id);
	(void)strcpy(config.digest, t->id);
	config.size = strlen(t->config);
	t->manifest = st_manifest_make(&config, layers, t->depth);
	assert_non_null(t->manifest);
	st_sha256_text(t->manifest, strlen(t->manifest), t->digest);
}

static inline void test_image_free(struct test_image *t)
{
	free(t->config);
	free(t->manifest);
}

/* A blob that the store has is used; another one is written, and will be published. */
static inline int test_blob_add(struct st_work *w, const char *text, const char *digest)
{
	char name[32];
	int fd, r = st_work_use_blob(w, digest);

	if (r != -ENOENT)
		return r;
	st_work_name(w, "part", name, sizeof(name));
	fd = openat(st_work_dirfd(w), name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -ENOSPC;
	(void)close(fd);
	return r ?: st_work_add_blob(w, name, digest);
}

static inline int test_layer_add(struct st_work *w, const struct test_image *t, size_t i)
{
	struct st_layer layer = { .size = 5 };
	char name[32];
	int fs, fd, r = st_work_use_layer(w, t->chain[i]);

	if (r != -ENOENT)
		return r;
	r = st_work_layer(w, name, sizeof(name), &fs, NULL);
	if (r < 0)
		return r;
	fd = openat(fs, "file", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	(void)close(fs);
	if (fd < 0)
		return -errno;
	r = write(fd, "bytes", 5) == 5 ? 0 : -ENOSPC;
	(void)close(fd);
	(void)strcpy(layer.chain, t->chain[i]);
	(void)strcpy(layer.diff, t->diff[i]);
	(void)strcpy(layer.parent, i ? t->chain[i - 1] : "");
	return r ?: st_work_add_layer(w, name, &layer, NULL);
}

/* All of an image into a work; commit makes it visible. */
static inline int test_image_add(struct st_work *w, const struct test_image *t)
{
	int r = test_blob_add(w, t->manifest, t->digest);

	if (r == 0)
		r = test_blob_add(w, t->config, t->id);
	for (size_t i = 0; r == 0 && i < t->depth; i++)
		r = test_blob_add(w, t->blob_text[i], t->blob[i]) ?: test_layer_add(w, t, i);
	return r;
}

/* On a file system in memory, where syncing costs nothing. */
static inline char *test_directory(void)
{
	char *dir = strdup(access("/dev/shm", W_OK) ? "/tmp/cowherd-store-XXXXXX"
						    : "/dev/shm/cowherd-store-XXXXXX");

	assert_non_null(dir);
	assert_non_null(mkdtemp(dir));
	return dir;
}

static inline void test_directory_remove(char *dir)
{
	char command[128];

	(void)snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	assert_int_equal(system(command), 0);
	free(dir);
}

#endif
