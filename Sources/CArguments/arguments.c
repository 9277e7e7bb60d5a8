#include "arguments.h"

// Takes the place of what Swift's library links to find the arguments of the program. That code reads the map of the whole
// address space at each start, line by line, to look for them on the stack; the C library hands them to whoever asks.

static int argument_count;
static char *none[] = {(char *)0};
static char **arguments = none;

__attribute__((constructor(101))) static void keep(int count, char **words) {
    argument_count = count;
    arguments = words;
}

char **_swift_stdlib_getUnsafeArgvArgc(int *count) {
    *count = argument_count;
    return arguments;
}

void _swift_stdlib_overrideUnsafeArgvArgc(char **words, int count) {
    argument_count = count;
    arguments = words;
}
