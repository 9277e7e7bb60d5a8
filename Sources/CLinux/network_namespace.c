#define _GNU_SOURCE
#include "network_namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>

#include "raw_call.h"

static char stack[1024] __attribute__((aligned(16)));

static int make(void *descriptor) {
    if (clinux_raw_call(SYS_unshare, CLONE_NEWNET, 0, 0, 0, 0) == 0) {
        *(int *)descriptor = (int)clinux_raw_call(SYS_openat, AT_FDCWD, (long)"/proc/self/ns/net", O_RDONLY | O_CLOEXEC, 0, 0);
    }
    return 0;
}

// The scheduler often leaves a new task where its maker runs, to wait until that sleeps, although another processor is idle.
static void move_away(pid_t pid) {
    cpu_set_t others;
    int here = sched_getcpu();
    if (here < 0 || sched_getaffinity(0, sizeof others, &others) < 0) return;
    CPU_CLR(here, &others);
    // Where there is no other one, this is refused, and the task stays.
    (void)sched_setaffinity(pid, sizeof others, &others);
}

pid_t clinux_begin_network_namespace(int *descriptor) {
    // The caller's handlers must not run in the task, and a signal that ends it with its memory would take the caller with it.
    sigset_t all, before;
    sigfillset(&all);
    if (sigprocmask(SIG_SETMASK, &all, &before) < 0) return -1;
    pid_t pid = clone(make, stack + sizeof stack, CLONE_VM | CLONE_FILES, descriptor);
    int error = errno;
    if (pid > 0) move_away(pid);
    sigprocmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return pid;
}
