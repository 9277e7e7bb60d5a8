#ifndef SKIFF_CLINUX_SCHEDULING_H
#define SKIFF_CLINUX_SCHEDULING_H

#include <stddef.h>
#include <stdint.h>

// Calls for which the C library has no function, or one whose types Swift cannot make; Swift cannot call the variadic
// `syscall`.

struct clinux_scheduling {
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

/// sched_setattr(2) for the calling thread.
int clinux_sched_setattr(const struct clinux_scheduling *wanted);
/// sched_setaffinity(2) for the calling thread; `bytes` is a multiple of eight.
int clinux_sched_setaffinity(const uint64_t *mask, size_t bytes);
/// sched_getaffinity(2) for the calling thread; answers how many bytes the kernel filled.
int clinux_sched_getaffinity(uint64_t *mask, size_t bytes);
/// ioprio_set(2) for the calling thread.
int clinux_ioprio_set(int priority);
/// ioprio_get(2) for the calling thread.
int clinux_ioprio_get(void);
/// set_mempolicy(2); `bits` counts the bits of the mask.
int clinux_set_mempolicy(int mode, const uint64_t *nodes, unsigned long bits);
/// personality(2)
int clinux_personality(unsigned long persona);
/// keyctl(KEYCTL_JOIN_SESSION_KEYRING): a new session keyring for the calling process.
int clinux_join_session_keyring(const char *name);

#endif
