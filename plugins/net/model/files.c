/* SPDX-License-Identifier: MIT */
/* Small files and directories of the store. */
#include "model/store_private.h"
#include "common/files.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int net_file_read(int dirfd, const char *name, size_t max, char **ret, size_t *ret_size)
{
	_cleanup_close_ int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	int r = fd < 0 ? -errno : plug_file_read(fd, max, ret, ret_size);

	return r == -EINVAL ? -EUCLEAN : r; /* nothing of ours is not a file */
}

int net_file_write(int dirfd, const char *name, const char *text, bool durable)
{
	return plug_file_write(dirfd, name, ".making", text, durable ? PLUG_FILE_DURABLE : PLUG_FILE_REPLACE);
}

DIR *net_dir_open(int fd)
{
	int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = own < 0 ? NULL : fdopendir(own);

	if (!d && own >= 0) {
		int e = errno;

		(void)close(own);
		errno = e;
	}
	return d;
}

int net_store_directory(struct net_store *s, int place, const char *name, int *ret, struct plug_error *err)
{
	int parent = name ? s->base[place] : AT_FDCWD, fd, r;
	_cleanup_free_ char *path = NULL;

	if (!name) {
		if (asprintf(&path, "%s/net", s->dirs[place]) < 0) {
			path = NULL;
			return plug_error_errno(err, -ENOMEM, "%s", s->dirs[place]);
		}
		r = plug_directories_make(path);
		if (r < 0)
			return plug_error_errno(err, r, "%s", path);
	} else if (mkdirat(parent, name, 0700) < 0 && errno != EEXIST) {
		return plug_error_errno(err, -errno, "%s/net/%s", s->dirs[place], name);
	}
	fd = openat(parent, name ? name : path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return plug_error_errno(err, -errno, "%s/net%s%s", s->dirs[place], name ? "/" : "",
					name ? name : "");
	*ret = fd;
	return 0;
}
