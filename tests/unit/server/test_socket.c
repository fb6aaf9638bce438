/* SPDX-License-Identifier: MIT */
/* The socket in the file system, and accepting: who may come, how many, with what left. */
#include "tests/unit/server/harness.h"

#include "base/fs.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>

static char dir[64];

static int setup(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/cow-server-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	return cow_fs_remove_tree(dir);
}

static const char *in_dir(const char *name)
{
	static char path[512];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static int try_connect(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	assert_true(strlen(path) < sizeof(a.sun_path));
	memcpy(a.sun_path, path, strlen(path));
	if (connect(fd, (const struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	(void)close(fd);
	return -errno;
}

static int create_fails(const char *path)
{
	struct cow_server_setup s = { .loop = &h.loop, .timers = &h.timers, .socket_path = path };
	struct cow_server *server;
	struct cow_error err = { 0 };
	int r;

	assert_int_equal(uv_loop_init(&h.loop), 0);
	r = cow_server_create(&s, &server, &err);
	assert_int_equal(uv_loop_close(&h.loop), 0);
	assert_true(r < 0);
	assert_int_equal(err.code, r);
	assert_has(err.message, path[0] == '/' ? dir : path);
	return r;
}

static void test_mode_and_parents(void **state)
{
	mode_t mask = umask(0);
	struct stat st;
	int fd;

	(void)state;
	start_at(in_dir("a/b/sock"), 0);
	assert_int_equal(stat(in_dir("a/b/sock"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(stat(in_dir("a/b"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	(void)umask(mask);
	fd = try_connect(in_dir("a/b/sock"));
	put(fd, CALL(1, "version", "{}"));
	assert_has(get(fd), "\"owner\":\"tester\"");
	hang_up(fd);
	stop();
	assert_int_equal(access(in_dir("a/b/sock"), F_OK), -1);
}

static void test_stale_live_and_foreign(void **state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char path[512];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s", in_dir("sock"));
	memcpy(a.sun_path, path, strlen(path));
	assert_int_equal(bind(fd, (const struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(create_fails(path), -EADDRINUSE);
	assert_int_equal(access(path, F_OK), 0);
	(void)close(fd); /* dead: nobody answers, the file stays */
	start_at(path, 0);
	fd = try_connect(path);
	assert_true(fd >= 0);
	hang_up(fd);
	stop();

	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	(void)close(fd);
	assert_int_equal(create_fails(path), -EEXIST);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(create_fails(in_dir("sock/below")), -ENOTDIR);
	assert_int_equal(create_fails("relative"), -EINVAL);
	assert_int_equal(create_fails(in_dir("")), -EINVAL);
}

/* Another one has taken the place meanwhile: it is not ours to remove. */
static void test_replaced_meanwhile(void **state)
{
	char path[512];
	int fd;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s", in_dir("sock"));
	start_at(path, 0);
	assert_int_equal(unlink(path), 0);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	(void)close(fd);
	stop();
	assert_int_equal(access(path, F_OK), 0);
}

static void test_long_paths(void **state)
{
	char path[512], name[128], link[512];
	struct stat st;
	int fd;

	(void)state;
	memset(name, 'n', sizeof(name));
	name[100] = 0;
	(void)snprintf(path, sizeof(path), "%s/%s/sock", dir, name);
	start_at(path, 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	(void)snprintf(link, sizeof(link), "%s/%s", dir, name);
	assert_int_equal(symlink(link, in_dir("short")), 0);
	fd = try_connect(in_dir("short/sock"));
	assert_true(fd >= 0);
	hang_up(fd);
	stop();
	assert_int_equal(access(path, F_OK), -1);
	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	name[100] = 'n';
	name[120] = 0;
	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(create_fails(path), -ENAMETOOLONG);
}

/* A thousand want in at once: 256 are served, the others are told, and nobody waits for ever. */
static void test_thousand_connections(void **state)
{
	int fds[1000], served = 0, refused = 0;
	char path[512];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s", in_dir("sock"));
	start_at(path, 0);
	for (int i = 0; i < 1000; i++) {
		fds[i] = try_connect(path);
		assert_true(fds[i] >= 0);
		turn();
	}
	for (int i = 0; i < 1000; i++) {
		const char *text;

		(void)send(fds[i], CALL(1, "container.list", "{}"),
			   strlen(CALL(1, "container.list", "{}")), MSG_NOSIGNAL);
		text = get(fds[i]);
		served += strstr(text, "\"result\":[]") != NULL;
		refused += strstr(text, "\"code\":-16,\"message\":\"too many connections") != NULL;
	}
	assert_int_equal(served, 256);
	assert_int_equal(refused, 744);
	hang_up(fds[0]);
	fds[0] = try_connect(path);
	put(fds[0], CALL(1, "container.list", "{}"));
	assert_has(get(fds[0]), "\"result\":[]");
	for (int i = 0; i < 1000; i++)
		(void)close(fds[i]);
	turn();
	stop();
}

/* Out of descriptors: told so, and served again as soon as there are some. */
static void test_no_descriptors(void **state)
{
	struct rlimit old, tight;
	char path[512];
	int a, b;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s", in_dir("sock"));
	start_at(path, 0);
	a = try_connect(path);
	b = try_connect(path);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	tight = old;
	tight.rlim_cur = (rlim_t)b + 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
	turn();
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_has(get(a), "\"code\":-24");
	assert_string_equal(get(a), "EOF");
	assert_has(get(b), "no file descriptors left");
	hang_up(a);
	hang_up(b);
	a = try_connect(path);
	put(a, CALL(1, "container.list", "{}"));
	assert_has(get(a), "\"result\":[]");
	hang_up(a);
	stop();
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_mode_and_parents),     TEST(test_stale_live_and_foreign),
		TEST(test_replaced_meanwhile),   TEST(test_long_paths),
		TEST(test_thousand_connections), TEST(test_no_descriptors),
	};

	return cmocka_run_group_tests(tests, warm_up, NULL);
}
