/* SPDX-License-Identifier: MIT */
#include "cli/format.h"
#include "cli/row.h"

#include <errno.h>
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static const struct cow_column columns[] = {
	{ "NAMES", "Names" },
	{ "STATUS", "Status" },
	{ NULL, NULL },
};

static struct json_object *json(const char *text)
{
	struct json_object *o = json_tokener_parse(text);

	assert_non_null(o);
	return o;
}

static void expect_rows(const char *format, const char *rows, const char *want)
{
	struct json_object *list = json(rows);
	struct cow_strbuf b = COW_STRBUF_INIT;
	struct cow_error err = { 0 };

	assert_int_equal(cow_format_rows(&b, format, columns, list, &err), 0);
	assert_string_equal(b.data ? b.data : "", want);
	cow_strbuf_finish(&b);
	json_object_put(list);
}

#define TWO                                                                                        \
	"[{\"Names\":\"a\",\"Status\":\"Up\"},{\"Names\":\"a-long-name\",\"Status\":\"Exited\"}]"

static void tables(void **state)
{
	(void)state;
	expect_rows(NULL, TWO, "NAMES         STATUS\na             Up\na-long-name   Exited\n");
	expect_rows("table", "[]", "NAMES     STATUS\n");
	expect_rows("table {{.Status}}\\t{{.Names}}", TWO,
		    "STATUS    NAMES\nUp        a\nExited    a-long-name\n");
	expect_rows(NULL, "[{\"Names\":\"ä\",\"Status\":\"Up\"}]",
		    "NAMES     STATUS\nä         Up\n");
}

static void templates(void **state)
{
	(void)state;
	expect_rows("{{.Names}}={{ .Status }}", TWO, "a=Up\na-long-name=Exited\n");
	expect_rows("{{json .}}", "[{\"Names\":\"a/b\"}]", "{\"Names\":\"a/b\"}\n");
	expect_rows("{{json .Names}}", "[{\"Names\":\"a\"}]", "\"a\"\n");
	expect_rows("json", TWO,
		    "{\"Names\":\"a\",\"Status\":\"Up\"}\n"
		    "{\"Names\":\"a-long-name\",\"Status\":\"Exited\"}\n");
	expect_rows("x{y}\\n", "[{}]", "x{y}\n\n");
}

static void expect_wrong(const char *format)
{
	struct json_object *list = json(TWO);
	struct cow_strbuf b = COW_STRBUF_INIT;
	struct cow_error err = { 0 };

	assert_int_equal(cow_format_rows(&b, format, columns, list, &err), -EINVAL);
	assert_true(*err.message);
	cow_strbuf_finish(&b);
	json_object_put(list);
}

static void wrong_templates(void **state)
{
	(void)state;
	expect_wrong("{{.Bogus}}");
	expect_wrong("{{.Names");
	expect_wrong("{{Names}}");
	expect_wrong("{{}}");
	expect_wrong("{{.Names | nonsense}}");
	expect_wrong("{{if .Names}}");
	expect_wrong("{{if .Names}}a{{else}}b");
	expect_wrong("{{end}}");
	expect_wrong("{{else}}");
	expect_wrong("{{range .Names}}{{end}}");
	expect_wrong("{{upper}}");
	expect_wrong("{{upper .Names .Status}}");
	expect_wrong("{{.Names .Status}}");
	expect_wrong("{{.Names | .Status}}");
	expect_wrong("{{(upper .Names}}");
	expect_wrong("{{upper \"a}}");
	expect_wrong("{{$x}}");
	expect_wrong("{{$x = 1}}");
	expect_wrong("{{$a, $b := .Names}}");
	expect_wrong("{{1a}}");
	expect_wrong("{{.Names..Status}}");
	expect_wrong("{{index .Names 0}}");
	expect_wrong("{{slice .Names 3 1}}");
	expect_wrong("{{printf \"%s\"}}");
	expect_wrong("{{printf \"%z\" 1}}");
	expect_wrong("{{/* a}}");
	expect_wrong("{{lt .Names 1}}");
	expect_wrong("{{.Names |}}");
	expect_wrong("{{((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((("
		     "1)))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))}}");
}

static void expect_document(const char *format, const char *value, const char *want)
{
	struct json_object *o = json(value);
	struct cow_strbuf b = COW_STRBUF_INIT;
	struct cow_error err = { 0 };

	assert_int_equal(cow_format_value(&b, format, o, &err), 0);
	assert_string_equal(b.data, want);
	cow_strbuf_finish(&b);
	json_object_put(o);
}

static void paths(void **state)
{
#define DOC                                                                                        \
	"{\"pid\":7,\"exit_code\":3,\"state\":\"running\",\"health\":{\"status\":\"healthy\"},"    \
	"\"labels\":{\"a\":\"b\"}}"
	(void)state;
	expect_document("{{.pid}} {{.Pid}} {{.State.Pid}}", DOC, "7 7 7\n");
	expect_document("{{.State.ExitCode}}", DOC, "3\n");
	expect_document("{{.State.Health.Status}}", DOC, "healthy\n");
	expect_document("{{.State}}", DOC, "running\n");
	expect_document("{{json .Config.Labels}}", DOC, "{\"a\":\"b\"}\n");
	expect_document("{{.nothing}}", DOC, "<no value>\n");
	expect_document("{{.State.Running}} {{.State.Paused}} {{.State.StartedAt}} {{.Created}} "
			"{{.Path}} {{.Config.Cmd}} {{.HostConfig.RestartPolicy.Name}} "
			"{{.Config.Env}}",
			"{\"status\":\"running\",\"started_ns\":1000000000,\"created_ns\":0,"
			"\"args\":[\"sleep\",\"9\"],\"restart\":{\"policy\":\"always\"},"
			"\"spec\":{\"process\":{\"env\":[\"A=b\"]}}}",
			"true false 1970-01-01T00:00:01.000000000Z 0001-01-01T00:00:00Z sleep [sleep 9] "
			"always [A=b]\n");
}

static void template_language(void **state)
{
	static const char doc[] =
		"{\"n\":3,\"name\":\"web\",\"none\":\"\",\"yes\":true,\"list\":[\"a\",\"b\",\"c\"],"
		"\"empty\":[],\"null\":null,\"map\":{\"k\":\"v\",\"b\":1},"
		"\"mounts\":[{\"source\":\"/s\"},{\"source\":\"/t\"}]}";
	static const char *const cases[][2] = {
		{ "{{.list}} {{.map}} {{.yes}} {{.n}} {{.null}}", "[a b c] map[b:1 k:v] true 3 <no value>" },
		{ "{{upper .name}}{{.name | upper | lower}}{{title .name}}", "WEBwebWeb" },
		{ "{{join .list \",\"}} {{index (split \"x-y\" \"-\") 1}}", "a,b,c y" },
		{ "{{truncate .name 2}}{{truncate \"äöü\" 2}}{{truncate .name 9}}", "weäöweb" },
		{ "{{len .list}}{{len .name}}{{slice .name 1 2}}{{slice .list 1}}", "33e[b c]" },
		{ "{{pad .name 1 2}}|", " web  |" },
		{ "{{printf \"%s-%05d|%-5s|%5s|%.1f%%|%q\" .name .n .name .name 1.25 .name}}",
		  "web-    3|web  |  web|1.2%|\"web\"" },
		{ "{{print .name .n .n}}{{println .name 1}}x", "web3 3web 1\nx" },
		{ "{{if .none}}a{{else if eq .n 3}}b{{else}}c{{end}}", "b" },
		{ "{{if .none}}a{{else if eq .n 4}}b{{else}}c{{end}}", "c" },
		{ "{{if .name}}a{{else if .bogus.x}}b{{else}}c{{end}}d", "ad" },
		{ "{{if and .yes (not .none)}}y{{end}}{{or .none .name}}{{and .n .none}}|", "yweb|" },
		{ "{{range .list}}<{{.}}>{{end}}", "<a><b><c>" },
		{ "{{range $i, $v := .list}}{{if $i}}, {{end}}{{$i}}={{$v}}{{end}}", "0=a, 1=b, 2=c" },
		{ "{{range .empty}}x{{else}}none{{end}}{{range .null}}y{{end}}", "none" },
		{ "{{range $k, $v := .map}}{{$k}}:{{$v}};{{end}}", "k:v;b:1;" },
		{ "{{range .mounts}}{{.Source}} {{$.name}} {{end}}", "/s web /t web " },
		{ "{{with .map}}{{.k}}{{end}}{{with .none}}x{{else}}y{{end}}", "vy" },
		{ "{{with $m := .map}}{{$m.k}}{{end}}", "v" },
		{ "{{$x := .n}}{{$x}}{{$x = 4}}{{$x}}{{(index .mounts 1).source}}", "34/t" },
		{ "a {{- .n -}} b{{/* no\nthing */}} c", "a3b c" },
		{ "{{eq .n 1 2 3}} {{ne .name \"web\"}} {{lt .n 4}} {{ge .n 4}} {{gt 1.5 1}} "
		  "{{le .n 3}}",
		  "true false true false true true" },
		{ "{{index .map \"k\"}}{{.map.k}}{{json .list}}{{\"q\\\"\\t\"}}{{`r\\`}}",
		  "vv[\"a\",\"b\",\"c\"]q\"\tr\\" },
		{ "{{true}}{{false}}{{nil}}{{-1}}{{if nil}}x{{end}}", "truefalse<no value>-1" },
		{ "{{range .list}}{{range $.list}}{{.}}{{end}};{{end}}", "abc;abc;abc;" },
		{ "{{.Label \"k\"}}|", "|" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char want[256];

		(void)snprintf(want, sizeof(want), "%s\n", cases[i][1]);
		expect_document(cases[i][0], doc, want);
	}
	expect_document("{{.Label \"com.x\"}}{{.Label \"b\"}}", "{\"Labels\":\"a=1,com.x=2,b=3\"}",
			"23\n");
	expect_document("{{.Label \"b\"}}", "{\"labels\":{\"b\":\"3\"}}", "3\n");
	expect_rows("table {{upper .Names}}\t{{if eq .Status \"Up\"}}yes{{else}}no{{end}}", TWO,
		    "NAMES         no\nA             yes\nA-LONG-NAME   no\n");
}

static void expect_status(const char *container, const char *want)
{
	struct json_object *o = json(container);
	struct cow_strbuf b = COW_STRBUF_INIT;

	cow_ps_status(&b, o, 100000000000);
	assert_string_equal(b.data, want);
	cow_strbuf_finish(&b);
	json_object_put(o);
}

static void statuses(void **state)
{
	(void)state;
	expect_status("{\"status\":\"running\",\"started_ns\":97000000000}", "Up 3 seconds");
	expect_status("{\"status\":\"running\",\"started_ns\":97000000000,\"health\":\"healthy\"}",
		      "Up 3 seconds (healthy)");
	expect_status("{\"status\":\"running\",\"started_ns\":97000000000,\"health\":\"starting\"}",
		      "Up 3 seconds (health: starting)");
	expect_status("{\"status\":\"running\",\"started_ns\":97000000000,\"health\":\"none\"}",
		      "Up 3 seconds");
	expect_status("{\"status\":\"paused\",\"started_ns\":40000000000}",
		      "Up About a minute (Paused)");
	expect_status("{\"status\":\"exited\",\"exit_code\":0,\"finished_ns\":1000000}",
		      "Exited (0) About a minute ago");
	expect_status("{\"status\":\"exited\",\"exit_code\":null,\"finished_ns\":98000000000}",
		      "Exited (lost) 2 seconds ago");
	expect_status("{\"status\":\"restarting\",\"exit_code\":1,\"finished_ns\":99000000000}",
		      "Restarting (1) 1 second ago");
	expect_status("{\"status\":\"created\"}", "Created");
}

static void ps_rows(void **state)
{
	struct json_object *c =
		json("{\"id\":\"0123456789abcdef\",\"name\":\"web\",\"image\":\"/r\",\"command\":"
		     "\"sh -c 'while true; do echo; done'\",\"created\":1,\"status\":\"running\","
		     "\"labels\":{\"a\":\"1\",\"b\":\"2\"}}");
	struct json_object *row = cow_ps_row(c, 5000000000, false);

	(void)state;
	assert_string_equal(json_object_get_string(json_object_object_get(row, "ID")),
			    "0123456789ab");
	assert_string_equal(json_object_get_string(json_object_object_get(row, "Command")),
			    "\"sh -c 'while true; …\"");
	assert_string_equal(json_object_get_string(json_object_object_get(row, "RunningFor")),
			    "4 seconds ago");
	assert_string_equal(json_object_get_string(json_object_object_get(row, "Labels")),
			    "a=1,b=2");
	json_object_put(row);
	row = cow_ps_row(c, 5000000000, true);
	assert_string_equal(json_object_get_string(json_object_object_get(row, "ID")),
			    "0123456789abcdef");
	json_object_put(row);
	json_object_put(c);
}

static void stats_rows(void **state)
{
	struct json_object *s = json(
		"{\"id\":\"abc\",\"name\":\"web\",\"cpu_percent\":12.345,\"memory_bytes\":1048576,"
		"\"memory_limit_bytes\":4194304,\"pids\":3,\"net_rx_bytes\":1000,"
		"\"net_tx_bytes\":0,\"block_read_bytes\":2500000,\"block_write_bytes\":7}");
	struct json_object *row = cow_stats_row(s, 8 << 20, false);
	static const char *const want[][2] = {
		{ "CPUPerc", "12.35%" }, { "MemUsage", "1MiB / 4MiB" }, { "MemPerc", "25.00%" },
		{ "NetIO", "1kB / 0B" }, { "BlockIO", "2.5MB / 7B" },   { "PIDs", "3" }
	};

	(void)state;
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		assert_string_equal(json_object_get_string(json_object_object_get(row, want[i][0])),
				    want[i][1]);
	json_object_put(row);
	json_object_put(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables),          cmocka_unit_test(templates),
		cmocka_unit_test(wrong_templates), cmocka_unit_test(paths),
		cmocka_unit_test(statuses),        cmocka_unit_test(ps_rows),
		cmocka_unit_test(stats_rows),      cmocka_unit_test(template_language),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
