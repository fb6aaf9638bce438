/* SPDX-License-Identifier: MIT */
/* Words and options, as the client's own verbs take them; help. */
#include "common/words.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static const struct plug_option help_option = { "help", 'h', NULL, "this text" };

static int refuse(struct plug_run *run, const char *format, ...)
{
	char text[320];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	run->exit_code = 125;
	return plug_error_set(&run->error, -EINVAL, "%s%s%s: %s", run->verb->name, run->word ? " " : "",
			      run->word ? run->word->name : "", text);
}

static const struct plug_option *option_find(const struct plug_word *word, const char *name, size_t len)
{
	for (const struct plug_option *o = word->options; o->name; o++)
		if (strlen(o->name) == len && !memcmp(o->name, name, len))
			return o;
	return len == 4 && !memcmp(name, "help", 4) ? &help_option : NULL;
}

static const struct plug_option *letter_find(const struct plug_word *word, char letter)
{
	for (const struct plug_option *o = word->options; o->name; o++)
		if (o->letter == letter)
			return o;
	return letter == 'h' ? &help_option : NULL;
}

static int keep(struct plug_run *run, const struct plug_option *o, const char *value)
{
	if (run->value_count == PLUG_VALUES_MAX)
		return refuse(run, "too many options");
	run->values[run->value_count].option = o;
	run->values[run->value_count++].value = value;
	return 0;
}

/* Which word is next. */
struct cursor {
	char **words;
	size_t at, count;
};

static int long_option(struct plug_run *run, struct cursor *c, const char *text)
{
	size_t len = strcspn(text, "=");
	const char *value = text[len] ? text + len + 1 : NULL;
	const struct plug_option *o = option_find(run->word, text, len);

	if (!o)
		return refuse(run, "no such option: --%.*s", (int)len, text);
	if (!o->argument && value && strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
		return refuse(run, "--%s: \"%s\" is not true or false", o->name, value);
	if (!o->argument)
		return keep(run, o, value ? value : "true");
	if (!value && c->at == c->count)
		return refuse(run, "--%s needs a value (%s)", o->name, o->argument);
	return keep(run, o, value ? value : c->words[c->at++]);
}

static int short_options(struct plug_run *run, struct cursor *c, const char *text)
{
	int r = 0;

	for (const char *p = text; r == 0 && *p; p++) {
		const struct plug_option *o = letter_find(run->word, *p);

		if (!o)
			return refuse(run, "no such option: -%c in -%s", *p, text);
		if (!o->argument) {
			r = keep(run, o, "true");
			continue;
		}
		if (!p[1] && c->at == c->count)
			return refuse(run, "--%s needs a value (%s)", o->name, o->argument);
		return keep(run, o, p[1] ? p + 1 + (p[1] == '=') : c->words[c->at++]);
	}
	return r;
}

static int rest_parse(struct plug_run *run, struct cursor *c)
{
	bool options = true;
	int r = 0;

	while (r == 0 && c->at < c->count) {
		char *word = c->words[c->at++];

		if (options && !strcmp(word, "--"))
			options = false;
		else if (options && word[0] == '-' && word[1] == '-')
			r = long_option(run, c, word + 2);
		else if (options && word[0] == '-' && word[1])
			r = short_options(run, c, word + 1);
		else
			run->words[run->word_count++] = word;
	}
	return r;
}

static const struct plug_word *word_find(const struct plug_verb *verb, const char *name)
{
	for (size_t i = 0; verb->others && verb->others[i][0]; i++)
		if (!strcmp(name, verb->others[i][0]))
			name = verb->others[i][1];
	for (const struct plug_word *w = verb->words; w->name; w++)
		if (!strcmp(w->name, name))
			return w;
	return NULL;
}

/* "create, ls, inspect or rm" */
static void words_list(const struct plug_verb *verb, char text[224])
{
	size_t n = 0;

	*text = 0;
	for (const struct plug_word *w = verb->words; w->name && n < 224; w++) {
		int m = snprintf(text + n, 224 - n, "%s%s", w->name,
				 !w[1].name ? "" : w[2].name ? ", " : " or ");

		n += m > 0 ? (size_t)m : 0;
	}
}

int plug_run_parse(struct plug_run *run, char **words, size_t count)
{
	struct cursor c = { words, 1, count };
	char list[224];
	int r;

	words_list(run->verb, list);
	if (!count)
		return refuse(run, "something is missing: %s", list);
	run->word = word_find(run->verb, words[0]);
	if (!run->word)
		return refuse(run, "no such word: %.64s (%s)", words[0], list);
	run->words = words; /* those before the cursor have been read */
	r = rest_parse(run, &c);
	if (r < 0 || plug_run_flag(run, "help"))
		return r;
	if (run->word_count < run->word->min)
		return refuse(run, "something is missing: %s", run->word->usage);
	if (run->word_count > run->word->max)
		return refuse(run, "too many words: \"%.64s\"", words[run->word->max]);
	return 0;
}

const char *plug_run_value(const struct plug_run *run, const char *name)
{
	for (size_t i = run->value_count; i > 0; i--)
		if (!strcmp(run->values[i - 1].option->name, name))
			return run->values[i - 1].value;
	return NULL;
}

const char *plug_run_nth(const struct plug_run *run, const char *name, size_t n)
{
	for (size_t i = 0; i < run->value_count; i++)
		if (!strcmp(run->values[i].option->name, name) && n-- == 0)
			return run->values[i].value;
	return NULL;
}

bool plug_run_flag(const struct plug_run *run, const char *name)
{
	const char *value = plug_run_value(run, name);

	return value && !strcmp(value, "true");
}

static void option_help(const struct plug_option *o, struct plug_text *out)
{
	char left[64], letter[8] = "    ";

	if (!o->help)
		return;
	if (o->letter)
		(void)snprintf(letter, sizeof(letter), "-%c, ", o->letter);
	(void)snprintf(left, sizeof(left), "%s--%s%s%s", letter, o->name, o->argument ? " " : "",
		       o->argument ? o->argument : "");
	plug_text_add(out, "  %-32s %s\n", left, o->help);
}

void plug_help_text(const struct plug_verb *verb, const struct plug_word *word, struct plug_text *out)
{
	if (!word) {
		for (word = verb->words; word->name; word++)
			plug_text_add(out, "  %-30s %s\n", word->name, word->help);
		plug_text_add(out, "\n`cowherd %s WORD --help` tells more.\n", verb->name);
		return;
	}
	plug_text_add(out, "usage: cowherd %s %s%s%s%s\n\n%s\n", verb->name, word->name,
		      word->options->name ? " [OPTIONS]" : "", *word->usage ? " " : "", word->usage,
		      word->help);
	if (word->details)
		plug_text_add(out, "\n%s", word->details);
	plug_text_add(out, "\noptions:\n");
	for (const struct plug_option *o = word->options; o->name; o++)
		option_help(o, out);
	option_help(&help_option, out);
}

char *plug_run_path(const struct plug_run *run, const char *path)
{
	char *absolute;

	if (*path == '/')
		return strdup(path);
	return asprintf(&absolute, "%s/%s", run->cwd, path) < 0 ? NULL : absolute;
}
