/* SPDX-License-Identifier: MIT */
/* /linux/seccomp: from JSON to the bytes of a profile. */
#include "filter.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>

#define ERRNO_MAX 4094u /* what libseccomp takes */
#define TRACE_MAX 0xffffu

struct name_value {
	const char *name;
	uint32_t value;
};

static const struct name_value actions[] = {
	{ "SCMP_ACT_ALLOW", SCMP_ACT_ALLOW },
	{ "SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(0) },
	{ "SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD },
	{ "SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS },
	{ "SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD },
	{ "SCMP_ACT_LOG", SCMP_ACT_LOG },
	{ "SCMP_ACT_NOTIFY", SCMP_ACT_NOTIFY },
	{ "SCMP_ACT_TRACE", SCMP_ACT_TRACE(0) },
	{ "SCMP_ACT_TRAP", SCMP_ACT_TRAP },
};

static const struct name_value operators[] = {
	{ "SCMP_CMP_EQ", SCMP_CMP_EQ }, { "SCMP_CMP_GE", SCMP_CMP_GE },
	{ "SCMP_CMP_GT", SCMP_CMP_GT }, { "SCMP_CMP_LE", SCMP_CMP_LE },
	{ "SCMP_CMP_LT", SCMP_CMP_LT }, { "SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ },
	{ "SCMP_CMP_NE", SCMP_CMP_NE },
};

/* TSYNC has nothing to do: the filter is loaded while there is one thread. */
static const struct name_value filter_flags[] = {
	{ "SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG },
	{ "SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW },
	{ "SECCOMP_FILTER_FLAG_TSYNC", 0 },
	{ "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV },
};

static const struct name_value archs[] = {
	{ "SCMP_ARCH_AARCH64", SCMP_ARCH_AARCH64 },
	{ "SCMP_ARCH_ARM", SCMP_ARCH_ARM },
	{ "SCMP_ARCH_MIPS", SCMP_ARCH_MIPS },
	{ "SCMP_ARCH_MIPS64", SCMP_ARCH_MIPS64 },
	{ "SCMP_ARCH_MIPS64N32", SCMP_ARCH_MIPS64N32 },
	{ "SCMP_ARCH_MIPSEL", SCMP_ARCH_MIPSEL },
	{ "SCMP_ARCH_MIPSEL64", SCMP_ARCH_MIPSEL64 },
	{ "SCMP_ARCH_MIPSEL64N32", SCMP_ARCH_MIPSEL64N32 },
	{ "SCMP_ARCH_PARISC", SCMP_ARCH_PARISC },
	{ "SCMP_ARCH_PARISC64", SCMP_ARCH_PARISC64 },
	{ "SCMP_ARCH_PPC", SCMP_ARCH_PPC },
	{ "SCMP_ARCH_PPC64", SCMP_ARCH_PPC64 },
	{ "SCMP_ARCH_PPC64LE", SCMP_ARCH_PPC64LE },
	{ "SCMP_ARCH_RISCV64", SCMP_ARCH_RISCV64 },
	{ "SCMP_ARCH_S390", SCMP_ARCH_S390 },
	{ "SCMP_ARCH_S390X", SCMP_ARCH_S390X },
	{ "SCMP_ARCH_X32", SCMP_ARCH_X32 },
	{ "SCMP_ARCH_X86", SCMP_ARCH_X86 },
	{ "SCMP_ARCH_X86_64", SCMP_ARCH_X86_64 },
};
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const struct name_value *find(const char *name, const struct name_value *table, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(name, table[i].name))
			return &table[i];
	return NULL;
}

static void profile_add(struct compile *c, struct seccomp_profile *profile, const void *data,
			size_t len)
{
	size_t room = profile->room ? profile->room : 4096;
	char *grown;

	if (c->code)
		return;
	while (room < profile->len + len)
		room *= 2;
	if (room != profile->room) {
		grown = realloc(profile->data, room);
		if (!grown) {
			compile_oom(c);
			return;
		}
		profile->data = grown;
		profile->room = room;
	}
	memcpy(profile->data + profile->len, data, len);
	profile->len += len;
}

/* An action with its errno, which only ERRNO and TRACE can have; EPERM where none is said. */
static uint32_t parse_action(struct compile *c, const struct node *at, const char *key,
			     const char *errno_key)
{
	const char *name = node_text_required(c, at, key);
	const struct name_value *action = name ? find(name, actions, COUNT(actions)) : NULL;
	bool trace, has_errno;
	uint64_t number = EPERM;

	if (!action) {
		compile_fail(c, at, key, -EINVAL, "\"%s\" is not known", name ? name : "");
		return 0;
	}
	trace = action->value == SCMP_ACT_TRACE(0);
	has_errno = trace || action->value == SCMP_ACT_ERRNO(0);
	if (node_uint(c, at, errno_key, trace ? TRACE_MAX : ERRNO_MAX, &number) && !has_errno)
		compile_fail(c, at, errno_key, -EINVAL, "%s has no errno", name);
	return has_errno ? action->value | (uint32_t)number : action->value;
}

static uint32_t parse_flags(struct compile *c, const struct node *section)
{
	const struct name_value *flag;
	struct node array, element;
	uint32_t set = 0;
	const char *name;

	if (!node_array(c, section, "flags", &array))
		return 0;
	for (size_t i = 0; i < node_length(&array) && !c->code; i++) {
		element = node_element(&array, i);
		name = node_string(c, &element);
		flag = name ? find(name, filter_flags, COUNT(filter_flags)) : NULL;
		if (flag)
			set |= flag->value;
		else
			compile_fail(c, &element, NULL, -EINVAL, "\"%s\" is not known",
				     name ? name : "");
	}
	return set;
}

static void parse_arch(struct compile *c, const struct node *at, struct seccomp_head *head)
{
	const char *name = node_string(c, at);
	const struct name_value *arch;

	if (!name)
		return;
	arch = find(name, archs, COUNT(archs));
	if (!arch) {
		/* One that is newer than this program stays forbidden, which is the safe side. */
		if (strncmp(name, "SCMP_ARCH_", 10) != 0 || !name[10] || strlen(name) > 40)
			compile_fail(c, at, NULL, -EINVAL, "\"%s\" is no architecture", name);
		return;
	}
	for (uint32_t i = 0; i < head->n_archs; i++)
		if (head->archs[i] == arch->value)
			return;
	head->archs[head->n_archs++] = arch->value;
}

static void parse_arg(struct compile *c, const struct node *at, struct seccomp_arg *arg)
{
	const char *name = node_text_required(c, at, "op");
	const struct name_value *op = name ? find(name, operators, COUNT(operators)) : NULL;
	uint64_t index = 0;

	if (!node_uint(c, at, "index", 5, &index))
		compile_fail(c, at, "index", -EINVAL, "is missing");
	if (!node_uint(c, at, "value", UINT64_MAX, &arg->value))
		compile_fail(c, at, "value", -EINVAL, "is missing");
	node_uint(c, at, "valueTwo", UINT64_MAX, &arg->value_two);
	if (!op)
		compile_fail(c, at, "op", -EINVAL, "\"%s\" is not known", name ? name : "");
	arg->index = (uint32_t)index;
	arg->op = op ? op->value : 0;
}

static void parse_args(struct compile *c, const struct node *at, struct seccomp_profile *profile,
		       struct seccomp_rule *rule)
{
	struct node array, element;

	if (!node_array(c, at, "args", &array))
		return;
	if (node_length(&array) > SECCOMP_ARGS_MAX)
		compile_fail(c, &array, NULL, -EINVAL, "more than %u conditions", SECCOMP_ARGS_MAX);
	for (size_t i = 0; i < node_length(&array) && node_row(c, &array, i, &element); i++) {
		struct seccomp_arg arg = { 0 };

		parse_arg(c, &element, &arg);
		profile_add(c, profile, &arg, sizeof(arg));
		rule->n_args++;
	}
}

static void parse_names(struct compile *c, const struct node *at, struct seccomp_profile *profile,
			struct seccomp_rule *rule)
{
	struct node array, element;
	const char *name;

	if (!node_array(c, at, "names", &array) || !node_length(&array))
		compile_fail(c, at, "names", -EINVAL, "is missing");
	if (c->code)
		return;
	for (size_t i = 0; i < node_length(&array) && !c->code; i++) {
		element = node_element(&array, i);
		name = node_string(c, &element);
		if (!name)
			return;
		/* A supervisor that gets its own write() to answer would wait for itself. */
		if (rule->action == SCMP_ACT_NOTIFY && !strcmp(name, "write"))
			compile_fail(c, &element, NULL, -EINVAL, "write cannot be SCMP_ACT_NOTIFY");
		profile_add(c, profile, name, strlen(name) + 1);
		rule->n_names++;
	}
}

static void parse_rule(struct compile *c, const struct node *at, struct seccomp_profile *profile,
		       bool *notify)
{
	struct seccomp_rule rule = { .action = parse_action(c, at, "action", "errnoRet") };
	size_t place = profile->len;

	profile_add(c, profile, &rule, sizeof(rule));
	parse_args(c, at, profile, &rule);
	parse_names(c, at, profile, &rule);
	if (!c->code)
		memcpy(profile->data + place, &rule, sizeof(rule));
	*notify |= rule.action == SCMP_ACT_NOTIFY;
}

static void parse_listener(struct compile *c, const struct node *section, bool notify)
{
	struct launch_seccomp *to = &c->plan.seccomp;
	const char *path = node_text(c, section, "listenerPath");
	const char *metadata = node_text(c, section, "listenerMetadata");

	if (notify && (!path || !*path))
		compile_fail(c, section, "listenerPath", -EINVAL,
			     "is missing, and an action is SCMP_ACT_NOTIFY");
	if (metadata && *metadata && (!path || !*path))
		compile_fail(c, section, "listenerMetadata", -EINVAL, "without a listenerPath");
	if (!notify)
		return;
	to->listener_path = build_str(c, path);
	to->listener_metadata = metadata && *metadata ? build_str(c, metadata) : 0;
}

void seccomp_parse(struct compile *c, const struct node *section, struct seccomp_profile *ret)
{
	struct seccomp_head head = { 0 };
	struct node array, element;
	bool notify = false;

	head.default_action = parse_action(c, section, "defaultAction", "defaultErrnoRet");
	if (head.default_action == SCMP_ACT_NOTIFY)
		compile_fail(c, section, "defaultAction", -EINVAL, "cannot be SCMP_ACT_NOTIFY");
	head.flags = parse_flags(c, section);
	if (node_array(c, section, "architectures", &array)) {
		for (size_t i = 0; i < node_length(&array) && !c->code; i++) {
			element = node_element(&array, i);
			parse_arch(c, &element, &head);
		}
	}
	profile_add(c, ret, &head, sizeof(head));
	if (node_array(c, section, "syscalls", &array)) {
		for (size_t i = 0; i < node_length(&array) && node_row(c, &array, i, &element);
		     i++) {
			parse_rule(c, &element, ret, &notify);
			head.rules++;
		}
	}
	parse_listener(c, section, notify);
	if (notify)
		head.flags |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
	if (!c->code)
		memcpy(ret->data, &head, sizeof(head));
}
