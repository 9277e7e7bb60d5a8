#define _GNU_SOURCE
#include "early_shield.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

// `ProgramFile.shield` makes the program execute itself once more, from a read-only mount of its file. This does the same
// before Swift's library begins, whose first steps touch a hundred pages and would all be done twice. It decides nothing:
// whatever fails here, Swift does again and tells why.

#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1
#endif
#ifndef MOUNT_ATTR_RDONLY
#define MOUNT_ATTR_RDONLY 1
#endif

/// Whether the command line may lead to a process of a container. One time too often does no harm.
static int starts_processes(char **argv) {
    for (; *argv; argv++) {
        if (!strcmp(*argv, "run") || !strcmp(*argv, "create") || !strcmp(*argv, "exec")) return 1;
    }
    return 0;
}

/// 101 is the first of the priorities that a program may use; Swift's has none and comes later.
__attribute__((constructor(101))) static void shield_early(int argc, char **argv, char **envp) {
    if (argc < 2 || !starts_processes(argv + 1)) return;
    int file = open("/proc/self/exe", O_PATH | O_CLOEXEC);
    if (file < 0) return;
    struct statfs status;
    if (fstatfs(file, &status) == 0 && !(status.f_flags & 1 /* ST_RDONLY */)) {
        int mount = (int)syscall(SYS_open_tree, file, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | O_CLOEXEC);
        struct mount_attr attributes = {.attr_set = MOUNT_ATTR_RDONLY};
        if (mount >= 0) {
            if (syscall(SYS_mount_setattr, mount, "", AT_EMPTY_PATH, &attributes, sizeof attributes) == 0) {
                syscall(SYS_execveat, mount, "", argv, envp, AT_EMPTY_PATH);
            }
            close(mount);
        }
    }
    close(file);
}
