#ifndef SKIFF_CLINUX_MOUNT_H
#define SKIFF_CLINUX_MOUNT_H

#include <stdint.h>

// The mount API of Linux 5.2 and later. In C, because the C library of some hosts has no wrappers for these calls, its
// header and the kernel's define the same structures twice, and Swift cannot make a variadic `syscall`.

/// openat2(2); `resolve` takes the `RESOLVE_*` bits.
int clinux_openat2(int directory, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve);
/// open_tree(2)
int clinux_open_tree(int directory, const char *path, unsigned flags);
/// move_mount(2)
int clinux_move_mount(int from, const char *from_path, int to, const char *to_path, unsigned flags);
/// fsopen(2)
int clinux_fsopen(const char *type, unsigned flags);
/// fsconfig(2)
int clinux_fsconfig(int context, unsigned command, const char *key, const char *value, int auxiliary);
/// fspick(2)
int clinux_fspick(int directory, const char *path, unsigned flags);
/// fsmount(2)
int clinux_fsmount(int context, unsigned flags, unsigned attributes);
/// mount_setattr(2)
int clinux_mount_setattr(int directory, const char *path, unsigned flags, uint64_t set, uint64_t clear,
                         uint64_t propagation, uint64_t user_namespace);
/// Whether a name is a mount point, without following a link: statx(2). 1, 0, or -1 with `errno`.
int clinux_is_mount_point(int directory, const char *path);
/// The number of the mount that a name, or with an empty name the descriptor itself, lies in: statx(2). 1 when it is where
/// that mount begins, 0, or -1 with `errno`.
int clinux_mount_id(int directory, const char *path, uint64_t *id);
/// pivot_root(2), which the C library does not wrap.
int clinux_pivot_root(const char *new_root, const char *put_old);

#endif
