"""A host of the home network that looks for routers, and a router that says which prefix is on its link; all by scapy's
packets, sent by a packet socket.

home_network.py solicit INTERFACE SOURCE           router solicitations to ff02::2
home_network.py advertise INTERFACE SOURCE PREFIX one router advertisement, with PREFIX on-link
"""
import fcntl
import logging
import socket
import sys

logging.getLogger("scapy.runtime").setLevel(logging.ERROR)

from scapy.layers.inet6 import ICMPv6ND_RA, ICMPv6ND_RS, ICMPv6NDOptPrefixInfo, IPv6
from scapy.layers.l2 import Ether


SIOCGIFHWADDR, ARPHRD_ETHER = 0x8927, 1


def send(interface, packet, count=1):
    """By Ethernet where the interface has it, else as the packet is."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        answer = fcntl.ioctl(any_socket, SIOCGIFHWADDR, interface.encode().ljust(40, b"\0"))
    ethernet = int.from_bytes(answer[16:18], sys.byteorder) == ARPHRD_ETHER
    kind = socket.SOCK_RAW if ethernet else socket.SOCK_DGRAM
    with socket.socket(socket.AF_PACKET, kind, socket.htons(0x86DD)) as raw:
        if ethernet:
            frame = bytes(Ether(dst="33:33:00:00:00:02", src="02:00:00:00:00:77") / packet)
        for _ in range(count):
            if ethernet:
                raw.sendto(frame, (interface, 0x86DD))
            else:
                raw.sendto(bytes(packet), (interface, 0x86DD))


def solicit(interface, source):
    send(interface, IPv6(src=source, dst="ff02::2", hlim=255) / ICMPv6ND_RS(), count=3)


def advertise(interface, source, prefix):
    address, length = prefix.split("/")
    send(interface, IPv6(src=source, dst="ff02::1", hlim=255) / ICMPv6ND_RA(routerlifetime=0)
         / ICMPv6NDOptPrefixInfo(prefix=address, prefixlen=int(length), L=1, A=0))


if __name__ == "__main__":
    commands = {function.__name__: function for function in (solicit, advertise)}
    if len(sys.argv) < 4 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    commands[sys.argv[1]](*sys.argv[2:])
