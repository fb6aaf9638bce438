/* SPDX-License-Identifier: MIT */
#include "spec/options.h"
#include "spec/values.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static void a_user_namespace_and_no_groups(void **state)
{
	struct json_object *spec = cow_spec_default("/r", "h", false);
	const char *text;

	(void)state;
	assert_non_null(spec);
	assert_int_equal(cow_spec_rootless(spec, 1000, 100), 0);
	text = json_object_to_json_string_ext(spec, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	assert_non_null(strstr(text, "{\"type\":\"cgroup\"},{\"type\":\"user\"}]"));
	assert_non_null(strstr(text, "\"uidMappings\":[{\"containerID\":0,\"hostID\":1000,\"size\":1}]"));
	assert_non_null(strstr(text, "\"gidMappings\":[{\"containerID\":0,\"hostID\":100,\"size\":1}]"));
	assert_non_null(strstr(text, "\"ptmxmode=0666\",\"mode=0620\"]}"));
	assert_null(strstr(text, "gid=5"));
	json_object_put(spec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_user_namespace_and_no_groups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
