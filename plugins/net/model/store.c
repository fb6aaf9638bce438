/* SPDX-License-Identifier: MIT */
/* Opening, the lock, and the index. */
#include "model/store_private.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#define RECORD_MAX (1 << 20)

static const char *const kind_dirs[NET_KIND_COUNT] = {
	[NET_NETWORKS] = "networks",	       [NET_ENDPOINTS] = "endpoints",
	[NET_NAMESPACES] = "namespaces",       [NET_BALANCERS] = "loadbalancers",
	[NET_SDN_ROUTES] = "routes",
};

static int directories_open(struct net_store *s, struct plug_error *err)
{
	int r = 0;

	for (int place = 0; r == 0 && place < STORE_PLACES; place++) {
		r = net_store_directory(s, place, NULL, &s->base[place], err);
		for (unsigned k = 0; r == 0 && k < NET_KIND_COUNT; k++)
			if (place == STORE_STATE || k <= NET_NAMESPACES)
				r = net_store_directory(s, place, kind_dirs[k], &s->fds[place][k], err);
		if (r == 0)
			r = net_store_directory(s, place, place == STORE_RUN ? "leases" : "reserved",
						&s->leases[place], err);
	}
	return r;
}

int net_store_open(const char *state_dir, const char *run_dir, struct net_store **ret,
		   struct plug_error *err)
{
	struct net_store *s = malloc(sizeof(*s));
	pthread_mutexattr_t attr;
	int r;

	if (!s)
		return plug_error_errno(err, -ENOMEM, "%s", state_dir);
	*s = (struct net_store){ .base = { -1, -1 }, .leases = { -1, -1 }, .lock = -1 };
	memset(s->fds, 0xff, sizeof(s->fds));
	(void)pthread_mutexattr_init(&attr);
	(void)pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	(void)pthread_mutex_init(&s->mutex, &attr);
	(void)pthread_mutexattr_destroy(&attr);
	s->dirs[STORE_RUN] = strdup(run_dir);
	s->dirs[STORE_STATE] = strdup(state_dir);
	r = s->dirs[STORE_RUN] && s->dirs[STORE_STATE] ? directories_open(s, err)
						       : plug_error_errno(err, -ENOMEM, "%s", state_dir);
	if (r == 0) {
		s->lock = openat(s->base[STORE_STATE], "lock",
				 O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (s->lock < 0)
			r = plug_error_errno(err, -errno, "%s/net/lock", state_dir);
	}
	if (r < 0)
		net_store_close(s);
	else
		*ret = s;
	return r;
}

static void index_clear(struct net_index *index)
{
	for (size_t i = 0; i < index->count; i++)
		free(index->entries[i].name);
	index->count = 0;
	index->read = false;
}

void net_store_close(struct net_store *s)
{
	if (!s)
		return;
	for (int place = 0; place < STORE_PLACES; place++) {
		for (unsigned k = 0; k < NET_KIND_COUNT; k++)
			plug_closep(&s->fds[place][k]);
		plug_closep(&s->leases[place]);
		plug_closep(&s->base[place]);
		free(s->dirs[place]);
	}
	for (unsigned k = 0; k < NET_KIND_COUNT; k++) {
		index_clear(&s->index[k]);
		free(s->index[k].entries);
	}
	plug_closep(&s->lock);
	(void)pthread_mutex_destroy(&s->mutex);
	free(s);
}

static int flock_wait(struct net_store *s, int op, struct plug_error *err)
{
	while (flock(s->lock, op) < 0)
		if (errno != EINTR)
			return plug_error_errno(err, -errno, "%s/net/lock", s->dirs[STORE_STATE]);
	return 0;
}

int net_store_lock(struct net_store *s, struct plug_error *err)
{
	int r = 0;

	(void)pthread_mutex_lock(&s->mutex);
	if (s->depth == 0)
		r = flock_wait(s, LOCK_EX, err);
	if (r < 0)
		(void)pthread_mutex_unlock(&s->mutex);
	else
		s->depth++;
	return r;
}

void net_store_unlock(struct net_store *s)
{
	if (--s->depth == 0)
		(void)flock(s->lock, LOCK_UN);
	(void)pthread_mutex_unlock(&s->mutex);
}

static uint64_t count_read(struct net_store *s)
{
	uint64_t n = 0;

	return pread(s->lock, &n, sizeof(n), 0) == (ssize_t)sizeof(n) ? n : 0;
}

uint64_t net_store_generation(struct net_store *s)
{
	return count_read(s);
}

/*
 * Before the change, so that who dies in between has only made others look again.  Our own index follows the
 * change; one that was of another count stays so.
 */
int net_store_changing(struct net_store *s, struct plug_error *err)
{
	uint64_t now = count_read(s), next = now + 1;

	if (pwrite(s->lock, &next, sizeof(next), 0) != (ssize_t)sizeof(next))
		return plug_error_errno(err, errno ? -errno : -EIO, "%s/net/lock", s->dirs[STORE_STATE]);
	if (s->generation == now)
		s->generation = next;
	return 0;
}

/* Where id is, or would be. */
static size_t index_at(const struct net_index *index, const char *id)
{
	size_t low = 0, high = index->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (strcmp(index->entries[middle].id, id) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct net_entry *index_find(struct net_index *index, const char *id)
{
	size_t at = index_at(index, id);

	return at < index->count && !strcmp(index->entries[at].id, id) ? &index->entries[at] : NULL;
}

/* Puts or replaces; entry's name changes owner, also where it fails. */
static int index_put(struct net_index *index, const struct net_entry *entry)
{
	size_t at = index_at(index, entry->id);

	if (at < index->count && !strcmp(index->entries[at].id, entry->id)) {
		free(index->entries[at].name);
		index->entries[at] = *entry;
		return 0;
	}
	if (index->count == index->capacity) {
		size_t n = index->capacity ? 2 * index->capacity : 32;
		void *grown = reallocarray(index->entries, n, sizeof(*index->entries));

		if (!grown) {
			free(entry->name);
			return -ENOMEM;
		}
		index->entries = grown;
		index->capacity = n;
	}
	memmove(index->entries + at + 1, index->entries + at,
		(index->count - at) * sizeof(*index->entries));
	index->entries[at] = *entry;
	index->count++;
	return 0;
}

static int record_read(struct net_store *s, enum net_kind kind, int place, const char *id,
		       struct json_object **ret, struct plug_error *err)
{
	_cleanup_free_ char *text = NULL;
	char file[NET_ID_SIZE + 8];
	struct plug_error why = { 0 };
	size_t size;
	int r;

	(void)snprintf(file, sizeof(file), "%s.json", id);
	r = net_file_read(s->fds[place][kind], file, RECORD_MAX, &text, &size);
	if (r < 0)
		return plug_error_errno(err, r, "%s/net/%s/%s", s->dirs[place], kind_dirs[kind], file);
	r = plug_json_parse(text, size, "damaged", ret, &why);
	if (r < 0)
		return plug_error_set(err, r == -ENOMEM ? r : -EUCLEAN, "%s/net/%s/%s: %.200s",
				      s->dirs[place], kind_dirs[kind], file, why.text);
	return 0;
}

/* What the index keeps of one record. */
static int entry_read(struct net_store *s, enum net_kind kind, int place, const char *id)
{
	_cleanup_json_ struct json_object *o = NULL;
	struct net_entry entry = { .durable = place == STORE_STATE };
	const char *name = "", *network = "";
	int r = record_read(s, kind, place, id, &o, NULL);

	if (r == -ENOMEM || r == -ENOENT)
		return r;
	(void)snprintf(entry.id, sizeof(entry.id), "%s", id);
	entry.damaged = r < 0 || net_json_string(o, "Name", &name, NULL) < 0 ||
			net_json_string(o, "HostComputeNetwork", &network, NULL) < 0;
	(void)net_id_parse(network, entry.network);
	entry.name = strdup(entry.damaged ? "" : name);
	return entry.name ? index_put(&s->index[kind], &entry) : -ENOMEM;
}

static int index_read_place(struct net_store *s, enum net_kind kind, int place, struct plug_error *err)
{
	_cleanup_closedir_ DIR *d = NULL;
	struct dirent *e;
	int r = 0;

	if (s->fds[place][kind] < 0)
		return 0;
	d = net_dir_open(s->fds[place][kind]);
	if (!d)
		return plug_error_errno(err, -errno, "%s/net/%s", s->dirs[place], kind_dirs[kind]);
	while (r == 0 && (e = readdir(d))) {
		char id[NET_ID_SIZE] = "", text[NET_ID_SIZE];

		if (strlen(e->d_name) != NET_ID_SIZE - 1 + 5 || strcmp(e->d_name + 36, ".json") != 0)
			continue;
		(void)snprintf(text, sizeof(text), "%.36s", e->d_name);
		if (net_id_parse(text, id) < 0 || strcmp(id, text) != 0)
			continue;
		r = entry_read(s, kind, place, id);
		if (r == -ENOENT)
			r = 0;
	}
	return r < 0 ? plug_error_errno(err, r, "%s/net/%s", s->dirs[place], kind_dirs[kind]) : 0;
}

/* Under the mutex: the index is of now. */
static int index_fresh(struct net_store *s, enum net_kind kind, struct plug_error *err)
{
	uint64_t now = count_read(s);
	int r = 0;

	if (now != s->generation)
		for (unsigned k = 0; k < NET_KIND_COUNT; k++)
			s->index[k].read = false;
	if (s->index[kind].read)
		return 0;
	/* A writer counts first and changes then: wait for it. */
	if (!s->depth)
		r = flock_wait(s, LOCK_SH, err);
	if (r < 0)
		return r;
	now = count_read(s);
	if (now != s->generation)
		for (unsigned k = 0; k < NET_KIND_COUNT; k++)
			s->index[k].read = false;
	s->generation = now;
	index_clear(&s->index[kind]);
	for (int place = 0; r == 0 && place < STORE_PLACES; place++)
		r = index_read_place(s, kind, place, err);
	s->index[kind].read = r == 0;
	if (!s->depth)
		(void)flock(s->lock, LOCK_UN);
	return r;
}

/* hcn/hcnerrors.go */
static int not_found(enum net_kind kind, const char *ref, struct plug_error *err)
{
	static const char *const what[NET_KIND_COUNT][2] = {
		[NET_NETWORKS] = { "Network name", "Network ID" },
		[NET_ENDPOINTS] = { "Endpoint name", "Endpoint ID" },
		[NET_NAMESPACES] = { "Namespace ID", "Namespace ID" },
		[NET_BALANCERS] = { "LoadBalancer", "LoadBalancer" },
		[NET_SDN_ROUTES] = { "SDN Route", "SDN Route" },
	};
	char id[NET_ID_SIZE];

	return plug_error_set(err, -ENOENT, "%s \"%.255s\" not found",
			      what[kind][net_id_parse(ref, id) == 0], ref);
}

/* By id, name, or the beginning of one id. */
static int entry_find(struct net_store *s, enum net_kind kind, const char *ref,
		      struct net_entry **ret, struct plug_error *err)
{
	struct net_index *index = &s->index[kind];
	struct net_entry *found = NULL;
	size_t len = strlen(ref), begins = 0;
	char id[NET_ID_SIZE];

	if (net_id_parse(ref, id) == 0 && (found = index_find(index, id))) {
		*ret = found;
		return 0;
	}
	for (size_t i = 0; *ref && i < index->count; i++)
		if (!strcmp(index->entries[i].name, ref)) {
			*ret = &index->entries[i];
			return 0;
		}
	for (size_t i = 0; len && i < index->count; i++)
		if (!strncmp(index->entries[i].id, ref, len)) {
			found = &index->entries[i];
			begins++;
		}
	if (begins > 1)
		return plug_error_set(err, -ENOTUNIQ, "%s: %zu ids begin so", ref, begins);
	if (!found)
		return not_found(kind, ref, err);
	*ret = found;
	return 0;
}

int net_store_read(struct net_store *s, enum net_kind kind, const char *ref, struct json_object **ret,
		   struct plug_error *err)
{
	struct net_entry *entry = NULL;
	int r;

	(void)pthread_mutex_lock(&s->mutex);
	r = index_fresh(s, kind, err);
	if (r == 0)
		r = entry_find(s, kind, ref, &entry, err);
	if (r == 0)
		r = record_read(s, kind, entry->durable ? STORE_STATE : STORE_RUN, entry->id, ret, err);
	(void)pthread_mutex_unlock(&s->mutex);
	return r;
}

/* -EEXIST, -ENOENT as how demands. */
static int put_check(struct net_store *s, enum net_kind kind, const struct net_entry *entry,
		     enum net_put how, struct plug_error *err)
{
	struct net_index *index = &s->index[kind];
	const struct net_entry *there = index_find(index, entry->id);

	if (how == NET_PUT_NEW && there)
		return plug_error_set(err, -EEXIST, "%s: an object with this id exists", entry->id);
	if (how == NET_PUT_CHANGE && !there)
		return not_found(kind, entry->id, err);
	/* Endpoints are told apart by their ids: HNS allows the same name twice. */
	for (size_t i = 0; kind == NET_NETWORKS && *entry->name && i < index->count; i++)
		if (!strcmp(index->entries[i].name, entry->name) &&
		    strcmp(index->entries[i].id, entry->id) != 0)
			return plug_error_set(err, -EEXIST, "network %.255s: exists", entry->name);
	return 0;
}

static int put_locked(struct net_store *s, enum net_kind kind, struct net_entry *entry,
		      const char *text, enum net_put how, struct plug_error *err)
{
	int place = entry->durable ? STORE_STATE : STORE_RUN, other = !place, r;
	char file[NET_ID_SIZE + 8];

	r = index_fresh(s, kind, err);
	if (r == 0)
		r = put_check(s, kind, entry, how, err);
	if (r == 0)
		r = net_store_changing(s, err);
	if (r < 0)
		return r;
	(void)snprintf(file, sizeof(file), "%s.json", entry->id);
	r = net_file_write(s->fds[place][kind], file, text, entry->durable);
	if (r == 0 && s->fds[other][kind] >= 0 && unlinkat(s->fds[other][kind], file, 0) < 0 &&
	    errno != ENOENT)
		r = -errno;
	if (r == 0) {
		/* It is written: an index without memory for it is read again, when there is some. */
		if (index_put(&s->index[kind], entry) < 0)
			s->index[kind].read = false;
		entry->name = NULL;
	}
	if (r < 0) {
		s->index[kind].read = false;
		return plug_error_errno(err, r, "%s/net/%s/%s", s->dirs[place], kind_dirs[kind], file);
	}
	return 0;
}

int net_store_write(struct net_store *s, enum net_kind kind, const struct net_entry *what,
		    struct json_object *o, enum net_put how, struct plug_error *err)
{
	struct net_entry entry = *what;
	_cleanup_free_ char *text = o ? plug_json_print(o) : NULL;
	int r;

	entry.name = strdup(what->name ? what->name : "");
	r = entry.name && text ? net_store_lock(s, err) : plug_error_errno(err, -ENOMEM, "%s", what->id);
	if (r == 0) {
		r = put_locked(s, kind, &entry, text, how, err);
		net_store_unlock(s);
	}
	free(entry.name);
	return r;
}

static int remove_locked(struct net_store *s, enum net_kind kind, const char *id, struct plug_error *err)
{
	char file[NET_ID_SIZE + 8];
	struct net_index *index = &s->index[kind];
	struct net_entry *entry;
	bool durable;
	int r = index_fresh(s, kind, err);

	entry = r == 0 ? index_find(index, id) : NULL;
	if (!entry)
		return r;
	durable = entry->durable;
	r = net_store_changing(s, err);
	if (r < 0)
		return r;
	(void)snprintf(file, sizeof(file), "%s.json", id);
	if (unlinkat(s->fds[durable ? STORE_STATE : STORE_RUN][kind], file, 0) < 0 && errno != ENOENT)
		return plug_error_errno(err, -errno, "%s", file);
	if (durable && fsync(s->fds[STORE_STATE][kind]) < 0)
		return plug_error_errno(err, -errno, "%s", file);
	free(entry->name);
	index->count--;
	memmove(entry, entry + 1,
		(index->count - (size_t)(entry - index->entries)) * sizeof(*entry));
	if (kind == NET_NETWORKS)
		net_store_leases_drop(s, id);
	return 0;
}

int net_store_remove(struct net_store *s, enum net_kind kind, const char *id, struct plug_error *err)
{
	char whole[NET_ID_SIZE];
	int r;

	if (net_id_parse(id, whole) < 0)
		return plug_error_set(err, -EINVAL, "%.64s: not a GUID", id);
	r = net_store_lock(s, err);
	if (r < 0)
		return r;
	r = remove_locked(s, kind, whole, err);
	net_store_unlock(s);
	return r;
}

static int entries_copy(const struct net_index *index, const char *network, struct net_entry *list,
			size_t *count)
{
	for (size_t i = 0; i < index->count; i++) {
		if (network && strcmp(index->entries[i].network, network) != 0)
			continue;
		list[*count] = index->entries[i];
		list[*count].name = strdup(index->entries[i].name);
		if (!list[*count].name)
			return -ENOMEM;
		++*count;
	}
	return 0;
}

struct foreign_list {
	struct net_entry *list;
	size_t count;
};

static int foreign_add(void *arg, const struct net_network *n)
{
	struct foreign_list *l = arg;
	struct net_entry *grown, one = { 0 };

	for (size_t i = 0; i < l->count; i++) {
		if (!strcmp(l->list[i].name, n->name) || !strcmp(l->list[i].id, n->id))
			return 0;
	}
	grown = reallocarray(l->list, l->count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	l->list = grown;
	memcpy(one.id, n->id, sizeof(one.id));
	one.name = strdup(n->name);
	if (!one.name)
		return -ENOMEM;
	l->list[l->count++] = one;
	return 0;
}

int net_store_list(struct net_store *s, enum net_kind kind, const char *network,
		   struct net_entry **ret, size_t *ret_count, struct plug_error *err)
{
	struct net_entry *list = NULL;
	size_t count = 0;
	int r;

	(void)pthread_mutex_lock(&s->mutex);
	r = index_fresh(s, kind, err);
	if (r == 0) {
		list = calloc(s->index[kind].count + 1, sizeof(*list));
		r = list ? entries_copy(&s->index[kind], network, list, &count) : -ENOMEM;
		if (r < 0)
			(void)plug_error_errno(err, r, "%s", kind_dirs[kind]);
	}
	(void)pthread_mutex_unlock(&s->mutex);
	if (r == 0 && kind == NET_NETWORKS && s->foreign.each) {
		struct foreign_list all = { list, count };

		r = s->foreign.each(s->foreign.arg, foreign_add, &all, err);
		list = all.list;
		count = all.count;
	}
	if (r < 0) {
		net_entries_free(list, count);
		return r;
	}
	*ret = list;
	*ret_count = count;
	return 0;
}

void net_entries_free(struct net_entry *entries, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(entries[i].name);
	free(entries);
}
