#define _GNU_SOURCE
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { most_descriptors = 40 };

// Held, by many at once, from a child's beginning until its program begins.
static pthread_rwlock_t beginning = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;

// What children get back; nothing until `open_files_raised`.
static struct rlimit open_files;
static int open_files_raised;

int clinux_raise_open_files(void) {
    if (getrlimit(RLIMIT_NOFILE, &open_files) < 0) return -1;
    struct rlimit raised = {.rlim_cur = open_files.rlim_max, .rlim_max = open_files.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &raised) < 0) return -1;
    open_files_raised = 1;
    return 0;
}

pid_t clinux_spawn(const char *path, char *const argv[], char *const envp[], const int *descriptors, int count, int program) {
    if (count < 0 || count > most_descriptors || (program >= 0 && program <= most_descriptors)) {
        errno = EINVAL;
        return -1;
    }
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);

    volatile int failure = 0;
    pthread_rwlock_rdlock(&beginning);
    pid_t pid = vfork();
    if (pid == 0) {
        // Signal handlers of the parent must not run in the child, which shares its memory.
        struct sigaction standard = {.sa_handler = SIG_DFL};
        for (int number = 1; number < NSIG; number++) sigaction(number, &standard, NULL);
        setsid();
        // First out of the way of the targets, then into place.
        int moved[most_descriptors];
        for (int i = 0; i < count; i++) {
            moved[i] = fcntl(descriptors[i], F_DUPFD_CLOEXEC, most_descriptors + 16);
            if (moved[i] < 0) goto failed;
        }
        for (int i = 0; i < count; i++)
            if (dup2(moved[i], i) < 0) goto failed;
        // Not at the exec: that would be after the parent goes on.
        unsigned first = (unsigned)count;
        if (program >= 0) {
            if (syscall(SYS_close_range, first, (unsigned)program - 1, 0) < 0) goto failed;
            first = (unsigned)program + 1;
        }
        if (syscall(SYS_close_range, first, ~0U, 0) < 0) goto failed;
        if (open_files_raised && setrlimit(RLIMIT_NOFILE, &open_files) < 0) goto failed;
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        execve(path, argv, envp);
    failed:
        failure = errno;
        _exit(127);
    }
    int error = pid < 0 ? errno : failure;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (pid > 0 && failure != 0) {
        // The child ended before the program began; the caller never learns its pid, so it is reaped here.
        siginfo_t info;
        waitid(P_PID, (id_t)pid, &info, WEXITED);
    }
    pthread_rwlock_unlock(&beginning);
    errno = error;
    return error == 0 ? pid : -1;
}

void clinux_await_spawns(void) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 1;
    // A program on a disk that does not answer must not keep all others from beginning.
    if (pthread_rwlock_timedwrlock(&beginning, &until) == 0) pthread_rwlock_unlock(&beginning);
}
