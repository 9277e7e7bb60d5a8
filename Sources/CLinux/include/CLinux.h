// Calls, constants and variadic functions that Swift cannot reach. No logic lives here; each entry says why it is needed.
#ifndef SKIFF_CLINUX_H
#define SKIFF_CLINUX_H

#include "filesystem.h"
#include "pidfd.h"
#include "mount.h"
#include "process.h"
#include "raw_call.h"
#include "capabilities.h"
#include "events.h"
#include "filters.h"
#include "network_namespace.h"
#include "scheduling.h"
#include "spawn.h"

#endif
