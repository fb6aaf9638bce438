/* SPDX-License-Identifier: MIT */
#include "base/log.h"
#include "tests/alloc_fail.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

static int sink_fd;
static char written[8192];

static int prepare(void **state)
{
	(void)state;
	sink_fd = memfd_create("log", MFD_CLOEXEC);
	return sink_fd < 0 ? -1 : 0;
}

static int finish(void **state)
{
	(void)state;
	cow_log_setup(STDERR_FILENO, COW_LOG_INFO, false);
	return close(sink_fd);
}

/* What was logged since the last look, without the timestamp, which is checked. */
static const char *logged(void)
{
	static const char shape[] = "dddd-dd-ddTdd:dd:dd.dddZ";
	memset(written, 0, sizeof(written));
	assert_true(pread(sink_fd, written, sizeof(written) - 1, 0) >= 0);
	assert_int_equal(ftruncate(sink_fd, 0), 0);
	assert_int_equal(lseek(sink_fd, 0, SEEK_SET), 0);
	char *ts = written[0] == '{' ? written + strlen("{\"ts\":\"") : written;
	if (written[0] == '\0')
		return "";
	for (size_t i = 0; shape[i]; i++) {
		if (shape[i] == 'd')
			assert_in_range(ts[i], '0', '9');
		else
			assert_int_equal(ts[i], shape[i]);
	}
	return ts + strlen(shape);
}

static void test_text(void **state)
{
	(void)state;
	cow_log_setup(sink_fd, COW_LOG_DEBUG, false);
	cow_log(.level = COW_LOG_INFO, .event = "container.start", .container = "web",
		.msg = "started");
	assert_string_equal(logged(), " info container.start web: started\n");
	cow_log(.level = COW_LOG_ERROR, .event = "x");
	assert_string_equal(logged(), " error x\n");
	cow_log(.level = COW_LOG_WARN, .event = "e", .container = "c", .msg = "m", .txn = "t",
		.step = "two words", .plugin = "lcow", .state_from = "created",
		.state_to = "running", .has_code = true, .code = -ENOENT, .dur_ms = 12);
	assert_string_equal(logged(),
			    " warn e c: m txn=t step=\"two words\" plugin=lcow state_from=created "
			    "state_to=running code=-2 errno=ENOENT dur_ms=12\n");
	cow_log(.level = COW_LOG_DEBUG, .event = "e", .has_code = true, .code = 137, .step = "");
	assert_string_equal(logged(), " debug e step=\"\" code=137\n");
}

static void test_text_is_one_harmless_line(void **state)
{
	(void)state;
	cow_log_setup(sink_fd, COW_LOG_INFO, false);
	cow_log(.level = COW_LOG_INFO, .event = "e", .msg = "a\nb\033[2Jc\x7f", .step = "q\"\n");
	assert_string_equal(logged(), " info e: a\\nb\\x1b[2Jc\\x7f step=\"q\\\"\\n\"\n");
}

static void test_json(void **state)
{
	(void)state;
	cow_log_setup(sink_fd, COW_LOG_INFO, true);
	cow_log(.level = COW_LOG_INFO, .event = "e", .msg = "say \"hi\"\n", .container = "c",
		.txn = "t", .step = "s", .plugin = "p", .state_from = "a", .state_to = "b",
		.has_code = true, .code = -EIO, .dur_ms = 3);
	assert_string_equal(logged(), "\",\"level\":\"info\",\"event\":\"e\",\"msg\":\"say "
				      "\\\"hi\\\"\\n\",\"container\":\"c\","
				      "\"txn\":\"t\",\"step\":\"s\",\"plugin\":\"p\",\"state_"
				      "from\":\"a\",\"state_to\":\"b\","
				      "\"code\":-5,\"errno\":\"EIO\",\"dur_ms\":3}\n");
	cow_log(.level = COW_LOG_WARN, .event = "e", .dur_ms = -1);
	assert_string_equal(logged(), "\",\"level\":\"warn\",\"event\":\"e\"}\n");
}

static void test_levels(void **state)
{
	enum cow_log_level level = COW_LOG_DEBUG;
	(void)state;
	cow_log_setup(sink_fd, COW_LOG_WARN, false);
	cow_log(.level = COW_LOG_INFO, .event = "quiet");
	assert_string_equal(logged(), "");
	cow_log(.level = COW_LOG_WARN, .event = "loud");
	assert_string_equal(logged(), " warn loud\n");
	assert_int_equal(cow_log_level_parse("error", &level), 0);
	assert_int_equal(level, COW_LOG_ERROR);
	assert_int_equal(cow_log_level_parse("", &level), -EINVAL);
	assert_int_equal(cow_log_level_parse("INFO", &level), -EINVAL);
	assert_int_equal(level, COW_LOG_ERROR);
	cow_log_setup(-1, COW_LOG_DEBUG, false);
	cow_log(.level = COW_LOG_ERROR, .event = "nowhere");
	assert_string_equal(logged(), "");
}

static unsigned heard;

static void on_line(void *arg, const struct cow_log_line *line)
{
	assert_ptr_equal(arg, &heard);
	assert_string_equal(line->event, "outer");
	heard++;
	cow_log(.level = COW_LOG_ERROR, .event = "inner"); /* written, but not heard */
}

static void test_tap(void **state)
{
	(void)state;
	cow_log_setup(sink_fd, COW_LOG_ERROR, false);
	cow_log_tap(on_line, &heard);
	cow_log(.level = COW_LOG_DEBUG, .event = "outer");
	assert_int_equal(heard, 1);
	assert_string_equal(logged(), " error inner\n");
	cow_log_tap(NULL, NULL);
	cow_log(.level = COW_LOG_ERROR, .event = "other");
	assert_int_equal(heard, 1);
	(void)logged();
}

static void test_out_of_memory(void **state)
{
	(void)state;
	cow_log_setup(sink_fd, COW_LOG_INFO, true);
	alloc_fail_each(n) {
		cow_log(.level = COW_LOG_INFO, .event = "e",
			.msg = "a line that needs more than one block to grow");
		bool failed = alloc_fail_stop();
		assert_int_equal(strcmp(logged(), "") == 0, failed); /* whole, or not at all */
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text), cmocka_unit_test(test_text_is_one_harmless_line),
		cmocka_unit_test(test_json), cmocka_unit_test(test_levels),
		cmocka_unit_test(test_tap),  cmocka_unit_test(test_out_of_memory),
	};
	return cmocka_run_group_tests(tests, prepare, finish);
}
