/* SPDX-License-Identifier: MIT */
#include "archive/digest.h"
#include "tests/alloc_fail.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

/* FIPS 180-2, appendix B. */
static const char abc[] = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
static const char none[] = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

static void test_known(void **state)
{
	char digest[ST_DIGEST_MAX];
	struct st_hash *hash;

	(void)state;
	assert_int_equal(st_digest_of("abc", 3, digest), 0);
	assert_string_equal(digest, abc);
	assert_int_equal(st_digest_of(NULL, 0, digest), 0);
	assert_string_equal(digest, none);
	assert_int_equal(st_hash_create(&hash), 0);
	st_hash_add(hash, "a", 1);
	st_hash_add(hash, "", 0);
	st_hash_add(hash, "bc", 2);
	st_hash_end(hash, digest);
	assert_string_equal(digest, abc);
	st_hash_destroy(hash);
	st_hash_destroy(NULL);
}

static void test_hex(void **state)
{
	char text[ST_DIGEST_MAX + 1];

	(void)state;
	assert_ptr_equal(st_digest_hex(abc), abc + 7);
	assert_null(st_digest_hex(NULL));
	assert_null(st_digest_hex(""));
	assert_null(st_digest_hex("sha256:"));
	assert_null(st_digest_hex("sha512:ba7816bf8f01cfea414140de5dae2223"));
	memcpy(text, abc, sizeof(abc));
	for (size_t i = 0; i < sizeof(abc) - 1; i++) {
		for (const char *bad = "/gA\n\200 .%"; *bad; bad++) {
			text[i] = *bad;
			assert_null(st_digest_hex(text));
		}
		text[i] = 0;
		assert_null(st_digest_hex(text));
		text[i] = abc[i];
	}
	text[sizeof(abc) - 1] = '0';
	text[sizeof(abc)] = 0;
	assert_null(st_digest_hex(text));
}

static void test_without_memory(void **state)
{
	(void)state;
	alloc_fail_each(n)
	{
		char digest[ST_DIGEST_MAX];
		int r = st_digest_of("abc", 3, digest);

		if (alloc_fail_stop())
			assert_int_equal(r, -ENOMEM);
		else
			assert_string_equal(digest, abc);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_hex),
		cmocka_unit_test(test_without_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
