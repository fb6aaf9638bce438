/* SPDX-License-Identifier: MIT */
/* image ls, image inspect */
#include "image/command.h"
#include "image/format.h"
#include "image/internal.h"
#include "image/name.h"

#include <errno.h>
#include <fnmatch.h>
#include <string.h>

/* An image and all its names; those that only a container keeps have none. */
struct row {
	struct st_image *image;
	const char *name; /* whole, or NULL */
};

struct listing {
	struct row *rows;
	size_t count;
	struct st_name *names;
	size_t name_count;
};

static void listing_finish(struct listing *l)
{
	for (size_t i = 0; i < l->count; i++)
		st_image_free(l->rows[i].image);
	free(l->rows);
	st_names_free(l->names, l->name_count);
}

static int row_add(struct st_run *run, struct listing *l, const char *name, const char *digest)
{
	struct row *grown = reallocarray(l->rows, l->count + 1, sizeof(*grown));
	int r;

	if (!grown)
		return -ENOMEM;
	l->rows = grown;
	l->rows[l->count] = (struct row){ .name = name };
	r = st_image_open(run->store, digest, &l->rows[l->count].image, &run->error);
	l->count += r == 0;
	if (r == 0 || r == -ENOMEM)
		return r;
	/* A damaged one does not hide the others. */
	if (run->err >= 0) {
		(void)st_run_write(run, run->err, run->error.text, strlen(run->error.text));
		(void)st_run_write(run, run->err, "\n", 1);
	}
	run->error = (struct st_error){ 0 };
	return 0;
}

static bool digest_listed(const struct listing *l, const char *digest)
{
	for (size_t i = 0; i < l->count; i++)
		if (!strcmp(l->rows[i].image->digest, digest))
			return true;
	return false;
}

static int row_compare(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	int r = strcmp(x->name ? x->name : "", y->name ? y->name : "");

	return r ? r : strcmp(x->image->digest, y->image->digest);
}

static int listing_read(struct st_run *run, struct listing *l)
{
	struct st_ref *refs;
	size_t count;
	int r = st_store_names(run->store, &l->names, &l->name_count, &run->error);

	for (size_t i = 0; r == 0 && i < l->name_count; i++)
		r = row_add(run, l, l->names[i].name, l->names[i].digest);
	if (r == 0)
		r = st_store_refs(run->store, &refs, &count, &run->error);
	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < count; i++)
		if (*refs[i].digest && !digest_listed(l, refs[i].digest))
			r = row_add(run, l, NULL, refs[i].digest);
	st_refs_free(refs, count);
	if (l->count)
		qsort(l->rows, l->count, sizeof(*l->rows), row_compare);
	return r;
}

/* The repository's part of a name, familiar, and its tag. */
static void name_split(const char *name, char repository[512], const char **ret_tag)
{
	const char *familiar = name ? st_name_familiar(name) : "<none>",
		   *colon = name ? strrchr(familiar, ':') : NULL;

	(void)snprintf(repository, 512, "%.*s",
		       colon ? (int)(colon - familiar) : (int)strlen(familiar), familiar);
	*ret_tag = colon ? colon + 1 : "<none>";
}

static bool label_matches(struct json_object *config, const char *wanted)
{
	const char *equals = strchr(wanted, '='), *value;
	char key[256];

	(void)snprintf(key, sizeof(key), "%.*s",
		       equals ? (int)(equals - wanted) : (int)strlen(wanted), wanted);
	value = st_json_string(st_json_get(st_json_get(config, "config"), "Labels"), key);
	return value && (!equals || !strcmp(value, equals + 1));
}

/* "busybox", "busybox:1.*": as docker takes them, with the tag or without. */
static bool name_matches(const char *name, const char *pattern)
{
	char repository[512], both[700];
	const char *tag;

	if (!name)
		return false;
	name_split(name, repository, &tag);
	(void)snprintf(both, sizeof(both), "%s:%s", repository, tag);
	return !fnmatch(pattern, repository, FNM_PATHNAME) || !fnmatch(pattern, both, FNM_PATHNAME) ||
	       !fnmatch(pattern, name, FNM_PATHNAME);
}

/* When an image was made, for comparing: seconds, and what stands behind the point. */
struct made {
	int64_t seconds;
	unsigned long nanoseconds;
};

static struct made made_of(struct json_object *config)
{
	const char *text = st_json_string(config, "created"), *point = text ? strchr(text, '.') : NULL;
	struct made made = { st_format_time(text), 0 };
	char digits[10] = "000000000";

	for (size_t i = 0; point && i < 9 && point[i + 1] >= '0' && point[i + 1] <= '9'; i++)
		digits[i] = point[i + 1];
	made.nanoseconds = strtoul(digits, NULL, 10);
	return made;
}

static bool made_earlier(struct made a, struct made b)
{
	return a.seconds != b.seconds ? a.seconds < b.seconds : a.nanoseconds < b.nanoseconds;
}

/* 1: the image was made before (or, since, after) the one that is named. */
static int time_matches(struct st_run *run, struct json_object *config, const char *reference, bool since)
{
	_cleanup_json_ struct json_object *other = NULL;
	struct st_image *image;
	int r = st_store_resolve(run->store, reference, &image, &run->error);

	if (r < 0)
		return r;
	r = st_json_parse(image->config, strlen(image->config), image->id, &other, &run->error);
	st_image_free(image);
	if (r < 0)
		return r;
	return since ? made_earlier(made_of(other), made_of(config))
		     : made_earlier(made_of(config), made_of(other));
}

/* One filter: 1, 0, or an error. */
static int filter_matches(struct st_run *run, const struct row *row, struct json_object *config,
			  const char *filter)
{
	if (!strncmp(filter, "reference=", 10))
		return name_matches(row->name, filter + 10);
	if (!strcmp(filter, "dangling=true") || !strcmp(filter, "dangling=1"))
		return !row->name;
	if (!strcmp(filter, "dangling=false") || !strcmp(filter, "dangling=0"))
		return row->name != NULL;
	if (!strncmp(filter, "label=", 6))
		return label_matches(config, filter + 6);
	if (!strncmp(filter, "before=", 7))
		return time_matches(run, config, filter + 7, false);
	if (!strncmp(filter, "since=", 6))
		return time_matches(run, config, filter + 6, true);
	return st_error_set(&run->error, -EINVAL,
			    "--filter: \"%s\": not reference=, dangling=, label=, before= or since=",
			    filter);
}

/* 1: it is shown; 0: not; or an error. */
static int row_wanted(struct st_run *run, const struct row *row, struct json_object *config)
{
	const char *filter;
	int r = 1;

	if (run->word_count && !name_matches(row->name, run->words[0]))
		return 0;
	for (size_t i = 0; r > 0 && (filter = st_run_nth(run, "filter", i)); i++)
		r = filter_matches(run, row, config, filter);
	return r;
}

static void put(struct json_object *o, const char *key, const char *value)
{
	(void)json_object_object_add(o, key, json_object_new_string(value));
}

static struct json_object *row_json(struct st_run *run, const struct row *row,
				    struct json_object *config)
{
	struct json_object *o = json_object_new_object();
	const char *tag, *created = st_json_string(config, "created");
	char repository[512], size[16], ago[48];

	name_split(row->name, repository, &tag);
	st_format_bytes(row->image->size, size);
	st_format_ago(created, ago);
	put(o, "Containers", "N/A");
	put(o, "CreatedAt", created ? created : "N/A");
	put(o, "CreatedSince", ago);
	put(o, "Digest", row->image->digest);
	(void)json_object_object_add(
		o, "ID",
		json_object_new_string_len(row->image->id + (st_run_flag(run, "no-trunc") ? 0 : 7),
					   st_run_flag(run, "no-trunc") ? 71 : 12));
	put(o, "Repository", repository);
	put(o, "SharedSize", "N/A");
	put(o, "Size", size);
	put(o, "Tag", tag);
	put(o, "UniqueSize", "N/A");
	put(o, "VirtualSize", size);
	return o;
}

static int rows_json(struct st_run *run, const struct listing *l, struct json_object *rows)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < l->count; i++) {
		const char *text = l->rows[i].image->config;
		struct json_object *config;

		r = st_json_parse(text, strlen(text), l->rows[i].image->id, &config, &run->error);
		if (r < 0)
			break;
		r = row_wanted(run, &l->rows[i], config);
		if (r > 0)
			(void)json_object_array_add(rows, row_json(run, &l->rows[i], config));
		json_object_put(config);
	}
	return r < 0 ? r : 0;
}

int st_command_ls(struct st_run *run)
{
	static const struct st_column plain[] = { { "REPOSITORY", "Repository" }, { "TAG", "Tag" },
						  { "IMAGE ID", "ID" },
						  { "CREATED", "CreatedSince" }, { "SIZE", "Size" },
						  { 0 } },
				      digests[] = { { "REPOSITORY", "Repository" },
						    { "TAG", "Tag" },
						    { "DIGEST", "Digest" },
						    { "IMAGE ID", "ID" },
						    { "CREATED", "CreatedSince" },
						    { "SIZE", "Size" },
						    { 0 } };
	struct json_object *rows = json_object_new_array();
	const char *format = st_run_flag(run, "quiet") ? "{{.ID}}" : st_run_value(run, "format");
	struct listing l = { 0 };
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	int r = rows && out ? listing_read(run, &l) : -ENOMEM;

	if (r == 0)
		r = rows_json(run, &l, rows);
	if (r == 0)
		r = st_format_rows(out, format, st_run_flag(run, "digests") ? digests : plain, rows,
				   &run->error);
	if (out && fclose(out) && r == 0)
		r = -ENOMEM;
	if (r == 0)
		r = st_run_write(run, run->out, text, size);
	json_object_put(rows);
	listing_finish(&l);
	return r;
}

static void names_add(struct st_run *run, const struct st_image *image, struct json_object *tags,
		      struct json_object *digests)
{
	struct st_name *names;
	size_t count;

	if (st_store_names(run->store, &names, &count, NULL) < 0)
		return;
	for (size_t i = 0; i < count; i++) {
		char repository[512], text[640];
		const char *tag;

		if (!names[i].name || strcmp(names[i].digest, image->digest) != 0)
			continue;
		(void)json_object_array_add(
			tags, json_object_new_string(st_name_familiar(names[i].name)));
		name_split(names[i].name, repository, &tag);
		(void)snprintf(text, sizeof(text), "%s@%s", repository, image->digest);
		(void)json_object_array_add(digests, json_object_new_string(text));
	}
	st_names_free(names, count);
}

static void take(struct json_object *o, const char *key, struct json_object *config, const char *from)
{
	struct json_object *v = st_json_get(config, from);

	(void)json_object_object_add(o, key, v ? json_object_get(v) : json_object_new_string(""));
}

/* As `docker inspect` shows an image. */
static struct json_object *image_json(struct st_run *run, const struct st_image *image,
				      struct json_object *config)
{
	struct json_object *o = json_object_new_object(), *tags = json_object_new_array(),
			   *digests = json_object_new_array(), *rootfs = json_object_new_object(),
			   *layers = json_object_new_array(), *v;

	names_add(run, image, tags, digests);
	put(o, "Id", image->id);
	(void)json_object_object_add(o, "RepoTags", tags);
	(void)json_object_object_add(o, "RepoDigests", digests);
	put(o, "Parent", "");
	take(o, "Comment", config, "comment");
	take(o, "Created", config, "created");
	take(o, "Author", config, "author");
	v = st_json_get(config, "config");
	(void)json_object_object_add(o, "Config",
				     v ? json_object_get(v) : json_object_new_object());
	take(o, "Architecture", config, "architecture");
	if (st_json_get(config, "variant"))
		take(o, "Variant", config, "variant");
	take(o, "Os", config, "os");
	(void)json_object_object_add(o, "Size", json_object_new_int64((int64_t)image->size));
	put(rootfs, "Type", "layers");
	for (size_t i = 0; i < image->layer_count; i++)
		(void)json_object_array_add(layers, json_object_new_string(image->layers[i].diff));
	(void)json_object_object_add(rootfs, "Layers", layers);
	(void)json_object_object_add(o, "RootFS", rootfs);
	return o;
}

static int inspect_one(struct st_run *run, const char *reference, struct json_object *all)
{
	struct json_object *config;
	struct st_image *image;
	int r = st_store_resolve(run->store, reference, &image, &run->error);

	if (r < 0)
		return r;
	r = st_json_parse(image->config, strlen(image->config), image->id, &config, &run->error);
	if (r == 0) {
		(void)json_object_array_add(all, image_json(run, image, config));
		json_object_put(config);
	}
	st_image_free(image);
	return r;
}

static int inspect_print(FILE *out, const char *format, struct json_object *all, struct st_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && format && i < st_json_length(all); i++)
		r = st_format_value(out, format, json_object_array_get_idx(all, i), err);
	if (!format)
		(void)fprintf(out, "%s\n",
			      json_object_to_json_string_ext(all, JSON_C_TO_STRING_PRETTY |
									  JSON_C_TO_STRING_SPACED |
									  JSON_C_TO_STRING_NOSLASHESCAPE));
	return r;
}

/* Those that are there are shown; then one that is not is an error. */
int st_command_inspect(struct st_run *run)
{
	struct json_object *all = json_object_new_array();
	const char *format = st_run_value(run, "format");
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	int r = all && out ? 0 : -ENOMEM, failed = 0;

	for (size_t i = 0; r == 0 && i < run->word_count; i++)
		failed = inspect_one(run, run->words[i], all) ?: failed;
	if (r == 0)
		r = inspect_print(out, format, all, &run->error);
	if (out && fclose(out) && r == 0)
		r = -ENOMEM;
	if (r == 0)
		r = st_run_write(run, run->out, text, size);
	json_object_put(all);
	return r ?: failed;
}
