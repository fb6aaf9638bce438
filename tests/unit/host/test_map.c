/* SPDX-License-Identifier: MIT */
#include "world.h"

#define KEYS 300u

static void test_empty(void **state)
{
	struct cow_map map = { 0 };

	(void)state;
	assert_null(cow_map_get(&map, 1));
	cow_map_del(&map, 1);
	assert_int_equal(map.count, 0);
	cow_map_finish(&map);
}

static void test_replace(void **state)
{
	struct cow_map map = { 0 };
	int a, b;

	(void)state;
	assert_int_equal(cow_map_put(&map, 7, &a, 1), 0);
	assert_int_equal(cow_map_put(&map, 7, &b, 2), 0);
	assert_int_equal(map.count, 1);
	assert_ptr_equal(cow_map_get(&map, 7)->value, &b);
	assert_int_equal(cow_map_get(&map, 7)->tag, 2);
	assert_null(cow_map_get(&map, 0));
	cow_map_finish(&map);
}

/* Against an array, through growth, collisions and deletions that move others. */
static void test_model(void **state)
{
	struct cow_map map = { 0 };
	bool held[KEYS] = { false };
	uint32_t random = 1, count = 0;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		uint32_t k;

		random = random * 1664525u + 1013904223u;
		k = (random >> 8) % KEYS;
		if (random >> 31) {
			assert_int_equal(cow_map_put(&map, (uint64_t)(k + 1) << 32 | k, &held[k], k), 0);
			count += !held[k];
			held[k] = true;
		} else {
			cow_map_del(&map, (uint64_t)(k + 1) << 32 | k);
			count -= held[k];
			held[k] = false;
		}
		assert_int_equal(map.count, count);
	}
	for (uint32_t k = 0; k < KEYS; k++) {
		const struct cow_map_entry *entry = cow_map_get(&map, (uint64_t)(k + 1) << 32 | k);

		assert_int_equal(entry != NULL, held[k]);
		if (entry)
			assert_ptr_equal(entry->value, &held[k]);
	}
	cow_map_finish(&map);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_replace),
		cmocka_unit_test(test_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
