/* SPDX-License-Identifier: MIT */
/* image rm, image gc */
#include "image/command.h"
#include "common/format.h"
#include "image/name.h"
#include "common/util.h"

#include <errno.h>
#include <string.h>

/* Told under the store's lock: kept, and printed after it. */
struct removed {
	FILE *out;
	char *text;
	size_t size;
};

static void on_removed(void *arg, const char *kind, const char *digest)
{
	struct removed *x = arg;

	if (!strcmp(kind, "layer"))
		(void)fprintf(x->out, "Deleted: %s\n", digest);
}

/* Who uses the image: its first owner, to be freed, or NULL. */
static int user_of(struct plug_run *run, const char *digest, char **ret)
{
	struct st_ref *refs;
	size_t count;
	int r = st_store_refs(st_run_store(run), &refs, &count, &run->error);

	*ret = NULL;
	if (r < 0)
		return r;
	for (size_t i = 0; i < count && !*ret; i++)
		if (!strcmp(refs[i].digest, digest))
			*ret = strdup(refs[i].owner);
	st_refs_free(refs, count);
	return 0;
}

static size_t names_of(const struct st_name *names, size_t count, const char *digest)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++)
		n += names[i].name && !strcmp(names[i].digest, digest);
	return n;
}

/* What is left without a name goes, but for what containers use. */
static int image_delete(struct plug_run *run, const struct st_image *image)
{
	struct removed x = { 0 };
	struct st_freed freed = { .removed = on_removed, .arg = &x };
	int r;

	x.out = open_memstream(&x.text, &x.size);
	if (!x.out)
		return -ENOMEM;
	r = st_store_gc(st_run_store(run), image->digest, &freed, &run->error);
	if (fclose(x.out) && r == 0)
		r = -ENOMEM;
	if (freed.blobs)
		(void)plug_run_print(run, "Deleted: %s\n", image->id);
	if (x.text)
		(void)plug_run_write(run, run->out, x.text, x.size);
	free(x.text);
	return r;
}

/* An id as docker writes it; a name, or an id that somebody chose, whole. */
static int shown_length(const char *user)
{
	return strlen(user) == 36 && strspn(user, "0123456789abcdef-") == 36 ? 12 : 64;
}

static int conflict(struct plug_run *run, const char *reference, const struct st_image *image,
		    const char *user)
{
	int length = shown_length(user);

	if (image->name)
		return plug_error_set(&run->error, -EBUSY,
				      "conflict: unable to remove repository reference \"%s\" (must force) - "
				      "container %.*s is using its referenced image %.12s",
				      reference, length, user, image->id + 7);
	return plug_error_set(&run->error, -EBUSY,
			      "conflict: unable to delete %.12s (must be forced) - image is being used by "
			      "container %.*s",
			      image->id + 7, length, user);
}

static int untag(struct plug_run *run, const char *name)
{
	int r = st_store_untag(st_run_store(run), name, &run->error);

	return r ?: plug_run_print(run, "Untagged: %s\n", st_name_familiar(name));
}

/* All its names, and the record of one that has none. */
static int untag_all(struct plug_run *run, const struct st_image *image, const struct st_name *names,
		     size_t count)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < count; i++) {
		if (strcmp(names[i].digest, image->digest) != 0)
			continue;
		r = names[i].name ? untag(run, names[i].name)
				  : st_store_untag(st_run_store(run), image->digest, &run->error);
	}
	return r;
}

static int remove_image(struct plug_run *run, const char *reference, const struct st_image *image,
			const struct st_name *names, size_t count)
{
	size_t named = names_of(names, count, image->digest);
	bool force = plug_run_flag(run, "force"), last = named <= 1 || !image->name;
	_cleanup_free_ char *user = NULL;
	int r = user_of(run, image->digest, &user);

	if (r < 0)
		return r;
	if (image->name && named > 1)
		return untag(run, image->name);
	if (!image->name && named > 1 && !force)
		return plug_error_set(&run->error, -EBUSY,
				      "conflict: unable to delete %.12s (must be forced) - image is "
				      "referenced in multiple repositories",
				      image->id + 7);
	if (last && user && !force)
		return conflict(run, reference, image, user);
	r = untag_all(run, image, names, count);
	return r ?: image_delete(run, image);
}

/* What cannot be read any more can still lose its name; gc finds the rest then. */
static int remove_damaged(struct plug_run *run, const char *reference, int why)
{
	_cleanup_free_ char *name = NULL;
	struct st_reference ref;

	if (st_reference_parse(reference, &ref, NULL) < 0)
		return why;
	name = st_reference_name(&ref);
	st_reference_finish(&ref);
	if (!name || st_store_untag(st_run_store(run), name, NULL) < 0)
		return why;
	run->error = (struct plug_error){ 0 };
	return plug_run_print(run, "Untagged: %s\n", st_name_familiar(name));
}

static int remove_one(struct plug_run *run, const char *reference)
{
	struct st_image *image;
	struct st_name *names;
	size_t count;
	int r = st_store_resolve(st_run_store(run), reference, &image, &run->error);

	if (r < 0)
		return r == -EEXIST ? r : remove_damaged(run, reference, r);
	r = st_store_names(st_run_store(run), &names, &count, &run->error);
	if (r == 0) {
		r = remove_image(run, reference, image, names, count);
		st_names_free(names, count);
	}
	st_image_free(image);
	return r;
}

int st_command_rm(struct plug_run *run)
{
	struct plug_error first = { 0 };
	bool force = plug_run_flag(run, "force");

	for (size_t i = 0; i < run->word_count; i++) {
		int r = remove_one(run, run->words[i]);

		if (r == -EPIPE || r == -ECANCELED)
			return r;
		if (r < 0 && !run->error.code)
			(void)plug_error_errno(&run->error, r, "image %s", run->words[i]);
		/* What is not there any more is no failure for who insists, as with rm -f. */
		if (r < 0 && !first.code && !(force && r == -ENOENT))
			first = run->error;
		else if (r < 0 && !(force && r == -ENOENT) && run->err >= 0) {
			(void)plug_run_write(run, run->err, run->error.text, strlen(run->error.text));
			(void)plug_run_write(run, run->err, "\n", 1);
		}
		run->error = (struct plug_error){ 0 };
	}
	run->error = first;
	return first.code;
}

static void on_freed(void *arg, const char *kind, const char *digest)
{
	struct removed *x = arg;

	(void)fprintf(x->out, "Deleted %s: %s\n", kind, digest);
}

int st_command_gc(struct plug_run *run)
{
	struct removed x = { 0 };
	struct st_freed freed = { .removed = on_freed, .arg = &x };
	char size[16];
	int r;

	x.out = open_memstream(&x.text, &x.size);
	if (!x.out)
		return -ENOMEM;
	r = st_store_gc(st_run_store(run), NULL, &freed, &run->error);
	if (fclose(x.out) && r == 0)
		r = -ENOMEM;
	if (x.text)
		(void)plug_run_write(run, run->out, x.text, x.size);
	free(x.text);
	if (r < 0)
		return r;
	plug_format_bytes(freed.bytes, size);
	if (freed.works)
		r = plug_run_print(run, "Removed %zu interrupted import%s\n", freed.works,
				   freed.works == 1 ? "" : "s");
	return r ?: plug_run_print(run, "Total reclaimed space: %s\n", size);
}
