#!/usr/bin/python3
"""Makes joining.json: packets of a batch as scapy encodes them, and which of them may be joined into super-frames.

The rules are those of generic receive offload in Linux (tcp_gro_receive, udp_gro_receive_segment, inet_gro_receive,
ipv6_gro_receive): what is cut from a super-frame must be the packets that it was joined from. The output is the same on
every run.

    apt-get install python3-scapy && Tests/Vectors/joining.py
"""

import json
import pathlib
import random

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment
from scapy.packet import Raw

HERE = pathlib.Path(__file__).resolve().parent
SIZE = 100
STAMPS = [("NOP", None), ("NOP", None), ("Timestamp", (1234, 5678))]
LATER = [("NOP", None), ("NOP", None), ("Timestamp", (1235, 5678))]


def ip(number=0, version=6, **changes):
    if version == 6:
        fields = dict(src="2001:db8:cccc::5", dst="2001:db8:1::1", tc=0x2A, fl=0x12345, hlim=63)
        return IPv6(**{**fields, **changes})
    fields = dict(src="192.0.2.200", dst="198.51.100.7", tos=0x2A, id=500 + number, flags="DF", ttl=63)
    return IP(**{**fields, **changes})


def payload(length, seed):
    return random.Random(seed).randbytes(length)


def tcp(number, size=SIZE, head=None, options=STAMPS, version=6, **changes):
    """The segment of a number in a stream of segments of SIZE bytes."""
    fields = dict(sport=5201, dport=40000, seq=(0xFFFFFF80 + number * SIZE) & 0xFFFFFFFF, ack=77, window=501, flags="A")
    head = head or ip(number, version)
    return bytes(head / TCP(**{**fields, **changes}, options=list(options)) / Raw(payload(size, number)))


def udp(number, size=SIZE, head=None, version=6, **changes):
    fields = dict(sport=5201, dport=40000)
    return bytes((head or ip(number, version)) / UDP(**{**fields, **changes}) / Raw(payload(size, number)))


def broken(packet):
    """With another last byte, which the checksum does not know of."""
    return packet[:-1] + bytes([packet[-1] ^ 1])


def case(name, packets, frames):
    """`frames`: the places of packets that leave in one super-frame; all others leave by themselves."""
    return {"name": name, "packets": [packet.hex() for packet in packets], "frames": frames}


def other(number, **changes):
    """A middle segment that differs from its neighbours in a header field alone."""
    return [tcp(0), tcp(1, **changes), tcp(2)]


flows = [tcp(number, sport=1000 + flow) for number in range(2) for flow in range(8)]
hosts = [
    tcp(number, head=ip(dst=f"2001:db8:1::{host + 1:x}")) for number in range(2) for host in range(40)
]

cases = [
    case("three that follow each other", [tcp(0), tcp(1), tcp(2)], [[0, 1, 2]]),
    case("over IPv4", [tcp(n, version=4) for n in range(3)], [[0, 1, 2]]),
    case("one", [tcp(0)], []),
    case("a gap", [tcp(0), tcp(1), tcp(3), tcp(4)], [[0, 1], [2, 3]]),
    case("one that comes again", [tcp(0), tcp(0), tcp(1)], [[1, 2]]),
    case("the wrong order", [tcp(1), tcp(0)], []),
    case("another acknowledgment", other(1, ack=78), []),
    case("another window", other(1, window=502), []),
    case("another time stamp", other(1, options=LATER), []),
    case("other options", other(1, options=STAMPS[:2] * 6), []),
    case("ECE", other(1, flags="EA"), []),
    case("ECE in all", [tcp(n, flags="EA") for n in range(3)], [[0, 1, 2]]),
    case("CWR", [tcp(0), tcp(1, flags="CA"), tcp(2), tcp(3)], [[2, 3]]),
    case("URG", [tcp(0), tcp(1, flags="UA"), tcp(2), tcp(3)], [[2, 3]]),
    case("FIN", [tcp(0), tcp(1), tcp(2, flags="FA")], [[0, 1]]),
    case("RST", [tcp(0), tcp(1), tcp(2, flags="RA")], [[0, 1]]),
    case("SYN", [tcp(0, flags="S"), tcp(1), tcp(2)], [[1, 2]]),
    case("without ACK", [tcp(0, flags=""), tcp(1, flags="")], []),
    case("PSH ends it", [tcp(0), tcp(1, flags="PA"), tcp(2), tcp(3)], [[0, 1], [2, 3]]),
    case("PSH alone", [tcp(0, flags="PA"), tcp(1, flags="PA")], []),
    case("a shorter one ends it", [tcp(0), tcp(1, 60), tcp(2, seq=0xFFFFFF80 + SIZE + 60 & 0xFFFFFFFF)], [[0, 1]]),
    case("a longer one begins anew", [tcp(0), tcp(1, 120), tcp(2, 120, seq=(0xFFFFFF80 + 220) & 0xFFFFFFFF)], [[1, 2]]),
    case("an acknowledgment between", [tcp(0), tcp(1, 0), tcp(1), tcp(2)], [[2, 3]]),
    case("an acknowledgment of another flow between", [tcp(0), tcp(1, 0, sport=9), tcp(1), tcp(2)], [[0, 2, 3]]),
    case("another hop limit", other(1, head=ip(hlim=62)), []),
    case("congestion in the middle", other(1, head=ip(tc=0x2B)), []),
    case("another DSCP", other(1, head=ip(tc=0x2E)), []),
    case("another flow label", other(1, head=ip(fl=0x12346)), []),
    case("another time to live", [tcp(0, version=4), tcp(1, head=ip(1, 4, ttl=62))], []),
    case("another TOS", [tcp(0, version=4), tcp(1, head=ip(1, 4, tos=0x2B))], []),
    case("identifications of what must not be fragmented", [tcp(0, version=4), tcp(1, head=ip(7, 4))], [[0, 1]]),
    case("identifications that follow", [tcp(n, head=ip(n, 4, flags=0)) for n in range(3)], [[0, 1, 2]]),
    case("identifications that do not", [tcp(0, head=ip(0, 4, flags=0)), tcp(1, head=ip(7, 4, flags=0))], []),
    case("DF of one", [tcp(0, head=ip(0, 4, flags=0)), tcp(1, head=ip(1, 4))], []),
    case("a reserved bit", [tcp(n, head=ip(n, 4, flags="evil")) for n in range(2)], []),
    case("options of IPv4", [tcp(n, head=ip(n, 4, options=[b"\x01" * 4])) for n in range(2)], []),
    case("options of IPv6", [tcp(n, head=ip() / IPv6ExtHdrDestOpt()) for n in range(2)], []),
    case("a wrong checksum at first", [broken(tcp(0)), tcp(1), tcp(2)], [[1, 2]]),
    case("a wrong checksum behind", [tcp(0), tcp(1), broken(tcp(2)), tcp(3), tcp(4)], [[0, 1], [3, 4]]),
    case("two flows by turns", [p for n in range(3) for p in (tcp(n), tcp(n, dport=7))], [[0, 2, 4], [1, 3, 5]]),
    case("TCP and UDP of the same ports", [p for n in range(3) for p in (tcp(n), udp(n))], [[0, 2, 4], [1, 3, 5]]),
    case("a fragment between", [udp(0), bytes(ip() / IPv6ExtHdrFragment(id=1, nh=17) / Raw(bytes(64))), udp(1)], []),
    case(
        "a fragment of IPv4 between",
        [udp(0, version=4), bytes(ip(1, 4, flags=0, frag=9, proto=17) / Raw(bytes(64))), udp(2, version=4)],
        [],
    ),
    case(
        "an echo of other addresses between",
        [udp(0, version=4), bytes(ip(1, 4, dst="198.51.100.8") / ICMP()), udp(1, version=4)],
        [[0, 2]],
    ),
    case("eight flows", flows, [[flow, flow + 8] for flow in range(8)]),
    case("many hosts", hosts, [[host, host + 40] for host in range(40)]),
    case("datagrams", [udp(0), udp(1), udp(2, 60), udp(3)], [[0, 1, 2]]),
    case("datagrams without a checksum", [udp(n, version=4, chksum=0) for n in range(3)], []),
    case("an empty datagram", [udp(0, 0), udp(1, 0)], []),
    case("datagrams beyond 64", [udp(n) for n in range(66)], [list(range(64)), [64, 65]]),
    case(
        "beyond 65,535 bytes",
        [tcp(n, 9000, seq=n * 9000) for n in range(9)],
        [list(range(7)), [7, 8]],
    ),
]
(HERE / "joining.json").write_text(json.dumps({"cases": cases}, indent=1) + "\n")
