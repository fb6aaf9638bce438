/* SPDX-License-Identifier: MIT */
#include "disk/packed.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "archive/digest.h"
#include "disk/attach.h"
#include "disk/error.h"
#include "disk/ext4.h"
#include "disk/seal.h"
#include "disk/vhd.h"

#ifndef MOUNT_ATTR_RDONLY
#define MOUNT_ATTR_RDONLY 0x1
#endif

const char *st_packed_kind_name(enum st_packed_kind kind)
{
	static const char *const names[ST_PACKED_KIND_COUNT] = { "erofs", "squashfs", "ext4" };

	return kind < ST_PACKED_KIND_COUNT ? names[kind] : "?";
}

/* The open image: what is in it, how long. */
struct packed {
	int fd;
	enum st_packed_kind kind;
	struct st_disk_info disk;
	struct st_source source; /* the disk inside */
};

static int packed_kind(const struct st_source *s, enum st_packed_kind *ret)
{
	uint8_t head[2048] = { 0 };
	int r = st_source_read(s, head, s->size < sizeof(head) ? (size_t)s->size : sizeof(head), 0);

	if (r < 0)
		return r;
	if (memcmp(head + 1024, "\xe2\xe1\xf5\xe0", 4) == 0)
		*ret = ST_PACKED_EROFS;
	else if (memcmp(head, "hsqs", 4) == 0)
		*ret = ST_PACKED_SQUASHFS;
	else if (memcmp(head + 1024 + 56, "\x53\xef", 2) == 0)
		*ret = ST_PACKED_EXT4;
	else
		return -ENOTSUP;
	return 0;
}

static int packed_open(const char *path, struct packed *ret, const struct st_message *m)
{
	int r = st_disk_probe(path, &ret->disk, &ret->fd, m->text, m->size);

	if (r < 0)
		return r;
	st_source_fd(&ret->source, &ret->fd, ret->disk.size);
	if (ret->disk.kind != ST_DISK_RAW && ret->disk.kind != ST_DISK_VHD_FIXED)
		r = -ENOTSUP;
	if (r == 0)
		r = packed_kind(&ret->source, &ret->kind);
	if (r < 0) {
		(void)close(ret->fd);
		return st_fail(m, r, "%s: %s", path,
			       r == -ENOTSUP ? "neither EROFS, squashfs nor ext4" : strerror(-r));
	}
	return 0;
}

int st_packed_probe(const char *path, enum st_packed_kind *ret, uint64_t *ret_size, char *error,
		    size_t error_size)
{
	struct st_message m = { error, error_size };
	struct packed p;
	int r = packed_open(path, &p, &m);

	if (r < 0)
		return r;
	(void)close(p.fd);
	*ret = p.kind;
	*ret_size = p.disk.size;
	return 0;
}

static void hex_put(const uint8_t *data, char ret[65])
{
	for (int i = 0; i < 32; i++)
		(void)snprintf(ret + (size_t)i * 2, 3, "%02x", data[i]);
}

static bool hex_get(const char *text, uint8_t ret[32])
{
	unsigned byte;

	if (strlen(text) != 64 || strspn(text, "0123456789abcdefABCDEF") != 64)
		return false;
	for (int i = 0; i < 32; i++) {
		if (sscanf(text + (size_t)i * 2, "%2x", &byte) != 1)
			return false;
		ret[i] = (uint8_t)byte;
	}
	return true;
}

static int packed_digest(const struct packed *p, char ret[72])
{
	struct st_source whole;
	uint8_t found[32];
	struct stat st;
	int r;

	if (fstat(p->fd, &st) < 0)
		return -errno;
	st_source_fd(&whole, &p->fd, (uint64_t)st.st_size);
	r = st_digest_source(&whole, found);
	if (r < 0)
		return r;
	(void)strcpy(ret, "sha256:");
	hex_put(found, ret + 7);
	return 0;
}

static int digest_check(const struct packed *p, const char *path, const char *digest,
			const struct st_message *m)
{
	char found[72];
	int r;

	if (strncmp(digest, "sha256:", 7) != 0 || strlen(digest) != 71)
		return st_fail(m, -EINVAL, "%s: %s: not a digest", path, digest);
	r = packed_digest(p, found);
	if (r < 0)
		return st_fail(m, r, "%s: %s", path, strerror(-r));
	return strcasecmp(found, digest) == 0
		       ? 0
		       : st_fail(m, -EBADMSG, "%s: digest %s, not %s", path, found, digest);
}

/* Of the tree behind an ext4 image, from all data.  -ENOENT: there is none. */
static int packed_root(const struct packed *p, uint8_t ret[32])
{
	struct st_verity v;
	struct st_ext4 *fs;
	uint64_t size;
	int r = p->kind == ST_PACKED_EXT4 ? st_ext4_open(&p->source, &fs, NULL, 0) : -ENOENT;

	if (r < 0)
		return r == -ENOENT ? r : -EUCLEAN;
	size = st_ext4_size(fs);
	st_ext4_close(fs);
	r = st_verity_read(&p->source, size, &v);
	return r < 0 ? r : st_verity_root(&p->source, &v, ret);
}

/* The kernel may be without device mapper: all of it is read once, before the mount. */
static int verity_check(const struct packed *p, const char *path, const char *hex,
			const struct st_message *m)
{
	uint8_t expected[32], root[32];
	char found[65];
	int r;

	if (!hex_get(hex, expected))
		return st_fail(m, -EINVAL, "%s: %s: not a root hash", path, hex);
	r = packed_root(p, root);
	if (r < 0)
		return st_fail(m, r, "%s: verity: %s", path,
			       r == -ENOENT    ? "there is none behind the file system"
			       : r == -EUCLEAN ? "not a whole ext4 image"
					       : strerror(-r));
	hex_put(root, found);
	return memcmp(root, expected, sizeof(root)) == 0
		       ? 0
		       : st_fail(m, -EBADMSG, "%s: verity: the root hash is another one: %s, not %s",
				 path, found, hex);
}

int st_seal_measure(const char *image, struct st_seal *ret, char *error, size_t error_size)
{
	struct st_message m = { error, error_size };
	struct st_seal seal = { "", "" };
	uint8_t root[32];
	struct packed p;
	int r = packed_open(image, &p, &m);

	if (r < 0)
		return r;
	r = packed_digest(&p, seal.digest);
	if (r == 0) {
		r = packed_root(&p, root);
		if (r == 0)
			hex_put(root, seal.verity);
		else if (r == -ENOENT || r == -EUCLEAN)
			r = 0; /* what looks like a tree and is none seals nothing */
	}
	(void)close(p.fd);
	if (r < 0)
		return st_fail(&m, r, "%s: %s", image, strerror(-r));
	*ret = seal;
	return 0;
}

static int fs_string(int fs, const char *key, const char *value)
{
	return syscall(SYS_fsconfig, fs, value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, key, value,
		       0) < 0
		       ? -errno
		       : 0;
}

/* A mount of the source, attached nowhere. */
static int fs_mount(const struct packed *p, const char *source, int *ret)
{
	int fs = (int)syscall(SYS_fsopen, st_packed_kind_name(p->kind), FSOPEN_CLOEXEC), r;

	if (fs < 0)
		return -errno;
	r = fs_string(fs, "source", source);
	if (r == 0)
		r = fs_string(fs, "ro", NULL);
	if (r == 0 && p->kind == ST_PACKED_EXT4)
		r = fs_string(fs, "noload", NULL);
	if (r == 0 && syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		r = -errno;
	if (r == 0) {
		*ret = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY);
		r = *ret < 0 ? -errno : 0;
	}
	(void)close(fs);
	return r;
}

static int packed_mount(const struct packed *p, int *ret)
{
	struct st_loop_options o = { .size = p->disk.size, .readonly = true, .autoclear = true,
				     .name = "cowherd:layer" };
	char source[64];
	int r, loop = -1;

	/* EROFS reads files by itself since Linux 6.12, what is behind an image does not matter to it. */
	if (p->kind == ST_PACKED_EROFS) {
		(void)snprintf(source, sizeof(source), "/proc/self/fd/%d", p->fd);
		r = fs_mount(p, source, ret);
		if (r != -ENOTBLK && r != -EINVAL)
			return r;
	}
	r = st_loop_attach(p->fd, &o, source, &loop);
	if (r == 0)
		r = fs_mount(p, source, ret);
	if (loop >= 0)
		(void)close(loop); /* the mount holds it now, or nobody */
	return r;
}

int st_packed_mount(const char *path, const struct st_packed_options *options, int *ret_fd,
		    char *error, size_t error_size)
{
	struct st_message m = { error, error_size };
	struct packed p;
	int r = packed_open(path, &p, &m);

	if (r < 0)
		return r;
	if (options && options->digest)
		r = digest_check(&p, path, options->digest, &m);
	if (r == 0 && options && options->verity)
		r = verity_check(&p, path, options->verity, &m);
	if (r == 0) {
		r = packed_mount(&p, ret_fd);
		if (r < 0)
			(void)st_fail(&m, r, "%s: mounting it as %s: %s", path,
				      st_packed_kind_name(p.kind), strerror(-r));
	}
	(void)close(p.fd);
	return r;
}

int st_packed_place(int mount_fd, const char *target, const struct st_message *m)
{
	if (syscall(SYS_move_mount, mount_fd, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return st_fail(m, -errno, "%s: %s", target, strerror(errno));
	return 0;
}

int st_packed_mount_at(const char *path, const struct st_packed_options *options, const char *target,
		       char *error, size_t error_size)
{
	struct st_message m = { error, error_size };
	int mount_fd, r = st_packed_mount(path, options, &mount_fd, error, error_size);

	if (r < 0)
		return r;
	r = st_packed_place(mount_fd, target, &m);
	(void)close(mount_fd);
	return r;
}

int st_layer_vhd_write(struct st_tar *tar, int fd, const struct st_layer_vhd_options *options,
		       struct st_ext4_result *ret, struct st_verity *ret_verity, char *error,
		       size_t error_size)
{
	struct st_ext4_options ext4 = { .whiteouts = !options->keep_whiteouts,
					.inline_data = options->inline_data };
	struct st_message m = { error, error_size };
	struct st_verity verity = { 0 };
	struct st_ext4_result result;
	uint8_t uuid[16];
	uint64_t size;
	int r = st_ext4_write(tar, fd, &ext4, &result, error, error_size);

	if (r < 0)
		return r;
	size = result.bytes;
	if (options->verity) {
		if (getrandom(uuid, sizeof(uuid), 0) != sizeof(uuid))
			r = -errno;
		else
			r = st_verity_append(fd, size, uuid, &verity);
		size += verity.hash_bytes;
	}
	if (r == 0 && !options->no_footer)
		r = st_vhd_append_footer(fd, size);
	if (r < 0)
		return st_fail(&m, r, "layer.vhd: %s", strerror(-r));
	*ret = result;
	if (ret_verity)
		*ret_verity = verity;
	return 0;
}
