#ifndef SKIFF_CLINUX_EVENTS_H
#define SKIFF_CLINUX_EVENTS_H

// For their declarations, which Swift's Glibc module does not have.
#include <malloc.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/un.h>

#endif
