/* SPDX-License-Identifier: MIT */
/* Lists, order, results, errors and the cache, with plugins of the test's own. */
#include "box.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <time.h>

static const struct net_cni_attachment at = { .container = "c1", .network = "net", .ifname = "eth0",
					      .netns = "/proc/self/ns/net", .args = "K8S=1;A=b" };

static struct net_cni_list *list(void)
{
	struct net_cni_list *l = NULL;

	for (char name[] = "bin/a"; name[4] <= 'c'; name[4]++)
		box_file(name, 0755, "%s", box_plugin);
	box_file("net.d/10-net.conflist", 0644,
		 "{\"cniVersion\":\"1.0.0\",\"name\":\"net\",\"plugins\":["
		 "{\"type\":\"a\",\"ipam\":{\"x\":[1]}},"
		 "{\"type\":\"b\",\"capabilities\":{\"portMappings\":true,\"mac\":false}},"
		 "{\"type\":\"c\"}]}");
	assert_int_equal(net_cni_load(&box.paths, "net", &l, &box.err), 0);
	return l;
}

/* The log's commands: "ADD a,ADD b,…". */
static void assert_ran(const char *expected)
{
	char ran[512] = "", *text = strdup(box_text(box.log)), *rest = text, *line;

	while ((line = strsep(&rest, "\n")) && *line) {
		size_t len = strlen(ran);

		(void)snprintf(ran + len, sizeof(ran) - len, "%s%.*s", len ? "," : "",
			       (int)(strchr(strchr(line, ' ') + 1, ' ') - line), line);
	}
	free(text);
	assert_string_equal(ran, expected);
	(void)unlink(box.log);
}

static void lists_are_found(void **state)
{
	struct net_cni_list *l = list();
	char path[200];

	(void)state;
	assert_string_equal(net_cni_list_name(l), "net");
	assert_string_equal(net_cni_list_version(l), "1.0.0");
	net_cni_list_free(l);
	box_file("net.d/20-one.conf", 0644,
		 "{\"cniVersion\":\"0.3.1\",\"name\":\"one\",\"type\":\"a\",\"bridge\":\"x\"}\n\n");
	box_file("net.d/05-damaged.conflist", 0644, "{");
	box_file("net.d/05-other.txt", 0644, "{\"cniVersion\":\"0.3.1\",\"name\":\"other\",\"type\":\"a\"}");
	assert_int_equal(net_cni_load(&box.paths, "one", &l, &box.err), 0);
	assert_string_equal(net_cni_list_version(l), "0.3.1");
	net_cni_list_free(l);
	(void)snprintf(path, sizeof(path), "%s/net.d/20-one.conf", box.dir);
	assert_int_equal(net_cni_load(&box.paths, path, &l, &box.err), 0);
	net_cni_list_free(l);
	assert_int_equal(net_cni_load(&box.paths, "other", &l, &box.err), -ENOENT);
	assert_non_null(strstr(box.err.text, "CNI network other: not in /tmp/cow-cni-"));
	assert_non_null(strstr(box.err.text, "/net.d/05-damaged.conflist: not a JSON object"));
	assert_int_equal(net_cni_load(&box.paths, "../x", &l, &box.err), -EINVAL);
	assert_int_equal(net_cni_load(&box.paths, "/nonexistent.conflist", &l, &box.err), -ENOENT);
	assert_string_equal(box.err.text, "/nonexistent.conflist: No such file or directory");
	box.paths.conf = "/nonexistent";
	assert_int_equal(net_cni_load(&box.paths, "net", &l, NULL), -ENOENT);
}

static void bad_lists_are_named(void **state)
{
	static const struct {
		int code;
		const char *text, *cause;
	} bad[] = {
		{ -ENOTSUP, "{\"name\":\"x\",\"plugins\":[{\"type\":\"a\"}]}",
		  "cniVersion is missing: 0.3.0 to 1.0.0 are spoken" },
		{ -ENOTSUP, "{\"name\":\"x\",\"cniVersion\":\"1.1.0\",\"plugins\":[{\"type\":\"a\"}]}",
		  "cniVersion 1.1.0: only 0.3.0 to 1.0.0 are spoken" },
		{ -EINVAL, "{\"cniVersion\":\"1.0.0\",\"plugins\":[{\"type\":\"a\"}]}", "name is missing" },
		{ -EINVAL, "{\"name\":\"a/b\",\"cniVersion\":\"1.0.0\",\"plugins\":[{\"type\":\"a\"}]}",
		  "a/b is not a name of a network" },
		{ -EINVAL, "{\"name\":\"x\",\"cniVersion\":\"1.0.0\",\"plugins\":[]}",
		  "plugins: an array of at least one is needed" },
		{ -EINVAL, "{\"name\":\"x\",\"cniVersion\":\"1.0.0\",\"plugins\":[{\"type\":\"../sh\"}]}",
		  "plugins/0: type ../sh is not a file name" },
		{ -EINVAL, "{\"name\":\"x\",\"cniVersion\":\"1.0.0\",\"plugins\":[7]}",
		  "plugins/0: type is missing" },
		{ -EBADMSG, "[1]", "not a JSON object" },
		{ -EBADMSG, "{} x", "not a JSON object" },
	};
	struct net_cni_list *l;
	char path[200], expected[300];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/net.d/x.conflist", box.dir);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		box_file("net.d/x.conflist", 0644, "%s", bad[i].text);
		assert_int_equal(net_cni_load(&box.paths, path, &l, &box.err), bad[i].code);
		(void)snprintf(expected, sizeof(expected), "%s: %s", path, bad[i].cause);
		assert_string_equal(box.err.text, expected);
	}
}

static void a_chain_is_run(void **state)
{
	struct net_cni_list *l = list();
	struct net_cni_attachment a = at;
	struct net_cni_result *result = NULL;
	struct json_object *capabilities =
		json_tokener_parse("{\"portMappings\":[{\"hostPort\":1}],\"mac\":\"x\"}");
	const char *log;

	(void)state;
	a.capabilities = capabilities;
	assert_int_equal(net_cni_add(&box.paths, l, &a, NULL, &result, &box.err), 0);
	assert_int_equal(result->interface_count, 2);
	assert_string_equal(result->interfaces[1].sandbox, "/ns");
	assert_null(result->interfaces[0].mac);
	assert_int_equal(result->ip_count, 1);
	assert_string_equal(result->ips[0].address, "10.9.0.2/24");
	assert_string_equal(result->ips[0].gateway, "10.9.0.1");
	assert_int_equal(result->ips[0].interface, 1);
	assert_string_equal(result->servers[0], "10.9.0.1");
	assert_null(result->servers[1]);
	assert_string_equal(result->domain, "x.example");
	net_cni_result_free(result);
	log = box_text(box.log);
	assert_non_null(strstr(log, "ADD a c1 /proc/self/ns/net eth0 K8S=1;A=b "
				    "{\"type\":\"a\",\"ipam\":{\"x\":[1]},"
				    "\"name\":\"net\",\"cniVersion\":\"1.0.0\"}\n"));
	assert_non_null(strstr(log, "\"runtimeConfig\":{\"portMappings\":[{\"hostPort\":1}]}}\n"));
	assert_null(strstr(log, "\"mac\":\"x\""));
	assert_ran("ADD a,ADD b,ADD c");
	assert_int_equal(net_cni_add(&box.paths, l, &a, NULL, &result, &box.err), -EEXIST);
	assert_string_equal(box.err.text, "cni net: c1 has eth0 there already");
	assert_int_equal(net_cni_check(&box.paths, &a, NULL, &box.err), 0);
	assert_ran("CHECK a,CHECK b,CHECK c");
	assert_int_equal(net_cni_cached(&box.paths, &a, &result, &box.err), 0);
	assert_string_equal(result->ips[0].address, "10.9.0.2/24");
	net_cni_result_free(result);
	/* The list has gone since, and so has the namespace. */
	box_file("net.d/10-net.conflist", 0644, "{}");
	a.netns = "/nonexistent";
	a.capabilities = NULL;
	assert_int_equal(net_cni_del(&box.paths, &a, NULL, &box.err), 0);
	log = box_text(box.log);
	assert_non_null(strstr(log, "DEL a c1  eth0 K8S=1;A=b {\"type\":\"a\",\"ipam\":{\"x\":[1]},"));
	assert_non_null(strstr(log, "\"runtimeConfig\":{\"portMappings\":[{\"hostPort\":1}]}}\n"));
	assert_ran("DEL c,DEL b,DEL a");
	assert_int_equal(box_count(box.cache), 0);
	assert_int_equal(net_cni_del(&box.paths, &a, NULL, &box.err), 0);
	assert_int_equal(net_cni_check(&box.paths, &a, NULL, &box.err), -ENOENT);
	assert_string_equal(box.err.text, "cni net: c1 has no eth0 there");
	json_object_put(capabilities);
	net_cni_list_free(l);
}

static void failing(const char *what, const char *script)
{
	box_file(what, 0644, "%s\n", script);
}

static void add_fails(struct net_cni_list *l, const struct net_cni_limits *limits, int code,
		      const char *expected)
{
	struct net_cni_result *result = NULL;

	assert_int_equal(net_cni_add(&box.paths, l, &at, limits, &result, &box.err), code);
	assert_string_equal(box.err.text, expected);
	assert_int_equal(box_count(box.cache), 0);
}

static void errors_are_told_and_undone(void **state)
{
	struct net_cni_list *l = list();
	struct net_cni_limits limits = { .timeout_ms = 200 };
	struct net_cni_result *result = NULL;

	(void)state;
	failing("ADD-b", "echo '{\"code\":7,\"msg\":\"bad\",\"details\":\"port 80\"}'; exit 1");
	add_fails(l, NULL, -EIO, "cni net: b: bad: port 80 (code 7)");
	assert_ran("ADD a,ADD b,DEL c,DEL b,DEL a");
	failing("ADD-b", "echo '{\"cniVersion\":\"1.0.0\",\"code\":11,\"msg\":\"later\"}'; exit 1");
	add_fails(l, NULL, -EAGAIN, "cni net: b: later (code 11)");
	failing("ADD-b", "echo one >&2; echo two >&2; exit 3");
	add_fails(l, NULL, -EIO, "cni net: b: ADD ended with status 3: one two");
	failing("ADD-b", "kill -9 $$");
	add_fails(l, NULL, -EIO, "cni net: b: ADD was ended by signal 9");
	failing("ADD-b", "echo nothing; exit 0");
	add_fails(l, NULL, -EBADMSG, "cni net: b: ADD gave no result");
	failing("ADD-b", "echo '{\"ips\":[{\"address\":\"1.1.1.1/8\",\"interface\":3}]}'; exit 0");
	failing("ADD-c", "echo '{\"ips\":[{\"address\":\"1.1.1.1/8\",\"interface\":3}]}'; exit 0");
	add_fails(l, NULL, -EBADMSG, "cni net: the result is none: ips/0: there is no interface 3");
	failing("ADD-b", "sleep 30 & sleep 30");
	add_fails(l, &limits, -ETIMEDOUT, "cni net: b: ADD took longer than 200 ms");
	/* More than is read of anything, on both: no plugin is held up by it, nor is the supervisor. */
	failing("ADD-b", "x=$(printf %1000d 1); i=0\n"
			 "while [ $i -lt 1200 ] && echo $x >&2; do i=$((i+1)); done; exit 4");
	assert_int_equal(net_cni_add(&box.paths, l, &at, NULL, &result, &box.err), -EIO);
	box_file("bin/b", 0644, "x");
	(void)unlink(box.log);
	assert_int_equal(net_cni_add(&box.paths, l, &at, NULL, &result, &box.err), -ENOENT);
	assert_non_null(strstr(box.err.text, "cni net: there is no plugin b in /nonexistent, "));
	assert_ran("ADD a,DEL c,DEL a");
	/* Its DEL could not be run either, but there is nothing of it. */
	assert_null(strstr(box.err.text, "undoing"));
	assert_int_equal(box_count(box.cache), 0);
	/* Of a there is: the cache keeps the attachment, until it is undone. */
	failing("DEL-a", "echo '{\"code\":5,\"msg\":\"locked\"}'; exit 1");
	assert_int_equal(net_cni_add(&box.paths, l, &at, NULL, &result, &box.err), -ENOENT);
	assert_non_null(strstr(box.err.text, "; undoing it: cni net: a: locked (code 5)"));
	assert_int_equal(box_count(box.cache), 1);
	failing("DEL-a", "");
	box_file("bin/b", 0755, "%s", box_plugin);
	(void)unlink(box.log);
	assert_int_equal(net_cni_del(&box.paths, &at, NULL, &box.err), 0);
	assert_ran("DEL c,DEL b,DEL a");
	assert_int_equal(box_count(box.cache), 0);
	net_cni_list_free(l);
}

static void all_of_a_container(void **state)
{
	struct net_cni_list *l = list();
	struct net_cni_attachment second = at, other = at;
	struct net_cni_result *result = NULL;

	(void)state;
	second.ifname = "eth1";
	other.container = "c12";
	assert_int_equal(net_cni_add(&box.paths, l, &at, NULL, &result, &box.err), 0);
	net_cni_result_free(result);
	assert_int_equal(net_cni_add(&box.paths, l, &second, NULL, &result, &box.err), 0);
	net_cni_result_free(result);
	assert_int_equal(net_cni_add(&box.paths, l, &other, NULL, &result, &box.err), 0);
	net_cni_result_free(result);
	(void)unlink(box.log);
	assert_int_equal(net_cni_del_all(&box.paths, "c1", NULL, NULL, &box.err), 0);
	assert_ran("DEL c,DEL b,DEL a,DEL c,DEL b,DEL a");
	assert_int_equal(box_count(box.cache), 1);
	assert_int_equal(net_cni_del_all(&box.paths, "c12", NULL, NULL, &box.err), 0);
	assert_int_equal(net_cni_del_all(&box.paths, "c12", NULL, NULL, &box.err), 0);
	assert_int_equal(box_count(box.cache), 0);
	net_cni_list_free(l);
}

/* Whose program is missing at DEL has taken nothing back: its entry stays until it could. */
static void a_missing_plugin_is_told(void **state)
{
	struct net_cni_list *l = list();
	struct net_cni_result *result = NULL;
	char text[300];

	(void)state;
	assert_int_equal(net_cni_add(&box.paths, l, &at, NULL, &result, &box.err), 0);
	net_cni_result_free(result);
	(void)unlink(box.log);
	box.plugin_dirs[1] = "/nowhere";
	assert_int_equal(net_cni_del_all(&box.paths, "c1", NULL, NULL, &box.err), -ENOENT);
	assert_string_equal(box.err.text, "cni net: there is no plugin c in /nonexistent, /nowhere");
	assert_ran("");
	assert_int_equal(box_count(box.cache), 1);
	/* After an entry that is damaged: that was first, and the others are tried. */
	box_file("run/cache/c1:eth!:net.json", 0600, "{");
	(void)snprintf(text, sizeof(text), "%s/c1:eth!:net.json: ", box.cache);
	assert_int_equal(net_cni_del_all(&box.paths, "c1", NULL, NULL, &box.err), -EBADMSG);
	assert_memory_equal(box.err.text, text, strlen(text));
	box.plugin_dirs[1] = box.plugins;
	assert_int_equal(net_cni_del_all(&box.paths, "c1", NULL, NULL, &box.err), -EBADMSG);
	assert_ran("DEL c,DEL b,DEL a");
	assert_int_equal(box_count(box.cache), 1);
	(void)snprintf(text, sizeof(text), "%s/c1:eth!:net.json", box.cache);
	assert_int_equal(unlink(text), 0);
	assert_int_equal(net_cni_del_all(&box.paths, "c1", NULL, NULL, &box.err), 0);
	assert_int_equal(box_count(box.cache), 0);
	net_cni_list_free(l);
}

static int never(void *arg, const struct net_cni_list *l)
{
	(void)arg;
	(void)l;
	return 1;
}

/* One that cannot be read is not one that is empty. */
static void directories_have_to_be_readable(void **state)
{
	struct net_cni_list *l = NULL;
	char text[300];

	(void)state;
	assert_int_equal(net_cni_del_all(&box.paths, "c1", NULL, NULL, &box.err), 0); /* none */
	box_file("run", 0644, "a file");
	assert_int_equal(net_cni_del_all(&box.paths, "c1", NULL, NULL, &box.err), -ENOTDIR);
	(void)snprintf(text, sizeof(text), "%s: Not a directory", box.cache);
	assert_string_equal(box.err.text, text);
	assert_int_equal(rmdir(box.conf), 0);
	assert_int_equal(net_cni_each(&box.paths, never, NULL, &box.err), 0);
	box_file("net.d", 0644, "a file");
	(void)snprintf(text, sizeof(text), "%s: Not a directory", box.conf);
	assert_int_equal(net_cni_each(&box.paths, never, NULL, &box.err), -ENOTDIR);
	assert_string_equal(box.err.text, text);
	(void)plug_error_none(&box.err);
	assert_int_equal(net_cni_load(&box.paths, "net", &l, &box.err), -ENOTDIR);
	assert_string_equal(box.err.text, text);
}

static void canceled(void **state)
{
	struct net_cni_list *l = list();
	struct net_cni_limits limits = { .cancel_fd = eventfd(1, EFD_CLOEXEC) };
	const atomic_bool stop = true;

	(void)state;
	failing("ADD-a", "sleep 30");
	add_fails(l, &limits, -ECANCELED, "cni net: a: ADD was canceled");
	assert_int_equal(close(limits.cancel_fd), 0);
	limits = (struct net_cni_limits){ .stop = &stop };
	add_fails(l, &limits, -ECANCELED, "cni net: a: ADD was canceled");
	net_cni_list_free(l);
}

static void del_tries_all(void **state)
{
	struct net_cni_list *l = list();
	struct net_cni_result *result = NULL;

	(void)state;
	assert_int_equal(net_cni_add(&box.paths, l, &at, NULL, &result, &box.err), 0);
	net_cni_result_free(result);
	(void)unlink(box.log);
	failing("DEL-c", "echo '{\"code\":5,\"msg\":\"c\"}'; exit 1");
	failing("DEL-b", "echo '{\"code\":5,\"msg\":\"b\"}'; exit 1");
	assert_int_equal(net_cni_del(&box.paths, &at, NULL, &box.err), -EIO);
	assert_string_equal(box.err.text, "cni net: c: c (code 5)");
	assert_ran("DEL c,DEL c,DEL c,DEL b,DEL b,DEL b,DEL a"); /* again, and without the namespace */
	assert_int_equal(box_count(box.cache), 1);
	failing("DEL-c", "");
	failing("DEL-b", "");
	failing("CHECK-b", "echo '{\"code\":100,\"msg\":\"not as it was\"}'; exit 1");
	assert_int_equal(net_cni_check(&box.paths, &at, NULL, &box.err), -EIO);
	assert_string_equal(box.err.text, "cni net: b: not as it was (code 100)");
	(void)unlink(box.log);
	failing("DEL-b", "[ -z \"$CNI_NETNS\" ] || { echo '{\"code\":999,\"msg\":\"no chain\"}'; exit 1; }");
	assert_int_equal(net_cni_del(&box.paths, &at, NULL, &box.err), 0);
	assert_ran("DEL c,DEL b,DEL b,DEL b,DEL a");
	assert_int_equal(box_count(box.cache), 0);
	net_cni_list_free(l);
}

static void check_since_0_4(void **state)
{
	struct net_cni_list *l;
	struct net_cni_result *result = NULL;

	(void)state;
	net_cni_list_free(list());
	box_file("net.d/10-net.conflist", 0644,
		 "{\"cniVersion\":\"0.3.1\",\"name\":\"net\",\"plugins\":[{\"type\":\"a\"}]}");
	assert_int_equal(net_cni_load(&box.paths, "net", &l, &box.err), 0);
	assert_int_equal(net_cni_add(&box.paths, l, &at, NULL, &result, &box.err), 0);
	net_cni_result_free(result);
	assert_int_equal(net_cni_check(&box.paths, &at, NULL, &box.err), -ENOTSUP);
	assert_string_equal(box.err.text, "cni net: CHECK came with 0.4.0, this is 0.3.1");
	assert_int_equal(net_cni_del(&box.paths, &at, NULL, &box.err), 0);
	net_cni_list_free(l);
	box_file("net.d/10-net.conflist", 0644,
		 "{\"cniVersion\":\"0.4.0\",\"name\":\"net\",\"disableCheck\":true,"
		 "\"plugins\":[{\"type\":\"a\"}]}");
	assert_int_equal(net_cni_load(&box.paths, "net", &l, &box.err), 0);
	assert_int_equal(net_cni_add(&box.paths, l, &at, NULL, &result, &box.err), 0);
	net_cni_result_free(result);
	(void)unlink(box.log);
	assert_int_equal(net_cni_check(&box.paths, &at, NULL, &box.err), 0);
	assert_ran("");
	assert_int_equal(net_cni_del(&box.paths, &at, NULL, &box.err), 0);
	net_cni_list_free(l);
}

static bool keep_c2(void *arg, const struct net_cni_attachment *a)
{
	(void)arg;
	return !strcmp(a->container, "c2");
}

/* The supervisor is killed while a plugin runs: the plugin goes with it, and DEL finds all that was made. */
static void killed_at_any_plugin(void **state)
{
	struct net_cni_attachment other = at;
	struct net_cni_result *result = NULL;

	(void)state;
	other.container = "c2";
	for (char at_plugin[] = "ADD-a"; at_plugin[4] <= 'c'; at_plugin[4]++) {
		struct net_cni_list *l = list();
		char alive[200];
		pid_t pid;
		int pipes[2], status;

		assert_int_equal(net_cni_add(&box.paths, l, &other, NULL, &result, &box.err), 0);
		net_cni_result_free(result);
		(void)snprintf(alive, sizeof(alive), "echo x >%s/fifo; exec sleep 30", box.dir);
		failing(at_plugin, alive);
		(void)snprintf(alive, sizeof(alive), "%s/fifo", box.dir);
		(void)unlink(alive);
		assert_int_equal(mkfifo(alive, 0600), 0);
		pipes[0] = open(alive, O_RDWR | O_CLOEXEC);
		pid = fork();
		if (pid == 0) {
			(void)net_cni_add(&box.paths, l, &at, NULL, &result, &box.err);
			_exit(0);
		}
		assert_int_equal(read(pipes[0], &pipes[1], 1), 1); /* the plugin runs now */
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		(void)close(pipes[0]);
		(void)unlink(box.log);
		assert_int_equal(box_count(box.cache), 2);
		assert_int_equal(net_cni_sweep(&box.paths, NULL, keep_c2, NULL, &box.err), 0);
		assert_ran("DEL c,DEL b,DEL a");
		assert_int_equal(box_count(box.cache), 1);
		failing(at_plugin, "");
		assert_int_equal(net_cni_del(&box.paths, &other, NULL, &box.err), 0);
		(void)unlink(box.log);
		net_cni_list_free(l);
	}
}

/* What a killed plugin has started makes nothing after DEL. */
static void stragglers_are_ended(void **state)
{
	struct net_cni_list *l = list();
	struct net_cni_result *result = NULL;
	char text[300];
	int status;
	pid_t pid;

	(void)state;
	(void)snprintf(text, sizeof(text), "%s/fifo", box.dir);
	assert_int_equal(mkfifo(text, 0600), 0);
	(void)snprintf(text, sizeof(text), "setsid sh -c 'echo >%s/fifo; sleep 1000 >/dev/null' & wait",
		       box.dir);
	failing("ADD-b", text);
	pid = fork();
	if (pid == 0) {
		(void)net_cni_add(&box.paths, l, &at, NULL, &result, &box.err);
		_exit(0);
	}
	(void)snprintf(text, sizeof(text), "%s/fifo", box.dir);
	assert_int_equal(*box_text(text), '\n'); /* it runs now */
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(net_cni_del_all(&box.paths, "c1", NULL, NULL, &box.err), 0);
	(void)snprintf(text, sizeof(text), "grep -lsz '^COWHERD_CNI=%s:c1$' /proc/[0-9]*/environ >%s/found",
		       box.cache, box.dir);
	(void)!system(text);
	(void)snprintf(text, sizeof(text), "%s/found", box.dir);
	assert_string_equal(box_text(text), "");
	net_cni_list_free(l);
}

/* The writer was killed before the entry had its name, or just after. */
static void unfinished_entries_go(void **state)
{
	struct net_cni_list *l = list();
	struct net_cni_result *result = NULL;

	(void)state;
	assert_int_equal(net_cni_add(&box.paths, l, &at, NULL, &result, &box.err), 0);
	net_cni_result_free(result);
	box_file("run/cache/.c1:eth0:net.json", 0600, "{");
	box_file("run/cache/.c2:eth0:net.json", 0600, "{");
	assert_int_equal(net_cni_del(&box.paths, &at, NULL, &box.err), 0);
	assert_int_equal(box_count(box.cache), 1);
	assert_int_equal(net_cni_del_all(&box.paths, "c2", NULL, NULL, &box.err), 0);
	assert_int_equal(box_count(box.cache), 0);
	net_cni_list_free(l);
}

/* Who knows 1.1.0 says in cniVersions what else the list can be run with. */
static void versions_are_negotiated(void **state)
{
	struct net_cni_list *l = NULL;

	(void)state;
	assert_int_equal(net_cni_load(&box.paths, "{\"name\":\"x\",\"cniVersion\":\"1.1.0\",\"cniVersions\":"
				      "[\"0.3.1\",\"1.0.0\",\"1.1.0\",7],\"plugins\":[{\"type\":\"a\","
				      "\"capabilities\":{\"ips\":true,\"mac\":false}}]}", &l, &box.err), 0);
	assert_string_equal(net_cni_list_version(l), "1.0.0");
	assert_true(net_cni_list_can(l, "ips"));
	assert_false(net_cni_list_can(l, "mac"));
	assert_false(net_cni_list_can(l, "bandwidth"));
	net_cni_list_free(l);
	assert_int_equal(net_cni_load(&box.paths, "{\"name\":\"x\",\"cniVersions\":[\"1.1.0\"],"
				      "\"cniVersion\":\"1.1.0\",\"type\":\"a\"}", &l, &box.err), -ENOTSUP);
	assert_string_equal(box.err.text, "conflist: cniVersion 1.1.0: only 0.3.0 to 1.0.0 are spoken");
}

static void names_are_checked(void **state)
{
	struct net_cni_list *l = list();
	struct net_cni_attachment a = at;
	struct net_cni_result *result;

	(void)state;
	a.container = "../c";
	assert_int_equal(net_cni_add(&box.paths, l, &a, NULL, &result, &box.err), -EINVAL);
	assert_string_equal(box.err.text, "cni: ../c is not a name of a container");
	a = at;
	a.ifname = "a/b";
	assert_int_equal(net_cni_add(&box.paths, l, &a, NULL, &result, &box.err), -EINVAL);
	assert_int_equal(net_cni_del(&box.paths, &a, NULL, &box.err), -EINVAL);
	a = at;
	a.network = "other";
	assert_int_equal(net_cni_add(&box.paths, l, &a, NULL, &result, &box.err), -EINVAL);
	assert_int_equal(box_count(box.cache), 0);
	net_cni_list_free(l);
}

static void damaged_cache(void **state)
{
	(void)state;
	box_file("run", 0644, "a file");
	assert_int_equal(net_cni_del(&box.paths, &at, NULL, &box.err), -ENOTDIR);
	assert_int_equal(unlink(strcat(strcpy(box.log, box.dir), "/run")), 0);
	assert_int_equal(mkdir(box.log, 0700), 0);
	assert_int_equal(mkdir(box.cache, 0700), 0);
	box_file("run/cache/c1:eth0:net.json", 0600, "{");
	assert_int_equal(net_cni_del(&box.paths, &at, NULL, &box.err), -EBADMSG);
	assert_int_equal(net_cni_sweep(&box.paths, NULL, keep_c2, NULL, &box.err), -EBADMSG);
	box_file("run/cache/c1:eth0:net.json", 0600, "{\"container\":\"c1\"}");
	assert_int_equal(net_cni_del(&box.paths, &at, NULL, &box.err), -EBADMSG);
}

static void namespaces_are_persisted(void **state)
{
	struct net_cni_namespace ns = { .namespace_id = "", .container_id = "", .host_id = "" }, got;

	(void)state;
	assert_int_equal(net_cni_namespace_store(box.cache, &ns, false, &box.err), -EINVAL);
	assert_string_equal(box.err.text, "invalid namespaceID ''");
	ns.namespace_id = "ns-1";
	assert_int_equal(net_cni_namespace_store(box.cache, &ns, false, &box.err), -EINVAL);
	assert_string_equal(box.err.text, "invalid containerID ''");
	ns.container_id = "c1";
	assert_int_equal(net_cni_namespace_store(box.cache, &ns, false, &box.err), -EINVAL);
	assert_string_equal(box.err.text, "invalid containerHostUniqueID 'empy'");
	ns.host_id = "vm-1";
	assert_int_equal(net_cni_namespace_load(box.cache, "ns-1", &got, &box.err), -ENOENT);
	assert_string_equal(box.err.text, "ID 'ns-1' was not found");
	assert_int_equal(net_cni_namespace_store(box.cache, &ns, false, &box.err), 0);
	assert_int_equal(net_cni_namespace_store(box.cache, &ns, false, &box.err), -EEXIST);
	assert_string_equal(box.err.text, "container ns-1 already exists");
	ns.host_id = "vm-2";
	assert_int_equal(net_cni_namespace_store(box.cache, &ns, true, &box.err), 0);
	assert_int_equal(net_cni_namespace_load(box.cache, "ns-1", &got, &box.err), 0);
	assert_string_equal(got.namespace_id, "ns-1");
	assert_string_equal(got.container_id, "c1");
	assert_string_equal(got.host_id, "vm-2");
	net_cni_namespace_free(&got);
	ns.namespace_id = "../x";
	assert_int_equal(net_cni_namespace_store(box.cache, &ns, false, &box.err), -EINVAL);
	assert_int_equal(net_cni_namespace_remove(box.cache, "../x", &box.err), 0);
	assert_int_equal(net_cni_namespace_remove(box.cache, "ns-1", &box.err), 0);
	assert_int_equal(net_cni_namespace_remove(box.cache, "ns-1", &box.err), 0);
	assert_int_equal(box_count(box.cache), 0);
	ns.namespace_id = "ns-1"; /* once removed, it can be made again */
	assert_int_equal(net_cni_namespace_store(box.cache, &ns, false, &box.err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, box_begin, box_end)
		TEST(lists_are_found),		TEST(bad_lists_are_named), TEST(a_chain_is_run),
		TEST(errors_are_told_and_undone), TEST(all_of_a_container),
		TEST(a_missing_plugin_is_told),	TEST(directories_have_to_be_readable),
		TEST(canceled),	   TEST(del_tries_all),
		TEST(check_since_0_4),		TEST(killed_at_any_plugin), TEST(names_are_checked),
		TEST(damaged_cache),		TEST(namespaces_are_persisted),
		TEST(stragglers_are_ended),	TEST(unfinished_entries_go),
		TEST(versions_are_negotiated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
