// SPDX-License-Identifier: Apache-2.0
/*
 * Probes on real hooks: what is sent over a pair of interfaces is what they count, whoever comes, goes or dies.
 * The probe is written here: at each hook it counts packets of the test's own protocol.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/capability.h>
#include <linux/if_link.h>

#include "runtime/frontend.h"
#include "runtime/kernel.h"
#include "runtime/probe.h"
#include "tests/kernel/network.h"

#define CPUS_MAX 1024
#define PINS     "/sys/fs/bpf/amon/xdp"

static const char source[] =
        "typedef unsigned long long u64; typedef unsigned int u32; typedef unsigned char u8;\n"
        "#define SEC(name) __attribute__((section(name), used))\n"
        "struct xdp_md { u32 data, data_end, rest[4]; };\n"
        "struct __sk_buff { u32 before[19], data, data_end; };\n"
        "static void *(*lookup)(void *, const void *) = (void *)1;\n"
        "const volatile u8 amon_replay, amon_ingress_tc;\n"
        "volatile struct { u64 time; u32 length, captured, direction; } amon_frame SEC(\".data.replay\");\n"
        "struct { int (*type)[6]; u32 *key; u64 *value; int (*max_entries)[4]; } counts SEC(\".maps\");\n"
        "static inline void add(u32 key, u64 weight)\n"
        "{\n"
        "	u64 *count = lookup(&counts, &key);\n"
        "	if (count)\n"
        "		*count += weight;\n"
        "}\n"
        "static inline void see(u32 hook, u8 *data, u8 *end)\n"
        "{\n"
        "	if (data + 14 > end || data[12] != 0x88 || data[13] != 0xb5)\n"
        "		return;\n"
        "	add(hook, 1);\n"
        "	if (amon_replay)\n"
        "		add(3, amon_frame.length);\n"
        "}\n"
        "SEC(\"xdp.frags\") int count_xdp(struct xdp_md *xdp)\n"
        "{\n"
        "	see(0, (u8 *)(long)xdp->data, (u8 *)(long)xdp->data_end);\n"
        "	return 2;\n"
        "}\n"
        "static long (*loop)(u32, void *, void *, u64) = (void *)181;\n"
        "static long idle(u32 i, void *data)\n"
        "{\n"
        "	return 0;\n"
        "}\n"
        "SEC(\"xdp.frags\") int slow_xdp(struct xdp_md *xdp)\n"
        "{\n"
        "	loop(1 << 18, idle, 0, 0);\n"
        "	return 2;\n"
        "}\n"
        "SEC(\"tc\") int count_ingress(struct __sk_buff *skb)\n"
        "{\n"
        "	if (amon_ingress_tc)\n"
        "		add(3, 1);\n"
        "	see(1, (u8 *)(long)skb->data, (u8 *)(long)skb->data_end);\n"
        "	return -1;\n"
        "}\n"
        "SEC(\"tc\") int count_egress(struct __sk_buff *skb)\n"
        "{\n"
        "	see(2, (u8 *)(long)skb->data, (u8 *)(long)skb->data_end);\n"
        "	return -1;\n"
        "}\n"
        "SEC(\"tc\") int wild(struct __sk_buff *skb)\n"
        "{\n"
        "	return *(int *)(long)skb->data_end;\n"
        "}\n"
        "char license_text[] SEC(\"license\") = \"GPL\";\n";

static struct amon_frontend_result compiled;

/* An export table with one section on the hooks that are given. */
struct spec {
	struct amon_exports exports;
	struct amon_export_section section;
	struct amon_export_program programs[AMON_HOOK_COUNT];
};

static const struct amon_hook ingress = { .kind = AMON_HOOK_XDP, .choice = true },
                              xdp_any = { .kind = AMON_HOOK_XDP, .mode = AMON_XDP_ANY },
                              xdp_native = { .kind = AMON_HOOK_XDP, .mode = AMON_XDP_NATIVE },
                              xdp_generic = { .kind = AMON_HOOK_XDP, .mode = AMON_XDP_GENERIC },
                              tc_ingress = { .kind = AMON_HOOK_TC_INGRESS },
                              tc_egress = { .kind = AMON_HOOK_TC_EGRESS };

static void spec_of(struct spec *spec, struct amon_hook first, const struct amon_hook *second)
{
	static const struct amon_export_program programs[] = {
		{ "count_xdp", AMON_HOOK_XDP },
		{ "count_ingress", AMON_HOOK_TC_INGRESS },
		{ "count_egress", AMON_HOOK_TC_EGRESS },
	};

	*spec = (struct spec){ .section = { .name = "test", .hooks = { first }, .hook_count = 1 } };
	memcpy(spec->programs, programs, sizeof(programs));
	if (second)
		spec->section.hooks[spec->section.hook_count++] = *second;
	spec->exports = (struct amon_exports){ .probe = "test",
		                               .programs = spec->programs,
		                               .program_count = AMON_HOOK_COUNT,
		                               .sections = &spec->section,
		                               .section_count = 1 };
}

/* A probe, loaded and attached. */
struct probe {
	struct spec spec;
	struct amon_loaded *loaded;
	struct amon_attached *attached;
	struct amon_failure failure;
};

static int load(struct probe *probe, const struct amon_load_options *options)
{
	return amon_probe_load(compiled.object, compiled.object_size, &probe->spec.exports, options, &probe->loaded,
	                       &probe->failure);
}

static int start_with(struct probe *probe, struct amon_hook first, const struct amon_hook *second)
{
	struct amon_load_options options = { 0 };
	int error;

	*probe = (struct probe){ 0 };
	spec_of(&probe->spec, first, second);
	error = amon_probe_choose(&probe->spec.exports, "v0", &options.choice, &probe->failure);
	if (!error)
		error = load(probe, &options);
	return error ? error : amon_probe_attach(probe->loaded, "v0", &probe->attached, &probe->failure);
}

static int start(struct probe *probe, struct amon_hook hook)
{
	return start_with(probe, hook, NULL);
}

static void stop(struct probe *probe)
{
	amon_probe_detach(probe->attached);
	amon_probe_unload(probe->loaded);
	amon_failure_clear(&probe->failure);
	probe->attached = NULL;
	probe->loaded = NULL;
}

static uint64_t count(const struct probe *probe, uint32_t hook)
{
	static uint64_t values[CPUS_MAX];
	uint64_t sum = 0;

	assert_int_equal(bpf_map_lookup_elem(amon_probe_map(probe->loaded, "counts"), &hook, values), 0);
	for (int i = 0; i < libbpf_num_possible_cpus(); i++)
		sum += values[i];
	return sum;
}

/* Packets that were sent are counted a little later. */
static uint64_t count_until(const struct probe *probe, uint32_t hook, uint64_t wanted)
{
	for (int i = 0; i < 1000 && count(probe, hook) < wanted; i++)
		usleep(1000);
	return count(probe, hook);
}

static uint32_t xdp_program(const char *interface)
{
	uint32_t id = 0;

	assert_int_equal(bpf_xdp_query_id((int)if_nametoindex(interface), 0, &id), 0);
	return id;
}

static bool pinned(const char *interface)
{
	char path[128];

	snprintf(path, sizeof(path), PINS "/%llu-%u", (unsigned long long)amon_kernel_netns(),
	         if_nametoindex(interface));
	return access(path, F_OK) == 0;
}

static void assert_nothing_left(void)
{
	assert_int_equal(amon_hook_sweep("v0"), 0);
	assert_int_equal(xdp_program("v0"), 0);
	assert_false(pinned("v0"));
	assert_int_not_equal(network_run("tc qdisc show dev v0 | grep -q clsact"), 0);
}

/* Another process that holds a probe until it is killed. */
static pid_t start_process(struct amon_hook first, const struct amon_hook *second, bool own_bpffs)
{
	int pipes[2];
	char ready = 0;

	assert_int_equal(pipe(pipes), 0);
	pid_t child = fork();
	if (child == 0) {
		static struct probe probe;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (own_bpffs && (unshare(CLONE_NEWNS) || mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		                  mount("bpffs", "/sys/fs/bpf", "bpf", 0, NULL)))
			_exit(1);
		if (start_with(&probe, first, second)) {
			fprintf(stderr, "%s\n", probe.failure.message);
			_exit(1);
		}
		(void)!write(pipes[1], "r", 1);
		for (;;)
			pause();
	}
	close(pipes[1]);
	assert_int_equal(read(pipes[0], &ready, 1), 1);
	close(pipes[0]);
	return child;
}

/* The kernel empties a dead process's slot from a work queue. */
static void kill_process(pid_t child)
{
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	usleep(100000);
}

/* What a killed process with one program at TC leaves: nothing, or a filter and the qdisc. */
static int left_at_tc(void)
{
	return amon_kernel_has_tcx() ? 0 : 2;
}

/* Tests */

static int compile_probe(void **state)
{
	(void)state;
	if (!network_allowed())
		return 0;
	if (amon_frontend_compile("test.c", source, strlen(source), &compiled) == 0)
		return 0;
	for (size_t i = 0; i < compiled.message_count; i++)
		fprintf(stderr, "%u: %s\n", compiled.messages[i].line, compiled.messages[i].text);
	return -1;
}

static int free_probe(void **state)
{
	(void)state;
	amon_frontend_result_free(&compiled);
	return 0;
}

static int set_up(void **state)
{
	(void)state;
	return network_allowed() ? network_new() : 0;
}

#define NEEDS_BPF()                                                                                                    \
	do {                                                                                                           \
		if (!network_allowed())                                                                                \
			skip();                                                                                        \
	} while (0)

static void loads_what_is_needed(void **state)
{
	struct probe probe = { 0 };

	(void)state;
	NEEDS_BPF();
	spec_of(&probe.spec, ingress, &tc_egress);
	assert_int_equal(load(&probe, &(struct amon_load_options){ .choice.ingress_tc = true }), 0);
	assert_int_equal(probe.loaded->clones[0].programs[AMON_HOOK_XDP], -1);
	assert_true(probe.loaded->clones[0].programs[AMON_HOOK_TC_INGRESS] >= 0);
	assert_true(probe.loaded->clones[0].programs[AMON_HOOK_TC_EGRESS] >= 0);
	assert_true(amon_kernel_verified_instructions(probe.loaded->clones[0].programs[AMON_HOOK_TC_EGRESS]) > 0);
	assert_int_equal(amon_probe_map(probe.loaded, "nothing"), -ENOENT);
	assert_null(probe.failure.log);
	stop(&probe);
	assert_int_equal(load(&probe, &(struct amon_load_options){ .replay = true, .verbose = true }), 0);
	assert_true(probe.loaded->clones[0].programs[AMON_HOOK_XDP] >= 0);
	assert_int_equal(probe.loaded->clones[0].programs[AMON_HOOK_TC_INGRESS], -1);
	assert_true(probe.loaded->clones[0].programs[AMON_HOOK_TC_EGRESS] >= 0);
	assert_non_null(probe.failure.log);
	stop(&probe);
}

static void sets_the_constants(void **state)
{
	unsigned char frame[NETWORK_FRAME] = { [12] = NETWORK_PROTOCOL >> 8, [13] = NETWORK_PROTOCOL & 0xff };
	struct amon_frame told = { .length = 1234 };
	struct probe probe = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = sizeof(frame));

	(void)state;
	NEEDS_BPF();
	spec_of(&probe.spec, xdp_any, NULL);
	assert_int_equal(load(&probe, &(struct amon_load_options){ .replay = true }), 0);
	assert_int_equal(bpf_map_update_elem(amon_probe_map(probe.loaded, ".data.replay"), &(uint32_t){ 0 }, &told, 0),
	                 0);
	assert_int_equal(bpf_prog_test_run_opts(probe.loaded->clones[0].programs[AMON_HOOK_XDP], &run), 0);
	assert_int_equal(count(&probe, 0), 1);
	assert_int_equal(count(&probe, 3), 1234);
	stop(&probe);
	spec_of(&probe.spec, ingress, NULL);
	assert_int_equal(load(&probe, &(struct amon_load_options){ .choice.ingress_tc = true }), 0);
	assert_int_equal(bpf_prog_test_run_opts(probe.loaded->clones[0].programs[AMON_HOOK_TC_INGRESS], &run), 0);
	assert_int_equal(count(&probe, 3), 1);
	stop(&probe);
}

static void tells_what_the_verifier_refuses(void **state)
{
	struct probe probe = { 0 };

	(void)state;
	NEEDS_BPF();
	spec_of(&probe.spec, tc_egress, NULL);
	probe.spec.programs[AMON_HOOK_TC_EGRESS].name = "wild";
	assert_true(load(&probe, &(struct amon_load_options){ 0 }) < 0);
	assert_non_null(strstr(probe.failure.message, "invalid mem access"));
	assert_non_null(strstr(probe.failure.message, "return *(int *)(long)skb->data_end"));
	assert_null(strchr(probe.failure.message, '\n'));
	assert_non_null(strstr(probe.failure.log, "processed "));
	stop(&probe);
}

static void refuses_what_is_no_probe(void **state)
{
	struct probe probe = { 0 };

	(void)state;
	NEEDS_BPF();
	spec_of(&probe.spec, xdp_any, NULL);
	assert_int_equal(amon_probe_load(source, sizeof(source), &probe.spec.exports, &(struct amon_load_options){ 0 },
	                                 &probe.loaded, &probe.failure),
	                 -EINVAL);
	probe.spec.programs[0].name = "absent";
	assert_int_equal(load(&probe, &(struct amon_load_options){ 0 }), -EINVAL);
	assert_non_null(strstr(probe.failure.message, "absent"));
	stop(&probe);
}

static void counts_at(struct amon_hook hook, enum amon_hook_kind kind, enum amon_xdp_mode mode)
{
	const struct amon_attached_hook *hooks;
	struct probe probe;
	uint32_t hook_count;

	assert_int_equal(start(&probe, hook), 0);
	hooks = amon_attached_hooks(probe.attached, &hook_count);
	assert_int_equal(hook_count, 1);
	assert_int_equal(hooks[0].kind, kind);
	assert_int_equal(hooks[0].mode, mode);
	assert_int_equal(network_send(kind == AMON_HOOK_TC_EGRESS ? "v0" : "v1", 1000), 1000);
	assert_int_equal(count_until(&probe, kind, 1000), 1000);
	assert_int_equal(amon_attached_check(probe.attached), 0);
	stop(&probe);
	assert_nothing_left();
}

static void counts_at_every_hook(void **state)
{
	(void)state;
	NEEDS_BPF();
	counts_at(xdp_native, AMON_HOOK_XDP, AMON_XDP_NATIVE);
	counts_at(xdp_generic, AMON_HOOK_XDP, AMON_XDP_GENERIC);
	counts_at(xdp_any, AMON_HOOK_XDP, AMON_XDP_NATIVE);
	counts_at(ingress, AMON_HOOK_XDP, AMON_XDP_NATIVE);
	counts_at(tc_ingress, AMON_HOOK_TC_INGRESS, AMON_XDP_ANY);
	counts_at(tc_egress, AMON_HOOK_TC_EGRESS, AMON_XDP_ANY);
}

static void counts_on_jumbo_frames(void **state)
{
	(void)state;
	NEEDS_BPF();
	assert_int_equal(network_run("ip link set v0 mtu 9000 && ip link set v1 mtu 9000"), 0);
	counts_at(xdp_native, AMON_HOOK_XDP, AMON_XDP_NATIVE);
}

static void packets_pass_on(void **state)
{
	struct probe probe;

	(void)state;
	NEEDS_BPF();
	assert_int_equal(network_run("ip netns add peer%d && ip link set v1 netns peer%d && "
	                             "ip -n peer%d addr add 10.9.9.1/24 dev v1 && ip -n peer%d link set v1 up && "
	                             "ip addr add 10.9.9.2/24 dev v0",
	                             getpid(), getpid(), getpid(), getpid()),
	                 0);
	assert_int_equal(start_with(&probe, xdp_native, &tc_egress), 0);
	assert_int_equal(network_run("ping -qc1 -W2 10.9.9.1 >/dev/null"), 0);
	stop(&probe);
	assert_int_equal(network_run("ip netns del peer%d", getpid()), 0);
}

static void stop_all(struct probe *probes, int probe_count)
{
	for (int i = 0; i < probe_count; i++)
		stop(&probes[i]);
}

/* Sends as fast as it can, in another process, until it is killed. */
static pid_t start_traffic(void)
{
	pid_t child = fork();

	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (int packet = network_socket("v1");;)
			network_send_one(packet);
	}
	return child;
}

/* The first and the last of sixteen see the same packets while those between them go, one by one. */
static void lose_the_middle(void)
{
	static struct probe probes[16];

	for (int i = 0; i < 16; i++)
		assert_int_equal(start(&probes[i], xdp_native), 0);
	pid_t traffic = start_traffic();
	for (int i = 1; i < 15; i++) {
		usleep(2000);
		stop(&probes[i * 4 % 15]);
	}
	kill_process(traffic);
	assert_true(count(&probes[0], 0) > 1000);
	assert_int_equal(count(&probes[0], 0), count(&probes[15], 0));
	stop(&probes[0]);
	stop(&probes[15]);
	assert_nothing_left();
}

static void neighbours_lose_nothing(void **state)
{
	(void)state;
	NEEDS_BPF();
	for (int round = 0; round < 3; round++)
		lose_the_middle();
}

static void start_slow(struct probe *probe)
{
	*probe = (struct probe){ 0 };
	spec_of(&probe->spec, xdp_native, NULL);
	probe->spec.programs[AMON_HOOK_XDP].name = "slow_xdp";
	assert_int_equal(load(probe, &(struct amon_load_options){ 0 }), 0);
	assert_int_equal(amon_probe_attach(probe->loaded, "v0", &probe->attached, &probe->failure), 0);
}

/* A packet that is inside the probe when it goes, which is nearly sure where the probe is slow, still finds its way. */
static void waits_for_packets_inside(void **state)
{
	struct probe before, slow, behind;

	(void)state;
	NEEDS_BPF();
	assert_int_equal(start(&before, xdp_native), 0);
	for (int round = 0; round < 10; round++) {
		start_slow(&slow);
		assert_int_equal(start(&behind, xdp_native), 0);
		uint64_t counted = count(&before, 0);
		pid_t traffic = start_traffic();
		count_until(&before, 0, counted + 20);
		stop(&slow);
		kill_process(traffic);
		assert_int_equal(count(&before, 0) - counted, count(&behind, 0));
		stop(&behind);
	}
	stop(&before);
	assert_nothing_left();
}

static void seventeenth_is_refused(void **state)
{
	static struct probe probes[17];

	(void)state;
	NEEDS_BPF();
	for (int i = 0; i < 16; i++)
		assert_int_equal(start(&probes[i], xdp_any), 0);
	assert_int_equal(start(&probes[16], xdp_any), -ENOSPC);
	assert_non_null(strstr(probes[16].failure.message, "16 probes"));
	network_send("v1", 10);
	assert_int_equal(count_until(&probes[15], 0, 10), 10);
	stop_all(probes, 17);
	assert_nothing_left();
}

static void survives_a_killed_process(void **state)
{
	struct probe before, behind;

	(void)state;
	NEEDS_BPF();
	pid_t root_maker = start_process(xdp_native, &tc_egress, false);
	assert_int_equal(start(&before, xdp_native), 0);
	pid_t middle = start_process(xdp_native, NULL, false);
	assert_int_equal(start(&behind, xdp_native), 0);
	kill_process(root_maker);
	kill_process(middle);
	network_send("v1", 100);
	assert_int_equal(count_until(&before, 0, 100), 100);
	assert_int_equal(count_until(&behind, 0, 100), 100);
	assert_int_equal(amon_hook_sweep("v0"), 2 + left_at_tc());
	assert_int_equal(amon_hook_sweep("v0"), 0);
	network_send("v1", 100);
	assert_int_equal(count_until(&behind, 0, 200), 200);
	assert_int_equal(count(&before, 0), 200);
	stop(&behind);
	stop(&before);
	assert_nothing_left();
}

static void sweeps_the_last(void **state)
{
	(void)state;
	NEEDS_BPF();
	kill_process(start_process(xdp_native, &tc_egress, false));
	assert_int_not_equal(xdp_program("v0"), 0);
	/* the probe's gate, and the root */
	assert_int_equal(amon_hook_sweep("v0"), 2 + left_at_tc());
	assert_nothing_left();
}

/* Pins in a bpffs that ends with its process must not take others along. */
static void shares_a_hook_across_mounts(void **state)
{
	struct probe probe;

	(void)state;
	NEEDS_BPF();
	pid_t other = start_process(xdp_native, NULL, true);
	assert_int_equal(start(&probe, xdp_native), 0);
	kill_process(other);
	network_send("v1", 100);
	assert_int_equal(count_until(&probe, 0, 100), 100);
	other = start_process(xdp_native, NULL, true);
	kill_process(other);
	network_send("v1", 100);
	assert_int_equal(count_until(&probe, 0, 200), 200);
	stop(&probe);
	/* the gate and the root, and what was pinned here as well of the first that died */
	assert_int_equal(amon_hook_sweep("v0"), 3);
	assert_nothing_left();
}

static void modes_exclude_each_other(void **state)
{
	struct probe first, second;

	(void)state;
	NEEDS_BPF();
	assert_int_equal(start(&first, xdp_generic), 0);
	assert_int_equal(start(&second, xdp_native), -EBUSY);
	assert_non_null(strstr(second.failure.message, "generic"));
	stop(&second);
	assert_int_equal(start(&second, xdp_any), 0);
	stop(&second);
	/* `ingress` alone is never generic */
	assert_int_equal(start(&second, ingress), 0);
	assert_true(second.loaded->clones[0].programs[AMON_HOOK_TC_INGRESS] >= 0);
	stop(&second);
	assert_int_equal(start_with(&second, xdp_native, &xdp_generic), -EINVAL);
	stop(&second);
	stop(&first);
	assert_nothing_left();
}

/* A program that is none of amon's. */
static int load_stranger(enum bpf_prog_type type)
{
	static const struct bpf_insn pass[] = { { .code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = XDP_PASS },
		                                { .code = BPF_JMP | BPF_EXIT } };

	return bpf_prog_load(type, "stranger", "GPL", pass, 2, NULL);
}

static void foreign_program_stays(void **state)
{
	int stranger, ifindex = (int)if_nametoindex("v0");
	struct probe probe;
	uint32_t id;

	(void)state;
	NEEDS_BPF();
	stranger = load_stranger(BPF_PROG_TYPE_XDP);
	assert_int_equal(bpf_xdp_attach(ifindex, stranger, 0, NULL), 0);
	id = xdp_program("v0");
	assert_int_equal(start(&probe, xdp_any), -EBUSY);
	assert_non_null(strstr(probe.failure.message, "stranger"));
	stop(&probe);
	assert_int_equal(start(&probe, ingress), 0);
	network_send("v1", 10);
	assert_int_equal(count_until(&probe, 1, 10), 10);
	stop(&probe);
	assert_int_equal(amon_hook_sweep("v0"), 0);
	assert_int_equal(xdp_program("v0"), id);
	bpf_xdp_detach(ifindex, 0, NULL);
	close(stranger);
	assert_nothing_left();
}

static void interface_goes(void **state)
{
	struct probe probe, again;

	(void)state;
	NEEDS_BPF();
	assert_int_equal(start_with(&probe, xdp_native, &tc_egress), 0);
	assert_int_equal(network_run("ip link del v0"), 0);
	assert_int_equal(amon_attached_check(probe.attached), -ENODEV);
	assert_int_equal(network_pair(), 0);
	assert_int_equal(amon_attached_check(probe.attached), -ENODEV);
	assert_int_equal(start(&again, xdp_native), 0);
	stop(&probe);
	network_send("v1", 10);
	assert_int_equal(count_until(&again, 0, 10), 10);
	stop(&again);
	assert_nothing_left();
}

static void sweeps_what_an_interface_left(void **state)
{
	char directory[128];

	(void)state;
	NEEDS_BPF();
	pid_t child = start_process(xdp_native, NULL, false);
	snprintf(directory, sizeof(directory), PINS "/%llu-%u", (unsigned long long)amon_kernel_netns(),
	         if_nametoindex("v0"));
	kill_process(child);
	assert_int_equal(access(directory, F_OK), 0);
	assert_int_equal(network_run("ip link del v0"), 0);
	assert_int_equal(network_pair(), 0);
	assert_int_equal(amon_hook_sweep("v0"), 0);
	assert_int_not_equal(access(directory, F_OK), 0);
	assert_nothing_left();
}

static void refuses_interfaces(void **state)
{
	struct amon_failure failure = { 0 };
	struct spec spec;
	struct amon_choice tc = { .ingress_tc = false };

	(void)state;
	NEEDS_BPF();
	spec_of(&spec, ingress, NULL);
	assert_int_equal(network_run("ip link set v0 down && ip link set v0 name eth10 && ip link set eth10 up"), 0);
	assert_int_equal(amon_probe_choose(&spec.exports, "eth1", &tc, &failure), -ENODEV);
	assert_non_null(strstr(failure.message, "is it eth10?"));
	assert_int_equal(amon_hook_sweep("eth1"), -ENODEV);
	assert_int_equal(amon_probe_choose(&spec.exports, "lo", &tc, &failure), 0);
	assert_true(tc.ingress_tc);
	spec_of(&spec, xdp_native, NULL);
	assert_true(amon_probe_choose(&spec.exports, "lo", &tc, &failure) < 0);
	assert_non_null(strstr(failure.message, "write `ingress` or `ingress tc`"));
	if (network_run("ip tuntap add tun0 mode tun 2>/dev/null"))
		return;
	assert_int_equal(amon_probe_choose(&spec.exports, "tun0", &tc, &failure), -EOPNOTSUPP);
	assert_non_null(strstr(failure.message, "Ethernet"));
}

static void minds_stripped_tags(void **state)
{
	struct amon_failure failure = { 0 };
	struct spec spec;
	struct amon_choice tc = { .ingress_tc = false };

	(void)state;
	NEEDS_BPF();
	spec_of(&spec, ingress, NULL);
	spec.exports.uses_vlan = true;
	assert_int_equal(amon_probe_choose(&spec.exports, "v0", &tc, &failure), 0);
	assert_true(tc.ingress_tc);
	spec_of(&spec, xdp_any, NULL);
	spec.exports.uses_vlan = true;
	assert_int_equal(amon_probe_choose(&spec.exports, "v0", &tc, &failure), -EOPNOTSUPP);
	assert_non_null(strstr(failure.message, "ethtool -K v0 rxvlan off"));
	assert_int_equal(network_run("ethtool -K v0 rxvlan off >/dev/null"), 0);
	assert_int_equal(amon_probe_choose(&spec.exports, "v0", &tc, &failure), 0);
}

static void drop_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };

	syscall(SYS_capset, &header, none);
}

static int load_without_privilege(void)
{
	struct probe probe = { 0 };

	drop_capabilities();
	spec_of(&probe.spec, ingress, NULL);
	if (amon_kernel_check(&probe.failure) != -EPERM ||
	    !strstr(probe.failure.message, "CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON missing"))
		return 1;
	if (load(&probe, &(struct amon_load_options){ 0 }) != -EPERM || !strstr(probe.failure.message, "CAP_BPF"))
		return 2;
	return start(&probe, ingress) == -EPERM ? 0 : 3;
}

static void names_missing_capabilities(void **state)
{
	int status;

	(void)state;
	NEEDS_BPF();
	pid_t child = fork();
	if (child == 0)
		_exit(load_without_privilege());
	waitpid(child, &status, 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static int without_tcx(void **state)
{
	amon_kernel_pretend("no-tcx", NULL);
	return set_up(state);
}

static int with_tcx(void **state)
{
	(void)state;
	return amon_kernel_pretend("", NULL);
}

static void counts_at_clsact(void **state)
{
	struct probe first, second;

	(void)state;
	NEEDS_BPF();
	assert_false(amon_kernel_has_tcx());
	assert_int_equal(start_with(&first, tc_ingress, &tc_egress), 0);
	assert_int_equal(start(&second, tc_ingress), 0);
	network_send("v1", 100);
	network_send("v0", 50);
	assert_int_equal(count_until(&first, 1, 100), 100);
	assert_int_equal(count_until(&second, 1, 100), 100);
	assert_int_equal(count_until(&first, 2, 50), 50);
	stop(&first);
	network_send("v1", 100);
	assert_int_equal(count_until(&second, 1, 200), 200);
	stop(&second);
	assert_nothing_left();
}

static void keeps_a_foreign_clsact(void **state)
{
	int ifindex = (int)if_nametoindex("v0"), stranger;
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, filter);
	struct probe probe;

	(void)state;
	NEEDS_BPF();
	assert_int_equal(network_run("tc qdisc add dev v0 clsact"), 0);
	assert_int_equal(start(&probe, tc_egress), 0);
	stop(&probe);
	assert_int_equal(network_run("tc qdisc show dev v0 | grep -q clsact"), 0);
	/* and one of amon's own, while another has a filter there */
	assert_int_equal(network_run("tc qdisc del dev v0 clsact"), 0);
	assert_int_equal(start(&probe, tc_egress), 0);
	stranger = load_stranger(BPF_PROG_TYPE_SCHED_CLS);
	filter.prog_fd = stranger;
	assert_int_equal(bpf_tc_attach(&hook, &filter), 0);
	stop(&probe);
	assert_int_equal(network_run("tc filter show dev v0 ingress | grep -q stranger"), 0);
	assert_int_equal(network_run("tc filter del dev v0 ingress"), 0);
	close(stranger);
	assert_int_equal(amon_hook_sweep("v0"), 1);
	assert_nothing_left();
}

static void refuses_the_old_ingress(void **state)
{
	struct probe probe;

	(void)state;
	NEEDS_BPF();
	assert_int_equal(network_run("tc qdisc add dev v0 ingress"), 0);
	assert_int_equal(start(&probe, tc_egress), -EBUSY);
	assert_non_null(strstr(probe.failure.message, "tc qdisc del dev v0 ingress"));
	stop(&probe);
}

static void sweeps_clsact(void **state)
{
	struct probe probe;

	(void)state;
	NEEDS_BPF();
	pid_t other = start_process(tc_ingress, &tc_egress, false);
	assert_int_equal(start(&probe, tc_ingress), 0);
	kill_process(other);
	assert_int_equal(network_run("tc filter show dev v0 egress | grep -q amon_gate_tc"), 0);
	network_send("v1", 100);
	assert_int_equal(count_until(&probe, 1, 100), 100);
	assert_int_equal(amon_hook_sweep("v0"), 2);
	network_send("v1", 100);
	assert_int_equal(count_until(&probe, 1, 200), 200);
	stop(&probe);
	assert_nothing_left();
	kill_process(start_process(tc_ingress, NULL, false));
	/* the filter, and the qdisc */
	assert_int_equal(amon_hook_sweep("v0"), 2);
	assert_nothing_left();
}

/* Nothing half attached: the second hook fails, and the first goes again. */
static void attaches_all_or_none(void **state)
{
	struct probe probe;

	(void)state;
	NEEDS_BPF();
	assert_int_equal(network_run("tc qdisc add dev v0 ingress"), 0);
	assert_int_equal(start_with(&probe, xdp_native, &tc_egress), -EBUSY);
	stop(&probe);
	assert_int_equal(xdp_program("v0"), 0);
	assert_false(pinned("v0"));
}

#define TEST(name)     cmocka_unit_test_setup(name, set_up)
#define TEST_CLS(name) cmocka_unit_test_setup_teardown(name, without_tcx, with_tcx)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(loads_what_is_needed),
		TEST(sets_the_constants),
		TEST(tells_what_the_verifier_refuses),
		TEST(refuses_what_is_no_probe),
		TEST(counts_at_every_hook),
		TEST(counts_on_jumbo_frames),
		TEST(packets_pass_on),
		TEST(neighbours_lose_nothing),
		TEST(waits_for_packets_inside),
		TEST(seventeenth_is_refused),
		TEST(survives_a_killed_process),
		TEST(sweeps_the_last),
		TEST(shares_a_hook_across_mounts),
		TEST(modes_exclude_each_other),
		TEST(foreign_program_stays),
		TEST(interface_goes),
		TEST(sweeps_what_an_interface_left),
		TEST(refuses_interfaces),
		TEST(minds_stripped_tags),
		TEST(names_missing_capabilities),
		TEST_CLS(counts_at_clsact),
		TEST_CLS(keeps_a_foreign_clsact),
		TEST_CLS(refuses_the_old_ingress),
		TEST_CLS(sweeps_clsact),
		TEST_CLS(attaches_all_or_none),
	};

	return cmocka_run_group_tests(tests, compile_probe, free_probe);
}
