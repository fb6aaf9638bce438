/* SPDX-License-Identifier: MIT */
/* Tables with members that this host does not know yet, as a later 1.x has them. */
#include "fake.h"

static int long_acquire(void *arg, cowherd_op op, const struct cowherd_request *request)
{
	(void)arg;
	(void)op;
	(void)request;
	return 0;
}

static int long_release(void *arg, cowherd_op op, const struct cowherd_record *record)
{
	(void)arg;
	(void)op;
	(void)record;
	return 0;
}

static int long_init(const struct cowherd_host *h, struct cowherd_self *s)
{
	static const struct {
		struct cowherd_allocator known;
		uint64_t unknown[8];
	} allocator = {
		.known = { .size = sizeof(allocator), .name = "long", .acquire = long_acquire,
			   .release = long_release },
		.unknown = { 1, 2, 3, 4, 5, 6, 7, 8 },
	};

	host = h;
	self = s;
	return h->register_allocator(s, &allocator.known, NULL);
}

const struct cowherd_plugin *cowherd_plugin_entry(uint32_t major, uint32_t minor)
{
	static const struct {
		struct cowherd_plugin known;
		uint64_t unknown[8];
	} plugin = {
		.known = { .size = sizeof(plugin), .abi_major = COWHERD_ABI_MAJOR, .abi_minor = 99,
			   .name = "long", .init = long_init },
		.unknown = { 1, 2, 3, 4, 5, 6, 7, 8 },
	};

	(void)major;
	(void)minor;
	return &plugin.known;
}
