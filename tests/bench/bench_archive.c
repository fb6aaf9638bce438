/* SPDX-License-Identifier: MIT */
/*
 * The storage plugin's archive library as a program, for its measurements and for what other tars
 * write and read:
 *   bench_archive list              a tar on standard input, a line of JSON for each entry
 *   bench_archive copy              the same tar, read and written again
 *   bench_archive unpack DIR [WORD...]   a stream on standard input; words: apply, keep, no-owner,
 *                                   skip-devices, user-xattr, max-bytes=N
 *   bench_archive load [sync] FILE BLOB DIR [FILE BLOB DIR...]   blobs kept, all at the same time
 */
#include "archive/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail(const char *what, const char *why)
{
	(void)fprintf(stderr, "%s: %s\n", what, why);
	return 1;
}

static void add_string(struct json_object *to, const char *key, const char *value, size_t size)
{
	/* Bytes as code points, for names and values that are no UTF-8. */
	char *text = malloc(2 * size + 1);
	size_t n = 0;

	for (size_t i = 0; text && i < size; i++) {
		uint8_t c = (uint8_t)value[i];

		if (c < 0x80) {
			text[n++] = (char)c;
		} else {
			text[n++] = (char)(0xc0 | c >> 6);
			text[n++] = (char)(0x80 | (c & 0x3f));
		}
	}
	json_object_object_add(to, key, json_object_new_string_len(text ? text : "", (int)n));
	free(text);
}

static void add_number(struct json_object *to, const char *key, uint64_t value)
{
	json_object_object_add(to, key, json_object_new_uint64(value));
}

static void add_time(struct json_object *to, const char *key, struct timespec time)
{
	struct json_object *pair = json_object_new_array();

	json_object_array_add(pair, json_object_new_int64(time.tv_sec));
	json_object_array_add(pair, json_object_new_int64(time.tv_nsec));
	json_object_object_add(to, key, pair);
}

static int list_entry(struct st_tar *tar, const struct st_entry *entry)
{
	struct json_object *line = json_object_new_object(), *part;
	struct st_hash *hash;
	char digest[ST_DIGEST_MAX], type[2] = { entry->type, 0 };
	const void *data;
	ssize_t n;

	if (st_hash_create(&hash))
		return -ENOMEM;
	add_string(line, "path", entry->path, strlen(entry->path));
	add_string(line, "link", entry->link, strlen(entry->link));
	add_string(line, "type", type, 1);
	add_string(line, "uname", entry->uname, strlen(entry->uname));
	add_string(line, "gname", entry->gname, strlen(entry->gname));
	add_number(line, "mode", entry->mode);
	add_number(line, "uid", entry->uid);
	add_number(line, "gid", entry->gid);
	add_number(line, "size", entry->size);
	add_number(line, "stored", entry->stored);
	add_number(line, "major", entry->major);
	add_number(line, "minor", entry->minor);
	add_time(line, "mtime", entry->mtime);
	if (entry->has_atime)
		add_time(line, "atime", entry->atime);
	part = json_object_new_object();
	for (size_t i = 0; i < entry->pax_count; i++)
		add_string(part, entry->pax[i].key, entry->pax[i].value, entry->pax[i].size);
	json_object_object_add(line, "pax", part);
	part = json_object_new_array();
	for (size_t i = 0; i < entry->extent_count; i++) {
		struct json_object *pair = json_object_new_array();
		json_object_array_add(pair, json_object_new_uint64(entry->extents[i].offset));
		json_object_array_add(pair, json_object_new_uint64(entry->extents[i].size));
		json_object_array_add(part, pair);
	}
	json_object_object_add(line, "extents", part);
	while ((n = st_tar_take(tar, &data)) > 0)
		st_hash_add(hash, data, (size_t)n);
	st_hash_end(hash, digest);
	st_hash_destroy(hash);
	add_string(line, "data", digest, strlen(digest));
	(void)puts(json_object_to_json_string_ext(line, JSON_C_TO_STRING_PLAIN));
	json_object_put(line);
	return (int)n;
}

static int run_list(void)
{
	int in = 0, r;
	struct st_tar *tar;
	const struct st_entry *entry;

	if (st_tar_open(st_read_fd, &in, NULL, &tar))
		return fail("list", strerror(ENOMEM));
	while ((r = st_tar_next(tar, &entry)) > 0) {
		r = list_entry(tar, entry);
		if (r < 0)
			break;
	}
	if (r)
		(void)fail("list", st_tar_error(tar));
	st_tar_close(tar);
	return r != 0;
}

static int write_out(void *arg, const void *data, size_t size)
{
	return fwrite(data, 1, size, arg) == size ? 0 : -EIO;
}

static int run_copy(void)
{
	int in = 0, r;
	struct st_tar *tar;
	struct st_tar_writer *writer;
	const struct st_entry *entry;
	const void *data;
	ssize_t n;

	if (st_tar_open(st_read_fd, &in, NULL, &tar) || st_tar_writer_open(write_out, stdout, &writer))
		return fail("copy", strerror(ENOMEM));
	while ((r = st_tar_next(tar, &entry)) > 0) {
		r = st_tar_put(writer, entry);
		while (!r && (n = st_tar_take(tar, &data)) > 0)
			r = st_tar_put_data(writer, data, (size_t)n);
		if (r)
			break;
	}
	if (!r)
		r = st_tar_finish(writer);
	if (r || fflush(stdout))
		(void)fail("copy", *st_tar_error(tar) ? st_tar_error(tar) : strerror(-r));
	st_tar_writer_close(writer);
	st_tar_close(tar);
	return r != 0;
}

struct job {
	const char *file, *blob, *directory;
	bool sync;
	struct st_unpack_options options;
	struct st_limits limits;
	pthread_t thread;
	struct st_stream_result stream;
	struct st_unpack_result result;
	char error[512];
};

static int job_unpack(struct job *job, struct st_stream *stream, int to)
{
	struct st_tar *tar;
	int r = st_tar_open(st_stream_read, stream, &job->limits, &tar);

	if (!r) {
		r = st_unpack(tar, to, &job->options, &job->result, job->error, sizeof(job->error));
		st_tar_close(tar);
	}
	if (!r)
		r = st_stream_finish(stream, &job->stream);
	if (r && *st_stream_error(stream))
		(void)snprintf(job->error, sizeof(job->error), "%s", st_stream_error(stream));
	return r;
}

static void *job_run(void *arg)
{
	struct job *job = arg;
	int in = job->file ? open(job->file, O_RDONLY | O_CLOEXEC) : 0;
	int blob = job->blob ? open(job->blob, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644) : -1;
	int to = open(job->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = -errno;
	struct st_stream_options options = { .read = st_read_fd, .arg = &in, .copy = blob >= 0,
					     .copy_fd = blob };
	struct st_stream *stream;

	if (in >= 0 && to >= 0 && (blob >= 0 || !job->blob))
		r = st_stream_open(&options, &stream);
	if (!r) {
		r = job_unpack(job, stream, to);
		st_stream_close(stream);
		if (!r && job->sync && syncfs(to))
			r = -errno;
	}
	if (r && !job->error[0])
		(void)snprintf(job->error, sizeof(job->error), "%s", strerror(-r));
	if (in > 0)
		(void)close(in);
	if (blob >= 0)
		(void)close(blob);
	if (to >= 0)
		(void)close(to);
	return job;
}

static void job_report(const struct job *job)
{
	struct json_object *line = json_object_new_object();
	struct rusage usage;

	(void)getrusage(RUSAGE_SELF, &usage);
	add_string(line, "blob", job->stream.raw, strlen(job->stream.raw));
	add_string(line, "diff_id", job->stream.plain, strlen(job->stream.plain));
	add_number(line, "blob_bytes", job->stream.raw_bytes);
	add_number(line, "tar_bytes", job->stream.plain_bytes);
	add_number(line, "entries", job->result.entries);
	add_number(line, "bytes", job->result.bytes);
	add_number(line, "xattrs_skipped", job->result.xattrs_skipped);
	add_string(line, "implied", job->result.implied ? job->result.implied : "",
		   job->result.implied_size);
	add_number(line, "rss_kib", (uint64_t)usage.ru_maxrss);
#ifdef COW_SANITIZE
	add_number(line, "sanitized", 1); /* then memory says nothing */
#endif
	(void)puts(json_object_to_json_string_ext(line, JSON_C_TO_STRING_PLAIN));
	json_object_put(line);
}

static int run_load(int argc, char **argv)
{
	bool sync = argc && !strcmp(argv[0], "sync");
	struct job *jobs;
	int n, r = 0;

	argc -= sync;
	argv += sync;
	n = argc / 3;
	jobs = calloc((size_t)n + 1, sizeof(*jobs));
	if (!jobs || !n || argc % 3)
		return fail("load", "FILE BLOB DIR");
	for (int i = 0; i < n; i++) {
		jobs[i] = (struct job){ .file = argv[3 * i], .blob = argv[3 * i + 1],
					.directory = argv[3 * i + 2], .sync = sync };
		if (pthread_create(&jobs[i].thread, NULL, job_run, &jobs[i]))
			return fail("load", "no thread");
	}
	for (int i = 0; i < n; i++) {
		(void)pthread_join(jobs[i].thread, NULL);
		if (jobs[i].error[0])
			r = fail(jobs[i].file, jobs[i].error);
		else
			job_report(&jobs[i]);
		free(jobs[i].result.implied);
	}
	free(jobs);
	return r;
}

static int run_unpack(const char *directory, char **words)
{
	struct job job = { .directory = directory };

	for (; *words; words++) {
		if (!strcmp(*words, "apply"))
			job.options.whiteouts = ST_WHITEOUT_APPLY;
		else if (!strcmp(*words, "keep"))
			job.options.whiteouts = ST_WHITEOUT_KEEP;
		else if (!strcmp(*words, "no-owner"))
			job.options.no_owner = true;
		else if (!strcmp(*words, "skip-devices"))
			job.options.skip_devices = true;
		else if (!strcmp(*words, "user-xattr"))
			job.options.user_xattr = true;
		else if (!strncmp(*words, "max-bytes=", 10))
			job.limits.max_bytes = strtoull(*words + 10, NULL, 10);
		else
			return fail(*words, "not a word");
	}
	(void)job_run(&job);
	if (job.error[0])
		return fail("unpack", job.error);
	job_report(&job);
	free(job.result.implied);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "list"))
		return run_list();
	if (argc > 1 && !strcmp(argv[1], "copy"))
		return run_copy();
	if (argc > 1 && !strcmp(argv[1], "load"))
		return run_load(argc - 2, argv + 2);
	if (argc > 2 && !strcmp(argv[1], "unpack"))
		return run_unpack(argv[2], argv + 3);
	return fail("bench_archive", "list | copy | unpack DIR | load FILE BLOB DIR");
}
