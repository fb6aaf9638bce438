/* SPDX-License-Identifier: MIT */
/* /process, or the process object of an exec; what an exec leaves out comes from the container. */
#include "compile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define GROUPS_MAX 65536u /* setgroups(2): NGROUPS_MAX */
#define TERMINAL_MAX 0xffff

static const struct {
	const char *name;
	uint32_t resource;
} rlimits[] = {
	{ "RLIMIT_AS", RLIMIT_AS },
	{ "RLIMIT_CORE", RLIMIT_CORE },
	{ "RLIMIT_CPU", RLIMIT_CPU },
	{ "RLIMIT_DATA", RLIMIT_DATA },
	{ "RLIMIT_FSIZE", RLIMIT_FSIZE },
	{ "RLIMIT_LOCKS", RLIMIT_LOCKS },
	{ "RLIMIT_MEMLOCK", RLIMIT_MEMLOCK },
	{ "RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE },
	{ "RLIMIT_NICE", RLIMIT_NICE },
	{ "RLIMIT_NOFILE", RLIMIT_NOFILE },
	{ "RLIMIT_NPROC", RLIMIT_NPROC },
	{ "RLIMIT_RSS", RLIMIT_RSS },
	{ "RLIMIT_RTPRIO", RLIMIT_RTPRIO },
	{ "RLIMIT_RTTIME", RLIMIT_RTTIME },
	{ "RLIMIT_SIGPENDING", RLIMIT_SIGPENDING },
	{ "RLIMIT_STACK", RLIMIT_STACK },
};

static struct launch_vec copy_strings(struct compile *c, const struct launch_plan *base,
				      struct launch_vec from)
{
	struct launch_vec to = build_vec(c, from.n, sizeof(launch_str));

	for (uint32_t i = 0; i < to.n && !c->code; i++) {
		launch_str s =
			build_str(c, launch_text(base, *launch_at(base, from, launch_str, i)));

		build_put(c, to, i, &s, sizeof(s));
	}
	return to;
}

/* Everything of the container's process but its program and its terminal. */
static void process_copy(struct compile *c, const struct launch_plan *base)
{
	const struct launch_process *from = &base->process;
	struct launch_process *to = &c->plan.process;

	*to = *from;
	to->args = (struct launch_vec){ 0, 0 };
	to->env = copy_strings(c, base, from->env);
	to->cwd = build_str(c, launch_text(base, from->cwd));
	to->groups = build_copy(c, (const char *)base + from->groups.off, from->groups.n,
				sizeof(uint32_t));
	to->rlimits = build_copy(c, (const char *)base + from->rlimits.off, from->rlimits.n,
				 sizeof(struct launch_rlimit));
	to->apparmor = build_str(c, launch_text(base, from->apparmor));
	to->selinux = build_str(c, launch_text(base, from->selinux));
	to->terminal = 0;
	to->height = 0;
	to->width = 0;
}

static void compile_args(struct compile *c, const struct node *at)
{
	struct launch_process *p = &c->plan.process;

	if (!node_strings(c, at, "args", &p->args) || !p->args.n)
		compile_fail(c, at, "args", -EINVAL, "is missing");
}

/* The last of each name counts, as with others: which one programs take, differs. */
static bool env_is_last(struct compile *c, struct json_object *later, const char *text,
			const char *value)
{
	char *name = strndup(text, (size_t)(value - text));
	bool last = name && !json_object_object_get_ex(later, name, NULL);

	if (!name || (last && json_object_object_add(later, name, NULL) < 0))
		compile_oom(c);
	free(name);
	return last;
}

static void compile_env(struct compile *c, const struct node *at)
{
	struct node array, element;
	struct json_object *later;
	struct launch_vec env;
	const char *text, *value;
	size_t n;

	if (!node_array(c, at, "env", &array))
		return;
	later = json_object_new_object();
	if (!later)
		compile_oom(c);
	n = node_length(&array);
	env = build_vec(c, n, sizeof(launch_str));
	for (size_t i = n; i > 0 && !c->code; i--) {
		launch_str s;

		element = node_element(&array, i - 1);
		text = node_string(c, &element);
		value = text ? strchr(text, '=') : NULL;
		if (!value || value == text)
			compile_fail(c, &element, NULL, -EINVAL, "not NAME=VALUE");
		else if (env_is_last(c, later, text, value)) {
			s = build_str(c, text);
			build_put(c, env, --n, &s, sizeof(s));
		}
	}
	json_object_put(later);
	c->plan.process.env = (struct launch_vec){ env.off + (uint32_t)(n * sizeof(launch_str)),
						   env.n - (uint32_t)n };
}

static void compile_cwd(struct compile *c, const struct node *at)
{
	const char *cwd = node_text(c, at, "cwd");

	if (cwd && *cwd == '/')
		c->plan.process.cwd = build_str(c, cwd);
	else if (cwd && *cwd)
		compile_fail(c, at, "cwd", -EINVAL, "%s is not absolute", cwd);
	else if (!c->plan.process.cwd)
		compile_fail(c, at, "cwd", -EINVAL, "is missing");
}

static struct launch_vec compile_groups(struct compile *c, const struct node *user)
{
	struct launch_vec groups = { 0, 0 };
	struct node array;

	if (!node_array(c, user, "additionalGids", &array))
		return groups;
	if (node_length(&array) > GROUPS_MAX) {
		compile_fail(c, &array, NULL, -EINVAL, "more than %u groups", GROUPS_MAX);
		return groups;
	}
	groups = build_vec(c, node_length(&array), sizeof(uint32_t));
	for (size_t i = 0; i < groups.n && !c->code; i++) {
		struct node element = node_element(&array, i);
		int64_t gid = -1;
		uint32_t row;

		if (json_object_is_type(element.value, json_type_int))
			gid = json_object_get_int64(element.value);
		if (gid < 0 || gid >= UINT32_MAX)
			compile_fail(c, &element, NULL, -EINVAL, "not a group id");
		row = (uint32_t)gid;
		build_put(c, groups, i, &row, sizeof(row));
	}
	return groups;
}

static void compile_user(struct compile *c, const struct node *at)
{
	struct launch_process *p = &c->plan.process;
	struct node user;
	uint64_t mask;

	if (!node_object(c, at, "user", &user))
		return;
	p->uid = p->gid = 0;
	node_u32(c, &user, "uid", &p->uid);
	node_u32(c, &user, "gid", &p->gid);
	if (p->uid == UINT32_MAX || p->gid == UINT32_MAX) /* setresuid(2): "leave it" */
		compile_fail(c, &user, p->uid == UINT32_MAX ? "uid" : "gid", -EINVAL, "is no id");
	p->groups = compile_groups(c, &user);
	if (node_uint(c, &user, "umask", 0777, &mask)) {
		p->umask_set = 1;
		p->umask = (uint32_t)mask;
	}
}

static void cap_unknown(struct compile *c, const struct node *at, const char *name, bool to_all)
{
	char cause[128];

	(void)snprintf(cause, sizeof(cause), "\"%.64s\" is no capability %s", name,
		       to_all ? "that is known" : "of this kernel");
	compile_ignore(c, at, cause);
}

static uint64_t cap_set(struct compile *c, const struct node *caps, const char *key)
{
	uint64_t set = 0, possible = c->options ? c->options->caps_possible : 0;
	struct node array;
	int cap;

	/* What the kernel does not know is no reason to fail (config.md, "Linux Process"). */
	if (!node_array(c, caps, key, &array))
		return 0;
	for (size_t i = 0; i < node_length(&array) && !c->code; i++) {
		struct node element = node_element(&array, i);
		const char *name = node_string(c, &element);

		cap = name ? launch_cap_parse(name) : -1;
		if (cap >= 0 && (!possible || possible & UINT64_C(1) << cap))
			set |= UINT64_C(1) << cap;
		else if (name)
			cap_unknown(c, &element, name, cap < 0);
	}
	return set;
}

static void compile_caps(struct compile *c, const struct node *at, bool inherited)
{
	struct launch_process *p = &c->plan.process;
	struct node caps;

	if (!node_object(c, at, "capabilities", &caps)) {
		p->caps_set |= !inherited; /* none at all */
		return;
	}
	p->caps_set = 1;
	p->cap_bounding = cap_set(c, &caps, "bounding");
	p->cap_effective = cap_set(c, &caps, "effective");
	p->cap_inheritable = cap_set(c, &caps, "inheritable");
	p->cap_permitted = cap_set(c, &caps, "permitted");
	p->cap_ambient = cap_set(c, &caps, "ambient");
	if (p->cap_effective & ~p->cap_permitted)
		compile_fail(c, &caps, "effective", -EINVAL, "has one that is not in permitted");
	/* The kernel refuses others; `runc spec` asks for some, and every runtime ignores that. */
	p->cap_ambient &= p->cap_permitted & p->cap_inheritable;
}

static void rlimit_compile(struct compile *c, const struct node *at, struct launch_rlimit *row,
			   uint32_t *seen)
{
	const char *type = node_text_required(c, at, "type");
	size_t i = 0;

	if (!type)
		return;
	while (i < sizeof(rlimits) / sizeof(rlimits[0]) && strcmp(type, rlimits[i].name) != 0)
		i++;
	if (i == sizeof(rlimits) / sizeof(rlimits[0])) {
		compile_fail(c, at, "type", -EINVAL, "\"%s\" is not known", type);
		return;
	}
	row->resource = rlimits[i].resource;
	if (*seen & 1u << row->resource)
		compile_fail(c, at, "type", -EINVAL, "%s is there already", type);
	*seen |= 1u << row->resource;
	if (!node_uint(c, at, "soft", UINT64_MAX, &row->soft))
		compile_fail(c, at, "soft", -EINVAL, "is missing");
	if (!node_uint(c, at, "hard", UINT64_MAX, &row->hard))
		compile_fail(c, at, "hard", -EINVAL, "is missing");
	if (row->soft > row->hard)
		compile_fail(c, at, "soft", -EINVAL, "is above hard");
}

static void compile_rlimits(struct compile *c, const struct node *at)
{
	struct launch_vec vec;
	struct node array, element;
	uint32_t seen = 0;

	if (!node_array(c, at, "rlimits", &array))
		return;
	vec = build_vec(c, node_length(&array), sizeof(struct launch_rlimit));
	for (size_t i = 0; i < vec.n && node_row(c, &array, i, &element); i++) {
		struct launch_rlimit row = { 0 };

		rlimit_compile(c, &element, &row, &seen);
		build_put(c, vec, i, &row, sizeof(row));
	}
	c->plan.process.rlimits = vec;
}

static void compile_terminal(struct compile *c, const struct node *at)
{
	struct launch_process *p = &c->plan.process;
	uint64_t height = 0, width = 0;
	struct node size;
	bool terminal = false;

	node_bool(c, at, "terminal", &terminal);
	p->terminal = terminal;
	if (!node_object(c, at, "consoleSize", &size))
		return;
	node_uint(c, &size, "height", TERMINAL_MAX, &height);
	node_uint(c, &size, "width", TERMINAL_MAX, &width);
	if (!terminal)
		return; /* "ignored if terminal is false" */
	p->height = (uint16_t)height;
	p->width = (uint16_t)width;
}

static void compile_labels(struct compile *c, const struct node *at)
{
	struct launch_process *p = &c->plan.process;
	const char *profile = node_text(c, at, "apparmorProfile");
	const char *label = node_text(c, at, "selinuxLabel");

	if (profile)
		p->apparmor = *profile ? build_str(c, profile) : 0;
	if (label)
		p->selinux = *label ? build_str(c, label) : 0;
}

void compile_process(struct compile *c, const struct node *process, const struct launch_plan *base)
{
	struct launch_process *p = &c->plan.process;
	bool inherited = base && base->has_process, no_new_privs;
	int64_t score;

	if (inherited)
		process_copy(c, base);
	c->plan.has_process = 1;
	compile_args(c, process);
	compile_env(c, process);
	compile_cwd(c, process);
	compile_user(c, process);
	compile_caps(c, process, inherited);
	compile_rlimits(c, process);
	compile_terminal(c, process);
	compile_labels(c, process);
	compile_scheduling(c, process);
	if (node_bool(c, process, "noNewPrivileges", &no_new_privs))
		p->no_new_privs = no_new_privs;
	if (node_int(c, process, "oomScoreAdj", -1000, 1000, &score)) {
		p->oom_score_adj_set = 1;
		p->oom_score_adj = (int32_t)score;
	}
}
