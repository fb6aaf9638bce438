/* SPDX-License-Identifier: MIT */
/* Win32 backup streams: whatever they hold, a judgement; what is taken lies within them. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "layer/backup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_pieces(const struct st_backup *b, size_t size)
{
	uint64_t end = 0;

	for (size_t i = 0; i < b->piece_count; i++) {
		const struct st_backup_piece *p = &b->piece[i];

		if (p->at > size || p->size > size - p->at || p->offset < end)
			abort();
		end = p->offset + p->size;
	}
	if (end > b->size)
		abort();
	for (size_t i = 0; i < b->alternate_count; i++)
		if (b->alternate[i].at > size || b->alternate[i].size > size - b->alternate[i].at ||
		    strpbrk(b->alternate[i].name, ":/\\"))
			abort();
}

/* What was understood is written so that it is understood again. */
static void check_reparse(const struct st_blob *blob)
{
	char *target, *again;
	struct st_blob made;
	bool mount, mount_again;
	uint32_t tag;
	int r;

	if (!blob->data || st_reparse_decode(blob, &target, &mount, &tag) < 0)
		return;
	r = st_reparse_encode(target, mount, &made);
	if (r < 0 && r != -E2BIG)
		abort();
	if (r == 0) {
		if (st_reparse_decode(&made, &again, &mount_again, &tag) < 0 || strcmp(target, again) != 0 ||
		    mount != mount_again)
			abort();
		free(again);
		st_blob_finish(&made);
	}
	free(target);
}

static void check_ea(const struct st_blob *blob)
{
	struct st_blob made = { 0 };
	size_t at = 0, last = 0;
	struct st_ea ea;

	while (blob->data && st_ea_next(blob, &at, &ea) > 0)
		if (at > blob->size || st_ea_add(&made, &last, &ea) < 0)
			abort();
	st_blob_finish(&made);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct st_source source;
	struct st_backup backup;
	const char *cause;

	st_source_memory(&source, data, size);
	if (st_backup_scan(&source, 0, &backup, &cause) < 0)
		return 0;
	check_pieces(&backup, size);
	check_reparse(&backup.reparse);
	check_ea(&backup.ea);
	st_backup_finish(&backup);
	return 0;
}
