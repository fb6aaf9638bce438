/* SPDX-License-Identifier: MIT */
#include "image/export.h"
#include "archive/tar.h"
#include "image/internal.h"
#include "image/name.h"
#include "image/oci.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define CHUNK (256 << 10)
#define BLOBS "blobs/sha256"

struct export {
	struct st_store *store;
	const struct st_export_options *options;
	struct st_work *work; /* keeps what is being written */
	struct st_tar_writer *tar;
	struct st_set written;
	int file; /* of the directory, the current one */
	char *buffer;
	struct plug_error *err;
};

static int entry_begin(struct export *x, const char *path, char type, uint64_t size)
{
	struct st_entry e = { .path = (char *)(uintptr_t)path,
			      .link = (char *)(uintptr_t)"",
			      .type = type,
			      .mode = type == ST_TAR_DIRECTORY ? 0755 : 0644,
			      .size = size,
			      .stored = size,
			      .uname = (char *)(uintptr_t)"",
			      .gname = (char *)(uintptr_t)"" };
	int r = 0;

	if (x->tar) {
		r = st_tar_put(x->tar, &e);
	} else if (type == ST_TAR_DIRECTORY) {
		r = mkdirat(x->options->dirfd, path, 0755) < 0 && errno != EEXIST ? -errno : 0;
	} else {
		x->file = openat(x->options->dirfd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		r = x->file < 0 ? -errno : 0;
	}
	return r < 0 ? plug_error_errno(x->err, r, "%s", path) : 0;
}

static int entry_data(struct export *x, const char *data, size_t size)
{
	if (x->tar)
		return st_tar_put_data(x->tar, data, size);
	return plug_write_all(x->file, data, size);
}

static int entry_end(struct export *x)
{
	int r = 0;

	if (x->file >= 0 && close(x->file) < 0)
		r = -errno;
	x->file = -1;
	return r;
}

static int text_put(struct export *x, const char *path, const char *text, size_t size)
{
	int r = entry_begin(x, path, ST_TAR_FILE, size);

	if (r < 0)
		return r;
	r = entry_data(x, text, size) ?: entry_end(x);
	return r < 0 ? plug_error_errno(x->err, r, "%s", path) : 0;
}

static int blob_copy(struct export *x, int fd, const char *digest, uint64_t size)
{
	char is[ST_DIGEST_MAX];
	struct st_hash *hash;
	ssize_t n;
	int r = st_hash_create(&hash);

	if (r < 0)
		return r;
	while (r == 0 && (n = read(fd, x->buffer, CHUNK)) != 0) {
		if (n < 0) {
			r = -errno;
			break;
		}
		size -= (uint64_t)n;
		st_hash_add(hash, x->buffer, (size_t)n);
		r = entry_data(x, x->buffer, (size_t)n);
	}
	if (r == 0)
		st_hash_end(hash, is);
	st_hash_destroy(hash);
	if (r == 0 && (size || strcmp(is, digest) != 0))
		r = plug_error_set(x->err, -EUCLEAN,
				   "blob %s: damaged: its content has the digest %s", digest, is);
	return r;
}

static int blob_put(struct export *x, const char *digest)
{
	char path[sizeof(BLOBS) + 1 + 64];
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r;

	if (st_set_has(&x->written, st_hex(digest)))
		return 0;
	(void)snprintf(path, sizeof(path), BLOBS "/%s", st_hex(digest));
	r = st_work_use_blob(x->work, digest);
	if (r == 0)
		r = st_store_open_blob(x->store, digest, &fd, x->err);
	else
		(void)plug_error_errno(x->err, r, "blob %s", digest);
	if (r == 0 && fstat(fd, &st) < 0)
		r = plug_error_errno(x->err, -errno, "blob %s", digest);
	if (r == 0)
		r = entry_begin(x, path, ST_TAR_FILE, (uint64_t)st.st_size);
	if (r < 0)
		return r;
	r = blob_copy(x, fd, digest, (uint64_t)st.st_size);
	if (r == 0)
		r = entry_end(x);
	if (r == 0)
		r = st_set_add(&x->written, digest);
	return r < 0 && !x->err->code ? plug_error_errno(x->err, r, "blob %s", digest) : r;
}

static int image_put(struct export *x, const struct st_image *image, struct st_manifest *m,
		     uint64_t *ret_size)
{
	_cleanup_free_ char *text = NULL;
	size_t size;
	int r = st_store_read_blob(x->store, image->digest, &text, &size, x->err);

	if (r == 0)
		r = st_manifest_parse(text, size, image->digest, m, x->err);
	if (r < 0)
		return r;
	*ret_size = size;
	r = blob_put(x, image->digest);
	if (r == 0)
		r = blob_put(x, m->config.digest);
	for (size_t i = 0; r == 0 && i < m->count; i++)
		r = blob_put(x, m->items[i].digest);
	return r;
}

/* A line of index.json.  Names hold nothing that JSON would have to escape. */
static void index_add(FILE *out, bool first, const struct st_image *image, uint64_t size)
{
	(void)fprintf(out, "%s{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%llu", first ? "" : ",",
		      ST_MEDIA_MANIFEST, image->digest, (unsigned long long)size);
	if (image->name)
		(void)fprintf(out,
			      ",\"annotations\":{\"io.containerd.image.name\":\"%s\","
			      "\"org.opencontainers.image.ref.name\":\"%s\"}",
			      image->name, image->name);
	(void)fputc('}', out);
}

static void docker_add(FILE *out, bool first, const struct st_image *image,
		       const struct st_manifest *m)
{
	(void)fprintf(out, "%s{\"Config\":\"" BLOBS "/%s\",\"RepoTags\":[", first ? "" : ",",
		      st_hex(m->config.digest));
	if (image->name)
		(void)fprintf(out, "\"%s\"", st_name_familiar(image->name));
	(void)fputs("],\"Layers\":[", out);
	for (size_t i = 0; i < m->count; i++)
		(void)fprintf(out, "%s\"" BLOBS "/%s\"", i ? "," : "", st_hex(m->items[i].digest));
	(void)fputs("]}", out);
}

/* The documents that say what is in the archive: they are small, and known only at the end. */
struct documents {
	char *index, *docker;
	size_t index_size, docker_size;
	FILE *i_out, *d_out;
};

static int documents_begin(struct documents *d)
{
	d->i_out = open_memstream(&d->index, &d->index_size);
	d->d_out = open_memstream(&d->docker, &d->docker_size);
	if (!d->i_out || !d->d_out)
		return -ENOMEM;
	(void)fprintf(d->i_out, "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"manifests\":[",
		      ST_MEDIA_INDEX);
	(void)fputc('[', d->d_out);
	return 0;
}

static int documents_end(struct documents *d)
{
	int r = 0;

	if (d->i_out && (fputs("]}", d->i_out) < 0 || fclose(d->i_out)))
		r = -ENOMEM;
	if (d->d_out && (fputs("]\n", d->d_out) < 0 || fclose(d->d_out)))
		r = -ENOMEM;
	return r;
}

static int images_put(struct export *x, struct st_image *const *images, size_t count)
{
	struct documents d = { 0 };
	int r = documents_begin(&d), e;

	for (size_t i = 0; r == 0 && i < count; i++) {
		struct st_manifest m = { 0 };
		uint64_t size;

		r = image_put(x, images[i], &m, &size);
		if (r == 0) {
			index_add(d.i_out, i == 0, images[i], size);
			docker_add(d.d_out, i == 0, images[i], &m);
		}
		st_manifest_finish(&m);
	}
	e = documents_end(&d);
	r = r ?: e;
	if (r == 0)
		r = text_put(x, "index.json", d.index, d.index_size);
	if (r == 0 && x->options->docker)
		r = text_put(x, "manifest.json", d.docker, d.docker_size);
	free(d.index);
	free(d.docker);
	return r;
}

static int layout_put(struct export *x, struct st_image *const *images, size_t count)
{
	static const char layout[] = "{\"imageLayoutVersion\":\"1.0.0\"}";
	int r = text_put(x, "oci-layout", layout, sizeof(layout) - 1);

	if (r == 0)
		r = entry_begin(x, "blobs", ST_TAR_DIRECTORY, 0);
	if (r == 0)
		r = entry_begin(x, BLOBS, ST_TAR_DIRECTORY, 0);
	if (r == 0)
		r = images_put(x, images, count);
	if (r == 0 && x->tar)
		r = st_tar_finish(x->tar);
	return r;
}

int st_export(struct st_store *store, const struct st_export_options *options,
	      struct st_image *const *images, size_t count, struct plug_error *err)
{
	struct export x = { .store = store, .options = options, .file = -1, .err = err };
	int r;

	*err = (struct plug_error){ 0 };
	x.buffer = malloc(CHUNK);
	r = x.buffer ? st_work_begin(store, &x.work, err) : -ENOMEM;
	if (r == 0 && options->write)
		r = st_tar_writer_open(options->write, options->arg, &x.tar);
	if (r == 0)
		r = layout_put(&x, images, count);
	if (r < 0 && !err->code)
		(void)plug_error_errno(err, r, "export");
	plug_closep(&x.file);
	st_tar_writer_close(x.tar);
	st_work_end(x.work);
	st_set_finish(&x.written);
	free(x.buffer);
	return r;
}
