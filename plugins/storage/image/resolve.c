/* SPDX-License-Identifier: MIT */
/* What people call an image. */
#include "image/internal.h"
#include "image/name.h"
#include "image/oci.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* The configuration's digest of a manifest in the store: the image's id. */
static int id_of(struct st_store *s, const char *digest, char ret[ST_DIGEST_SIZE],
		 struct plug_error *err)
{
	_cleanup_free_ char *text = NULL;
	struct st_manifest m;
	size_t size;
	int r = st_store_read_blob(s, digest, &text, &size, err);

	if (r == 0)
		r = st_manifest_parse(text, size, digest, &m, err);
	if (r == 0) {
		(void)strcpy(ret, m.config.digest);
		st_manifest_finish(&m);
	}
	return r;
}

struct search {
	const char *digits; /* "sha256:" taken off */
	size_t len;
	char found[ST_DIGEST_SIZE], id[ST_DIGEST_SIZE]; /* manifest, configuration */
	bool several;
};

/* One that cannot be read is none; whoever needs that very one is told. */
static int search_one(struct st_store *s, struct search *x, const char *digest)
{
	char id[ST_DIGEST_SIZE];
	int r = id_of(s, digest, id, NULL);

	if (r < 0)
		return r == -ENOMEM ? r : 0;
	if (strncmp(st_hex(id), x->digits, x->len) != 0 &&
	    strncmp(st_hex(digest), x->digits, x->len) != 0)
		return 0;
	if (*x->found && strcmp(x->id, id) != 0)
		x->several = true;
	if (!*x->found) {
		(void)strcpy(x->found, digest);
		(void)strcpy(x->id, id);
	}
	return 0;
}

static bool is_digits(const char *text)
{
	size_t len = strlen(text);

	return len > 0 && len <= 64 && strspn(text, "0123456789abcdef") == len;
}

static int find_by_digits(struct st_store *s, const char *reference, struct st_name *names,
			  size_t count, struct search *x, struct plug_error *err)
{
	struct st_ref *refs;
	size_t ref_count;
	int r;

	x->digits = strncmp(reference, "sha256:", 7) ? reference : st_hex(reference);
	x->len = strlen(x->digits);
	if (!is_digits(x->digits))
		return -ENOENT;
	r = st_store_refs(s, &refs, &ref_count, err);
	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < count; i++)
		r = search_one(s, x, names[i].digest);
	for (size_t i = 0; r == 0 && i < ref_count; i++)
		if (*refs[i].digest)
			r = search_one(s, x, refs[i].digest);
	st_refs_free(refs, ref_count);
	if (r < 0)
		return plug_error_errno(err, r, "image %s", reference);
	if (x->several)
		return plug_error_set(err, -EEXIST, "image %s: more than one has an id that begins so",
				      reference);
	return *x->found ? 0 : -ENOENT;
}

/* repository + tag or digest, as it is written there. */
static const struct st_name *find_name(struct st_store *s, const struct st_name *names, size_t count,
				       const char *repository, const struct st_reference *ref)
{
	size_t len = strlen(repository);
	char id[ST_DIGEST_SIZE];

	for (size_t i = 0; i < count; i++) {
		const char *name = names[i].name;

		if (!name || strncmp(name, repository, len) != 0 || name[len] != ':')
			continue;
		if (ref->tag && strcmp(name + len + 1, ref->tag) != 0)
			continue;
		if (!*ref->digest || !strcmp(ref->digest, names[i].digest) ||
		    (id_of(s, names[i].digest, id, NULL) == 0 && !strcmp(ref->digest, id)))
			return &names[i];
	}
	return NULL;
}

static int find_by_name(struct st_store *s, const char *reference, const struct st_name *names,
			size_t count, const struct st_name **ret, struct plug_error *err)
{
	struct st_reference ref;
	int r = st_reference_parse(reference, &ref, err);

	if (r < 0)
		return r;
	*ret = find_name(s, names, count, ref.repository, &ref);
	/* podman's own images: "localhost/NAME" is what people call NAME. */
	if (!*ret && !ref.qualified) {
		_cleanup_free_ char *local = NULL;
		const char *rest = st_name_familiar(ref.repository);

		if (asprintf(&local, "localhost/%s", rest) >= 0) {
			*ret = find_name(s, names, count, local, &ref);
		} else {
			local = NULL;
			r = plug_error_errno(err, -ENOMEM, "image %s", reference);
		}
	}
	st_reference_finish(&ref);
	return r < 0 ? r : *ret ? 0 : -ENOENT;
}

int st_store_resolve(struct st_store *s, const char *reference, struct st_image **ret,
		     struct plug_error *err)
{
	const struct st_name *named = NULL;
	struct st_image *image = NULL;
	struct search x = { 0 };
	struct st_mark mark;
	struct st_name *names;
	size_t count;
	int r;

	st_store_mark(s, &mark);
	r = st_store_names(s, &names, &count, err);
	if (r < 0)
		return r;
	r = strncmp(reference, "sha256:", 7)
		    ? find_by_name(s, reference, names, count, &named, err)
		    : -ENOENT;
	if (r == -ENOENT || (r == -EINVAL && is_digits(reference)))
		r = find_by_digits(s, reference, names, count, &x, err);
	if (r == -ENOENT)
		(void)plug_error_set(err, r, "image %s: not in the store", reference);
	if (r == 0)
		r = st_image_open(s, named ? named->digest : x.found, &image, err);
	if (r == 0 && named) {
		image->name = strdup(named->name);
		if (!image->name)
			r = plug_error_errno(err, -ENOMEM, "image %s", reference);
	}
	if (r == 0)
		image->mark = mark;
	st_names_free(names, count);
	if (r < 0)
		st_image_free(image);
	else
		*ret = image;
	return r;
}
