/* SPDX-License-Identifier: Apache-2.0 */
#include "link.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "listen.h"

/* libbpf links files: these are in memory, and have a name all the same. */
struct memory_file {
	int fd;
	char path[32];
};

static int make_file(struct memory_file *file)
{
	file->fd = memfd_create("amon", MFD_CLOEXEC);
	snprintf(file->path, sizeof(file->path), "/proc/self/fd/%d", file->fd);
	return file->fd < 0 ? -errno : 0;
}

static int write_file(int fd, const struct amon_image *image)
{
	for (size_t at = 0; at < image->size;) {
		ssize_t written = write(fd, (const char *)image->bytes + at, image->size - at);

		if (written < 0)
			return -errno;
		at += (size_t)written;
	}
	return 0;
}

static int read_file(int fd, void **bytes, size_t *size)
{
	struct stat status;

	if (fstat(fd, &status))
		return -errno;
	*size = (size_t)status.st_size;
	*bytes = malloc(*size + 1);
	if (!*bytes)
		return -ENOMEM;
	if (pread(fd, *bytes, *size, 0) == status.st_size)
		return 0;
	free(*bytes);
	return -EIO;
}

static int add_image(struct bpf_linker *linker, const struct amon_image *image)
{
	struct memory_file file;
	int error = make_file(&file);

	if (!error)
		error = write_file(file.fd, image);
	if (!error)
		error = bpf_linker__add_file(linker, file.path, NULL);
	amon_close(&file.fd);
	return error;
}

static int link_into(const char *path, const struct amon_image *images, size_t count)
{
	struct bpf_linker *linker = bpf_linker__new(path, NULL);
	int error = linker ? 0 : -errno;

	for (size_t i = 0; i < count && !error; i++)
		error = add_image(linker, &images[i]);
	if (!error)
		error = bpf_linker__finalize(linker);
	bpf_linker__free(linker);
	return error;
}

int amon_link(const struct amon_image *images, size_t count, void **linked, size_t *size, struct amon_failure *failure)
{
	struct memory_file to;
	int error = make_file(&to);

	amon_listen();
	if (!error)
		error = link_into(to.path, images, count);
	if (!error)
		error = read_file(to.fd, linked, size);
	amon_close(&to.fd);
	return error ? amon_fail(failure, error, "%s", *amon_heard() ? amon_heard() : strerror(-error)) : 0;
}
