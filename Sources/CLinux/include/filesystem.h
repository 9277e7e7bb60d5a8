#ifndef SKIFF_CLINUX_FILESYSTEM_H
#define SKIFF_CLINUX_FILESYSTEM_H

// Extended attributes and the packing of device numbers: Swift's Glibc module includes neither header.
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#endif
