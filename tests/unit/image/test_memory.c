/* SPDX-License-Identifier: MIT */
/* Each allocation fails once: what the store shows is whole whatever happened, and the next one succeeds. */
#include "images.h"

#include "image/export.h"
#include "image/load.h"
#include "tests/alloc_fail_json.h"
#include "tests/unit/archive/make.h"

#include <sys/mman.h>

static struct st_store *store;
static char *dir;

static int open_store(void **state)
{
	char path[128];

	(void)state;
	dir = test_directory();
	(void)snprintf(path, sizeof(path), "%s/s", dir);
	return st_store_open(path, &store, NULL);
}

static int close_store(void **state)
{
	(void)state;
	st_store_close(store);
	test_directory_remove(dir);
	return 0;
}

static size_t entries(int fd)
{
	int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fdopendir(own);
	size_t n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	(void)closedir(d);
	return n - 2;
}

/* Without a failure: nothing is left of what had one. */
static void collect(void)
{
	struct st_freed freed = { 0 };

	assert_int_equal(st_store_gc(store, NULL, &freed, NULL), 0);
	assert_int_equal(entries(store->tmp), 0);
}

static void expect_nothing(void)
{
	collect();
	assert_int_equal(entries(store->blobs), 0);
	assert_int_equal(entries(store->layers), 0);
	assert_int_equal(entries(store->names), 0);
	assert_int_equal(entries(store->refs), 0);
}

/* It says what it was. */
static void expect_short(bool failed, int r, const struct plug_error *err)
{
	if (!failed)
		assert_int_equal(r, 0);
	else if (r != 0 && r != -ENOMEM)
		fail_msg("%d: %s", r, err->text);
}

static int commit_image(const struct test_image *t, struct plug_error *err)
{
	struct st_work *w;
	int r = st_work_begin(store, &w, err);

	if (r < 0)
		return r;
	r = test_image_add(w, t);
	if (r == 0)
		r = st_work_add_name(w, "docker.io/library/a:latest", t->digest);
	if (r == 0)
		r = st_work_commit(w, err);
	st_work_end(w);
	return r;
}

static int use_image(struct plug_error *err)
{
	struct st_image *image = NULL;
	struct st_ref *refs = NULL;
	size_t count;
	char *text;
	int r = st_store_resolve(store, "a", &image, err);

	if (r == 0) {
		const char *chain = image->layers[image->layer_count - 1].chain;

		r = st_store_ref(store, "container", image, err) ?:
			    st_store_ref_layers(store, "mount", &chain, 1, err);
	}
	if (r == 0)
		r = st_store_refs(store, &refs, &count, err);
	if (r == 0) {
		assert_int_equal(count, 2);
		st_refs_free(refs, count);
		r = st_store_read_blob(store, image->digest, &text, &count, err);
		if (r == 0)
			free(text);
	}
	if (r == 0)
		r = st_store_tag(store, "docker.io/library/b:latest", image->digest, err);
	st_image_free(image);
	return r;
}

static void forget_image(void)
{
	(void)st_store_untag(store, "docker.io/library/a:latest", NULL);
	(void)st_store_untag(store, "docker.io/library/b:latest", NULL);
	assert_int_equal(st_store_unref(store, "container", NULL), 0);
	assert_int_equal(st_store_unref(store, "mount", NULL), 0);
}

static void store_without_memory(void **state)
{
	struct test_image t;

	(void)state;
	test_image_make(&t, 2);
	alloc_fail_each(n) {
		struct plug_error err = { 0 };
		struct st_freed freed = { 0 };
		struct st_image *image;
		int r = commit_image(&t, &err);

		if (r == 0)
			r = use_image(&err);
		if (r == 0)
			r = st_store_gc(store, NULL, &freed, &err);
		expect_short(alloc_fail_stop(), r, &err);
		/* What has a name is whole. */
		collect();
		if (st_store_resolve(store, "a", &image, NULL) == 0) {
			assert_int_equal(image->layer_count, t.depth);
			st_image_free(image);
		}
		forget_image();
		expect_nothing();
	}
	test_image_free(&t);
}

/* ---- archives */

static void put_blob(struct mem *mem, const char *digest, const void *data, size_t size)
{
	char path[100];

	(void)snprintf(path, sizeof(path), "blobs/sha256/%s", st_hex(digest));
	(void)mem_header(mem, path, '0', size, NULL);
	mem_data(mem, data, size);
}

/* An OCI layout of two layers, as tar. */
static void layout_make(struct mem *mem)
{
	struct st_descriptor layers[2] = { 0 }, config = { 0 };
	char digests[2][ST_DIGEST_SIZE], text[400], id[ST_DIGEST_SIZE], manifest_digest[ST_DIGEST_SIZE];
	struct mem tars[2] = { 0 };
	char *manifest;

	mem_file(mem, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
	for (size_t i = 0; i < 2; i++) {
		(void)mem_header(&tars[i], "d/", '5', 0, NULL);
		mem_file(&tars[i], i ? "d/upper" : "d/lower", "text");
		mem_file(&tars[i], i ? "d/.wh.lower" : "implied/file", "");
		mem_end(&tars[i]);
		st_sha256_text((const char *)tars[i].data, tars[i].size, digests[i]);
		(void)strcpy(layers[i].digest, digests[i]);
		layers[i].size = tars[i].size;
		layers[i].media = (char *)(uintptr_t)"application/vnd.oci.image.layer.v1.tar";
		put_blob(mem, digests[i], tars[i].data, tars[i].size);
		mem_free(&tars[i]);
	}
	(void)snprintf(text, sizeof(text),
		       "{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\","
		       "\"diff_ids\":[\"%s\",\"%s\"]}}", digests[0], digests[1]);
	st_sha256_text(text, strlen(text), id);
	put_blob(mem, id, text, strlen(text));
	(void)strcpy(config.digest, id);
	config.size = strlen(text);
	manifest = st_manifest_make(&config, layers, 2);
	assert_non_null(manifest);
	st_sha256_text(manifest, strlen(manifest), manifest_digest);
	put_blob(mem, manifest_digest, manifest, strlen(manifest));
	(void)snprintf(text, sizeof(text),
		       "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":"
		       "\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"%s\",\"size\":%zu,"
		       "\"annotations\":{\"org.opencontainers.image.ref.name\":\"a:latest\"}}]}",
		       manifest_digest, strlen(manifest));
	mem_file(mem, "index.json", text);
	mem_end(mem);
	free(manifest);
}

static int load_archive(const struct mem *mem, struct plug_error *err)
{
	struct st_load_options options = { .what = "archive", .fd = memfd_create("archive", MFD_CLOEXEC) };
	struct st_loaded loaded = { 0 };
	int r;

	assert_int_equal(write(options.fd, mem->data, mem->size), mem->size);
	(void)lseek(options.fd, 0, SEEK_SET);
	r = st_load(store, &options, &loaded, err);
	if (r == 0)
		st_loaded_finish(&loaded);
	(void)close(options.fd);
	return r;
}

static void load_without_memory(void **state)
{
	struct mem mem = { 0 };

	(void)state;
	layout_make(&mem);
	/* Which allocation is the n-th depends on threads: until none failed. */
	alloc_fail_each(n) {
		struct plug_error err = { 0 };
		struct st_image *image;
		int r = load_archive(&mem, &err);
		bool failed = alloc_fail_stop();

		if (failed && r < 0) {
			assert_true(*err.text);
			assert_int_equal(st_store_resolve(store, "a", &image, NULL), -ENOENT);
		} else {
			assert_int_equal(r, 0);
			assert_int_equal(st_store_resolve(store, "a", &image, NULL), 0);
			assert_int_equal(image->layer_count, 2);
			st_image_free(image);
			assert_int_equal(st_store_untag(store, "docker.io/library/a:latest", NULL), 0);
		}
		expect_nothing();
	}
	mem_free(&mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(store_without_memory, open_store, close_store),
		cmocka_unit_test_setup_teardown(load_without_memory, open_store, close_store),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
