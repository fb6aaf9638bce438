/* SPDX-License-Identifier: MIT */
/*
 * SCMP_ACT_NOTIFY: the listener goes to a socket, with the container process state that OCI
 * describes.
 */
#include "parent.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* {"ociVersion", "fds": ["seccompFd"], "pid", "metadata", "state": {...}} */
static char *listener_state(const struct launch *l)
{
	const struct launch_plan *p = l->exec ? l->exec : l->plan;
	char *state = parent_state(l->plan, l->options, l->pid, l->exec ? "running" : "creating");
	struct json_object *root = json_object_new_object(), *fds = json_object_new_array();
	struct json_object *inner = state ? json_tokener_parse(state) : NULL;
	const char *metadata = launch_text(p, p->seccomp.listener_metadata);
	char *text = NULL;

	free(state);
	if (!root || !fds || !inner)
		goto out;
	json_object_object_add(root, "ociVersion", json_object_new_string("1.1.0"));
	json_object_array_add(fds, json_object_new_string("seccompFd"));
	json_object_object_add(root, "fds", json_object_get(fds));
	json_object_object_add(root, "pid", json_object_new_int(l->pid));
	if (metadata)
		json_object_object_add(root, "metadata", json_object_new_string(metadata));
	json_object_object_add(root, "state", json_object_get(inner));
	text = strdup(json_object_to_json_string_ext(root, JSON_C_TO_STRING_PLAIN |
								   JSON_C_TO_STRING_NOSLASHESCAPE));
out:
	json_object_put(inner);
	json_object_put(fds);
	json_object_put(root);
	return text;
}

static int listener_send(int sock, const char *text, int fd)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { .head = { .cmsg_len = CMSG_LEN(sizeof(int)),
				.cmsg_level = SOL_SOCKET,
				.cmsg_type = SCM_RIGHTS } };
	struct iovec iov = { (void *)(uintptr_t)text, strlen(text) };
	struct msghdr head = { .msg_iov = &iov,
			       .msg_iovlen = 1,
			       .msg_control = &control,
			       .msg_controllen = sizeof(control) };

	memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	return sendmsg(sock, &head, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int parent_send_listener(const struct launch *l, int fd)
{
	const struct launch_plan *p = l->exec ? l->exec : l->plan;
	const char *path = p->seccomp.listener_path ? launch_text(p, p->seccomp.listener_path) : "";
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char *text;
	int sock, r = 0;

	if (!path[0] || strlen(path) >= sizeof(addr.sun_path))
		return parent_fail(l->err, -EINVAL, "seccomp listener \"%s\"", path);
	memcpy(addr.sun_path, path, strlen(path));
	text = listener_state(l);
	if (!text)
		return parent_fail(l->err, -ENOMEM, "seccomp listener");
	sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (sock < 0 || connect(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		r = -errno;
	if (r == 0)
		r = listener_send(sock, text, fd);
	if (sock >= 0)
		(void)close(sock);
	free(text);
	return r < 0 ? parent_fail(l->err, r, "seccomp listener %s", path) : 0;
}
