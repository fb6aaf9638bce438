/* SPDX-License-Identifier: MIT */
/*
 * bench_spawn N COMMAND...: run a command N times, one after the other; the microseconds of each run
 * go to file descriptor 3.  "@" in an argument becomes the number of the run.
 */
#include "bench.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	for (int i = 0; i < atoi(argv[1]); i++) {
		char **words = calloc((size_t)argc, sizeof(*words));
		int status;
		pid_t pid;

		if (!words)
			bench_die("calloc");
		for (int j = 2; j < argc; j++) {
			char *at = strchr(argv[j], '@');
			int n = at ? asprintf(&words[j - 2], "%.*s%d-%d%s", (int)(at - argv[j]), argv[j],
					      (int)getpid(), i, at + 1)
				   : asprintf(&words[j - 2], "%s", argv[j]);
			if (n < 0)
				bench_die("asprintf");
		}
		double begin = bench_now_us();
		if (posix_spawnp(&pid, words[0], NULL, NULL, words, environ) != 0)
			bench_die(words[0]);
		if (waitpid(pid, &status, 0) != pid || status != 0) {
			fprintf(stderr, "bench_spawn: %s: status %x\n", words[0], (unsigned)status);
			return 1;
		}
		dprintf(3, "%.1f\n", bench_now_us() - begin);
		for (int j = 0; words[j]; j++)
			free(words[j]);
		free(words);
	}
	return 0;
}
