/* SPDX-License-Identifier: MIT */
/*
 * Raw system calls for code that runs between clone3 and execve: in a copy of a multi-threaded
 * process, where any lock may be held for ever, so no libc function, no errno.  Results are
 * negative errnos.
 */
#ifndef LAUNCH_SYS_H
#define LAUNCH_SYS_H

#include <asm/unistd.h>
#include <stddef.h>
#include <stdint.h>

static inline long sys6(long nr, long a, long b, long c, long d, long e, long f)
{
#if defined(__x86_64__)
	long ret;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
#elif defined(__aarch64__)
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc #0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory");
	return x0;
#else
#error "no system call convention known for this machine"
#endif
}

#define SYS_CALL0(nr) sys6(nr, 0, 0, 0, 0, 0, 0)
#define SYS_CALL1(nr, a) sys6(nr, (long)(a), 0, 0, 0, 0, 0)
#define SYS_CALL2(nr, a, b) sys6(nr, (long)(a), (long)(b), 0, 0, 0, 0)
#define SYS_CALL3(nr, a, b, c) sys6(nr, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define SYS_CALL4(nr, a, b, c, d) sys6(nr, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)
#define SYS_CALL5(nr, a, b, c, d, e) \
	sys6(nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), 0)
#define SYS_CALL6(nr, a, b, c, d, e, f) \
	sys6(nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
#define SYS_PICK(_0, _1, _2, _3, _4, _5, _6, name, ...) name
/* sys(close, fd): up to six arguments, integers or pointers. */
#define sys(name, ...)                                                                       \
	SYS_PICK(name, ##__VA_ARGS__, SYS_CALL6, SYS_CALL5, SYS_CALL4, SYS_CALL3, SYS_CALL2, \
		 SYS_CALL1, SYS_CALL0)                                                       \
	(__NR_##name, ##__VA_ARGS__)

/* The clone took the handlers away; what its maker ignored (SIGPIPE, or SIGHUP under nohup) goes here. */
static inline void sys_default_signals(void)
{
	uint64_t by_default[4] = { 0 };

	for (int signo = 1; signo <= 64; signo++)
		(void)sys(rt_sigaction, signo, by_default, NULL, sizeof(uint64_t));
}

/* As the kernel has it in fstat and mknod. */
static inline unsigned long sys_makedev(unsigned long major, unsigned long minor)
{
	return (minor & 0xff) | major << 8 | (minor & ~0xfful) << 12;
}

static inline size_t sys_strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

static inline int sys_streq(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

/* Append s to buf at pos; the new length, or size where it does not fit (sticky). */
static inline size_t sys_append(char *buf, size_t size, size_t pos, const char *s)
{
	while (*s && pos < size)
		buf[pos++] = *s++;
	if (pos >= size)
		return size;
	buf[pos] = '\0';
	return pos;
}

static inline size_t sys_append_number(char *buf, size_t size, size_t pos, unsigned long value)
{
	char digits[24];
	size_t n = sizeof(digits) - 1;

	digits[n] = '\0';
	do {
		digits[--n] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	return sys_append(buf, size, pos, digits + n);
}

#endif
