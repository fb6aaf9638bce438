/* SPDX-License-Identifier: MIT */
#include "image/oci.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

/* Machines as the kernel, and people, call them; and as Go, and so images, do. */
static const char *const aliases[][3] = {
	{ "x86_64", "amd64", "" },   { "x86-64", "amd64", "" },	  { "i386", "386", "" },
	{ "i486", "386", "" },	     { "i586", "386", "" },	  { "i686", "386", "" },
	{ "aarch64", "arm64", "" },  { "armv7l", "arm", "v7" },	  { "armv6l", "arm", "v6" },
	{ "armhf", "arm", "v7" },    { "armel", "arm", "v6" },	  { "loongarch64", "loong64", "" },
	{ "mips64el", "mips64le", "" }, { "ppc64el", "ppc64le", "" },
};

static const char *const architectures[] = { "amd64", "386",	  "arm",   "arm64",   "riscv64", "ppc64le",
					     "s390x", "mips64le", "mips",  "loong64", "ppc64" };

/* The canonical name of an architecture, and the variant that goes without saying is none. */
static void normalize(struct st_platform *p)
{
	for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++)
		if (!strcmp(p->arch, aliases[i][0])) {
			(void)strcpy(p->arch, aliases[i][1]);
			if (!*p->variant)
				(void)strcpy(p->variant, aliases[i][2]);
			break;
		}
	if ((!strcmp(p->arch, "arm64") && !strcmp(p->variant, "v8")) ||
	    (!strcmp(p->arch, "amd64") && !strcmp(p->variant, "v1")))
		*p->variant = 0;
	if (!strcmp(p->arch, "arm") && !*p->variant)
		(void)strcpy(p->variant, "v7");
}

static bool known(const char *arch)
{
	for (size_t i = 0; i < sizeof(architectures) / sizeof(architectures[0]); i++)
		if (!strcmp(arch, architectures[i]))
			return true;
	return false;
}

static bool part_copy(char *to, size_t size, const char *from, size_t len)
{
	if (!len || len >= size ||
	    strspn(from, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") < len)
		return false;
	memcpy(to, from, len);
	to[len] = 0;
	return true;
}

int st_platform_parse(const char *text, struct st_platform *ret, struct plug_error *err)
{
	struct st_platform p = { 0 };
	const char *first = strchr(text, '/'), *second = first ? strchr(first + 1, '/') : NULL;
	bool good;

	if (!first) {
		good = part_copy(p.arch, sizeof(p.arch), text, strlen(text));
		(void)strcpy(p.os, "linux");
		normalize(&p);
		good = good && known(p.arch);
	} else {
		good = part_copy(p.os, sizeof(p.os), text, (size_t)(first - text)) &&
		       part_copy(p.arch, sizeof(p.arch), first + 1,
				 second ? (size_t)(second - first - 1) : strlen(first + 1)) &&
		       (!second || part_copy(p.variant, sizeof(p.variant), second + 1, strlen(second + 1)));
		normalize(&p);
	}
	if (!good)
		return plug_error_set(err, -EINVAL,
				      "platform \"%s\": not OS/ARCH[/VARIANT], like linux/arm64",
				      text);
	*ret = p;
	return 0;
}

void st_platform_host(struct st_platform *ret)
{
	struct utsname u;

	*ret = (struct st_platform){ .os = "linux" };
	if (!uname(&u))
		(void)snprintf(ret->arch, sizeof(ret->arch), "%.15s", u.machine);
	normalize(ret);
}

/* "v7" → 7; without one 0 (for amd64: 1). */
static int level(const struct st_platform *p)
{
	if (p->variant[0] == 'v' && p->variant[1] >= '0' && p->variant[1] <= '9' && !p->variant[2])
		return p->variant[1] - '0';
	return 0;
}

int st_platform_match(const struct st_platform *want, const struct st_platform *is)
{
	struct st_platform w = *want, i = *is;

	normalize(&w);
	normalize(&i);
	if (strcmp(w.os, i.os) != 0 || strcmp(w.arch, i.arch) != 0)
		return 0;
	if (!strcmp(w.variant, i.variant))
		return 100;
	/* An arm runs what is for its elders; and who asks for none takes the most modest. */
	if (!strcmp(w.arch, "arm") && level(&i) && level(&i) < level(&w))
		return 50 + level(&i);
	return *w.variant && strcmp(w.arch, "arm64") != 0 && strcmp(w.arch, "amd64") != 0
		       ? 0
		       : 20 - level(&i);
}

void st_platform_text(const struct st_platform *p, char ret[64])
{
	(void)snprintf(ret, 64, "%s/%s%s%s", *p->os ? p->os : "unknown",
		       *p->arch ? p->arch : "unknown", *p->variant ? "/" : "", p->variant);
}
