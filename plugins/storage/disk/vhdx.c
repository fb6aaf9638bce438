/* SPDX-License-Identifier: MIT */
/* VHDX: headers, regions and metadata, judged.  Little-endian; [MS-VHDX] 2.2 to 2.6. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "disk/vhd_private.h"
#include "disk/vhdx_format.h"

uint32_t vhdx_crc(uint32_t crc, const void *data, size_t size)
{
	const uint8_t *p = data;

	crc = ~crc;
	while (size--) {
		crc ^= *p++;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
	}
	return ~crc;
}

/* The checksum at 4 counts as zeros. */
static bool crc_good(uint8_t *data, size_t size)
{
	uint32_t said = st_le32(data + 4);

	memset(data + 4, 0, 4);
	return vhdx_crc(0, data, size) == said;
}

/* The header with the larger sequence number of those that are whole. */
static int header_find(const struct st_source *image, uint8_t ret[VHDX_HEADER])
{
	uint64_t best = 0;
	bool any = false;
	uint8_t h[VHDX_HEADER];

	for (unsigned i = 1; i <= 2; i++) {
		if (st_source_read(image, h, sizeof(h), i * VHDX_PLACE) < 0 ||
		    memcmp(h, "head", 4) != 0 || !crc_good(h, sizeof(h)))
			continue;
		if (!any || st_le64(h + 8) > best) {
			memcpy(ret, h, sizeof(h));
			best = st_le64(h + 8);
			any = true;
		}
	}
	return any ? 0 : -EUCLEAN;
}

struct region {
	uint64_t offset;
	uint32_t size;
};

static int region_take(const struct st_source *image, const uint8_t *e, struct region *ret)
{
	uint64_t offset = st_le64(e + 16);
	uint32_t size = st_le32(e + 24);

	if (ret->size || offset < VHDX_MB || offset % VHDX_MB || size % VHDX_MB || !size ||
	    offset > image->size || size > image->size - offset)
		return -EUCLEAN;
	*ret = (struct region){ offset, size };
	return 0;
}

static int table_judge(const struct st_source *image, uint8_t *t, struct region *bat,
		       struct region *meta)
{
	uint32_t count;
	int r = 0;

	if (memcmp(t, "regi", 4) != 0 || !crc_good(t, VHDX_PLACE))
		return -EUCLEAN;
	count = st_le32(t + 8);
	if (count > VHDX_ENTRIES_MAX)
		return -EUCLEAN;
	for (uint32_t i = 0; r == 0 && i < count; i++) {
		const uint8_t *e = t + 16 + (size_t)i * 32;

		if (memcmp(e, vhdx_region_bat, 16) == 0)
			r = region_take(image, e, bat);
		else if (memcmp(e, vhdx_region_metadata, 16) == 0)
			r = region_take(image, e, meta);
		else if (st_le32(e + 28) & 1) /* required, and not known */
			r = -ENOTSUP;
	}
	return r < 0 ? r : bat->size && meta->size ? 0 : -EUCLEAN;
}

static int regions_find(const struct st_source *image, struct region *bat, struct region *meta)
{
	uint8_t *table = malloc(VHDX_PLACE);
	int r = table ? -EUCLEAN : -ENOMEM;

	for (unsigned i = 3; table && r < 0 && i <= 4; i++) {
		*bat = *meta = (struct region){ 0 };
		r = st_source_read(image, table, VHDX_PLACE, i * VHDX_PLACE);
		if (r == 0)
			r = table_judge(image, table, bat, meta);
	}
	free(table);
	return r;
}

struct metadata {
	bool parameters, size, sector, parent;
	bool fixed, has_parent;
	uint32_t block_size, sector_size;
	uint64_t disk_size;
};

static bool item_is(const uint8_t *e, const uint8_t id[16])
{
	return memcmp(e, id, 16) == 0;
}

/* Others may be there; those marked as required must be known. */
static int item_value(const uint8_t *e, const uint8_t *value, uint64_t size, struct metadata *m)
{
	if (item_is(e, vhdx_item_parameters) && size == 8) {
		m->parameters = true;
		m->block_size = st_le32(value);
		m->fixed = st_le32(value + 4) & 1;
		m->has_parent = st_le32(value + 4) & 2;
	} else if (item_is(e, vhdx_item_size) && size == 8) {
		m->size = true;
		m->disk_size = st_le64(value);
	} else if (item_is(e, vhdx_item_sector) && size == 4) {
		m->sector = true;
		m->sector_size = st_le32(value);
	} else if (!item_is(e, vhdx_item_physical) && st_le32(e + 24) & 4) {
		return -ENOTSUP;
	}
	return 0;
}

static int item_take(const struct st_source *image, const struct region *meta, const uint8_t *e,
		     struct metadata *m)
{
	uint64_t offset = st_le32(e + 16), size = st_le32(e + 20);
	uint8_t value[8] = { 0 };
	int r;

	if (offset < VHDX_PLACE || offset > meta->size || size > meta->size - offset)
		return -EUCLEAN;
	if (item_is(e, vhdx_item_parent) || item_is(e, vhdx_item_id)) {
		m->parent |= item_is(e, vhdx_item_parent);
		return 0;
	}
	if (size > sizeof(value))
		return st_le32(e + 24) & 4 ? -ENOTSUP : 0;
	r = st_source_read(image, value, size, meta->offset + offset);
	return r < 0 ? r : item_value(e, value, size, m);
}

static int metadata_judge(const struct metadata *m)
{
	if (!m->parameters || !m->size || !m->sector || (m->has_parent && !m->parent))
		return -EUCLEAN;
	if (m->sector_size != 512 && m->sector_size != 4096)
		return -EUCLEAN;
	if (m->block_size < VHDX_MB || m->block_size > 256 * VHDX_MB ||
	    m->block_size & (m->block_size - 1))
		return -EUCLEAN;
	if (m->disk_size == 0 || m->disk_size > UINT64_C(64) << 40 ||
	    m->disk_size % m->sector_size)
		return -EUCLEAN;
	return 0;
}

static int metadata_read(const struct st_source *image, const struct region *meta, struct metadata *m)
{
	uint8_t *table = malloc(VHDX_PLACE);
	uint32_t count;
	int r = table ? st_source_read(image, table, VHDX_PLACE, meta->offset) : -ENOMEM;

	if (r == 0 && memcmp(table, "metadata", 8) != 0)
		r = -EUCLEAN;
	count = r == 0 ? (uint32_t)table[10] | (uint32_t)table[11] << 8 : 0;
	if (count > VHDX_ENTRIES_MAX)
		r = -EUCLEAN;
	for (uint32_t i = 0; r == 0 && i < count; i++)
		r = item_take(image, meta, table + 32 + (size_t)i * 32, m);
	free(table);
	return r < 0 ? r : metadata_judge(m);
}

int vhdx_judge(const struct st_source *image, struct st_disk_info *ret, struct vhdx *ret_vhdx,
	       const struct st_message *message)
{
	static const uint8_t none[16];
	struct region bat = { 0 }, meta = { 0 };
	struct metadata m = { 0 };
	uint8_t header[VHDX_HEADER];
	uint64_t blocks, entries;
	int r = header_find(image, header);

	if (r < 0)
		return st_fail(message, r, "VHDX: neither header is whole");
	if ((header[66] | header[67] << 8) != 1) /* version; at 64 that of the log */
		return st_fail(message, -ENOTSUP, "VHDX: of a version that is not known");
	r = regions_find(image, &bat, &meta);
	if (r < 0)
		return st_fail(message, r, "VHDX: neither region table can be used");
	r = metadata_read(image, &meta, &m);
	if (r < 0)
		return st_fail(message, r, "VHDX: its metadata cannot be");
	*ret_vhdx = (struct vhdx){ .bat = bat.offset,
				   .bat_size = bat.size,
				   .block_size = m.block_size,
				   .sector_size = m.sector_size,
				   .ratio = (UINT64_C(1) << 23) * m.sector_size / m.block_size };
	blocks = (m.disk_size + m.block_size - 1) / m.block_size;
	entries = m.has_parent ? (blocks + ret_vhdx->ratio - 1) / ret_vhdx->ratio *
					 (ret_vhdx->ratio + 1)
			       : blocks + (blocks - 1) / ret_vhdx->ratio;
	if (entries * 8 > bat.size)
		return st_fail(message, -EUCLEAN, "VHDX: its block table is too small for the disk");
	*ret = (struct st_disk_info){ .kind = m.has_parent ? ST_DISK_VHDX_DIFFERENCING
					      : m.fixed    ? ST_DISK_VHDX_FIXED
							   : ST_DISK_VHDX_DYNAMIC,
				      .size = m.disk_size,
				      .block_size = m.block_size,
				      .sector_size = m.sector_size,
				      .log_pending = memcmp(header + 48, none, 16) != 0 };
	memcpy(ret->id, header + 32, 16);
	return 0;
}
