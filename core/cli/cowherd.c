/* SPDX-License-Identifier: MIT */
/* The program: finds the verb in the table, parses its options, and calls it. */
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/help.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int (*const handlers[])(const struct cow_args *args) = {
	[COW_COMMAND_UP] = cow_cmd_up,
	[COW_COMMAND_DAEMON] = cow_cmd_daemon,
	[COW_COMMAND_CHECK] = cow_cmd_check,
	[COW_COMMAND_RELOAD] = cow_cmd_reload,
	[COW_COMMAND_SHUTDOWN] = cow_cmd_shutdown,
	[COW_COMMAND_RUN] = cow_cmd_run,
	[COW_COMMAND_CREATE] = cow_cmd_create,
	[COW_COMMAND_START] = cow_cmd_start,
	[COW_COMMAND_STOP] = cow_cmd_stop,
	[COW_COMMAND_RESTART] = cow_cmd_restart,
	[COW_COMMAND_KILL] = cow_cmd_kill,
	[COW_COMMAND_PAUSE] = cow_cmd_pause,
	[COW_COMMAND_RESUME] = cow_cmd_resume,
	[COW_COMMAND_WAIT] = cow_cmd_wait,
	[COW_COMMAND_RM] = cow_cmd_rm,
	[COW_COMMAND_RELEASE] = cow_cmd_release,
	[COW_COMMAND_EXEC] = cow_cmd_exec,
	[COW_COMMAND_ATTACH] = cow_cmd_attach,
	[COW_COMMAND_PS] = cow_cmd_ps,
	[COW_COMMAND_LOGS] = cow_cmd_logs,
	[COW_COMMAND_INSPECT] = cow_cmd_inspect,
	[COW_COMMAND_EVENTS] = cow_cmd_events,
	[COW_COMMAND_STATS] = cow_cmd_stats,
	[COW_COMMAND_TOP] = cow_cmd_top,
	[COW_COMMAND_PLUGINS] = cow_cmd_plugins,
	[COW_COMMAND_PLUGIN] = cow_cmd_plugin,
	[COW_COMMAND_EXPLAIN] = cow_cmd_explain,
	[COW_COMMAND_COMPLETION] = cow_cmd_completion,
	[COW_COMMAND_VERSION] = cow_cmd_version,
	[COW_COMMAND_HELP] = cow_cmd_help,
};
_Static_assert(sizeof(handlers) / sizeof(handlers[0]) == COW_COMMAND_COUNT,
	       "a verb without a handler");

/* A closed standard stream would become the number of a socket, and what we print would go there. */
static void fill_standard_streams(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		(void)close(fd);
}

static int usage(const struct cow_args *args, const struct cow_error *err)
{
	struct cow_strbuf text = COW_STRBUF_INIT;

	(void)cow_fail(args, err);
	if (*args->command->name) {
		cow_help_usage(&text, args->command);
		cow_strbuf_addf(&text, "`cowherd %s --help` tells more.\n", args->command->name);
	} else {
		cow_strbuf_add(&text, "`cowherd help` tells more.\n");
	}
	if (!text.error)
		(void)fputs(text.data, stderr);
	cow_strbuf_finish(&text);
	return 125;
}

static int check_words(const struct cow_args *args, struct cow_error *err)
{
	const struct cow_command *c = args->command;

	if (args->argc < c->min)
		return cow_error_set(err, -EINVAL, "%s: something is missing: %s", c->name,
				     c->usage);
	if (c->max >= 0 && args->argc > c->max)
		return cow_error_set(err, -EINVAL, "%s: too many words: \"%s\"", c->name,
				     args->argv[c->max]);
	return 0;
}

static int run_verb(const struct cow_args *top, enum cow_command_id id)
{
	struct cow_args args = { .command = &cow_commands[id] };
	struct cow_strbuf text = COW_STRBUF_INIT;
	struct cow_error err = { 0 };
	int status,
		r = cow_args_parse(args.command, top, top->argc - 1, top->argv + 1, &args, &err);

	if (r)
		return usage(&args, &err);
	if (cow_args_flag(&args, "help", false)) {
		cow_help_command(&text, args.command);
		status = cow_print(&args, &text);
	} else if (check_words(&args, &err)) {
		status = usage(&args, &err);
	} else {
		status = handlers[id](&args);
	}
	cow_args_finish(&args);
	return status;
}

static int print_man_page(const struct cow_args *top)
{
	struct cow_strbuf out = COW_STRBUF_INIT;
	enum cow_command_id id = top->argc ? cow_command_find(top->argv[0]) : COW_COMMAND_COUNT;
	const char *epoch = getenv("SOURCE_DATE_EPOCH");
	time_t now = epoch ? (time_t)atoll(epoch) : time(NULL);
	char date[64] = "";
	struct tm tm;

	if (gmtime_r(&now, &tm))
		(void)strftime(date, sizeof(date), "%B %e, %Y", &tm);
	if (top->argc && id == COW_COMMAND_COUNT)
		return 1;
	if (id == COW_COMMAND_COUNT)
		cow_man_overview(&out, date);
	else
		cow_man_command(&out, &cow_commands[id], date);
	return cow_print(top, &out);
}

static int list_verbs(void)
{
	for (int i = 0; i < COW_COMMAND_COUNT; i++)
		(void)printf("%s\n", cow_commands[i].name);
	return 0;
}

static int run(const struct cow_args *top)
{
	static const struct cow_args help = { .command = &cow_commands[COW_COMMAND_HELP] };
	struct cow_args with_top = help;
	enum cow_command_id id;

	with_top.parent = top;
	if (cow_args_flag(top, "version", false))
		return printf("cowherd %s\n", COW_VERSION) < 0;
	if (cow_args_flag(top, "man-page", false))
		return print_man_page(top);
	if (cow_args_flag(top, "list-verbs", false))
		return list_verbs();
	if (cow_args_flag(top, "plugin-verbs", false))
		return cow_plugin_verbs(top);
	if (cow_args_flag(top, "help", false) || !top->argc)
		return cow_cmd_help(&with_top)
			?: top->argc || cow_args_flag(top, "help", false) ? 0
									  : 1;
	id = cow_command_find(top->argv[0]);
	if (id == COW_COMMAND_COUNT)
		return cow_cmd_plugin_verb(top, top->argv[0], top->argc - 1, top->argv + 1);
	return run_verb(top, id);
}

int main(int argc, char **argv)
{
	struct cow_args top = { .command = &cow_command_top };
	struct cow_error err = { 0 };
	int status;

	fill_standard_streams();
	if (cow_args_parse(&cow_command_top, NULL, argc - 1, argv + 1, &top, &err))
		return usage(&top, &err);
	status = run(&top);
	cow_args_finish(&top);
	/* What was printed and never arrived is a failure as well. */
	if (fflush(stdout) && errno != EPIPE) {
		(void)fprintf(stderr, "cowherd: standard output: %s\n", strerror(errno));
		status = status ? status : 1;
	}
	return status;
}
