// Packets of a link with the link-layer address of who sent them (packet(7)), and ICMP errors of UDP sockets (ip(7),
// IP_RECVERR): both come with control messages, which are macros that Swift doesn't import, and <linux/if_packet.h> and
// <linux/errqueue.h> are missing from its Glibc module. It can go when it has both.
// Each returns what it was asked for, or a negative error number.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { clinuxnet_link_address_limit = 8 };

// A non-blocking descriptor for IPv4 packets of one interface, without their link-layer header: of those that come to this
// machine, only UDP to one port and ICMP of one type, fragments put together.
int clinuxnet_packet_open(uint32_t interface, uint16_t udp_port, uint8_t icmp_type);

// Has the interface take frames to a link-layer group as long as the descriptor is open. Returns 0.
int clinuxnet_packet_join(int descriptor, uint32_t interface, const uint8_t *group, uint32_t group_length);

// The next packet's length. Stores its sender's link-layer address, and whether its transport checksum is still to be
// made, since it came from this machine, or is known to be right.
long clinuxnet_packet_receive(int descriptor, void *bytes, size_t capacity, uint8_t *address, uint32_t *address_length,
                              bool *needs_no_check);

// Sends an IPv4 packet to a link-layer address. Returns 0.
int clinuxnet_packet_send(int descriptor, uint32_t interface, const uint8_t *address, uint32_t address_length,
                          const void *bytes, size_t length);

// The next ICMP destination unreachable that a UDP socket with IP_RECVERR got: how much of the payload it quotes. Stores
// where the datagram was sent, in network order, and the ICMP code. -EAGAIN where there is none.
long clinuxnet_receive_unreachable(int descriptor, void *quote, size_t capacity, uint32_t *destination, uint8_t *code);
