/* SPDX-License-Identifier: MIT */
/* The plugin's table, and its store. */
#include "plugin.h"
#include "common/files.h"
#include "common/words.h"
#include "disk/disk.h"
#include "rootfs/rootfs.h"
#include "common/util.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct st_plugin st_plugin;

static pthread_mutex_t store_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct st_store *store;

int st_plugin_store(struct st_store **ret, struct plug_error *err)
{
	_cleanup_free_ char *dir = NULL;
	int r = 0;

	(void)pthread_mutex_lock(&store_mutex);
	if (!store) {
		r = plug_directories_make(st_plugin.host->state_dir);
		if (r < 0)
			(void)plug_error_errno(err, r, "%s", st_plugin.host->state_dir);
		if (r == 0 && asprintf(&dir, "%s/storage", st_plugin.host->state_dir) < 0)
			r = plug_error_errno(err, -ENOMEM, "storage");
		if (r < 0)
			dir = NULL;
		else
			r = st_store_open(dir, &store, err);
	}
	if (r == 0)
		*ret = store;
	(void)pthread_mutex_unlock(&store_mutex);
	return r;
}

static int storage_init(const struct cowherd_host *host, struct cowherd_self *self)
{
	st_plugin.host = host;
	st_plugin.self = self;
	plug_calls_use(host, self);
	atomic_store(&st_plugin.verify, ST_VERIFY_NONE);
	st_rootfs_configure(ST_VERIFY_NONE, 0);
	return st_image_register() ?: st_layer_register() ?: st_rootfs_register(host, self) ?:
	       st_disk_register(host, self) ?: st_config_register();
}

static int storage_fini(char *message, size_t size)
{
	(void)message;
	(void)size;
	plug_calls_finish();
	st_rootfs_finish();
	st_store_close(store);
	store = NULL;
	return 0;
}

static const char *const provides[] = { "storage", NULL };

static const struct cowherd_plugin plugin = {
	.size = sizeof(plugin),
	.abi_major = COWHERD_ABI_MAJOR,
	.abi_minor = COWHERD_ABI_MINOR,
	.name = "storage",
	.version = "1.0.0",
	.description = "Images, layers, scratch space and disks",
	.provides = provides,
	.init = storage_init,
	.fini = storage_fini,
};

COWHERD_EXPORT const struct cowherd_plugin *cowherd_plugin_entry(uint32_t host_major,
								 uint32_t host_minor)
{
	/* Images came with 1.1. */
	return host_major == COWHERD_ABI_MAJOR && host_minor >= 1 ? &plugin : NULL;
}
