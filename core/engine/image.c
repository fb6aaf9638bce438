/* SPDX-License-Identifier: MIT */
/* Images: asked for by name before anything else; their users looked up once the root is there. */
#include "engine/container.h"

#include "base/cleanup.h"

#include <errno.h>
#include <string.h>

/* One reference on its way through the image sources. */
struct image_query {
	struct cow_list link; /* engine->images */
	struct cow_engine *engine;
	struct cow_create *create; /* the asker's, until done */
	cow_op op;
	uint32_t next; /* the source to ask */
	void (*done)(void *arg, struct cow_error *err);
	void *arg;
	struct cow_error err; /* of the source asked last */
};

static void query_next(struct image_query *q);

static void query_end(struct image_query *q)
{
	cow_list_del(&q->link);
	q->done(q->arg, &q->err);
	free(q);
}

static void query_take(struct image_query *q, const char *result)
{
	struct json_object *answer = NULL;

	q->err = (struct cow_error){ 0 };
	if (cow_json_parse("image", result, strlen(result), &answer, &q->err) == 0)
		(void)cow_create_take_image(q->create, answer, &q->err);
	json_object_put(answer);
	query_end(q);
}

static void query_answered(void *arg, cow_op op, const struct cow_answer *answer)
{
	struct image_query *q = arg;
	const struct cowherd_answer *payload = answer->payload;

	(void)op;
	q->op = 0;
	if (answer->code == 0 && payload && payload->result) {
		query_take(q, payload->result);
		return;
	}
	q->err = (struct cow_error){ 0 };
	if (answer->code == -ENOENT && !answer->message)
		(void)cow_error_set(&q->err, -ENOENT, "Unable to find image '%s' locally",
				    q->create->image);
	else if (answer->code < 0)
		call_error(answer, &q->err);
	else
		(void)cow_error_set(&q->err, -EPROTO, "image %s: resolved without a result",
				    q->create->image);
	if (answer->code == -ENOENT)
		query_next(q);
	else
		query_end(q);
}

static void query_next(struct image_query *q)
{
	struct cow_engine *e = q->engine;
	const struct cow_image_source *const *all;
	uint32_t n = cow_host_image_sources(e->setup.host, &all);
	const struct cow_image_source *source;
	cow_op op;
	int rc;

	if (q->next >= n) {
		query_end(q);
		return;
	}
	source = all[q->next++];
	rc = cow_op_open(e->setup.ops, source->table.resolve_ms, query_answered, q, &op);
	if (rc < 0) {
		q->err = (struct cow_error){ 0 };
		(void)cow_error_errno(&q->err, rc, "image %s", q->create->image);
		query_end(q);
		return;
	}
	q->op = op;
	call_returned(e, op,
		      source->table.resolve(source->arg, op, q->create->image,
					    q->create->platform));
}

void image_resolve(struct cow_engine *e, struct cow_create *create,
		   void (*done)(void *arg, struct cow_error *err), void *arg)
{
	struct image_query *q = calloc(1, sizeof(*q));
	struct cow_error err = { 0 };

	if (!q) {
		(void)cow_error_set(&err, -ENOMEM, "image: out of memory");
		done(arg, &err);
		return;
	}
	q->engine = e;
	q->create = create;
	q->done = done;
	q->arg = arg;
	cow_list_add(&e->images, &q->link);
	(void)cow_error_set(&q->err, -ENOTSUP, "image %s: no plugin provides images",
			    create->image);
	query_next(q);
}

void images_abandon(struct cow_engine *e)
{
	while (!cow_list_empty(&e->images)) {
		struct image_query *q =
			cow_container_of(e->images.next, struct image_query, link);

		cow_op_abandon(e->setup.ops, q->op);
		q->err = (struct cow_error){ 0 };
		(void)cow_error_set(&q->err, -ECANCELED, "the engine is gone");
		query_end(q);
	}
}

/* ---- in the document phase */

int image_settle(struct container *c, struct cow_error *err)
{
	struct json_object *root, *process, *path;
	int rc = container_tree(c);

	if (rc < 0)
		return cow_error_errno(err, rc, "spec");
	root = json_object_object_get(c->tree, "root");
	path = root ? json_object_object_get(root, "path") : NULL;
	process = json_object_object_get(c->tree, "process");
	if (!path || *json_object_get_string(path) != '/')
		return cow_error_set(err, -ENOTSUP, "image %s: no plugin has mounted it",
				     c->def->image);
	rc = cow_create_settle_user(process, json_object_get_string(path), err);
	c->tree_changed = true;
	return rc;
}
