/* SPDX-License-Identifier: MIT */
/*
 * Random operations on a store beside a model of it: what a name, an owner or somebody at work uses is
 * always there and whole; after gc nothing else is.
 */
#include "images.h"

#define OPERATIONS 10000
#define NAMES 8
#define OWNERS 6
#define USERS 3 /* of the owners: those with a directory, which ends what they keep */
#define WORKS 4

struct slot {
	struct st_work *work;
	int image;
	bool committed;
	bool waits[PARTS]; /* it was there when the work began: used, not made */
};

static struct test_image images[IMAGES];
static struct st_store *store;
static char *dir;
static int names[NAMES], owners[OWNERS]; /* an image, or -1 */
static bool nameless[IMAGES];            /* kept by its digest alone */
static struct slot works[WORKS];
static unsigned long long seed;

static unsigned dice(unsigned n)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned)(seed >> 33) % n;
}

static void name_text(int n, char ret[64])
{
	(void)snprintf(ret, 64, "docker.io/library/image%d:latest", n);
}

static void owner_text(int n, char ret[64])
{
	(void)snprintf(ret, 64, n < USERS ? "user-%d" : "container/%d", n);
}

/* The directory that stands for a user. */
static void owner_path(int n, char ret[128])
{
	(void)snprintf(ret, 128, "%s/users/user-%d", dir, n);
}

/* The n-th thing that an image reaches: its place in the store; NULL: it has not so many. */
static const char *part_of(const struct test_image *t, unsigned n, const char **ret_folder)
{
	*ret_folder = n < 2 + DEPTH ? "blobs/sha256" : "layers";
	if (n < 2)
		return st_hex(n ? t->id : t->digest);
	n -= 2;
	if (n % DEPTH >= t->depth)
		return NULL;
	return st_hex(n < DEPTH ? t->blob[n] : t->chain[n - DEPTH]);
}

static bool there(const char *folder, const char *hex)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/s/%s/%s", dir, folder, hex);
	return !access(path, F_OK);
}

static bool complete(const struct test_image *t)
{
	const char *folder, *hex;

	for (unsigned n = 0; n < PARTS; n++) {
		hex = part_of(t, n, &folder);
		if (hex && !there(folder, hex))
			return false;
	}
	return true;
}

/* Roots that keep a whole image. */
static bool kept(int image)
{
	for (int i = 0; i < NAMES; i++)
		if (names[i] == image)
			return true;
	for (int i = 0; i < OWNERS; i++)
		if (owners[i] == image)
			return true;
	for (int i = 0; i < WORKS; i++)
		if (works[i].work && works[i].committed && works[i].image == image)
			return true;
	return nameless[image];
}

static void check_kept(void)
{
	const char *folder, *hex;

	for (int i = 0; i < IMAGES; i++)
		if (kept(i))
			assert_true(complete(&images[i]));
	for (int i = 0; i < WORKS; i++)
		for (unsigned n = 0; works[i].work && n < PARTS; n++) {
			if (!works[i].waits[n])
				continue;
			hex = part_of(&images[works[i].image], n, &folder);
			assert_true(there(folder, hex));
		}
}

/* Is it reached, by a whole image or by a work that began when it was there? */
static bool wanted(const char *folder, const char *hex)
{
	const char *own_folder, *own;

	for (int i = 0; i < IMAGES; i++)
		for (unsigned n = 0; n < PARTS; n++) {
			own = part_of(&images[i], n, &own_folder);
			if (!own || strcmp(own, hex) != 0 || strcmp(own_folder, folder) != 0)
				continue;
			if (kept(i))
				return true;
			for (int k = 0; k < WORKS; k++)
				if (works[k].work && works[k].image == i && works[k].waits[n])
					return true;
		}
	return false;
}

/* Layers below one that a work uses are kept with it. */
static bool wanted_below(const char *hex)
{
	for (int i = 0; i < WORKS; i++) {
		const struct test_image *t = &images[works[i].image];

		for (size_t n = 0; works[i].work && n < t->depth; n++)
			for (size_t above = n; above < t->depth; above++)
				if (!strcmp(st_hex(t->chain[n]), hex) &&
				    works[i].waits[2 + DEPTH + above])
					return true;
	}
	return false;
}

static void check_nothing_else(const char *folder)
{
	struct dirent *e;
	char path[256];
	DIR *d;

	(void)snprintf(path, sizeof(path), "%s/s/%s", dir, folder);
	d = opendir(path);
	assert_non_null(d);
	while ((e = readdir(d)))
		if (e->d_name[0] != '.')
			assert_true(wanted(folder, e->d_name) || wanted_below(e->d_name));
	(void)closedir(d);
}

static void op_begin(void)
{
	struct slot *s = &works[dice(WORKS)];
	const char *folder, *hex;

	if (s->work)
		return;
	s->image = (int)dice(IMAGES);
	s->committed = false;
	for (unsigned n = 0; n < PARTS; n++) {
		hex = part_of(&images[s->image], n, &folder);
		s->waits[n] = hex && there(folder, hex);
	}
	assert_int_equal(st_work_begin(store, &s->work, NULL), 0);
	assert_int_equal(test_image_add(s->work, &images[s->image]), 0);
}

static void op_commit(void)
{
	struct slot *s = &works[dice(WORKS)];
	struct plug_error err = { 0 };
	char text[64];
	int n = (int)dice(NAMES);

	if (!s->work || s->committed)
		return;
	name_text(n, text);
	if (dice(4) == 0)
		n = -1;
	assert_int_equal(
		st_work_add_name(s->work, n < 0 ? NULL : text, images[s->image].digest), 0);
	assert_int_equal(st_work_commit(s->work, &err), 0);
	s->committed = true;
	if (n >= 0) {
		names[n] = s->image;
		nameless[s->image] = false;
		return;
	}
	for (int i = 0; i < NAMES; i++)
		if (names[i] == s->image)
			return;
	nameless[s->image] = true;
}

static void op_end(void)
{
	struct slot *s = &works[dice(WORKS)];

	if (s->work)
		st_work_end(s->work);
	*s = (struct slot){ 0 };
}

/* Its process is killed: the locks go, the files stay. */
static void op_kill(void)
{
	struct slot *s = &works[dice(WORKS)];

	if (!s->work)
		return;
	(void)close(s->work->fd);
	(void)close(s->work->lock);
	s->work->fd = s->work->lock = -1;
	st_work_end(s->work);
	*s = (struct slot){ 0 };
}

static void op_tag(void)
{
	int n = (int)dice(NAMES), image = (int)dice(IMAGES);
	bool can = complete(&images[image]);
	char text[64];
	int r;

	name_text(n, text);
	r = st_store_tag(store, text, images[image].digest, NULL);
	if (can)
		assert_int_equal(r, 0);
	/* Documents are enough for a tag; without layers it would be no image. */
	if (r == 0 && can) {
		names[n] = image;
		nameless[image] = false;
	} else {
		assert_true(r < 0);
	}
}

static void op_untag(void)
{
	int n = (int)dice(NAMES), image = (int)dice(IMAGES);
	char text[64];

	if (dice(3) == 0) {
		assert_int_equal(st_store_untag(store, images[image].digest, NULL),
				 nameless[image] ? 0 : -ENOENT);
		nameless[image] = false;
		return;
	}
	name_text(n, text);
	assert_int_equal(st_store_untag(store, text, NULL), names[n] < 0 ? -ENOENT : 0);
	names[n] = -1;
}

static void op_ref(void)
{
	int n = (int)dice(OWNERS), name = (int)dice(NAMES);
	struct st_image *image;
	char text[64];
	int r;

	name_text(name, text);
	r = st_store_resolve(store, text, &image, NULL);
	assert_int_equal(r, names[name] < 0 ? -ENOENT : 0);
	if (r < 0)
		return;
	assert_string_equal(image->digest, images[names[name]].digest);
	assert_string_equal(image->name, text);
	assert_int_equal(image->layer_count, images[names[name]].depth);
	for (size_t i = 0; i < image->layer_count; i++)
		assert_int_equal(access(image->layers[i].path, F_OK), 0);
	owner_text(n, text);
	/* Sometimes it goes between the two. */
	if (dice(8) == 0) {
		struct st_freed freed = { 0 };
		char gone[64];

		name_text(name, gone);
		assert_int_equal(st_store_untag(store, gone, NULL), 0);
		names[name] = -1;
		assert_int_equal(st_store_gc(store, NULL, &freed, NULL), 0);
	}
	if (n < USERS) {
		char path[128];

		owner_path(n, path);
		assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
		r = st_store_use(store, text, path, image, true);
		if (r == -ESTALE)
			r = st_store_use(store, text, path, image, false);
	} else {
		r = st_store_ref(store, text, image, NULL);
	}
	for (int i = 0; i < IMAGES; i++)
		if (!strcmp(images[i].digest, image->digest)) {
			assert_int_equal(r == 0, complete(&images[i]));
			if (r == 0)
				owners[n] = i;
		}
	st_image_free(image);
}

/* Without a word, as by a power cut. */
static void op_vanish(void)
{
	int n = (int)dice(USERS);
	char path[128];

	owner_path(n, path);
	(void)rmdir(path);
	owners[n] = -1;
}

static void op_unref(void)
{
	int n = (int)dice(OWNERS);
	char text[64];

	owner_text(n, text);
	assert_int_equal(st_store_unref(store, text, NULL), 0);
	owners[n] = -1;
}

static void op_gc(void)
{
	struct st_freed freed = { 0 };
	struct plug_error err = { 0 };

	if (dice(3) == 0) {
		assert_int_equal(
			st_store_gc(store, images[dice(IMAGES)].digest, &freed, &err), 0);
		return;
	}
	assert_int_equal(st_store_gc(store, NULL, &freed, &err), 0);
	check_nothing_else("blobs/sha256");
	check_nothing_else("layers");
}

static void op_reopen(void)
{
	char path[128];

	for (int i = 0; i < WORKS; i++)
		if (works[i].work)
			return; /* they hold it */
	st_store_close(store);
	(void)snprintf(path, sizeof(path), "%s/s", dir);
	assert_int_equal(st_store_open(path, &store, NULL), 0);
}

static struct st_image *settled_image(const char *reference)
{
	struct st_image *image;

	/* Until the clock has moved on from what was changed last. */
	for (;;) {
		assert_int_equal(st_store_resolve(store, reference, &image, NULL), 0);
		if (image->mark.settled)
			return image;
		st_image_free(image);
	}
}

/* What nothing came or went since is kept without a look; else only after one. */
static void test_mark(void **state)
{
	struct st_freed freed = { 0 };
	struct st_image *image;
	struct st_ref *refs;
	struct st_work *work;
	size_t count;
	char path[128];

	(void)state;
	test_image_make(&images[0], 0);
	dir = test_directory();
	(void)snprintf(path, sizeof(path), "%s/s", dir);
	assert_int_equal(st_store_open(path, &store, NULL), 0);
	assert_int_equal(st_work_begin(store, &work, NULL), 0);
	assert_int_equal(test_image_add(work, &images[0]), 0);
	assert_int_equal(st_work_add_name(work, "docker.io/library/i:latest", images[0].digest), 0);
	assert_int_equal(st_work_commit(work, NULL), 0);
	st_work_end(work);
	image = settled_image("i");
	assert_true(st_store_unchanged(store, &image->mark));
	assert_int_equal(st_store_use(store, "one", "/tmp/two", image, true), -EOPNOTSUPP);
	assert_int_equal(st_store_use(store, "two", "/tmp/no/such/place/two", image, true), -EOPNOTSUPP);
	(void)snprintf(path, sizeof(path), "%s/one", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(st_store_use(store, "one", path, image, true), 0);
	assert_int_equal(st_store_use(store, "one", path, image, true), 0);
	assert_true(st_store_unchanged(store, &image->mark)); /* using one is no change */
	assert_int_equal(st_store_untag(store, "docker.io/library/i:latest", NULL), 0);
	assert_false(st_store_unchanged(store, &image->mark));
	assert_int_equal(st_store_use(store, "one", path, image, true), -ESTALE);
	assert_int_equal(st_store_gc(store, NULL, &freed, NULL), 0);
	assert_int_equal(freed.layers, 0);
	assert_int_equal(st_store_refs(store, &refs, &count, NULL), 0);
	assert_int_equal(count, 1);
	assert_string_equal(refs[0].owner, "one");
	assert_string_equal(refs[0].digest, images[0].digest);
	st_refs_free(refs, count);
	assert_int_equal(st_store_unref(store, "one", NULL), 0);
	assert_int_equal(st_store_gc(store, NULL, &freed, NULL), 0);
	assert_int_equal(freed.layers, images[0].depth);
	assert_int_equal(st_store_use(store, "one", path, image, false), -ENOENT);
	st_image_free(image);
	st_store_close(store);
	test_directory_remove(dir);
	test_image_free(&images[0]);
}

static void test_random(void **state)
{
	static void (*const ops[])(void) = { op_begin, op_begin, op_commit, op_commit, op_end,
					     op_kill,  op_tag,	 op_untag,  op_untag,  op_ref,
					     op_unref, op_gc,	 op_gc,	    op_reopen, op_vanish };
	const char *text = getenv("COW_SEED");
	char path[128];

	(void)state;
	seed = text ? strtoull(text, NULL, 10) : 20240501;
	for (unsigned i = 0; i < IMAGES; i++)
		test_image_make(&images[i], i);
	memset(names, -1, sizeof(names));
	memset(owners, -1, sizeof(owners));
	dir = test_directory();
	(void)snprintf(path, sizeof(path), "%s/s", dir);
	assert_int_equal(st_store_open(path, &store, NULL), 0);
	(void)snprintf(path, sizeof(path), "%s/users", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	for (int i = 0; i < OPERATIONS; i++) {
		ops[dice(sizeof(ops) / sizeof(ops[0]))]();
		check_kept();
	}
	for (int i = 0; i < WORKS; i++)
		st_work_end(works[i].work);
	st_store_close(store);
	test_directory_remove(dir);
	for (unsigned i = 0; i < IMAGES; i++)
		test_image_free(&images[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_mark), cmocka_unit_test(test_random) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
