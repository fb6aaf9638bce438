/* SPDX-License-Identifier: MIT */
/* Private to the store and its leases. */
#ifndef NET_MODEL_STORE_PRIVATE_H
#define NET_MODEL_STORE_PRIVATE_H

#include "common/util.h"
#include "model/json.h"
#include "model/store.h"

#include <pthread.h>

struct net_index {
	struct net_entry *entries; /* by id */
	size_t count, capacity;
	bool read;
};

enum { STORE_RUN, STORE_STATE, STORE_PLACES }; /* volatile, durable */

struct net_store {
	pthread_mutex_t mutex; /* recursive: index, lock and all that follows */
	unsigned depth;        /* of exclusive locks */
	char *dirs[STORE_PLACES];
	int base[STORE_PLACES]; /* <dir>/net */
	int fds[STORE_PLACES][NET_KIND_COUNT]; /* -1: this kind is not kept there */
	int leases[STORE_PLACES]; /* leases/, reserved/ */
	int lock;
	uint64_t generation; /* that the indices are of */
	struct net_index index[NET_KIND_COUNT];
	struct net_foreign foreign;
};

/* <s->dirs[place]>/net/…, made where it is missing. */
int net_store_directory(struct net_store *s, int place, const char *name, int *ret, struct plug_error *err);
int net_file_read(int dirfd, const char *name, size_t max, char **ret, size_t *ret_size);
/* Whole or not at all; durable: after a power cut still so.  One writer at a time: the lock. */
int net_file_write(int dirfd, const char *name, const char *text, bool durable);
/* A directory that is read from its beginning, whoever else reads it; NULL with errno. */
DIR *net_dir_open(int fd);
/* Counts a change that is about to be made.  Under the lock. */
int net_store_changing(struct net_store *s, struct plug_error *err);
/* The record itself, by reference. */
int net_store_read(struct net_store *s, enum net_kind kind, const char *ref, struct json_object **ret,
		   struct plug_error *err);
/* o: the record, NULL where printing it failed; what->name is copied. */
int net_store_write(struct net_store *s, enum net_kind kind, const struct net_entry *what,
		    struct json_object *o, enum net_put how, struct plug_error *err);
void net_store_leases_drop(struct net_store *s, const char *network);

#endif
