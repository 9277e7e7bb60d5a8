#define _GNU_SOURCE
#include "capabilities.h"

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

int clinux_capget(struct clinux_capabilities *result) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{0}, {0}};
    if (syscall(SYS_capget, &header, data) < 0) return -1;
    result->effective = data[0].effective | (uint64_t)data[1].effective << 32;
    result->permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
    result->inheritable = data[0].inheritable | (uint64_t)data[1].inheritable << 32;
    return 0;
}

int clinux_capset(const struct clinux_capabilities *wanted) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {
        {(uint32_t)wanted->effective, (uint32_t)wanted->permitted, (uint32_t)wanted->inheritable},
        {(uint32_t)(wanted->effective >> 32), (uint32_t)(wanted->permitted >> 32), (uint32_t)(wanted->inheritable >> 32)},
    };
    return (int)syscall(SYS_capset, &header, data);
}
