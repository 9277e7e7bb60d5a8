#define _GNU_SOURCE
#include "early_shield.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "raw_call.h"

// `ProgramFile.shield` makes the program execute itself once more, from a read-only mount of its file. This does the same
// before Swift's library begins, whose first steps touch a hundred pages and would all be done twice; on x86-64 before the
// C library as well, which asks the processor what it can: each such question leaves a virtual machine. It decides nothing:
// whatever fails here, Swift does again and tells why.

#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1
#endif
#ifndef MOUNT_ATTR_RDONLY
#define MOUNT_ATTR_RDONLY 1
#endif

static int is_same(const char *one, const char *other) {
    while (*one && *one == *other) one++, other++;
    return *one == *other;
}

/// Whether the command line may lead to a process of a container. One time too often does no harm.
static int starts_processes(char **argv) {
    for (; *argv; argv++) {
        if (is_same(*argv, "run") || is_same(*argv, "create") || is_same(*argv, "exec")) return 1;
    }
    return 0;
}

static void shield_early(long argc, char **argv, char **envp) {
    if (argc < 2 || !starts_processes(argv + 1)) return;
    long file = clinux_raw_call(SYS_openat, AT_FDCWD, (long)"/proc/self/exe", O_PATH | O_CLOEXEC, 0, 0);
    if (file < 0) return;
    struct statfs status;
    if (clinux_raw_call(SYS_fstatfs, file, (long)&status, 0, 0, 0) == 0 && !(status.f_flags & 1 /* ST_RDONLY */)) {
        long mount = clinux_raw_call(SYS_open_tree, file, (long)"", AT_EMPTY_PATH | OPEN_TREE_CLONE | O_CLOEXEC, 0, 0);
        struct mount_attr attributes;
        attributes.attr_set = MOUNT_ATTR_RDONLY;
        attributes.attr_clr = attributes.propagation = attributes.userns_fd = 0;
        if (mount >= 0) {
            if (clinux_raw_call(SYS_mount_setattr, mount, (long)"", AT_EMPTY_PATH, (long)&attributes, sizeof attributes) == 0) {
                clinux_raw_call(SYS_execveat, mount, (long)"", (long)argv, (long)envp, AT_EMPTY_PATH);
            }
            clinux_raw_call(SYS_close, mount, 0, 0, 0, 0);
        }
    }
    clinux_raw_call(SYS_close, file, 0, 0, 0, 0);
}

#if defined(__x86_64__)
/// On the stack lie the number of arguments, the arguments, a null pointer and the environment.
__attribute__((used)) static void shield_at_entry(long *stack) {
    char **argv = (char **)(stack + 1);
    shield_early(stack[0], argv, argv + stack[0] + 1);
}

/// Where the kernel enters the program. What it left in `rdx` and on the stack is for the C library's own entry.
__attribute__((naked, used)) void early_shield_start(void) {
    __asm__(
        "xor %ebp, %ebp\n\t"
        "mov %rsp, %rbx\n\t"
        "mov %rdx, %r12\n\t"
        "mov %rsp, %rdi\n\t"
        "and $-16, %rsp\n\t"
        "call shield_at_entry\n\t"
        "mov %rbx, %rsp\n\t"
        "mov %r12, %rdx\n\t"
        "jmp _start");
}
#else
/// 101 is the first of the priorities that a program may use; Swift's has none and comes later.
__attribute__((constructor(101))) static void shield_in_constructor(int argc, char **argv, char **envp) {
    shield_early(argc, argv, envp);
}
#endif
