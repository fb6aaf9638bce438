/* SPDX-License-Identifier: MIT */
/* Devices and links of /dev: the ones every container has, and /linux/devices. */
#include "compile.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>

#define DEVICE_MODE 0666u

static const struct {
	const char *path;
	uint32_t major, minor;
} default_devices[] = {
	{ "/dev/null", 1, 3 },	 { "/dev/zero", 1, 5 },	   { "/dev/full", 1, 7 },
	{ "/dev/random", 1, 8 }, { "/dev/urandom", 1, 9 }, { "/dev/tty", 5, 0 },
};
#define DEFAULT_DEVICES (sizeof(default_devices) / sizeof(default_devices[0]))

static const struct {
	const char *path, *target;
} default_links[] = {
	{ "/dev/fd", "/proc/self/fd" },	      { "/dev/stdin", "/proc/self/fd/0" },
	{ "/dev/stdout", "/proc/self/fd/1" }, { "/dev/stderr", "/proc/self/fd/2" },
	{ "/dev/core", "/proc/kcore" },	      { "/dev/ptmx", "pts/ptmx" },
};
#define DEFAULT_LINKS (sizeof(default_links) / sizeof(default_links[0]))

/* A bit for the default device at this path, which the spec makes itself. */
static uint32_t device_default(const char *path)
{
	for (unsigned i = 0; i < DEFAULT_DEVICES; i++)
		if (!strcmp(path, default_devices[i].path))
			return 1u << i;
	return 0;
}

/* Engines list all devices of the host for a privileged container, its /dev/ptmx too: ours is a link. */
static bool device_is_link(const char *path)
{
	for (unsigned i = 0; i < DEFAULT_LINKS; i++)
		if (!strcmp(path, default_links[i].path))
			return true;
	return false;
}

static void device_type(struct compile *c, const struct node *at, struct launch_device *device)
{
	const char *type = node_text_required(c, at, "type");

	if (!type)
		return;
	if (!strcmp(type, "c") || !strcmp(type, "u"))
		device->type = S_IFCHR;
	else if (!strcmp(type, "b"))
		device->type = S_IFBLK;
	else if (!strcmp(type, "p"))
		device->type = S_IFIFO;
	else
		compile_fail(c, at, "type", -EINVAL, "\"%s\" is none of c, u, b, p", type);
}

static void device_number(struct compile *c, const struct node *at, const char *key, uint64_t max,
			  uint32_t *ret)
{
	uint64_t n;

	if (node_uint(c, at, key, max, &n))
		*ret = (uint32_t)n;
	else
		compile_fail(c, at, key, -EINVAL, "is missing");
}

static void device_compile(struct compile *c, const struct node *at, struct rows *rows)
{
	const char *path = node_text_required(c, at, "path");
	struct launch_device device = { .mode = DEVICE_MODE };
	uint32_t mode;

	if (path && *path != '/')
		compile_fail(c, at, "path", -EINVAL, "%s is not absolute", path);
	device.path = build_str(c, path);
	device_type(c, at, &device);
	if (device.type != S_IFIFO) { /* 12 and 20 bits, as the kernel's dev_t */
		device_number(c, at, "major", 0xfff, &device.major);
		device_number(c, at, "minor", 0xfffff, &device.minor);
	}
	if (node_u32(c, at, "fileMode", &mode))
		device.mode = mode & 07777; /* engines leave the file type in it */
	node_u32(c, at, "uid", &device.uid);
	node_u32(c, at, "gid", &device.gid);
	if (path && !device_is_link(path))
		rows_add(c, rows, &device, sizeof(device));
}

/* A bound /dev has its devices already, and they may be the host's. */
static bool dev_is_bound(const struct compile *c)
{
	const struct launch_plan *block = (const void *)c->block;

	for (uint32_t i = 0; i < c->plan.mounts.n; i++) {
		const struct launch_mount *m =
			launch_at(block, c->plan.mounts, struct launch_mount, i);

		if (m->kind == LAUNCH_MOUNT_BIND && !strcmp(launch_text(block, m->target), "/dev"))
			return true;
	}
	return false;
}

static void default_compile(struct compile *c, uint32_t taken, struct rows *devices)
{
	struct rows links = { 0 };

	for (unsigned i = 0; i < DEFAULT_DEVICES; i++) {
		struct launch_device row = { .type = S_IFCHR, .mode = DEVICE_MODE };

		if (taken & 1u << i)
			continue;
		row.path = build_str(c, default_devices[i].path);
		row.major = default_devices[i].major;
		row.minor = default_devices[i].minor;
		rows_add(c, devices, &row, sizeof(row));
	}
	for (unsigned i = 0; i < DEFAULT_LINKS; i++) {
		struct launch_symlink row;

		row.path = build_str(c, default_links[i].path);
		row.target = build_str(c, default_links[i].target);
		rows_add(c, &links, &row, sizeof(row));
	}
	c->plan.symlinks = rows_take(c, &links, sizeof(struct launch_symlink));
}

void compile_devices(struct compile *c, const struct node *os)
{
	bool own_mounts = (c->plan.clone_flags | c->joined_flags) & CLONE_NEWNS;
	struct node array = { 0 }, element;
	struct rows devices = { 0 };
	uint32_t taken = 0;
	const char *path;
	size_t n = 0;

	if (node_array(c, os, "devices", &array))
		n = node_length(&array);
	for (size_t i = 0; i < n && node_row(c, &array, i, &element); i++) {
		path = node_text(c, &element, "path");
		if (path)
			taken |= device_default(path);
	}
	if (own_mounts && !c->code && !dev_is_bound(c))
		default_compile(c, taken, &devices);
	for (size_t i = 0; i < n && node_row(c, &array, i, &element); i++)
		device_compile(c, &element, &devices);
	c->plan.devices = rows_take(c, &devices, sizeof(struct launch_device));
	if (!own_mounts) /* the host's /dev: checked, but not touched */
		c->plan.devices.n = 0;
}
