/* SPDX-License-Identifier: MIT */
/* A plugin's tables, read size-first and judged before anything of them is used. */
#include "host/internal.h"
#include "spec/json_scan.h"

#include <errno.h>
#include <string.h>

#define NAME_MAX_BYTES 64

int table_copy(void *dst, size_t dst_size, const void *src)
{
	size_t size;

	if (!src)
		return -EINVAL;
	memcpy(&size, src, sizeof(size));
	if (size < sizeof(size))
		return -EINVAL;
	memset(dst, 0, dst_size);
	memcpy(dst, src, size < dst_size ? size : dst_size);
	memcpy(dst, &dst_size, sizeof(dst_size));
	return 0;
}

static bool name_part_valid(const char *s, size_t n)
{
	if (n == 0 || s[0] < 'a' || s[0] > 'z')
		return false;
	for (size_t i = 1; i < n; i++)
		if (!(s[i] >= 'a' && s[i] <= 'z') && !(s[i] >= '0' && s[i] <= '9') && s[i] != '-')
			return false;
	return true;
}

bool table_name_valid(const char *name, bool dots)
{
	if (!name || strnlen(name, NAME_MAX_BYTES + 1) > NAME_MAX_BYTES)
		return false;
	for (;;) {
		size_t n = dots ? strcspn(name, ".") : strlen(name);

		if (!name_part_valid(name, n))
			return false;
		if (!name[n])
			return true;
		name += n + 1;
	}
}

static int capabilities_valid(const char *const *list)
{
	for (; list && *list; list++)
		if (!table_name_valid(*list, true))
			return -EINVAL;
	return 0;
}

int table_read_plugin(struct cowherd_plugin *ret, const struct cowherd_plugin *theirs,
		      struct cow_error *err)
{
	struct cowherd_plugin table;

	if (!theirs)
		return cow_error_set(err, -ENOEXEC, "it does not work with host ABI %d.%d",
				     COWHERD_ABI_MAJOR, COWHERD_ABI_MINOR);
	if (table_copy(&table, sizeof(table), theirs) < 0)
		return cow_error_set(err, -ENOEXEC, "its plugin table has no valid size");
	if (table.abi_major != COWHERD_ABI_MAJOR)
		return cow_error_set(err, -ENOEXEC, "it is built for ABI %u.%u, the host speaks %d.%d",
				     table.abi_major, table.abi_minor, COWHERD_ABI_MAJOR,
				     COWHERD_ABI_MINOR);
	if (!table_name_valid(table.name, false))
		return cow_error_set(err, -EINVAL, "its name is not [a-z][a-z0-9-]*");
	if (!table.init)
		return cow_error_set(err, -EINVAL, "it has no init function");
	if (capabilities_valid(table.provides) < 0 || capabilities_valid(table.requires_) < 0)
		return cow_error_set(err, -EINVAL, "the name of a capability is not valid");
	if (!table.version)
		table.version = "";
	if (!table.description)
		table.description = "";
	*ret = table;
	return 0;
}

int table_read_allocator(struct cowherd_allocator *ret, const struct cowherd_allocator *theirs)
{
	struct cowherd_allocator t;

	if (table_copy(&t, sizeof(t), theirs) < 0 || !table_name_valid(t.name, true) ||
	    t.phase >= COW_PHASE_COUNT || !t.acquire || !t.release)
		return -EINVAL;
	*ret = t;
	return 0;
}

int table_read_backend(struct cowherd_backend *ret, const struct cowherd_backend *theirs)
{
	struct cowherd_backend t;

	if (table_copy(&t, sizeof(t), theirs) < 0 || !table_name_valid(t.name, true))
		return -EINVAL;
	if (!t.supports || !t.create || !t.start || !t.signal || !t.terminate || !t.close || !t.release)
		return -EINVAL;
	*ret = t;
	return 0;
}

int table_read_verb(struct cowherd_verb *ret, const struct cowherd_verb *theirs)
{
	struct cowherd_verb t;

	if (table_copy(&t, sizeof(t), theirs) < 0 || !table_name_valid(t.name, false) || !t.call)
		return -EINVAL;
	if (!t.usage)
		t.usage = t.name;
	if (!t.help)
		t.help = "";
	if (!t.details)
		t.details = "";
	*ret = t;
	return 0;
}

int table_read_config(struct cowherd_config_section *ret, const struct cowherd_config_section *theirs)
{
	struct cowherd_config_section t;

	if (table_copy(&t, sizeof(t), theirs) < 0 || !table_name_valid(t.name, false) || !t.apply)
		return -EINVAL;
	*ret = t;
	return 0;
}

int table_read_image_source(struct cowherd_image_source *ret,
			    const struct cowherd_image_source *theirs)
{
	struct cowherd_image_source t;

	if (table_copy(&t, sizeof(t), theirs) < 0 || !table_name_valid(t.name, true) || !t.resolve)
		return -EINVAL;
	*ret = t;
	return 0;
}

int table_json(const char *text, bool object)
{
	struct cow_json_flaw flaw;
	int rc;

	if (!text)
		return -EINVAL;
	rc = cow_json_scan(text, strlen(text), &flaw);
	if (rc < 0)
		return rc == -ENOMEM ? rc : -EBADMSG;
	return object && text[strspn(text, " \t\r\n")] != '{' ? -EBADMSG : 0;
}
