"""Sends IPv6 in IPv4 whose addresses are whatever the caller says, by a raw socket.

protocol41.py OUTER-SOURCE OUTER-DESTINATION TOS INNER-SOURCE INNER-DESTINATION CLASS COUNT

The inner packet is UDP from port 4300 to port 4300 with a correct checksum (RFC 8200, 8.1).
"""
import ipaddress
import socket
import struct
import sys


def checksum(data):
    """RFC 1071."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def main(outer_source, outer_destination, tos, inner_source, inner_destination, traffic_class, count):
    """Builds the packet and sends it `count` times."""
    source = ipaddress.IPv6Address(inner_source).packed
    destination = ipaddress.IPv6Address(inner_destination).packed
    payload = b"mooring!"
    length = 8 + len(payload)
    udp = struct.pack("!4H", 4300, 4300, length, 0) + payload
    pseudo = source + destination + struct.pack("!IxxxB", length, socket.IPPROTO_UDP)
    udp = udp[:6] + struct.pack("!H", checksum(pseudo + udp) or 0xFFFF) + udp[8:]
    first_word = 6 << 28 | int(traffic_class) << 20
    inner = struct.pack("!IHBB", first_word, length, socket.IPPROTO_UDP, 64) + source + destination + udp
    # The kernel fills in total length, identification and checksum (raw(7)).
    outer = struct.pack(
        "!BBHHHBBH4s4s", 0x45, int(tos), 0, 0, 0, 64, socket.IPPROTO_IPV6, 0,
        ipaddress.IPv4Address(outer_source).packed, ipaddress.IPv4Address(outer_destination).packed)
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        for _ in range(int(count)):
            raw.sendto(outer + inner, (outer_destination, 0))


if __name__ == "__main__":
    if len(sys.argv) != 8:
        sys.exit(__doc__)
    main(*sys.argv[1:])
