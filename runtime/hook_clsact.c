/* SPDX-License-Identifier: Apache-2.0 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cleanup.h"
#include "hook.h"
#include "kernel.h"
#include "listen.h"

#define FILTERS_MAX 256

static const enum bpf_tc_attach_point points[] = { BPF_TC_INGRESS, BPF_TC_EGRESS };

/* Netlink: libbpf finds a filter only by its number */

typedef void visit(const struct tcmsg *message, struct rtattr *attributes, int length, void *data);

static int ask(int netlink, int type, int ifindex, uint32_t parent)
{
	struct {
		struct nlmsghdr header;
		struct tcmsg message;
	} request = {
		.header = { .nlmsg_len = sizeof(request),
		            .nlmsg_type = (uint16_t)type,
		            .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.message = { .tcm_family = AF_UNSPEC, .tcm_ifindex = ifindex, .tcm_parent = parent },
	};

	return send(netlink, &request, sizeof(request), 0) < 0 ? -errno : 0;
}

/* One datagram of the answer. 1: more follow. */
static int read_answer(int netlink, visit *visit, void *data)
{
	_Alignas(struct nlmsghdr) char buffer[32768];
	int length = (int)recv(netlink, buffer, sizeof(buffer), 0);

	if (length <= 0)
		return length ? -errno : -EPIPE;
	for (struct nlmsghdr *header = (void *)buffer; NLMSG_OK(header, (unsigned int)length);
	     header = NLMSG_NEXT(header, length)) {
		struct tcmsg *message = NLMSG_DATA(header);
		if (header->nlmsg_type == NLMSG_DONE)
			return 0;
		if (header->nlmsg_type == NLMSG_ERROR)
			return ((struct nlmsgerr *)NLMSG_DATA(header))->error;
		visit(message, TCA_RTA(message), (int)TCA_PAYLOAD(header), data);
	}
	return 1;
}

static int dump(int type, int ifindex, uint32_t parent, visit *visit, void *data)
{
	AMON_CLOSES int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	int more = netlink < 0 ? -errno : ask(netlink, type, ifindex, parent);

	for (more = more ? more : 1; more > 0;)
		more = read_answer(netlink, visit, data);
	return more;
}

static struct rtattr *find(struct rtattr *attribute, int length, unsigned short type)
{
	for (; RTA_OK(attribute, length); attribute = RTA_NEXT(attribute, length))
		if ((attribute->rta_type & NLA_TYPE_MASK) == type)
			return attribute;
	return NULL;
}

static bool kind_is(struct rtattr *attributes, int length, const char *kind)
{
	const struct rtattr *found = find(attributes, length, TCA_KIND);

	return found && strncmp(RTA_DATA(found), kind, RTA_PAYLOAD(found)) == 0;
}

/* The qdisc */

struct qdisc {
	int ifindex;
	bool is_clsact;
};

static void see_qdisc(const struct tcmsg *message, struct rtattr *attributes, int length, void *data)
{
	struct qdisc *qdisc = data;

	if (message->tcm_ifindex == qdisc->ifindex && message->tcm_parent == TC_H_CLSACT)
		qdisc->is_clsact = kind_is(attributes, length, "clsact");
}

/* The old `ingress` qdisc would take a filter for egress, too, and show it what comes in. */
static bool has_clsact(int ifindex)
{
	struct qdisc qdisc = { .ifindex = ifindex };

	return dump(RTM_GETQDISC, ifindex, 0, see_qdisc, &qdisc) == 0 && qdisc.is_clsact;
}

/* The mark that says that amon made the qdisc: a file, since the qdisc outlives the process. */
static void mark_path(int ifindex, char path[static 64])
{
	snprintf(path, 64, "/run/amon/clsact-%llu-%d", (unsigned long long)amon_kernel_netns(), ifindex);
}

static void mark_qdisc(int ifindex)
{
	char path[64];

	mark_path(ifindex, path);
	AMON_CLOSES int mark = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	(void)mark;
}

static int make_qdisc(const char *interface, int ifindex, struct amon_failure *failure)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);
	int error;

	if (has_clsact(ifindex))
		return 0;
	amon_listen();
	error = bpf_tc_hook_create(&hook);
	if (!error)
		mark_qdisc(ifindex);
	if (error == -EPERM)
		return amon_kernel_denied(failure);
	if (error == -EEXIST)
		return amon_fail(failure, -EBUSY,
		                 "%s: another ingress qdisc is in the place of clsact; remove it by "
		                 "`tc qdisc del dev %s ingress`",
		                 interface, interface);
	return error ? amon_fail(failure, error, "%s: the qdisc clsact cannot be made: %s", interface,
	                         *amon_heard_kernel() ? amon_heard_kernel() : strerror(-error))
	             : 0;
}

/* Filters */

struct filter {
	enum bpf_tc_attach_point point;
	uint32_t handle, priority;
	uint32_t program; /* 0: not a BPF filter */
};

struct filters {
	struct filter filters[FILTERS_MAX];
	uint32_t count; /* may be more than are kept */
	enum bpf_tc_attach_point point;
};

static uint32_t program_of(struct rtattr *attributes, int length)
{
	struct rtattr *options = find(attributes, length, TCA_OPTIONS);
	struct rtattr *id = options && kind_is(attributes, length, "bpf")
	                            ? find(RTA_DATA(options), (int)RTA_PAYLOAD(options), TCA_BPF_ID)
	                            : NULL;

	return id ? *(uint32_t *)RTA_DATA(id) : 0;
}

static void see_filter(const struct tcmsg *message, struct rtattr *attributes, int length, void *data)
{
	struct filters *filters = data;

	/* each chain of filters announces itself by one without a handle */
	if (message->tcm_handle && filters->count++ < FILTERS_MAX)
		filters->filters[filters->count - 1] =
		        (struct filter){ filters->point, message->tcm_handle, TC_H_MAJ(message->tcm_info) >> 16,
			                 program_of(attributes, length) };
}

static int list_filters(int ifindex, struct filters *filters)
{
	static const uint32_t parents[] = { TC_H_MIN_INGRESS, TC_H_MIN_EGRESS };
	int error = 0;

	filters->count = 0;
	for (int i = 0; i < 2 && !error; i++) {
		filters->point = points[i];
		error = dump(RTM_GETTFILTER, ifindex, TC_H_MAKE(TC_H_CLSACT, parents[i]), see_filter, filters);
	}
	return error;
}

static void remove_filter(int ifindex, const struct filter *filter)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = filter->point);
	LIBBPF_OPTS(bpf_tc_opts, options, .handle = filter->handle, .priority = filter->priority);

	amon_listen();
	bpf_tc_detach(&hook, &options);
}

/* A gate whose process has died: its slots are empty. */
static bool is_left_over(const struct filter *filter)
{
	AMON_CLOSES int program = filter->program ? bpf_prog_get_fd_by_id(filter->program) : -1;
	AMON_CLOSES int slots =
	        program >= 0 && amon_program_is(program, "amon_gate_tc") ? amon_program_map(program, "amon_slots") : -1;

	return slots >= 0 && !amon_slots_are_filled(slots);
}

/* Removes the qdisc that amon made, once nobody has a filter there. */
static int remove_qdisc(int ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);
	struct filters filters;
	char path[64];

	mark_path(ifindex, path);
	if (access(path, F_OK))
		return 0;
	if (has_clsact(ifindex) && (list_filters(ifindex, &filters) || filters.count))
		return 0;
	amon_listen();
	unlink(path);
	return bpf_tc_hook_destroy(&hook) == 0;
}

int amon_clsact_attach(const char *interface, struct amon_tc *tc, struct amon_failure *failure)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = tc->ifindex, .attach_point = points[tc->egress]);
	LIBBPF_OPTS(bpf_tc_opts, options, .prog_fd = tc->gate.program);
	int error = make_qdisc(interface, tc->ifindex, failure);

	if (error)
		return error;
	amon_listen();
	error = bpf_tc_attach(&hook, &options);
	if (error) {
		remove_qdisc(tc->ifindex);
		return amon_fail(failure, error, "%s: no filter can be added to TC %s: %s", interface,
		                 tc->egress ? "egress" : "ingress",
		                 *amon_heard_kernel() ? amon_heard_kernel() : strerror(-error));
	}
	tc->handle = options.handle;
	tc->priority = options.priority;
	return 0;
}

void amon_clsact_detach(const struct amon_tc *tc)
{
	remove_filter(tc->ifindex, &(struct filter){ points[tc->egress], tc->handle, tc->priority, 0 });
	remove_qdisc(tc->ifindex);
}

int amon_clsact_sweep(int ifindex)
{
	struct filters filters;
	int removed = 0;

	if (!has_clsact(ifindex))
		return 0;
	if (list_filters(ifindex, &filters))
		return 0;
	for (uint32_t i = 0; i < filters.count && i < FILTERS_MAX; i++)
		if (is_left_over(&filters.filters[i])) {
			remove_filter(ifindex, &filters.filters[i]);
			removed++;
		}
	return removed + remove_qdisc(ifindex);
}
