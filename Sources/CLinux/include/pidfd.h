#ifndef SKIFF_CLINUX_PIDFD_H
#define SKIFF_CLINUX_PIDFD_H

// pidfd_open and pidfd_send_signal: Swift's Glibc module does not include this header.
#include <sys/pidfd.h>

#endif
