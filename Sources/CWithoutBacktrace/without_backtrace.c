#include "without_backtrace.h"

// Takes the place of what Swift's library links to print a backtrace when a program crashes. That code looks for a
// helper program at each start, also in the working directory, and obeys variables of the environment that name a program
// to run: neither is for programs that root runs.

/// All settings off.
unsigned char _swift_backtraceSettings[256];

bool _swift_backtrace_isThunkFunction(const char *name) {
    (void)name;
    return false;
}
