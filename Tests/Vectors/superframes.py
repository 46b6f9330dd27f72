#!/usr/bin/python3
"""Makes superframes.json: super-frames as the kernel hands them over, and the segments that they stand for.

The segments are encoded by scapy, each by itself. A super-frame has the first one's headers with the length of all, and
in place of the checksum the sum of the pseudo-header, which is reckoned here (struct virtio_net_hdr of
linux/virtio_net.h; tcp_gso_segment and __udp_gso_segment of Linux). The output is the same on every run.

    apt-get install python3-scapy && Tests/Vectors/superframes.py
"""

import json
import pathlib
import random
import socket
import struct

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt
from scapy.packet import Raw

HERE = pathlib.Path(__file__).resolve().parent
CORRESPONDENT6 = "2001:db8:cccc::5"
NODE6 = "2001:db8:1::1"
CORRESPONDENT = "192.0.2.200"
NODE = "198.51.100.7"
GROUP = "ff3e::1234"
KINDS = {"tcp4": 1, "tcp6": 4, "udp": 5}


def pseudo_sum(source, destination, length, number):
    """The folded sum of a pseudo-header, not complemented (RFC 8200, 8.1; RFC 9293, 3.1)."""
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    data = socket.inet_pton(family, source) + socket.inet_pton(family, destination) + struct.pack("!II", length, number)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def payload(length, seed):
    return random.Random(seed).randbytes(length)


def case(name, kind, head, transport, data, size):
    """`head`: makes the IP headers of the segment of a number; `transport`: those of TCP or UDP of an offset and whether it
    is the first or the last."""
    segments = []
    for number, offset in enumerate(range(0, len(data), size)):
        piece = data[offset : offset + size]
        is_last = offset + size >= len(data)
        packet = head(number) / transport(offset, offset == 0, is_last) / Raw(piece)
        segments.append(bytes(packet))
    whole = head(0) / transport(0, True, True) / Raw(data)
    frame = bytearray(bytes(whole))
    start = len(bytes(head(0)))
    offset = 6 if kind == "udp" else 16
    number = 17 if kind == "udp" else 6
    ip = head(0)
    struct.pack_into("!H", frame, start + offset, pseudo_sum(ip.src, ip.dst, len(frame) - start, number))
    return {
        "name": name,
        "kind": KINDS[kind],
        "segmentSize": size,
        "transportOffset": start,
        "frame": frame.hex(),
        "segments": [segment.hex() for segment in segments],
    }


def ipv6(_):
    return IPv6(src=CORRESPONDENT6, dst=NODE6, tc=0x2A, fl=0x12345, hlim=63)


def ipv6_with_options(_):
    return ipv6(0) / IPv6ExtHdrDestOpt()


def ipv4(number, first=0xFFFE, flags="DF"):
    return IP(src=CORRESPONDENT, dst=NODE, tos=0x2A, id=(first + number) & 0xFFFF, flags=flags, ttl=63)


def tcp(flags, options=(), sequence=0xFFFFF000):
    def make(offset, is_first, is_last):
        own = flags
        if not is_last:
            own = own.replace("F", "").replace("P", "")
        if not is_first:
            own = own.replace("C", "")
        return TCP(
            sport=5201, dport=40000, seq=(sequence + offset) & 0xFFFFFFFF, ack=77, window=501, flags=own,
            options=list(options),
        )

    return make


def udp(_, __, ___):
    return UDP(sport=5201, dport=40000)


def find_zero_sum():
    """A payload of two bytes whose checksum is 0, so that 0xFFFF stands in its place."""
    for value in range(0x10000):
        packet = bytes(ipv6(0) / udp(0, 0, 0) / Raw(struct.pack("!H", value)))
        if packet[46:48] == b"\xff\xff":
            return struct.pack("!H", value)
    raise AssertionError("some payload has it")


def ipv6_to_group(_):
    return IPv6(src=CORRESPONDENT6, dst=GROUP, hlim=8)


def fragmentable(number):
    return ipv4(number, 7, 0)


STAMPS = [("NOP", None), ("NOP", None), ("Timestamp", (1234, 5678))]
cases = [
    case("TCP over IPv6, the last shorter", "tcp6", ipv6, tcp("PA", STAMPS), payload(5000, 1), 1208),
    case("TCP over IPv6, the last as long", "tcp6", ipv6, tcp("A"), payload(3600, 2), 1200),
    case("TCP over IPv6, odd lengths", "tcp6", ipv6, tcp("A"), payload(1001, 3), 333),
    case("TCP over IPv6, FIN, PSH and CWR", "tcp6", ipv6, tcp("CFPEA", STAMPS), payload(2500, 4), 1000),
    case("TCP over IPv6 behind destination options", "tcp6", ipv6_with_options, tcp("A"), payload(2100, 5), 1000),
    case("TCP over IPv6, more than a batch has room for", "tcp6", ipv6, tcp("A"), payload(600, 6), 1),
    case("TCP over IPv6, as large as can be", "tcp6", ipv6, tcp("A"), payload(65535 - 60, 7), 1220),
    case("TCP over IPv6, too big", "tcp6", ipv6, tcp("A"), payload(5000, 14), 1400),
    case("TCP over IPv4, identifications that wrap", "tcp4", ipv4, tcp("PA", STAMPS), payload(5000, 8), 1228),
    case("TCP over IPv4, too big", "tcp4", ipv4, tcp("A"), payload(5000, 15), 1400),
    case("TCP over IPv4, too big, may be fragmented", "tcp4", fragmentable, tcp("PA"), payload(5000, 9), 1400),
    case("UDP over IPv6, the last shorter", "udp", ipv6, udp, payload(3500, 10), 1200),
    case("UDP over IPv6, small", "udp", ipv6, udp, payload(18 * 64, 11), 18),
    case("UDP over IPv6, a sum of zero", "udp", ipv6, udp, find_zero_sum() + payload(6, 13), 2),
    case("UDP over IPv6, to a group", "udp", ipv6_to_group, udp, payload(3500, 16), 1000),
    case("UDP over IPv4", "udp", ipv4, udp, payload(3500, 12), 1200),
    case("UDP over IPv4, too big, may be fragmented", "udp", fragmentable, udp, payload(3500, 17), 1400),
]
# struct virtio_net_hdr, little-endian, and six bytes of padding.
headers = [
    {
        "kind": item["kind"],
        "segmentSize": item["segmentSize"],
        "transportOffset": item["transportOffset"],
        "headerLength": 92,
        "header": struct.pack(
            "<BBHHHH6x", 1, item["kind"], 92, item["segmentSize"], item["transportOffset"], 6 if item["kind"] == 5 else 16
        ).hex(),
    }
    for item in cases
]
(HERE / "superframes.json").write_text(json.dumps({"cases": cases, "headers": headers}, indent=1) + "\n")
