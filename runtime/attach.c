/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "attached.h"
#include "cleanup.h"
#include "compiler/diagnostic.h"
#include "kernel.h"
#include "probe.h"
#include "reader.h"

/* The interface */

#define INTERFACES_MAX 256

static int no_interface(const char *interface, struct amon_failure *failure)
{
	struct if_nameindex *interfaces = if_nameindex();
	const char *names[INTERFACES_MAX], *near;
	size_t count = 0;

	while (interfaces && count < INTERFACES_MAX && interfaces[count].if_name) {
		names[count] = interfaces[count].if_name;
		count++;
	}
	near = amon_closest(interface, names, count);
	if (near)
		amon_fail(failure, -ENODEV, "no interface is called %s; is it %s?", interface, near);
	else
		amon_fail(failure, -ENODEV, "no interface is called %s; `ip link` lists them", interface);
	if_freenameindex(interfaces);
	return -ENODEV;
}

/* Its number, or -errno. */
static int find_interface(const char *interface, struct amon_failure *failure)
{
	int ifindex = (int)if_nametoindex(interface);

	if (!ifindex)
		return no_interface(interface, failure);
	if (!amon_kernel_is_ethernet(interface))
		return amon_fail(failure, -EOPNOTSUPP, "%s carries no Ethernet frames, and amon reads no others",
		                 interface);
	return ifindex;
}

/* What the export table asks for */

/* The mode that all sections together ask of XDP; `choice`: some say `ingress` alone, which is not in it. */
struct wish {
	bool xdp, choice, conflict;
	enum amon_xdp_mode mode;
};

static void add_hook(struct wish *wish, const struct amon_hook *hook)
{
	if (hook->choice) {
		wish->choice = true;
	} else if (hook->kind == AMON_HOOK_XDP) {
		wish->xdp = true;
		if (hook->mode != AMON_XDP_ANY && wish->mode != AMON_XDP_ANY && hook->mode != wish->mode)
			wish->conflict = true;
		if (hook->mode != AMON_XDP_ANY)
			wish->mode = hook->mode;
	}
}

static struct wish collect_wishes(const struct amon_exports *exports)
{
	struct wish wish = { .mode = AMON_XDP_ANY };

	for (uint32_t i = 0; i < exports->section_count; i++)
		for (uint32_t j = 0; j < exports->sections[i].hook_count; j++)
			add_hook(&wish, &exports->sections[i].hooks[j]);
	return wish;
}

static int check_wish(const struct wish *wish, const char *interface, int ifindex, bool strips,
                      struct amon_failure *failure)
{
	if (wish->conflict)
		return amon_fail(failure, -EINVAL,
		                 "the spec asks for native and for generic XDP; an interface has one mode");
	if (wish->xdp && strips)
		return amon_fail(failure, -EOPNOTSUPP,
		                 "%s takes VLAN tags out of frames before XDP sees them, and the spec reads them; run "
		                 "`ethtool -K %s rxvlan off`, or write `ingress`",
		                 interface, interface);
	if (wish->xdp && wish->mode == AMON_XDP_NATIVE)
		return amon_xdp_native(interface, ifindex, failure);
	return 0;
}

/* The MTU, an Ethernet header and two VLAN tags; 0 where it cannot be told. */
static uint32_t longest_frame(const char *interface)
{
	struct ifreq request = { .ifr_mtu = 0 };
	AMON_CLOSES int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
	return any < 0 || ioctl(any, SIOCGIFMTU, &request) ? 0 : (uint32_t)request.ifr_mtu + 22;
}

int amon_probe_choose(const struct amon_exports *exports, const char *interface, struct amon_choice *choice,
                      struct amon_failure *failure)
{
	struct wish wish = collect_wishes(exports);
	int ifindex = find_interface(interface, failure);
	bool strips = exports->uses_vlan && amon_kernel_strips_vlan(interface);
	int error = ifindex < 0 ? ifindex : amon_kernel_check(failure);

	if (error)
		return error;
	AMON_CLOSES int lock = amon_hook_lock(failure);
	if (lock < 0)
		return lock;
	error = check_wish(&wish, interface, ifindex, strips, failure);
	if (error)
		return error;
	if (wish.choice)
		choice->ingress_tc =
		        strips || wish.mode == AMON_XDP_GENERIC || amon_xdp_native(interface, ifindex, NULL);
	if (wish.xdp)
		choice->xdp_generic = wish.mode == AMON_XDP_GENERIC ||
		                      (wish.mode == AMON_XDP_ANY && amon_xdp_native(interface, ifindex, NULL));
	choice->frame_max = choice->xdp_generic ? longest_frame(interface) : 0;
	return 0;
}

/* Attaching */

/* A probe that is loaded once runs in both slots of the pair. */
static struct amon_gate_options gate_of(const struct amon_loaded *loaded, enum amon_hook_kind kind, unsigned int pair)
{
	struct amon_gate_options gate = { .control = loaded->reader->control_map,
		                          .announces = loaded->reader->announces,
		                          .programs = { -1, -1, -1, -1 } };

	for (uint32_t clone = 0; clone < AMON_CLONES; clone++)
		gate.programs[AMON_CLONES * pair + clone] =
		        loaded->clones[clone < loaded->clone_count ? clone : 0].programs[kind];
	return gate;
}

static int attach_xdp(const struct amon_loaded *loaded, const char *interface, unsigned int pair,
                      struct amon_attached *attached, struct amon_failure *failure)
{
	struct wish wish = collect_wishes(loaded->exports);
	enum amon_xdp_mode mode = wish.choice && !loaded->ingress_tc ? AMON_XDP_NATIVE : wish.mode;
	struct amon_gate_options gate = gate_of(loaded, AMON_HOOK_XDP, pair);
	int error = amon_kernel_bpffs(failure);

	if (!error)
		error = amon_xdp_attach(interface, attached->ifindex, mode, &gate, &attached->xdp, failure);
	if (!error)
		attached->hooks[attached->hook_count++] =
		        (struct amon_attached_hook){ AMON_HOOK_XDP, attached->xdp.mode };
	return error;
}

static int attach_tc(const struct amon_loaded *loaded, const char *interface, enum amon_hook_kind kind,
                     unsigned int pair, struct amon_attached *attached, struct amon_failure *failure)
{
	bool egress = kind == AMON_HOOK_TC_EGRESS;
	struct amon_gate_options gate = gate_of(loaded, kind, pair);
	int error = amon_tc_attach(interface, attached->ifindex, egress, &gate, &attached->tc[egress], failure);

	if (!error)
		attached->hooks[attached->hook_count++] = (struct amon_attached_hook){ .kind = kind };
	return error;
}

int amon_attached_add(struct amon_attached *attached, const struct amon_loaded *loaded, const char *interface,
                      enum amon_hook_kind kind, unsigned int pair, struct amon_failure *failure)
{
	return kind == AMON_HOOK_XDP ? attach_xdp(loaded, interface, pair, attached, failure)
	                             : attach_tc(loaded, interface, kind, pair, attached, failure);
}

bool amon_attached_has(const struct amon_attached *attached, enum amon_hook_kind kind)
{
	for (uint32_t i = 0; i < attached->hook_count; i++)
		if (attached->hooks[i].kind == kind)
			return true;
	return false;
}

void amon_attached_remove(struct amon_attached *attached, enum amon_hook_kind kind)
{
	uint32_t left = 0;

	if (!amon_attached_has(attached, kind))
		return;
	if (kind == AMON_HOOK_XDP)
		amon_xdp_detach(&attached->xdp);
	else
		amon_tc_detach(&attached->tc[kind == AMON_HOOK_TC_EGRESS]);
	for (uint32_t i = 0; i < attached->hook_count; i++)
		if (attached->hooks[i].kind != kind)
			attached->hooks[left++] = attached->hooks[i];
	attached->hook_count = left;
}

static int attach_all(const struct amon_loaded *loaded, const char *interface, struct amon_attached *attached,
                      struct amon_failure *failure)
{
	int error = 0;

	for (enum amon_hook_kind kind = 0; kind < AMON_HOOK_COUNT && !error; kind++)
		if (loaded->clones[0].programs[kind] >= 0)
			error = amon_attached_add(attached, loaded, interface, kind, 0, failure);
	return error;
}

static void detach_all(struct amon_attached *attached)
{
	for (enum amon_hook_kind kind = 0; kind < AMON_HOOK_COUNT; kind++)
		amon_attached_remove(attached, kind);
}

int amon_probe_attach(struct amon_loaded *loaded, const char *interface, struct amon_attached **result,
                      struct amon_failure *failure)
{
	int ifindex = find_interface(interface, failure), error;

	if (ifindex < 0)
		return ifindex;
	AMON_CLOSES int lock = amon_hook_lock(failure);
	if (lock < 0)
		return lock;
	AMON_FREES struct amon_attached *attached = calloc(1, sizeof(*attached));
	if (!attached)
		return amon_fail(failure, -ENOMEM, "out of memory");
	amon_attached_init(attached, ifindex);
	amon_reader_start(loaded->reader);
	error = attach_all(loaded, interface, attached, failure);
	if (error) {
		detach_all(attached);
		return error;
	}
	*result = attached;
	attached = NULL;
	return 0;
}

/* Without the lock rather than not at all. */
void amon_probe_detach(struct amon_attached *attached)
{
	if (!attached)
		return;
	AMON_CLOSES int lock = amon_hook_lock(NULL);
	(void)lock;
	detach_all(attached);
	free(attached);
}

const struct amon_attached_hook *amon_attached_hooks(const struct amon_attached *attached, uint32_t *count)
{
	*count = attached->hook_count;
	return attached->hooks;
}

/* A number is not given again, so a new interface of the old name does not pass for the old one. */
int amon_attached_check(const struct amon_attached *attached)
{
	char name[IF_NAMESIZE];

	return if_indextoname((unsigned int)attached->ifindex, name) ? 0 : -ENODEV;
}
