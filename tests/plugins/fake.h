/* SPDX-License-Identifier: MIT */
/* What the fake plugins share. */
#ifndef TESTS_PLUGINS_FAKE_H
#define TESTS_PLUGINS_FAKE_H

#include "cowherd/plugin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__attribute__((unused)) static const struct cowherd_host *host;
__attribute__((unused)) static struct cowherd_self *self;

/* The entry function; further members of struct cowherd_plugin as designated initialisers. */
#define FAKE_PLUGIN(plugin_name, ...)                                                     \
	const struct cowherd_plugin *cowherd_plugin_entry(uint32_t major, uint32_t minor) \
	{                                                                                 \
		static const struct cowherd_plugin plugin = {                             \
			.size = sizeof(plugin),                                           \
			.abi_major = COWHERD_ABI_MAJOR,                                   \
			.abi_minor = COWHERD_ABI_MINOR,                                   \
			.name = plugin_name,                                              \
			.version = "1",                                                   \
			.description = "fake",                                            \
			__VA_ARGS__                                                       \
		};                                                                        \
		(void)major;                                                              \
		(void)minor;                                                              \
		return &plugin;                                                           \
	}

__attribute__((unused)) static void fake_note(const char *event, long value)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%ld", value);
	host->log(self, COWHERD_LOG_INFO, NULL, event, text);
}

/* The value of a string member `key` anywhere in JSON text without escapes; false: not there. */
__attribute__((unused)) static int fake_string(const char *json, const char *key, char *out, size_t size)
{
	char quoted[80];
	const char *at;
	size_t n;

	(void)snprintf(quoted, sizeof(quoted), "\"%s\"", key);
	at = strstr(json, quoted);
	if (!at)
		return 0;
	at += strlen(quoted);
	at += strspn(at, " :");
	if (*at++ != '"')
		return 0;
	n = strcspn(at, "\"");
	if (n >= size)
		return 0;
	memcpy(out, at, n);
	out[n] = '\0';
	return 1;
}

__attribute__((unused)) static long fake_number(const char *json, const char *key, long otherwise)
{
	char text[32];

	return fake_string(json, key, text, sizeof(text)) ? strtol(text, NULL, 10) : otherwise;
}

#endif
