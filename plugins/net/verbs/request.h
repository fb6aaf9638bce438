/* SPDX-License-Identifier: MIT */
/*
 * Requests as HNS takes them, (method, path, body), and its answers: {"Success": true, "Output": …} or
 * {"Success": false, "Error": text}.  The same under /v2/ with HCN's shapes, its texts, and an "ErrorCode":
 *
 *	GET    /v2/networks[/ID]	all that the query in the body means; one
 *	POST   /v2/networks		create
 *	POST   /v2/networks/ID		modify request
 *	DELETE /v2/networks/ID
 *
 * and so for endpoints, namespaces (and POST /v2/namespaces/ID/sync), loadbalancers and routes.
 */
#ifndef NET_VERBS_REQUEST_H
#define NET_VERBS_REQUEST_H

#include "verbs/api.h"

/* body: may be NULL or empty.  true: success.  *ret: the answer, NULL where memory is missing. */
bool net_request(const struct net_api *api, const char *method, const char *path, const char *body,
		 struct json_object **ret);

/* The number that HCN gives a failure; hresult of what a negative errno means there. */
uint32_t net_hresult(enum net_kind kind, int code);

#endif
