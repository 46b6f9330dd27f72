// liburing for Swift. Most of its interface is plain functions, which Swift calls as they are; here is the rest:
// constants that are macros over enumerators, which Swift doesn't import, and those that liburing 2.3 is too old to
// have. It can go when a Swift package wraps multishot reads and provided buffer rings without allocating.
#pragma once
// First: liburing.h asks for X/Open's names, under which <sys/select.h> would define fd_set otherwise than for Glibc.
#include <features.h>
#include <liburing.h>

enum {
    CLIBURING_FIXED_FILE = IOSQE_FIXED_FILE,
    CLIBURING_BUFFER_SELECT = IOSQE_BUFFER_SELECT,
    CLIBURING_BUFFER_SHIFT = IORING_CQE_BUFFER_SHIFT,
};

// Opcodes under names of one type, whatever the type of liburing's enumeration.
enum {
    CLIBURING_OP_READ = IORING_OP_READ,
    CLIBURING_OP_WRITE = IORING_OP_WRITE,
    CLIBURING_OP_WRITEV = IORING_OP_WRITEV,
    CLIBURING_OP_TIMEOUT = IORING_OP_TIMEOUT,
    CLIBURING_OP_ASYNC_CANCEL = IORING_OP_ASYNC_CANCEL,
    // Linux 6.7; liburing has it from 2.6 on.
    CLIBURING_OP_READ_MULTISHOT = 49,
};

// Debian's liburing 2.3 declares io_uring_enable_rings without having it.
enum { CLIBURING_REGISTER_ENABLE_RINGS = IORING_REGISTER_ENABLE_RINGS };

// Cancels every request there is. liburing's own function for it takes 64-bit flags in some versions and 32 in others.
static inline void cliburing_prepare_cancel_all(struct io_uring_sqe *entry)
{
    io_uring_prep_rw(IORING_OP_ASYNC_CANCEL, entry, -1, NULL, 0, 0);
    entry->cancel_flags = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL;
}
