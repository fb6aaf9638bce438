/* SPDX-License-Identifier: MIT */
/* An archive that one thread writes and another reads, for what is made of one and is to become one. */
#ifndef ST_LAYER_FEED_H
#define ST_LAYER_FEED_H

#include "archive/tar.h"
#include "common/error.h"

#include <pthread.h>

struct st_feed {
	int (*fill)(void *arg, struct st_tar_writer *writer, struct plug_error *err);
	void *arg;
	int fd, to; /* the ends of a pipe */
	pthread_t thread;
	bool joined;
	int code;
	struct plug_error error;
};

/* fill begins at once.  feed stays where it is until st_feed_end(). */
int st_feed_begin(struct st_feed *feed,
		  int (*fill)(void *arg, struct st_tar_writer *writer, struct plug_error *err), void *arg);
/* An st_read_cb: at the end it gives what fill gave. */
ssize_t st_feed_read(void *feed, void *buffer, size_t size);
/* r: how reading ended.  An error of fill goes before what followed from it. */
int st_feed_end(struct st_feed *feed, int r, struct plug_error *err);

#endif
