/* SPDX-License-Identifier: MIT */
/* The root file system and /mounts. */
#include "compile.h"

#include <errno.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

/* What the options of one mount leave for the file system, as "a,b,c". */
struct data {
	char *text;
	size_t len, room;
};

static void data_add(struct compile *c, struct data *data, const char *option)
{
	size_t len = strlen(option), need = data->len + len + 2;
	size_t room = data->room ? data->room : 128;
	char *text;

	if (!len)
		return;
	while (room < need)
		room *= 2;
	if (room != data->room) {
		text = realloc(data->text, room);
		if (!text) {
			compile_oom(c);
			return;
		}
		data->text = text;
		data->room = room;
	}
	if (data->len)
		data->text[data->len++] = ',';
	memcpy(data->text + data->len, option, len + 1);
	data->len += len;
}

/* An atime in either needs all of MOUNT_ATTR__ATIME in clear, see mount_setattr(2). */
static void attr_apply(uint64_t *set, uint64_t *clear, const struct mount_option *option)
{
	*set = (*set & ~option->clear) | option->set;
	*clear = (*clear & ~(option->set & ~(uint64_t)MOUNT_ATTR__ATIME)) | option->clear;
}

static void propagation_apply(struct compile *c, const struct node *at, struct launch_mount *m,
			      uint32_t flags)
{
	if (!m->propagation[0])
		m->propagation[0] = flags;
	else if (!m->propagation[1] && m->propagation[0] != flags)
		m->propagation[1] = flags;
	else if (m->propagation[0] != flags && m->propagation[1] != flags)
		compile_fail(c, at, NULL, -EINVAL, "a third propagation option");
}

static void option_apply(struct compile *c, const struct node *at,
			 const struct mount_option *option, struct launch_mount *m)
{
	switch (option->field) {
	case MOUNT_OPTION_ATTR:
		attr_apply(&m->attr_set, &m->attr_clear, option);
		break;
	case MOUNT_OPTION_REC_ATTR:
		attr_apply(&m->rec_attr_set, &m->rec_attr_clear, option);
		break;
	case MOUNT_OPTION_SB:
		m->sb_flags = (m->sb_flags & ~option->clear) | option->set;
		break;
	case MOUNT_OPTION_PROPAGATION:
		propagation_apply(c, at, m, (uint32_t)option->set);
		break;
	case MOUNT_OPTION_BIND:
		if (m->kind == LAUNCH_MOUNT_REMOUNT)
			m->opts |= LAUNCH_MOUNT_REMOUNT_BIND;
		else
			m->kind = LAUNCH_MOUNT_BIND;
		m->opts |= (uint32_t)option->set;
		break;
	case MOUNT_OPTION_REMOUNT:
		if (m->kind == LAUNCH_MOUNT_BIND)
			m->opts |= LAUNCH_MOUNT_REMOUNT_BIND;
		m->kind = LAUNCH_MOUNT_REMOUNT;
		break;
	case MOUNT_OPTION_OPTS:
		m->opts |= (uint32_t)option->set;
		break;
	case MOUNT_OPTION_NOTHING:
		break;
	}
}

static void mount_option(struct compile *c, const struct node *at, struct launch_mount *m,
			 struct data *data)
{
	const char *text = node_string(c, at), *value;
	const struct mount_option *option;

	if (!text)
		return;
	value = strchr(text, '=');
	option = mount_option_find(text, value ? (size_t)(value - text) : strlen(text));
	if (option && value && (option->set & LAUNCH_MOUNT_IDMAP) &&
	    option->field == MOUNT_OPTION_OPTS)
		compile_idmap_option(c, at, value + 1, m);
	else if (value)
		option = NULL; /* "mode=755", and also "sync=1": not ours */
	if (option)
		option_apply(c, at, option, m);
	else
		data_add(c, data, text);
}

static void mount_options(struct compile *c, const struct node *mount, struct launch_mount *m)
{
	struct data data = { 0 };
	struct node array;

	if (!node_array(c, mount, "options", &array))
		return;
	for (size_t i = 0; i < node_length(&array) && !c->code; i++) {
		struct node element = node_element(&array, i);

		mount_option(c, &element, m, &data);
	}
	m->data = build_str(c, data.text);
	free(data.text);
}

/* Absolute, without "//" and "/./" and a slash at its end.  ".." stays: the runner resolves it. */
static launch_str path_clean(struct compile *c, const char *path)
{
	size_t n = 0, part;
	char *clean;
	launch_str s;

	if (c->code)
		return 0;
	clean = malloc(strlen(path) + 2);
	if (!clean) {
		compile_oom(c);
		return 0;
	}
	for (; *path; path += part) {
		path += strspn(path, "/");
		part = strcspn(path, "/");
		if (!part || (part == 1 && *path == '.'))
			continue;
		clean[n++] = '/';
		memcpy(clean + n, path, part);
		n += part;
	}
	s = build_strn(c, n ? clean : "/", n ? n : 1);
	free(clean);
	return s;
}

/* Relative to the bundle, as the spec says for root.path and bind sources. */
static launch_str path_of_bundle(struct compile *c, const struct node *at, const char *key,
				 const char *path)
{
	const char *bundle = c->options ? c->options->bundle : NULL;

	if (*path == '/')
		return build_str(c, path);
	if (!bundle)
		compile_fail(c, at, key, -EINVAL, "%s is relative, and there is no bundle", path);
	return build_format(c, "%s/%s", bundle ? bundle : "", path);
}

static void mount_source(struct compile *c, const struct node *at, const char *type,
			 struct launch_mount *m)
{
	const char *source = node_text(c, at, "source");

	if (m->kind != LAUNCH_MOUNT_BIND)
		m->source = build_str(c, source && *source ? source : type);
	else if (source && *source)
		m->source = path_of_bundle(c, at, "source", source);
	else
		compile_fail(c, at, "source", -EINVAL, "is missing, and this is a bind");
}

static void mount_kind(struct compile *c, const struct node *at, const char *type,
		       struct launch_mount *m)
{
	if (m->kind != LAUNCH_MOUNT_FS)
		return;
	if (type && !strcmp(type, "bind"))
		m->kind = LAUNCH_MOUNT_BIND;
	else if (type && !strcmp(type, "cgroup"))
		m->kind = LAUNCH_MOUNT_CGROUP;
	else if (!type || !*type || !strcmp(type, "none"))
		compile_fail(c, at, "type", -EINVAL, "is missing, and this is no bind");
}

static void mount_flags(struct compile *c, const struct node *at, const char *type,
			struct launch_mount *m)
{
	bool of_mount = m->kind == LAUNCH_MOUNT_BIND || (m->opts & LAUNCH_MOUNT_REMOUNT_BIND);
	/* Mount points are made in it, and then it is the mount that is read-only. */
	bool fillable = m->kind == LAUNCH_MOUNT_FS && type && !strcmp(type, "tmpfs");

	if (of_mount)
		m->sb_flags = 0;
	else if (m->attr_set & MOUNT_ATTR_RDONLY && !fillable)
		m->sb_flags |= MS_RDONLY;
	if (m->uid_maps.n || m->gid_maps.n)
		m->opts |= LAUNCH_MOUNT_IDMAP;
	if (!(m->opts & LAUNCH_MOUNT_IDMAP))
		return;
	if (!m->uid_maps.n != !m->gid_maps.n)
		compile_fail(c, at, NULL, -EINVAL, "uidMappings and gidMappings need each other");
	else if (!m->uid_maps.n && !((c->plan.clone_flags | c->joined_flags) & CLONE_NEWUSER))
		compile_fail(c, at, NULL, -EINVAL, "idmap without mappings, nor a user namespace");
}

static void mount_compile(struct compile *c, const struct node *at, struct launch_mount *m)
{
	const char *target = node_text_required(c, at, "destination");
	const char *type = node_text(c, at, "type");

	mount_options(c, at, m);
	mount_kind(c, at, type, m);
	mount_source(c, at, type, m);
	if (m->kind == LAUNCH_MOUNT_FS)
		m->type = build_str(c, type);
	m->target = path_clean(c, target);
	if (!m->uid_maps.n)
		m->uid_maps = compile_idmap(c, at, "uidMappings");
	if (!m->gid_maps.n)
		m->gid_maps = compile_idmap(c, at, "gidMappings");
	mount_flags(c, at, type, m);
}

static void compile_root(struct compile *c, const struct node *root)
{
	struct node section;
	const char *path;
	bool readonly = false;

	if (!node_object(c, root, "root", &section)) {
		compile_fail(c, root, "root", -EINVAL, "is missing");
		return;
	}
	path = node_text_required(c, &section, "path");
	if (path)
		c->plan.rootfs = path_of_bundle(c, &section, "path", path);
	node_bool(c, &section, "readonly", &readonly);
	c->plan.rootfs_readonly = readonly;
}

static void compile_propagation(struct compile *c, const struct node *root)
{
	const struct mount_option *option = NULL;
	struct node os;
	const char *text = NULL;

	if (node_object(c, root, "linux", &os))
		text = node_text(c, &os, "rootfsPropagation");
	if (!text || !*text)
		return;
	option = mount_option_find(text, strlen(text));
	if (option && option->field == MOUNT_OPTION_PROPAGATION)
		c->plan.rootfs_propagation = (uint32_t)option->set;
	else
		compile_fail(c, &os, "rootfsPropagation", -EINVAL, "\"%s\" is not known", text);
}

void compile_mounts(struct compile *c, const struct node *root)
{
	struct launch_vec mounts;
	struct node array, element;

	compile_root(c, root);
	compile_propagation(c, root);
	if (!node_array(c, root, "mounts", &array))
		return;
	mounts = build_vec(c, node_length(&array), sizeof(struct launch_mount));
	for (size_t i = 0; i < mounts.n && node_row(c, &array, i, &element); i++) {
		struct launch_mount mount = { 0 };

		mount_compile(c, &element, &mount);
		build_put(c, mounts, i, &mount, sizeof(mount));
	}
	/* Without a mount namespace these would be the host's: checked, but not made. */
	if ((c->plan.clone_flags | c->joined_flags) & CLONE_NEWNS)
		c->plan.mounts = mounts;
}
