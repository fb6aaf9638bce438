/* SPDX-License-Identifier: MIT */
/* Creating from an image; what a container keeps when it is taken up again. */
#include "fake.h"

#define IMAGE                                                                              \
	"{\"digest\":\"sha256:1\",\"name\":\"docker.io/library/x:latest\",\"config\":"     \
	"{\"config\":{\"Cmd\":[\"/c\"],\"Labels\":{\"l\":\"v\"},\"StopSignal\":\"INT\"}}}"

static int from_image(const char *id, const char *image)
{
	char text[256];
	struct json_object *params;
	uint32_t before = fake.replies;

	(void)snprintf(text, sizeof(text), "{\"id\":\"%s\",\"image\":\"%s\"}", id, image);
	params = json_tokener_parse(text);
	assert_non_null(params);
	cow_engine_container_create(fake.engine, params, fake_cb, NULL);
	json_object_put(params);
	assert_int_equal(fake.replies, before);
	fake_turn();
	return fake_replied(before);
}

static void reborn(void)
{
	cow_engine_destroy(fake.engine);
	while (uv_run(&fake.loop, UV_RUN_NOWAIT))
		;
	for (size_t i = 0; i < COW_ELEMENTS(fake.systems); i++)
		if (fake.systems[i].used)
			fake_system_streams(&fake.systems[i]);
	fake.pending_count = 0;
	fake_engine_open();
	cow_engine_recover(fake.engine, fake_cb, NULL);
	fake_turn();
}

static void deleted(const char *id)
{
	(void)FAKE_VERB(delete, id, true);
	fake_until(!container_by_id(fake.engine, id));
	fake_turn();
	assert_nothing(id);
}

static void nobody_has_images(void **state)
{
	(void)state;
	assert_int_equal(from_image("a", "x"), -ENOTSUP);
	assert_string_equal(fake.reply_message, "image x: no plugin provides images");
	fake.image = IMAGE;
	assert_int_equal(from_image("a", "none"), -ENOENT);
	assert_string_equal(fake.reply_message, "Unable to find image 'none' locally");
	fake.image = "[]";
	assert_int_equal(from_image("a", "x"), -EBADMSG);
	assert_nothing("a");
}

/* Without a mount there is no root to look users up in. */
static void nobody_mounts_it(void **state)
{
	(void)state;
	fake.image = IMAGE;
	assert_int_equal(from_image("a", "x"), -ENOTSUP);
	assert_string_equal(fake.reply_message, "image x: no plugin has mounted it");
	assert_string_equal(fake.reply_step, "user");
	assert_nothing("a");
}

static void created(void **state)
{
	const struct container *c;

	(void)state;
	fake.image = IMAGE;
	fake.patch = "{\"root\":{\"path\":\"/nowhere\"}}";
	assert_int_equal(from_image("a", "x"), -ENOENT); /* root has users, /nowhere has not */
	assert_nothing("a");
	fake.patch = "{\"root\":{\"path\":\"/\"}}";
	assert_int_equal(from_image("a", "x"), 0);
	c = container_by_id(fake.engine, "a");
	assert_string_equal(c->def->image, "x");
	assert_string_equal(c->def->labels, "{\"l\":\"v\"}");
	assert_int_equal(c->def->stop_signal, SIGINT);
	assert_string_equal(c->def->args, "[\"/c\"]");
	assert_string_equal(c->def->options, "{\"id\":\"a\",\"image\":\"x\"}");
	assert_non_null(strstr(c->def->request_options, ",\"resolved\":{\"digest\":\"sha256:1\""));
	assert_non_null(strstr(c->patched, "\"HOME=/root\""));
	assert_int_equal(FAKE_VERB(start, "a"), 0);
	reborn();
	c = container_by_id(fake.engine, "a");
	assert_string_equal(fake_state("a"), "running");
	assert_string_equal(c->def->labels, "{\"l\":\"v\"}");
	assert_int_equal(c->def->stop_signal, SIGINT);
	assert_non_null(strstr(c->def->request_options, "\"resolved\""));
	assert_non_null(strstr(c->patched, "\"HOME=/root\"")); /* for whoever execs into it */
	deleted("a");
}

static void asked_in_vain(void **state)
{
	struct json_object *params = json_tokener_parse("{\"id\":\"a\",\"image\":\"later\"}");
	uint32_t before = fake.replies;

	(void)state;
	fake.image = IMAGE;
	cow_engine_container_create(fake.engine, params, fake_cb, NULL);
	fake_turn();
	assert_int_equal(fake.replies, before);
	fake_advance(5000); /* the source's deadline */
	assert_int_equal(fake_replied(before), -ETIMEDOUT);
	before = fake.replies;
	cow_engine_container_create(fake.engine, params, fake_cb, NULL);
	json_object_put(params);
	fake_turn();
	reborn(); /* and with the engine gone */
	assert_int_equal(cow_ops_count(fake.ops), 0);
	assert_null(container_by_id(fake.engine, "a"));
}

/* Allocator 1 is durable: files, which a restart must not cost. */
static void durable_things_stay(void **state)
{
	(void)state;
	assert_int_equal(fake_create("a", ""), 0);
	assert_int_equal(FAKE_VERB(start, "a"), 0);
	fake.adopt_alive = false;
	reborn();
	assert_string_equal(fake_state("a"), "stopped");
	assert_int_equal(fake_held(), 1);
	assert_int_equal(fake.calls[OP_GIVE + 1], 0);
	fake.code[OP_CREATE] = -EIO; /* a start that fails gives back what it took, and no more */
	assert_int_equal(FAKE_VERB(start, "a"), -EIO);
	assert_int_equal(fake_held(), 1);
	assert_int_equal(fake.calls[OP_GIVE + 1], 0);
	fake.code[OP_CREATE] = 0;
	assert_int_equal(FAKE_VERB(start, "a"), 0);
	deleted("a");
	assert_int_equal(fake_held(), 0);
	fake.code[OP_CREATE] = -EIO; /* one that never was keeps nothing */
	assert_int_equal(fake_create("b", ""), -EIO);
	assert_nothing("b");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nobody_has_images, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(nobody_mounts_it, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(created, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(asked_in_vain, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(durable_things_stay, fake_setup, fake_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
