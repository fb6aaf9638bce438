/* SPDX-License-Identifier: MIT */
/* A store in a directory of a test's own. */
#ifndef NET_TESTS_BOX_H
#define NET_TESTS_BOX_H

#include "model/make.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <ftw.h>

struct box {
	char dir[64], state[80], run[80];
	struct net_store *store;
};

static inline int box_unlink(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline int box_open(void **state)
{
	struct box *b = calloc(1, sizeof(*b));
	struct plug_error err = { 0 };

	/* In memory, as /run is: thousands of files do not wait for a disk that others use, too. */
	(void)snprintf(b->dir, sizeof(b->dir), "%s/cow-net-XXXXXX",
		       access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (!mkdtemp(b->dir))
		return -1;
	(void)snprintf(b->state, sizeof(b->state), "%s/state", b->dir);
	(void)snprintf(b->run, sizeof(b->run), "%s/run", b->dir);
	if (net_store_open(b->state, b->run, &b->store, &err) < 0) {
		(void)fprintf(stderr, "%s\n", err.text);
		return -1;
	}
	*state = b;
	return 0;
}

static inline int box_close(void **state)
{
	struct box *b = *state;

	net_store_close(b->store);
	(void)nftw(b->dir, box_unlink, 16, FTW_DEPTH | FTW_PHYS);
	free(b);
	return 0;
}

static inline struct net_network *box_network(const char *name, const char *prefix)
{
	struct net_network *n = calloc(1, sizeof(*n));

	n->name = strdup(name);
	n->type = NET_NAT;
	if (prefix) {
		n->subnets = calloc(1, sizeof(*n->subnets));
		n->subnet_count = 1;
		if (net_addr_parse_prefix(prefix, &n->subnets[0].prefix) < 0)
			abort();
	}
	return n;
}

/* Made, and in the store. */
static inline struct net_network *box_network_make(struct box *b, const char *name, const char *prefix)
{
	struct net_network *n = box_network(name, prefix);
	struct plug_error err = { 0 };

	if (net_network_make(b->store, n, NULL, 0, &err) < 0) {
		(void)fprintf(stderr, "%s\n", err.text);
		abort();
	}
	return n;
}

static inline const char *box_text(const struct net_addr *a)
{
	static char text[4][NET_ADDR_TEXT];
	static unsigned next;

	net_addr_format(a, text[next % 4]);
	return text[next++ % 4];
}

#endif
