#ifndef SKIFF_CLINUX_NETWORK_NAMESPACE_H
#define SKIFF_CLINUX_NETWORK_NAMESPACE_H

#include <sys/types.h>

/// Starts a task that makes a network namespace, opens it and ends. It shares the caller's memory and descriptors, so that it
/// costs little, and does nothing but three system calls. `descriptor` gets a close-on-exec descriptor, or stays; it has to
/// stay in its place until the task has ended. Answers the task's pid, to be waited for with `__WALL`, or -1 with `errno`.
/// Only one at a time. In C, because nothing of Swift may run in two tasks with one thread's storage.
pid_t clinux_begin_network_namespace(int *descriptor);

#endif
