/* SPDX-License-Identifier: MIT */
/* Names of images, as docker reads and shows them. */
#ifndef ST_IMAGE_NAME_H
#define ST_IMAGE_NAME_H

#include "image/store.h"

/*
 * "busybox" → "docker.io/library/busybox:latest", "quay.io/a/b@sha256:…" → repository, no tag, digest.
 * The parts are freed by st_reference_finish().  -EINVAL with the reason: the grammar of docker's
 * reference (distribution/reference): lower case, ".", "_", "__", "-" inside; tag [\w][\w.-]{0,127}.
 */
struct st_reference {
	char *repository; /* "docker.io/library/busybox" */
	char *tag;        /* "latest"; NULL where only a digest was given */
	char digest[ST_DIGEST_SIZE]; /* "" for none */
	bool qualified;   /* the registry was given */
};
int st_reference_parse(const char *text, struct st_reference *ret, struct plug_error *err);
void st_reference_finish(struct st_reference *r);
/* "REPOSITORY:TAG" to be freed; the tag is "latest" where none was given. */
char *st_reference_name(const struct st_reference *r);
/* The whole name as docker shows it: without "docker.io/" and "library/".  Points into name. */
const char *st_name_familiar(const char *name);
/* A file's name for any text: reversible for people, unique for the store.  ret: 256 bytes. */
void st_name_escape(const char *text, char ret[256]);

#endif
