/* SPDX-License-Identifier: MIT */
/* `cowherd check`: everything a start would read, and nothing that it would take. */
#include "base/cleanup.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/paths.h"
#include "cli/supervise_config.h"

#include <errno.h>
#include <stdio.h>

/*
 * Plugins are loaded to judge their sections; a place where nothing can be made is theirs to write
 * to.
 */
#define NOWHERE "/proc/cowherd"

struct check {
	uv_loop_t loop;
	struct cow_timers timers;
	struct cow_ops *ops;
	struct cow_host *host;
};

static int check_open(struct check *c, const char *plugin_dir, struct cow_config_errors *errors)
{
	_cleanup_free_ char *plugins = cow_paths_plugin_dir(plugin_dir),
			    *libexec = cow_paths_libexec_dir();
	const struct cow_host_setup setup = {
		.loop = &c->loop,
		.timers = &c->timers,
		.ops = c->ops = cow_ops_create(&c->timers),
		.run_root = NOWHERE,
		.state_root = NOWHERE,
		.libexec_dir = libexec,
	};
	struct cow_error err = { 0 };
	int r = c->ops && plugins && libexec ? cow_host_create(&setup, &c->host, &err) : -ENOMEM;

	if (r < 0) {
		cow_config_complain(errors, err.code ? err.message : "out of memory");
		return r;
	}
	if (cow_host_load_dir(c->host, plugins) < 0)
		cow_log(.level = COW_LOG_WARN, .event = "plugin.none", .msg = plugins);
	(void)cow_host_init_all(c->host, NULL);
	return 0;
}

static void check_plugins(const struct cow_config *config, const char *plugin_dir,
			  struct cow_config_errors *errors)
{
	struct check c = { 0 };

	if (uv_loop_init(&c.loop) < 0) {
		cow_config_complain(errors, "event loop: cannot be made");
		return;
	}
	cow_timers_init(&c.timers, 0);
	if (check_open(&c, plugin_dir ? plugin_dir : config->plugins_dir, errors) == 0) {
		(void)cow_config_check_plugins(config, c.host, errors);
		(void)cow_config_check_containers(config, c.host, errors);
	}
	if (c.host)
		cow_host_destroy(c.host);
	cow_ops_destroy(c.ops);
	cow_timers_finish(&c.timers);
	(void)uv_run(&c.loop, UV_RUN_DEFAULT);
	(void)uv_loop_close(&c.loop);
}

int cow_cmd_check(const struct cow_args *args)
{
	const char *file = args->argc ? args->argv[0] : cow_args_string(args, "config");
	struct cow_config_errors errors = { 0 };
	struct cow_config *config = NULL;
	unsigned mistakes;

	cow_log_setup(STDERR_FILENO, COW_LOG_WARN, false);
	if (cow_config_load(file, &config, &errors) == 0)
		check_plugins(config, cow_args_string(args, "plugin-dir"), &errors);
	mistakes = errors.count;
	if (mistakes)
		(void)fprintf(stderr, "%s%u mistake%s\n", errors.text.data ? errors.text.data : "",
			      mistakes, mistakes == 1 ? "" : "s");
	else
		(void)printf("%s: %zu container%s, no mistakes\n", file ? file : COW_CONFIG_DEFAULT,
			     config->container_count, config->container_count == 1 ? "" : "s");
	cow_config_destroy(config);
	cow_config_errors_finish(&errors);
	return mistakes ? args->command->failure : 0;
}
