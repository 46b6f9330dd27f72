// A packet socket that gets super-frames whole, with a virtio header before each (packet(7), PACKET_VNET_HDR): what the
// programs of CShims/TakeProgram lead there. Its options are macros and structures of the kernel's, which Swift can't see.
// It can go when Swift can.
// Each returns what it was asked for or 0, or a negative error number.
#pragma once
#include <stdbool.h>
#include <stdint.h>

// Of the virtio header before each frame, in bytes. What follows begins with the IP header.
enum { clinuxnet_frame_header = 12 };

// A socket, non-blocking, that gets packets with a mark which come in by a device. What waits in it takes so much of the
// kernel's memory at the most. Needs CAP_NET_RAW and CAP_NET_ADMIN, and Linux 6.6.
int clinuxnet_frames_open(uint32_t interface_index, uint32_t mark, int receive_limit);

// Has sockets of a device share its packets: the program, a CLINUXNET_BPF_SOCKET_FILTER, chooses one for each, by the order
// in which they were joined. `group` is negative for the first, for others what that was given.
// Returns the group's number.
int clinuxnet_frames_join(int descriptor, int group, int program);

// Whether it is a socket of that kind at the device.
int clinuxnet_frames_check(int descriptor, uint32_t interface_index);

// How many frames found no room in it since this was asked last.
int clinuxnet_frames_dropped(int descriptor, uint32_t *count);
