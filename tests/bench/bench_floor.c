/* SPDX-License-Identifier: MIT */
/*
 * bench_floor N ROOTFS PROGRAM: the least a container can cost on this kernel -- clone3 with the
 * namespaces of `runc spec`, its mounts, pivot_root, exec, wait -- and nothing else: no specification,
 * no checks, no cgroup, no capabilities, no output.  Prints the microseconds of each run.
 */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void must(int r, const char *what)
{
	if (r < 0) {
		perror(what);
		_exit(99);
	}
}

/*
 * The cgroup mount of `runc spec`: on a host with v1 hierarchies a tmpfs with one mount for each that is
 * used.  crun and runc use them all, cowherd the unified one and devices: that is the least.
 */
static void mount_cgroups(void)
{
	const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY;

	if (access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0) {
		must(mount("cgroup", "sys/fs/cgroup", "cgroup2", flags, NULL), "cgroup2");
		return;
	}
	must(mount("tmpfs", "sys/fs/cgroup", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=755"), "tmpfs");
	if (access("/sys/fs/cgroup/unified", F_OK) == 0) {
		must(mkdir("sys/fs/cgroup/unified", 0755), "unified");
		must(mount("cgroup", "sys/fs/cgroup/unified", "cgroup2", flags, NULL), "unified");
	}
	must(mkdir("sys/fs/cgroup/devices", 0755), "devices");
	must(mount("cgroup", "sys/fs/cgroup/devices", "cgroup", flags, "devices"), "devices");
	must(mount(NULL, "sys/fs/cgroup", NULL, MS_REMOUNT | MS_BIND | flags, NULL), "remount");
}

/* The masked and read-only paths of `runc spec` are mounts, too. */
static void mount_masks(void)
{
	static const char *const masked[] = {
		"proc/acpi", "proc/asound", "proc/kcore", "proc/keys", "proc/latency_stats",
		"proc/timer_list",
		"proc/timer_stats", "proc/sched_debug", "sys/firmware", "proc/scsi",
	};
	static const char *const readonly[] = { "proc/bus", "proc/fs", "proc/irq", "proc/sys",
						"proc/sysrq-trigger" };
	struct stat st;

	for (size_t i = 0; i < sizeof(masked) / sizeof(masked[0]); i++) {
		if (stat(masked[i], &st) < 0)
			continue;
		if (S_ISDIR(st.st_mode))
			must(mount("tmpfs", masked[i], "tmpfs", MS_RDONLY, NULL), masked[i]);
		else
			must(mount("/dev/null", masked[i], NULL, MS_BIND, NULL), masked[i]);
	}
	for (size_t i = 0; i < sizeof(readonly) / sizeof(readonly[0]); i++) {
		if (stat(readonly[i], &st) < 0)
			continue;
		must(mount(readonly[i], readonly[i], NULL, MS_BIND | MS_REC, NULL), readonly[i]);
		must(mount(NULL, readonly[i], NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), readonly[i]);
	}
}

static void child(const char *rootfs, char **argv)
{
	const unsigned long common = MS_NOSUID | MS_NOEXEC | MS_NODEV;

	must(mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL), "propagation");
	must(mount(rootfs, rootfs, NULL, MS_BIND | MS_REC, NULL), "bind");
	must(chdir(rootfs), "chdir");
	must(mount("proc", "proc", "proc", 0, NULL), "proc");
	must(mount("tmpfs", "dev", "tmpfs", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k"), "dev");
	must(mkdir("dev/pts", 0755), "pts");
	must(mkdir("dev/shm", 0755), "shm");
	must(mkdir("dev/mqueue", 0755), "mqueue");
	must(mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
		   "newinstance,ptmxmode=0666,mode=0620,gid=5"), "devpts");
	must(mount("shm", "dev/shm", "tmpfs", common, "mode=1777,size=65536k"), "shm");
	must(mount("mqueue", "dev/mqueue", "mqueue", common, NULL), "mqueue");
	must(mount("sysfs", "sys", "sysfs", common | MS_RDONLY, NULL), "sysfs");
	mount_cgroups();
	mount_masks();
	must((int)syscall(SYS_pivot_root, ".", "."), "pivot_root");
	must(umount2(".", MNT_DETACH), "umount");
	must(execv(argv[0], argv), "exec");
}

int main(int argc, char **argv)
{
	if (argc < 4) {
		fprintf(stderr, "usage: bench_floor N ROOTFS PROGRAM\n");
		return 2;
	}
	for (int i = 0; i < atoi(argv[1]); i++) {
		double begin = bench_now_us();
		int pidfd = -1, status;
		struct clone_args args = {
			.flags = CLONE_PIDFD | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC |
				 CLONE_NEWUTS | CLONE_NEWCGROUP,
			.pidfd = (uint64_t)(uintptr_t)&pidfd,
			.exit_signal = SIGCHLD,
		};
		pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));

		if (pid < 0)
			bench_die("clone3");
		if (pid == 0)
			child(argv[2], argv + 3);
		if (waitpid(pid, &status, 0) != pid || status != 0) {
			fprintf(stderr, "bench_floor: status %x\n", (unsigned)status);
			return 1;
		}
		(void)close(pidfd);
		printf("%.1f\n", bench_now_us() - begin);
	}
	return 0;
}
