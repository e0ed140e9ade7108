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

#include "windows.h"

/* Without the wait packets are lost between the read and the emptying: so the tests of windows can fail. */
static void test_torn(void **state)
{
	struct running r;
	uint64_t packets = 0;
	char *spec;

	(void)state;
	SKIP_WITHOUT_BPF();
	spec = make_long_spec("window 1s");
	start(&r, spec, 1, false);
	assert_int_equal(traffic_start(r.traffic, 1, 2000000), 0);
	while (traffic_runs(r.traffic))
		packets += cut_long(&r);
	traffic_stop(r.traffic);
	packets += cut_long(&r);
	assert_int_not_equal(packets, traffic_sent(r.traffic));
	stop(&r);
	free(spec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_torn),
	};

	if (network_allowed() && network_new())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
