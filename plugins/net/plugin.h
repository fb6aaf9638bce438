/* SPDX-License-Identifier: MIT */
/* What the folders of the plugin share at run time.  On the loop thread only. */
#ifndef NET_PLUGIN_H
#define NET_PLUGIN_H

#include "cowherd/plugin.h"

/* Set before any folder's registration. */
struct net_plugin {
	const struct cowherd_host *host;
	struct cowherd_self *self;
};
extern struct net_plugin net_plugin;

/*
 * Each folder that offers something has a net_FOLDER_register(), declared in its own header and named
 * in plugin.c: 0, or a negative errno; and where it has to, a net_FOLDER_finish().
 */

#endif
