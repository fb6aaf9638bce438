/* SPDX-License-Identifier: MIT */
/* /linux/resources/devices: what the container may open and make. */
#include "compile.h"

#include <errno.h>
#include <string.h>

#define READ 1u
#define WRITE 2u
#define MKNOD 4u
#define ALL (READ | WRITE | MKNOD)

/* The spec's default devices and terminals; making a node gives no access to what it names. */
static const struct launch_cgroup_device always_allowed[] = {
	{ 1, 'c', -1, -1, MKNOD, 0 }, { 1, 'b', -1, -1, MKNOD, 0 },
	{ 1, 'c', 1, 3, ALL, 0 },    /* null */
	{ 1, 'c', 1, 5, ALL, 0 },    /* zero */
	{ 1, 'c', 1, 7, ALL, 0 },    /* full */
	{ 1, 'c', 1, 8, ALL, 0 },    /* random */
	{ 1, 'c', 1, 9, ALL, 0 },    /* urandom */
	{ 1, 'c', 5, 0, ALL, 0 },    /* tty */
	{ 1, 'c', 5, 1, ALL, 0 },    /* console */
	{ 1, 'c', 5, 2, ALL, 0 },    /* ptmx */
	{ 1, 'c', 136, -1, ALL, 0 }, /* pts */
};

static uint32_t rule_access(struct compile *c, const struct node *at)
{
	const char *text = node_text(c, at, "access");
	uint32_t access = 0;

	if (!text || !*text)
		return ALL;
	for (; *text; text++) {
		if (*text != 'r' && *text != 'w' && *text != 'm') {
			compile_fail(c, at, "access", -EINVAL, "not made of r, w and m");
			break;
		}
		access |= *text == 'r' ? READ : *text == 'w' ? WRITE : MKNOD;
	}
	return access;
}

static uint32_t rule_type(struct compile *c, const struct node *at)
{
	const char *type = node_text(c, at, "type");

	if (!type || !*type || !strcmp(type, "a"))
		return 'a';
	if (!strcmp(type, "c") || !strcmp(type, "u"))
		return 'c';
	if (!strcmp(type, "b"))
		return 'b';
	compile_fail(c, at, "type", -EINVAL, "\"%s\" is none of a, b, c", type);
	return 0;
}

static bool rule_is_all(const struct launch_cgroup_device *rule)
{
	return rule->type == 'a' && rule->major < 0 && rule->minor < 0 && rule->access == ALL;
}

static void rule_compile(struct compile *c, const struct node *at,
			 struct launch_cgroup_device *rule)
{
	bool allow = false;

	node_bool(c, at, "allow", &allow);
	rule->allow = allow;
	rule->type = rule_type(c, at);
	rule->major = rule->minor = -1;
	node_int(c, at, "major", -1, UINT32_MAX, &rule->major);
	node_int(c, at, "minor", -1, UINT32_MAX, &rule->minor);
	rule->access = rule_access(c, at);
}

/* v1 reads 'a' as "all devices, all access" whatever else is said: say b and c where more is. */
static void rule_add(struct compile *c, struct launch_cgroup_device rule, struct rows *rows)
{
	if (rule.type == 'a' && !rule_is_all(&rule)) {
		rule.type = 'b';
		rows_add(c, rows, &rule, sizeof(rule));
		rule.type = 'c';
	}
	rows_add(c, rows, &rule, sizeof(rule));
}

/* Engines say most of what is always allowed themselves; every row is a write on v1. */
static bool rule_known(const struct rows *rows, const struct launch_cgroup_device *rule)
{
	const struct launch_cgroup_device *row = (const void *)rows->data;

	for (size_t i = rows->n; i > 0 && row[i - 1].allow; i--)
		if (rule_is_all(&row[i - 1]) || !memcmp(&row[i - 1], rule, sizeof(*rule)))
			return true;
	return false;
}

void compile_device_rules(struct compile *c, const struct node *resources)
{
	struct launch_cgroup_device none = { 0, 'a', -1, -1, ALL, 0 };
	struct node array = { 0 }, element;
	struct rows rows = { 0 };
	size_t n = 0;

	if (resources && node_array(c, resources, "devices", &array))
		n = node_length(&array);
	for (size_t i = 0; i < n && node_row(c, &array, i, &element); i++) {
		struct launch_cgroup_device rule = { 0 };

		rule_compile(c, &element, &rule);
		if (i == 0 && !rule_is_all(&rule))
			rule_add(c, none, &rows);
		rule_add(c, rule, &rows);
	}
	if (!n)
		rule_add(c, none, &rows);
	for (size_t i = 0; i < sizeof(always_allowed) / sizeof(always_allowed[0]); i++)
		if (!rule_known(&rows, &always_allowed[i]))
			rule_add(c, always_allowed[i], &rows);
	c->plan.cgroup_devices = rows_take(c, &rows, sizeof(struct launch_cgroup_device));
}
