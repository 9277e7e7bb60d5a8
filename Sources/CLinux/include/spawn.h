#ifndef SKIFF_CLINUX_SPAWN_H
#define SKIFF_CLINUX_SPAWN_H

#include <sys/types.h>

/// Starts a program with exactly the given descriptors: `descriptors[i]` becomes descriptor `i`, all others are closed.
/// The child gets default signal handlers, an empty signal mask and a session of its own.
/// Returns the pid, or -1 with `errno` of the failing step, `execve` included.
///
/// In C, because after `vfork` only async-signal-safe calls are allowed and Swift may allocate at any point.
pid_t clinux_spawn(const char *path, char *const argv[], char *const envp[], const int *descriptors, int count);

#endif
