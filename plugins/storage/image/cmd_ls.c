/* SPDX-License-Identifier: MIT */
/* image ls, image inspect */
#include "image/command.h"
#include "common/format.h"
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

static int row_add(struct plug_run *run, struct listing *l, const char *name, const char *digest)
{
	struct row *grown = reallocarray(l->rows, l->count + 1, sizeof(*grown));
	int r;

	if (!grown)
		return -ENOMEM;
	l->rows = grown;
	l->rows[l->count] = (struct row){ .name = name };
	r = st_image_open(st_run_store(run), digest, &l->rows[l->count].image, &run->error);
	l->count += r == 0;
	if (r == 0 || r == -ENOMEM)
		return r;
	/* A damaged one does not hide the others. */
	if (run->err >= 0) {
		(void)plug_run_write(run, run->err, run->error.text, strlen(run->error.text));
		(void)plug_run_write(run, run->err, "\n", 1);
	}
	run->error = (struct plug_error){ 0 };
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

static int listing_read(struct plug_run *run, struct listing *l)
{
	struct st_ref *refs;
	size_t count;
	int r = st_store_names(st_run_store(run), &l->names, &l->name_count, &run->error);

	for (size_t i = 0; r == 0 && i < l->name_count; i++)
		r = row_add(run, l, l->names[i].name, l->names[i].digest);
	if (r == 0)
		r = st_store_refs(st_run_store(run), &refs, &count, &run->error);
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
	value = plug_json_string(plug_json_get(plug_json_get(config, "config"), "Labels"), key);
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
	const char *text = plug_json_string(config, "created"), *point = text ? strchr(text, '.') : NULL;
	struct made made = { plug_format_time(text), 0 };
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
static int time_matches(struct plug_run *run, struct json_object *config, const char *reference, bool since)
{
	_cleanup_json_ struct json_object *other = NULL;
	struct st_image *image;
	int r = st_store_resolve(st_run_store(run), reference, &image, &run->error);

	if (r < 0)
		return r;
	r = plug_json_parse(image->config, strlen(image->config), image->id, &other, &run->error);
	st_image_free(image);
	if (r < 0)
		return r;
	return since ? made_earlier(made_of(other), made_of(config))
		     : made_earlier(made_of(config), made_of(other));
}

/* One filter: 1, 0, or an error. */
static int filter_matches(struct plug_run *run, const struct row *row, struct json_object *config,
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
	return plug_error_set(&run->error, -EINVAL,
			      "--filter: \"%s\": not reference=, dangling=, label=, before= or since=",
			      filter);
}

/* 1: it is shown; 0: not; or an error. */
static int row_wanted(struct plug_run *run, const struct row *row, struct json_object *config)
{
	const char *filter;
	int r = 1;

	if (run->word_count && !name_matches(row->name, run->words[0]))
		return 0;
	for (size_t i = 0; r > 0 && (filter = plug_run_nth(run, "filter", i)); i++)
		r = filter_matches(run, row, config, filter);
	return r;
}

/* NULL: no memory. */
static struct json_object *row_json(struct plug_run *run, const struct row *row,
				    struct json_object *config)
{
	struct json_object *o = json_object_new_object();
	const char *tag, *created = plug_json_string(config, "created");
	bool whole = plug_run_flag(run, "no-trunc");
	char repository[512], size[16], ago[48];
	int r;

	name_split(row->name, repository, &tag);
	plug_format_bytes(row->image->size, size);
	plug_format_ago(created, ago);
	r = st_json_put_string(o, "Containers", "N/A") ?:
	    st_json_put_string(o, "CreatedAt", created ? created : "N/A") ?:
	    st_json_put_string(o, "CreatedSince", ago) ?:
	    st_json_put_string(o, "Digest", row->image->digest) ?:
	    st_json_put(o, "ID", json_object_new_string_len(row->image->id + (whole ? 0 : 7),
							    whole ? 71 : 12)) ?:
	    st_json_put_string(o, "Repository", repository) ?:
	    st_json_put_string(o, "SharedSize", "N/A") ?: st_json_put_string(o, "Size", size) ?:
	    st_json_put_string(o, "Tag", tag) ?: st_json_put_string(o, "UniqueSize", "N/A") ?:
	    st_json_put_string(o, "VirtualSize", size);
	if (r == 0)
		return o;
	json_object_put(o);
	return NULL;
}

static int rows_json(struct plug_run *run, const struct listing *l, struct json_object *rows)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < l->count; i++) {
		const char *text = l->rows[i].image->config;
		struct json_object *config;

		r = plug_json_parse(text, strlen(text), l->rows[i].image->id, &config, &run->error);
		if (r < 0)
			break;
		r = row_wanted(run, &l->rows[i], config);
		if (r > 0)
			r = st_json_append(rows, row_json(run, &l->rows[i], config));
		json_object_put(config);
	}
	return r < 0 ? r : 0;
}

int st_command_ls(struct plug_run *run)
{
	static const struct plug_column plain[] = { { "REPOSITORY", "Repository" }, { "TAG", "Tag" },
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
	const char *format = plug_run_flag(run, "quiet") ? "{{.ID}}" : plug_run_value(run, "format");
	struct listing l = { 0 };
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	int r = rows && out ? listing_read(run, &l) : -ENOMEM;

	if (r == 0)
		r = rows_json(run, &l, rows);
	if (r == 0)
		r = plug_format_rows(out, format, plug_run_flag(run, "digests") ? digests : plain, rows,
				     &run->error);
	if (out && fclose(out) && r == 0)
		r = -ENOMEM;
	if (r == 0)
		r = plug_run_write(run, run->out, text, size);
	json_object_put(rows);
	listing_finish(&l);
	return r;
}

static int names_add(struct plug_run *run, const struct st_image *image, struct json_object *tags,
		     struct json_object *digests)
{
	struct st_name *names;
	size_t count;
	int r = st_store_names(st_run_store(run), &names, &count, &run->error);

	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < count; i++) {
		char repository[512], text[640];
		const char *tag;

		if (!names[i].name || strcmp(names[i].digest, image->digest) != 0)
			continue;
		r = st_json_append(tags, json_object_new_string(st_name_familiar(names[i].name)));
		name_split(names[i].name, repository, &tag);
		(void)snprintf(text, sizeof(text), "%s@%s", repository, image->digest);
		r = st_json_append(digests, json_object_new_string(text)) ?: r;
	}
	st_names_free(names, count);
	return r;
}

static int take(struct json_object *o, const char *key, struct json_object *config, const char *from)
{
	struct json_object *v = plug_json_get(config, from);

	return st_json_put(o, key, v ? json_object_get(v) : json_object_new_string(""));
}

static int rootfs_put(struct json_object *o, const struct st_image *image)
{
	struct json_object *rootfs = json_object_new_object(), *layers = json_object_new_array();
	int r = st_json_put(o, "RootFS", rootfs);

	for (size_t i = 0; r == 0 && i < image->layer_count; i++)
		r = st_json_append(layers, json_object_new_string(image->layers[i].diff));
	if (r == 0)
		return st_json_put_string(rootfs, "Type", "layers") ?:
			       st_json_put(rootfs, "Layers", layers);
	json_object_put(layers);
	return r;
}

static int config_put(struct json_object *o, struct json_object *config)
{
	struct json_object *inner = plug_json_get(config, "config");
	int r = st_json_put_string(o, "Parent", "") ?: take(o, "Comment", config, "comment") ?:
		take(o, "Created", config, "created") ?: take(o, "Author", config, "author");

	if (r == 0)
		r = st_json_put(o, "Config", inner ? json_object_get(inner) : json_object_new_object());
	if (r == 0)
		r = take(o, "Architecture", config, "architecture");
	if (r == 0 && plug_json_get(config, "variant"))
		r = take(o, "Variant", config, "variant");
	return r ?: take(o, "Os", config, "os");
}

/* As `docker inspect` shows an image. */
static int image_put(struct plug_run *run, const struct st_image *image, struct json_object *config,
		     struct json_object *o)
{
	struct json_object *tags = json_object_new_array(), *digests = json_object_new_array();
	int r = st_json_put_string(o, "Id", image->id);

	r = st_json_put(o, "RepoTags", tags) ?: r;
	r = st_json_put(o, "RepoDigests", digests) ?: r;
	if (r == 0)
		r = names_add(run, image, tags, digests);
	return r ?: config_put(o, config) ?:
	       st_json_put(o, "Size", json_object_new_int64((int64_t)image->size)) ?:
	       rootfs_put(o, image);
}

static int inspect_one(struct plug_run *run, const char *reference, struct json_object *all)
{
	struct json_object *config, *o;
	struct st_image *image;
	int r = st_store_resolve(st_run_store(run), reference, &image, &run->error);

	if (r < 0)
		return r;
	r = plug_json_parse(image->config, strlen(image->config), image->id, &config, &run->error);
	if (r == 0) {
		o = json_object_new_object();
		r = st_json_append(all, o) ?: image_put(run, image, config, o);
		json_object_put(config);
	}
	st_image_free(image);
	return r;
}

static int inspect_print(FILE *out, const char *format, struct json_object *all, struct plug_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && format && i < plug_json_length(all); i++)
		r = plug_format_value(out, format, json_object_array_get_idx(all, i), err);
	if (!format)
		(void)fprintf(out, "%s\n",
			      json_object_to_json_string_ext(all, JSON_C_TO_STRING_PRETTY |
									  JSON_C_TO_STRING_SPACED |
									  JSON_C_TO_STRING_NOSLASHESCAPE));
	return r;
}

/* Those that are there are shown; then one that is not is an error. */
int st_command_inspect(struct plug_run *run)
{
	struct json_object *all = json_object_new_array();
	const char *format = plug_run_value(run, "format");
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
		r = plug_run_write(run, run->out, text, size);
	json_object_put(all);
	return r ?: failed;
}
