/* SPDX-License-Identifier: MIT */
/* Capabilities by name, see capabilities(7): the launcher does not link libcap. */
#include "compile.h"

#include <linux/capability.h>
#include <string.h>

#define CAP_ROW(name) [name] = #name
static const char *const cap_names[] = {
	CAP_ROW(CAP_CHOWN), CAP_ROW(CAP_DAC_OVERRIDE), CAP_ROW(CAP_DAC_READ_SEARCH),
	CAP_ROW(CAP_FOWNER), CAP_ROW(CAP_FSETID), CAP_ROW(CAP_KILL), CAP_ROW(CAP_SETGID),
	CAP_ROW(CAP_SETUID), CAP_ROW(CAP_SETPCAP), CAP_ROW(CAP_LINUX_IMMUTABLE),
	CAP_ROW(CAP_NET_BIND_SERVICE), CAP_ROW(CAP_NET_BROADCAST), CAP_ROW(CAP_NET_ADMIN),
	CAP_ROW(CAP_NET_RAW), CAP_ROW(CAP_IPC_LOCK), CAP_ROW(CAP_IPC_OWNER),
	CAP_ROW(CAP_SYS_MODULE), CAP_ROW(CAP_SYS_RAWIO), CAP_ROW(CAP_SYS_CHROOT),
	CAP_ROW(CAP_SYS_PTRACE), CAP_ROW(CAP_SYS_PACCT), CAP_ROW(CAP_SYS_ADMIN),
	CAP_ROW(CAP_SYS_BOOT), CAP_ROW(CAP_SYS_NICE), CAP_ROW(CAP_SYS_RESOURCE),
	CAP_ROW(CAP_SYS_TIME), CAP_ROW(CAP_SYS_TTY_CONFIG), CAP_ROW(CAP_MKNOD),
	CAP_ROW(CAP_LEASE), CAP_ROW(CAP_AUDIT_WRITE), CAP_ROW(CAP_AUDIT_CONTROL),
	CAP_ROW(CAP_SETFCAP), CAP_ROW(CAP_MAC_OVERRIDE), CAP_ROW(CAP_MAC_ADMIN),
	CAP_ROW(CAP_SYSLOG), CAP_ROW(CAP_WAKE_ALARM), CAP_ROW(CAP_BLOCK_SUSPEND),
	CAP_ROW(CAP_AUDIT_READ), CAP_ROW(CAP_PERFMON), CAP_ROW(CAP_BPF),
	CAP_ROW(CAP_CHECKPOINT_RESTORE),
};

unsigned int launch_cap_count(void)
{
	return sizeof(cap_names) / sizeof(cap_names[0]);
}

const char *launch_cap_name(unsigned int cap)
{
	return cap < launch_cap_count() ? cap_names[cap] : NULL;
}

int launch_cap_parse(const char *name)
{
	for (unsigned int i = 0; i < launch_cap_count(); i++)
		if (!strcmp(name, cap_names[i]))
			return (int)i;
	return -1;
}
