/* SPDX-License-Identifier: MIT */
/* Attached disks, and the file systems on them. */
#include "rootfs/parts.h"

#include "disk/attach.h"

#include <errno.h>
#include <sys/mount.h>

/* What a guest mounts: the first that is on it. */
static int mount_any(const char *device, const char *place, bool read_only)
{
	static const struct {
		const char *type, *options;
	} known[] = { { "ext4", NULL }, { "xfs", "nouuid" }, { "erofs", NULL }, { "squashfs", NULL } };
	int r = -EINVAL;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (mount(device, place, known[i].type, read_only ? MS_RDONLY : 0,
			  known[i].options) == 0)
			return 0;
		if (errno != EINVAL && errno != ENODEV)
			r = -errno;
	}
	return r;
}

int st_disk_mount(const char *dir, const char *owner, const char *path, bool read_only,
		  const char *place, unsigned *ret_refs, struct plug_error *err)
{
	const struct st_attach_options options = {
		.dir = dir, .owner = owner, .path = path, .readonly = read_only
	};
	struct st_attachment attached;
	char message[256] = "";
	int r = st_attach(&options, &attached, message, sizeof(message));

	if (r < 0)
		return plug_error_set(err, r, "%s", message);
	r = mount_any(attached.device, place, read_only);
	if (r < 0)
		return plug_error_errno(err, r, "%s: mounting it", path);
	if (ret_refs)
		*ret_refs = attached.refs;
	return 0;
}

int st_disk_release(const char *dir, const char *owner, struct plug_error *err)
{
	char message[256] = "";
	int r = st_detach_owner(dir, owner, message, sizeof(message));

	return r < 0 ? plug_error_set(err, r, "%s", message) : 0;
}

int st_disk_mount_layer(const char *image, enum st_verify how, const char *place,
			struct plug_error *err)
{
	char message[sizeof(err->text)] = "";
	int r = st_seal_mount_at(image, how, place, message, sizeof(message));

	return r < 0 ? plug_error_set(err, r, "%s", message) : 0;
}
