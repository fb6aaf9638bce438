/* SPDX-License-Identifier: MIT */
#include "cli/help.h"

static void words(struct cow_strbuf *out, const struct cow_option *o, bool only_with_value)
{
	for (; o->name; o++) {
		if (!o->help || (only_with_value && o->type == COW_OPTION_FLAG))
			continue;
		cow_strbuf_addf(out, " --%s", o->name);
		if (o->letter)
			cow_strbuf_addf(out, " -%c", o->letter);
	}
}

static void names(struct cow_strbuf *out)
{
	for (int i = 0; i < COW_COMMAND_COUNT; i++) {
		cow_strbuf_addf(out, " %s", cow_commands[i].name);
		if (cow_commands[i].alias)
			cow_strbuf_addf(out, " %s", cow_commands[i].alias);
	}
}

static void verb_case(struct cow_strbuf *out, const struct cow_command *c)
{
	static const char *const kinds[] = {
		[COW_COMPLETE_NOTHING] = "nothing",
		[COW_COMPLETE_CONTAINER] = "container",
		[COW_COMPLETE_FILE] = "file",
		[COW_COMPLETE_VERB] = "verb",
	};

	cow_strbuf_addf(out, "\t%s%s%s)\n\t\toptions='", c->name, c->alias ? "|" : "",
			c->alias ? c->alias : "");
	words(out, c->options, false);
	cow_strbuf_add(out, "'\n\t\tvalued='");
	words(out, c->options, true);
	cow_strbuf_addf(out, "'\n\t\tkind=%s ;;\n", kinds[c->complete]);
}

void cow_completion_bash(struct cow_strbuf *out)
{
	cow_strbuf_add(out,
		       "# bash completion for cowherd, made from its table of options\n"
		       "_cowherd()\n{\n"
		       "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
		       "\tlocal verb= options= valued= kind=verb i\n"
		       "\tlocal verbs='");
	names(out);
	cow_strbuf_add(out,
		       "'\n\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
		       "\t\tcase ${COMP_WORDS[i]} in\n"
		       "\t\t-H|--host) ((i++)) ;;\n"
		       "\t\t-*) ;;\n"
		       "\t\t*) verb=${COMP_WORDS[i]}; break ;;\n"
		       "\t\tesac\n\tdone\n"
		       "\tcase $verb in\n\t'')\n\t\toptions='");
	words(out, cow_command_top.options, false);
	cow_strbuf_add(out, "' ;;\n");
	for (int i = 0; i < COW_COMMAND_COUNT; i++)
		verb_case(out, &cow_commands[i]);
	cow_strbuf_add(out, "\t*)\n\t\tkind=file ;;\n\tesac\n\toptions+='");
	words(out, cow_options_common, false);
	cow_strbuf_add(out, "'\n\tvalued+='");
	words(out, cow_options_common, true);
	cow_strbuf_add(out,
		       "'\n"
		       "\tif [[ $cur == -* ]]; then\n"
		       "\t\tCOMPREPLY=($(compgen -W \"$options\" -- \"$cur\"))\n"
		       "\t\treturn\n\tfi\n"
		       "\tif [[ $prev == -* && \" $valued \" == *\" $prev \"* ]]; then\n"
		       "\t\tCOMPREPLY=($(compgen -f -- \"$cur\"))\n"
		       "\t\treturn\n\tfi\n"
		       "\tcase $kind in\n"
		       "\tverb) COMPREPLY=($(compgen -W \"$verbs $(cowherd --plugin-verbs "
		       "2>/dev/null)\" -- \"$cur\")) ;;\n"
		       "\tcontainer) COMPREPLY=($(compgen -W \"$(cowherd ps -a --format "
		       "'{{.Names}}' 2>/dev/null)\" "
		       "-- \"$cur\")) ;;\n"
		       "\tfile) COMPREPLY=($(compgen -f -- \"$cur\")) ;;\n"
		       "\tesac\n}\n"
		       "complete -o filenames -F _cowherd cowherd\n");
}
