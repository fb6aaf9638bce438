/* SPDX-License-Identifier: MIT */
/*
 * What the disk part of the storage plugin can do, for scripts:
 *   disk_tool write TAR IMAGE [whiteouts] [inline]   tar ("-": standard input) to ext4
 *   disk_tool list IMAGE                             what the reader finds, a JSON line per file
 *   disk_tool layer TAR VHD [verity] [keep] [bare]   tar to layer.vhd
 *   disk_tool mount IMAGE DIR [digest=…] [verity=…]  a packed layer
 *   disk_tool probe FILE                             kind and size
 *   disk_tool attach DIR OWNER FILE [ro]             a block device
 *   disk_tool detach DIR OWNER [FILE]
 *   disk_tool sweep DIR
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive/digest.h"
#include "archive/tar.h"
#include "disk/attach.h"
#include "disk/ext4.h"
#include "disk/packed.h"
#include "disk/source.h"
#include "disk/vhd.h"

static int complain(const char *what, int code, const char *message)
{
	(void)fprintf(stderr, "disk_tool: %s: %s\n", what,
		      message && *message ? message : strerror(-code));
	return 1;
}

static ssize_t read_cb(void *arg, void *buf, size_t size)
{
	ssize_t n = read(*(int *)arg, buf, size);

	return n < 0 ? -errno : n;
}

static int has(char **argv, const char *word)
{
	for (; *argv; argv++)
		if (strcmp(*argv, word) == 0)
			return 1;
	return 0;
}

/* The most memory this program had, in KiB; what rusage says may be that of who started it. */
static unsigned long peak_kib(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	unsigned long peak = 0;
	char line[128];

	while (f && fgets(line, sizeof(line), f))
		(void)sscanf(line, "VmHWM: %lu", &peak);
	if (f)
		(void)fclose(f);
	return peak;
}

static int tool_write(char **argv)
{
	struct st_ext4_options options = { .whiteouts = has(argv, "whiteouts"),
					   .inline_data = has(argv, "inline") };
	int in = strcmp(argv[0], "-") ? open(argv[0], O_RDONLY | O_CLOEXEC) : 0;
	int out = open(argv[1], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct st_ext4_result result;
	char error[512] = "";
	struct st_tar *tar;
	int r;

	if (in < 0 || out < 0)
		return complain(argv[in < 0 ? 0 : 1], -errno, NULL);
	r = st_tar_open(read_cb, &in, NULL, &tar);
	if (r < 0)
		return complain(argv[0], r, NULL);
	r = st_ext4_write(tar, out, &options, &result, error, sizeof(error));
	st_tar_close(tar);
	if (r < 0)
		return complain(argv[0], r, error);
	(void)printf("{\"bytes\":%llu,\"entries\":%llu,\"peak_kib\":%lu}\n",
		     (unsigned long long)result.bytes, (unsigned long long)result.entries,
		     peak_kib());
	return 0;
}

static void print_hex(const void *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		(void)printf("%02x", ((const unsigned char *)data)[i]);
}

static int print_xattr(void *arg, const char *name, const void *value, size_t size)
{
	(void)printf("%s[\"", *(int *)arg ? "," : "");
	print_hex(name, strlen(name));
	(void)printf("\",\"");
	print_hex(value, size);
	(void)printf("\"]");
	*(int *)arg = 1;
	return 0;
}

static int print_data(struct st_ext4 *fs, const struct st_ext4_stat *st)
{
	char buf[65536], digest[ST_DIGEST_MAX];
	struct st_hash *hash;
	uint64_t at = 0;
	ssize_t n;

	if (st_hash_create(&hash) < 0)
		return -ENOMEM;
	while ((n = st_ext4_read(fs, st->ino, buf, sizeof(buf), at)) > 0) {
		st_hash_add(hash, buf, (size_t)n);
		at += (uint64_t)n;
	}
	st_hash_end(hash, digest);
	st_hash_destroy(hash);
	(void)printf(",\"digest\":\"%s\"", digest);
	return n < 0 ? (int)n : at == st->size ? 0 : -EIO;
}

static int print_file(void *arg, const char *path, const struct st_ext4_stat *st)
{
	struct st_ext4 *fs = arg;
	char link[4096];
	int r = 0, any = 0;

	(void)printf("{\"path\":\"");
	print_hex(path, strlen(path));
	(void)printf("\",\"mode\":%u,\"uid\":%u,\"gid\":%u,\"nlink\":%u,\"ino\":%u,\"mtime\":%lld"
		     ",\"nsec\":%ld,\"major\":%u,\"minor\":%u",
		     st->mode, st->uid, st->gid, st->nlink, st->ino, (long long)st->mtime.tv_sec,
		     st->mtime.tv_nsec, st->major, st->minor);
	if (S_ISREG(st->mode)) {
		(void)printf(",\"size\":%llu", (unsigned long long)st->size);
		r = print_data(fs, st);
	} else if (S_ISLNK(st->mode)) {
		r = st_ext4_readlink(fs, st->ino, link);
		(void)printf(",\"link\":\"");
		print_hex(link, r < 0 ? 0 : strlen(link));
		(void)printf("\"");
	}
	(void)printf(",\"xattrs\":[");
	if (r == 0)
		r = st_ext4_xattrs(fs, st->ino, print_xattr, &any);
	(void)printf("]}\n");
	return r;
}

static int tool_list(char **argv)
{
	int fd = open(argv[0], O_RDONLY | O_CLOEXEC), r;
	struct st_source source;
	char error[512] = "";
	struct st_ext4 *fs;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return complain(argv[0], -errno, NULL);
	st_source_fd(&source, &fd, (uint64_t)st.st_size);
	r = st_ext4_open(&source, &fs, error, sizeof(error));
	if (r == 0) {
		r = st_ext4_walk(fs, print_file, fs);
		st_ext4_close(fs);
	}
	return r < 0 ? complain(argv[0], r, error) : 0;
}

static int tool_attach(char **argv)
{
	struct st_attach_options o = { .dir = argv[0], .owner = argv[1], .path = argv[2],
				       .readonly = has(argv + 3, "ro") };
	struct st_attachment a;
	char error[512] = "";
	int r = st_attach(&o, &a, error, sizeof(error));

	if (r < 0)
		return complain(argv[2], r, error);
	(void)printf("{\"device\":\"%s\",\"controller\":%u,\"lun\":%u,\"refs\":%u,\"size\":%llu}\n",
		     a.device, a.controller, a.lun, a.refs, (unsigned long long)a.size);
	return 0;
}

static int tool_detach(char **argv)
{
	char error[512] = "";
	int r = argv[2] ? st_detach(argv[0], argv[1], argv[2], error, sizeof(error))
			: st_detach_owner(argv[0], argv[1], error, sizeof(error));

	return r < 0 ? complain(argv[1], r, error) : 0;
}

static int tool_sweep(char **argv)
{
	char error[512] = "";
	int r = st_attach_sweep(argv[0], error, sizeof(error));

	return r < 0 ? complain(argv[0], r, error) : 0;
}

static int tool_probe(char **argv)
{
	struct st_disk_info info;
	char error[512] = "";
	int r = st_disk_probe(argv[0], &info, NULL, error, sizeof(error));

	if (r < 0)
		return complain(argv[0], r, error);
	(void)printf("%s %llu\n", st_disk_kind_name(info.kind), (unsigned long long)info.size);
	return 0;
}

static int tool_layer(char **argv)
{
	struct st_layer_vhd_options options = { .verity = has(argv + 2, "verity"),
						.keep_whiteouts = has(argv + 2, "keep"),
						.no_footer = has(argv + 2, "bare") };
	int in = strcmp(argv[0], "-") ? open(argv[0], O_RDONLY | O_CLOEXEC) : 0;
	int out = open(argv[1], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct st_ext4_result result;
	struct st_verity verity;
	char error[512] = "";
	struct st_tar *tar;
	int r;

	if (in < 0 || out < 0)
		return complain(argv[in < 0 ? 0 : 1], -errno, NULL);
	r = st_tar_open(read_cb, &in, NULL, &tar);
	if (r < 0)
		return complain(argv[0], r, NULL);
	r = st_layer_vhd_write(tar, out, &options, &result, &verity, error, sizeof(error));
	st_tar_close(tar);
	if (r < 0)
		return complain(argv[0], r, error);
	(void)printf("{\"bytes\":%llu,\"root\":\"", (unsigned long long)result.bytes);
	print_hex(verity.root, sizeof(verity.root));
	(void)printf("\",\"peak_kib\":%lu}\n", peak_kib());
	return 0;
}

static int tool_mount(char **argv)
{
	struct st_packed_options options = { 0 };
	char error[512] = "";
	int r;

	for (char **o = argv + 2; *o; o++) {
		if (strncmp(*o, "digest=", 7) == 0)
			options.digest = *o + 7;
		else if (strncmp(*o, "verity=", 7) == 0)
			options.verity = *o + 7;
	}
	r = st_packed_mount_at(argv[0], &options, argv[1], error, sizeof(error));
	return r < 0 ? complain(argv[0], r, error) : 0;
}

static const struct {
	const char *name;
	int arguments;
	int (*run)(char **argv);
} tools[] = {
	{ "write", 2, tool_write },
	{ "list", 1, tool_list },
	{ "layer", 2, tool_layer },
	{ "mount", 2, tool_mount },
	{ "probe", 1, tool_probe },
	{ "attach", 3, tool_attach },
	{ "detach", 2, tool_detach },
	{ "sweep", 1, tool_sweep },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(tools) / sizeof(tools[0]); i++)
		if (strcmp(argv[1], tools[i].name) == 0 && argc - 2 >= tools[i].arguments)
			return tools[i].run(argv + 2);
	(void)fprintf(stderr, "usage: see the source\n");
	return 2;
}
