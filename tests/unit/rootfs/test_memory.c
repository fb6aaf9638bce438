/* SPDX-License-Identifier: MIT */
/* Each allocation fails once while a container gets its root: all that it got can be given back. */
#include "rootfs/cache.h"
#include "rootfs/parts.h"
#include "rootfs/place.h"
#include "tests/alloc_fail_json.h"
#include "tests/scratch.h"
#include "tests/unit/image/images.h"

#include <json-c/json.h>

static struct test_image image;
static char store_dir[128], spec[4096], options[4096];

static void path_of(char ret[static 128], const char *name)
{
	(void)snprintf(ret, 128, "%s/%s", scratch_dir, name);
}

static void image_make(void)
{
	struct st_store *store;
	struct st_work *w;

	path_of(store_dir, "store");
	test_image_make(&image, 2);
	assert_int_equal(st_store_open(store_dir, &store, NULL), 0);
	assert_int_equal(st_work_begin(store, &w, NULL), 0);
	assert_int_equal(test_image_add(w, &image), 0);
	assert_int_equal(st_work_add_name(w, "docker.io/library/a:latest", image.digest), 0);
	assert_int_equal(st_work_commit(w, NULL), 0);
	st_work_end(w);
	st_store_close(store);
}

static int enter(void **state)
{
	(void)state;
	if (!scratch_enter() || !scratch_own_mounts())
		return -1;
	image_make();
	return 0;
}

static int leave(void **state)
{
	char command[160];

	(void)state;
	test_image_free(&image);
	st_cache_finish();
	(void)snprintf(command, sizeof(command), "rm -rf --one-file-system '%s'/*", scratch_dir);
	return system(command) == 0 && scratch_leave() ? 0 : -1;
}

struct asked {
	const char *spec, *options;
};

static int plan_read(const struct asked *asked, struct st_plan *ret, struct plug_error *err)
{
	char run[128], var[128];
	const struct cowherd_request request = {
		.size = sizeof(request), .container = "c", .name = "c", .bundle = "/bundle",
		.spec = asked->spec, .options = asked->options, .run_dir = run, .state_dir = var,
	};

	path_of(run, "run");
	path_of(var, "var");
	return st_plan_read(&request, 0, ret, err);
}

/* What the allocators announce, made without failures: see fill_record() of allocators.c. */
static struct json_object *record_of(const char *what)
{
	char run[128], var[160], state[128];
	struct json_object *o = json_object_new_object();

	path_of(run, "run");
	path_of(state, "var");
	(void)snprintf(var, sizeof(var), "%s/%s", state, what);
	(void)json_object_object_add(o, "run_dir", json_object_new_string(run));
	(void)json_object_object_add(o, "path", json_object_new_string(var));
	(void)json_object_object_add(o, "store", json_object_new_string(store_dir));
	(void)json_object_object_add(o, "disks", json_object_new_string("/nowhere"));
	(void)json_object_object_add(o, "owner", json_object_new_string("c"));
	return o;
}

static void give(int (*function)(struct json_object *, struct plug_error *), const char *what)
{
	struct json_object *record = record_of(what);
	struct plug_error err = { 0 };

	/* As often as asked. */
	for (int i = 0; i < 2; i++) {
		if (strcmp(what, "volumes") == 0 || strcmp(what, "scratch") == 0)
			json_object_object_del(record, "run_dir");
		assert_int_equal(function(record, &err), 0);
	}
	json_object_put(record);
}

static int take_all(const struct asked *asked, struct plug_error *err)
{
	static int (*const take[])(struct st_part *) = {
		st_scratch_take, st_base_take, st_volumes_take, st_shares_take,
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(take) / sizeof(take[0]); i++) {
		struct st_part part = { .store_dir = store_dir, .disk_dir = "/nowhere" };

		r = plan_read(asked, &part.plan, err);
		if (r == 0)
			return -EBADMSG;
		if (r < 0)
			return r;
		/* As wanted() of allocators.c has it. */
		if ((i == 0 && part.plan.root != ST_ROOT_IMAGE) || (i == 3 && !part.plan.lcow))
			r = 0;
		else
			r = take[i](&part);
		*err = part.err;
		st_plan_finish(&part.plan);
		json_object_put(part.patch);
	}
	return r;
}

static void sweep(const struct asked *asked)
{
	char run[128], var[128];

	path_of(run, "run");
	path_of(var, "var");
	alloc_fail_each(n) {
		struct plug_error err = { 0 };
		bool failed;
		int r;

		assert_int_equal(mkdir(run, 0700), 0);
		assert_int_equal(mkdir(var, 0700), 0);
		r = take_all(asked, &err);
		failed = alloc_fail_stop();
		if (!failed && r)
			fail_msg("%d: %s", r, err.text);
		if (failed && r && r != -ENOMEM)
			fail_msg("allocation %u: %d: %s", n, r, err.text);
		give(st_shares_give, "mounts");
		give(st_volumes_give, "volumes");
		give(st_base_give, "base");
		give(st_scratch_give, "scratch");
		/* Nothing is mounted, nothing is left. */
		assert_int_equal(rmdir(run), 0);
		assert_int_equal(rmdir(var), 0);
	}
}

static void of_an_image(void **state)
{
	const struct asked asked = { "{\"process\":{},\"linux\":{}}", options };

	(void)state;
	(void)snprintf(options, sizeof(options),
		       "{\"image\":\"a\",\"resolved\":{\"digest\":\"%s\",\"config\":{\"config\":"
		       "{\"Volumes\":{\"/data\":{},\"/a/../b\":{}}}}}}", image.digest);
	sweep(&asked);
}

static void of_layer_folders(void **state)
{
	const struct asked asked = { spec, "{}" };
	char lower[128], upper[128], scratch[128], shared[128];

	(void)state;
	path_of(lower, "lower");
	path_of(upper, "upper");
	path_of(scratch, "folder");
	path_of(shared, "shared");
	assert_int_equal(mkdir(lower, 0755) | mkdir(upper, 0755), 0);
	assert_int_equal(mkdir(scratch, 0755) | mkdir(shared, 0755), 0);
	(void)snprintf(spec, sizeof(spec),
		       "{\"process\":{},\"linux\":{},\"windows\":{\"layerFolders\":[\"%s\",\"%s\",\"%s\"]},"
		       "\"mounts\":[{\"destination\":\"/mnt\",\"type\":\"bind\",\"source\":\"%s\"}]}",
		       upper, lower, scratch, shared);
	sweep(&asked);
}

static void asked_for(void **state)
{
	char *found;

	(void)state;
	alloc_fail_each(n) {
		struct plug_error err = { 0 };
		int r = st_image_query(store_dir, "a", NULL, &found, &err);

		if (r == 0)
			free(found);
		if (alloc_fail_stop())
			assert_true(r == 0 || r == -ENOMEM);
		else
			assert_int_equal(r, 0);
		st_cache_finish();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(asked_for),
		cmocka_unit_test(of_an_image),
		cmocka_unit_test(of_layer_folders),
	};

	return cmocka_run_group_tests(tests, enter, leave);
}
