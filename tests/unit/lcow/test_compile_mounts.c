/* SPDX-License-Identifier: MIT */
/* /mounts and the root's propagation: every option, kinds, paths, id mappings, devices of /dev. */
#include "spec.h"

#include <errno.h>
#include <linux/mount.h>
#include <sys/stat.h>

#define MOUNT(type, options)                                                                       \
	SPEC(",'mounts':[{'destination':'/m','source':'/s','type':'" type "','options':[" options  \
	     "]}]",                                                                                \
	     "", "")

static const struct {
	const char *name;
	uint64_t attr_set, attr_clear, rec_set, rec_clear, sb;
	uint32_t propagation, opts;
} options[] = {
#define A MOUNT_ATTR__ATIME
	{ "acl", .sb = MS_POSIXACL },
	{ "async", .sb = 0 },
	{ "atime", .attr_clear = A },
	{ "copy-symlink", .opts = LAUNCH_MOUNT_COPY_SYMLINK },
	{ "defaults", .sb = 0 },
	{ "dest-nofollow", .opts = LAUNCH_MOUNT_NOFOLLOW_DST },
	{ "dev", .attr_clear = MOUNT_ATTR_NODEV },
	{ "diratime", .attr_clear = MOUNT_ATTR_NODIRATIME },
	{ "dirsync", .sb = MS_DIRSYNC },
	{ "exec", .attr_clear = MOUNT_ATTR_NOEXEC },
	{ "iversion", .sb = MS_I_VERSION },
	{ "lazytime", .sb = MS_LAZYTIME },
	{ "loud", .sb = 0 },
	{ "mand", .sb = MS_MANDLOCK },
	{ "noacl", .sb = 0 },
	{ "noatime", .attr_set = MOUNT_ATTR_NOATIME, .attr_clear = A },
	{ "nodev", .attr_set = MOUNT_ATTR_NODEV },
	{ "nodiratime", .attr_set = MOUNT_ATTR_NODIRATIME },
	{ "noexec", .attr_set = MOUNT_ATTR_NOEXEC },
	{ "noiversion", .sb = 0 },
	{ "nolazytime", .sb = 0 },
	{ "nomand", .sb = 0 },
	{ "norelatime", .attr_clear = A },
	{ "nostrictatime", .attr_clear = A },
	{ "nosuid", .attr_set = MOUNT_ATTR_NOSUID },
	{ "nosymfollow", .attr_set = MOUNT_ATTR_NOSYMFOLLOW },
	{ "private", .propagation = MS_PRIVATE },
	{ "ratime", .rec_clear = A },
	{ "rdev", .rec_clear = MOUNT_ATTR_NODEV },
	{ "rdiratime", .rec_clear = MOUNT_ATTR_NODIRATIME },
	{ "relatime", .attr_clear = A },
	{ "rexec", .rec_clear = MOUNT_ATTR_NOEXEC },
	{ "rnoatime", .rec_set = MOUNT_ATTR_NOATIME, .rec_clear = A },
	{ "rnodev", .rec_set = MOUNT_ATTR_NODEV },
	{ "rnodiratime", .rec_set = MOUNT_ATTR_NODIRATIME },
	{ "rnoexec", .rec_set = MOUNT_ATTR_NOEXEC },
	{ "rnorelatime", .rec_clear = A },
	{ "rnostrictatime", .rec_clear = A },
	{ "rnosuid", .rec_set = MOUNT_ATTR_NOSUID },
	{ "rnosymfollow", .rec_set = MOUNT_ATTR_NOSYMFOLLOW },
	{ "ro", .attr_set = MOUNT_ATTR_RDONLY, .sb = MS_RDONLY },
	{ "rprivate", .propagation = MS_PRIVATE | MS_REC },
	{ "rrelatime", .rec_clear = A },
	{ "rro", .rec_set = MOUNT_ATTR_RDONLY },
	{ "rrw", .rec_clear = MOUNT_ATTR_RDONLY },
	{ "rshared", .propagation = MS_SHARED | MS_REC },
	{ "rslave", .propagation = MS_SLAVE | MS_REC },
	{ "rstrictatime", .rec_set = MOUNT_ATTR_STRICTATIME, .rec_clear = A },
	{ "rsuid", .rec_clear = MOUNT_ATTR_NOSUID },
	{ "rsymfollow", .rec_clear = MOUNT_ATTR_NOSYMFOLLOW },
	{ "runbindable", .propagation = MS_UNBINDABLE | MS_REC },
	{ "rw", .attr_clear = MOUNT_ATTR_RDONLY },
	{ "shared", .propagation = MS_SHARED },
	{ "silent", .sb = MS_SILENT },
	{ "slave", .propagation = MS_SLAVE },
	{ "src-nofollow", .opts = LAUNCH_MOUNT_NOFOLLOW_SRC },
	{ "strictatime", .attr_set = MOUNT_ATTR_STRICTATIME, .attr_clear = A },
	{ "suid", .attr_clear = MOUNT_ATTR_NOSUID },
	{ "symfollow", .attr_clear = MOUNT_ATTR_NOSYMFOLLOW },
	{ "sync", .sb = MS_SYNCHRONOUS },
	{ "tmpcopyup", .opts = LAUNCH_MOUNT_TMPCOPYUP },
	{ "unbindable", .propagation = MS_UNBINDABLE },
#undef A
};

static struct launch_mount first_mount(const struct launch_plan *plan)
{
	assert_true(plan->mounts.n > 0);
	return *launch_at(plan, plan->mounts, struct launch_mount, 0);
}

static void every_option_on(const char *type, bool bind)
{
	struct launch_plan *plan;
	struct launch_mount m;
	char text[512];

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		(void)snprintf(text, sizeof(text), MOUNT("%s", "'%s'%s"), type, options[i].name,
			       bind ? ",'bind'" : "");
		plan = spec_plan(text);
		m = first_mount(plan);
		if (m.attr_set != options[i].attr_set || m.attr_clear != options[i].attr_clear ||
		    m.rec_attr_set != options[i].rec_set ||
		    m.rec_attr_clear != options[i].rec_clear ||
		    m.sb_flags != (bind ? 0 : options[i].sb) || m.opts != options[i].opts ||
		    m.propagation[0] != options[i].propagation || m.propagation[1] || m.data)
			fail_msg("%s on %s", options[i].name, type);
		assert_int_equal(m.kind, bind ? LAUNCH_MOUNT_BIND : LAUNCH_MOUNT_FS);
		free(plan);
	}
}

static void every_option(void **state)
{
	(void)state;
	every_option_on("ext4", false);
	every_option_on("none", true);
}

static void the_last_option_wins(void **state)
{
	static const struct {
		const char *options;
		uint64_t attr_set, attr_clear, sb;
	} rows[] = {
		{ "'ro','rw'", 0, MOUNT_ATTR_RDONLY, 0 },
		{ "'rw','ro'", MOUNT_ATTR_RDONLY, 0, MS_RDONLY },
		{ "'nodev','nosuid','dev'", MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV, 0 },
		{ "'noatime','strictatime'", MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME, 0 },
		{ "'strictatime','relatime'", 0, MOUNT_ATTR__ATIME, 0 },
		{ "'relatime','noatime'", MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME, 0 },
		{ "'sync','async','dirsync'", 0, 0, MS_DIRSYNC },
		{ "'noatime','nodiratime'", MOUNT_ATTR_NOATIME | MOUNT_ATTR_NODIRATIME,
		  MOUNT_ATTR__ATIME, 0 },
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct launch_plan *plan;
		struct launch_mount m;

		(void)snprintf(text, sizeof(text), MOUNT("ext4", "%s"), rows[i].options);
		plan = spec_plan(text);
		m = first_mount(plan);
		if (m.attr_set != rows[i].attr_set || m.attr_clear != rows[i].attr_clear ||
		    m.sb_flags != rows[i].sb)
			fail_msg("%s", rows[i].options);
		free(plan);
	}
}

/* Mount points are made in it first; its superblock stays writable. */
static void a_read_only_tmpfs(void **state)
{
	struct launch_plan *plan = spec_plan(MOUNT("tmpfs", "'ro'"));
	struct launch_mount m = first_mount(plan);

	(void)state;
	assert_true(m.attr_set == MOUNT_ATTR_RDONLY && m.sb_flags == 0);
	free(plan);
}

static void the_rest_is_data(void **state)
{
	struct launch_plan *plan = spec_plan(
		MOUNT("overlay",
		      "'lowerdir=/a:/b','nodev','upperdir=/u,x','','index=off','ro=1','rox','r'"));
	struct launch_mount m = first_mount(plan);

	(void)state;
	assert_string_equal(launch_text(plan, m.data),
			    "lowerdir=/a:/b,upperdir=/u,x,index=off,ro=1,rox,r");
	assert_int_equal(m.attr_set, MOUNT_ATTR_NODEV);
	assert_string_equal(launch_text(plan, m.type), "overlay");
	assert_string_equal(launch_text(plan, m.source), "/s");
	free(plan);
}

static void kinds(void **state)
{
	static const struct {
		const char *mount;
		uint32_t kind, opts;
		const char *source, *type;
	} rows[] = {
		{ "'type':'bind','source':'/s'", LAUNCH_MOUNT_BIND, 0, "/s", NULL },
		{ "'type':'bind','source':'s'", LAUNCH_MOUNT_BIND, 0, "/b/s", NULL },
		{ "'type':'none','source':'/s','options':['bind']", LAUNCH_MOUNT_BIND, 0, "/s",
		  NULL },
		{ "'source':'/s','options':['rbind']", LAUNCH_MOUNT_BIND, LAUNCH_MOUNT_REC, "/s",
		  NULL },
		{ "'type':'','source':'/s','options':['bind']", LAUNCH_MOUNT_BIND, 0, "/s", NULL },
		{ "'type':'proc','source':'/s','options':['bind']", LAUNCH_MOUNT_BIND, 0, "/s",
		  NULL },
		{ "'type':'bind','source':'/s','options':['rbind','rprivate']", LAUNCH_MOUNT_BIND,
		  LAUNCH_MOUNT_REC, "/s", NULL },
		{ "'type':'proc'", LAUNCH_MOUNT_FS, 0, "proc", "proc" },
		{ "'type':'tmpfs','source':'shm'", LAUNCH_MOUNT_FS, 0, "shm", "tmpfs" },
		{ "'type':'cgroup','source':'cgroup'", LAUNCH_MOUNT_CGROUP, 0, "cgroup", NULL },
		{ "'type':'cgroup2'", LAUNCH_MOUNT_FS, 0, "cgroup2", "cgroup2" },
		{ "'options':['remount','ro']", LAUNCH_MOUNT_REMOUNT, 0, NULL, NULL },
		{ "'options':['remount','bind','ro']", LAUNCH_MOUNT_REMOUNT,
		  LAUNCH_MOUNT_REMOUNT_BIND, NULL, NULL },
		{ "'options':['bind','remount','ro']", LAUNCH_MOUNT_REMOUNT,
		  LAUNCH_MOUNT_REMOUNT_BIND, NULL, NULL },
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct launch_plan *plan;
		struct launch_mount m;

		(void)snprintf(text, sizeof(text),
			       SPEC(",'mounts':[{'destination':'/m',%s}]", "", ""), rows[i].mount);
		plan = spec_plan(text);
		m = first_mount(plan);
		if (m.kind != rows[i].kind || m.opts != rows[i].opts)
			fail_msg("%s", rows[i].mount);
		assert_string_equal(launch_text(plan, m.target), "/m");
		assert_int_equal(!rows[i].source, !m.source);
		if (m.source)
			assert_string_equal(launch_text(plan, m.source), rows[i].source);
		assert_int_equal(!rows[i].type, !m.type);
		if (m.type)
			assert_string_equal(launch_text(plan, m.type), rows[i].type);
		free(plan);
	}
}

static void targets_are_cleaned(void **state)
{
	static const char *const rows[][2] = {
		{ "/a", "/a" },
		{ "a/b", "/a/b" },
		{ "//a///b//", "/a/b" },
		{ "/a/./b/.", "/a/b" },
		{ "/", "/" },
		{ "./", "/" },
		{ "/a/../b", "/a/../b" },
		{ "/..a/.b", "/..a/.b" },
	};
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct launch_plan *plan;

		(void)snprintf(text, sizeof(text),
			       SPEC(",'mounts':[{'destination':'%s','type':'tmpfs'}]", "", ""),
			       rows[i][0]);
		plan = spec_plan(text);
		assert_string_equal(launch_text(plan, first_mount(plan).target), rows[i][1]);
		free(plan);
	}
}

static void propagations_keep_their_order(void **state)
{
	struct launch_plan *plan = spec_plan(MOUNT("bind", "'rslave','rslave','shared','rslave'"));
	struct launch_mount m = first_mount(plan);

	(void)state;
	assert_int_equal(m.propagation[0], MS_SLAVE | MS_REC);
	assert_int_equal(m.propagation[1], MS_SHARED);
	free(plan);
	spec_refused(MOUNT("bind", "'rslave','shared','private'"), -EINVAL,
		     "/mounts/0/options/2: a third propagation option");
}

static void root_propagation(void **state)
{
	static const struct {
		const char *name;
		uint32_t flags;
	} rows[] = {
		{ "", 0 },
		{ "private", MS_PRIVATE },
		{ "rprivate", MS_PRIVATE | MS_REC },
		{ "slave", MS_SLAVE },
		{ "rslave", MS_SLAVE | MS_REC },
		{ "shared", MS_SHARED },
		{ "rshared", MS_SHARED | MS_REC },
		{ "unbindable", MS_UNBINDABLE },
		{ "runbindable", MS_UNBINDABLE | MS_REC },
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct launch_plan *plan;

		(void)snprintf(text, sizeof(text), SPEC("", "", ",'rootfsPropagation':'%s'"),
			       rows[i].name);
		plan = spec_plan(text);
		assert_int_equal(plan->rootfs_propagation, rows[i].flags);
		free(plan);
	}
	spec_refused(SPEC("", "", ",'rootfsPropagation':'ro'"), -EINVAL,
		     "/linux/rootfsPropagation: \"ro\" is not known");
}

static void id_mapped_mounts(void **state)
{
#define USERNS(mount)                                                                              \
	"{'ociVersion':'1.0.2','root':{'path':'r'},'linux':{'namespaces':[{'type':'mount'},"       \
	"{'type':'user'}],'uidMappings':[{'containerID':0,'hostID':100,'size':50},"                \
	"{'containerID':1000,'hostID':5000,'size':9}],"                                            \
	"'gidMappings':[{'containerID':0,'hostID':200,'size':50}]},'mounts':[{'destination':'/m'," \
	"'type':'bind','source':'/s'," mount "}]}"
	struct launch_plan *plan = spec_plan(USERNS("'options':['idmap']"));
	struct launch_mount m = first_mount(plan);
	const struct launch_idmap *map;

	(void)state;
	assert_int_equal(m.opts, LAUNCH_MOUNT_IDMAP);
	assert_int_equal(m.uid_maps.n, 0);
	free(plan);

	plan = spec_plan(USERNS("'options':['ridmap']"));
	assert_int_equal(first_mount(plan).opts, LAUNCH_MOUNT_IDMAP | LAUNCH_MOUNT_IDMAP_REC);
	free(plan);

	plan = spec_plan(
		USERNS("'options':['ro'],'uidMappings':[{'containerID':1,'hostID':2,'size':3}],"
		       "'gidMappings':[{'containerID':4,'hostID':5,'size':6}]"));
	m = first_mount(plan);
	assert_int_equal(m.opts, LAUNCH_MOUNT_IDMAP);
	map = launch_at(plan, m.gid_maps, struct launch_idmap, 0);
	assert_int_equal(map->inside, 4);
	assert_int_equal(map->outside, 5);
	assert_int_equal(map->count, 6);
	free(plan);

	plan = spec_plan(USERNS("'options':['idmap=uids=0-1-10#10-11-10;gids=@0-7-3']"));
	m = first_mount(plan);
	assert_int_equal(m.uid_maps.n, 2);
	map = launch_at(plan, m.uid_maps, struct launch_idmap, 1);
	assert_int_equal(map->inside, 10);
	assert_int_equal(map->outside, 11);
	assert_int_equal(map->count, 10);
	map = launch_at(plan, m.gid_maps, struct launch_idmap, 0);
	assert_int_equal(map->outside, 207);
	free(plan);

	plan = spec_plan(USERNS("'options':['idmap=uids=@0-1001-2;gids=0-0-1']"));
	m = first_mount(plan);
	map = launch_at(plan, m.uid_maps, struct launch_idmap, 0);
	assert_int_equal(map->outside, 5001);
	free(plan);
}

static void bad_id_mappings(void **state)
{
	static const char *const bad[] = { "x",
					   "uids=",
					   "uids=1",
					   "uids=1-2",
					   "uids=1-2-0",
					   "uids=1-2-3;",
					   "uids=-1-2-3",
					   "uids=1-2-3#",
					   "uids=4294967295-0-1",
					   "uids=0-0-4294967296",
					   "uids=@60-60-1",
					   "uids=1-2-3;uids=1-2-3",
					   "uids=1-2-3 ",
					   "uids=0x1-2-3" };
	char text[1024];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		(void)snprintf(text, sizeof(text), USERNS("'options':['idmap=%s']"), bad[i]);
		spec_refused(text, -EINVAL,
			     "/mounts/0/options/0: no id mapping (idmap=uids=0-1000-10;gids=...)");
	}
	spec_refused(USERNS("'options':['idmap=uids=1-2-3']"), -EINVAL,
		     "/mounts/0: uidMappings and gidMappings need each other");
	spec_refused(MOUNT("bind", "'idmap'"), -EINVAL,
		     "/mounts/0: idmap without mappings, nor a user namespace");
}

static void bad_mounts(void **state)
{
#define BAD(mount) SPEC(",'mounts':[{'destination':'/x','type':'tmpfs'}," mount "]", "", "")
	static const struct refusal rows[] = {
		{ SPEC(",'mounts':{}", "", ""), "/mounts: not an array" },
		{ BAD("1"), "/mounts/1: not an object" },
		{ BAD("null"), "/mounts/1: not an object" },
		{ BAD("{'type':'tmpfs'}"), "/mounts/1/destination: is missing" },
		{ BAD("{'destination':'','type':'tmpfs'}"), "/mounts/1/destination: is missing" },
		{ BAD("{'destination':1}"), "/mounts/1/destination: not a string" },
		{ BAD("{'destination':'/a','type':1}"), "/mounts/1/type: not a string" },
		{ BAD("{'destination':'/a','type':'tmpfs','source':1}"),
		  "/mounts/1/source: not a string" },
		{ BAD("{'destination':'/a','type':'tmpfs','options':'ro'}"),
		  "/mounts/1/options: not an array" },
		{ BAD("{'destination':'/a','type':'tmpfs','options':['a','b',{}]}"),
		  "/mounts/1/options/2: not a string" },
		{ BAD("{'destination':'/a'}"), "/mounts/1/type: is missing, and this is no bind" },
		{ BAD("{'destination':'/a','type':'none'}"),
		  "/mounts/1/type: is missing, and this is no bind" },
		{ BAD("{'destination':'/a','type':'bind'}"),
		  "/mounts/1/source: is missing, and this is a bind" },
		{ BAD("{'destination':'/a','type':'bind','source':''}"),
		  "/mounts/1/source: is missing, and this is a bind" },
		{ BAD("{'destination':'/a','type':'bind','source':'/s','uidMappings':{}}"),
		  "/mounts/1/uidMappings: not an array" },
		{ BAD("{'destination':'/a','type':'bind','source':'/s','uidMappings':[{'hostID':1,"
		      "'size':1}]}"),
		  "/mounts/1/uidMappings/0/containerID: is missing" },
	};

	(void)state;
	ALL_REFUSED(rows);
}

static void no_mounts_without_a_namespace_for_them(void **state)
{
	struct launch_plan *plan = spec_plan("{'ociVersion':'1.0.0','root':{'path':'r'},'mounts':[{"
					     "'destination':'/proc','type':'proc'}],"
					     "'linux':{'namespaces':[{'type':'pid'}]}}");

	(void)state;
	assert_int_equal(plan->mounts.n, 0);
	assert_int_equal(plan->devices.n, 0);
	assert_int_equal(plan->symlinks.n, 0);
	free(plan);
	plan = spec_plan("{'ociVersion':'1.0.0','root':{'path':'r'},'mounts':[{'destination':'/"
			 "proc','type':'proc'}],"
			 "'linux':{'namespaces':[{'type':'mount','path':'/proc/1/ns/mnt'}]}}");
	assert_int_equal(plan->mounts.n, 1);
	free(plan);
}

static const struct launch_device *device_find(const struct launch_plan *plan, const char *path)
{
	for (uint32_t i = 0; i < plan->devices.n; i++) {
		const struct launch_device *d =
			launch_at(plan, plan->devices, struct launch_device, i);

		if (!strcmp(launch_text(plan, d->path), path))
			return d;
	}
	return NULL;
}

static void default_devices_and_links(void **state)
{
	struct launch_plan *plan = spec_plan(SPEC("", "", ""));
	const struct launch_device *d = device_find(plan, "/dev/urandom");

	(void)state;
	assert_int_equal(plan->devices.n, 6);
	assert_int_equal(plan->symlinks.n, 6);
	assert_non_null(d);
	assert_int_equal(d->type, S_IFCHR);
	assert_int_equal(d->major, 1);
	assert_int_equal(d->minor, 9);
	assert_int_equal(d->mode, 0666);
	free(plan);
	/* a bound /dev has its own, and they may be the host's */
	plan = spec_plan(SPEC(",'mounts':[{'destination':'/dev/','type':'bind','source':'/dev'}]",
			      "", ",'devices':[{'path':'/dev/x','type':'p'}]"));
	assert_int_equal(plan->devices.n, 1);
	assert_int_equal(plan->symlinks.n, 0);
	free(plan);
}

static void own_devices(void **state)
{
	struct launch_plan *plan = spec_plan(
		SPEC("", "",
		     ",'devices':[{'path':'/dev/"
		     "fuse','type':'c','major':10,'minor':229,'fileMode':8630,'uid':1,"
		     "'gid':2},{'path':'/dev/sda','type':'b','major':8,'minor':0},{'path':'/"
		     "p','type':'p',"
		     "'fileMode':384},{'path':'/dev/u','type':'u','major':4095,'minor':1048575},"
		     "{'path':'/dev/null','type':'c','major':1,'minor':3,'fileMode':256},"
		     "{'path':'/dev/ptmx','type':'c','major':5,'minor':2}]"));
	const struct launch_device *d = device_find(plan, "/dev/fuse");

	(void)state;
	assert_int_equal(plan->devices.n, 10); /* /dev/null only once, /dev/ptmx as a link */
	assert_int_equal(plan->symlinks.n, 6);
	assert_int_equal(d->type, S_IFCHR);
	assert_int_equal(d->major, 10);
	assert_int_equal(d->minor, 229);
	assert_int_equal(d->mode, 0666);
	assert_int_equal(d->uid, 1);
	assert_int_equal(d->gid, 2);
	assert_int_equal(device_find(plan, "/dev/sda")->type, S_IFBLK);
	assert_int_equal(device_find(plan, "/dev/sda")->mode, 0666);
	assert_int_equal(device_find(plan, "/p")->type, S_IFIFO);
	assert_int_equal(device_find(plan, "/p")->mode, 0600);
	assert_int_equal(device_find(plan, "/dev/u")->type, S_IFCHR);
	assert_int_equal(device_find(plan, "/dev/null")->mode, 0400);
	free(plan);
}

static void bad_devices(void **state)
{
#define DEVICE(d) SPEC("", "", ",'devices':[" d "]")
	static const struct refusal rows[] = {
		{ SPEC("", "", ",'devices':{}"), "/linux/devices: not an array" },
		{ DEVICE("[]"), "/linux/devices/0: not an object" },
		{ DEVICE("{'type':'c'}"), "/linux/devices/0/path: is missing" },
		{ DEVICE("{'path':'dev/x','type':'p'}"),
		  "/linux/devices/0/path: dev/x is not absolute" },
		{ DEVICE("{'path':'/x'}"), "/linux/devices/0/type: is missing" },
		{ DEVICE("{'path':'/x','type':'a'}"),
		  "/linux/devices/0/type: \"a\" is none of c, u, b, p" },
		{ DEVICE("{'path':'/x','type':'c','minor':1}"),
		  "/linux/devices/0/major: is missing" },
		{ DEVICE("{'path':'/x','type':'c','major':1}"),
		  "/linux/devices/0/minor: is missing" },
		{ DEVICE("{'path':'/x','type':'c','major':1.5,'minor':1}"),
		  "/linux/devices/0/major: not an integer" },
		{ DEVICE("{'path':'/x','type':'c','major':-1,'minor':1}"),
		  "/linux/devices/0/major: not between 0 and 4095" },
		{ DEVICE("{'path':'/x','type':'c','major':1,'minor':1048576}"),
		  "/linux/devices/0/minor: not between 0 and 1048575" },
		{ DEVICE("{'path':'/x','type':'c','major':1,'minor':1,'fileMode':-1}"),
		  "/linux/devices/0/fileMode: not between 0 and 4294967295" },
		{ DEVICE("{'path':'/x','type':'c','major':1,'minor':1,'uid':4294967296}"),
		  "/linux/devices/0/uid: not between 0 and 4294967295" },
		{ DEVICE("{'path':'/x','type':'c','major':1,'minor':1,'gid':'0'}"),
		  "/linux/devices/0/gid: not an integer" },
	};

	(void)state;
	ALL_REFUSED(rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_option),
		cmocka_unit_test(the_last_option_wins),
		cmocka_unit_test(a_read_only_tmpfs),
		cmocka_unit_test(the_rest_is_data),
		cmocka_unit_test(kinds),
		cmocka_unit_test(targets_are_cleaned),
		cmocka_unit_test(propagations_keep_their_order),
		cmocka_unit_test(root_propagation),
		cmocka_unit_test(id_mapped_mounts),
		cmocka_unit_test(bad_id_mappings),
		cmocka_unit_test(bad_mounts),
		cmocka_unit_test(no_mounts_without_a_namespace_for_them),
		cmocka_unit_test(default_devices_and_links),
		cmocka_unit_test(own_devices),
		cmocka_unit_test(bad_devices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
