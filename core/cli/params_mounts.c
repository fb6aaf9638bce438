/* SPDX-License-Identifier: MIT */
/* --mount, --tmpfs, --shm-size. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "cli/client.h"
#include "cli/params_spec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void begin(struct cow_strbuf *b)
{
	if (b->len && b->data[b->len - 1] != '[')
		cow_strbuf_add(b, ",");
	cow_strbuf_add(b, "{");
}

static void option(struct cow_strbuf *options, const char *text)
{
	cow_strbuf_add(options, options->len ? "," : "");
	cow_strbuf_json(options, text);
}

struct mount {
	const char *type, *source, *target;
	bool read_only;
	struct cow_strbuf options; /* items of a JSON array */
};

static const char *const propagations[] = { "private", "rprivate", "shared",
					    "rshared", "slave",    "rslave" };

static bool one_of(const char *word, const char *const *words, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(word, words[i]))
			return true;
	return false;
}

/* One KEY[=VALUE] of --mount; -EINVAL: not known. */
static int mount_word(struct mount *m, const char *key, const char *value)
{
	static const char *const sources[] = { "source", "src" }, *const yes[] = { "", "true", "1" },
				 *const targets[] = { "target", "destination", "dst" },
				 *const read_only[] = { "readonly", "ro" },
				 *const tmpfs[] = { "tmpfs-size", "tmpfs-mode" };
	_cleanup_free_ char *text = NULL;

	if (!strcmp(key, "type")) {
		m->type = value;
	} else if (one_of(key, sources, 2)) {
		m->source = value;
	} else if (one_of(key, targets, 3)) {
		m->target = value;
	} else if (one_of(key, read_only, 2)) {
		m->read_only = one_of(value, yes, 3);
	} else if (one_of(key, tmpfs, 2)) {
		text = cow_asprintf("%s=%s", key + 6, value);
		if (!text)
			return -ENOMEM;
		option(&m->options, text);
	} else if (!strcmp(key, "bind-propagation") && one_of(value, propagations, 6)) {
		option(&m->options, value);
	} else {
		return -EINVAL;
	}
	return 0;
}

static int mount_check(const struct mount *m, const char *text, struct cow_error *err)
{
	bool bind = !strcmp(m->type, "bind");

	if (!bind && strcmp(m->type, "tmpfs") != 0)
		return cow_error_set(err, -EINVAL, "--mount: \"%s\": the type is bind or tmpfs", text);
	if (m->target && *m->target == '/' && (!bind || m->source))
		return 0;
	return cow_error_set(err, -EINVAL, "--mount: \"%s\" needs target=/DIR%s", text,
			     bind ? " and source=" : "");
}

static int mount_print(const struct mount *m, const char *cwd, struct cow_strbuf *b)
{
	bool tmpfs = !strcmp(m->type, "tmpfs");
	_cleanup_free_ char *source = tmpfs ? strdup("tmpfs") : cow_fs_absolute(cwd, m->source);

	if (!source || m->options.error)
		return -ENOMEM;
	begin(b);
	cow_params_string(b, "type", m->type);
	cow_params_string(b, "source", source);
	cow_params_string(b, "target", m->target);
	cow_params_bool(b, "read_only", m->read_only);
	if (m->options.len || tmpfs) {
		cow_params_key(b, "options");
		cow_strbuf_addf(b, "[%s%s%s]", tmpfs ? "\"nosuid\",\"nodev\"" : "\"rbind\"",
				m->options.len ? "," : "", m->options.len ? m->options.data : "");
	}
	cow_strbuf_add(b, "}");
	return 0;
}

static int mount(const char *text, const char *cwd, struct cow_strbuf *b, struct cow_error *err)
{
	_cleanup_free_ char *copy = strdup(text);
	struct mount m = { .type = "bind", .options = COW_STRBUF_INIT };
	char *rest = copy, *word;
	int r = copy ? 0 : -ENOMEM;

	while (!r && (word = strsep(&rest, ","))) {
		char *equals = strchr(word, '=');

		if (equals)
			*equals = '\0';
		r = mount_word(&m, word, equals ? equals + 1 : "");
		if (r == -EINVAL)
			(void)cow_error_set(err, r, "--mount: \"%s\": %s is not known", text, word);
	}
	r = r ?: mount_check(&m, text, err);
	if (!r)
		r = mount_print(&m, cwd, b);
	cow_strbuf_finish(&m.options);
	return r == -ENOMEM ? cow_error_errno(err, r, "--mount") : r;
}

/* "/DIR[:OPTIONS]" */
static int tmpfs(const char *text, struct cow_strbuf *b, struct cow_error *err)
{
	size_t len = strcspn(text, ":");
	_cleanup_free_ char *target = strndup(text, len), *options = NULL;
	char *rest, *word;

	if (*text != '/')
		return cow_error_set(err, -EINVAL, "--tmpfs: \"%s\" is not /DIR[:OPTIONS]", text);
	rest = options = strdup(text[len] ? text + len + 1 : "");
	if (!target || !options)
		return cow_error_errno(err, -ENOMEM, "--tmpfs");
	begin(b);
	cow_params_string(b, "type", "tmpfs");
	cow_params_string(b, "source", "tmpfs");
	cow_params_string(b, "target", target);
	cow_params_key(b, "options");
	/* As docker has them; what is asked for comes later, and wins. */
	cow_strbuf_add(b, "[\"nosuid\",\"nodev\",\"noexec\"");
	while ((word = strsep(&rest, ",")))
		if (*word) {
			cow_strbuf_add(b, ",");
			cow_strbuf_json(b, word);
		}
	cow_strbuf_add(b, "]}");
	return 0;
}

int cow_params_mounts(const struct cow_args *a, const char *cwd, struct cow_strbuf *b,
		      struct cow_error *err)
{
	const char *v;
	int r = 0;

	for (size_t i = 0; !r && (v = cow_args_nth(a, "mount", i)); i++)
		r = mount(v, cwd, b, err);
	for (size_t i = 0; !r && (v = cow_args_nth(a, "tmpfs", i)); i++)
		r = tmpfs(v, b, err);
	if (!r && cow_args_has(a, "shm-size")) {
		begin(b);
		cow_strbuf_addf(b,
				"\"type\":\"tmpfs\",\"source\":\"shm\",\"target\":\"/dev/shm\",\"options\":"
				"[\"nosuid\",\"noexec\",\"nodev\",\"mode=1777\",\"size=%lld\"]}",
				(long long)cow_args_int(a, "shm-size", 0));
	}
	return r;
}
