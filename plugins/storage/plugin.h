/* SPDX-License-Identifier: MIT */
/* What the folders of the plugin share at run time. */
#ifndef ST_PLUGIN_H
#define ST_PLUGIN_H

#include "cowherd/plugin.h"
#include "image/store.h"

#include <stdatomic.h>

/* Set before any folder's registration. */
struct st_plugin {
	const struct cowherd_host *host;
	struct cowherd_self *self;
	/* An enum st_verify: of layer verbs that are not told; set on the loop, read anywhere. */
	atomic_int verify;
};
extern struct st_plugin st_plugin;

/* The store under the host's state directory, opened when it is first needed.  Any thread; blocks. */
int st_plugin_store(struct st_store **ret, struct plug_error *err);

/* Each folder registers what it offers: 0 or a negative errno. */
int st_image_register(void);
int st_layer_register(void);
int st_config_register(void);

#endif
