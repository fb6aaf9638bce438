/* SPDX-License-Identifier: MIT */
#include "disk/slots.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

const char *st_slots_message(int code)
{
	switch (code) {
	case -ENOSPC: return "no available location";
	case -ENOENT: return "not attached";
	case -EBUSY: return "already attached";
	case -ENODEV: return "no SCSI controllers configured for this utility VM";
	case -E2BIG: return "too many SCSI attachments";
	default: return NULL;
	}
}

void st_slot_free(struct st_slot *s)
{
	for (size_t i = 0; i < s->owner_count; i++)
		free(s->owners[i]);
	free(s->owners);
	free(s->path);
	*s = (struct st_slot){ 0 };
}

void st_slots_clear(struct st_slots *t)
{
	for (unsigned c = 0; c < ST_DISK_CONTROLLERS; c++)
		for (unsigned l = 0; l < ST_DISK_LUNS; l++)
			st_slot_free(&t->slot[c][l]);
}

struct st_slot *st_slots_find(struct st_slots *t, const char *path, unsigned *ret_controller,
			      unsigned *ret_lun)
{
	for (unsigned c = 0; c < ST_DISK_CONTROLLERS; c++)
		for (unsigned l = 0; l < ST_DISK_LUNS; l++) {
			struct st_slot *s = &t->slot[c][l];

			if (path ? !s->path || strcmp(s->path, path) != 0
				 : s->path || c >= t->controllers)
				continue;
			*ret_controller = c;
			*ret_lun = l;
			return s;
		}
	return NULL;
}

static int owner_add(struct st_slot *s, const char *owner)
{
	char **owners, *copy;

	for (size_t i = 0; i < s->owner_count; i++)
		if (strcmp(s->owners[i], owner) == 0)
			return 0;
	owners = reallocarray(s->owners, s->owner_count + 1, sizeof(*owners));
	if (!owners)
		return -ENOMEM;
	s->owners = owners;
	copy = strdup(owner);
	if (!copy)
		return -ENOMEM;
	owners[s->owner_count++] = copy;
	return 0;
}

int st_slots_add(struct st_slots *t, const char *path, const char *owner, bool readonly,
		 unsigned *ret_controller, unsigned *ret_lun, bool *ret_first)
{
	struct st_slot *s = st_slots_find(t, path, ret_controller, ret_lun);
	int r;

	if (t->controllers > ST_DISK_CONTROLLERS)
		return -E2BIG;
	if (t->controllers == 0)
		return -ENODEV;
	if (s && s->readonly && !readonly)
		return -EBUSY;
	*ret_first = !s;
	if (!s) {
		s = st_slots_find(t, NULL, ret_controller, ret_lun);
		if (!s)
			return -ENOSPC;
		s->path = strdup(path);
		if (!s->path)
			return -ENOMEM;
		s->readonly = readonly;
	}
	r = owner_add(s, owner);
	if (r < 0 && *ret_first)
		st_slot_free(s);
	return r;
}

int st_slots_remove(struct st_slots *t, const char *path, const char *owner, bool *ret_last)
{
	unsigned c, l;
	struct st_slot *s = st_slots_find(t, path, &c, &l);

	for (size_t i = 0; s && i < s->owner_count; i++) {
		if (strcmp(s->owners[i], owner) != 0)
			continue;
		free(s->owners[i]);
		s->owners[i] = s->owners[--s->owner_count];
		*ret_last = s->owner_count == 0;
		return 0;
	}
	return -ENOENT;
}

/* Takes value, which is NULL where there was no memory for it. */
static int put(struct json_object *o, const char *key, struct json_object *value)
{
	if (value && json_object_object_add(o, key, value) == 0)
		return 0;
	json_object_put(value);
	return -ENOMEM;
}

static int append(struct json_object *array, struct json_object *value)
{
	if (value && json_object_array_add(array, value) == 0)
		return 0;
	json_object_put(value);
	return -ENOMEM;
}

static int owners_put(struct json_object *o, const struct st_slot *s)
{
	struct json_object *owners = json_object_new_array();
	int r = put(o, "owners", owners);

	for (size_t i = 0; r == 0 && i < s->owner_count; i++)
		r = append(owners, json_object_new_string(s->owners[i]));
	return r;
}

static int slot_append(struct json_object *slots, const struct st_slot *s, unsigned c, unsigned l)
{
	struct json_object *o = json_object_new_object();
	int r = append(slots, o);

	if (r < 0)
		return r;
	return put(o, "controller", json_object_new_int((int)c)) ?:
	       put(o, "lun", json_object_new_int((int)l)) ?:
	       put(o, "path", json_object_new_string(s->path)) ?: owners_put(o, s) ?:
	       put(o, "readonly", json_object_new_boolean(s->readonly)) ?:
	       put(o, "token", json_object_new_string(s->token)) ?:
	       put(o, "device", json_object_new_string(s->device)) ?:
	       put(o, "size", json_object_new_int64((int64_t)s->size));
}

static int table_put(struct json_object *o, const struct st_slots *t)
{
	struct json_object *slots = json_object_new_array();
	int r = put(o, "version", json_object_new_int(1)) ?:
		put(o, "controllers", json_object_new_int((int)t->controllers)) ?:
		put(o, "boot", json_object_new_string(t->boot));

	if (r < 0) {
		json_object_put(slots);
		return r;
	}
	r = put(o, "slots", slots);
	for (unsigned i = 0; r == 0 && i < ST_DISK_CONTROLLERS * ST_DISK_LUNS; i++) {
		unsigned c = i / ST_DISK_LUNS, l = i % ST_DISK_LUNS;

		if (t->slot[c][l].path)
			r = slot_append(slots, &t->slot[c][l], c, l);
	}
	return r;
}

char *st_slots_text(const struct st_slots *t)
{
	struct json_object *o = json_object_new_object();
	const char *text = o && table_put(o, t) == 0 ?
				   json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN) :
				   NULL;
	char *copy = text ? strdup(text) : NULL;

	json_object_put(o);
	return copy;
}

static bool text_copy(struct json_object *o, const char *key, char *to, size_t size)
{
	struct json_object *v = json_object_object_get(o, key);
	const char *text = json_object_is_type(v, json_type_string) ? json_object_get_string(v) : NULL;

	if (!text || strlen(text) >= size)
		return false;
	memcpy(to, text, strlen(text) + 1);
	return true;
}

static int slot_parse(struct json_object *o, struct st_slots *t)
{
	int c = json_object_get_int(json_object_object_get(o, "controller"));
	int l = json_object_get_int(json_object_object_get(o, "lun")), r = 0;
	struct json_object *owners = json_object_object_get(o, "owners");
	struct json_object *named = json_object_object_get(o, "path");
	const char *path = json_object_is_type(named, json_type_string) ?
				   json_object_get_string(named) :
				   NULL;
	struct st_slot *s;

	if (c < 0 || c >= (int)ST_DISK_CONTROLLERS || l < 0 || l >= (int)ST_DISK_LUNS || !path ||
	    !json_object_is_type(owners, json_type_array))
		return -EBADMSG;
	s = &t->slot[c][l];
	if (s->path || !text_copy(o, "token", s->token, sizeof(s->token)) ||
	    !text_copy(o, "device", s->device, sizeof(s->device)))
		return -EBADMSG;
	s->path = strdup(path);
	s->readonly = json_object_get_boolean(json_object_object_get(o, "readonly"));
	s->size = (unsigned long long)json_object_get_int64(json_object_object_get(o, "size"));
	for (size_t i = 0; r == 0 && i < json_object_array_length(owners); i++) {
		const char *owner = json_object_get_string(json_object_array_get_idx(owners, i));

		r = owner ? owner_add(s, owner) : -EBADMSG;
	}
	return s->path ? r : -ENOMEM;
}

int st_slots_parse(const char *text, struct st_slots *ret)
{
	struct json_object *o = json_tokener_parse(text), *slots;
	int r = 0;

	*ret = (struct st_slots){ 0 };
	slots = json_object_is_type(o, json_type_object) ? json_object_object_get(o, "slots") : NULL;
	if (!json_object_is_type(slots, json_type_array) ||
	    json_object_get_int(json_object_object_get(o, "version")) != 1 ||
	    !text_copy(o, "boot", ret->boot, sizeof(ret->boot)))
		r = -EBADMSG;
	if (r == 0)
		ret->controllers =
			(unsigned)json_object_get_int(json_object_object_get(o, "controllers"));
	for (size_t i = 0; r == 0 && i < json_object_array_length(slots); i++)
		r = slot_parse(json_object_array_get_idx(slots, i), ret);
	json_object_put(o);
	if (r < 0)
		st_slots_clear(ret);
	return r;
}
