/* SPDX-License-Identifier: MIT */
#include "txn/ops.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define OPS_CHUNK 32u

/* A slot never moves (its timer is queued) and is used again under another generation. */
struct op_slot {
	struct cow_ops *ops;
	struct op_slot *next_free;
	uint32_t index, generation;
	bool open, reserved;
	cow_op_cb cb;
	void *arg;
	struct cow_timer deadline;
};

struct cow_ops {
	struct cow_timers *timers;
	struct op_slot **chunks;
	uint32_t chunk_count;
	struct op_slot *free;
	uint32_t free_count, reserved, open_count;
};

struct cow_ops *cow_ops_create(struct cow_timers *timers)
{
	struct cow_ops *ops = calloc(1, sizeof(*ops));
	if (ops)
		ops->timers = timers;
	return ops;
}

void cow_ops_destroy(struct cow_ops *ops)
{
	if (!ops)
		return;
	for (uint32_t c = 0; c < ops->chunk_count; c++) {
		for (uint32_t i = 0; i < OPS_CHUNK; i++)
			cow_timer_stop(ops->timers, &ops->chunks[c][i].deadline);
		free(ops->chunks[c]);
	}
	free(ops->chunks);
	free(ops);
}

uint32_t cow_ops_count(const struct cow_ops *ops)
{
	return ops->open_count;
}

/* A free slot beyond those that are kept for somebody. */
static int ops_ensure_free(struct cow_ops *ops)
{
	if (ops->free_count > ops->reserved)
		return 0;
	struct op_slot **chunks =
		reallocarray(ops->chunks, ops->chunk_count + 1, sizeof(struct op_slot *));
	if (!chunks)
		return -ENOMEM;
	ops->chunks = chunks;
	struct op_slot *chunk = calloc(OPS_CHUNK, sizeof(*chunk));
	if (!chunk)
		return -ENOMEM;
	for (uint32_t i = OPS_CHUNK; i-- > 0;) {
		chunk[i].ops = ops;
		chunk[i].index = ops->chunk_count * OPS_CHUNK + i;
		chunk[i].next_free = ops->free;
		ops->free = &chunk[i];
	}
	ops->free_count += OPS_CHUNK;
	ops->chunks[ops->chunk_count++] = chunk;
	return 0;
}

int cow_ops_reserve(struct cow_ops *ops)
{
	int r = ops_ensure_free(ops);
	if (r == 0)
		ops->reserved++;
	return r;
}

void cow_ops_unreserve(struct cow_ops *ops)
{
	assert(ops->reserved > 0);
	ops->reserved--;
}

static cow_op slot_handle(const struct op_slot *slot)
{
	return (cow_op)slot->generation << 32 | slot->index;
}

static struct op_slot *slot_open(struct cow_ops *ops, cow_op_cb cb, void *arg)
{
	struct op_slot *slot = ops->free;
	ops->free = slot->next_free;
	ops->free_count--;
	ops->open_count++;
	if (++slot->generation == 0)
		slot->generation = 1; /* no handle is 0 */
	slot->open = true;
	slot->cb = cb;
	slot->arg = arg;
	return slot;
}

static void slot_close(struct op_slot *slot)
{
	struct cow_ops *ops = slot->ops;
	cow_timer_stop(ops->timers, &slot->deadline);
	slot->open = false;
	slot->next_free = ops->free;
	ops->free = slot;
	ops->free_count++;
	ops->open_count--;
	if (slot->reserved) {
		slot->reserved = false;
		ops->reserved++;
	}
}

static void slot_answer(struct op_slot *slot, const struct cow_answer *answer)
{
	cow_op op = slot_handle(slot);
	cow_op_cb cb = slot->cb;
	void *arg = slot->arg;
	slot_close(slot); /* first: an answer from inside the callback finds nothing */
	cb(arg, op, answer);
}

static void slot_expired(struct cow_timer *timer, void *arg)
{
	(void)timer;
	slot_answer(arg, &(const struct cow_answer){ .code = -ETIMEDOUT });
}

static struct op_slot *ops_find(const struct cow_ops *ops, cow_op op)
{
	uint32_t index = (uint32_t)op, generation = (uint32_t)(op >> 32);
	if (index / OPS_CHUNK >= ops->chunk_count)
		return NULL;
	struct op_slot *slot = &ops->chunks[index / OPS_CHUNK][index % OPS_CHUNK];
	return slot->open && slot->generation == generation ? slot : NULL;
}

int cow_op_open(struct cow_ops *ops, uint32_t deadline_ms, cow_op_cb cb, void *arg, cow_op *ret)
{
	int r = ops_ensure_free(ops);
	if (r < 0)
		return r;
	struct op_slot *slot = slot_open(ops, cb, arg);
	if (deadline_ms > 0)
		(void)cow_timer_start(ops->timers, &slot->deadline, deadline_ms, slot_expired,
				      slot);
	*ret = slot_handle(slot);
	return 0;
}

cow_op cow_op_open_reserved(struct cow_ops *ops, cow_op_cb cb, void *arg)
{
	assert(ops->reserved > 0);
	struct op_slot *slot = slot_open(ops, cb, arg);
	slot->reserved = true;
	ops->reserved--;
	return slot_handle(slot);
}

int cow_ops_answer(struct cow_ops *ops, cow_op op, const struct cow_answer *answer)
{
	struct op_slot *slot = ops_find(ops, op);
	if (!slot)
		return -ENOENT;
	slot_answer(slot, answer);
	return 0;
}

void cow_op_abandon(struct cow_ops *ops, cow_op op)
{
	struct op_slot *slot = ops_find(ops, op);
	if (slot)
		slot_close(slot);
}

void *cow_op_arg(const struct cow_ops *ops, cow_op op)
{
	struct op_slot *slot = ops_find(ops, op);
	return slot ? slot->arg : NULL;
}
