/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/ethtool.h>
#include <linux/magic.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "cleanup.h"
#include "compiler/diagnostic.h"

/* enum bpf_attach_type of kernels that have TCX */
#define TCX_INGRESS 46
#define TCX_EGRESS  47
/* the loopback of every network namespace */
#define LOOPBACK_INDEX 1

static long bpf_call(int command, union bpf_attr *attributes, size_t size)
{
	long result = syscall(SYS_bpf, command, attributes, size);

	return result < 0 ? -errno : result;
}

static bool has_capability(unsigned int capability)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, data))
		return false;
	return data[CAP_TO_INDEX(capability)].effective & CAP_TO_MASK(capability);
}

/* What amon needs; CAP_SYS_ADMIN stands for those that were part of it. */
static const struct {
	unsigned int capability;
	bool of_admin;
	const char *name;
} needed[] = {
	{ CAP_BPF, true, "CAP_BPF" },
	{ CAP_NET_ADMIN, false, "CAP_NET_ADMIN" },
	/* without it the verifier trusts no arithmetic with pointers, and refuses nearly all parsers */
	{ CAP_PERFMON, true, "CAP_PERFMON" },
};
#define NEEDED (sizeof(needed) / sizeof(needed[0]))

static bool is_missing(size_t i)
{
	return !has_capability(needed[i].capability) && !(needed[i].of_admin && has_capability(CAP_SYS_ADMIN));
}

/* "CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON"; empty where none is missing. */
static void list_missing(char text[static 64])
{
	size_t left = 0;

	*text = '\0';
	for (size_t i = 0; i < NEEDED; i++)
		left += is_missing(i);
	for (size_t i = 0; i < NEEDED; i++)
		if (is_missing(i))
			sprintf(text + strlen(text), "%s%s", needed[i].name, --left > 1 ? ", " : left ? " and " : "");
}

int amon_kernel_denied(struct amon_failure *failure)
{
	char missing[64];

	list_missing(missing);
	if (*missing)
		return amon_fail(
		        failure, -EPERM,
		        "not permitted: %s missing; run as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON",
		        missing);
	if (!has_capability(CAP_SYS_ADMIN))
		return amon_fail(failure, -EPERM,
		                 "the kernel refuses this to the process, which has CAP_BPF, CAP_NET_ADMIN and "
		                 "CAP_PERFMON: XDP needs CAP_SYS_ADMIN, too, to find what hangs on an interface");
	return amon_fail(failure, -EPERM,
	                 "the kernel refuses BPF to this process, though it has all capabilities that amon needs: a "
	                 "container or the kernel's lockdown forbids it");
}

static int refused(struct amon_failure *failure, int error)
{
	if (error == -EPERM)
		return amon_kernel_denied(failure);
	if (error == -ENOSYS)
		return amon_fail(failure, error, "this kernel has no BPF (CONFIG_BPF_SYSCALL)");
	return amon_fail(failure, error, "this kernel loads no BPF program: %s", strerror(-error));
}

int amon_kernel_check(struct amon_failure *failure)
{
	static const struct bpf_insn pass[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	AMON_CLOSES int map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "amon_check", 4, 4, 1, NULL);
	if (map < 0)
		return refused(failure, map);
	AMON_CLOSES int program = bpf_prog_load(BPF_PROG_TYPE_XDP, "amon_check", "Dual BSD/GPL", pass, 2, NULL);
	if (program < 0)
		return refused(failure, program);
	return has_capability(CAP_PERFMON) || has_capability(CAP_SYS_ADMIN) ? 0 : amon_kernel_denied(failure);
}

static const char *const lacking[AMON_ABILITY_COUNT] = {
	[AMON_CAN_BATCH] = "no-batch",     [AMON_CAN_NATIVE_XDP] = "no-native-xdp",  [AMON_CAN_TCX] = "no-tcx",
	[AMON_CAN_RINGBUF] = "no-ringbuf", [AMON_CAN_OWN_ROWS] = "no-mapped-tables",
};
static bool lacks[AMON_ABILITY_COUNT];

static int find_lacking(const char *word, size_t length)
{
	for (int i = 0; i < AMON_ABILITY_COUNT; i++)
		if (strlen(lacking[i]) == length && strncmp(word, lacking[i], length) == 0)
			return i;
	return -1;
}

static int no_lacking(const char *word, size_t length, struct amon_failure *failure)
{
	AMON_FREES char *text = strndup(word, length);
	const char *names[AMON_ABILITY_COUNT], *near;

	memcpy(names, lacking, sizeof(names));
	near = text ? amon_closest(text, names, AMON_ABILITY_COUNT) : NULL;
	if (near)
		return amon_fail(failure, -EINVAL, "`%s` is none of what can be lacking; is it `%s`?", text, near);
	return amon_fail(failure, -EINVAL, "`%.*s` is none of what can be lacking: %s, %s, %s, %s and %s", (int)length,
	                 word, lacking[0], lacking[1], lacking[2], lacking[3], lacking[4]);
}

int amon_kernel_pretend(const char *list, struct amon_failure *failure)
{
	memset(lacks, 0, sizeof(lacks));
	while (*list) {
		size_t length = strcspn(list, ",");
		int ability = find_lacking(list, length);

		if (ability < 0)
			return no_lacking(list, length, failure);
		lacks[ability] = true;
		list += length + (list[length] == ',');
	}
	return 0;
}

bool amon_kernel_lacks(enum amon_ability ability)
{
	return lacks[ability];
}

bool amon_kernel_has_tcx(void)
{
	union bpf_attr attributes = { .query = { .target_fd = LOOPBACK_INDEX, .attach_type = TCX_INGRESS } };

	return !amon_kernel_lacks(AMON_CAN_TCX) && bpf_call(BPF_PROG_QUERY, &attributes, sizeof(attributes)) == 0;
}

int amon_kernel_tcx_link(int program, int ifindex, bool egress)
{
	union bpf_attr attributes = {
		.link_create = { .prog_fd = (uint32_t)program,
		                 .target_ifindex = (uint32_t)ifindex,
		                 .attach_type = egress ? TCX_EGRESS : TCX_INGRESS },
	};

	return (int)bpf_call(BPF_LINK_CREATE, &attributes, sizeof(attributes));
}

uint32_t amon_kernel_verified_instructions(int program)
{
	struct bpf_prog_info info = { 0 };
	uint32_t size = sizeof(info);

	return bpf_obj_get_info_by_fd(program, &info, &size) ? 0 : info.verified_insns;
}

uint32_t amon_kernel_instructions(int program)
{
	struct bpf_prog_info info = { 0 };
	uint32_t size = sizeof(info);

	return bpf_obj_get_info_by_fd(program, &info, &size) ? 0 : info.xlated_prog_len / 8;
}

int amon_kernel_on_first_cpu(int (*run)(void *data), void *data)
{
	cpu_set_t before, one;
	bool pinned = sched_getaffinity(0, sizeof(before), &before) == 0;
	int result;

	CPU_ZERO(&one);
	CPU_SET(amon_kernel_first_cpu(), &one);
	pinned = pinned && sched_setaffinity(0, sizeof(one), &one) == 0;
	result = run(data);
	if (pinned)
		sched_setaffinity(0, sizeof(before), &before);
	return result;
}

/* A map of maps is updated for programs that must not see the old map any more when the call returns. */
int amon_kernel_grace_period(void)
{
	AMON_CLOSES int inner = bpf_map_create(BPF_MAP_TYPE_ARRAY, "amon_grace", 4, 4, 1, NULL);
	if (inner < 0)
		return inner;
	LIBBPF_OPTS(bpf_map_create_opts, options, .inner_map_fd = (uint32_t)inner);
	AMON_CLOSES int outer = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "amon_grace", 4, 4, 1, &options);
	return outer < 0 ? outer : bpf_map_update_elem(outer, &(uint32_t){ 0 }, &inner, BPF_ANY);
}

uint64_t amon_kernel_netns(void)
{
	AMON_CLOSES int socket_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint64_t cookie = 0;
	socklen_t size = sizeof(cookie);

	return getsockopt(socket_fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) ? 0 : cookie;
}

int amon_kernel_bpffs(struct amon_failure *failure)
{
	static const char path[] = "/sys/fs/bpf";
	struct statfs status;

	if (statfs(path, &status) == 0 && status.f_type == BPF_FS_MAGIC)
		return 0;
	if (mkdir(path, 0700) && errno != EEXIST)
		return amon_fail(failure, -errno, "%s cannot be made: %s", path, strerror(errno));
	if (mount("bpffs", path, "bpf", 0, "mode=0700") == 0)
		return 0;
	return amon_fail(failure, -errno,
	                 "the BPF file system is not mounted and cannot be: %s; run `mount -t bpf bpffs %s`",
	                 strerror(errno), path);
}

static int interface_request(const char *interface, unsigned long request, struct ifreq *argument)
{
	AMON_CLOSES int socket_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	strncpy(argument->ifr_name, interface, sizeof(argument->ifr_name) - 1);
	return ioctl(socket_fd, request, argument) ? -errno : 0;
}

bool amon_kernel_strips_vlan(const char *interface)
{
	struct ethtool_value value = { .cmd = ETHTOOL_GFLAGS };
	struct ifreq request = { .ifr_data = (void *)&value };

	return interface_request(interface, SIOCETHTOOL, &request) == 0 && (value.data & ETH_FLAG_RXVLAN);
}

bool amon_kernel_is_ethernet(const char *interface)
{
	struct ifreq request = { 0 };

	if (interface_request(interface, SIOCGIFHWADDR, &request))
		return false;
	return request.ifr_hwaddr.sa_family == ARPHRD_ETHER || request.ifr_hwaddr.sa_family == ARPHRD_LOOPBACK;
}

int amon_kernel_first_cpu(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set))
		return 0;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &set))
			return cpu;
	return 0;
}
