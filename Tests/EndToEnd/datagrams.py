"""Sends numbered datagrams of UDP, many at once, or receives them until all have come.

    datagrams.py send|receive ADDRESS SIZE
"""

import socket
import struct
import sys

COUNT, AT_ONCE, PORT = 200, 20, 4310
UDP_SEGMENT, IP_MTU_DISCOVER, IP_PMTUDISC_DONT = 103, 10, 0

what, address, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
family = socket.AF_INET6 if ":" in address else socket.AF_INET
end = socket.socket(family, socket.SOCK_DGRAM)


def datagram(number):
    return struct.pack("!I", number) + bytes(number + place & 0xFF for place in range(size - 4))


if what == "send":
    if family == socket.AF_INET:
        end.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)
    end.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, size)
    for first in range(0, COUNT, AT_ONCE):
        end.sendto(b"".join(datagram(number) for number in range(first, first + AT_ONCE)), (address, PORT))
else:
    end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    end.bind((address, PORT))
    print("listening", flush=True)
    missing = set(range(COUNT))
    while missing:
        data = end.recv(65535)
        number = struct.unpack("!I", data[:4])[0]
        if data != datagram(number):
            raise SystemExit(f"datagram {number} is not what was sent")
        missing.discard(number)
    print("all", flush=True)
