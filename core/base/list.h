/* SPDX-License-Identifier: MIT */
/* Circular doubly linked list, node inside the element. */
#ifndef COW_BASE_LIST_H
#define COW_BASE_LIST_H

#include <stddef.h>

struct cow_list {
	struct cow_list *next, *prev;
};

static inline void cow_list_init(struct cow_list *l)
{
	l->next = l->prev = l;
}

static inline int cow_list_empty(const struct cow_list *l)
{
	return l->next == l;
}

/* Append e before head: at the tail. */
static inline void cow_list_add(struct cow_list *head, struct cow_list *e)
{
	e->prev = head->prev;
	e->next = head;
	head->prev->next = e;
	head->prev = e;
}

/* Unlink; an element that is in no list (initialised) stays harmless. */
static inline void cow_list_del(struct cow_list *e)
{
	e->prev->next = e->next;
	e->next->prev = e->prev;
	cow_list_init(e);
}

#define cow_container_of(p, type, member) ((type *)((char *)(p)-offsetof(type, member)))
#define cow_list_for(pos, head) \
	for (struct cow_list *pos = (head)->next; pos != (head); pos = pos->next)
/* The current element may be deleted. */
#define cow_list_for_safe(pos, tmp, head)                                          \
	for (struct cow_list *pos = (head)->next, *tmp = pos->next; pos != (head); \
	     pos = tmp, tmp = pos->next)

#endif
