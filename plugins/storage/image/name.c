/* SPDX-License-Identifier: MIT */
#include "image/name.h"
#include "image/sha.h"
#include "common/util.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define NAME_MAX_BYTES 255 /* as docker: of the repository */
#define TAG_MAX_BYTES 128

static int refuse(struct plug_error *err, const char *text, const char *why)
{
	return plug_error_set(err, -EINVAL, "image name \"%.100s\": %s", text, why);
}

/* [a-z0-9]+(([._]|__|-+)[a-z0-9]+)* */
static bool component_good(const char *p, size_t len)
{
	bool word = false;

	for (size_t i = 0; i < len;) {
		if (islower((unsigned char)p[i]) || isdigit((unsigned char)p[i])) {
			word = true;
			i++;
			continue;
		}
		if (!word)
			return false;
		word = false;
		if (p[i] == '-')
			while (i < len && p[i] == '-')
				i++;
		else if (p[i] == '_' && i + 1 < len && p[i + 1] == '_')
			i += 2;
		else if (p[i] == '_' || p[i] == '.')
			i++;
		else
			return false;
	}
	return word;
}

/* HOST[:PORT]; letters of any case, [::1] as well */
static bool registry_good(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)p[i]) &&
		    (!strchr(".-:[]", p[i]) || (i && p[i] == '.' && p[i - 1] == '.')))
			return false;
	return len && (isalnum((unsigned char)p[0]) || p[0] == '[') &&
	       (isalnum((unsigned char)p[len - 1]) || p[len - 1] == ']');
}

static bool is_registry(const char *p, size_t len)
{
	return memchr(p, '.', len) || memchr(p, ':', len) ||
	       (len == 9 && !memcmp(p, "localhost", 9));
}

static bool path_good(const char *p)
{
	for (;;) {
		size_t len = strcspn(p, "/");

		if (!component_good(p, len))
			return false;
		if (!p[len])
			return true;
		p += len + 1;
	}
}

static bool tag_good(const char *tag)
{
	size_t len = strlen(tag);

	if (!len || len > TAG_MAX_BYTES || !(isalnum((unsigned char)*tag) || *tag == '_'))
		return false;
	for (; *tag; tag++)
		if (!isalnum((unsigned char)*tag) && !strchr("_.-", *tag))
			return false;
	return true;
}

/* Fills ret from the repository as it was written; it is left as it stands. */
static int repository_read(const char *text, const char *repository, struct st_reference *ret,
			   struct plug_error *err)
{
	const char *slash = strchr(repository, '/'), *rest = repository;
	int registry = 0, n;

	ret->qualified = slash && is_registry(repository, (size_t)(slash - repository));
	if (ret->qualified) {
		registry = (int)(slash - repository);
		rest = slash + 1;
		if (!registry_good(repository, (size_t)registry))
			return refuse(err, text, "not a registry's name");
	}
	if (!path_good(rest))
		return refuse(err, text,
			      "not lower case letters and digits, parted by \".\", \"_\" or \"-\"");
	if (ret->qualified && !(registry == 9 && !memcmp(repository, "docker.io", 9)))
		n = asprintf(&ret->repository, "%s", repository);
	else
		n = asprintf(&ret->repository, "docker.io/%s%s", strchr(rest, '/') ? "" : "library/",
			     rest);
	if (n < 0) {
		ret->repository = NULL;
		return plug_error_errno(err, -ENOMEM, "image name");
	}
	return n > NAME_MAX_BYTES ? refuse(err, text, "too long") : 0;
}

int st_reference_parse(const char *text, struct st_reference *ret, struct plug_error *err)
{
	bool too_long = strlen(text) > 1024;
	_cleanup_free_ char *copy = too_long ? NULL : strdup(text);
	struct st_reference p = { 0 };
	char *at, *colon, *slash;
	int r;

	if (too_long)
		return refuse(err, text, "too long");
	if (!copy)
		return plug_error_errno(err, -ENOMEM, "image name");
	if (!*copy)
		return refuse(err, text, "empty");
	at = strchr(copy, '@');
	if (at) {
		*at++ = 0;
		if (!st_digest_valid(at))
			return refuse(err, text, "what follows the \"@\" is not a SHA-256 digest");
		(void)strcpy(p.digest, at);
	}
	slash = strrchr(copy, '/');
	colon = strrchr(slash ? slash : copy, ':');
	if (colon) {
		*colon++ = 0;
		if (!tag_good(colon))
			return refuse(err, text, "the tag is not [A-Za-z0-9_][A-Za-z0-9_.-]{0,127}");
	}
	if (!at || colon) {
		p.tag = strdup(colon ? colon : "latest");
		if (!p.tag)
			return plug_error_errno(err, -ENOMEM, "image name");
	}
	r = repository_read(text, copy, &p, err);
	if (r < 0)
		st_reference_finish(&p);
	else
		*ret = p;
	return r;
}

void st_reference_finish(struct st_reference *r)
{
	free(r->repository);
	free(r->tag);
	*r = (struct st_reference){ 0 };
}

char *st_reference_name(const struct st_reference *r)
{
	char *name;

	return asprintf(&name, "%s:%s", r->repository, r->tag ? r->tag : "latest") < 0 ? NULL : name;
}

const char *st_name_familiar(const char *name)
{
	static const char hub[] = "docker.io/", library[] = "library/";

	if (strncmp(name, hub, sizeof(hub) - 1) != 0)
		return name;
	name += sizeof(hub) - 1;
	/* "docker.io/library/a/b" is no official image. */
	if (!strncmp(name, library, sizeof(library) - 1) && !strchr(name + sizeof(library) - 1, '/'))
		name += sizeof(library) - 1;
	return name;
}

void st_name_escape(const char *text, char ret[256])
{
	char *p = ret, digest[ST_DIGEST_SIZE];

	for (const char *t = text; *t && p < ret + 150; t++) {
		if (isalnum((unsigned char)*t) || *t == '_' || *t == '-' || (*t == '.' && p != ret))
			*p++ = *t;
		else
			p += sprintf(p, "%%%02X", (unsigned)(unsigned char)*t);
		if (t[1] == 0) {
			*p = 0;
			return;
		}
	}
	/* Too long for a file's name: its beginning, and the digest of all of it. */
	st_sha256_text(text, strlen(text), digest);
	(void)sprintf(p, "%%%%%s", digest + sizeof("sha256:") - 1);
}
