/* SPDX-License-Identifier: MIT */
#include "spec/options.h"

#include "base/cleanup.h"
#include "base/fs.h"

#include <errno.h>
#include <string.h>

const char *const cow_cap_names[COW_CAP_COUNT] = {
	"CAP_CHOWN",
	"CAP_DAC_OVERRIDE",
	"CAP_DAC_READ_SEARCH",
	"CAP_FOWNER",
	"CAP_FSETID",
	"CAP_KILL",
	"CAP_SETGID",
	"CAP_SETUID",
	"CAP_SETPCAP",
	"CAP_LINUX_IMMUTABLE",
	"CAP_NET_BIND_SERVICE",
	"CAP_NET_BROADCAST",
	"CAP_NET_ADMIN",
	"CAP_NET_RAW",
	"CAP_IPC_LOCK",
	"CAP_IPC_OWNER",
	"CAP_SYS_MODULE",
	"CAP_SYS_RAWIO",
	"CAP_SYS_CHROOT",
	"CAP_SYS_PTRACE",
	"CAP_SYS_PACCT",
	"CAP_SYS_ADMIN",
	"CAP_SYS_BOOT",
	"CAP_SYS_NICE",
	"CAP_SYS_RESOURCE",
	"CAP_SYS_TIME",
	"CAP_SYS_TTY_CONFIG",
	"CAP_MKNOD",
	"CAP_LEASE",
	"CAP_AUDIT_WRITE",
	"CAP_AUDIT_CONTROL",
	"CAP_SETFCAP",
	"CAP_MAC_OVERRIDE",
	"CAP_MAC_ADMIN",
	"CAP_SYSLOG",
	"CAP_WAKE_ALARM",
	"CAP_BLOCK_SUSPEND",
	"CAP_AUDIT_READ",
	"CAP_PERFMON",
	"CAP_BPF",
	"CAP_CHECKPOINT_RESTORE",
};

int cow_cap_parse(const char *name, uint64_t *ret)
{
	if (strcasecmp(name, "ALL") == 0) {
		*ret = cow_cap_all();
		return 0;
	}
	if (strncasecmp(name, "CAP_", 4) == 0)
		name += 4;
	for (size_t i = 0; i < COW_CAP_COUNT; i++) {
		if (strcasecmp(cow_cap_names[i] + 4, name) == 0) {
			*ret = UINT64_C(1) << i;
			return 0;
		}
	}
	return -EINVAL;
}

uint64_t cow_cap_all(void)
{
	_cleanup_free_ char *text = NULL;
	int last = COW_CAP_COUNT - 1;

	if (cow_fs_read("/proc/sys/kernel/cap_last_cap", 64, &text, NULL) == 0) {
		int known = atoi(text);

		if (known > 0 && known < last)
			last = known;
	}
	return (UINT64_C(2) << last) - 1;
}
