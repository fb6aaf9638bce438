/* SPDX-License-Identifier: MIT */
#include "spec/options.h"
#include "spec/values.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DATABASE_MAX (16 << 20)

/* A regular file inside rootfs; NULL in *ret where it has none. */
static int open_inside(const char *rootfs, const char *name, FILE **ret)
{
	struct open_how how = {
		.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	_cleanup_close_ int root = open(rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC), fd = -1;
	struct stat st;

	*ret = NULL;
	if (root < 0)
		return -errno;
	fd = (int)syscall(SYS_openat2, root, name, &how, sizeof(how));
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (st.st_size > DATABASE_MAX)
		return -EFBIG;
	*ret = fdopen(fd, "re");
	if (!*ret)
		return -errno;
	(void)cow_take_fd(&fd);
	return 0;
}

/* Cut a line at its colons; true where it has at least `want` fields. */
static bool split(char *line, char **fields, size_t want)
{
	size_t n = 0;

	line[strcspn(line, "\r\n")] = 0;
	while (n < want) {
		fields[n++] = strsep(&line, ":");
		if (!line)
			break;
	}
	return n == want;
}

static bool number(const char *text, uint32_t *ret)
{
	char *end;
	unsigned long v;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	v = strtoul(text, &end, 10);
	/* The largest is what the kernel takes for "leave it". */
	if (*end || errno || v >= UINT32_MAX)
		return false;
	*ret = (uint32_t)v;
	return true;
}

/* The line of a user by name, else by number; 1: found, 0: not. */
static int find_user(FILE *f, const char *name, bool by_number, uint32_t uid, struct cow_user *ret,
		     char **ret_name)
{
	_cleanup_free_ char *line = NULL;
	size_t cap = 0;

	while (f && getline(&line, &cap, f) >= 0) {
		char *field[6];
		uint32_t id, gid;

		if (!split(line, field, 6) || !number(field[2], &id) || !number(field[3], &gid))
			continue;
		if (strcmp(field[0], name) != 0 && !(by_number && id == uid))
			continue;
		free(ret->home);
		free(*ret_name);
		ret->home = strdup(field[5]);
		*ret_name = strdup(field[0]);
		if (!ret->home || !*ret_name)
			return -ENOMEM;
		ret->uid = id;
		ret->gid = gid;
		return 1;
	}
	return 0;
}

static bool is_member(char *members, const char *name)
{
	char *member;

	while ((member = strsep(&members, ",")))
		if (strcmp(member, name) == 0)
			return true;
	return false;
}

static int add_group(struct cow_user *user, uint32_t gid)
{
	uint32_t *more;

	if (gid == user->gid)
		return 0;
	more = reallocarray(user->groups, user->group_count + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	user->groups = more;
	more[user->group_count++] = gid;
	return 0;
}

/* wanted: the group to find, 1 where found; NULL: collect the groups that name is a member of. */
static int read_groups(FILE *f, const char *wanted, const char *name, struct cow_user *ret)
{
	_cleanup_free_ char *line = NULL;
	size_t cap = 0;
	int r = 0;

	while (f && r == 0 && getline(&line, &cap, f) >= 0) {
		char *field[4];
		uint32_t gid;

		if (!split(line, field, 4) || !number(field[2], &gid))
			continue;
		if (wanted && strcmp(field[0], wanted) == 0) {
			ret->gid = gid;
			return 1;
		}
		if (!wanted && is_member(field[3], name))
			r = add_group(ret, gid);
	}
	return r;
}

void cow_user_finish(struct cow_user *user)
{
	free(user->groups);
	free(user->home);
	*user = (struct cow_user){ 0 };
}

static int resolve_user(const char *rootfs, const char *name, struct cow_user *user,
			char **ret_name, struct cow_error *err)
{
	_cleanup_fclose_ FILE *f = NULL;
	uint32_t uid = 0;
	bool numeric = number(name, &uid);
	int r = open_inside(rootfs, "etc/passwd", &f);

	if (r < 0)
		return cow_error_errno(err, r, "%s: etc/passwd", rootfs);
	r = find_user(f, name, numeric, uid, user, ret_name);
	if (r < 0)
		return cow_error_errno(err, r, "user %s", name);
	if (r == 0 && !numeric)
		return cow_error_set(err, -ENOENT, "user %s: not in etc/passwd of %s", name,
				     rootfs);
	if (r == 0)
		user->uid = uid;
	return 0;
}

static int resolve_group(const char *rootfs, const char *group, const char *name,
			 struct cow_user *user, struct cow_error *err)
{
	_cleanup_fclose_ FILE *f = NULL;
	uint32_t gid = 0;
	int r;

	if (group && number(group, &gid)) {
		user->gid = gid;
		return 0;
	}
	if (!group && !name)
		return 0;
	r = open_inside(rootfs, "etc/group", &f);
	if (r < 0)
		return cow_error_errno(err, r, "%s: etc/group", rootfs);
	r = read_groups(f, group, name, user);
	if (r < 0)
		return cow_error_errno(err, r, "group %s", group ? group : name);
	if (r == 0 && group)
		return cow_error_set(err, -ENOENT, "group %s: not in etc/group of %s", group,
				     rootfs);
	return 0;
}

int cow_user_resolve(const char *rootfs, const char *user, struct cow_user *ret,
		     struct cow_error *err)
{
	_cleanup_free_ char *name = strdup(user), *known_as = NULL;
	struct cow_user found = { 0 };
	char *group;
	int r;

	if (!name)
		return cow_error_errno(err, -ENOMEM, "user %s", user);
	group = strchr(name, ':');
	if (group)
		*group++ = 0;
	if (!*name || (group && !*group))
		return cow_error_set(err, -EINVAL, "user \"%s\": not name[:group]", user);
	r = resolve_user(rootfs, name, &found, &known_as, err);
	if (r == 0)
		r = resolve_group(rootfs, group, known_as, &found, err);
	if (r < 0) {
		cow_user_finish(&found);
		return r;
	}
	*ret = found;
	return 0;
}

struct json_object *cow_user_json(const struct cow_user *user)
{
	struct json_object *o = json_object_new_object(), *groups = NULL;
	int r = cow_json_put(o, "uid", json_object_new_int64(user->uid));

	if (r == 0)
		r = cow_json_put(o, "gid", json_object_new_int64(user->gid));
	if (r == 0 && user->group_count)
		r = cow_json_put(o, "additionalGids", groups = json_object_new_array());
	for (size_t i = 0; r == 0 && i < user->group_count; i++)
		r = cow_json_append(groups, json_object_new_int64(user->groups[i]));
	if (r < 0) {
		json_object_put(o);
		return NULL;
	}
	return o;
}
