/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_TESTS_NETWORK_H
#define AMON_TESTS_NETWORK_H

/*
 * A network of its own for a test: a namespace with a pair of interfaces, v0 (watched) and v1. The process stays in its
 * mount namespace, so that it keeps its bpffs (`ip netns exec` would hide it).
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define NETWORK_PROTOCOL 0x88b5 /* for experiments: no stack answers it */
#define NETWORK_FRAME    100

/** True where tests may use BPF and make namespaces. */
static inline bool network_allowed(void)
{
	const char *denied = getenv("AMON_NO_BPF");

	return geteuid() == 0 && !(denied && strcmp(denied, "1") == 0);
}

/** Runs a shell command; 0 where it succeeds. */
__attribute__((format(printf, 1, 2))) static inline int network_run(const char *format, ...)
{
	char command[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(command, sizeof(command), format, arguments);
	va_end(arguments);
	return system(command);
}

/** Keeps the kernel's own IPv6 packets out of the counts. */
static inline void network_quiet(void)
{
	int file = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY);

	if (file >= 0) {
		(void)!write(file, "1", 1);
		close(file);
	}
}

static inline int network_pair(void)
{
	return network_run("ip link add v0 type veth peer name v1 && ip link set v0 up && ip link set v1 up");
}

/** Leaves the old namespace, which ends with what was in it. */
static inline int network_new(void)
{
	if (unshare(CLONE_NEWNET))
		return -1;
	network_quiet();
	return network_run("ip link set lo up") || network_pair();
}

static inline int network_socket(const char *interface)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET,
		                       .sll_protocol = 0,
		                       .sll_ifindex = (int)if_nametoindex(interface) };
	int packet = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (packet >= 0 && bind(packet, (struct sockaddr *)&address, sizeof(address))) {
		close(packet);
		packet = -1;
	}
	return packet;
}

static inline bool network_send_one(int packet)
{
	unsigned char frame[NETWORK_FRAME] = { [0] = 0x02, [5] = 0x02, [6] = 0x02, [11] = 0x01 };

	frame[12] = NETWORK_PROTOCOL >> 8;
	frame[13] = NETWORK_PROTOCOL & 0xff;
	return send(packet, frame, sizeof(frame), 0) == sizeof(frame);
}

/** Sends frames out of an interface; the number that it took. */
static inline unsigned int network_send(const char *interface, unsigned int count)
{
	int packet = network_socket(interface);
	unsigned int sent = 0;

	for (unsigned int i = 0; i < count; i++) {
		sent += network_send_one(packet);
		/* a veth pair under native XDP queues no more than 256 */
		if (i % 64 == 63)
			usleep(1000);
	}
	close(packet);
	return sent;
}

#endif
