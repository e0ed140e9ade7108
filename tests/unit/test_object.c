/* SPDX-License-Identifier: Apache-2.0 */
/* Sections put into BPF objects and found again, in whole, damaged and hostile ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bpf/libbpf.h>
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/frontend.h"
#include "runtime/object.h"

static const char program[] =
        "struct xdp_md;\n"
        "__attribute__((section(\"xdp\"), used)) int pass(struct xdp_md *ctx) { return ctx ? 2 : 1; }\n"
        "char _license[] __attribute__((section(\"license\"), used)) = \"Dual BSD/GPL\";\n";

static void *object;
static size_t size;

static int compile(void **state)
{
	struct amon_frontend_result result;

	(void)state;
	setenv("AMON_MODULE", AMON_BUILD_DIR "/amon-clang.so", 1);
	assert_int_equal(amon_frontend_compile("test.c", program, strlen(program), &result), 0);
	object = result.object;
	size = result.object_size;
	result.object = NULL;
	amon_frontend_result_free(&result);
	return 0;
}

static int release(void **state)
{
	(void)state;
	free(object);
	return 0;
}

/* At the end of a page-less allocation, so that a sanitizer sees each byte too many. */
static void *copy(size_t length)
{
	void *bytes = malloc(length ? length : 1);

	assert_non_null(bytes);
	memcpy(bytes, object, length);
	return bytes;
}

static void expect_section(const void *image, size_t image_size, const char *name, const void *data, size_t length)
{
	const void *found;
	size_t found_length;

	assert_int_equal(amon_object_find_section(image, image_size, name, &found, &found_length), 0);
	assert_int_equal(found_length, length);
	assert_memory_equal(found, data, length);
	assert_true((const char *)found + length <= (const char *)image + image_size);
}

static void test_add_and_find(void **state)
{
	static char large[300001];
	size_t length = size;
	void *image = copy(length);

	(void)state;
	memset(large, 'x', sizeof(large));
	assert_int_equal(amon_object_add_section(&image, &length, ".amon.exports", "{\"a\": 1}", 8), 0);
	assert_int_equal(amon_object_add_section(&image, &length, ".amon.spec", large, sizeof(large)), 0);
	assert_int_equal(amon_object_add_section(&image, &length, ".amon.source", "", 0), 0);
	assert_int_equal(amon_object_add_section(&image, &length, ".amon.bytes", "\0\1\0", 3), 0);
	expect_section(image, length, ".amon.exports", "{\"a\": 1}", 8);
	expect_section(image, length, ".amon.spec", large, sizeof(large));
	expect_section(image, length, ".amon.source", "", 0);
	expect_section(image, length, ".amon.bytes", "\0\1\0", 3);
	expect_section(image, length, "license", "Dual BSD/GPL", 13);
	free(image);
}

static void test_refusals(void **state)
{
	size_t length = size, found_length;
	void *image = copy(length), *before = image;
	const void *found;

	(void)state;
	assert_int_equal(amon_object_find_section(image, length, ".amon.exports", &found, &found_length), -ENOENT);
	assert_int_equal(amon_object_find_section(image, length, "lic", &found, &found_length), -ENOENT);
	assert_int_equal(amon_object_add_section(&image, &length, "", "x", 1), -EINVAL);
	assert_int_equal(amon_object_add_section(&image, &length, "license", "x", 1), -EEXIST);
	assert_int_equal(amon_object_add_section(&image, &length, "huge", "x", 1UL << 40), -E2BIG);
	assert_ptr_equal(image, before);
	assert_int_equal(length, size);
	free(image);
}

static void test_libbpf(void **state)
{
	size_t length = size;
	void *image = copy(length);
	struct bpf_object *opened;

	(void)state;
	assert_int_equal(amon_object_add_section(&image, &length, ".amon.exports", "{}", 2), 0);
	assert_int_equal(amon_object_add_section(&image, &length, ".amon.spec", "probe p { }", 11), 0);
	opened = bpf_object__open_mem(image, length, NULL);
	assert_non_null(opened);
	assert_non_null(bpf_object__find_program_by_name(opened, "pass"));
	if (!geteuid())
		assert_int_equal(bpf_object__load(opened), 0);
	bpf_object__close(opened);
	free(image);
}

static void test_unaligned(void **state)
{
	char *bytes = malloc(size + 1);

	(void)state;
	assert_non_null(bytes);
	memcpy(bytes + 1, object, size);
	expect_section(bytes + 1, size, "license", "Dual BSD/GPL", 13);
	free(bytes);
}

/* Whatever it answers, it may not read outside: for the sanitizer and for the crash that there would be. */
static void probe_bytes(void *bytes, size_t length)
{
	const void *found = NULL;
	size_t found_length = 0;

	if (amon_object_find_section(bytes, length, "license", &found, &found_length))
		return;
	assert_true((const char *)found >= (const char *)bytes);
	assert_true(found_length <= length);
	assert_true((size_t)((const char *)found - (const char *)bytes) <= length - found_length);
}

static void test_truncated(void **state)
{
	(void)state;
	for (size_t length = 0; length < size; length++) {
		size_t image_size = length;
		void *image = copy(length);

		probe_bytes(image, length);
		assert_int_equal(amon_object_add_section(&image, &image_size, "x", "y", 1), -EINVAL);
		free(image);
	}
}

static void add_to(void *image, size_t length)
{
	if (!amon_object_add_section(&image, &length, ".amon.spec", "text", 4))
		expect_section(image, length, ".amon.spec", "text", 4);
	free(image);
}

static void test_each_byte_wrong(void **state)
{
	static const unsigned char values[] = { 0, 1, 0x7f, 0x80, 0xff };

	(void)state;
	for (size_t at = 0; at < size; at++)
		for (size_t i = 0; i < sizeof(values); i++) {
			unsigned char *image = copy(size);

			image[at] = values[i];
			probe_bytes(image, size);
			add_to(image, size);
		}
}

static void test_hostile_headers(void **state)
{
	static const uint64_t values[] = { UINT64_MAX, UINT64_MAX - 63, 1UL << 63, UINT32_MAX, 64, 0 };
	static const size_t fields[] = { offsetof(Elf64_Shdr, sh_name), offsetof(Elf64_Shdr, sh_offset),
		                         offsetof(Elf64_Shdr, sh_size) };
	Elf64_Ehdr header;

	(void)state;
	memcpy(&header, object, sizeof(header));
	for (size_t section = 0; section < header.e_shnum; section++)
		for (size_t field = 0; field < sizeof(fields) / sizeof(fields[0]); field++)
			for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
				char *image = copy(size);

				memcpy(image + header.e_shoff + section * sizeof(Elf64_Shdr) + fields[field],
				       &values[i], fields[field] ? 8 : 4);
				probe_bytes(image, size);
				add_to(image, size);
			}
}

static void test_not_bpf(void **state)
{
	const void *found;
	size_t length;
	char *image = copy(size);
	Elf64_Ehdr *header = (Elf64_Ehdr *)image;

	(void)state;
	assert_int_equal(amon_object_find_section("", 0, "x", &found, &length), -EINVAL);
	assert_int_equal(amon_object_find_section(program, sizeof(program), "x", &found, &length), -EINVAL);
	header->e_machine = EM_X86_64;
	assert_int_equal(amon_object_find_section(image, size, "license", &found, &length), -EINVAL);
	header->e_machine = EM_BPF;
	header->e_ident[EI_CLASS] = ELFCLASS32;
	assert_int_equal(amon_object_find_section(image, size, "license", &found, &length), -EINVAL);
	free(image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add_and_find),    cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_libbpf),          cmocka_unit_test(test_unaligned),
		cmocka_unit_test(test_truncated),       cmocka_unit_test(test_each_byte_wrong),
		cmocka_unit_test(test_hostile_headers), cmocka_unit_test(test_not_bpf),
	};

	return cmocka_run_group_tests(tests, compile, release);
}
