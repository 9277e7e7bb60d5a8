#ifndef WITHOUT_BACKTRACE_H
#define WITHOUT_BACKTRACE_H

#include <stdbool.h>

bool _swift_backtrace_isThunkFunction(const char *name);

#endif
