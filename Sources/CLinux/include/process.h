#ifndef SKIFF_CLINUX_PROCESS_H
#define SKIFF_CLINUX_PROCESS_H

#include <stdint.h>
#include <sys/types.h>

/// clone3(2) without a stack of its own, so that it returns twice like fork(2). `pidfd` gets a descriptor of the child in
/// the parent. `cgroup` is a directory of cgroup version 2, or -1. In C, because the C library has no such function and
/// Swift marks `fork` as unavailable.
pid_t clinux_clone3(uint64_t flags, int *pidfd, int cgroup);

/// Gives back the memory of the program's code, which comes from its file again where it is needed. In C, because Swift does
/// not know where the linker puts it.
void clinux_release_code(void);

/// prctl(2). In C, because Swift cannot call variadic functions.
int clinux_prctl(int option, unsigned long first, unsigned long second);

/// setrlimit(2). In C, because the C library declares the first parameter as an enum in C++ and C, but under another name.
int clinux_setrlimit(int resource, uint64_t soft, uint64_t hard);

/// The file system's magic number of fstatfs(2). In C, because Swift's Glibc module does not include the header.
int clinux_file_system_kind(int descriptor, long *kind);

#endif
