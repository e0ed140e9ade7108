/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AMON_DEPLOYMENT_INTERNAL_H
#define AMON_DEPLOYMENT_INTERNAL_H

#include "attached.h"
#include "deployment.h"

/* Inside deployment.h: its pins (deployment_pins.c), its life (deployment.c), its replacement (deployment_replace.c).
 */

/* Bytes of a path in bpffs; one that is longer is empty, and names nothing. */
#define AMON_PIN_PATH 512

/* --- pins. 0, a descriptor of the caller's own, or -errno */

const char *amon_pin_path(char path[static AMON_PIN_PATH], const char *directory, const char *name);
/** The directory of a pair of clones. */
const char *amon_pair_directory(const char *directory, unsigned int pair, char path[static AMON_PIN_PATH]);
int amon_pin(int fd, const char *directory, const char *name);
int amon_pin_get(const char *directory, const char *name);
bool amon_is_pinned(const char *directory, const char *name);
void amon_unpin(const char *directory, const char *name);
/** With all that is in it. */
void amon_unpin_directory(const char *directory);
/** Returns `error`. */
int amon_cannot_pin(struct amon_failure *failure, const char *path, int error);

/** All of a pair of clones: maps, baseline, and the built object. */
int amon_pin_pair(const struct amon_loaded *loaded, const void *object, size_t size, const char *directory,
                  struct amon_failure *failure);
int amon_pinned_maps(struct amon_maps *maps, const char *directory);
/** malloc'd */
int amon_pinned_object(const char *directory, void **object, size_t *size);
int amon_pinned_control(const char *directory, struct amon_control *control);

int amon_pin_hook(struct amon_attached *attached, enum amon_hook_kind kind, const char *directory);
/** Those that are in use, noted in the control, too. */
int amon_pin_hooks(struct amon_attached *attached, volatile struct amon_control *control, const char *directory,
                   struct amon_failure *failure);
void amon_unpin_hook(const char *directory, enum amon_hook_kind kind);
void amon_note_filter(volatile struct amon_control *control, const struct amon_attached *attached, bool egress);
/** Opens deployment->attached, which amon_pinned_close() closes, also where it failed. */
int amon_pinned_attached(struct amon_deployment *deployment, const struct amon_control *control);
void amon_pinned_close(struct amon_attached *attached);

/* --- life and replacement */

/** Returns `error`. */
int amon_deployment_damaged(const struct amon_deployment *deployment, int error, struct amon_failure *failure);
/** A pair's reader; it holds what was carried over, too. */
int amon_deployment_open_reader(const struct amon_deployment *deployment, unsigned int pair,
                                const struct amon_exports *exports, struct amon_reader *reader,
                                struct amon_failure *failure);
/** Behind the store that puts a pair in place; may be done again from there, by whoever comes next. */
int amon_deployment_finish(struct amon_deployment *deployment, unsigned int pair, struct amon_failure *failure);

#endif
