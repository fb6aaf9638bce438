/* SPDX-License-Identifier: MIT */
/* bench_writer MIB: that many MiB of 80-column lines to stdout, in writes of 64 KiB. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	static char block[65536];
	long blocks = (argc > 1 ? atol(argv[1]) : 1) * 16;

	memset(block, 'x', sizeof(block));
	for (size_t i = 79; i < sizeof(block); i += 80)
		block[i] = '\n';
	block[sizeof(block) - 1] = '\n';
	while (blocks-- > 0)
		for (size_t off = 0; off < sizeof(block);) {
			ssize_t n = write(1, block + off, sizeof(block) - off);
			if (n <= 0)
				return 1;
			off += (size_t)n;
		}
	return 0;
}
