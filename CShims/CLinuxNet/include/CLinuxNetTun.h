// TUN devices (Documentation/networking/tuntap.rst): ioctls whose request numbers are macros and whose argument is a
// union, both of which Swift doesn't import. It can go when swift-system has TUN devices.
// Each returns 0 or what it was asked for, or a negative error number.
#pragma once
#include <stdbool.h>

// Attaches a descriptor of /dev/net/tun to the TUN device `name`, without packet information and without offloads.
// `exclusive`: make it; -EBUSY where it exists. `several_queues`: as one queue of a device that may have several;
// -EINVAL where the device is of the other kind.
int clinuxnet_tun_attach(int descriptor, const char *name, bool exclusive, bool several_queues);

// Whether the descriptor's device still exists: 0, or -EBADFD.
int clinuxnet_tun_check(int descriptor);

// The MTU of a network device of the calling thread's namespace, in bytes.
int clinuxnet_interface_mtu(const char *name);
