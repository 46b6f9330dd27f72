#define _GNU_SOURCE
#include "CBenchmark.h"
#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>

// glibc's own implementations, under the names that it keeps for programs that wrap them.
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static _Thread_local uint64_t allocations;

uint64_t mooring_allocation_count(void) { return allocations; }

void *malloc(size_t size) {
    allocations++;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    allocations++;
    return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size) {
    allocations++;
    return __libc_realloc(old, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    allocations++;
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **result, size_t alignment, size_t size) {
    allocations++;
    *result = __libc_memalign(alignment, size);
    return *result ? 0 : ENOMEM;
}

int mooring_send_many(int socket, const void *payload, uint32_t length, uint32_t count) {
    struct iovec piece = {.iov_base = (void *)payload, .iov_len = length};
    struct mmsghdr messages[64] = {{{0}}};
    if (count > 64) count = 64;
    for (uint32_t i = 0; i < count; i++) {
        messages[i].msg_hdr.msg_iov = &piece;
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    return sendmmsg(socket, messages, count, 0);
}
