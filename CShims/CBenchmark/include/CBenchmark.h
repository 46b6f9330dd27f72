// What benchmarks need of C; only Bench links it.
#pragma once
#include <stdint.h>

/// Allocations on the calling thread since it began. Linking this replaces the C library's malloc and its kin by ones
/// that count. It can go when Swift tells its allocations.
uint64_t mooring_allocation_count(void);

/// Sends the same datagram `count` times on a connected socket, in one system call: sendmmsg(2) is behind _GNU_SOURCE,
/// which Swift does not set. Count is 64 at the most. Returns as sendmmsg does.
int mooring_send_many(int socket, const void *payload, uint32_t length, uint32_t count);

/// A UDP socket for IPv6 in the network namespace of that file, -1 with errno where there is none: setns(2) is behind
/// _GNU_SOURCE. The calling thread is back in its own namespace afterwards, or the process ends.
int mooring_udp6_in(const char *network_namespace);

/// A socket that gets all IPv4 packets that come to an interface in that namespace, from the IP header on, with the time
/// at which the kernel got each; -1 with errno. It does not wait.
int mooring_capture_in(const char *network_namespace, const char *interface_name);

/// Receives a packet of such a socket, and when the kernel got it, in nanoseconds of CLOCK_REALTIME. Returns its length,
/// -1 where none is there.
long mooring_receive_timed(int socket, void *packet, unsigned long capacity, int64_t *time);
