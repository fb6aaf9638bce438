/* SPDX-License-Identifier: MIT */
/*
 * The layout of ABI 1.2 on LP64, as released: compiled against today's header and against the one of
 * that release.  Append-only: no line below ever changes.  A later 1.x appends members behind the last
 * one here and gets a file of its own; so sizes are lower bounds for today's header, exact for 1.2's.
 */
#include "cowherd/plugin.h"

#ifndef __LP64__
#error "these are the layouts of LP64"
#endif

#ifdef ABI_FROZEN /* 1.2's own header */
#define SIZE(type, bytes) _Static_assert(sizeof(struct type) == (bytes), #type)
#else
#define SIZE(type, bytes) _Static_assert(sizeof(struct type) >= (bytes), #type)
#endif
#define AT(type, member, offset, bytes)                                            \
	_Static_assert(offsetof(struct type, member) == (offset) &&                \
			       sizeof(((struct type *)0)->member) == (bytes),      \
		       #type "." #member)
#define VALUE(name, value) _Static_assert((int)(name) == (value), #name)

_Static_assert(COWHERD_ABI_MAJOR == 1, "another major version has files of its own");
_Static_assert(sizeof(cowherd_op) == 8 && (cowherd_op)-1 > 0, "cowherd_op");

SIZE(cowherd_answer, 64);
AT(cowherd_answer, size, 0, 8);
AT(cowherd_answer, code, 8, 4);
AT(cowherd_answer, message, 16, 8);
AT(cowherd_answer, result, 24, 8);
AT(cowherd_answer, handle, 32, 8);
AT(cowherd_answer, pid, 40, 8);
AT(cowherd_answer, fd, 48, 4);
AT(cowherd_answer, reserved, 52, 4);
AT(cowherd_answer, exit_code, 56, 4);
AT(cowherd_answer, reserved_1_1, 60, 4);

SIZE(cowherd_request, 80);
AT(cowherd_request, size, 0, 8);
AT(cowherd_request, container, 8, 8);
AT(cowherd_request, name, 16, 8);
AT(cowherd_request, owner, 24, 8);
AT(cowherd_request, txn, 32, 8);
AT(cowherd_request, bundle, 40, 8);
AT(cowherd_request, spec, 48, 8);
AT(cowherd_request, options, 56, 8);
AT(cowherd_request, run_dir, 64, 8);
AT(cowherd_request, state_dir, 72, 8);

SIZE(cowherd_record, 40);
AT(cowherd_record, size, 0, 8);
AT(cowherd_record, container, 8, 8);
AT(cowherd_record, key, 16, 8);
AT(cowherd_record, record, 24, 8);
AT(cowherd_record, other_boot, 32, 4);
AT(cowherd_record, reserved, 36, 4);

SIZE(cowherd_allocator, 56);
AT(cowherd_allocator, size, 0, 8);
AT(cowherd_allocator, name, 8, 8);
AT(cowherd_allocator, phase, 16, 4);
AT(cowherd_allocator, flags, 20, 4);
AT(cowherd_allocator, acquire_ms, 24, 4);
AT(cowherd_allocator, release_ms, 28, 4);
AT(cowherd_allocator, acquire, 32, 8);
AT(cowherd_allocator, release, 40, 8);
AT(cowherd_allocator, cancel, 48, 8);

SIZE(cowherd_stdio, 32);
AT(cowherd_stdio, size, 0, 8);
AT(cowherd_stdio, in, 8, 4);
AT(cowherd_stdio, out, 12, 4);
AT(cowherd_stdio, err, 16, 4);
AT(cowherd_stdio, terminal, 20, 4);
AT(cowherd_stdio, height, 24, 2);
AT(cowherd_stdio, width, 26, 2);
AT(cowherd_stdio, reserved, 28, 4);

SIZE(cowherd_exit, 40);
AT(cowherd_exit, size, 0, 8);
AT(cowherd_exit, code, 8, 4);
AT(cowherd_exit, signal, 12, 4);
AT(cowherd_exit, oom, 16, 4);
AT(cowherd_exit, reason, 24, 8);
AT(cowherd_exit, time_ns, 32, 8);

SIZE(cowherd_backend, 152);
AT(cowherd_backend, size, 0, 8);
AT(cowherd_backend, name, 8, 8);
AT(cowherd_backend, create_ms, 16, 4);
AT(cowherd_backend, start_ms, 20, 4);
AT(cowherd_backend, release_ms, 24, 4);
AT(cowherd_backend, supports, 32, 8);
AT(cowherd_backend, create, 40, 8);
AT(cowherd_backend, start, 48, 8);
AT(cowherd_backend, exec, 56, 8);
AT(cowherd_backend, signal, 64, 8);
AT(cowherd_backend, resize, 72, 8);
AT(cowherd_backend, pause, 80, 8);
AT(cowherd_backend, resume, 88, 8);
AT(cowherd_backend, stats, 96, 8);
AT(cowherd_backend, shutdown, 104, 8);
AT(cowherd_backend, terminate, 112, 8);
AT(cowherd_backend, close, 120, 8);
AT(cowherd_backend, adopt, 128, 8);
AT(cowherd_backend, release, 136, 8);
AT(cowherd_backend, cancel, 144, 8);

SIZE(cowherd_call, 40);
AT(cowherd_call, size, 0, 8);
AT(cowherd_call, args, 8, 8);
AT(cowherd_call, cwd, 16, 8);
AT(cowherd_call, in, 24, 4);
AT(cowherd_call, out, 28, 4);
AT(cowherd_call, err, 32, 4);
AT(cowherd_call, client_uid, 36, 4);

SIZE(cowherd_verb, 56);
AT(cowherd_verb, size, 0, 8);
AT(cowherd_verb, name, 8, 8);
AT(cowherd_verb, usage, 16, 8);
AT(cowherd_verb, help, 24, 8);
AT(cowherd_verb, call, 32, 8);
AT(cowherd_verb, cancel, 40, 8);
AT(cowherd_verb, details, 48, 8);

SIZE(cowherd_config_section, 32);
AT(cowherd_config_section, size, 0, 8);
AT(cowherd_config_section, name, 8, 8);
AT(cowherd_config_section, check, 16, 8);
AT(cowherd_config_section, apply, 24, 8);

SIZE(cowherd_image_source, 40);
AT(cowherd_image_source, size, 0, 8);
AT(cowherd_image_source, name, 8, 8);
AT(cowherd_image_source, resolve_ms, 16, 4);
AT(cowherd_image_source, reserved, 20, 4);
AT(cowherd_image_source, resolve, 24, 8);
AT(cowherd_image_source, cancel, 32, 8);

SIZE(cowherd_host, 224);
AT(cowherd_host, size, 0, 8);
AT(cowherd_host, abi_major, 8, 4);
AT(cowherd_host, abi_minor, 12, 4);
AT(cowherd_host, version, 16, 8);
AT(cowherd_host, log, 24, 8);
AT(cowherd_host, register_allocator, 32, 8);
AT(cowherd_host, register_backend, 40, 8);
AT(cowherd_host, register_hook, 48, 8);
AT(cowherd_host, register_verb, 56, 8);
AT(cowherd_host, register_config, 64, 8);
AT(cowherd_host, provide, 72, 8);
AT(cowherd_host, lookup, 80, 8);
AT(cowherd_host, answer, 88, 8);
AT(cowherd_host, intend, 96, 8);
AT(cowherd_host, forget, 104, 8);
AT(cowherd_host, patch_spec, 112, 8);
AT(cowherd_host, progress, 120, 8);
AT(cowherd_host, timer_start, 128, 8);
AT(cowherd_host, timer_stop, 136, 8);
AT(cowherd_host, watch_fd, 144, 8);
AT(cowherd_host, unwatch_fd, 152, 8);
AT(cowherd_host, offload, 160, 8);
AT(cowherd_host, exited, 168, 8);
AT(cowherd_host, notice, 176, 8);
AT(cowherd_host, run_dir, 184, 8);
AT(cowherd_host, state_dir, 192, 8);
AT(cowherd_host, libexec_dir, 200, 8);
AT(cowherd_host, register_image_source, 208, 8);
AT(cowherd_host, find_container, 216, 8);

SIZE(cowherd_plugin, 72);
AT(cowherd_plugin, size, 0, 8);
AT(cowherd_plugin, abi_major, 8, 4);
AT(cowherd_plugin, abi_minor, 12, 4);
AT(cowherd_plugin, name, 16, 8);
AT(cowherd_plugin, version, 24, 8);
AT(cowherd_plugin, description, 32, 8);
AT(cowherd_plugin, provides, 40, 8);
AT(cowherd_plugin, requires_, 48, 8);
AT(cowherd_plugin, init, 56, 8);
AT(cowherd_plugin, fini, 64, 8);

SIZE(cowherd_launcher, 88);
AT(cowherd_launcher, size, 0, 8);
AT(cowherd_launcher, create, 8, 8);
AT(cowherd_launcher, start, 16, 8);
AT(cowherd_launcher, exec, 24, 8);
AT(cowherd_launcher, signal, 32, 8);
AT(cowherd_launcher, resize, 40, 8);
AT(cowherd_launcher, stats, 48, 8);
AT(cowherd_launcher, terminate, 56, 8);
AT(cowherd_launcher, close, 64, 8);
AT(cowherd_launcher, adopt, 72, 8);
AT(cowherd_launcher, release, 80, 8);

VALUE(COWHERD_LATER, 1);
VALUE(COWHERD_DURABLE, 1);
VALUE(COWHERD_LAZY, 2);
VALUE(COWHERD_SIGNAL_ALL, 1);
VALUE(COWHERD_FD_READ, 1);
VALUE(COWHERD_FD_WRITE, 2);
VALUE(COWHERD_FD_HANGUP, 4);
VALUE(COWHERD_LOG_ERROR, 0);
VALUE(COWHERD_LOG_WARN, 1);
VALUE(COWHERD_LOG_INFO, 2);
VALUE(COWHERD_LOG_DEBUG, 3);
VALUE(COWHERD_PHASE_IDENTITY, 0);
VALUE(COWHERD_PHASE_NETWORK, 1);
VALUE(COWHERD_PHASE_STORAGE, 2);
VALUE(COWHERD_PHASE_MOUNTS, 3);
VALUE(COWHERD_PHASE_DOCUMENT, 4);
VALUE(COWHERD_PHASE_COMPUTE, 5);
VALUE(COWHERD_HOOK_CONTAINER_STOPPED, 0);
VALUE(COWHERD_HOOK_CONTAINER_DELETED, 1);
VALUE(COWHERD_HOOK_SUPERVISOR_SHUTDOWN, 2);
VALUE(COWHERD_HOOK_CONTAINER_START, 3);

/* The one exported function. */
const struct cowherd_plugin *cowherd_plugin_entry(uint32_t host_major, uint32_t host_minor)
{
	(void)host_major;
	(void)host_minor;
	return NULL;
}
