/* SPDX-License-Identifier: MIT */
/* /linux/resources: blockIO, hugepageLimits, network, rdma and unified. */
#include "compile.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define WEIGHT_MAX 1000u

struct device_value {
	uint32_t major, minor;
	uint64_t value;
};

/* blkio's and bfq's 10..1000 to io.weight's 1..10000 */
static uint64_t io_weight(uint64_t weight)
{
	return weight <= 10 ? 1 : 1 + (weight - 10) * 9999 / 990;
}

static bool weight_of(struct compile *c, const struct node *at, const char *key, uint64_t *ret)
{
	return node_uint(c, at, key, WEIGHT_MAX, ret) && *ret;
}

/*
 * Which scheduler has the weights, only the host knows; each of the four files is there or not.
 * prefix: "" for the group's own, "8:0 " for a device.
 */
static void weight_rows(struct compile *c, const struct node *at, const char *key,
			const char *prefix, uint64_t weight, struct rows *rows)
{
	bool device = *prefix;
	char same[64], converted[64];

	(void)snprintf(same, sizeof(same), "%s%" PRIu64, prefix, weight);
	(void)snprintf(converted, sizeof(converted), "%s%" PRIu64, prefix, io_weight(weight));
	cgroup_add(c, rows, at, key,
		   &(struct cgroup_setting){
			   .controller = "blkio",
			   .v1_file = device ? "blkio.weight_device" : "blkio.weight",
			   .v1_value = same,
			   .v2_controller = "io",
			   .v2_file = "io.bfq.weight",
			   .v2_value = same,
			   .optional = true });
	cgroup_add(c, rows, at, key,
		   &(struct cgroup_setting){
			   .controller = "blkio",
			   .v1_file = device ? "blkio.bfq.weight_device" : "blkio.bfq.weight",
			   .v1_value = same,
			   .v2_controller = "io",
			   .v2_file = "io.weight",
			   .v2_value = converted,
			   .optional = true });
}

static void leaf_weight_row(struct compile *c, const struct node *at, const char *prefix,
			    uint64_t weight, struct rows *rows)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "%s%" PRIu64, prefix, weight);
	cgroup_add(c, rows, at, "leafWeight",
		   &(struct cgroup_setting){
			   .controller = "blkio",
			   .v1_file = *prefix ? "blkio.leaf_weight_device" : "blkio.leaf_weight",
			   .v1_value = text,
			   .optional = true });
}

static void device_of(struct compile *c, const struct node *at, struct device_value *ret)
{
	if (!node_u32(c, at, "major", &ret->major))
		compile_fail(c, at, "major", -EINVAL, "is missing");
	if (!node_u32(c, at, "minor", &ret->minor))
		compile_fail(c, at, "minor", -EINVAL, "is missing");
}

static void compile_weights(struct compile *c, const struct node *at, struct rows *rows)
{
	struct node array, element;
	struct device_value device;
	uint64_t weight;
	char prefix[32];

	if (weight_of(c, at, "weight", &weight))
		weight_rows(c, at, "weight", "", weight, rows);
	if (weight_of(c, at, "leafWeight", &weight))
		leaf_weight_row(c, at, "", weight, rows);
	if (!node_array(c, at, "weightDevice", &array))
		return;
	for (size_t i = 0; i < node_length(&array) && node_row(c, &array, i, &element); i++) {
		device = (struct device_value){ 0, 0, 0 };
		device_of(c, &element, &device);
		(void)snprintf(prefix, sizeof(prefix), "%u:%u ", device.major, device.minor);
		if (weight_of(c, &element, "weight", &weight))
			weight_rows(c, &element, "weight", prefix, weight, rows);
		if (weight_of(c, &element, "leafWeight", &weight))
			leaf_weight_row(c, &element, prefix, weight, rows);
	}
}

static void throttle_row(struct compile *c, const struct node *at, const char *v1_file,
			 const char *v2_word, struct rows *rows)
{
	struct device_value device = { 0, 0, 0 };
	char v1[64], v2[64];

	device_of(c, at, &device);
	if (!node_uint(c, at, "rate", UINT64_MAX, &device.value))
		compile_fail(c, at, "rate", -EINVAL, "is missing");
	(void)snprintf(v1, sizeof(v1), "%u:%u %" PRIu64, device.major, device.minor, device.value);
	if (device.value)
		(void)snprintf(v2, sizeof(v2), "%u:%u %s=%" PRIu64, device.major, device.minor,
			       v2_word, device.value);
	else /* no limit, on v1 */
		(void)snprintf(v2, sizeof(v2), "%u:%u %s=max", device.major, device.minor, v2_word);
	cgroup_add(c, rows, at, "rate",
		   &(struct cgroup_setting){ .controller = "blkio",
					     .v1_file = v1_file,
					     .v1_value = v1,
					     .v2_controller = "io",
					     .v2_file = "io.max",
					     .v2_value = v2 });
}

void compile_blkio(struct compile *c, const struct node *resources, struct rows *rows)
{
	static const struct {
		const char *key, *v1_file, *v2_word;
	} throttles[] = {
		{ "throttleReadBpsDevice", "blkio.throttle.read_bps_device", "rbps" },
		{ "throttleWriteBpsDevice", "blkio.throttle.write_bps_device", "wbps" },
		{ "throttleReadIOPSDevice", "blkio.throttle.read_iops_device", "riops" },
		{ "throttleWriteIOPSDevice", "blkio.throttle.write_iops_device", "wiops" },
	};
	struct node at, array, element;

	if (!node_object(c, resources, "blockIO", &at))
		return;
	compile_weights(c, &at, rows);
	for (size_t t = 0; t < sizeof(throttles) / sizeof(throttles[0]); t++) {
		if (!node_array(c, &at, throttles[t].key, &array))
			continue;
		for (size_t i = 0; i < node_length(&array) && node_row(c, &array, i, &element); i++)
			throttle_row(c, &element, throttles[t].v1_file, throttles[t].v2_word, rows);
	}
}

/* "2MB", as the kernel writes it: a number without a 0 in front, and a unit. */
static bool page_size_valid(const char *size)
{
	size_t digits = strspn(size, "0123456789");

	return digits && digits < 8 && *size != '0' &&
	       (!strcmp(size + digits, "KB") || !strcmp(size + digits, "MB") ||
		!strcmp(size + digits, "GB"));
}

static void hugepage_rows(struct compile *c, const struct node *at, struct rows *rows)
{
	const char *size = node_text_required(c, at, "pageSize");
	char v1_file[64], v2_file[64], text[24];
	uint64_t limit = 0;

	if (!node_uint(c, at, "limit", UINT64_MAX, &limit))
		compile_fail(c, at, "limit", -EINVAL, "is missing");
	if (size && !page_size_valid(size))
		compile_fail(c, at, "pageSize", -EINVAL, "not a size such as 2MB");
	if (c->code)
		return;
	(void)snprintf(text, sizeof(text), "%" PRIu64, limit);
	for (int reserved = 0; reserved < 2; reserved++) {
		const char *part = reserved ? "rsvd." : "";

		(void)snprintf(v1_file, sizeof(v1_file), "hugetlb.%s.%slimit_in_bytes", size, part);
		(void)snprintf(v2_file, sizeof(v2_file), "hugetlb.%s.%smax", size, part);
		cgroup_add(c, rows, at, "limit",
			   &(struct cgroup_setting){ .controller = "hugetlb",
						     .v1_file = v1_file,
						     .v1_value = text,
						     .v2_file = v2_file,
						     .v2_value = text,
						     .optional = reserved });
	}
}

/* A name that goes into one line of a cgroup file, next to other words. */
static bool word_valid(const char *name)
{
	size_t n = 0;

	for (; name[n]; n++)
		if (!isgraph((unsigned char)name[n]) || name[n] == '/')
			return false;
	return n > 0 && n < 64;
}

static void compile_network(struct compile *c, const struct node *resources, struct rows *rows)
{
	struct node at, array, element;
	struct cgroup_setting s = { 0 };
	const char *name;
	uint32_t n = 0;
	char text[96];

	if (!node_object(c, resources, "network", &at))
		return;
	s.v1_value = text;
	if (node_u32(c, &at, "classID", &n) && n) { /* 0: none, which is so from the start */
		(void)snprintf(text, sizeof(text), "%" PRIu32, n);
		s.controller = "net_cls";
		s.v1_file = "net_cls.classid";
		cgroup_add(c, rows, &at, "classID", &s);
	}
	if (!node_array(c, &at, "priorities", &array))
		return;
	s.controller = "net_prio";
	s.v1_file = "net_prio.ifpriomap";
	for (size_t i = 0; i < node_length(&array) && node_row(c, &array, i, &element); i++) {
		name = node_text_required(c, &element, "name");
		if (name && !word_valid(name))
			compile_fail(c, &element, "name", -EINVAL, "not the name of an interface");
		if (!node_u32(c, &element, "priority", &n))
			compile_fail(c, &element, "priority", -EINVAL, "is missing");
		(void)snprintf(text, sizeof(text), "%.63s %" PRIu32, name ? name : "", n);
		cgroup_add(c, rows, &element, "priority", &s);
	}
}

static void rdma_row(struct compile *c, const struct node *rdma, const char *device,
		     struct rows *rows)
{
	struct node at;
	uint32_t handles, objects;
	char text[160];
	size_t n;

	if (!node_object(c, rdma, device, &at) || !word_valid(device)) {
		compile_fail(c, rdma, device, -EINVAL, "not the limits of a device");
		return;
	}
	n = (size_t)snprintf(text, sizeof(text), "%s", device);
	if (node_u32(c, &at, "hcaHandles", &handles))
		n += (size_t)snprintf(text + n, sizeof(text) - n, " hca_handle=%" PRIu32, handles);
	if (node_u32(c, &at, "hcaObjects", &objects))
		n += (size_t)snprintf(text + n, sizeof(text) - n, " hca_object=%" PRIu32, objects);
	if (n == strlen(device))
		compile_fail(c, &at, NULL, -EINVAL, "neither hcaHandles nor hcaObjects");
	cgroup_add(c, rows, &at, NULL,
		   &(struct cgroup_setting){ .controller = "rdma",
					     .v1_file = "rdma.max",
					     .v1_value = text,
					     .v2_file = "rdma.max",
					     .v2_value = text });
}

/* A file of the container's own cgroup, "CONTROLLER.PARAMETER". */
static void unified_row(struct compile *c, const struct node *unified, const char *file,
			struct rows *rows)
{
	const char *value = node_text(c, unified, file);
	char controller[64];
	size_t n = strcspn(file, ".");

	if (!value)
		compile_fail(c, unified, file, -EINVAL, "not a string");
	if (!n || n >= sizeof(controller) || !file[n] || !file[n + 1] || !word_valid(file)) {
		compile_fail(c, unified, file, -EINVAL, "not a file such as memory.high");
		return;
	}
	memcpy(controller, file, n);
	controller[n] = '\0';
	cgroup_add(c, rows, unified, file,
		   &(struct cgroup_setting){ .v2_controller = controller,
					     .v2_file = file,
					     .v2_value = value });
}

void compile_others(struct compile *c, const struct node *resources, struct rows *rows)
{
	struct node at, element;

	if (node_array(c, resources, "hugepageLimits", &at))
		for (size_t i = 0; i < node_length(&at) && node_row(c, &at, i, &element); i++)
			hugepage_rows(c, &element, rows);
	compile_network(c, resources, rows);
	if (node_object(c, resources, "rdma", &at)) {
		json_object_object_foreach(at.value, device, unused) {
			(void)unused;
			rdma_row(c, &at, device, rows);
		}
	}
	if (node_object(c, resources, "unified", &at)) {
		json_object_object_foreach(at.value, file, unused) {
			(void)unused;
			unified_row(c, &at, file, rows);
		}
	}
}
