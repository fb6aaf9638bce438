/* SPDX-License-Identifier: MIT */
#include "verbs/port.h"
#include "attach/state.h"
#include "common/util.h"
#include "model/json.h"
#include "plugin.h"

#include <string.h>

struct job {
	cowherd_op op;
	char *container, *wanted; /* wanted: NULL: all ports */
	struct plug_text out;
	struct plug_error err;
};

static void job_free(struct job *j)
{
	if (!j)
		return;
	free(j->container);
	free(j->wanted);
	plug_text_finish(&j->out);
	free(j);
}

/* Of all endpoints that belong to containers. */
struct endpoints {
	struct net_endpoint **items;
	size_t count;
};

static void endpoints_finish(struct endpoints *all)
{
	for (size_t i = 0; i < all->count; i++)
		net_endpoint_free(all->items[i]);
	free(all->items);
}

static int endpoints_read(struct net_store *s, struct endpoints *ret, struct plug_error *err)
{
	struct net_entry *entries = NULL;
	size_t count = 0;
	int r = net_store_list(s, NET_ENDPOINTS, NULL, &entries, &count, err);

	if (r < 0)
		return r;
	ret->items = calloc(count ? count : 1, sizeof(struct net_endpoint *));
	if (!ret->items)
		r = plug_error_errno(err, -ENOMEM, "port");
	for (size_t i = 0; r == 0 && i < count; i++) {
		r = net_store_endpoint(s, entries[i].id, &ret->items[ret->count], err);
		if (r == -ENOENT) /* gone in between */
			r = 0;
		else if (r == 0)
			ret->count++;
	}
	net_entries_free(entries, count);
	return r;
}

/* The container's id: it is called so, or its id begins so.  NULL: none, or several. */
static const char *container_find(const struct endpoints *all, const char *ref)
{
	const char *found = NULL;

	for (size_t i = 0; i < all->count; i++) {
		const struct net_endpoint *e = all->items[i];
		_cleanup_free_ char *called = net_endpoint_called(e);

		if (e->containers.count && called && !strcmp(called, ref))
			return e->containers.items[0];
	}
	for (size_t i = 0; i < all->count; i++) {
		const struct net_strv *ids = &all->items[i]->containers;

		for (size_t k = 0; k < ids->count; k++) {
			if (strncmp(ids->items[k], ref, strlen(ref)))
				continue;
			if (found && strcmp(found, ids->items[k]))
				return NULL;
			found = ids->items[k];
		}
	}
	return found;
}

static int port_work(void *arg)
{
	__attribute__((cleanup(endpoints_finish))) struct endpoints all = { 0 };
	struct job *j = arg;
	struct net_state *s;
	const char *id;
	int r = net_state_get(&s, &j->err);

	r = r ?: endpoints_read(s->store, &all, &j->err);
	if (r < 0)
		return r;
	id = container_find(&all, j->container);
	if (!id)
		return plug_error_set(&j->err, -ENOENT,
				      "%.128s: no container with a network of its own",
				      j->container);
	for (size_t i = 0; r == 0 && i < all.count; i++)
		if (net_strv_has(&all.items[i]->containers, id))
			r = net_ports_print(all.items[i], j->wanted, &j->out, &j->err);
	if (r == 0 && j->wanted && !j->out.len)
		r = plug_error_set(&j->err, -ENOENT, "No public port '%.32s' published for %.128s",
				   j->wanted, j->container);
	return r;
}

static void port_done(void *arg, int result)
{
	struct job *j = arg;
	struct cowherd_answer answer = { .size = sizeof(answer), .code = result };
	size_t len = j->out.len;

	/* The client ends the last line itself. */
	if (len && j->out.data[len - 1] == '\n')
		j->out.data[len - 1] = 0;
	answer.message = result < 0 && j->err.text[0] ? j->err.text : NULL;
	answer.result = result < 0 ? NULL : j->out.data;
	(void)net_plugin.host->answer(net_plugin.self, j->op, &answer);
	job_free(j);
}

static int refuse(cowherd_op op, const char *text)
{
	(void)net_plugin.host->answer(
		net_plugin.self, op,
		&(struct cowherd_answer){ .size = sizeof(struct cowherd_answer),
					  .code = -EINVAL,
					  .message = text,
					  .exit_code = 125 });
	return COWHERD_LATER;
}

static const char *word(struct json_object *args, size_t i)
{
	return json_object_get_string(json_object_array_get_idx(args, i));
}

static int port_call(void *arg, cowherd_op op, const struct cowherd_call *call)
{
	_cleanup_json_ struct json_object *args = json_tokener_parse(call->args);
	struct job *j;
	size_t count = plug_json_length(args);
	int r;

	(void)arg;
	if (count < 1 || count > 2 || !*word(args, 0) || word(args, 0)[0] == '-')
		return refuse(op, "usage: cowherd port CONTAINER [PORT[/PROTOCOL]]");
	j = calloc(1, sizeof(*j));
	if (!j)
		return -ENOMEM;
	j->op = op;
	j->container = strdup(word(args, 0));
	j->wanted = count > 1 ? strdup(word(args, 1)) : NULL;
	if (!j->container || (count > 1 && !j->wanted)) {
		job_free(j);
		return -ENOMEM;
	}
	r = net_plugin.host->offload(net_plugin.self, port_work, port_done, j);
	if (r < 0) {
		job_free(j);
		return r;
	}
	return COWHERD_LATER;
}

int net_port_register(void)
{
	static const struct cowherd_verb verb = {
		.size = sizeof(verb),
		.name = "port",
		.usage = "port CONTAINER [PORT[/PROTOCOL]]",
		.help = "Show which ports of this host are a container's.",
		.call = port_call,
	};

	return net_plugin.host->register_verb(net_plugin.self, &verb, NULL);
}
