/* SPDX-License-Identifier: MIT */
/* Images that say they are VHD or VHDX: whatever they hold, a judgement. */
#include <stdint.h>
#include <stdlib.h>

#include "disk/vhd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct st_source source;
	struct st_disk_info info;
	char error[256];

	st_source_memory(&source, data, size);
	if (st_disk_judge(&source, &info, error, sizeof(error)) == 0 &&
	    (info.kind >= ST_DISK_BLOCK || (info.kind == ST_DISK_VHD_FIXED && info.size > size)))
		abort();
	return 0;
}
