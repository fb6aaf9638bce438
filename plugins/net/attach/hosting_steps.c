/* SPDX-License-Identifier: MIT */
/* The order of requests to a hosting system, and their texts. */
#include "attach/hosting.h"

#include "common/util.h"

#include <stdio.h>

#define GUEST_NETWORK "Network"
#define GUEST_NAMESPACE "NetworkNamespace"

static const struct net_step windows_add[] = {
	{ .guest = true, .type = "PreAdd" },
	{ .type = "Add" },
	{ .guest = true, .type = "Add" },
};
static const struct net_step linux_add[] = {
	{ .type = "Add" },
	{ .guest = true, .type = "Add" },
};
/* The guest first: it may still be sending. */
static const struct net_step both_remove[] = {
	{ .guest = true, .type = "Remove" },
	{ .type = "Remove" },
};
#define STEPS_MAX PLUG_ELEMENTS(windows_add) /* for one card */

static bool is_windows(const struct net_hosted *h)
{
	return (h->flags & COWHERD_HOSTING_WINDOWS) != 0;
}

/* Linux guests of old know neither namespaces nor cards that come later; Windows guests know cards. */
static bool guest_knows_cards(const struct net_hosted *h)
{
	return is_windows(h) || h->flags & COWHERD_HOSTING_NAMESPACES;
}

static bool guest_knows_namespace(const struct net_hosted *h)
{
	return is_windows(h) && h->flags & COWHERD_HOSTING_NAMESPACES;
}

static size_t card_steps(const struct net_hosted *h, const struct net_card *card, bool remove,
			 struct net_step *to)
{
	const struct net_step *of = remove ? both_remove : is_windows(h) ? windows_add : linux_add;
	size_t of_count = remove	? PLUG_ELEMENTS(both_remove) :
			  is_windows(h) ? PLUG_ELEMENTS(windows_add) :
					  PLUG_ELEMENTS(linux_add);
	size_t n = 0;

	for (size_t i = 0; i < of_count; i++)
		if (!of[i].guest || guest_knows_cards(h))
			to[n++] = (struct net_step){ card, of[i].guest, of[i].type };
	return n;
}

int net_hosted_steps(const struct net_hosted *h, bool remove, struct net_step **ret, size_t *ret_count)
{
	size_t cards = remove ? h->begun : h->count, n = 0;
	struct net_step *steps = calloc(cards * STEPS_MAX + 1, sizeof(*steps));

	if (!steps)
		return -ENOMEM;
	if (!remove && guest_knows_namespace(h))
		steps[n++] = (struct net_step){ NULL, true, "Add" };
	for (size_t i = 0; i < cards; i++)
		n += card_steps(h, &h->cards[remove ? cards - 1 - i : i], remove, &steps[n]);
	if (remove && guest_knows_namespace(h))
		steps[n++] = (struct net_step){ NULL, true, "Remove" };
	*ret = steps;
	*ret_count = n;
	return 0;
}

/* ---- texts */

static struct json_object *device(const struct net_card *card)
{
	struct json_object *o = json_object_new_object();

	net_json_add_string(&o, "EndpointId", card->endpoint);
	net_json_add_string(&o, "MacAddress", card->mac);
	return o;
}

static struct json_object *linux_guest(const struct net_hosted *h, const struct net_step *step)
{
	struct json_object *o;

	if (step->card->settings && *step->type == 'A')
		return json_object_get(step->card->settings);
	o = json_object_new_object();
	net_json_add_string(&o, "NamespaceID", h->ns);
	net_json_add_string(&o, "ID", step->card->id);
	return o;
}

static struct json_object *windows_guest(const struct net_step *step)
{
	struct json_object *o = json_object_new_object();

	net_json_add_string(&o, "AdapterId", step->card->id);
	net_json_add_string(&o, "RequestType", step->type);
	if (*step->type == 'P')
		net_json_add(&o, "Settings", json_object_get(step->card->settings));
	return o;
}

static struct json_object *namespace_settings(const struct net_hosted *h, const struct net_step *step)
{
	struct json_object *o;

	if (h->described && *step->type == 'A')
		return json_object_get(h->described);
	o = json_object_new_object();
	net_json_add_string(&o, "ID", h->ns);
	return o;
}

static struct json_object *settings_of(const struct net_hosted *h, const struct net_step *step)
{
	return !step->card    ? namespace_settings(h, step) :
	       !step->guest   ? device(step->card) :
	       is_windows(h) ? windows_guest(step) :
			       linux_guest(h, step);
}

int net_step_request(const struct net_hosted *h, const struct net_step *step,
		     struct cowherd_hosting_request *ret, char **resource, struct json_object **settings)
{
	const char *text;
	int r;

	*ret = (struct cowherd_hosting_request){
		.size = sizeof(*ret),
		.system = h->system,
		.container = h->container,
		.type = *step->type == 'R' ? "Remove" : "Add",
		.side = step->guest ? COWHERD_HOSTING_GUEST : COWHERD_HOSTING_HOST,
		.netns = step->guest ? NULL : h->netns,
		.link = step->guest ? NULL : step->card->link,
	};
	r = step->guest ? asprintf(resource, "%s", step->card ? GUEST_NETWORK : GUEST_NAMESPACE) :
			  asprintf(resource, "VirtualMachine/Devices/NetworkAdapters/%s", step->card->id);
	if (r < 0)
		*resource = NULL;
	*settings = settings_of(h, step);
	text = *settings ? json_object_to_json_string_ext(*settings, JSON_C_TO_STRING_PLAIN) : NULL;
	ret->resource = *resource;
	ret->settings = text;
	return *resource && text ? 0 : -ENOMEM;
}
