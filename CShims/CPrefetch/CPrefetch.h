// Swift has no name for the compiler's prefetch. This can go when it has one.
#ifndef CPREFETCH_H
#define CPREFETCH_H

/// Has the cache line at an address fetched, without waiting for it. Any address will do.
static inline __attribute__((always_inline)) void CPrefetch_line(const void *address) {
    __builtin_prefetch(address);
}

#endif
