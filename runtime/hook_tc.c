/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "cleanup.h"
#include "hook.h"
#include "kernel.h"

static int attach_tcx(const char *interface, struct amon_tc *tc, struct amon_failure *failure)
{
	tc->link = amon_kernel_tcx_link(tc->gate.program, tc->ifindex, tc->egress);
	if (tc->link >= 0)
		return 0;
	return amon_fail(failure, tc->link, "%s: no program can be attached to TC %s: %s", interface,
	                 tc->egress ? "egress" : "ingress", strerror(-tc->link));
}

int amon_tc_attach(const char *interface, int ifindex, bool egress, const struct amon_gate_options *options,
                   struct amon_tc *tc, struct amon_failure *failure)
{
	enum amon_hook_kind kind = egress ? AMON_HOOK_TC_EGRESS : AMON_HOOK_TC_INGRESS;
	int error;

	*tc = (struct amon_tc){ .ifindex = ifindex, .egress = egress, .gate = AMON_NO_GATE, .link = -1 };
	error = amon_gate_open(kind, options, &tc->gate, failure);
	if (error)
		return error;
	error = amon_kernel_has_tcx() ? attach_tcx(interface, tc, failure) : amon_clsact_attach(interface, tc, failure);
	if (error)
		amon_gate_close(&tc->gate);
	return error;
}

void amon_tc_detach(struct amon_tc *tc)
{
	if (tc->link >= 0)
		amon_close(&tc->link);
	else
		amon_clsact_detach(tc);
	amon_gate_close(&tc->gate);
}

/* A TCX link goes with its process; only clsact keeps what dead ones left. */
int amon_tc_sweep(int ifindex)
{
	return amon_clsact_sweep(ifindex);
}
