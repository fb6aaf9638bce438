/* SPDX-License-Identifier: MIT */
#include "txn/ledger.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/ids.h"
#include "txn/ledger_line.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define LEDGER_MAX_BYTES (64u << 20)
#define LEDGER_COMPACT_BYTES (16u << 10) /* smaller files are left alone */
#define LEDGER_COMPACT_FACTOR 4

/* One allocation: the strings that entry points to stand behind it. */
struct ledger_node {
	struct cow_ledger_entry entry;
	char text[];
};

struct cow_ledger {
	char *path;
	int fd;
	bool header;      /* the last header in the file is of this boot */
	bool torn;        /* behind `size` is something that must go first */
	bool name_synced; /* the directory has the file's name on disk */
	uint64_t size;    /* of the good part of the file */
	uint64_t compact_at;
	uint64_t next_seq;
	uint32_t count, cap, damaged;
	struct ledger_node **nodes; /* by seq */
};

/* ---- entries in memory ---- */

static struct ledger_node *node_create(const struct cow_ledger_entry *entry)
{
	size_t allocator = strlen(entry->allocator) + 1, key = strlen(entry->key) + 1;
	size_t record = strlen(entry->record) + 1;
	struct ledger_node *node = malloc(sizeof(*node) + allocator + key + record);
	if (!node)
		return NULL;
	node->entry = *entry;
	node->entry.allocator = memcpy(node->text, entry->allocator, allocator);
	node->entry.key = memcpy(node->text + allocator, entry->key, key);
	node->entry.record = memcpy(node->text + allocator + key, entry->record, record);
	return node;
}

/* Index of the first entry whose seq is not below. */
static uint32_t ledger_position(const struct cow_ledger *ledger, uint64_t seq)
{
	uint32_t low = 0, high = ledger->count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (ledger->nodes[middle]->entry.seq < seq)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool ledger_holds(const struct cow_ledger *ledger, uint32_t at, uint64_t seq)
{
	return at < ledger->count && ledger->nodes[at]->entry.seq == seq;
}

static int ledger_ensure_cap(struct cow_ledger *ledger)
{
	if (ledger->count < ledger->cap)
		return 0;
	uint32_t cap = ledger->cap ? ledger->cap * 2 : 4;
	struct ledger_node **nodes = reallocarray(ledger->nodes, cap, sizeof(struct ledger_node *));
	if (!nodes)
		return -ENOMEM;
	ledger->nodes = nodes;
	ledger->cap = cap;
	return 0;
}

/* Put in, or in place of, the entry with its seq.  There is room. */
static void ledger_put(struct cow_ledger *ledger, struct ledger_node *node)
{
	uint32_t at = ledger_position(ledger, node->entry.seq);
	if (ledger_holds(ledger, at, node->entry.seq)) {
		free(ledger->nodes[at]);
	} else {
		memmove(&ledger->nodes[at + 1], &ledger->nodes[at],
			(ledger->count - at) * sizeof(struct ledger_node *));
		ledger->count++;
	}
	ledger->nodes[at] = node;
	if (node->entry.seq >= ledger->next_seq)
		ledger->next_seq = node->entry.seq + 1;
}

static bool ledger_drop(struct cow_ledger *ledger, uint64_t seq)
{
	uint32_t at = ledger_position(ledger, seq);
	if (!ledger_holds(ledger, at, seq))
		return false;
	free(ledger->nodes[at]);
	ledger->count--;
	memmove(&ledger->nodes[at], &ledger->nodes[at + 1],
		(ledger->count - at) * sizeof(struct ledger_node *));
	return true;
}

/* ---- the file ---- */

static int ledger_truncate(struct cow_ledger *ledger, uint64_t size)
{
	while (ftruncate(ledger->fd, (off_t)size) < 0)
		if (errno != EINTR)
			return -errno;
	ledger->size = size;
	ledger->torn = false;
	return 0;
}

/* All of it behind the good part, or nothing. */
static int ledger_append(struct cow_ledger *ledger, const char *data, size_t len)
{
	if (ledger->torn) {
		int r = ledger_truncate(ledger, ledger->size);
		if (r < 0)
			return r;
	}
	for (size_t done = 0; done < len;) {
		ssize_t n =
			pwrite(ledger->fd, data + done, len - done, (off_t)(ledger->size + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			int r = n < 0 ? -errno : -EIO;
			ledger->torn = done > 0;
			if (ledger->torn)
				(void)ledger_truncate(ledger, ledger->size);
			return r;
		}
		done += (size_t)n;
	}
	ledger->size += len;
	return 0;
}

static int ledger_sync(struct cow_ledger *ledger)
{
	if (fdatasync(ledger->fd) < 0)
		return -errno;
	if (ledger->name_synced)
		return 0;
	int r = cow_fs_sync_parent(ledger->path);
	ledger->name_synced = r == 0;
	return r;
}

/* Lines for all that is held.  Entries of other boots keep being that. */
static bool ledger_text(const struct cow_ledger *ledger, struct cow_strbuf *b)
{
	const char *boot = NULL;
	bool durable = false;
	for (uint32_t i = 0; i < ledger->count; i++) {
		const struct cow_ledger_entry *entry = &ledger->nodes[i]->entry;
		const char *of = entry->other_boot ? COW_LEDGER_OTHER_BOOT : cow_boot_id();
		if (!boot || strcmp(boot, of) != 0)
			cow_ledger_line_header(b, of);
		boot = of;
		cow_ledger_line_intent(b, entry);
		durable = durable || entry->durable;
	}
	return durable;
}

/* Write anew what has grown too long.  Where that fails, the long one is as good. */
static void ledger_compact(struct cow_ledger *ledger)
{
	if (ledger->size < ledger->compact_at)
		return;
	ledger->compact_at = ledger->size * 2;
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf b = COW_STRBUF_INIT;
	bool durable = ledger_text(ledger, &b);
	if (b.error != 0 || b.len > ledger->size / LEDGER_COMPACT_FACTOR)
		return;
	int fd;
	if (cow_fs_write_atomic_fd(ledger->path, b.data, b.len, 0600, durable ? COW_FS_DURABLE : 0,
				   &fd) < 0)
		return;
	(void)close(ledger->fd);
	ledger->fd = fd;
	ledger->size = b.len;
	ledger->torn = false;
	ledger->name_synced = false;
	ledger->header = !ledger->nodes[ledger->count - 1]->entry.other_boot;
	ledger->compact_at = b.len * LEDGER_COMPACT_FACTOR;
	if (ledger->compact_at < LEDGER_COMPACT_BYTES)
		ledger->compact_at = LEDGER_COMPACT_BYTES;
}

/* ---- replay ---- */

static int ledger_replay_intent(struct cow_ledger *ledger, const struct cow_ledger_entry *entry)
{
	struct ledger_node *node = node_create(entry);
	if (!node || ledger_ensure_cap(ledger) < 0) {
		free(node);
		return -ENOMEM;
	}
	ledger_put(ledger, node);
	return 0;
}

static int ledger_replay_line(struct cow_ledger *ledger, char *text, size_t len, bool *other_boot)
{
	struct cow_ledger_line line;
	int r = cow_ledger_line_parse(text, len, &line);
	if (r < 0) {
		ledger->damaged++;
		return 0;
	}
	if (line.kind == 'H') {
		ledger->header = strcmp(line.boot, cow_boot_id()) == 0;
		*other_boot = !ledger->header;
		return line.version > COW_LEDGER_VERSION ? -EPROTONOSUPPORT : 0;
	}
	if (line.kind == 'R') {
		(void)ledger_drop(ledger, line.entry.seq); /* its intent may be a damaged line */
		return 0;
	}
	line.entry.other_boot = *other_boot;
	return ledger_replay_intent(ledger, &line.entry);
}

static int ledger_replay(struct cow_ledger *ledger)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	bool other_boot = false;
	int r = cow_fs_read(ledger->path, LEDGER_MAX_BYTES, &text, &len);
	if (r < 0)
		return r;
	char *p = text, *newline;
	while ((newline = memchr(p, '\n', len - (size_t)(p - text)))) {
		r = ledger_replay_line(ledger, p, (size_t)(newline - p), &other_boot);
		if (r < 0)
			return r;
		p = newline + 1;
	}
	ledger->size = (uint64_t)(p - text);
	ledger->torn = ledger->size < len;
	return 0;
}

int cow_ledger_open(const char *path, struct cow_ledger **ret, struct cow_error *err)
{
	struct cow_ledger *ledger = calloc(1, sizeof(*ledger));
	if (!ledger)
		return cow_error_errno(err, -ENOMEM, "%s", path);
	ledger->next_seq = 1;
	ledger->compact_at = LEDGER_COMPACT_BYTES;
	ledger->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r = ledger->fd < 0 ? -errno : 0;
	ledger->path = strdup(path);
	if (r == 0 && !ledger->path)
		r = -ENOMEM;
	if (r == 0)
		r = ledger_replay(ledger);
	if (r < 0) {
		cow_ledger_close(ledger);
		return cow_error_errno(err, r, "%s", path);
	}
	*ret = ledger;
	return 0;
}

void cow_ledger_close(struct cow_ledger *ledger)
{
	if (!ledger)
		return;
	for (uint32_t i = 0; i < ledger->count; i++)
		free(ledger->nodes[i]);
	free(ledger->nodes);
	if (ledger->fd >= 0)
		(void)close(ledger->fd);
	free(ledger->path);
	free(ledger);
}

/* ---- changes ---- */

static int ledger_write_intent(struct cow_ledger *ledger, const struct cow_ledger_entry *entry,
			       bool sync)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf b = COW_STRBUF_INIT;
	uint64_t before = ledger->size;
	if (!ledger->header)
		cow_ledger_line_header(&b, cow_boot_id());
	cow_ledger_line_intent(&b, entry);
	if (b.error != 0)
		return b.error;
	int r = ledger_append(ledger, b.data, b.len);
	if (r < 0)
		return r;
	if (sync)
		r = ledger_sync(ledger);
	if (r < 0) {
		ledger->torn = true; /* it must not be found, as nothing will be taken for it */
		ledger->size = before;
		(void)ledger_truncate(ledger, before);
		return r;
	}
	ledger->header = true;
	return 0;
}

static int ledger_intend(struct cow_ledger *ledger, const char *allocator, const char *key,
			 const char *record, bool durable, bool sync, uint64_t *ret_seq)
{
	const struct cow_ledger_entry *held = cow_ledger_find(ledger, allocator, key);
	const struct cow_ledger_entry entry = {
		.seq = held ? held->seq : ledger->next_seq,
		.allocator = allocator,
		.key = key,
		.record = record,
		.durable = durable,
	};
	/* First all that can fail in memory, then the file, then what cannot fail. */
	struct ledger_node *node = node_create(&entry);
	int r = node ? ledger_ensure_cap(ledger) : -ENOMEM;
	if (r == 0)
		r = ledger_write_intent(ledger, &entry, sync);
	if (r < 0) {
		free(node);
		return r;
	}
	ledger_put(ledger, node);
	ledger_compact(ledger);
	if (ret_seq)
		*ret_seq = entry.seq;
	return 0;
}

int cow_ledger_intend(struct cow_ledger *ledger, const char *allocator, const char *key,
		      const char *record, bool durable, uint64_t *ret_seq)
{
	return ledger_intend(ledger, allocator, key, record, durable, durable, ret_seq);
}

int cow_ledger_intend_lazily(struct cow_ledger *ledger, const char *allocator, const char *key,
			     const char *record, uint64_t *ret_seq)
{
	return ledger_intend(ledger, allocator, key, record, true, false, ret_seq);
}

int cow_ledger_release(struct cow_ledger *ledger, uint64_t seq)
{
	if (!ledger_drop(ledger, seq))
		return -ENOENT;
	if (ledger->count == 0) {
		/* Needs no space, so that also a full disk lets go of everything. */
		int r = ledger_truncate(ledger, 0);
		if (r == 0)
			ledger->header = false;
		return r;
	}
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf b = COW_STRBUF_INIT;
	cow_ledger_line_release(&b, seq);
	int r = b.error != 0 ? b.error : ledger_append(ledger, b.data, b.len);
	if (r == 0)
		ledger_compact(ledger);
	return r;
}

/* ---- reads ---- */

const struct cow_ledger_entry *cow_ledger_last(const struct cow_ledger *ledger)
{
	return ledger->count > 0 ? &ledger->nodes[ledger->count - 1]->entry : NULL;
}

const struct cow_ledger_entry *cow_ledger_before(const struct cow_ledger *ledger, uint64_t seq)
{
	uint32_t at = ledger_position(ledger, seq);
	return at > 0 ? &ledger->nodes[at - 1]->entry : NULL;
}

const struct cow_ledger_entry *cow_ledger_find(const struct cow_ledger *ledger,
					       const char *allocator, const char *key)
{
	for (uint32_t i = 0; i < ledger->count; i++) {
		const struct cow_ledger_entry *entry = &ledger->nodes[i]->entry;
		if (strcmp(entry->key, key) == 0 && strcmp(entry->allocator, allocator) == 0)
			return entry;
	}
	return NULL;
}

uint32_t cow_ledger_count(const struct cow_ledger *ledger)
{
	return ledger->count;
}

uint32_t cow_ledger_damaged(const struct cow_ledger *ledger)
{
	return ledger->damaged;
}
