/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/object.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define BYTE_ORDER_HERE ELFDATA2LSB
#else
#define BYTE_ORDER_HERE ELFDATA2MSB
#endif

/* A view of the object; the bytes may lie at any address, so headers are copied out. */
struct elf {
	const char *bytes;
	size_t size;
	Elf64_Ehdr header;
	Elf64_Shdr names;
};

static bool inside(const struct elf *elf, uint64_t offset, uint64_t length)
{
	return offset <= elf->size && length <= elf->size - offset;
}

static Elf64_Shdr section_at(const struct elf *elf, size_t index)
{
	Elf64_Shdr section;

	memcpy(&section, elf->bytes + elf->header.e_shoff + index * sizeof(section), sizeof(section));
	return section;
}

static bool is_bpf_elf(const Elf64_Ehdr *header)
{
	return !memcmp(header->e_ident, ELFMAG, SELFMAG) && header->e_ident[EI_CLASS] == ELFCLASS64 &&
	       header->e_ident[EI_DATA] == BYTE_ORDER_HERE && header->e_machine == EM_BPF &&
	       header->e_shentsize == sizeof(Elf64_Shdr);
}

/* The names end in a NUL and each begins before it, so that each ends within them. */
static bool names_are_whole(const struct elf *elf)
{
	const Elf64_Shdr *names = &elf->names;

	if (names->sh_type != SHT_STRTAB || !names->sh_size || !inside(elf, names->sh_offset, names->sh_size) ||
	    elf->bytes[names->sh_offset + names->sh_size - 1])
		return false;
	for (size_t i = 0; i < elf->header.e_shnum; i++)
		if (section_at(elf, i).sh_name >= names->sh_size)
			return false;
	return true;
}

static int elf_open(struct elf *elf, const void *object, size_t size)
{
	*elf = (struct elf){ .bytes = object, .size = size };
	if (size < sizeof(elf->header))
		return -EINVAL;
	memcpy(&elf->header, object, sizeof(elf->header));
	if (!is_bpf_elf(&elf->header) || elf->header.e_shstrndx >= elf->header.e_shnum ||
	    !inside(elf, elf->header.e_shoff, elf->header.e_shnum * sizeof(Elf64_Shdr)))
		return -EINVAL;
	elf->names = section_at(elf, elf->header.e_shstrndx);
	return names_are_whole(elf) ? 0 : -EINVAL;
}

static bool is_named(const struct elf *elf, const Elf64_Shdr *section, const char *name)
{
	return !strcmp(elf->bytes + elf->names.sh_offset + section->sh_name, name);
}

int amon_object_find_section(const void *object, size_t size, const char *name, const void **data, size_t *length)
{
	struct elf elf;
	int error = elf_open(&elf, object, size);

	if (error)
		return error;
	for (size_t i = 1; i < elf.header.e_shnum; i++) {
		Elf64_Shdr section = section_at(&elf, i);

		if (!is_named(&elf, &section, name))
			continue;
		if (section.sh_type == SHT_NOBITS || !inside(&elf, section.sh_offset, section.sh_size))
			return -EINVAL;
		*data = elf.bytes + section.sh_offset;
		*length = section.sh_size;
		return 0;
	}
	return -ENOENT;
}

/* Where things lie in the new image: the old one, the data, the names again with one more, the headers with one more.
 */
struct layout {
	size_t data, names, headers, end;
};

static size_t aligned(size_t offset)
{
	return (offset + 7) & ~(size_t)7;
}

static struct layout lay_out(const struct elf *elf, const char *name, size_t length)
{
	struct layout layout = { .data = aligned(elf->size) };

	layout.names = layout.data + length;
	layout.headers = aligned(layout.names + elf->names.sh_size + strlen(name) + 1);
	layout.end = layout.headers + (elf->header.e_shnum + 1) * sizeof(Elf64_Shdr);
	return layout;
}

static void write_headers(char *image, const struct elf *elf, const struct layout *layout, const char *name)
{
	size_t count = elf->header.e_shnum;
	Elf64_Ehdr header = elf->header;
	Elf64_Shdr names = elf->names;
	Elf64_Shdr added = { .sh_name = names.sh_size, .sh_type = SHT_PROGBITS, .sh_addralign = 1 };
	char *headers = image + layout->headers;

	names.sh_offset = layout->names;
	names.sh_size += strlen(name) + 1;
	added.sh_offset = layout->data;
	added.sh_size = layout->names - layout->data;
	header.e_shoff = layout->headers;
	header.e_shnum++;
	memcpy(image, &header, sizeof(header));
	memcpy(headers, elf->bytes + elf->header.e_shoff, count * sizeof(names));
	memcpy(headers + header.e_shstrndx * sizeof(names), &names, sizeof(names));
	memcpy(headers + count * sizeof(added), &added, sizeof(added));
}

static char *write_image(const struct elf *elf, const struct layout *layout, const char *name, const void *data)
{
	char *image = calloc(1, layout->end);

	if (!image)
		return NULL;
	memcpy(image, elf->bytes, elf->size);
	if (layout->names > layout->data)
		memcpy(image + layout->data, data, layout->names - layout->data);
	memcpy(image + layout->names, elf->bytes + elf->names.sh_offset, elf->names.sh_size);
	strcpy(image + layout->names + elf->names.sh_size, name);
	write_headers(image, elf, layout, name);
	return image;
}

int amon_object_add_section(void **object, size_t *size, const char *name, const void *data, size_t length)
{
	struct layout layout;
	struct elf elf;
	const void *old;
	size_t old_length;
	char *image;
	int error = elf_open(&elf, *object, *size);

	if (error || !*name)
		return -EINVAL;
	if (amon_object_find_section(*object, *size, name, &old, &old_length) != -ENOENT)
		return -EEXIST;
	if (elf.header.e_shnum >= SHN_LORESERVE - 1 || length > UINT32_MAX || elf.names.sh_size > UINT32_MAX / 2)
		return -E2BIG;
	layout = lay_out(&elf, name, length);
	image = write_image(&elf, &layout, name, data);
	if (!image)
		return -ENOMEM;
	free(*object);
	*object = image;
	*size = layout.end;
	return 0;
}
