/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_LISTEN_H
#define AMON_LISTEN_H

/*
 * libbpf tells its reasons only by printing them. It is kept from printing, and what it says is kept for the thread
 * that called it, so that a failure can pass it on.
 */

/** Forgets what was said, and begins to listen. */
void amon_listen(void);
/** The last warning since then, one line without its prefix; "" for none. Until the thread's next amon_listen(). */
const char *amon_heard(void);
/** What the kernel said about its last refusal of a netlink request (its extack); "" for nothing. */
const char *amon_heard_kernel(void);
/** The verifier's logs since then, the caller's (malloc); NULL for none. */
char *amon_heard_log(void);

#endif
