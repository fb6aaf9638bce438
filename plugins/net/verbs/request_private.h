/* SPDX-License-Identifier: MIT */
/* One request under way.  Private to request*.c. */
#ifndef NET_VERBS_REQUEST_PRIVATE_H
#define NET_VERBS_REQUEST_PRIVATE_H

#include "model/shape.h"
#include "verbs/request.h"

struct request {
	const struct net_api *api;
	const char *method, *path;
	bool hcn;
	enum net_kind kind;
	char id[NET_NAME_MAX + 1], action[NET_NAME_MAX + 1]; /* "": none */
	struct json_object *body;   /* an object, or NULL */
	struct json_object *output; /* NULL: none */
	struct plug_error err;
};

bool net_request_is(const struct request *q, const char *method);
/* -EINVAL: there is no body. */
int net_request_body(struct request *q);
/* /v2/NAME… */
int net_request_hcn(struct request *q, const char *name);

#endif
