/* SPDX-License-Identifier: MIT */
/* names/: one small file each, written whole. */
#include "image/internal.h"
#include "common/json.h"
#include "image/name.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define FILE_MAX (64 << 10)

int st_name_write(struct st_store *s, const char *name, const char *digest, struct plug_error *err)
{
	char file[256], text[1400], nameless[256];
	bool there;

	st_name_escape(digest, nameless);
	st_name_escape(name ? name : digest, file);
	/* Names hold no characters that JSON would have to escape: st_reference_parse(). */
	if (name)
		(void)snprintf(text, sizeof(text), "{\"name\":\"%s\",\"digest\":\"%s\"}\n", name,
			       digest);
	else
		(void)snprintf(text, sizeof(text), "{\"digest\":\"%s\"}\n", digest);
	there = !faccessat(s->names, nameless, F_OK, AT_SYMLINK_NOFOLLOW);
	if (!name) {
		struct st_name *names;
		size_t count;
		int r = st_store_names(s, &names, &count, err);

		for (size_t i = 0; r == 0 && i < count; i++)
			there = there || !strcmp(names[i].digest, digest);
		if (r < 0)
			return r;
		st_names_free(names, count);
		/* It has a name: nothing is gained by a lack of one. */
		return there ? 0 : st_file_write(s->names, file, text, err);
	}
	if (st_file_write(s->names, file, text, err) < 0)
		return err ? err->code : -EIO;
	if (there && unlinkat(s->names, nameless, 0) < 0 && errno != ENOENT)
		return plug_error_errno(err, -errno, "%s/names/%s", s->dir, nameless);
	return 0;
}

static int name_read(struct st_store *s, const char *file, struct st_name *ret,
		     struct plug_error *err)
{
	_cleanup_json_ struct json_object *o = NULL;
	_cleanup_free_ char *text = NULL;
	const char *name, *digest;
	size_t size;
	int r = st_file_read(s->names, file, FILE_MAX, &text, &size);

	if (r < 0)
		return plug_error_errno(err, r, "%s/names/%s", s->dir, file);
	r = plug_json_parse(text, size, file, &o, err);
	if (r < 0)
		return r;
	name = plug_json_string(o, "name");
	digest = plug_json_string(o, "digest");
	if (!digest || !st_digest_valid(digest))
		return plug_error_set(err, -EUCLEAN, "%s/names/%s: damaged", s->dir, file);
	*ret = (struct st_name){ .name = name ? strdup(name) : NULL };
	if (name && !ret->name)
		return plug_error_errno(err, -ENOMEM, "%s", file);
	(void)strcpy(ret->digest, digest);
	return 0;
}

static int name_compare(const void *a, const void *b)
{
	const struct st_name *x = a, *y = b;

	if (!x->name || !y->name)
		return !x->name && !y->name ? strcmp(x->digest, y->digest) : !x->name - !y->name;
	return strcmp(x->name, y->name);
}

/* A directory that is read from its beginning, whoever else reads it. */
static DIR *directory_open(int fd)
{
	int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = own < 0 ? NULL : fdopendir(own);

	if (!d)
		plug_closep(&own);
	return d;
}

int st_store_names(struct st_store *s, struct st_name **ret, size_t *ret_count,
		   struct plug_error *err)
{
	_cleanup_closedir_ DIR *d = directory_open(s->names);
	struct st_name *names = NULL, *grown;
	struct plug_error why = { 0 };
	size_t count = 0;
	struct dirent *e;
	int r = d ? 0 : plug_error_errno(err, -errno, "%s/names", s->dir);

	while (r == 0 && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		grown = reallocarray(names, count + 1, sizeof(*names));
		r = grown ? 0 : plug_error_errno(&why, -ENOMEM, "%s/names", s->dir);
		names = grown ? grown : names;
		if (r == 0)
			r = name_read(s, e->d_name, &names[count], &why);
		if (r == 0)
			count++;
		else if (r == -ENOENT)
			r = 0; /* removed while we looked */
		else if (err)
			*err = why;
	}
	if (r < 0) {
		st_names_free(names, count);
		return r;
	}
	if (count)
		qsort(names, count, sizeof(*names), name_compare);
	*ret = names;
	*ret_count = count;
	return 0;
}

void st_names_free(struct st_name *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(names[i].name);
	free(names);
}

int st_store_untag(struct st_store *s, const char *name, struct plug_error *err)
{
	_cleanup_close_ int lock = -1;
	char file[256];
	int r = st_lock(s, LOCK_EX, &lock, err);

	if (r < 0)
		return r;
	st_name_escape(name, file);
	if (unlinkat(s->names, file, 0) < 0)
		return errno == ENOENT ? plug_error_set(err, -ENOENT, "image %s: not in the store",
							st_name_familiar(name))
				       : plug_error_errno(err, -errno, "%s/names/%s", s->dir, file);
	/* Gone for good before anything goes that it kept. */
	if (fsync(s->names) < 0)
		return plug_error_errno(err, -errno, "%s/names", s->dir);
	return 0;
}

int st_store_tag(struct st_store *s, const char *name, const char *digest, struct plug_error *err)
{
	struct st_image *image;
	_cleanup_close_ int lock = -1;
	int r = st_lock(s, LOCK_EX, &lock, err);

	/* Under the lock: all of it is there, and stays. */
	if (r == 0)
		r = st_image_open(s, digest, &image, err);
	if (r < 0)
		return r;
	st_image_free(image);
	return st_name_write(s, name, digest, err);
}

/* refs/ */

static int ref_fill(struct json_object *o, const char *owner, const char *digest,
		    const struct st_set *chains)
{
	struct json_object *list = json_object_new_array();
	char id[ST_DIGEST_SIZE];
	int r = st_json_put_string(o, "owner", owner) ?: st_json_put_string(o, "image", digest);

	for (size_t i = 0; r == 0 && i < chains->count; i++) {
		(void)snprintf(id, sizeof(id), "sha256:%s", chains->items[i]);
		r = st_json_append(list, json_object_new_string(id));
	}
	return st_json_put(o, "chains", list) ?: r;
}

static int ref_write(struct st_store *s, const char *owner, const char *digest,
		     const struct st_set *chains, struct plug_error *err)
{
	_cleanup_json_ struct json_object *o = json_object_new_object();
	const char *text = NULL;
	char file[256];

	if (ref_fill(o, owner, digest, chains) == 0)
		text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN);
	if (!text)
		return plug_error_errno(err, -ENOMEM, "refs/%s", owner);
	st_name_escape(owner, file);
	return st_file_write(s->refs, file, text, err);
}

int st_image_check(struct st_store *s, const struct st_image *image, struct plug_error *err)
{
	struct st_set blobs = { 0 }, chains = { 0 };
	int r = st_image_reach(s, image->digest, &blobs, &chains, err);

	if (r == 0 && image->layer_count) /* the topmost one, and all below it */
		r = st_layer_reach(s, image->layers[image->layer_count - 1].chain, &chains, err);
	st_set_finish(&blobs);
	st_set_finish(&chains);
	return r;
}

int st_store_ref(struct st_store *s, const char *owner, const struct st_image *image,
		 struct plug_error *err)
{
	struct st_set none = { 0 }; /* the image says its layers */
	_cleanup_close_ int lock = -1;
	char use[257] = "@";
	int r = st_lock(s, LOCK_EX, &lock, err);

	/* Under the lock: what is there now stays. */
	if (r == 0)
		r = st_image_check(s, image, err);
	if (r == 0)
		r = ref_write(s, owner, image->digest, &none, err);
	st_name_escape(owner, use + 1);
	if (r == 0)
		(void)unlinkat(s->refs, use, 0);
	return r;
}

int st_store_ref_layers(struct st_store *s, const char *owner, const char *const *ids, size_t count,
			struct plug_error *err)
{
	struct st_set chains = { 0 };
	_cleanup_close_ int lock = -1;
	int r = st_lock(s, LOCK_EX, &lock, err);

	for (size_t i = 0; r == 0 && i < count; i++)
		r = st_layer_reach(s, ids[i], &chains, err);
	if (r == 0)
		r = ref_write(s, owner, "", &chains, err);
	st_set_finish(&chains);
	return r;
}

int st_store_unref(struct st_store *s, const char *owner, struct plug_error *err)
{
	_cleanup_close_ int lock = -1;
	char file[257] = "@";
	int r = st_lock(s, LOCK_EX, &lock, err);

	if (r < 0)
		return r;
	st_name_escape(owner, file + 1);
	if ((unlinkat(s->refs, file, 0) < 0 && errno != ENOENT) ||
	    (unlinkat(s->refs, file + 1, 0) < 0 && errno != ENOENT))
		return plug_error_errno(err, -errno, "%s/refs/%s", s->dir, file + 1);
	return 0;
}

static int ref_read(struct st_store *s, const char *file, struct st_ref *ret, struct plug_error *err)
{
	_cleanup_json_ struct json_object *o = NULL;
	_cleanup_free_ char *text = NULL;
	struct json_object *chains;
	const char *owner, *digest;
	size_t size, n;
	int r = st_file_read(s->refs, file, FILE_MAX, &text, &size);

	if (r < 0)
		return plug_error_errno(err, r, "%s/refs/%s", s->dir, file);
	r = plug_json_parse(text, size, file, &o, err);
	if (r < 0)
		return r;
	owner = plug_json_string(o, "owner");
	digest = plug_json_string(o, "image");
	chains = plug_json_get(o, "chains");
	n = plug_json_length(chains);
	if (!owner || !digest || (*digest && !st_digest_valid(digest)))
		return plug_error_set(err, -EUCLEAN, "%s/refs/%s: damaged", s->dir, file);
	*ret = (struct st_ref){ .owner = strdup(owner), .chains = calloc(n + 1, sizeof(char *)) };
	(void)strcpy(ret->digest, digest);
	for (; ret->chains && ret->chain_count < n; ret->chain_count++) {
		const char *one =
			json_object_get_string(json_object_array_get_idx(chains, ret->chain_count));

		if (!one || !st_digest_valid(one)) {
			r = plug_error_set(err, -EUCLEAN, "%s/refs/%s: damaged", s->dir, file);
			break;
		}
		ret->chains[ret->chain_count] = strdup(one);
		if (!ret->chains[ret->chain_count])
			r = plug_error_errno(err, -ENOMEM, "%s", file);
		if (r < 0)
			break;
	}
	return ret->owner && ret->chains ? r : plug_error_errno(err, -ENOMEM, "%s", file);
}

int st_store_refs(struct st_store *s, struct st_ref **ret, size_t *ret_count, struct plug_error *err)
{
	_cleanup_closedir_ DIR *d = directory_open(s->refs);
	struct st_ref *refs = NULL, *grown;
	size_t count = 0;
	struct dirent *e;
	int r = d ? 0 : plug_error_errno(err, -errno, "%s/refs", s->dir);

	while (r == 0 && (e = readdir(d))) {
		struct plug_error why = { 0 };

		if (e->d_name[0] == '.')
			continue;
		grown = reallocarray(refs, count + 1, sizeof(*refs));
		if (!grown) {
			r = plug_error_errno(err, -ENOMEM, "%s/refs", s->dir);
			break;
		}
		refs = grown;
		refs[count] = (struct st_ref){ 0 };
		r = e->d_name[0] == '@' ? st_use_read(s, e->d_name, &refs[count], &why) :
					  ref_read(s, e->d_name, &refs[count], &why);
		if (r == -ENOENT) {
			r = 0;
			continue;
		}
		count++;
		if (r < 0 && err)
			*err = why;
	}
	if (r < 0) {
		st_refs_free(refs, count);
		return r;
	}
	*ret = refs;
	*ret_count = count;
	return 0;
}

void st_refs_free(struct st_ref *refs, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(refs[i].owner);
		for (size_t k = 0; k < refs[i].chain_count; k++)
			free(refs[i].chains[k]);
		free(refs[i].chains);
	}
	free(refs);
}
