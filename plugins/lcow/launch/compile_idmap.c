/* SPDX-License-Identifier: MIT */
/* crun's mount option "idmap=uids=0-1-10#10-11-10;gids=@0-100-10", see crun(1). */
#include "compile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* "0-1-10": the first id inside and outside, and how many; the rest of s, or NULL. */
static const char *triplet_parse(const char *s, struct launch_idmap *ret)
{
	unsigned long n[3];
	char *end;

	for (int i = 0; i < 3; i++) {
		if (*s < '0' || *s > '9')
			return NULL;
		errno = 0;
		n[i] = strtoul(s, &end, 10);
		if (errno || n[i] > UINT32_MAX || (i < 2 && *end != '-'))
			return NULL;
		s = end + (i < 2);
	}
	if (!n[2] || n[0] + n[2] > UINT32_MAX || n[1] + n[2] > UINT32_MAX)
		return NULL;
	*ret = (struct launch_idmap){ (uint32_t)n[0], (uint32_t)n[1], (uint32_t)n[2] };
	return s;
}

/* '@' in front: the outside ids are counted in the container's user namespace. */
static bool triplet_resolve(const struct compile *c, struct launch_vec container,
			    struct launch_idmap *map)
{
	for (uint32_t i = 0; i < container.n; i++) {
		const struct launch_idmap *of =
			launch_at(c->block, container, struct launch_idmap, i);

		if (map->outside < of->inside || map->outside - of->inside >= of->count)
			continue;
		map->outside = map->outside - of->inside + of->outside;
		return map->outside <= UINT32_MAX - map->count;
	}
	return false;
}

static const char *list_parse(struct compile *c, struct launch_vec container, const char *s,
			      struct launch_vec *ret)
{
	struct launch_idmap map = { 0 };
	struct rows rows = { 0 };
	bool relative;

	do {
		relative = *s == '@';
		s = triplet_parse(s + relative, &map);
		if (s && relative && !triplet_resolve(c, container, &map))
			s = NULL;
		if (!s)
			break;
		rows_add(c, &rows, &map, sizeof(map));
	} while (*s++ == '#');
	*ret = rows_take(c, &rows, sizeof(map));
	return s ? s - 1 : NULL;
}

void compile_idmap_option(struct compile *c, const struct node *at, const char *s,
			  struct launch_mount *m)
{
	while (s && *s && !c->code) {
		if (!strncmp(s, "uids=", 5) && !m->uid_maps.n)
			s = list_parse(c, c->plan.uid_maps, s + 5, &m->uid_maps);
		else if (!strncmp(s, "gids=", 5) && !m->gid_maps.n)
			s = list_parse(c, c->plan.gid_maps, s + 5, &m->gid_maps);
		else
			break;
		if (!s || *s != ';' || !s[1])
			break;
		s++;
	}
	if (!s || *s)
		compile_fail(c, at, NULL, -EINVAL, "no id mapping (idmap=uids=0-1000-10;gids=...)");
}
