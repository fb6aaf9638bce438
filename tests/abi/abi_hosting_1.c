/* SPDX-License-Identifier: MIT */
/* The layout of cowherd/hosting.h, service version 1, on LP64.  Append-only: no line below ever changes. */
#include "cowherd/hosting.h"

#ifndef __LP64__
#error "these are the layouts of LP64"
#endif

#define SIZE(type, bytes) _Static_assert(sizeof(struct type) >= (bytes), #type)
#define AT(type, member, offset, bytes)                                            \
	_Static_assert(offsetof(struct type, member) == (offset) &&                \
			       sizeof(((struct type *)0)->member) == (bytes),      \
		       #type "." #member)

_Static_assert(COWHERD_HOSTING_VERSION >= 1, "version");
_Static_assert(COWHERD_HOSTING_WINDOWS == 1 && COWHERD_HOSTING_NAMESPACES == 2, "flags");
_Static_assert(COWHERD_HOSTING_HOST == 0 && COWHERD_HOSTING_GUEST == 1, "sides");

SIZE(cowherd_hosting_system, 16);
AT(cowherd_hosting_system, size, 0, 8);
AT(cowherd_hosting_system, flags, 8, 4);
AT(cowherd_hosting_system, reserved, 12, 4);

SIZE(cowherd_hosting_request, 72);
AT(cowherd_hosting_request, size, 0, 8);
AT(cowherd_hosting_request, system, 8, 8);
AT(cowherd_hosting_request, container, 16, 8);
AT(cowherd_hosting_request, resource, 24, 8);
AT(cowherd_hosting_request, type, 32, 8);
AT(cowherd_hosting_request, settings, 40, 8);
AT(cowherd_hosting_request, netns, 48, 8);
AT(cowherd_hosting_request, link, 56, 8);
AT(cowherd_hosting_request, side, 64, 4);
AT(cowherd_hosting_request, reserved, 68, 4);

SIZE(cowherd_hosting, 32);
AT(cowherd_hosting, size, 0, 8);
AT(cowherd_hosting, describe, 8, 8);
AT(cowherd_hosting, modify, 16, 8);
AT(cowherd_hosting, cancel, 24, 8);

