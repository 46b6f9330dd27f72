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

/// What comes to an interface, in memory that the kernel writes to (PACKET_RX_RING, packet(7)): to read it takes no system
/// call, so that whoever measures is not what takes the time.
struct mooring_capture;

/// Bytes that a captured packet has at the most; what is longer comes cut off. With the kernel's header before it.
#define MOORING_CAPTURE_FRAME 256

/// Captures all packets of IP version 4 or 6 that come to an interface in that namespace, from the IP header on, until the
/// process ends; NULL with errno. 128 Ki packets wait at the most.
struct mooring_capture *mooring_capture_in(const char *network_namespace, const char *interface_name, int version);

/// The next packet that was captured, and when the kernel got it, in nanoseconds of CLOCK_REALTIME. `packet` has
/// MOORING_CAPTURE_FRAME bytes. Returns its length, -1 where none is there.
long mooring_capture_next(struct mooring_capture *capture, void *packet, int64_t *time);

/// Datagrams that one call below sends or takes at the most.
#define MOORING_DATAGRAMS 64

/// Sends datagrams to one address, each from a source of its own (IP_PKTINFO, ip(7)), in one system call: sendmmsg(2) and
/// in_pktinfo are behind _GNU_SOURCE. Addresses are in host order; `payloads` are `count` times `length` bytes, one behind
/// the other. Returns how many were sent, -1 with errno.
int mooring_send_from(
    int socket, const void *payloads, uint32_t length, const uint32_t *sources, uint32_t count, uint32_t destination,
    uint16_t port);

/// Takes the datagrams that are there, without waiting: each into `room` bytes of `payloads`, its length into `lengths`.
/// Returns how many, -1 with errno.
int mooring_receive_many(int socket, void *payloads, uint32_t room, uint32_t *lengths, uint32_t count);
