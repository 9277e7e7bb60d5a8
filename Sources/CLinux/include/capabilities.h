#ifndef SKIFF_CLINUX_CAPABILITIES_H
#define SKIFF_CLINUX_CAPABILITIES_H

#include <stdint.h>
/// For the names of `PR_CAP*`, which Swift's Glibc module does not have.
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

#endif
