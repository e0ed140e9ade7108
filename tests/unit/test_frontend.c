/* SPDX-License-Identifier: Apache-2.0 */
/* C to an object: what comes out, what is said, and that nothing that goes in ends the process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/frontend.h"
#include "runtime/object.h"

#define DECLARATIONS                                                                                                   \
	"typedef unsigned int __u32; typedef unsigned long long __u64;\n"                                              \
	"struct xdp_md { __u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex; };\n"       \
	"#define SEC(n) __attribute__((section(n), used))\n"                                                           \
	"#define __uint(n, v) int (*n)[v]\n"                                                                           \
	"#define __type(n, t) t *n\n"                                                                                  \
	"static void *(*bpf_map_lookup_elem)(void *, const void *) = (void *)1;\n"

static const char program[] =
        DECLARATIONS "struct { __uint(type, 6); __uint(max_entries, 1); __type(key, __u32); __type(value, __u64); }\n"
                     "	totals SEC(\".maps\");\n"
                     "SEC(\"xdp\") int count(struct xdp_md *ctx)\n"
                     "{\n"
                     "	__u32 key = 0;\n"
                     "	__u64 *value = bpf_map_lookup_elem(&totals, &key);\n"
                     "#line 7 \"spec.amon\"\n"
                     "	if (value)\n"
                     "		*value += ctx->data_end - ctx->data;\n"
                     "	return 2;\n"
                     "}\n"
                     "char _license[] SEC(\"license\") = \"Dual BSD/GPL\";\n";

/* Leaks after a crash in clang are the price of surviving it. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:amon-clang.so\nleak:libstdc++.so\n";
}

static int compile(const char *text, struct amon_frontend_result *result)
{
	return amon_frontend_compile("test.c", text, strlen(text), result);
}

static void expect_compiles(void)
{
	struct amon_frontend_result result;

	assert_int_equal(compile(program, &result), 0);
	assert_int_equal(result.message_count, 0);
	amon_frontend_result_free(&result);
}

static int worst(const struct amon_frontend_result *result)
{
	int severity = 0;

	for (size_t i = 0; i < result->message_count; i++)
		if (result->messages[i].severity > severity)
			severity = result->messages[i].severity;
	return severity;
}

/* First: once the module is open it stays so. */
static void test_missing_module(void **state)
{
	struct amon_frontend_result result;

	(void)state;
	setenv("AMON_MODULE", "/nonexistent/amon-clang.so", 1);
	assert_int_equal(compile(program, &result), -ENOENT);
	assert_int_equal(result.message_count, 1);
	assert_int_equal(result.messages[0].severity, 3);
	assert_non_null(strstr(result.messages[0].text, "libclang-cpp19"));
	assert_null(result.object);
	amon_frontend_result_free(&result);
	setenv("AMON_MODULE", "/proc/self/exe", 1);
	assert_int_equal(compile(program, &result), -ENOENT);
	amon_frontend_result_free(&result);
	setenv("AMON_MODULE", AMON_BUILD_DIR "/amon-clang.so", 1);
}

static bool has_section(const struct amon_frontend_result *result, const char *name)
{
	const void *data;
	size_t length;

	return !amon_object_find_section(result->object, result->object_size, name, &data, &length);
}

static void test_object(void **state)
{
	struct amon_frontend_result result;

	(void)state;
	assert_int_equal(compile(program, &result), 0);
	assert_true(has_section(&result, "xdp"));
	assert_true(has_section(&result, ".BTF"));
	assert_true(has_section(&result, ".BTF.ext"));
	assert_false(has_section(&result, ".debug_info"));
	assert_false(has_section(&result, ".debug_line"));
	amon_frontend_result_free(&result);
}

static void test_same_bytes(void **state)
{
	struct amon_frontend_result first, second;

	(void)state;
	assert_int_equal(compile(program, &first), 0);
	assert_int_equal(compile(program, &second), 0);
	assert_int_equal(first.object_size, second.object_size);
	assert_memory_equal(first.object, second.object, first.object_size);
	amon_frontend_result_free(&first);
	amon_frontend_result_free(&second);
}

/* The verifier quotes the line info: names and lines that #line gives, and the text that stands there. */
static void test_line_info(void **state)
{
	struct amon_frontend_result result;
	const void *btf;
	size_t length;

	(void)state;
	assert_int_equal(compile(program, &result), 0);
	assert_int_equal(amon_object_find_section(result.object, result.object_size, ".BTF", &btf, &length), 0);
	assert_non_null(memmem(btf, length, "\0spec.amon", 11));
	assert_non_null(memmem(btf, length, "\0test.c", 8));
	assert_non_null(memmem(btf, length, "*value += ctx->data_end", 23));
	assert_non_null(memmem(btf, length, "bpf_map_lookup_elem(&totals", 27));
	amon_frontend_result_free(&result);
}

static void test_libbpf(void **state)
{
	struct amon_frontend_result result;
	struct bpf_object *object;

	(void)state;
	assert_int_equal(compile(program, &result), 0);
	object = bpf_object__open_mem(result.object, result.object_size, NULL);
	assert_non_null(object);
	assert_non_null(bpf_object__find_program_by_name(object, "count"));
	assert_non_null(bpf_object__find_map_by_name(object, "totals"));
	if (!geteuid())
		assert_int_equal(bpf_object__load(object), 0);
	bpf_object__close(object);
	amon_frontend_result_free(&result);
}

static void expect_message(const struct amon_frontend_message *message, const char *file, uint32_t line,
                           uint32_t column, int severity, const char *text)
{
	assert_string_equal(message->file, file);
	assert_int_equal(message->line, line);
	assert_int_equal(message->column, column);
	assert_int_equal(message->severity, severity);
	assert_non_null(strstr(message->text, text));
}

static void test_positions(void **state)
{
	struct amon_frontend_result result;

	(void)state;
	assert_int_equal(
	        compile("int a;\nint f(void)\n{\n\treturn b;\n}\n#line 70 \"x.amon\"\nint g(void) { return c; }\n",
	                &result),
	        -EINVAL);
	assert_int_equal(result.message_count, 2);
	expect_message(&result.messages[0], "test.c", 4, 9, 2, "undeclared identifier 'b'");
	expect_message(&result.messages[1], "x.amon", 70, 22, 2, "undeclared identifier 'c'");
	assert_null(result.object);
	amon_frontend_result_free(&result);
}

static void test_warnings(void **state)
{
	struct amon_frontend_result result;

	(void)state;
	assert_int_equal(compile("int f(int used)\n{\n\tint a;\n\treturn 0;\n}\n", &result), 0);
	assert_int_equal(result.message_count, 2);
	expect_message(&result.messages[0], "test.c", 3, 6, 1, "unused variable 'a'");
	expect_message(&result.messages[1], "test.c", 1, 11, 1, "unused parameter 'used'");
	assert_non_null(result.object);
	amon_frontend_result_free(&result);
}

/* The code generator's complaints have a place too. */
static void test_backend_positions(void **state)
{
	struct amon_frontend_result result;

	(void)state;
	assert_int_equal(compile("long f(long a, long b)\n{\n\treturn a / b;\n}\n", &result), -EINVAL);
	assert_true(result.message_count >= 1);
	expect_message(&result.messages[0], "test.c", 3, 11, 2, "signed division");
	amon_frontend_result_free(&result);
}

static void test_names(void **state)
{
	struct amon_frontend_result result;

	(void)state;
	assert_int_equal(amon_frontend_compile("-", program, strlen(program), &result), -EINVAL);
	amon_frontend_result_free(&result);
	assert_int_equal(amon_frontend_compile("", program, strlen(program), &result), -EINVAL);
	amon_frontend_result_free(&result);
	assert_int_equal(amon_frontend_compile("/some/where else/-x \"y\".c", program, strlen(program), &result), 0);
	amon_frontend_result_free(&result);
	assert_int_equal(amon_frontend_compile("empty.c", "", 0, &result), 0);
	amon_frontend_result_free(&result);
}

/* Texts that LLVM gives up on, by an error, report_fatal_error(), abort() or a null pointer. */
static const char *const refused[] = {
	"long f(long *a) { return a[0] / a[1]; }",
	"long f(long *a) { return a[0] % a[1]; }",
	"long f(unsigned long *a) { return (unsigned __int128)a[0] * a[1] >> 64; }",
	"long f(unsigned long *a) { return ((unsigned __int128)a[0] << 64 | a[2]) / a[1]; }",
	"double f(double a, double b) { return a * b; }",
	"void g(void *); void f(void) { char b[1000]; g(b); }",
	"void g(void *); void f(int a) { g(__builtin_alloca(a)); }",
	"void g(void *); void f(int a) { char b[a]; g(b); }",
	"int f(int a, ...) { __builtin_va_list v; __builtin_va_start(v, a); return __builtin_va_arg(v, int); }",
	"int g(int, int, int, int, int, int, int); int f(int a) { return g(a, a, a, a, a, a, a); }",
	"int f(int x) { void *t[] = { &&a, &&b }; goto *t[x]; a: return 1; b: return 2; }",
	"struct s { int a; } __attribute__((preserve_access_index));\n"
	"int f(struct s *s) { return __builtin_preserve_field_info(s->a, 77); }",
	"struct s { int a; }; int f(struct s *s) { return __builtin_preserve_type_info(*s, 9); }",
	"int f(int *a) { return __sync_fetch_and_max(a, 5); }",
	"int f(_Atomic int *a) { return *a; }",
	"int f(char *a) { return __sync_fetch_and_add(a, 3); }",
	"int f(void) { __builtin_trap(); }",
	"void f(char *a, char *b) { __builtin_memcpy(a, b, 100000000); }",
	"int f(void) { return __builtin_setjmp((void *)0); }",
	"register long r asm(\"rax\"); long f(void) { return r; }",
	"void f(void) { asm volatile(\"frobnicate %0, bogus\\n r0 = = 5\" ::\"r\"(1)); }",
	"long f(void) { long x; asm volatile(\"\" : \"=Q\"(x)); return x; }",
	"void f(unsigned __int128 x) { asm volatile(\"%0\" ::\"r\"(x)); }",
	"__thread int x; int f(void) { return x; }",
	"typedef int v __attribute__((vector_size(64))); v f(v a, v b) { return a * b; }",
	"int f(void) __attribute__((alias(\"g\"))); int g(void) __attribute__((alias(\"f\")));",
	"char a[1ul << 36] = { 1 };",
	"char a[1ul << 62];",
	"#pragma clang __debug crash\n",
	"#pragma clang __debug llvm_fatal_error\n",
	"#pragma clang __debug parser_crash\n",
};

static void test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct amon_frontend_result result;

		if (compile(refused[i], &result) != -EINVAL || worst(&result) < 2 || result.object)
			fail_msg("not refused: %s", refused[i]);
		amon_frontend_result_free(&result);
		expect_compiles();
	}
}

/* What may or may not compile, and would run the stack out in the parser, the tree or the passes. */
static const struct {
	const char *before, *part, *after;
	size_t count;
} deep[] = {
	{ "int a = ", "(", "1;", 100000 },
	{ "int f(int x) { return ", "!", "x; }", 1000000 },
	{ "int f(int x) { return ", "- ", "x; }", 100000 },
	{ "int f(int x) { return ", "(int)", "x; }", 100000 },
	{ "int f(int x) { return ", "sizeof ", "x; }", 100000 },
	{ "int f(int x) { return ", "x + ", "x; }", 200000 },
	{ "int f(int x) { return ", "x, ", "x; }", 100000 },
	{ "int f(int x) { return ", "x = ", "x; }", 100000 },
	{ "int f(int x) { return ", "x ? x : ", "x; }", 100000 },
	{ "int f(int x) { ", "if (x == 1) return 5; else ", "return x; }", 50000 },
	{ "int f(int x) { ", "if (x) ", "return x; return 0; }", 50000 },
	{ "int f(int x) { ", "{", "}", 100000 },
	{ "int ", "*", "p;", 200000 },
	{ "int ", "(*", "f;", 100000 },
	{ "typedef int t; ", "{", "", 100000 },
	{ "int f(int x) { return x", "+1", "; }", 5000000 }, /* a line of 10 MB */
	{ "//", "x", "\nint f(void) { return 0; }", 10000000 },
	{ "char s[] = \"", "x", "\";", 10000000 },
};

static char *repeated(const char *before, const char *part, const char *after, size_t count)
{
	size_t length = strlen(part);
	char *text = malloc(strlen(before) + length * count + strlen(after) + 1), *end;

	assert_non_null(text);
	end = stpcpy(text, before);
	for (size_t i = 0; i < count; i++, end += length)
		memcpy(end, part, length);
	strcpy(end, after);
	return text;
}

static void test_deep(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(deep) / sizeof(deep[0]); i++) {
		char *text = repeated(deep[i].before, deep[i].part, deep[i].after, deep[i].count);
		struct amon_frontend_result result;
		int error = compile(text, &result);

		assert_true(error == 0 || error == -EINVAL);
		assert_true((error == 0) == (result.object != NULL));
		assert_true(error == 0 || worst(&result) >= 2);
		amon_frontend_result_free(&result);
		free(text);
		expect_compiles();
	}
}

static void test_garbage(void **state)
{
	static char text[100000];
	struct amon_frontend_result result;
	uint32_t number = 1;

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)((number = number * 1664525 + 1013904223) >> 24);
	assert_int_equal(amon_frontend_compile("test.c", text, sizeof(text), &result), -EINVAL);
	amon_frontend_result_free(&result);
	assert_int_equal(amon_frontend_compile("test.c", program, (64UL << 20) + 1, &result), -EFBIG);
	amon_frontend_result_free(&result);
}

/* Memory without end: the limit ends it. */
static void test_memory_limit(void **state)
{
	struct amon_frontend_result result;

	(void)state;
	assert_int_equal(compile("char a[1ul << 36] = { [0 ... 68719476735] = 1 };", &result), -EINVAL);
	assert_int_equal(worst(&result), 3);
	amon_frontend_result_free(&result);
	expect_compiles();
}

static void expect_error(const char *text, const char *message)
{
	struct amon_frontend_result result;

	assert_int_equal(compile(text, &result), -EINVAL);
	assert_true(result.message_count >= 1);
	assert_non_null(strstr(result.messages[result.message_count - 1].text, message));
	amon_frontend_result_free(&result);
}

static void test_no_files(void **state)
{
	struct amon_frontend_result result;

	(void)state;
	expect_error("#include \"/etc/passwd\"\n", "file not found");
	expect_error("#include </usr/include/stdio.h>\n", "file not found");
	expect_error("char a[] = {\n#embed \"/etc/passwd\"\n};", "file not found");
	expect_error("#pragma GCC dependency \"/etc/passwd\"\n", "file not found");
	expect_error("void f(void) { asm volatile(\".incbin \\\"/etc/passwd\\\"\"); }", "directives are not allowed");
	expect_error("void f(void) { asm volatile(\"r1 = 0; {.}include \\\"/etc/passwd\\\"\"); }",
	             "directives are not allowed");
	expect_error("asm(\".incbin \\\"/etc/passwd\\\"\");", "outside functions");
	assert_int_equal(compile("#if __has_include(\"/etc/passwd\")\n#error found\n#endif\n", &result), 0);
	amon_frontend_result_free(&result);
}

/* LLVM would take the text of the lines from there. */
static void test_no_files_by_line(void **state)
{
	struct amon_frontend_result result;

	(void)state;
	assert_int_equal(compile("#line 1 \"/etc/passwd\"\nint f(int a) {\n#line 2000000000\nreturn a + 1; }", &result),
	                 0);
	assert_null(memmem(result.object, result.object_size, "root:", 5));
	amon_frontend_result_free(&result);
}

static void test_assembler(void **state)
{
	struct amon_frontend_result result;

	(void)state;
	assert_int_equal(
	        compile("long f(long a) { long b; asm volatile(\"if %1 == 0 goto .Lx%=; r1 = 5; .Lx%=: %0 = 7\""
	                " : \"=r\"(b) : \"r\"(a) : \"r1\"); return b; }",
	                &result),
	        0);
	amon_frontend_result_free(&result);
}

static void read_signals(struct sigaction actions[32])
{
	for (int i = 1; i < 32; i++)
		sigaction(i, NULL, &actions[i]);
}

static void test_signals_are_put_back(void **state)
{
	struct sigaction before[32], after[32];
	struct amon_frontend_result result;
	sigset_t mask_before, mask_after;

	(void)state;
	read_signals(before);
	pthread_sigmask(SIG_SETMASK, NULL, &mask_before);
	expect_compiles();
	assert_int_equal(compile("#pragma clang __debug crash\n", &result), -EINVAL);
	amon_frontend_result_free(&result);
	read_signals(after);
	pthread_sigmask(SIG_SETMASK, NULL, &mask_after);
	for (int i = 1; i < 32; i++) {
		assert_ptr_equal(before[i].sa_handler, after[i].sa_handler);
		assert_int_equal(before[i].sa_flags, after[i].sa_flags);
		assert_int_equal(sigismember(&mask_before, i), sigismember(&mask_after, i));
	}
}

static void *compile_on(void *argument)
{
	struct amon_frontend_result result;

	for (int i = 0; i < 1000; i++) {
		compile(program, &result);
		amon_frontend_result_free(&result);
	}
	return argument;
}

static void exit_42(int signal)
{
	(void)signal;
	_exit(42);
}

static int *volatile nowhere = (int *)16;

/* A crash elsewhere in the process, while a compilation runs, is not ours to hide. */
static void expect_crash_passed_on(int signal)
{
	pthread_t thread;
	int status;
	pid_t child = fork();

	if (!child) {
		struct sigaction action = { .sa_handler = exit_42 };

		sigaction(signal, &action, NULL);
		pthread_create(&thread, NULL, compile_on, NULL);
		usleep(50000);
		if (signal == SIGABRT)
			abort();
		*nowhere = 0;
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 42);
}

static void test_crash_of_others(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++) {
		expect_crash_passed_on(SIGSEGV);
		expect_crash_passed_on(SIGABRT);
	}
}

static long resident_kib(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	long pages = 0;

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%*d %ld", &pages), 1);
	fclose(file);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void *compile_times(void *times)
{
	for (int i = 0; i < *(int *)times; i++) {
		struct amon_frontend_result result;

		if (compile(program, &result))
			*(int *)times = -1;
		amon_frontend_result_free(&result);
	}
	return NULL;
}

static void run_threads(int count, int times)
{
	pthread_t threads[8];
	int counts[8];

	for (int i = 0; i < count; i++) {
		counts[i] = times;
		assert_int_equal(pthread_create(&threads[i], NULL, compile_times, &counts[i]), 0);
	}
	for (int i = 0; i < count; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(counts[i], times);
	}
}

static void test_memory(void **state)
{
	long before;

	(void)state;
	run_threads(1, 10);
	before = resident_kib();
	run_threads(1, 50);
	assert_true(resident_kib() - before < 16 * 1024);
}

static void test_threads(void **state)
{
	(void)state;
	run_threads(4, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_missing_module),
		cmocka_unit_test(test_object),
		cmocka_unit_test(test_same_bytes),
		cmocka_unit_test(test_line_info),
		cmocka_unit_test(test_libbpf),
		cmocka_unit_test(test_positions),
		cmocka_unit_test(test_warnings),
		cmocka_unit_test(test_backend_positions),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_deep),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_memory_limit),
		cmocka_unit_test(test_no_files),
		cmocka_unit_test(test_no_files_by_line),
		cmocka_unit_test(test_assembler),
		cmocka_unit_test(test_signals_are_put_back),
		cmocka_unit_test(test_crash_of_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
