/* SPDX-License-Identifier: MIT */
/*
 * The mounts of a Linux container on Windows (seed 004).  What is a Plan 9 share there is a bind mount
 * at RUN_DIR/mounts/mN here, taken once from where the host's path led then; a single file is shared
 * alone in a directory of its own.  Disks are attached and mounted at the same places.
 */
#include "rootfs/parts.h"

#include "common/json.h"
#include "rootfs/place.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define SANDBOX "sandbox://"
#define HUGEPAGES "hugepages://"
#define HUGEPAGES_2M "/sys/kernel/mm/hugepages/hugepages-2048kB/"

struct share {
	struct json_object *mount;
	const char *type, *source, *target;
	char text[512]; /* the mount as Go prints it */
	char *place;    /* RUN_DIR/mounts/mN */
	bool read_only;
	size_t index;
};

/* {Destination:/b Type:bind Source:/a Options:[ro]} */
static void share_print(struct share *s)
{
	struct json_object *options = plug_json_get(s->mount, "options");
	size_t n = (size_t)snprintf(s->text, sizeof(s->text),
				    "{Destination:%.150s Type:%.40s Source:%.150s Options:[", s->target,
				    s->type, s->source);

	for (size_t i = 0; i < plug_json_length(options) && n < sizeof(s->text) - 60; i++)
		n += (size_t)snprintf(
			s->text + n, sizeof(s->text) - n, "%s%.50s", i ? " " : "",
			json_object_get_string(json_object_array_get_idx(options, i)));
	(void)snprintf(s->text + n, sizeof(s->text) - n, "]}");
}

static bool has_option(struct json_object *mount, const char *option)
{
	struct json_object *options = plug_json_get(mount, "options");

	for (size_t i = 0; i < plug_json_length(options); i++) {
		const char *text = json_object_get_string(json_object_array_get_idx(options, i));

		if (text && strcasecmp(text, option) == 0)
			return true;
	}
	return false;
}

static int set(struct st_part *part, struct json_object *o, const char *key, const char *value)
{
	return st_json_put_string(o, key, value) == 0 ?
		       0 :
		       plug_error_set(&part->err, -ENOMEM, "mounts: out of memory");
}

/* Type "none" says nothing to a kernel that has to bind a directory. */
static int want_bind(struct st_part *part, struct json_object *mount)
{
	struct json_object *options = plug_json_get(mount, "options");

	if (has_option(mount, "bind") || has_option(mount, "rbind"))
		return 0;
	if (!options) {
		options = json_object_new_array();
		if (st_json_put(mount, "options", options) < 0)
			return plug_error_set(&part->err, -ENOMEM, "mounts: out of memory");
	}
	return st_json_append(options, json_object_new_string("rbind")) == 0 ?
		       0 :
		       plug_error_set(&part->err, -ENOMEM, "mounts: out of memory");
}

/* The message with what was to be done, and for which mount, in front. */
static int wrap(struct st_part *part, int r, const char *what, const struct share *s)
{
	char cause[sizeof(part->err.text)];

	if (r >= 0)
		return r;
	(void)snprintf(cause, sizeof(cause), "%s", part->err.text);
	return plug_error_set(&part->err, r, "%s %.300s: %.140s", what, s->text, cause);
}

static int share_disk(struct st_part *part, struct share *s)
{
	bool physical = strcmp(s->type, "physical-disk") == 0;
	_cleanup_free_ char *owner = NULL;
	int r;

	if (asprintf(&owner, "%s/mounts/m%zu", part->plan.container, s->index) < 0)
		return plug_error_set(&part->err, -ENOMEM, "mounts: out of memory");
	r = st_place_make(s->place, 0755, &part->err);
	if (r == 0)
		r = st_disk_mount(part->disk_dir, owner, s->source, s->read_only, s->place, NULL,
				  &part->err);
	r = wrap(part, r,
		 physical ? "adding SCSI physical disk mount" : "adding SCSI virtual disk mount", s);
	if (r == 0)
		r = want_bind(part, s->mount);
	if (r == 0)
		r = set(part, s->mount, "source", s->place);
	return r < 0 ? r : set(part, s->mount, "type", "none");
}

/* The place of the file in its directory, which holds nothing else. */
static char *file_place(struct st_part *part, const struct share *s)
{
	_cleanup_close_ int fd = -1;
	char *path = st_path_join(s->place, strrchr(s->source, '/') + 1);

	if (path)
		fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0)
		return path;
	(void)plug_error_errno(&part->err, path ? -errno : -ENOMEM, "%s", path ? path : s->place);
	free(path);
	return NULL;
}

static int share_path(struct st_part *part, struct share *s)
{
	_cleanup_free_ char *file = NULL;
	char cause[96];
	struct stat st;
	int r;

	if (*s->source != '/' || stat(s->source, &st) < 0) {
		int code = *s->source == '/' ? errno : ENOENT;

		return plug_error_set(&part->err, -code,
				      "could not open bind mount target: stat %s: %s", s->source,
				      strerror_r(code, cause, sizeof(cause)));
	}
	r = st_place_make(s->place, 0755, &part->err);
	if (r == 0 && !S_ISDIR(st.st_mode)) {
		file = file_place(part, s);
		r = file ? 0 : part->err.code;
	}
	if (r == 0)
		r = st_bind_mount(s->source, file ? file : s->place, s->read_only,
				  S_ISDIR(st.st_mode), &part->err);
	r = wrap(part, r, "adding plan9 mount", s);
	return r < 0 ? r : set(part, s->mount, "source", file ? file : s->place);
}

/* Directory by directory, each inside; what is missing is made, as the guest does it. */
static int make_inside(int root, const char *path)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC,
				.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
	_cleanup_free_ char *parent = strdup(path);
	char *slash = parent ? strrchr(parent, '/') : NULL;
	_cleanup_close_ int dir = -1;
	int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));

	if (fd >= 0 || errno != ENOENT)
		return fd < 0 ? -errno : fd;
	if (!slash || strcmp(path, "/") == 0)
		return -ENOENT;
	*slash = '\0';
	dir = make_inside(root, *parent ? parent : "/");
	if (dir < 0)
		return dir;
	if (mkdirat(dir, slash + 1, 0755) < 0 && errno != EEXIST)
		return -errno;
	fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
	return fd < 0 ? -errno : fd;
}

/* The directory sandboxMounts of the pod's first container, which has to be there. */
static int sandbox_open(struct st_part *part)
{
	const struct st_plan *p = &part->plan;
	int above = (int)(strrchr(p->run_dir, '/') - p->run_dir), fd, r;
	_cleanup_free_ char *dir = NULL;

	if (strchr(p->sandbox, '/') || !*p->sandbox || *p->sandbox == '.')
		return plug_error_set(&part->err, -EINVAL, "sandbox %s: not a container", p->sandbox);
	if (asprintf(&dir, "%.*s/%s/sandboxMounts", above, p->run_dir, p->sandbox) < 0)
		return plug_error_set(&part->err, -ENOMEM, "mounts: out of memory");
	r = st_place_make(dir, 0755, &part->err);
	if (r < 0)
		return r;
	fd = open(dir, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? plug_error_errno(&part->err, -errno, "%s", dir) : fd;
}

/* sandbox:///a/b */
static int share_sandbox(struct st_part *part, struct share *s)
{
	_cleanup_free_ char *inside = st_path_clean(s->source + strlen(SANDBOX));
	_cleanup_close_ int root = sandbox_open(part), fd = -1;
	char link[48];
	int r;

	if (root < 0)
		return root;
	fd = inside ? make_inside(root, inside) : -ENOMEM;
	if (fd < 0)
		return plug_error_errno(&part->err, fd, "%s", s->source);
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	r = st_place_make(s->place, 0755, &part->err);
	if (r == 0)
		r = st_bind_mount(link, s->place, s->read_only, true, &part->err);
	return r < 0 ? r : set(part, s->mount, "source", s->place);
}

/* Of one of the kernel's figures about pages of 2 MiB; 0: it has none. */
static unsigned long huge_pages(const char *figure)
{
	_cleanup_free_ char *path = st_path_join(HUGEPAGES_2M, figure);
	FILE *file = path ? fopen(path, "re") : NULL;
	unsigned long n = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%lu", &n) != 1)
		n = 0;
	(void)fclose(file);
	return n;
}

/* hugepages://2M/a */
static int share_hugepages(struct st_part *part, struct share *s)
{
	const char *size = s->source + strlen(HUGEPAGES), *rest = strchr(size, '/');
	int n = (int)strcspn(size, "/"), r;

	if (!rest || !rest[1] || !n)
		return plug_error_set(&part->err, -EINVAL,
				      "%s mount path is invalid, expected format: "
				      "hugepages://<hugepage-size>/<hugepage-src-location>",
				      s->source);
	if (n != 2 || strncmp(size, "2M", 2) != 0)
		return plug_error_set(&part->err, -EINVAL,
				      "only 2M (megabytes) pagesize is supported, got %.*s", n, size);
	if (!huge_pages("nr_hugepages") && !huge_pages("nr_overcommit_hugepages"))
		return plug_error_set(&part->err, -ENOMEM,
				      "%s: this machine has no huge pages of 2 MiB: vm.nr_hugepages is 0",
				      s->source);
	r = st_place_make(s->place, 0755, &part->err);
	if (r == 0 && mount("none", s->place, "hugetlbfs", MS_NOSUID | MS_NODEV, "pagesize=2M") < 0)
		r = plug_error_errno(&part->err, -errno, "%s", s->source);
	return r < 0 ? r : set(part, s->mount, "source", s->place);
}

/* By what its source begins with. */
static int share_source(struct st_part *part, struct share *s)
{
	if (strncmp(s->source, HUGEPAGES, strlen(HUGEPAGES)) == 0)
		return share_hugepages(part, s);
	return strncmp(s->source, SANDBOX, strlen(SANDBOX)) == 0 ? share_sandbox(part, s) :
								   share_path(part, s);
}

static int share_one(struct st_part *part, struct json_object *mount, size_t index)
{
	static const char *const types[] = { "bind", "physical-disk", "virtual-disk",
					     "automanage-virtual-disk" };
	const char *type = plug_json_string(mount, "type"), *source = plug_json_string(mount, "source"),
		   *target = plug_json_string(mount, "destination");
	struct share s = { .mount = mount, .type = type ? type : "", .source = source ? source : "",
			   .target = target ? target : "", .index = index,
			   .read_only = has_option(mount, "ro") };
	_cleanup_free_ char *type_copy = NULL, *source_copy = NULL, *place = NULL;
	size_t known = 0;

	while (known < PLUG_ELEMENTS(types) && strcmp(types[known], s.type) != 0)
		known++;
	if (known == PLUG_ELEMENTS(types))
		return 0;
	share_print(&s);
	if (!*s.target || !*s.source)
		return plug_error_set(&part->err, -EINVAL,
				      "invalid OCI spec - a mount must have both source and a "
				      "destination: %s",
				      s.text);
	/* What the mount says is overwritten on the way. */
	s.type = type_copy = strdup(s.type);
	s.source = source_copy = strdup(s.source);
	if (asprintf(&place, "%s/mounts/m%zu", part->plan.run_dir, index) < 0)
		place = NULL;
	s.place = place;
	if (!s.type || !s.source || !s.place)
		return plug_error_set(&part->err, -ENOMEM, "mounts: out of memory");
	return known > 0 ? share_disk(part, &s) : share_source(part, &s);
}

int st_shares_take(struct st_part *part)
{
	const struct st_plan *p = &part->plan;
	_cleanup_free_ char *dir = st_path_join(p->run_dir, "mounts");
	int r = dir ? st_place_make(dir, 0700, &part->err) :
		      plug_error_set(&part->err, -ENOMEM, "mounts: out of memory");

	for (size_t i = 0; r == 0 && i < plug_json_length(p->mounts); i++)
		r = atomic_load(&part->stop) ?
			    -ECANCELED :
			    share_one(part, json_object_array_get_idx(p->mounts, i), i);
	if (r < 0)
		return r;
	part->patch = json_object_new_object();
	if (st_json_put(part->patch, "mounts", json_object_get(p->mounts)) < 0)
		return plug_error_set(&part->err, -ENOMEM, "mounts: out of memory");
	return 0;
}

int st_shares_give(struct json_object *record, struct plug_error *err)
{
	const char *run_dir = plug_json_string(record, "run_dir");
	const char *disks = plug_json_string(record, "disks"), *owner = plug_json_string(record, "owner");
	_cleanup_free_ char *dir = run_dir ? st_path_join(run_dir, "mounts") : NULL;
	int r = dir ? st_place_clear_all(dir, err) : 0;

	if (r < 0 || !disks || !owner)
		return r;
	return st_disk_release(disks, owner, err);
}
