/* SPDX-License-Identifier: MIT */
/*
 * Device rules as a BPF program.  They stand in order and the last one that speaks of a device and
 * a kind of access decides: so the program goes through them backwards, striking out what an
 * allowing rule covers, until nothing is left (allowed) or a denying rule meets what is.  What no
 * rule speaks of is allowed.
 */
#include "cgroup_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BPF_RULE_MAX 12 /* instructions of one rule, at most */
#define BPF_FRAME 8	/* of the rest */

#define RAW(c, d, s, o, i) \
	((struct bpf_insn){ .code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i) })
#define LOAD(d, field) \
	RAW(BPF_LDX | BPF_W | BPF_MEM, d, BPF_REG_1, offsetof(struct bpf_cgroup_dev_ctx, field), 0)
#define MOVE(d, s) RAW(BPF_ALU | BPF_MOV | BPF_X, d, s, 0, 0)
#define SET(d, i) RAW(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define AND(d, i) RAW(BPF_ALU | BPF_AND | BPF_K, d, 0, 0, i)
#define SHIFT(d, i) RAW(BPF_ALU | BPF_RSH | BPF_K, d, 0, 0, i)
#define JUMP(op, d, i, o) RAW(BPF_JMP | (op) | BPF_K, d, 0, o, i)
#define EXIT RAW(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)

/* The kernel's numbers for the kinds of access. */
static int bpf_access(uint32_t access)
{
	return (access & 1 ? BPF_DEVCG_ACC_READ : 0) | (access & 2 ? BPF_DEVCG_ACC_WRITE : 0) |
	       (access & 4 ? BPF_DEVCG_ACC_MKNOD : 0);
}

/* r2: type, r3: access still open, r4: major, r5: minor. */
static size_t bpf_rule(const struct launch_cgroup_device *d, struct bpf_insn *out)
{
	int access = bpf_access(d->access);
	size_t n = 0;

	if (d->type != 'a')
		out[n++] = JUMP(BPF_JNE, BPF_REG_2,
				d->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR, 0);
	if (d->major >= 0)
		out[n++] = JUMP(BPF_JNE, BPF_REG_4, (int)d->major, 0);
	if (d->minor >= 0)
		out[n++] = JUMP(BPF_JNE, BPF_REG_5, (int)d->minor, 0);
	if (d->allow) {
		out[n++] = AND(BPF_REG_3, ~access & 7);
		out[n++] = JUMP(BPF_JNE, BPF_REG_3, 0, 0);
		out[n++] = SET(BPF_REG_0, 1);
		out[n++] = EXIT;
	} else {
		out[n++] = MOVE(BPF_REG_0, BPF_REG_3);
		out[n++] = AND(BPF_REG_0, access);
		out[n++] = JUMP(BPF_JEQ, BPF_REG_0, 0, 0);
		out[n++] = SET(BPF_REG_0, 0);
		out[n++] = EXIT;
	}
	/* Every jump is to the next rule. */
	for (size_t i = 0; i < n; i++) {
		if (BPF_CLASS(out[i].code) == BPF_JMP && BPF_OP(out[i].code) != BPF_EXIT)
			out[i].off = (short)(n - i - 1);
	}
	return n;
}

size_t cgroup_bpf_compile(const struct launch_plan *plan, struct bpf_insn *out, size_t max)
{
	uint32_t rules = plan->cgroup_devices.n;
	size_t n = 0;

	if ((size_t)rules * BPF_RULE_MAX + BPF_FRAME > max)
		return 0;
	out[n++] = LOAD(BPF_REG_2, access_type);
	out[n++] = MOVE(BPF_REG_3, BPF_REG_2);
	out[n++] = AND(BPF_REG_2, 0xffff);
	out[n++] = SHIFT(BPF_REG_3, 16);
	out[n++] = LOAD(BPF_REG_4, major);
	out[n++] = LOAD(BPF_REG_5, minor);
	for (uint32_t i = rules; i-- > 0;)
		n += bpf_rule(launch_at(plan, plan->cgroup_devices, struct launch_cgroup_device, i),
			      out + n);
	out[n++] = SET(BPF_REG_0, 1);
	out[n++] = EXIT;
	return n;
}

static int bpf_call(int command, union bpf_attr *attr)
{
	long r = syscall(SYS_bpf, command, attr, sizeof(*attr));

	return r < 0 ? -errno : (int)r;
}

static int bpf_load(const struct bpf_insn *program, size_t n)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attr.insns = (uint64_t)(uintptr_t)program;
	attr.insn_cnt = (uint32_t)n;
	attr.license = (uint64_t)(uintptr_t) "";
	memcpy(attr.prog_name, "cowherd_dev", sizeof("cowherd_dev"));
	return bpf_call(BPF_PROG_LOAD, &attr);
}

int cgroup_bpf_attach(const char *dir, const struct launch_plan *plan, struct launch_error *err)
{
	size_t max = (size_t)plan->cgroup_devices.n * BPF_RULE_MAX + BPF_FRAME;
	struct bpf_insn *program = calloc(max, sizeof(*program));
	int fd = -1, at = -1, r = -ENOMEM;
	union bpf_attr attr;

	if (program) {
		fd = bpf_load(program, cgroup_bpf_compile(plan, program, max));
		r = fd;
	}
	if (fd >= 0) {
		at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		memset(&attr, 0, sizeof(attr));
		attr.target_fd = (uint32_t)at;
		attr.attach_bpf_fd = (uint32_t)fd;
		attr.attach_type = BPF_CGROUP_DEVICE;
		attr.attach_flags = BPF_F_ALLOW_MULTI;
		r = at < 0 ? -errno : bpf_call(BPF_PROG_ATTACH, &attr);
		(void)close(fd);
	}
	if (at >= 0)
		(void)close(at);
	free(program);
	return r < 0 ? parent_fail(err, r, "/linux/resources/devices: program for cgroup %s", dir)
		     : 0;
}
