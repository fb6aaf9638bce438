/* SPDX-License-Identifier: MIT */
/* The disk part of the storage plugin: the verbs create-scratch and prepare-disk. */
#ifndef ST_DISK_DISK_H
#define ST_DISK_DISK_H

#include <cowherd/plugin.h>

int st_disk_register(const struct cowherd_host *host, struct cowherd_self *self);

#endif
