/* SPDX-License-Identifier: MIT */
/* What the files of load share. */
#ifndef ST_IMAGE_LOAD_INTERNAL_H
#define ST_IMAGE_LOAD_INTERNAL_H

#include "archive/unpack.h"
#include "image/internal.h"
#include "image/load.h"

#define LOAD_PARTS_MAX 32768
#define LOAD_WORKERS 2
#define LOAD_LINKS_MAX 8

/* One unpacking of a part, into a layer's directory of the work. */
struct load_job {
	struct load_part *part;
	struct load_job *next; /* queued */
	char dir[32];          /* the layer's directory */
	bool done, claimed;
	int code; /* and why in error */
	struct plug_error error;
	struct st_stream_result stream;
	struct st_unpack_result unpacked;
};

/* One file of the archive, kept in the work's directory or known to the store. */
struct load_part {
	char *path;
	char *link;      /* it is a link to another one's path */
	char file[24];   /* in the work's directory */
	uint64_t size;   /* as announced */
	uint64_t have;   /* written so far */
	bool complete;
	bool published;  /* added to the work already */
	bool stored;     /* in the store: digest says where */
	char digest[ST_DIGEST_SIZE]; /* "" until somebody asks */
	struct load_job **jobs;
	size_t job_count;
};

struct load {
	struct st_store *store;
	struct st_work *work;
	const struct st_load_options *options;
	struct st_loaded *loaded;
	int dir; /* of an OCI layout; -1: a stream */
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	struct load_part **parts;
	size_t part_count;
	struct load_job *first, *last; /* waiting for a worker */
	size_t unfinished;
	atomic_bool stop; /* nobody wants the rest */
	pthread_t workers[LOAD_WORKERS];
	size_t worker_count;
};

/* parts.c */

/* A path of the archive, links followed; from a directory it is taken now.  -ENOENT. */
int load_find(struct load *l, const char *path, struct load_part **ret, struct plug_error *err);
/* The part that a blob is. */
int load_find_blob(struct load *l, const char *digest, struct load_part **ret,
		     struct plug_error *err);
/* The whole stream. */
int load_stream(struct load *l, st_read_cb read, void *arg, struct plug_error *err);
int load_open(struct load *l, const struct load_part *part);
/* Its bytes' digest, from its unpacking or read again. */
int load_digest(struct load *l, struct load_part *part, struct plug_error *err);
/* A document: all of it, NUL-terminated; digest and size as expected where these are given. */
int load_text(struct load *l, struct load_part *part, const struct st_descriptor *expected,
	      char **ret, size_t *ret_size, struct plug_error *err);
/* To be published by commit under its digest. */
int load_publish(struct load *l, struct load_part *part, struct plug_error *err);
void load_parts_free(struct load *l);
bool load_cancelled(const struct load *l);

/* jobs.c */

int load_job_queue(struct load *l, struct load_part *part);
/* Until none is queued or under way. */
int load_jobs_wait(struct load *l);
int load_workers_start(struct load *l);
void load_workers_stop(struct load *l);
/* Does the beginning of a file look like a layer: gzip, zstd or tar? */
bool load_looks_like_layer(const void *data, size_t size);

/* assemble.c */

/* The image that one manifest describes; names: whole ones, none is fine. */
int load_manifest(struct load *l, const struct st_descriptor *d, char *const *names, size_t count,
		  struct plug_error *err);
int load_docker(struct load *l, const struct st_docker_image *image, struct plug_error *err);

/* pick.c */

int load_layout(struct load *l, struct load_part *index, struct plug_error *err);

#endif
