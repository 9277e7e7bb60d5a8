#define _GNU_SOURCE
#include "scheduling.h"

#include <linux/keyctl.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <unistd.h>

int clinux_sched_setattr(const struct clinux_scheduling *wanted) {
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
        uint32_t minimum, maximum;
    } attributes = {
        .size = sizeof attributes,
        .policy = wanted->policy,
        .flags = wanted->flags,
        .nice = wanted->nice,
        .priority = wanted->priority,
        .runtime = wanted->runtime,
        .deadline = wanted->deadline,
        .period = wanted->period,
    };
    return (int)syscall(SYS_sched_setattr, 0, &attributes, 0);
}

int clinux_sched_setaffinity(const uint64_t *mask, size_t bytes) {
    return (int)syscall(SYS_sched_setaffinity, 0, bytes, mask);
}

int clinux_sched_getaffinity(uint64_t *mask, size_t bytes) {
    return (int)syscall(SYS_sched_getaffinity, 0, bytes, mask);
}

int clinux_ioprio_set(int priority) {
    return (int)syscall(SYS_ioprio_set, 1 /* IOPRIO_WHO_PROCESS */, 0, priority);
}

int clinux_ioprio_get(void) {
    return (int)syscall(SYS_ioprio_get, 1, 0);
}

int clinux_set_mempolicy(int mode, const uint64_t *nodes, unsigned long bits) {
    return (int)syscall(SYS_set_mempolicy, mode, nodes, bits);
}

int clinux_personality(unsigned long persona) {
    return personality(persona);
}

int clinux_join_session_keyring(const char *name) {
    return (int)syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name, 0, 0, 0);
}
