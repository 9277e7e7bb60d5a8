#ifndef ARGUMENTS_H
#define ARGUMENTS_H

/// What `CommandLine.arguments` is made of. Swift's library calls it.
char **_swift_stdlib_getUnsafeArgvArgc(int *count);

/// Called when `CommandLine.arguments` is set.
void _swift_stdlib_overrideUnsafeArgvArgc(char **words, int count);

#endif
