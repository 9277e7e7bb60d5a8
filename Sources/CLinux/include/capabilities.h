#ifndef SKIFF_CLINUX_CAPABILITIES_H
#define SKIFF_CLINUX_CAPABILITIES_H

#include <stdint.h>
#include <sys/prctl.h>

struct clinux_capabilities {
    uint64_t effective;
    uint64_t permitted;
    uint64_t inheritable;
};

/// capget(2) for the calling thread. In C, because glibc has no such function and the kernel wants the sets cut in
/// halves of 32 bits.
int clinux_capget(struct clinux_capabilities *result);

/// capset(2) for the calling thread, for the same reasons.
int clinux_capset(const struct clinux_capabilities *wanted);

/// prctl(2) with two arguments, the others being 0. In C, because Swift cannot call variadic functions.
int clinux_prctl_capability(int option, unsigned long first, unsigned long second);

#endif
