/* SPDX-License-Identifier: MIT */
#include "layer/chain.h"

#include "common/json.h"
#include "layer/tree.h"
#include "common/util.h"

#include <errno.h>
#include <json-c/json.h>
#include <string.h>

#define FILE_NAME "layerchain.json"
#define FILE_MAX (1u << 20)

int st_chain_add(struct st_chain *chain, const char *path, struct plug_error *err)
{
	char **more, *copy;

	if (*path != '/')
		return plug_error_set(err, -EINVAL, "layer %.200s: not an absolute path", path);
	if (chain->count == ST_CHAIN_MAX)
		return plug_error_set(err, -E2BIG, "layers: more than %d", ST_CHAIN_MAX);
	more = realloc(chain->path, (chain->count + 1) * sizeof(*more));
	if (!more)
		return plug_error_errno(err, -ENOMEM, "layers");
	chain->path = more;
	copy = strdup(path);
	if (!copy)
		return plug_error_errno(err, -ENOMEM, "layers");
	/* "DIR/" is "DIR": names are made from it. */
	for (size_t n = strlen(copy); n > 1 && copy[n - 1] == '/'; n--)
		copy[n - 1] = 0;
	chain->path[chain->count++] = copy;
	return 0;
}

void st_chain_finish(struct st_chain *chain)
{
	for (size_t i = 0; i < chain->count; i++)
		free(chain->path[i]);
	free(chain->path);
	*chain = (struct st_chain){ 0 };
}

static int unmarshall(const char *text, size_t size, struct st_chain *chain, struct plug_error *err)
{
	struct json_tokener *tok = json_tokener_new();
	struct json_object *list = tok ? json_tokener_parse_ex(tok, text, (int)size + 1) : NULL;
	const char *cause = "not an array of paths";
	int r = tok ? 0 : -ENOMEM;

	if (tok && json_tokener_get_error(tok) != json_tokener_success)
		cause = json_tokener_error_desc(json_tokener_get_error(tok));
	if (r == 0 && !json_object_is_type(list, json_type_array))
		r = -EBADMSG;
	for (size_t i = 0; r == 0 && i < json_object_array_length(list); i++) {
		struct json_object *o = json_object_array_get_idx(list, i);
		struct plug_error inner = { 0 };

		if (!json_object_is_type(o, json_type_string))
			r = -EBADMSG;
		else
			r = st_chain_add(chain, json_object_get_string(o), &inner);
		if (inner.code) {
			r = plug_error_set(err, inner.code, "Failed to unmarshall layerchain json - %s",
					   inner.text);
			cause = NULL;
		}
	}
	json_object_put(list);
	if (tok)
		json_tokener_free(tok);
	return r < 0 && cause
		       ? plug_error_set(err, r, "Failed to unmarshall layerchain json - %s",
					r == -ENOMEM ? "out of memory" : cause)
		       : r;
}

int st_chain_read(int dirfd, struct st_chain *ret, struct plug_error *err)
{
	_cleanup_free_ char *text = NULL;
	struct st_chain chain = { 0 };
	size_t size;
	int r = st_tree_read_file(dirfd, FILE_NAME, FILE_MAX, &text, &size);

	if (r == -ENOENT) {
		*ret = chain;
		return 0;
	}
	if (r < 0)
		return plug_error_errno(err, r, "Unable to read layerchain file - %s", FILE_NAME);
	r = unmarshall(text, size, &chain, err);
	if (r < 0)
		st_chain_finish(&chain);
	else
		*ret = chain;
	return r;
}

int st_chain_write(int dirfd, const struct st_chain *chain, struct plug_error *err)
{
	struct json_object *list = json_object_new_array();
	const char *text;
	int r = list ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < chain->count; i++)
		r = st_json_append(list, json_object_new_string(chain->path[i]));
	text = r == 0 ? json_object_to_json_string_ext(
				list, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)
		      : NULL;
	if (!text) {
		json_object_put(list);
		return plug_error_set(err, -ENOMEM,
				      "Failed to marshall layerchain json - out of memory");
	}
	r = st_tree_write_file(dirfd, FILE_NAME, 0600, text, strlen(text));
	json_object_put(list);
	if (r < 0)
		return plug_error_errno(err, r, "Unable to write layerchain file - %s", FILE_NAME);
	return 0;
}
