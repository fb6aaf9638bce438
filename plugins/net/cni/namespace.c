/* SPDX-License-Identifier: MIT */
/* The persisted configuration of a sandbox's namespace; the words of its errors are upstream's. */
#include "common/files.h"
#include "cni/internal.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* An id is one file's name. */
static int id_check(const char *id)
{
	if (*id == '.' || strlen(id) > 200)
		return -EINVAL;
	for (; *id; id++) {
		if (!isgraph((unsigned char)*id) || *id == '/')
			return -EINVAL;
	}
	return 0;
}

static int namespace_check(const struct net_cni_namespace *ns, struct plug_error *err)
{
	if (!ns->namespace_id || !*ns->namespace_id)
		return plug_error_set(err, -EINVAL, "invalid namespaceID ''");
	if (!ns->container_id || !*ns->container_id)
		return plug_error_set(err, -EINVAL, "invalid containerID ''");
	if (!ns->host_id || !*ns->host_id)
		return plug_error_set(err, -EINVAL, "invalid containerHostUniqueID 'empy'");
	if (id_check(ns->namespace_id) < 0)
		return plug_error_set(err, -EINVAL, "invalid namespaceID '%.200s'", ns->namespace_id);
	return 0;
}

static int namespace_write(int at, const struct net_cni_namespace *ns, const char *text, bool update)
{
	_cleanup_free_ char *making = NULL;

	if (asprintf(&making, ".%s.tmp", ns->namespace_id) < 0) {
		making = NULL;
		return -ENOMEM;
	}
	return plug_file_write(at, ns->namespace_id, making, text,
			       update ? PLUG_FILE_REPLACE : PLUG_FILE_NEW);
}

int net_cni_namespace_store(const char *dir, const struct net_cni_namespace *ns, bool update,
			    struct plug_error *err)
{
	_cleanup_json_ struct json_object *o = json_object_new_object();
	_cleanup_close_ int at = -1;
	const char *text;
	int r = namespace_check(ns, err);

	if (r < 0)
		return r;
	if (!o || cni_put(o, "ContainerID", json_object_new_string(ns->container_id)) < 0 ||
	    cni_put(o, "HostUniqueID", json_object_new_string(ns->host_id)) < 0)
		return plug_error_errno(err, -ENOMEM, "namespace %s", ns->namespace_id);
	text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN);
	r = text ? plug_directories_make(dir) : -ENOMEM;
	if (r == 0) {
		at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		r = at < 0 ? -errno : namespace_write(at, ns, text, update);
	}
	if (r == -EEXIST)
		return plug_error_set(err, r, "container %s already exists", ns->namespace_id);
	return r < 0 ? plug_error_errno(err, r, "%s/%s", dir, ns->namespace_id) : 0;
}

int net_cni_namespace_load(const char *dir, const char *namespace_id, struct net_cni_namespace *ret,
			   struct plug_error *err)
{
	_cleanup_close_ int at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_json_ struct json_object *o = NULL;
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	int r = *namespace_id && id_check(namespace_id) == 0 ? 0 : -ENOENT;

	if (r == 0)
		r = at < 0 ? -errno : cni_file_read(at, namespace_id, &text, &size);
	if (r == -ENOENT)
		return plug_error_set(err, r, "ID '%.200s' was not found", namespace_id);
	r = r ?: cni_parse(text, size, &o);
	if (r < 0)
		return plug_error_errno(err, r, "%s/%s", dir, namespace_id);
	if (!cni_string(o, "ContainerID") || !cni_string(o, "HostUniqueID"))
		return plug_error_errno(err, -EBADMSG, "%s/%s", dir, namespace_id);
	if (cni_put(o, "NamespaceID", json_object_new_string(namespace_id)) < 0)
		return plug_error_errno(err, -ENOMEM, "%s/%s", dir, namespace_id);
	*ret = (struct net_cni_namespace){ .namespace_id = cni_string(o, "NamespaceID"),
					   .container_id = cni_string(o, "ContainerID"),
					   .host_id = cni_string(o, "HostUniqueID") };
	ret->owned = plug_take_ptr(o);
	return 0;
}

void net_cni_namespace_free(struct net_cni_namespace *ns)
{
	json_object_put(ns->owned);
	*ns = (struct net_cni_namespace){ 0 };
}

int net_cni_namespace_remove(const char *dir, const char *namespace_id, struct plug_error *err)
{
	_cleanup_close_ int at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (!*namespace_id || id_check(namespace_id) < 0)
		return 0;
	if ((at < 0 || unlinkat(at, namespace_id, 0) < 0) && errno != ENOENT)
		return plug_error_errno(err, -errno, "%s/%s", dir, namespace_id);
	return 0;
}
