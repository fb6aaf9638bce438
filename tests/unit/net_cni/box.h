/* SPDX-License-Identifier: MIT */
/* A directory with lists, plugins and a cache, for one test. */
#ifndef TEST_NET_CNI_BOX_H
#define TEST_NET_CNI_BOX_H

#include "cni/cni.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct {
	char dir[64], plugins[80], conf[80], cache[80], log[80];
	const char *plugin_dirs[3];
	struct net_cni_paths paths;
	struct plug_error err;
} box;

__attribute__((format(printf, 3, 4))) static inline void box_file(const char *name, mode_t mode,
								  const char *format, ...)
{
	char path[200];
	va_list args;
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", box.dir, name);
	f = fopen(path, "we");
	assert_non_null(f);
	va_start(args, format);
	assert_true(vfprintf(f, format, args) >= 0);
	va_end(args);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
}

/* A file's text, static. */
static inline const char *box_text(const char *path)
{
	static char text[65536];
	FILE *f = fopen(path, "re");
	size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;

	if (f)
		(void)fclose(f);
	text[n] = 0;
	return text;
}

/* How many entries a directory has; 0: none, or no directory. */
static inline int box_count(const char *path)
{
	DIR *d = opendir(path);
	int n = 0;

	for (struct dirent *e; d && (e = readdir(d));)
		n += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
	if (d)
		(void)closedir(d);
	return n;
}

static inline int box_begin(void **state)
{
	(void)state;
	memset(&box, 0, sizeof(box));
	(void)strcpy(box.dir, "/tmp/cow-cni-XXXXXX");
	if (!mkdtemp(box.dir))
		return -1;
	(void)snprintf(box.plugins, sizeof(box.plugins), "%s/bin", box.dir);
	(void)snprintf(box.conf, sizeof(box.conf), "%s/net.d", box.dir);
	(void)snprintf(box.cache, sizeof(box.cache), "%s/run/cache", box.dir);
	(void)snprintf(box.log, sizeof(box.log), "%s/log", box.dir);
	box.plugin_dirs[0] = "/nonexistent";
	box.plugin_dirs[1] = box.plugins;
	box.paths = (struct net_cni_paths){ box.plugin_dirs, box.conf, box.cache };
	return mkdir(box.plugins, 0755) < 0 || mkdir(box.conf, 0755) < 0 ? -1 : 0;
}

static inline int box_end(void **state)
{
	char *words[] = { (char *)"rm", (char *)"-rf", box.dir, NULL };
	siginfo_t info;
	pid_t pid;

	(void)state;
	if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0)
		return -1; /* a child of ours was left */
	pid = fork();
	if (pid == 0) {
		(void)execvp("rm", words);
		_exit(127);
	}
	return waitpid(pid, NULL, 0) == pid ? 0 : -1;
}

/*
 * It notes what it is told; fails when a file says so; else hands on prevResult, or gives the first result.
 * No cat, no sed: only what the shell itself has, for speed.
 */
static const char box_plugin[] =
	"#!/bin/sh\n"
	"me=${0##*/}; here=${0%/*}/..\n"
	"in=; while read -r line || [ -n \"$line\" ]; do in=$in$line; done\n"
	"echo \"$CNI_COMMAND $me $CNI_CONTAINERID $CNI_NETNS $CNI_IFNAME $CNI_ARGS $in\" >>$here/log\n"
	"[ ! -e $here/$CNI_COMMAND-$me ] || . $here/$CNI_COMMAND-$me\n"
	"[ $CNI_COMMAND = ADD ] || exit 0\n"
	"case $in in *prevResult*) r=${in#*\\\"prevResult\\\":}; r=${r%,\\\"runtimeConfig\\\"*}; "
	"  case $in in *runtimeConfig*) echo \"$r\";; *) echo \"${r%?}\";; esac;;\n"
	"*) echo '{\"cniVersion\":\"1.0.0\",\"interfaces\":[{\"name\":\"br\"},{\"name\":\"eth0\","
	"\"mac\":\"02:00:00:00:00:01\",\"sandbox\":\"/ns\"}],"
	"\"ips\":[{\"address\":\"10.9.0.2/24\",\"gateway\":\"10.9.0.1\",\"interface\":1}],"
	"\"dns\":{\"nameservers\":[\"10.9.0.1\"],\"domain\":\"x.example\"}}';; esac\n";

#endif
