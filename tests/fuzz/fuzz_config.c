/* SPDX-License-Identifier: MIT */
/*
 * A configuration: cowherd.json, and behind a line "---" each, files of conf.d.  What does not load says
 * why, with lines that name a file; what loads is in order, and each of its containers can be created.
 */
#include "spec/config.h"
#include "spec/create.h"

#include "base/cleanup.h"
#include "base/fs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FRAGMENTS 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[64];

static void must(bool good)
{
	if (!good)
		abort();
}

static void leave(void)
{
	(void)cow_fs_remove_tree(dir);
}

static void arrive(void)
{
	char path[96];

	(void)snprintf(dir, sizeof(dir), "%s/cow-fuzz-XXXXXX",
			 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	must(mkdtemp(dir));
	(void)atexit(leave);
	(void)snprintf(path, sizeof(path), "%s/conf.d", dir);
	must(mkdir(path, 0700) == 0);
}

static void put(unsigned number, const uint8_t *data, size_t size)
{
	_cleanup_fclose_ FILE *file = NULL;
	char path[96];

	if (number == 0)
		(void)snprintf(path, sizeof(path), "%s/cowherd.json", dir);
	else
		(void)snprintf(path, sizeof(path), "%s/conf.d/%u.json", dir, number);
	file = fopen(path, "we");
	must(file && fwrite(data, 1, size, file) == size);
}

static void put_all(const uint8_t *data, size_t size)
{
	char path[96];
	unsigned n = 0;

	for (const uint8_t *end = data + size; n <= FRAGMENTS; n++) {
		const uint8_t *cut = n < FRAGMENTS ? memmem(data, (size_t)(end - data), "\n---\n", 5) : NULL;

		put(n, data, (size_t)((cut ? cut : end) - data));
		if (!cut)
			break;
		data = cut + 5;
	}
	while (++n <= FRAGMENTS) {
		(void)snprintf(path, sizeof(path), "%s/conf.d/%u.json", dir, n);
		(void)unlink(path);
	}
}

/* Each line begins with the file it is about. */
static void errors_good(const struct cow_config_errors *errors)
{
	const char *line = errors->text.data;

	must(errors->count > 0 && line && *line);
	while (*line) {
		const char *end = strchr(line, '\n');

		must(end && (size_t)(end - line) > strlen(dir) && strncmp(line, dir, strlen(dir)) == 0);
		line = end + 1;
	}
}

static void container_good(const struct cow_config *config, size_t i)
{
	const struct cow_config_container *c = &config->containers[i];
	const struct cow_json at = { .value = c->params };
	struct cow_create *create = NULL;
	struct cow_error err = { 0 };

	must(cow_config_find(config, c->name) == i && *c->fingerprint);
	for (size_t k = 0; k < c->dependency_count; k++) {
		must(c->dependencies[k].index < i);
		must(strcmp(config->containers[c->dependencies[k].index].name, c->dependencies[k].name) == 0);
	}
	must(cow_create_parse(&at, NULL, &create, &err) == 0);
	must(strcmp(create->name, c->name) == 0);
	cow_create_destroy(create);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cow_config_errors errors = { 0 };
	struct cow_config *config = NULL;
	char path[96];

	if (!*dir)
		arrive();
	put_all(data, size);
	(void)snprintf(path, sizeof(path), "%s/cowherd.json", dir);
	if (cow_config_load(path, &config, &errors) < 0) {
		errors_good(&errors);
	} else {
		must(errors.count == 0);
		for (size_t i = 0; i < config->container_count; i++)
			container_good(config, i);
		cow_config_destroy(config);
	}
	cow_config_errors_finish(&errors);
	return 0;
}
