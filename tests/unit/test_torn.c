/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

/* The reader, but for its wait: it takes what the clone holds while a program may still be in it. */
#include "runtime/kernel.h"
#define amon_kernel_grace_period() 0
#include "runtime/reader.c"

#include "slow.h"

#define ROUNDS 20

/* Without the wait packets are lost between the read and the emptying: so the tests of readers can fail. */
static void check_torn(bool announces)
{
	struct slow slow;

	slow_start(&slow, announces);
	/* what the gates announce is not looked at */
	slow.loaded->reader->announces = false;
	/* on a machine that has other work, a round may pass in which the two never met */
	for (int i = 0; i < ROUNDS && slow.packets == traffic_sent(slow.traffic); i++)
		slow_cut_all(&slow);
	assert_in_range(slow.packets, 1, traffic_sent(slow.traffic) - 1);
	slow_stop(&slow);
}

static void test_torn(void **state)
{
	(void)state;
	SKIP_WITHOUT_BPF();
	check_torn(false);
}

static void test_torn_announcing(void **state)
{
	(void)state;
	SKIP_WITHOUT_BPF();
	check_torn(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_torn),
		cmocka_unit_test(test_torn_announcing),
	};

	if (network_allowed() && slow_network())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
