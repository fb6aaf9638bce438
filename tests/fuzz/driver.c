/* SPDX-License-Identifier: MIT */
/* Runs a libFuzzer target over files, and over the files of directories: without a fuzzer. */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned runs;

static int run_file(const char *path)
{
	FILE *file = fopen(path, "re");
	uint8_t *data = NULL;
	struct stat st;
	int r = -1;

	if (file && !fstat(fileno(file), &st)) {
		data = malloc((size_t)st.st_size + !st.st_size); /* exactly, for the sanitizer */
		if (data && fread(data, 1, (size_t)st.st_size, file) == (size_t)st.st_size) {
			(void)LLVMFuzzerTestOneInput(data, (size_t)st.st_size);
			runs++;
			r = 0;
		}
	}
	if (r)
		(void)fprintf(stderr, "%s: %s\n", path, strerror(errno));
	free(data);
	if (file)
		(void)fclose(file);
	return r;
}

static int run_directory(const char *path)
{
	struct dirent **entries;
	char *name;
	int n = scandir(path, &entries, NULL, alphasort), r = n < 0 ? -1 : 0;

	for (int i = 0; i < n; i++) {
		if (entries[i]->d_name[0] != '.') {
			if (asprintf(&name, "%s/%s", path, entries[i]->d_name) < 0)
				abort();
			r |= run_file(name);
			free(name);
		}
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
	else
		(void)fprintf(stderr, "%s: %s\n", path, strerror(errno));
	return r;
}

int main(int argc, char **argv)
{
	struct stat st;
	int r = 0;

	for (int i = 1; i < argc; i++)
		r |= !stat(argv[i], &st) && S_ISDIR(st.st_mode) ? run_directory(argv[i])
								: run_file(argv[i]);
	(void)printf("%u inputs\n", runs);
	return r || !runs;
}
