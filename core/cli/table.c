/* SPDX-License-Identifier: MIT */
#include "cli/options.h"

#include <string.h>

#define FLAG COW_OPTION_FLAG
#define STRING COW_OPTION_STRING
#define LIST COW_OPTION_LIST
#define INT COW_OPTION_INT
#define DURATION COW_OPTION_DURATION
#define SIZE COW_OPTION_SIZE
#define DECIMAL COW_OPTION_DECIMAL

#define END { NULL, 0, FLAG, NULL, NULL }

const struct cow_option cow_options_common[] = {
	{ "host", 'H', STRING, "unix:///PATH", "Socket of the supervisor (also COWHERD_HOST)" },
	{ "help", 0, FLAG, NULL, "Print help" },
	END
};

static const struct cow_option none[] = { END };

static const struct cow_option top[] = {
	{ "version", 'v', FLAG, NULL, "Print the version" },
	{ "man-page", 0, FLAG, NULL, NULL },
	{ "list-verbs", 0, FLAG, NULL, NULL },
	{ "plugin-verbs", 0, FLAG, NULL, NULL },
	END
};

#define PLACES \
	{ "root", 0, STRING, "DIR", "Volatile state (default /run/cowherd)" }, \
	{ "state", 0, STRING, "DIR", "Durable state (default /var/lib/cowherd)" }, \
	{ "plugin-dir", 0, STRING, "DIR", "Where plugins are (default: beside the program)" }

#define LOGGING \
	{ "log-level", 0, STRING, "LEVEL", "error, warn, info or debug" }, \
	{ "log-format", 0, STRING, "FORMAT", "text or json" }

static const struct cow_option up[] = {
	{ "detach", 'd', FLAG, NULL, "Stay in the background: the same as `daemon`" },
	{ "exit-code-from", 0, STRING, "NAME", "End when that container ends, with its exit code" },
	{ "no-color", 0, FLAG, NULL, "Plain prefixes on a terminal too" },
	{ "timeout", 't', INT, "SECONDS", "How long to wait for containers to stop before killing them" },
	PLACES,
	LOGGING,
	END
};

static const struct cow_option daemon_options[] = {
	{ "config", 'c', STRING, "FILE", "Configuration (default /etc/cowherd/cowherd.json)" },
	{ "foreground-log", 0, FLAG, NULL, "Stay in the foreground and log to standard error" },
	PLACES,
	LOGGING,
	END
};

static const struct cow_option check[] = {
	{ "config", 'c', STRING, "FILE", "The same as FILE" },
	{ "plugin-dir", 0, STRING, "DIR", "Where plugins are (default: beside the program)" },
	END
};

static const struct cow_option shutdown_options[] = {
	{ "timeout", 't', INT, "SECONDS", "How long to wait for containers to stop before killing them" },
	{ "kill", 0, FLAG, NULL, "Kill the containers at once" },
	END
};

#define FORMAT_HELP "json, table, or a template such as '{{.ID}} {{.Status}}'"
#define FORMAT { "format", 'f', STRING, "FORMAT", FORMAT_HELP }
#define FORMAT_LONG { "format", 0, STRING, "FORMAT", FORMAT_HELP }
#define KEYS { "detach-keys", 0, STRING, "KEYS", "Keys that detach (default ctrl-p,ctrl-q)" }

#define PROCESS \
	{ "interactive", 'i', FLAG, NULL, "Pass standard input on" }, \
	{ "tty", 't', FLAG, NULL, "Give the process a terminal" }, \
	{ "env", 'e', LIST, "NAME[=VALUE]", "Set an environment variable, or pass one's own on" }, \
	{ "env-file", 0, LIST, "FILE", "Read environment variables from a file" }, \
	{ "workdir", 'w', STRING, "DIR", "Working directory inside the container" }, \
	{ "user", 'u', STRING, "USER[:GROUP]", "Name or number of the user" }, \
	{ "privileged", 0, FLAG, NULL, "All capabilities, all devices" }

#define CREATE \
	PROCESS, \
	{ "bundle", 'b', STRING, "DIR", "OCI bundle to run" }, \
	{ "rootfs", 0, STRING, "DIR", "Plain directory to run a command in" }, \
	{ "name", 0, STRING, "NAME", "Name of the container" }, \
	{ "hostname", 'h', STRING, "NAME", "Host name inside the container" }, \
	{ "label", 'l', LIST, "NAME=VALUE", "Label of the container" }, \
	{ "annotation", 0, LIST, "NAME=VALUE", "OCI annotation of the container" }, \
	{ "rm", 0, FLAG, NULL, "Remove the container when it has stopped" }, \
	{ "restart", 0, STRING, "POLICY", "no, on-failure[:N], always or unless-stopped" }, \
	{ "stop-signal", 0, STRING, "SIGNAL", "Signal that asks the container to stop" }, \
	{ "stop-timeout", 0, INT, "SECONDS", "How long it may take before it is killed" }, \
	{ "health-cmd", 0, STRING, "COMMAND", "Shell command that says whether it is healthy" }, \
	{ "health-interval", 0, DURATION, "DURATION", "Time between two health checks" }, \
	{ "health-timeout", 0, DURATION, "DURATION", "How long one may take" }, \
	{ "health-retries", 0, INT, "N", "How many in a row must fail" }, \
	{ "health-start-period", 0, DURATION, "DURATION", "Failures do not count that long" }, \
	{ "no-healthcheck", 0, FLAG, NULL, "No health check, whatever the image has" }, \
	{ "init", 0, FLAG, NULL, "A small init as PID 1 (default true)" }, \
	{ "volume", 'v', LIST, "SRC:DST[:ro]", "Mount a directory or file of the host" }, \
	{ "read-only", 0, FLAG, NULL, "Mount the root filesystem read-only" }, \
	{ "memory", 'm', SIZE, "SIZE", "Memory limit" }, \
	{ "cpus", 0, DECIMAL, "N", "CPU limit" }, \
	{ "pids-limit", 0, INT, "N", "Limit on processes (-1: none)" }, \
	{ "entrypoint", 0, STRING, "PROGRAM", "Program to run, the command being its arguments" }, \
	{ "platform", 0, STRING, "OS/ARCH", "Platform of the image" }, \
	{ "pull", 0, STRING, "POLICY", "missing or never: nothing is fetched" }, \
	{ "storage-opt", 0, LIST, "NAME=VALUE", "size=SIZE limits what the container writes" }, \
	{ "cap-add", 0, LIST, "NAME", "Add a capability" }, \
	{ "cap-drop", 0, LIST, "NAME", "Drop a capability" }, \
	{ "domainname", 0, STRING, "NAME", "NIS domain name inside the container" }, \
	{ "mount", 0, LIST, "KEY=VALUE,...", "type=bind|tmpfs,source=,target=[,readonly]" }, \
	{ "tmpfs", 0, LIST, "DIR[:OPTIONS]", "Mount an empty tmpfs" }, \
	{ "shm-size", 0, SIZE, "SIZE", "Size of /dev/shm" }, \
	{ "device", 0, LIST, "DEV[:DEV][:rwm]", "Add a device of the host" }, \
	{ "group-add", 0, LIST, "GROUP", "Further group of the user, by name or number" }, \
	{ "ulimit", 0, LIST, "NAME=SOFT[:HARD]", "Resource limit, such as nofile=1024" }, \
	{ "sysctl", 0, LIST, "NAME=VALUE", "Kernel parameter of the container's namespaces" }, \
	{ "security-opt", 0, LIST, "OPTION", "no-new-privileges, seccomp=FILE|unconfined, ..." }, \
	{ "pid", 0, STRING, "MODE", "PID namespace: host or container:NAME" }, \
	{ "ipc", 0, STRING, "MODE", "IPC namespace: private, host or container:NAME" }, \
	{ "uts", 0, STRING, "MODE", "UTS namespace: host" }, \
	{ "userns", 0, STRING, "MODE", "User namespace: host" }, \
	{ "cgroupns", 0, STRING, "MODE", "Cgroup namespace: private or host" }, \
	{ "cgroup-parent", 0, STRING, "PATH", "Cgroup to put the container's into" }, \
	{ "memory-swap", 0, STRING, "SIZE", "Limit of memory and swap together (-1: none)" }, \
	{ "memory-reservation", 0, SIZE, "SIZE", "Memory that is left alone as long as can be" }, \
	{ "cpu-shares", 0, INT, "N", "Relative weight for CPU time" }, \
	{ "cpu-period", 0, INT, "MICROSECONDS", "Period of the CPU quota" }, \
	{ "cpu-quota", 0, INT, "MICROSECONDS", "CPU time in each period" }, \
	{ "cpuset-cpus", 0, STRING, "LIST", "CPUs it may run on (0-3, 0,1)" }, \
	{ "cpuset-mems", 0, STRING, "LIST", "Memory nodes it may use" }, \
	{ "blkio-weight", 0, INT, "N", "Relative weight for block I/O (10 to 1000)" }, \
	{ "oom-score-adj", 0, INT, "N", "How soon the kernel kills it for memory" }, \
	{ "oom-kill-disable", 0, FLAG, NULL, "The kernel never kills it for memory" }, \
	{ "isolation", 0, STRING, "KIND", "process or vm" }, \
	{ "hosting-system", 0, STRING, "ID", "Utility VM to run in" }, \
	{ "network", 0, LIST, "NETWORK", "none, host, container:NAME or NETWORK[:ip=...]" }, \
	{ "net", 0, LIST, "NETWORK", NULL }, \
	{ "network-alias", 0, LIST, "NAME", "Further name of it for the others of its network" }, \
	{ "publish", 'p', LIST, "PORTS", "Publish [[HOSTIP:]HOSTPORT:]PORT[/PROTOCOL]" }, \
	{ "publish-all", 'P', FLAG, NULL, "Publish every port that the image exposes on a free one" }, \
	{ "ip", 0, STRING, "ADDRESS", "IPv4 address on its network" }, \
	{ "ip6", 0, STRING, "ADDRESS", "IPv6 address on its network" }, \
	{ "mac-address", 0, STRING, "MAC", "Link-layer address, like 02:00:00:00:00:01" }, \
	{ "dns", 0, LIST, "ADDRESS", "Server in its resolv.conf" }, \
	{ "dns-search", 0, LIST, "DOMAIN", "Search domain in its resolv.conf" }, \
	{ "dns-option", 0, LIST, "OPTION", "Option in its resolv.conf" }, \
	{ "add-host", 0, LIST, "NAME:ADDRESS", "Line in its hosts; ADDRESS may be host-gateway" }, \
	{ "backend", 0, STRING, "NAME", "Backend that has to run it" }, \
	{ "keep-on-failure", 0, FLAG, NULL, "Keep what was taken when creating fails, for `release`" }, \
	{ "cidfile", 0, STRING, "FILE", "Write the container's id to a file" }

static const struct cow_option run[] = {
	{ "detach", 'd', FLAG, NULL, "Run in the background and print the container's id" },
	{ "attach", 'a', LIST, "STREAM", "Only stdin, stdout or stderr (default all)" },
	CREATE,
	KEYS,
	{ "sig-proxy", 0, FLAG, NULL, "Pass signals on to the container (default true)" },
	END
};

static const struct cow_option create[] = { CREATE, END };

static const struct cow_option start[] = {
	{ "attach", 'a', FLAG, NULL, "Show the output and pass signals on" },
	{ "interactive", 'i', FLAG, NULL, "Pass standard input on" },
	KEYS,
	{ "sig-proxy", 0, FLAG, NULL, "Pass signals on to the container (default true)" },
	END
};

static const struct cow_option attach[] = {
	KEYS,
	{ "no-stdin", 0, FLAG, NULL, "Do not pass standard input on" },
	{ "sig-proxy", 0, FLAG, NULL, "Pass signals on to the container (default true)" },
	END
};

static const struct cow_option exec[] = {
	{ "detach", 'd', FLAG, NULL, "Do not wait for the command" },
	PROCESS,
	KEYS,
	END
};

static const struct cow_option stop[] = {
	{ "timeout", 't', INT, "SECONDS", "How long to wait before killing (default: its own)" },
	{ "time", 0, INT, "SECONDS", NULL },
	{ "signal", 's', STRING, "SIGNAL", "Signal to ask with" },
	END
};

static const struct cow_option restart[] = {
	{ "timeout", 't', INT, "SECONDS", "How long to wait before killing (default: its own)" },
	{ "time", 0, INT, "SECONDS", NULL },
	END
};

static const struct cow_option kill_options[] = {
	{ "signal", 's', STRING, "SIGNAL", "Signal to send (default KILL)" },
	{ "all", 'a', FLAG, NULL, "To every process of the container" },
	END
};

static const struct cow_option rm[] = {
	{ "force", 'f', FLAG, NULL, "Kill it first if it runs; do not mind if there is none" },
	{ "volumes", 'v', FLAG, NULL, NULL },
	END
};

static const struct cow_option wait_options[] = {
	{ "condition", 0, STRING, "WHAT", "stopped (default), healthy, running or removed" },
	{ "healthy", 0, FLAG, NULL, "The same as --condition healthy" },
	{ "timeout", 't', DURATION, "DURATION", "Give up after that long, with status 1" },
	END
};

static const struct cow_option ps[] = {
	{ "all", 'a', FLAG, NULL, "Show containers that do not run, too" },
	{ "filter", 'f', LIST, "KEY=VALUE", "id, name, status, health, label, exited or owner" },
	FORMAT_LONG,
	{ "last", 'n', INT, "N", "Show the N created last" },
	{ "latest", 'l', FLAG, NULL, "Show the one created last" },
	{ "no-trunc", 0, FLAG, NULL, "Do not shorten anything" },
	{ "quiet", 'q', FLAG, NULL, "Only show ids" },
	{ "size", 's', FLAG, NULL, "Show the column SIZE: what it wrote, where a backend knows" },
	END
};

static const struct cow_option logs[] = {
	{ "follow", 'f', FLAG, NULL, "Go on as more is written" },
	{ "tail", 'n', STRING, "N", "Only the last N lines (default all)" },
	{ "timestamps", 't', FLAG, NULL, "Put the time in front of each line" },
	{ "since", 0, STRING, "TIME", "Only what is newer than a time, or 10m (ten minutes ago)" },
	{ "until", 0, STRING, "TIME", "Only what is older" },
	{ "details", 0, FLAG, NULL, NULL },
	END
};

static const struct cow_option events[] = {
	{ "since", 0, STRING, "TIME", "Show past events from a time on, or 10m (ten minutes ago)" },
	{ "until", 0, STRING, "TIME", "End there" },
	{ "filter", 'f', LIST, "KEY=VALUE", "Only where container, event, label or type matches" },
	FORMAT_LONG,
	END
};

static const struct cow_option stats[] = {
	{ "all", 'a', FLAG, NULL, "Show containers that do not run, too" },
	{ "no-stream", 0, FLAG, NULL, "Show the figures once" },
	{ "no-trunc", 0, FLAG, NULL, "Do not shorten anything" },
	FORMAT_LONG,
	END
};

static const struct cow_option format_only[] = { FORMAT, END };

static const struct cow_option inspect[] = {
	FORMAT,
	{ "type", 0, STRING, "TYPE", "container: there is nothing else to inspect" },
	{ "size", 's', FLAG, NULL, NULL },
	END
};

static const struct cow_option explain[] = {
	{ "plugin-dir", 0, STRING, "DIR", "Where plugins are (default: beside the program)" },
	END
};

const struct cow_command cow_command_top = {
	.name = "", .usage = "VERB [ARG...]",
	.summary = "Host Compute Service for Linux: run and supervise containers",
	.options = top, .max = -1, .rest = true, .failure = 125,
};

#define CONTAINERS "CONTAINER [CONTAINER...]"
#define EACH .usage = CONTAINERS, .min = 1, .max = -1, .complete = COW_COMPLETE_CONTAINER
#define NONE .usage = "", .options = none

const struct cow_command cow_commands[COW_COMMAND_COUNT] = {
	[COW_COMMAND_UP] = {
		.name = "up", .usage = "[FILE]", .options = up, .max = 1, .failure = 1,
		.complete = COW_COMPLETE_FILE,
		.summary = "Run what a configuration file says, in the foreground",
		.details =
			"Starts a supervisor and every container of FILE, shows their output side "
			"by side, and takes all of it down again on Ctrl-C, in reverse order of "
			"dependency. A second Ctrl-C kills. Of what has ended by itself all output is "
			"shown, however slow its reader; after Ctrl-C, what can be shown in two seconds.",
	},
	[COW_COMMAND_DAEMON] = {
		.name = "daemon", .usage = "", .options = daemon_options, .failure = 1,
		.summary = "Start the supervisor in the background",
		.details =
			"Returns once the supervisor answers on its socket. SIGHUP and `cowherd "
			"reload` read the configuration again.",
	},
	[COW_COMMAND_CHECK] = {
		.name = "check", .usage = "[FILE]", .options = check, .max = 1, .failure = 1,
		.complete = COW_COMPLETE_FILE,
		.summary = "Check a configuration without touching anything",
		.details = "Every error names file, line and JSON pointer.",
	},
	[COW_COMMAND_RELOAD] = {
		.name = "reload", NONE, .failure = 1,
		.summary = "Read the configuration again and apply the difference",
	},
	[COW_COMMAND_SHUTDOWN] = {
		.name = "shutdown", .usage = "", .options = shutdown_options, .failure = 1,
		.summary = "Stop all containers and the supervisor",
	},
	[COW_COMMAND_RUN] = {
		.name = "run",
		.usage = "(--bundle DIR | --rootfs DIR | IMAGE) [COMMAND [ARG...]]",
		.options = run, .max = -1, .rest = true, .failure = 125,
		.complete = COW_COMPLETE_FILE,
		.summary = "Create and start a container",
		.details =
			"With --bundle, an OCI bundle is run as its config.json says; a command "
			"replaces the one there. With --rootfs, a command is run in a plain "
			"directory.\n\n"
			"In the foreground, output is relayed byte by byte, signals are passed on, "
			"and the exit status is the container's; it is 125 when cowherd itself "
			"failed, 126 when the command cannot be invoked, 127 when it was not found.",
	},
	[COW_COMMAND_CREATE] = {
		.name = "create",
		.usage = "(--bundle DIR | --rootfs DIR | IMAGE) [COMMAND [ARG...]]",
		.options = create, .max = -1, .rest = true, .failure = 125,
		.complete = COW_COMPLETE_FILE,
		.summary = "Create a container without starting it",
	},
	[COW_COMMAND_START] = {
		.name = "start", EACH, .options = start, .failure = 1,
		.summary = "Start created or stopped containers",
	},
	[COW_COMMAND_STOP] = {
		.name = "stop", EACH, .options = stop, .failure = 1,
		.summary = "Ask containers to stop, and kill them after a time",
	},
	[COW_COMMAND_RESTART] = {
		.name = "restart", EACH, .options = restart, .failure = 1,
		.summary = "Stop and start containers",
	},
	[COW_COMMAND_KILL] = {
		.name = "kill", EACH, .options = kill_options, .failure = 1,
		.summary = "Send a signal to containers",
	},
	[COW_COMMAND_PAUSE] = {
		.name = "pause", EACH, .options = none, .failure = 1,
		.summary = "Freeze all processes of containers",
	},
	[COW_COMMAND_RESUME] = {
		.name = "resume", .alias = "unpause", EACH, .options = none, .failure = 1,
		.summary = "Let frozen containers go on",
	},
	[COW_COMMAND_WAIT] = {
		.name = "wait", EACH, .options = wait_options, .failure = 1,
		.summary = "Wait for containers and print their exit codes",
	},
	[COW_COMMAND_RM] = {
		.name = "rm", EACH, .options = rm, .failure = 1,
		.summary = "Remove containers",
	},
	[COW_COMMAND_RELEASE] = {
		.name = "release", EACH, .options = none, .failure = 1,
		.summary = "Free what a failed create kept (--keep-on-failure)",
	},
	[COW_COMMAND_EXEC] = {
		.name = "exec", .usage = "CONTAINER COMMAND [ARG...]", .options = exec, .min = 2,
		.max = -1, .rest = true, .failure = 125, .complete = COW_COMPLETE_CONTAINER,
		.summary = "Run a command in a running container",
		.details =
			"The exit status is the command's; it is 125 when cowherd itself failed, "
			"126 when the command cannot be invoked, 127 when it was not found.",
	},
	[COW_COMMAND_ATTACH] = {
		.name = "attach", .usage = "CONTAINER", .options = attach, .min = 1, .max = 1,
		.failure = 1, .complete = COW_COMPLETE_CONTAINER,
		.summary = "Connect to the input and output of a running container",
	},
	[COW_COMMAND_PS] = {
		.name = "ps", .usage = "", .options = ps, .failure = 1,
		.summary = "List containers",
	},
	[COW_COMMAND_LOGS] = {
		.name = "logs", .usage = "CONTAINER", .options = logs, .min = 1, .max = 1,
		.failure = 1, .complete = COW_COMPLETE_CONTAINER,
		.summary = "Show what a container wrote",
		.details =
			"Times are RFC 3339 (2024-05-01T10:11:12Z), Unix seconds, or a duration "
			"before now (10m).",
	},
	[COW_COMMAND_INSPECT] = {
		.name = "inspect", EACH, .options = inspect, .failure = 1,
		.summary = "Show everything known about containers, as a JSON array",
		.details =
			"A template (Go's language) picks members: '{{.pid}}', "
			"'{{.State.Pid}}' and '{{.health.status}}' work, '{{json .spec}}' prints "
			"JSON, '{{range .Mounts}}{{println .destination}}{{end}}' goes over a "
			"list. Where docker has another name for a member, that one works too: "
			"'{{.State.Running}}', '{{.Config.Cmd}}'.",
	},
	[COW_COMMAND_EVENTS] = {
		.name = "events", .usage = "", .options = events, .failure = 1,
		.summary = "Show what happens, as it happens",
	},
	[COW_COMMAND_STATS] = {
		.name = "stats", .usage = "[CONTAINER...]", .options = stats, .max = -1,
		.failure = 1, .complete = COW_COMPLETE_CONTAINER,
		.summary = "Show what containers use",
	},
	[COW_COMMAND_TOP] = {
		.name = "top", .usage = "CONTAINER [PS OPTIONS]", .options = format_only,
		.min = 1, .max = -1, .rest = true, .failure = 1, .complete = COW_COMPLETE_CONTAINER,
		.summary = "Show the processes of a container",
		.details =
			"With options of ps(1), its table of these processes is shown: `cowherd top "
			"web -o pid,comm`, `cowherd top web aux`.",
	},
	[COW_COMMAND_PLUGINS] = {
		.name = "plugins", .usage = "", .options = format_only, .failure = 1,
		.summary = "List plugins",
	},
	[COW_COMMAND_PLUGIN] = {
		.name = "plugin", .usage = "check FILE.so | unload NAME", .options = none,
		.min = 2, .max = 2, .failure = 1, .complete = COW_COMPLETE_FILE,
		.summary = "Check a plugin file, or unload a plugin",
		.details =
			"check loads the file against a fake host and runs its allocators through "
			"every failure; no supervisor is needed. unload is refused while resources "
			"of the plugin live.",
	},
	[COW_COMMAND_EXPLAIN] = {
		.name = "explain", .usage = "BUNDLE | SPEC.json", .options = explain, .min = 1,
		.max = -1, .failure = 1, .complete = COW_COMPLETE_FILE,
		.summary = "Say in plain words what running a bundle would do",
		.details =
			"What will be mounted, created, limited, dropped and run, in order. Works "
			"without a supervisor.",
	},
	[COW_COMMAND_COMPLETION] = {
		.name = "completion", .usage = "bash", .options = none, .min = 1, .max = 1,
		.failure = 1,
		.summary = "Print shell completion",
		.details = "For this shell: source <(cowherd completion bash)",
	},
	[COW_COMMAND_VERSION] = {
		.name = "version", .usage = "", .options = format_only, .failure = 1,
		.summary = "Show the versions of client and supervisor",
	},
	[COW_COMMAND_HELP] = {
		.name = "help", .usage = "[VERB]", .options = none, .max = 1, .failure = 1,
		.complete = COW_COMPLETE_VERB,
		.summary = "Print help",
	},
};

enum cow_command_id cow_command_find(const char *name)
{
	for (int i = 0; i < COW_COMMAND_COUNT; i++) {
		const struct cow_command *c = &cow_commands[i];

		if (!strcmp(c->name, name) || (c->alias && !strcmp(c->alias, name)))
			return (enum cow_command_id)i;
	}
	return COW_COMMAND_COUNT;
}
