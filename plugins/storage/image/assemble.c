/* SPDX-License-Identifier: MIT */
/* From a manifest and what came to an image: everything is compared with what was promised. */
#include "image/load_internal.h"
#include "image/name.h"
#include "image/sha.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct item {
	struct load_part *part;
	struct load_job *job; /* NULL: the layer is there already */
	char chain[ST_DIGEST_SIZE], parent[ST_DIGEST_SIZE];
};

struct assembly {
	struct st_config config;
	struct load_part *config_part;
	struct item items[ST_LAYERS_MAX];
};

/* The directory of a layer that this load has made, relative to the work; NULL: none. */
static const char *made_layer(const struct load *l, const char *chain)
{
	for (size_t i = 0; i < l->work->pending_count; i++)
		if (l->work->pending[i].kind == ST_PENDING_LAYER &&
		    !strcmp(l->work->pending[i].digest, chain))
			return l->work->pending[i].name;
	return NULL;
}

static int job_for(struct load *l, struct load_part *part, struct load_job **ret)
{
	int r;

	for (size_t i = 0; i < part->job_count; i++)
		if (!part->jobs[i]->claimed) {
			part->jobs[i]->claimed = true;
			*ret = part->jobs[i];
			return 0;
		}
	/* The same blob twice in an image, or one that was not taken for a layer. */
	r = load_job_queue(l, part);
	if (r < 0)
		return r;
	*ret = part->jobs[part->job_count - 1];
	(*ret)->claimed = true;
	return 0;
}

static int config_read(struct load *l, struct assembly *a, const struct st_descriptor *expected,
		       size_t layers, struct plug_error *err)
{
	_cleanup_free_ char *text = NULL;
	size_t size;
	int r = load_text(l, a->config_part, expected, &text, &size, err);

	if (r == 0)
		r = st_config_parse(text, size, a->config_part->path, &a->config, err);
	if (r == 0 && a->config.count != layers)
		r = plug_error_set(err, -EBADMSG, "%s: %s: %zu layers, but %zu diff ids",
				   l->options->what, a->config_part->path, layers, a->config.count);
	return r;
}

/* Which layers have to be made, and by which unpacking. */
static int items_queue(struct load *l, struct assembly *a, struct plug_error *err)
{
	const char *above = "";
	int r = 0;

	for (size_t i = 0; r == 0 && i < a->config.count; i++) {
		struct item *item = &a->items[i];

		(void)strcpy(item->parent, above);
		st_chain_id(above, a->config.diffs[i], item->chain);
		above = item->chain;
		if (made_layer(l, item->chain) || !st_work_use_layer(l->work, item->chain))
			continue;
		r = job_for(l, item->part, &item->job);
	}
	return r < 0 ? plug_error_errno(err, r, "%s", l->options->what) : 0;
}

static int lower_open(struct load *l, const char *chain, int *ret)
{
	const char *made = made_layer(l, chain);
	char path[ST_DIGEST_SIZE + 8];

	(void)snprintf(path, sizeof(path), "%s/fs", made ? made : st_hex(chain));
	*ret = openat(made ? l->work->fd : l->store->layers, path,
		      O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return *ret < 0 ? -errno : 0;
}

/* What a layer implies, and those below it describe. */
static int implied_settle(struct load *l, struct assembly *a, size_t at, struct plug_error *err)
{
	struct load_job *job = a->items[at].job;
	int lower[ST_LAYERS_MAX], fs, r;
	char path[64];
	size_t n = 0;

	if (!job->unpacked.implied_size || !at)
		return 0;
	(void)snprintf(path, sizeof(path), "%s/fs", job->dir);
	fs = openat(l->work->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	r = fs < 0 ? -errno : 0;
	for (size_t i = at; r == 0 && i > 0; i--) {
		r = lower_open(l, a->items[i - 1].chain, &lower[n]);
		n += r == 0;
		/* A packed one has no directory to look into. */
		if (r == -ENOENT || r == -ENOTDIR)
			r = 0;
	}
	if (r == 0)
		r = st_unpack_implied(fs, &job->unpacked, lower, n);
	for (size_t i = 0; i < n; i++)
		(void)close(lower[i]);
	plug_closep(&fs);
	return r < 0 ? plug_error_errno(err, r, "layer %s", a->items[at].chain) : 0;
}

static int item_add(struct load *l, struct assembly *a, size_t at, struct plug_error *err)
{
	struct item *item = &a->items[at];
	const char *diff = a->config.diffs[at];
	struct load_job *job = item->job;
	struct st_layer layer = { .kind = ST_LAYER_DIR };
	int r;

	/* It came before, and was made for another place: what it holds is compared nevertheless. */
	for (size_t i = 0; !job && i < item->part->job_count; i++)
		if (item->part->jobs[i]->done && !item->part->jobs[i]->code)
			job = item->part->jobs[i];
	if (job && job->code) {
		if (err)
			*err = job->error;
		return job->code;
	}
	if (job && strcmp(job->stream.plain, diff) != 0)
		return plug_error_set(err, -EBADMSG,
				      "%s: layer %s: its content has the digest %s, not %s",
				      l->options->what, item->part->path, job->stream.plain, diff);
	r = load_publish(l, item->part, err);
	if (r < 0 || !item->job)
		return r;
	r = implied_settle(l, a, at, err);
	if (r < 0)
		return r;
	(void)strcpy(layer.chain, item->chain);
	(void)strcpy(layer.diff, diff);
	(void)strcpy(layer.parent, item->parent);
	layer.size = job->unpacked.bytes;
	return st_work_add_layer(l->work, job->dir, &layer, err);
}

static int loaded_add(struct load *l, const char *name, const char *id)
{
	struct st_loaded *all = l->loaded;
	struct st_loaded_image *grown = reallocarray(all->images, all->count + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	all->images = grown;
	grown[all->count] = (struct st_loaded_image){ .name = name ? strdup(name) : NULL };
	if (name && !grown[all->count].name)
		return -ENOMEM;
	(void)strcpy(grown[all->count++].id, id);
	return 0;
}

/* All layers and the configuration; then the image by its names. */
static int assembly_finish(struct load *l, struct assembly *a, const char *manifest,
			   char *const *names, size_t count, struct plug_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < a->config.count; i++)
		r = item_add(l, a, i, err);
	if (r == 0)
		r = load_publish(l, a->config_part, err);
	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < (count ? count : 1); i++) {
		r = st_work_add_name(l->work, count ? names[i] : NULL, manifest);
		if (r == 0)
			r = loaded_add(l, count ? names[i] : NULL, a->config_part->digest);
	}
	return r < 0 ? plug_error_errno(err, r, "%s", l->options->what) : 0;
}

/* A layer as its descriptor promises it. */
static int item_check(struct load *l, struct load_part *part, const struct st_descriptor *d,
		      struct plug_error *err)
{
	int r;

	if (part->size != d->size)
		return plug_error_set(err, -EBADMSG,
				      "%s: blob %s: has %llu bytes, its descriptor says %llu",
				      l->options->what, d->digest, (unsigned long long)part->size,
				      (unsigned long long)d->size);
	r = load_digest(l, part, err);
	if (r == 0 && strcmp(part->digest, d->digest) != 0)
		r = plug_error_set(err, -EBADMSG, "%s: blob %s: its content has the digest %s",
				   l->options->what, d->digest, part->digest);
	return r;
}

static int manifest_assemble(struct load *l, const struct st_manifest *m, struct assembly *a,
			     struct plug_error *err)
{
	int r = load_find_blob(l, m->config.digest, &a->config_part, err);

	if (r == 0)
		r = config_read(l, a, &m->config, m->count, err);
	for (size_t i = 0; r == 0 && i < m->count; i++) {
		if (strstr(m->items[i].media, "+encrypted"))
			return plug_error_set(err, -EOPNOTSUPP, "%s: layer %s: it is encrypted",
					      l->options->what, m->items[i].digest);
		r = load_find_blob(l, m->items[i].digest, &a->items[i].part, err);
	}
	if (r == 0)
		r = items_queue(l, a, err);
	if (r < 0)
		return r;
	r = load_jobs_wait(l);
	if (r < 0)
		return plug_error_set(err, r, "%s: cancelled", l->options->what);
	for (size_t i = 0; r == 0 && i < m->count; i++)
		r = item_check(l, a->items[i].part, &m->items[i], err);
	return r;
}

int load_manifest(struct load *l, const struct st_descriptor *d, char *const *names, size_t count,
		  struct plug_error *err)
{
	struct assembly *a = calloc(1, sizeof(*a));
	_cleanup_free_ char *text = NULL;
	struct st_manifest m = { 0 };
	struct load_part *part;
	size_t size;
	int r = a ? load_find_blob(l, d->digest, &part, err)
		  : plug_error_errno(err, -ENOMEM, "%s", l->options->what);

	if (r == 0)
		r = load_text(l, part, d, &text, &size, err);
	if (r == 0)
		r = st_manifest_parse(text, size, d->digest, &m, err);
	if (r == 0 && m.kind != ST_DOCUMENT_MANIFEST)
		r = plug_error_set(err, -EBADMSG, "%s: an index where a manifest is expected",
				   d->digest);
	if (r == 0)
		r = manifest_assemble(l, &m, a, err);
	if (r == 0)
		r = load_publish(l, part, err);
	if (r == 0)
		r = assembly_finish(l, a, d->digest, names, count, err);
	st_manifest_finish(&m);
	if (a)
		st_config_finish(&a->config);
	free(a);
	return r;
}

/* docker's own format says nothing about compression: the bytes do. */
static int media_of(struct load *l, const struct load_part *part, const char **ret)
{
	_cleanup_close_ int fd = load_open(l, part);
	unsigned char start[4] = { 0 };

	if (fd < 0)
		return fd;
	if (read(fd, start, sizeof(start)) < 0)
		return -errno;
	*ret = start[0] == 0x1f && start[1] == 0x8b ? ST_MEDIA_LAYER "+gzip"
	       : start[0] == 0x28 && start[1] == 0xb5 ? ST_MEDIA_LAYER "+zstd"
						      : ST_MEDIA_LAYER;
	return 0;
}

/* A manifest for what came without one. */
static int manifest_write(struct load *l, struct assembly *a, char digest[ST_DIGEST_SIZE],
			  struct plug_error *err)
{
	struct st_descriptor *layers = calloc(a->config.count + 1, sizeof(*layers)), config = { 0 };
	_cleanup_free_ char *text = NULL;
	const char *media;
	char name[24];
	int r = layers ? 0 : -ENOMEM;

	(void)strcpy(config.digest, a->config_part->digest);
	config.size = a->config_part->size;
	for (size_t i = 0; r == 0 && i < a->config.count; i++) {
		r = load_digest(l, a->items[i].part, err);
		if (r == 0)
			r = media_of(l, a->items[i].part, &media);
		if (r < 0)
			break;
		layers[i].media = (char *)(uintptr_t)media;
		layers[i].size = a->items[i].part->size;
		(void)strcpy(layers[i].digest, a->items[i].part->digest);
	}
	if (r == 0)
		text = st_manifest_make(&config, layers, a->config.count);
	free(layers);
	if (!text)
		return plug_error_errno(err, r ? r : -ENOMEM, "%s", l->options->what);
	st_sha256_text(text, strlen(text), digest);
	st_work_name(l->work, "part", name, sizeof(name));
	r = st_file_write(l->work->fd, name, text, err);
	return r ?: st_work_add_blob(l->work, name, digest);
}

/* The names of a docker archive are whole, but for the registry. */
static int docker_names(const struct st_docker_image *image, char **names, size_t *ret_count,
			struct plug_error *err)
{
	struct st_reference ref;
	int r = 0;

	for (size_t i = 0; r == 0 && i < image->tag_count; i++) {
		r = st_reference_parse(image->tags[i], &ref, err);
		if (r < 0)
			break;
		names[*ret_count] = st_reference_name(&ref);
		st_reference_finish(&ref);
		if (!names[*ret_count])
			return plug_error_errno(err, -ENOMEM, "manifest.json");
		++*ret_count;
	}
	return r;
}

int load_docker(struct load *l, const struct st_docker_image *image, struct plug_error *err)
{
	struct assembly *a = calloc(1, sizeof(*a));
	char **names = calloc(image->tag_count + 1, sizeof(char *)), digest[ST_DIGEST_SIZE];
	size_t count = 0;
	int r = a && names ? load_find(l, image->config, &a->config_part, err)
			   : plug_error_errno(err, -ENOMEM, "%s", l->options->what);

	if (r == 0)
		r = config_read(l, a, NULL, image->layer_count, err);
	for (size_t i = 0; r == 0 && i < image->layer_count; i++)
		r = load_find(l, image->layers[i], &a->items[i].part, err);
	if (r == 0)
		r = items_queue(l, a, err);
	if (r == 0 && load_jobs_wait(l) < 0)
		r = plug_error_set(err, -ECANCELED, "%s: cancelled", l->options->what);
	if (r == 0)
		r = docker_names(image, names, &count, err);
	if (r == 0)
		r = manifest_write(l, a, digest, err);
	if (r == 0)
		r = assembly_finish(l, a, digest, names, count, err);
	for (size_t i = 0; names && i < count; i++)
		free(names[i]);
	free(names);
	if (a)
		st_config_finish(&a->config);
	free(a);
	return r;
}
