"""Sends numbered UDP packets of several flows in turn, so that who gets them can tell whether each flow kept its order.

flows.py plain COUNT DESTINATION...                        IPv6 to each destination, as the kernel sends it
flows.py tunnel KIND COUNT OUTER-DESTINATION DESTINATION OUTER-SOURCE,SOURCE...
                                                           IPv6 in IPv4 of KIND (ip-in-ip, gre) from each pair of sources

The payload is the flow and the number in it, 4 bytes each. Every third packet in a tunnel comes in two outer fragments;
gre has the number as its sequence number, too.
"""
import ipaddress
import socket
import struct
import sys
import time

PORT = 4300


def checksum(data):
    """RFC 1071."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ipv6(source, destination, payload):
    """A UDP packet."""
    source, destination = (ipaddress.IPv6Address(address).packed for address in (source, destination))
    length = 8 + len(payload)
    udp = struct.pack("!4H", PORT, PORT, length, 0) + payload
    pseudo = source + destination + struct.pack("!IxxxB", length, socket.IPPROTO_UDP)
    udp = udp[:6] + struct.pack("!H", checksum(pseudo + udp) or 0xFFFF) + udp[8:]
    return struct.pack("!IHBB", 6 << 28, length, socket.IPPROTO_UDP, 64) + source + destination + udp


def ipv4(source, destination, protocol, payload, identification=0, fragment=0):
    """A packet whose length and checksum the kernel fills in (raw(7))."""
    return struct.pack(
        "!BBHHHBBH4s4s", 0x45, 0, 0, identification, fragment, 64, protocol, 0,
        ipaddress.IPv4Address(source).packed, ipaddress.IPv4Address(destination).packed) + payload


def pause(sent):
    """Lets queues empty now and then: what is lost says nothing of the order."""
    if sent % 256 == 255:
        time.sleep(0.005)


def plain(count, *destinations):
    """By a socket, as any program."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender:
        sender.bind(("::", PORT))
        for number in range(int(count)):
            for flow, destination in enumerate(destinations):
                sender.sendto(struct.pack("!2I", flow, number), (destination, PORT))
                pause(number * len(destinations) + flow)


def tunnel(kind, count, outer_destination, destination, *sources):
    """By a raw socket."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        for number in range(int(count)):
            for flow, pair in enumerate(sources):
                outer_source, source = pair.split(",")
                payload = ipv6(source, destination, struct.pack("!2I", flow, number))
                protocol = socket.IPPROTO_IPV6
                if kind == "gre":
                    payload = struct.pack("!2HI", 0x1000, 0x86DD, number) + payload
                    protocol = socket.IPPROTO_GRE
                pieces = [(payload, 0)]
                if number % 3 == 2:
                    pieces = [(payload[:24], 0x2000), (payload[24:], 3)]
                for piece, fragment in pieces:
                    packet = ipv4(outer_source, outer_destination, protocol, piece, number + 1, fragment)
                    raw.sendto(packet, (outer_destination, 0))
                pause(number * len(sources) + flow)


{"plain": plain, "tunnel": tunnel}[sys.argv[1]](*sys.argv[2:])
