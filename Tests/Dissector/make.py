#!/usr/bin/python3
"""Makes the packets that docs/wireshark/dsmipv4.lua is tried with, and says of each what it must show.

scapy makes the IP, UDP and Mobile IP headers; scapy has no extensions, so their bytes stand here as RFC 5454, 2 draws
them. The output, messages.pcap and expected.json, is the same on every run. To make it anew:

    apt-get install python3-scapy && Tests/Dissector/make.py
"""

import json
import pathlib
import socket
import struct

from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.mobileip import MobileIP, MobileIPRRP, MobileIPRRQ, MobileIPTunnelData
from scapy.packet import Raw
from scapy.utils import RawPcapWriter

HERE = pathlib.Path(__file__).resolve().parent
DLT_RAW = 101
CO_LOCATED = 0x22  # bits D and T of a request
AUTHENTICATION = bytes([32, 20]) + struct.pack("!I", 256) + bytes(16)
IDENTIFICATION = 0xE9D1_5F00_0000_0001

cases = []


def address(text):
    return socket.inet_pton(socket.AF_INET6, text)


def extension(content):
    """An extension of type 152: subtype and what follows it."""
    return bytes([152, len(content)]) + content


def prefix_request(length, prefix):
    return extension(bytes([1, length]) + address(prefix))


def prefix_reply(code, length, prefix, reserved=0):
    return extension(bytes([2, code, length, reserved]) + address(prefix))


def tunneling_mode(reserved=0):
    return extension(bytes([3, reserved]))


def request(*extensions, flags=CO_LOCATED):
    message = MobileIP(type=1) / MobileIPRRQ(
        flags=flags, lifetime=600, homeaddr="198.51.100.7", haaddr="192.0.2.1", coaddr="203.0.113.9", id=IDENTIFICATION
    )
    datagram = UDP(sport=40000, dport=434) / message / Raw(b"".join(extensions))
    return IP(src="203.0.113.9", dst="192.0.2.1", id=1) / datagram


def reply(*extensions, code=0):
    message = MobileIP(type=3) / MobileIPRRP(
        code=code, lifetime=600, homeaddr="198.51.100.7", haaddr="192.0.2.1", id=IDENTIFICATION
    )
    datagram = UDP(sport=434, dport=40000) / message / Raw(b"".join(extensions))
    return IP(src="192.0.2.1", dst="203.0.113.9", id=2) / datagram


def other_port(packet):
    message = bytes(packet[UDP].payload)
    return IP(src="203.0.113.9", dst="192.0.2.1", id=5) / UDP(sport=40000, dport=40434) / Raw(message)


def tunnelled(packet):
    """In a Mobile Tunnel Data message of RFC 3519."""
    datagram = UDP(sport=40000, dport=434) / MobileIP(type=4) / MobileIPTunnelData(nexthdr=4) / packet
    return IP(src="203.0.113.9", dst="192.0.2.1", id=8) / datagram


def case(name, packet, **fields):
    """A packet, and the values of those fields that it must show, in the order of the message. What is not named must
    not be there."""
    cases.append((name, packet, {f"dsmipv4.{field}": values for field, values in fields.items()}))


# What RFC 5454 says.
case(
    "a request of a co-located node for two prefixes",
    request(
        tunneling_mode(), prefix_request(64, "2001:db8:1::"), prefix_request(48, "2001:db8:2::"), AUTHENTICATION
    ),
    subtype=["3", "1", "1"], length=["2", "18", "18"], reserved=["0x00"], prefixlen=["64", "48"],
    prefix=["2001:db8:1::", "2001:db8:2::"],
)
case(
    "a request for a link-local address",
    request(prefix_request(255, "fe80::cb00:7109"), AUTHENTICATION),
    subtype=["1"], length=["18"], prefixlen=["255"], prefix=["fe80::cb00:7109"], linklocal=["1"],
)
case(
    "a reply with each of the codes, kept ones too",
    reply(
        *(prefix_reply(code, 64, f"2001:db8:f{code:x}::") for code in (0, 1, 2, 7, 8, 9, 10, 255)), AUTHENTICATION
    ),
    subtype=["2"] * 8, length=["20"] * 8, code=["0", "1", "2", "7", "8", "9", "10", "255"],
    accepted=["1", "1", "1", "1", "0", "0", "0", "0"], prefixlen=["64"] * 8, reserved=["0x00"] * 8,
    prefix=[f"2001:db8:f{code:x}::" for code in (0, 1, 2, 7, 8, 9, 10, 255)], unassignedcode=4,
)
case(
    "prefix lengths 0 and 128",
    request(prefix_request(0, "::"), prefix_request(128, "2001:db8::1"), AUTHENTICATION),
    subtype=["1", "1"], length=["18", "18"], prefixlen=["0", "128"], prefix=["::", "2001:db8::1"],
)
case("a request without such extensions", request(AUTHENTICATION))

# What its receiver ignores or its sender must not do.
case(
    "bits past the prefix length, in the middle of a byte",
    request(prefix_request(61, "2001:db8:0:8::"), prefix_request(61, "2001:db8:0:4::"), AUTHENTICATION),
    subtype=["1", "1"], length=["18", "18"], prefixlen=["61", "61"], prefix=["2001:db8:0:8::", "2001:db8:0:4::"],
    hostbits=1,
)
case(
    "a prefix length that is none",
    request(prefix_request(129, "2001:db8::"), AUTHENTICATION),
    subtype=["1"], length=["18"], prefixlen=["129"], prefix=["2001:db8::"], badprefixlen=1,
)
case(
    "length 255 with an address that is not link-local",
    request(prefix_request(255, "fec0::1"), AUTHENTICATION),
    subtype=["1"], length=["18"], prefixlen=["255"], prefix=["fec0::1"], linklocal=["1"], notlinklocal=1,
)
case(
    "reserved fields that are set",
    reply(prefix_reply(0, 64, "2001:db8:1::", reserved=0xA5), AUTHENTICATION),
    subtype=["2"], length=["20"], code=["0"], accepted=["1"], prefixlen=["64"], prefix=["2001:db8:1::"],
    reserved=["0xa5"], reservedset=1,
)
case(
    "an extension behind the authentication",
    request(AUTHENTICATION, prefix_request(64, "2001:db8:1::")),
    subtype=["1"], length=["18"], prefixlen=["64"], prefix=["2001:db8:1::"], unprotected=1,
)
case(
    "two tunneling modes of a node with a foreign agent",
    request(tunneling_mode(), tunneling_mode(1), AUTHENTICATION, flags=0x02),
    subtype=["3", "3"], length=["2", "2"], reserved=["0x00", "0x01"], notcolocated=2, repeated=1, reservedset=1,
)
case(
    "a reply's extension in a request",
    request(prefix_reply(1, 64, "2001:db8:1::"), AUTHENTICATION),
    subtype=["2"], length=["20"], code=["1"], accepted=["1"], prefixlen=["64"], prefix=["2001:db8:1::"],
    reserved=["0x00"], wrongmessage=1,
)

# What is malformed: skipped by its length, and what follows is read.
case(
    "unknown subtypes between known ones",
    request(
        extension(b"\x00"), extension(b"\x04\x01\x02\x03"), extension(b"\xff" * 255), tunneling_mode(), AUTHENTICATION
    ),
    subtype=["0", "4", "255", "3"], length=["1", "4", "255", "2"], data=["010203", "ff" * 254], reserved=["0x00"],
    unknownsubtype=3,
)
case(
    "known subtypes with wrong lengths",
    request(
        extension(bytes([1, 64]) + address("2001:db8::")[:15]),
        extension(bytes([1, 64]) + address("2001:db8::") + b"!"),
        extension(b"\x02"), extension(b"\x03"), extension(b"\x03\x00\x00"), tunneling_mode(), AUTHENTICATION,
    ),
    subtype=["1", "1", "2", "3", "3", "3"], length=["17", "19", "1", "1", "3", "2"],
    data=["4020010db80000000000000000000000", "4020010db8000000000000000000000000" + "21", "0000"],
    reserved=["0x00"], wronglength=5,
)
case(
    "no subtype at all",
    request(extension(b""), tunneling_mode(), AUTHENTICATION),
    subtype=["3"], length=["0", "2"], reserved=["0x00"], nosubtype=1,
)
case(
    "padding and long extensions are walked by their own sizes",
    request(
        bytes(3), bytes([38, 0]) + struct.pack("!H", 300) + bytes([152]) * 300,
        bytes([36, 1]) + struct.pack("!H", 20) + bytes([152]) * 20, prefix_request(64, "2001:db8:1::"), AUTHENTICATION,
    ),
    subtype=["1"], length=["18"], prefixlen=["64"], prefix=["2001:db8:1::"],
)
case(
    "an extension that reaches past the end",
    request(tunneling_mode(), bytes([152, 18, 1, 64]) + address("2001:db8:1::")[:15]),
    subtype=["3"], length=["2", "18"], reserved=["0x00"], truncated=1,
)
case("nothing but a type", request(bytes([152])), truncated=1)
case("a length of 255 at the end", request(bytes([152, 255])), length=["255"], truncated=1)
case("another extension that reaches past the end", request(bytes([131, 255, 152, 2, 3, 0])))
case("a long extension that is cut off", request(bytes([38, 0, 1])))
case("a long extension that hides what is behind it", request(bytes([38, 0, 255, 255]) + tunneling_mode()))
for size in (0, 1, 23, 24):
    whole = bytes(request(tunneling_mode())[UDP].payload)
    case(
        f"a message of {size} bytes",
        IP(src="203.0.113.9", dst="192.0.2.1", id=3) / UDP(sport=40000, dport=434) / Raw(whole[:size]),
    )
case(
    "a message of another type",
    IP(src="203.0.113.9", dst="192.0.2.1", id=4) / UDP(sport=40000, dport=434)
    / Raw(bytes([2]) + bytes(23) + tunneling_mode()),
)
case("the same bytes on another port", other_port(request(tunneling_mode())))
case(
    "a request in an IPv4 tunnel",
    IP(src="203.0.113.1", dst="192.0.2.1", id=6) / request(tunneling_mode(), AUTHENTICATION),
    subtype=["3"], length=["2"], reserved=["0x00"],
)
case(
    "a request in a UDP tunnel",
    tunnelled(request(tunneling_mode(), AUTHENTICATION)),
    subtype=["3"], length=["2"], reserved=["0x00"],
)
case("the same bytes on another port in a UDP tunnel", tunnelled(other_port(request(tunneling_mode()))))
case(
    "a request that an ICMP error quotes",
    IP(src="192.0.2.1", dst="203.0.113.9", id=7) / ICMP(type=3, code=3) / request(tunneling_mode(), AUTHENTICATION),
    subtype=["3"], length=["2"], reserved=["0x00"],
)

writer = RawPcapWriter(str(HERE / "messages.pcap"), linktype=DLT_RAW, endianness="<")
writer.write_header(None)
for number, (_, packet, _) in enumerate(cases):
    writer.write_packet(bytes(packet), sec=number, usec=0)
writer.close()
expected = [
    # Expert infos are counted, the others compared.
    {"name": name, "fields": {key: value for key, value in fields.items() if isinstance(value, list)},
     "experts": {key: value for key, value in fields.items() if not isinstance(value, list)}}
    for name, _, fields in cases
]
(HERE / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
