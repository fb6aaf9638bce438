/* SPDX-License-Identifier: MIT */
/* Identity: of containers, of processes, of this boot. */
#ifndef COW_BASE_IDS_H
#define COW_BASE_IDS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define COW_UUID_LEN 37 /* with the NUL */
#define COW_ID_MAX 128

/* A version 4 UUID, lower case. */
void cow_uuid_v4(char out[COW_UUID_LEN]);
/* A container's id or name: 1 to COW_ID_MAX of [A-Za-z0-9_.+-], first one a letter or digit. */
bool cow_id_valid(const char *id);
/* This boot's id, cached; "" where the kernel does not say. */
const char *cow_boot_id(void);
/* Start time of a process, in clock ticks since boot (proc(5), stat field 22).  -ESRCH: gone. */
int cow_pid_start_time(pid_t pid, uint64_t *ret);
/* CLOCK_REALTIME in ns; CLOCK_MONOTONIC in ms. */
uint64_t cow_realtime_ns(void);
uint64_t cow_monotonic_ms(void);

#endif
