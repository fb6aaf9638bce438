/* SPDX-License-Identifier: MIT */
#include "image/progress.h"
#include "common/format.h"
#include "image/internal.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#define BARS_MAX 24     /* more layers share the last line */
#define BAR_WIDTH 40
#define REDRAW_MS 100

struct bar {
	char layer[16];
	uint64_t done, total, unpacked;
	bool finished;
};

struct st_bars {
	struct plug_run *run;
	bool terminal;
	pthread_mutex_t mutex;
	struct bar bars[BARS_MAX];
	size_t count, drawn; /* lines on the screen */
	uint64_t next_ms;
};

static uint64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

struct st_bars *st_bars_begin(struct plug_run *run, bool quiet)
{
	struct st_bars *b = quiet || run->err < 0 ? NULL : calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->run = run;
	b->terminal = isatty(run->err) == 1;
	(void)pthread_mutex_init(&b->mutex, NULL);
	return b;
}

static void bar_print(FILE *out, const struct bar *bar)
{
	char done[16], total[16], cells[BAR_WIDTH + 1];
	uint64_t full = bar->total ? BAR_WIDTH * bar->done / bar->total : BAR_WIDTH;

	if (bar->finished) {
		plug_format_bytes(bar->unpacked, done);
		(void)fprintf(out, "%s: Loaded, %s unpacked\033[K\n", bar->layer, done);
		return;
	}
	plug_format_bytes(bar->done, done);
	plug_format_bytes(bar->total, total);
	full = full > BAR_WIDTH ? BAR_WIDTH : full;
	memset(cells, ' ', BAR_WIDTH);
	memset(cells, '=', full);
	if (full && full < BAR_WIDTH)
		cells[full - 1] = '>';
	cells[BAR_WIDTH] = 0;
	(void)fprintf(out, "%s: Loading [%s] %s/%s\033[K\n", bar->layer, cells, done, total);
}

static void redraw(struct st_bars *b, bool always)
{
	_cleanup_free_ char *text = NULL;
	uint64_t now = now_ms();
	size_t size;
	FILE *out;

	if (!b->terminal || (!always && now < b->next_ms))
		return;
	b->next_ms = now + REDRAW_MS;
	out = open_memstream(&text, &size);
	if (!out)
		return;
	if (b->drawn)
		(void)fprintf(out, "\033[%zuA", b->drawn);
	for (size_t i = 0; i < b->count; i++)
		bar_print(out, &b->bars[i]);
	if (!fclose(out))
		(void)plug_run_write(b->run, b->run->err, text, size);
	b->drawn = b->count;
}

static struct bar *bar_of(struct st_bars *b, const char *layer)
{
	for (size_t i = 0; i < b->count; i++)
		if (!strcmp(b->bars[i].layer, layer))
			return &b->bars[i];
	if (b->count < BARS_MAX)
		b->count++;
	/* Too many for a screen: the last line shows who is at it. */
	b->bars[b->count - 1] = (struct bar){ 0 };
	(void)snprintf(b->bars[b->count - 1].layer, sizeof(b->bars->layer), "%s", layer);
	return &b->bars[b->count - 1];
}

static void on_at(void *arg, const char *layer, uint64_t done, uint64_t total)
{
	struct st_bars *b = arg;
	struct bar *bar;

	if (!b->terminal)
		return;
	(void)pthread_mutex_lock(&b->mutex);
	bar = bar_of(b, layer);
	bar->done = done;
	bar->total = total;
	redraw(b, false);
	(void)pthread_mutex_unlock(&b->mutex);
}

static void on_finished(void *arg, const char *layer, uint64_t unpacked)
{
	struct st_bars *b = arg;
	struct bar *bar;
	char line[64], size[16];

	(void)pthread_mutex_lock(&b->mutex);
	if (b->terminal) {
		bar = bar_of(b, layer);
		bar->finished = true;
		bar->unpacked = unpacked;
		redraw(b, true);
	} else {
		plug_format_bytes(unpacked, size);
		(void)snprintf(line, sizeof(line), "%s: Loaded, %s unpacked\n", layer, size);
		(void)plug_run_write(b->run, b->run->err, line, strlen(line));
	}
	(void)pthread_mutex_unlock(&b->mutex);
}

struct st_progress st_bars_progress(struct st_bars *b)
{
	return b ? (struct st_progress){ .at = on_at, .finished = on_finished, .arg = b }
		 : (struct st_progress){ 0 };
}

void st_bars_end(struct st_bars *b)
{
	if (!b)
		return;
	redraw(b, true);
	(void)pthread_mutex_destroy(&b->mutex);
	free(b);
}
