/* SPDX-License-Identifier: Apache-2.0 */
#include "failure.h"

#include <stdlib.h>

int amon_fail(struct amon_failure *failure, int error, const char *format, ...)
{
	va_list arguments;

	if (!failure)
		return error;
	va_start(arguments, format);
	vsnprintf(failure->message, sizeof(failure->message), format, arguments);
	va_end(arguments);
	return error;
}

void amon_failure_clear(struct amon_failure *failure)
{
	free(failure->log);
	*failure = (struct amon_failure){ 0 };
}
