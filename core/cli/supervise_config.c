/* SPDX-License-Identifier: MIT */
#include "cli/supervise_config.h"

#include "base/cleanup.h"
#include "spec/create.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A plugin says "/pointer: cause" or only the cause; the pointer is relative to its section. */
static void complain_section(struct cow_config_errors *errors,
			     const struct cow_config_plugin *section, const char *message)
{
	const char *cause = *message == '/' ? strstr(message, ": ") : NULL;
	_cleanup_free_ char *pointer = NULL;

	pointer = cause ? cow_asprintf("/plugins/%s%.*s", section->name, (int)(cause - message),
				       message)
			: cow_asprintf("/plugins/%s", section->name);
	cow_config_complain_at(errors, section->file, pointer ? pointer : "/plugins",
			       cause ? cause + 2 : message);
}

bool cow_config_check_plugins(const struct cow_config *config, struct cow_host *host,
			      struct cow_config_errors *errors)
{
	bool good = true;

	for (size_t i = 0; i < config->plugin_count; i++) {
		const struct cow_config_plugin *section = &config->plugins[i];
		struct cow_error err = { 0 };

		if (cow_host_config_check(host, section->name, section->json, &err) == 0)
			continue;
		complain_section(errors, section, err.message);
		good = false;
	}
	return good;
}

static const char *section_of(const struct cow_config *config, const char *name)
{
	for (size_t i = 0; config && i < config->plugin_count; i++)
		if (strcmp(config->plugins[i].name, name) == 0)
			return config->plugins[i].json;
	return NULL;
}

int cow_config_apply_plugins(const struct cow_config *config, const struct cow_config *old,
			     struct cow_host *host, struct cow_config_errors *errors)
{
	int first = 0;

	for (size_t i = 0; i < config->plugin_count; i++) {
		const struct cow_config_plugin *section = &config->plugins[i];
		const char *before = section_of(old, section->name);
		struct cow_error err = { 0 };
		int r;

		if (before && strcmp(before, section->json) == 0)
			continue;
		r = cow_host_config_apply(host, section->name, section->json, &err);
		if (r == 0)
			continue;
		complain_section(errors, section, err.message);
		first = first ? first : r;
	}
	/* A section that is gone is as an empty one. */
	for (size_t i = 0; old && i < old->plugin_count; i++)
		if (!section_of(config, old->plugins[i].name))
			(void)cow_host_config_apply(host, old->plugins[i].name, "{}", NULL);
	return first;
}

static int check_backend(const struct cow_create *create, struct cow_host *host,
			 struct cow_error *err)
{
	const struct cowherd_request request = {
		.size = sizeof(request),
		.container = create->id,
		.name = create->name,
		.owner = create->owner,
		.txn = "",
		.bundle = create->bundle ? create->bundle : "/",
		.spec = json_object_to_json_string_ext(create->spec,
						       JSON_C_TO_STRING_NOSLASHESCAPE),
		.options = "{}",
		.run_dir = "/nonexistent",
		.state_dir = "/nonexistent",
	};

	if (!request.spec)
		return cow_error_errno(err, -ENOMEM, "spec");
	if (create->backend && !cow_host_backend(host, create->backend))
		return cow_error_set(err, -ENOENT, "no plugin has a backend \"%s\"",
				     create->backend);
	if (!create->backend && !cow_host_choose_backend(host, &request))
		return cow_error_set(err, -ENOTSUP, "no plugin can run it");
	return 0;
}

bool cow_config_check_containers(const struct cow_config *config, struct cow_host *host,
				 struct cow_config_errors *errors)
{
	bool good = true;

	for (size_t i = 0; i < config->container_count; i++) {
		const struct cow_config_container *c = &config->containers[i];
		const struct cow_json at = { .value = c->params };
		_cleanup_free_ char *pointer = cow_asprintf("/containers/%s", c->name);
		struct cow_create *create = NULL;
		struct cow_error err = { 0 };
		int r = cow_create_parse(&at, NULL, &create, &err);

		if (r == 0)
			r = cow_create_compile(create, &err);
		if (r == 0)
			r = check_backend(create, host, &err);
		cow_create_destroy(create);
		if (r == 0)
			continue;
		cow_config_complain_at(errors, c->file, pointer ? pointer : "/containers",
				       err.message);
		good = false;
	}
	return good;
}
