/* SPDX-License-Identifier: MIT */
#include "cli/terminal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static struct {
	int fd; /* valid while raw */
	bool raw, registered;
	struct termios before;
} own;

void cow_terminal_restore(void)
{
	if (own.raw)
		(void)tcsetattr(own.fd, TCSADRAIN, &own.before);
	own.raw = false;
}

int cow_terminal_raw(int fd)
{
	struct termios raw;

	if (own.raw)
		return 0;
	if (tcgetattr(fd, &own.before))
		return -errno;
	if (!own.registered && atexit(cow_terminal_restore))
		return -ENOMEM;
	own.registered = true;
	raw = own.before;
	cfmakeraw(&raw);
	own.fd = fd;
	if (tcsetattr(fd, TCSADRAIN, &raw))
		return -errno;
	own.raw = true;
	return 0;
}

void cow_terminal_size(int fd, uint16_t *ret_height, uint16_t *ret_width)
{
	struct winsize ws = { 0 };

	if (ioctl(fd, TIOCGWINSZ, &ws))
		memset(&ws, 0, sizeof(ws));
	*ret_height = ws.ws_row;
	*ret_width = ws.ws_col;
}

static int parse_key(const char *text, size_t len, unsigned char *ret)
{
	if (len == 1) {
		*ret = (unsigned char)text[0];
		return 0;
	}
	if (len != 6 || strncasecmp(text, "ctrl-", 5))
		return -EINVAL;
	/* @ A..Z [ \ ] ^ _ are 0 to 31. */
	if (text[5] >= 'a' && text[5] <= 'z')
		*ret = (unsigned char)(text[5] - 'a' + 1);
	else if (text[5] >= '@' && text[5] <= '_')
		*ret = (unsigned char)(text[5] - '@');
	else
		return -EINVAL;
	return 0;
}

int cow_detach_parse(const char *text, struct cow_detach *ret)
{
	struct cow_detach d = { .count = 0 };

	while (*text) {
		size_t len = strcspn(text, ",");

		/* A lone comma is a key too: "ctrl-a,,". */
		if (!len)
			len = 1;
		if (d.count == COW_DETACH_MAX || parse_key(text, len, &d.keys[d.count]))
			return -EINVAL;
		d.count++;
		text += len;
		if (*text == ',')
			text++;
	}
	*ret = d;
	return 0;
}

bool cow_detach_feed(struct cow_detach *d, const unsigned char *in, size_t len, unsigned char *out,
		     size_t *ret_len)
{
	size_t n = 0;
	bool found = false;

	for (size_t i = 0; i < len && !found; i++) {
		/* On a mismatch the longest held tail that still begins the sequence stays held. */
		while (d->matched && in[i] != d->keys[d->matched]) {
			size_t keep = d->matched - 1;

			while (keep && memcmp(d->keys, d->keys + d->matched - keep, keep))
				keep--;
			memcpy(out + n, d->keys, d->matched - keep);
			n += d->matched - keep;
			d->matched = keep;
		}
		if (d->count && in[i] == d->keys[d->matched])
			found = ++d->matched == d->count;
		else
			out[n++] = in[i];
	}
	if (found)
		d->matched = 0;
	*ret_len = n;
	return found;
}
