"""Has a device send packets as on a wire: with their checksums, and no super-frames (ethtool -K DEVICE tx off).

wire.py DEVICE...
"""
import ctypes
import fcntl
import socket
import struct
import sys

SIOCETHTOOL = 0x8946  # linux/sockios.h
ETHTOOL_STXCSUM = 0x17  # linux/ethtool.h; what is cut needs a checksum, so that ends as well


def main(devices):
    if not devices:
        sys.exit(__doc__)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as descriptor:
        for device in devices:
            value = ctypes.create_string_buffer(struct.pack("II", ETHTOOL_STXCSUM, 0))
            request = struct.pack("16sP", device.encode(), ctypes.addressof(value)).ljust(40, b"\0")
            fcntl.ioctl(descriptor, SIOCETHTOOL, request)


main(sys.argv[1:])
