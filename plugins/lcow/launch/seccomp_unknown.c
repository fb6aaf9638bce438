/* SPDX-License-Identifier: MIT */
/*
 * System calls that are newer than a profile.  A profile that answers EPERM to what it does not
 * name makes new C libraries fail, which ask for the newest call first and fall back on ENOSYS
 * only. So what is above every number that the profile names is answered as an older kernel would.
 */
#include "filter.h"

#include <errno.h>
#include <seccomp.h>
#include <stddef.h>
#include <linux/audit.h>
#include <linux/seccomp.h>

#define X32_BIT 0x40000000u
#define NEVER UINT32_MAX /* nothing is above */

struct program {
	struct sock_filter *code;
	size_t n;
};

static void emit(struct program *p, int op, uint8_t jt, uint8_t jf, uint32_t k)
{
	p->code[p->n++] = (struct sock_filter){ .code = (uint16_t)op, .jt = jt, .jf = jf, .k = k };
}

static void emit_load(struct program *p, size_t offset)
{
	emit(p, BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)offset);
}

/* "ja 0" stands for a jump to the end; program_close() fills it in. */
static void emit_limit(struct program *p, uint32_t highest)
{
	emit(p, BPF_JMP | BPF_JGT | BPF_K, 0, 1, highest);
	emit(p, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | ENOSYS);
	emit(p, BPF_JMP | BPF_JA, 0, 0, 0);
}

static void emit_arch(struct program *p, uint32_t arch, uint32_t highest)
{
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 4, arch);
	emit_load(p, offsetof(struct seccomp_data, nr));
	emit_limit(p, highest);
}

/* Both ABIs of x86-64 have one audit number; a bit in the system call tells them apart. */
static void emit_x86_64(struct program *p, uint32_t highest, uint32_t highest_x32)
{
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 8, AUDIT_ARCH_X86_64);
	emit_load(p, offsetof(struct seccomp_data, nr));
	emit(p, BPF_JMP | BPF_JSET | BPF_K, 3, 0, X32_BIT);
	emit_limit(p, highest);
	emit_limit(p, highest_x32);
}

static void program_close(struct program *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->code[i].code == (BPF_JMP | BPF_JA))
			p->code[i].k = (uint32_t)(p->n - i - 1);
}

size_t seccomp_unknown_write(const uint32_t *archs, const int *highest, size_t n,
			     struct sock_filter ret[SECCOMP_UNKNOWN_MAX])
{
	struct program p = { ret, 0 };
	uint32_t x86_64 = NEVER, x32 = NEVER;

	emit_load(&p, offsetof(struct seccomp_data, arch));
	for (size_t i = 0; i < n; i++) {
		if (highest[i] < 0)
			continue;
		if (archs[i] == SCMP_ARCH_X86_64)
			x86_64 = (uint32_t)highest[i];
		else if (archs[i] == SCMP_ARCH_X32)
			x32 = (uint32_t)highest[i] | X32_BIT;
		else
			emit_arch(&p, archs[i], (uint32_t)highest[i]);
	}
	if (x86_64 != NEVER || x32 != NEVER)
		emit_x86_64(&p, x86_64, x32);
	program_close(&p);
	return p.n > 1 ? p.n : 0;
}
