// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <inttypes.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "blocks.h"
#include "capture.h"

#define READ_BUFFER (256 * 1024)

struct amon_capture {
	const char *name; /* for messages; the caller's */
	pcap_t *pcap;
	FILE *file;
	struct amon_blocks blocks;
	FILE *stream; /* that libpcap reads, and closes: the file or its blocks; NULL: not yet */
	uint64_t total;
	uint64_t packets, bytes; /* read so far */
};

static int open_file(struct amon_capture *capture, const char *path, struct amon_failure *failure)
{
	struct stat status;

	if (strcmp(path, "-") == 0) {
		capture->name = "standard input";
		capture->file = stdin;
	} else {
		capture->file = fopen(path, "re");
	}
	if (!capture->file)
		return amon_fail(failure, -errno, "%s: %s", path, strerror(errno));
	setvbuf(capture->file, NULL, _IOFBF, READ_BUFFER);
	if (fstat(fileno(capture->file), &status) == 0 && S_ISREG(status.st_mode))
		capture->total = status.st_size;
	return 0;
}

static int open_pcap(struct amon_capture *capture, struct amon_failure *failure)
{
	char reason[PCAP_ERRBUF_SIZE] = "";
	int error;

	capture->stream = amon_blocks_stream(&capture->blocks, capture->file);
	if (!capture->stream)
		return amon_fail(failure, -errno, "%s: %s", capture->name, strerror(errno));
	errno = 0;
	capture->pcap = pcap_fopen_offline_with_tstamp_precision(capture->stream, PCAP_TSTAMP_PRECISION_NANO, reason);
	if (capture->pcap)
		return 0;
	error = errno;
	if (ferror(capture->file) && error)
		return amon_fail(failure, -error, "%s: %s", capture->name, strerror(error));
	return amon_fail(failure, -EINVAL, "%s: not a capture (pcap or pcapng): %s", capture->name, reason);
}

static int check_ethernet(const struct amon_capture *capture, struct amon_failure *failure)
{
	int type = pcap_datalink(capture->pcap);
	const char *name = pcap_datalink_val_to_description(type);

	if (type == DLT_EN10MB)
		return 0;
	return amon_fail(failure, -EPROTOTYPE,
	                 "%s: its link type is %s (%d); only captures of Ethernet can be replayed", capture->name,
	                 name ? name : "unknown", type);
}

int amon_capture_open(const char *path, struct amon_capture **result, struct amon_failure *failure)
{
	__attribute__((cleanup(amon_capture_cleanup))) struct amon_capture *capture = calloc(1, sizeof(*capture));
	int error;

	if (!capture)
		return -ENOMEM;
	capture->name = path;
	error = open_file(capture, path, failure);
	if (!error)
		error = open_pcap(capture, failure);
	if (!error)
		error = check_ethernet(capture, failure);
	if (error)
		return error;
	*result = capture;
	capture = NULL;
	return 0;
}

/** Closes a file that was opened here. */
static void close_file(FILE *file)
{
	if (file && file != stdin)
		fclose(file);
}

void amon_capture_close(struct amon_capture *capture)
{
	if (!capture)
		return;
	if (capture->pcap)
		pcap_close(capture->pcap);
	else
		close_file(capture->stream);
	if (capture->file != capture->stream)
		close_file(capture->file);
	amon_blocks_free(&capture->blocks);
	free(capture);
}

/**
 * libpcap takes a pcap's 32-bit seconds as signed, but no capture is older than 1970: they are unsigned. Those of a
 * pcapng have 64 bits, and a damaged file holds any: what nanoseconds cannot say becomes the nearest that they can.
 */
static uint64_t nanoseconds(const struct timeval *time)
{
	int64_t seconds = time->tv_sec < 0 && time->tv_sec >= INT32_MIN ? (uint32_t)time->tv_sec : time->tv_sec;
	__int128 result = (__int128)seconds * 1000000000 + time->tv_usec;

	if (result < 0)
		return 0;
	return result > UINT64_MAX ? UINT64_MAX : (uint64_t)result;
}

int amon_capture_next(struct amon_capture *capture, struct amon_capture_packet *packet, struct amon_failure *failure)
{
	struct pcap_pkthdr *header;
	int result = pcap_next_ex(capture->pcap, &header, &packet->bytes);

	if (result == PCAP_ERROR_BREAK)
		return 0;
	if (result != 1)
		return amon_fail(failure, -EIO,
		                 "%s: packet %" PRIu64 " cannot be read, only those before it are counted: %s",
		                 capture->name, capture->packets + 1, pcap_geterr(capture->pcap));
	packet->time = nanoseconds(&header->ts);
	packet->length = header->len;
	packet->captured = header->caplen;
	packet->direction = capture->blocks.direction;
	capture->packets++;
	capture->bytes += sizeof(uint32_t[4]) + header->caplen;
	return 1;
}

uint64_t amon_capture_done(const struct amon_capture *capture)
{
	off_t position = capture->total ? ftello(capture->file) : -1;

	return position < 0 ? capture->bytes : (uint64_t)position;
}

uint64_t amon_capture_total(const struct amon_capture *capture)
{
	return capture->total;
}
