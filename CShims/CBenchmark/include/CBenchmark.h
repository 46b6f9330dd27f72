// What benchmarks need of C; only Bench links it.
#pragma once
#include <stdint.h>

/// Allocations on the calling thread since it began. Linking this replaces the C library's malloc and its kin by ones
/// that count. It can go when Swift tells its allocations.
uint64_t mooring_allocation_count(void);

/// Sends the same datagram `count` times on a connected socket, in one system call: sendmmsg(2) is behind _GNU_SOURCE,
/// which Swift does not set. Count is 64 at the most. Returns as sendmmsg does.
int mooring_send_many(int socket, const void *payload, uint32_t length, uint32_t count);
