#ifndef SKIFF_CLINUX_FILTERS_H
#define SKIFF_CLINUX_FILTERS_H

#include <stdint.h>

/// Loads an eBPF program of type `BPF_PROG_TYPE_CGROUP_DEVICE`; returns its descriptor or -1.
/// In C, because glibc has no bpf(2), Swift cannot call the variadic `syscall`, and `union bpf_attr` is made of
/// anonymous structs that Swift does not see. The kernel makes the descriptor close-on-exec.
int clinux_bpf_load_device_filter(const uint64_t *instructions, uint32_t count);

/// Ties a loaded device filter to a cgroup directory.
int clinux_bpf_attach_device_filter(int cgroup, int program);

/// seccomp(2) with SECCOMP_SET_MODE_FILTER; an instruction is a `struct sock_filter` in 8 bytes. In C, because glibc has
/// no such function and Swift cannot call the variadic `syscall`.
int clinux_seccomp_set_filter(uint32_t flags, const uint64_t *instructions, uint16_t count);

#endif
