/* SPDX-License-Identifier: MIT */
/* Prints docs/states.md. */
#include "model/state.h"

#include <stdio.h>

int main(void)
{
	struct cow_strbuf out = COW_STRBUF_INIT;
	int rc = 1;

	cow_model_document(&out);
	if (!out.error && fputs(out.data, stdout) >= 0 && fflush(stdout) == 0)
		rc = 0;
	cow_strbuf_finish(&out);
	return rc;
}
