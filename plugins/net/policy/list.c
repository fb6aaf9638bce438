/* SPDX-License-Identifier: MIT */
/* Lists of addresses, ports and protocols, as policies write them. */
#include "policy/private.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* What a list is made of: parse one word into the place at the end. */
struct list {
	void *items;
	size_t count, size; /* size: of one */
	int (*parse)(const char *word, void *item);
};

static int list_add(struct list *l, const char *word, size_t len, const char *key,
		    struct plug_error *err)
{
	char text[128];
	void *items;

	while (len && (*word == ' ' || *word == '\t')) {
		word++;
		len--;
	}
	while (len && (word[len - 1] == ' ' || word[len - 1] == '\t'))
		len--;
	if (l->count == NET_POLICY_LIST_MAX)
		return plug_error_set(err, -EINVAL, "%s: more than %d", key, NET_POLICY_LIST_MAX);
	(void)snprintf(text, sizeof(text), "%.*s", (int)(len < sizeof(text) ? len : sizeof(text)),
		       word);
	items = reallocarray(l->items, l->count + 1, l->size);
	if (!items)
		return plug_error_errno(err, -ENOMEM, "%s", key);
	l->items = items;
	if (len >= sizeof(text) || l->parse(text, (char *)items + l->count * l->size) < 0)
		return plug_error_set(err, -EINVAL, "%s: \"%s\" is not valid", key, text);
	l->count++;
	return 0;
}

static int list_text(struct list *l, const char *text, const char *key, struct plug_error *err)
{
	int r = 0;

	while (r == 0 && *text) {
		size_t len = strcspn(text, ",");

		r = list_add(l, text, len, key, err);
		text += len + (text[len] == ',');
	}
	return r;
}

static int list_array(struct list *l, struct json_object *o, const char *key, struct plug_error *err)
{
	struct json_object *array = NULL;
	int r = net_json_array(o, key, &array, err);

	for (size_t i = 0; r == 0 && i < plug_json_length(array); i++) {
		struct json_object *v = json_object_array_get_idx(array, i);
		const char *text =
			json_object_is_type(v, json_type_string) ? json_object_get_string(v) : "";

		r = list_add(l, text, strlen(text), key, err);
	}
	return r;
}

static int prefix_word(const char *word, void *item)
{
	struct net_addr *p = item;
	int r = net_addr_parse_prefix(word, p);

	if (r == 0)
		*p = net_addr_network(p);
	return r;
}

static int port_word(const char *word, void *item)
{
	struct net_port_range *range = item;
	unsigned first, last;
	char end;

	if (strspn(word, "0123456789-") != strlen(word) || strlen(word) > 11)
		return -EINVAL;
	if (sscanf(word, "%u-%u%c", &first, &last, &end) != 2) {
		if (sscanf(word, "%u%c", &first, &end) != 1)
			return -EINVAL;
		last = first;
	}
	if (first > last || last > UINT16_MAX)
		return -EINVAL;
	*range = (struct net_port_range){ (uint16_t)first, (uint16_t)last };
	return 0;
}

static int protocol_word(const char *word, void *item)
{
	static const struct {
		const char *name;
		uint16_t number;
	} names[] = {
		{ "tcp", IPPROTO_TCP },	  { "udp", IPPROTO_UDP },	{ "sctp", IPPROTO_SCTP },
		{ "icmp", IPPROTO_ICMP }, { "icmpv6", IPPROTO_ICMPV6 }, { "igmp", IPPROTO_IGMP },
		{ "any", 256 },
	};
	uint16_t *number = item;
	unsigned n;
	char end;

	for (size_t i = 0; i < PLUG_ELEMENTS(names); i++)
		if (!strcasecmp(word, names[i].name)) {
			*number = names[i].number;
			return 0;
		}
	if (strspn(word, "0123456789") != strlen(word) || strlen(word) > 3 ||
	    sscanf(word, "%u%c", &n, &end) != 1 || n > 256)
		return -EINVAL;
	*number = (uint16_t)n;
	return 0;
}

int net_list_prefixes(const char *text, const char *key, struct net_prefixes *ret,
		      struct plug_error *err)
{
	struct list l = { .size = sizeof(struct net_addr), .parse = prefix_word };
	int r = list_text(&l, text, key, err);

	if (r < 0) {
		free(l.items);
		return r;
	}
	*ret = (struct net_prefixes){ l.items, l.count };
	return 0;
}

int net_list_prefixes_array(struct json_object *o, const char *key, struct net_prefixes *ret,
			    struct plug_error *err)
{
	struct list l = { .size = sizeof(struct net_addr), .parse = prefix_word };
	int r = list_array(&l, o, key, err);

	if (r < 0) {
		free(l.items);
		return r;
	}
	*ret = (struct net_prefixes){ l.items, l.count };
	return 0;
}

int net_list_ports(const char *text, const char *key, struct net_port_range **ret,
		   size_t *ret_count, struct plug_error *err)
{
	struct list l = { .size = sizeof(struct net_port_range), .parse = port_word };
	int r = list_text(&l, text, key, err);

	if (r < 0) {
		free(l.items);
		return r;
	}
	*ret = l.items;
	*ret_count = l.count;
	return 0;
}

int net_list_ports_array(struct json_object *o, const char *key, struct net_port_range **ret,
			 size_t *ret_count, struct plug_error *err)
{
	struct list l = { .size = sizeof(struct net_port_range), .parse = port_word };
	int r = list_array(&l, o, key, err);

	if (r < 0) {
		free(l.items);
		return r;
	}
	*ret = l.items;
	*ret_count = l.count;
	return 0;
}

int net_list_protocols(const char *text, const char *key, uint8_t **ret, size_t *ret_count,
		       struct plug_error *err)
{
	struct list l = { .size = sizeof(uint16_t), .parse = protocol_word };
	int r = list_text(&l, text, key, err);
	_cleanup_free_ uint16_t *numbers = l.items;
	uint8_t *protocols;

	if (r < 0)
		return r;
	for (size_t i = 0; i < l.count; i++)
		if (numbers[i] == 256) /* all of them: as if there were no list */
			return 0;
	if (!l.count)
		return 0;
	protocols = malloc(l.count);
	if (!protocols)
		return plug_error_errno(err, -ENOMEM, "%s", key);
	for (size_t i = 0; i < l.count; i++)
		protocols[i] = (uint8_t)numbers[i];
	*ret = protocols;
	*ret_count = l.count;
	return 0;
}

static void port_print(const struct net_port_range *r, char text[16])
{
	if (r->first == r->last)
		(void)snprintf(text, 16, "%u", r->first);
	else
		(void)snprintf(text, 16, "%u-%u", r->first, r->last);
}

static struct json_object *text_object(struct plug_text *t)
{
	struct json_object *o = t->failed ? NULL : json_object_new_string(t->data ? t->data : "");

	plug_text_finish(t);
	return o;
}

struct json_object *net_list_print_prefixes(const struct net_prefixes *p)
{
	struct plug_text t = { 0 };
	char text[NET_ADDR_TEXT];

	for (size_t i = 0; i < p->count; i++) {
		net_addr_format_prefix(&p->items[i], text);
		plug_text_add(&t, "%s%s", i ? "," : "", text);
	}
	return text_object(&t);
}

struct json_object *net_list_print_prefixes_array(const struct net_prefixes *p)
{
	struct json_object *array = json_object_new_array();
	char text[NET_ADDR_TEXT];

	for (size_t i = 0; i < p->count; i++) {
		net_addr_format_prefix(&p->items[i], text);
		net_json_append(&array, json_object_new_string(text));
	}
	return array;
}

struct json_object *net_list_print_ports(const struct net_port_range *r, size_t count)
{
	struct plug_text t = { 0 };
	char text[16];

	for (size_t i = 0; i < count; i++) {
		port_print(&r[i], text);
		plug_text_add(&t, "%s%s", i ? "," : "", text);
	}
	return text_object(&t);
}

struct json_object *net_list_print_ports_array(const struct net_port_range *r, size_t count)
{
	struct json_object *array = json_object_new_array();
	char text[16];

	for (size_t i = 0; i < count; i++) {
		port_print(&r[i], text);
		net_json_append(&array, json_object_new_string(text));
	}
	return array;
}

struct json_object *net_list_print_protocols(const uint8_t *p, size_t count)
{
	struct plug_text t = { 0 };

	for (size_t i = 0; i < count; i++)
		plug_text_add(&t, "%s%u", i ? "," : "", p[i]);
	return text_object(&t);
}
