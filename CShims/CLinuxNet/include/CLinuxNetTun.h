// TUN devices (Documentation/networking/tuntap.rst): ioctls whose request numbers are macros and whose argument is a
// union, both of which Swift doesn't import. It can go when swift-system has TUN devices.
// Each returns 0 or what it was asked for, or a negative error number.
#pragma once
#include <stdbool.h>

// Attaches a descriptor of /dev/net/tun to the TUN device `name`, without packet information and without offloads.
// `header_length`: of the virtio header before each packet, in bytes; 0 for none.
// `exclusive`: make it; -EBUSY where it exists. `several_queues`: as one queue of a device that may have several;
// -EINVAL where the device is of the other kind.
int clinuxnet_tun_attach(int descriptor, const char *name, bool exclusive, bool several_queues, int header_length);

// Lets the kernel hand over packets without checksums of TCP and UDP, and super-frames of TCP, or of UDP too.
int clinuxnet_tun_offload(int descriptor, bool tcp, bool udp);

// Of the virtio header before each packet of the descriptor's device, in bytes; 0 where there is none.
int clinuxnet_tun_header_length(int descriptor);

// Whether the descriptor's device still exists: 0, or -EBADFD.
int clinuxnet_tun_check(int descriptor);

// The MTU of a network device of the calling thread's namespace, in bytes.
int clinuxnet_interface_mtu(const char *name);
