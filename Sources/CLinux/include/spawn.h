#ifndef SKIFF_CLINUX_SPAWN_H
#define SKIFF_CLINUX_SPAWN_H

#include <sys/types.h>

/// Starts a program with exactly the given descriptors: `descriptors[i]` becomes descriptor `i`, all others are closed.
/// The child gets default signal handlers, an empty signal mask and a session of its own.
/// Returns the pid, or -1 with `errno` of the failing step, `execve` included.
/// `program` is a descriptor that the path goes by, above 40 and closed on exec; below 0 where there is none.
///
/// In C, because after `vfork` only async-signal-safe calls are allowed and Swift may allocate at any point.
pid_t clinux_spawn(const char *path, char *const argv[], char *const envp[], const int *descriptors, int count,
                   int program);

/// Waits until every child that `clinux_spawn` was about to make a program of has become one, at most a second.
void clinux_await_spawns(void);

/// Lets this process open as many files as it may at most. What `clinux_spawn` starts gets the limit of before: programs that
/// use select(2), or look at every descriptor that there could be, want a low one. Before the first thread is made.
///
/// In C, since the limit of before is needed after `vfork`.
int clinux_raise_open_files(void);

#endif
