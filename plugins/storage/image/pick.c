/* SPDX-License-Identifier: MIT */
/* Which images of a layout, and of several platforms which one. */
#include "image/load_internal.h"
#include "image/name.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define NESTED_MAX 4 /* an index in an index in … */

static bool is_index(const struct st_descriptor *d)
{
	return strstr(d->media, "index.v1+json") || strstr(d->media, "manifest.list");
}

/* An index is good for whatever is in it; a manifest that says no platform, for any. */
static int suits(const struct st_descriptor *d, const struct st_platform *want)
{
	if (d->attestation)
		return 0;
	if (d->has_platform && *d->platform.os)
		return st_platform_match(want, &d->platform);
	return 1;
}

static int none_suits(const struct load *l, const struct st_manifest *index,
		      const struct st_platform *want, struct plug_error *err)
{
	char text[64], all[256] = "";
	size_t len = 0;

	for (size_t i = 0; i < index->count && len + 66 < sizeof(all); i++) {
		if (index->items[i].attestation || !index->items[i].has_platform)
			continue;
		st_platform_text(&index->items[i].platform, text);
		len += (size_t)snprintf(all + len, sizeof(all) - len, "%s%s", len ? ", " : "",
					text);
	}
	st_platform_text(want, text);
	return plug_error_set(err, -ENOENT, "%s: no image for %s; there is %s", l->options->what,
			      text, len ? all : "none");
}

/* A manifest for the platform, behind however many indexes. */
static int descend(struct load *l, const struct st_descriptor *from, const struct st_platform *want,
		   char *const *names, size_t count, unsigned depth, struct plug_error *err)
{
	const struct st_descriptor *best = NULL;
	_cleanup_free_ char *text = NULL;
	struct st_manifest m;
	struct load_part *part;
	int r, most = 0;
	size_t size;

	if (depth > NESTED_MAX)
		return plug_error_set(err, -E2BIG, "%s: indexes nested more than %d deep",
				      l->options->what, NESTED_MAX);
	r = load_find_blob(l, from->digest, &part, err);
	if (r == 0)
		r = load_text(l, part, from, &text, &size, err);
	if (r == 0)
		r = st_manifest_parse(text, size, from->digest, &m, err);
	if (r < 0)
		return r;
	if (m.kind == ST_DOCUMENT_MANIFEST) {
		st_manifest_finish(&m);
		return load_manifest(l, from, names, count, err);
	}
	for (size_t i = 0; i < m.count; i++) {
		int n = suits(&m.items[i], want);

		if (n > most) {
			most = n;
			best = &m.items[i];
		}
	}
	r = best ? descend(l, best, want, names, count, depth + 1, err)
		 : none_suits(l, &m, want, err);
	st_manifest_finish(&m);
	return r;
}

/*
 * What an annotation means: a whole name, or a mere tag as umoci writes them into a layout's directory
 * ("dir:tag"), or a mere name as skopeo does ("oci-archive:file:name").
 */
static int name_of(const struct load *l, const char *annotation, char **ret)
{
	_cleanup_free_ char *text = NULL;
	struct st_reference ref;
	const char *base;
	int n, r;

	if (strpbrk(annotation, "/:") || l->dir < 0) {
		n = asprintf(&text, "%s", annotation);
	} else {
		base = strrchr(l->options->path, '/');
		n = asprintf(&text, "%s:%s", base ? base + 1 : l->options->path, annotation);
	}
	if (n < 0) {
		text = NULL;
		return -ENOMEM;
	}
	*ret = NULL;
	r = st_reference_parse(text, &ref, NULL);
	if (r < 0)
		return r == -ENOMEM ? r : 0;
	*ret = st_reference_name(&ref);
	st_reference_finish(&ref);
	return *ret ? 0 : -ENOMEM;
}

static bool same_name(const struct st_descriptor *a, const struct st_descriptor *b)
{
	return a->name && b->name ? !strcmp(a->name, b->name) : !a->name && !b->name;
}

/* Of those with the same name (or all without): does another one suit better? */
static bool outdone(const struct st_manifest *index, size_t at, const struct st_platform *want)
{
	int own = suits(&index->items[at], want);

	for (size_t i = 0; i < index->count; i++) {
		int n = suits(&index->items[i], want);

		if (i == at || !same_name(&index->items[i], &index->items[at]))
			continue;
		/* Without a name and without a platform they are images of their own. */
		if (n > own || (n == own && i < at && (index->items[i].name || n > 1)))
			return true;
	}
	return false;
}

/* The only one is taken for any platform, unless one was asked for. */
static bool wanted(const struct load *l, const struct st_manifest *index, size_t at,
		   const struct st_platform *want)
{
	const struct st_descriptor *d = &index->items[at];

	if (suits(d, want))
		return !outdone(index, at, want);
	return index->count == 1 && !l->options->platform && !d->attestation;
}

static int member_load(struct load *l, const struct st_descriptor *d,
		       const struct st_platform *want, struct plug_error *err)
{
	char *name = l->options->name ? strdup(l->options->name) : NULL;
	int r = l->options->name && !name ? -ENOMEM : 0;

	if (!l->options->name && d->name)
		r = name_of(l, d->name, &name);
	if (r < 0)
		return plug_error_errno(err, r, "%s", l->options->what);
	r = descend(l, d, want, name ? &name : NULL, name != NULL, is_index(d) ? 1 : 0, err);

	free(name);
	return r;
}

static int layout_load(struct load *l, const struct st_manifest *index, struct plug_error *err)
{
	struct st_platform want;
	size_t loaded = 0;
	int r = 0;

	if (l->options->platform)
		want = *l->options->platform;
	else
		st_platform_host(&want);
	for (size_t i = 0; r == 0 && i < index->count; i++) {
		if (!wanted(l, index, i, &want))
			continue;
		r = member_load(l, &index->items[i], &want, err);
		loaded++;
	}
	if (r == 0 && !loaded)
		r = none_suits(l, index, &want, err);
	if (r == 0 && loaded > 1 && l->options->name)
		r = plug_error_set(err, -EINVAL, "%s: has %zu images, a name is for one",
				   l->options->what, loaded);
	return r;
}

int load_layout(struct load *l, struct load_part *part, struct plug_error *err)
{
	_cleanup_free_ char *text = NULL;
	struct st_manifest index;
	size_t size;
	int r = load_text(l, part, NULL, &text, &size, err);

	if (r == 0)
		r = st_manifest_parse(text, size, "index.json", &index, err);
	if (r < 0)
		return r;
	if (index.kind != ST_DOCUMENT_INDEX)
		r = plug_error_set(err, -EBADMSG, "%s: index.json: no index", l->options->what);
	else
		r = layout_load(l, &index, err);
	st_manifest_finish(&index);
	return r;
}
