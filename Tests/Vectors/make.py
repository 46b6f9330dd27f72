#!/usr/bin/python3
"""Makes the vectors that the tests of Wire and Forwarding compare with.

Packets are encoded by scapy, addresses are read and written by Python's `ipaddress`: neither knows anything of
Mooring's own code. The output is the same on every run. Tests read only the output; to make it anew:

    apt-get install python3-scapy && Tests/Vectors/make.py
"""

import ipaddress
import json
import pathlib
import random
import struct

from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_NOP, IPOption_Router_Alert, IPOption_RR, IPOption_Timestamp, fragment
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoReply,
    ICMPv6EchoRequest,
    ICMPv6MLDMultAddrRec,
    ICMPv6MLDone,
    ICMPv6MLQuery,
    ICMPv6MLReport,
    ICMPv6MLReport2,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6ND_RS,
    ICMPv6ND_Redirect,
    ICMPv6PacketTooBig,
    ICMPv6TimeExceeded,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    MIP6MH_BU,
    PadN,
    RouterAlert,
)
from scapy.layers.ipsec import AH
from scapy.packet import Raw
from scapy.utils import checksum

HERE = pathlib.Path(__file__).resolve().parent
random.seed(5454)


def save(name, content):
    text = json.dumps(content, indent=1, sort_keys=True)
    (HERE / f"{name}.json").write_text(text + "\n")


def data(length):
    """Payload that is easy to tell from headers."""
    return bytes((0xA0 + index) & 0xFF for index in range(length))


def expect(condition, what):
    if not condition:
        raise SystemExit(f"make.py: {what}")


# --- addresses ------------------------------------------------------------------------------------------------------


def shortest(address):
    """RFC 5952. Python prints IPv4-mapped addresses in hexadecimal before 3.13; RFC 5952, 5 wants dotted decimal."""
    return f"::ffff:{address.ipv4_mapped}" if address.ipv4_mapped else address.compressed


def random_ipv6():
    """Groups of zero are frequent, so that all places and lengths of compression occur."""
    groups = [random.choice([0, 0, 0, 1, 0xFF, 0xDB8, random.getrandbits(16)]) for _ in range(8)]
    return ipaddress.IPv6Address(b"".join(group.to_bytes(2, "big") for group in groups))


def spellings(address):
    """Some of the texts that mean the same address."""
    full = address.exploded
    groups = [format(int(group, 16), "x") for group in full.split(":")]
    low = ipaddress.IPv4Address(address.packed[12:])
    texts = {address.compressed, full, full.upper(), ":".join(groups), ":".join(groups[:6]) + f":{low}"}
    zeros = [(start, end) for start in range(8) for end in range(start + 1, 9) if set(groups[start:end]) == {"0"}]
    for start, end in random.sample(zeros, min(3, len(zeros))):
        texts.add(":".join(groups[:start]) + "::" + ":".join(groups[end:]))
    return sorted(texts)


def make_addresses():
    ipv6 = {}
    chosen = ["::", "::1", "1::", "ff02::1", "fe80::1", "::ffff:192.0.2.1", "64:ff9b::192.0.2.33", "::192.0.2.1"]
    chosen += ["1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8", "1::8", "1:0:0:2::3", "1::2:0:0:3:4"]
    for address in [ipaddress.IPv6Address(text) for text in chosen] + [random_ipv6() for _ in range(150)]:
        for text in spellings(address) + [text for text in chosen if ipaddress.IPv6Address(text) == address]:
            ipv6[text] = address
    ipv6_invalid = """
        : :: : ::: :::: 1 1: :1 1:: :: ::1:: 1::2::3 1:2:3:4:5:6:7 1:2:3:4:5:6:7: :1:2:3:4:5:6:7 1:2:3:4:5:6:7:8:
        1:2:3:4:5:6:7:8:9 1:2:3:4:5:6:7:8:: ::1:2:3:4:5:6:7:8 1::2:3:4:5:6:7:8 1:2:3:4::5:6:7:8 12345:: ::12345 g::
        ::g 1:::2 1.2.3.4 ::1.2.3 ::1.2.3.4.5 ::1.2.3.256 ::01.2.3.4 ::1.2.3.4:5 1.2.3.4:: 1:2:3:4:5:6:7:1.2.3.4
        1:2:3:4:5:1.2.3.4 1:2:3:4:5:6:7::1.2.3.4 +1:: -1:: 0x1:: ::-1 ::+1 [::1] ::1/128 ::1. ::.1 ::1.2.3. 1:2
        2001:db8:::1 ::ffff:1.2.3.-4 ::ffff:1.2.3.+4 ::1,2
    """.split() + ["", " ", " ::1", "::1 ", "::1\n", "1 ::", "\uff11::", "::\u0661", "::1\u0301", "\u0000::", "::1\u0000"]
    ipv6_invalid = [text for text in ipv6_invalid if text not in ("::", "1::")]
    for text in ipv6_invalid:
        try:
            ipaddress.IPv6Address(text)
        except ValueError:
            continue
        expect(False, f"Python takes {text!r} for an address")

    ipv4 = {}
    for text in ["0.0.0.0", "255.255.255.255", "127.0.0.1", "1.2.3.4", "192.0.2.1", "10.0.0.10", "100.64.0.9"]:
        ipv4[text] = int(ipaddress.IPv4Address(text))
    for _ in range(80):
        number = random.getrandbits(32)
        ipv4[str(ipaddress.IPv4Address(number))] = number
    ipv4_invalid = """
        1 1.2 1.2.3 1.2.3. .1.2.3 1..2.3 1.2.3.4. .1.2.3.4 1.2.3.4.5 256.1.1.1 1.256.1.1 1.1.1.256 1.1.1.999 1.1.1.1000
        01.2.3.4 1.02.3.4 1.2.3.04 1.2.3.00 00.0.0.0 1.2.3.-4 1.2.3.+4 0x1.2.3.4 1.2.3.a a.b.c.d 1,2,3,4 1.2.3.4/32 ::1
        1.2.3.4:80 99999999999999999999.1.1.1 1.2.3.18446744073709551616 ....
    """.split() + ["", " ", ".", " 1.2.3.4", "1.2.3.4 ", "1.2.3.4\n", "1. 2.3.4", "\u0661.2.3.4", "1.2.3.\uff14", "1.2.3.4\u0000"]
    for text in ipv4_invalid:
        try:
            ipaddress.IPv4Address(text)
        except ValueError:
            continue
        expect(False, f"Python takes {text!r} for an address")

    prefixes = []
    for length in range(129):
        network = ipaddress.IPv6Network((random.getrandbits(128), length), strict=False)
        for text in {str(network), f"{network.network_address.exploded}/{length}"}:
            prefixes.append((text, network))
    ipv6_prefixes = [
        {"text": text, "bytes": net.network_address.packed.hex(), "length": net.prefixlen,
         "shortest": f"{shortest(net.network_address)}/{net.prefixlen}"}
        for text, net in sorted(prefixes)
    ]
    ipv6_prefixes_invalid = ["::1/127", "2001:db8::1/64", "2001:db8::/28", "::/129", "::/-1", "::/", "/64", "::/64/64",
                             "::/ 64", "::/64 ", "::/6 4", "::/a", "::/1000", "::/99999999999999999999", "1.2.3.0/24",
                             "2001:db8/32", "8000::/0", "::/+1", "::/\u0661", "", "/", "//"]
    for text in ipv6_prefixes_invalid:
        try:
            ipaddress.IPv6Network(text)
        except ValueError:
            continue
        expect(False, f"Python takes {text!r} for a prefix")

    ipv4_prefixes = []
    for length in range(33):
        network = ipaddress.IPv4Network((random.getrandbits(32), length), strict=False)
        ipv4_prefixes.append({"text": str(network), "number": int(network.network_address), "length": length})
    ipv4_prefixes_invalid = ["192.0.2.1/24", "192.0.2.0/33", "192.0.2.0/", "192.0.2/24", "0.0.0.1/0", "192.0.2.0/-1",
                             "192.0.2.0/24/24", "::/0", "/24", "192.0.2.0/a", ""]
    for text in ipv4_prefixes_invalid:
        try:
            ipaddress.IPv4Network(text)
        except ValueError:
            continue
        expect(False, f"Python takes {text!r} for a prefix")

    save("addresses", {
        "ipv6": [{"text": text, "bytes": address.packed.hex(), "shortest": shortest(address)}
                 for text, address in sorted(ipv6.items())],
        "ipv6Invalid": ipv6_invalid,
        "ipv4": [{"text": text, "number": number} for text, number in sorted(ipv4.items())],
        "ipv4Invalid": ipv4_invalid,
        "ipv6Prefixes": ipv6_prefixes,
        "ipv6PrefixesInvalid": ipv6_prefixes_invalid,
        "ipv4Prefixes": ipv4_prefixes,
        "ipv4PrefixesInvalid": ipv4_prefixes_invalid,
    })


# --- headers --------------------------------------------------------------------------------------------------------


def ipv4_case(name, packet, behind=b""):
    raw = bytes(packet)
    seen = IP(raw)
    return {
        "name": name, "packet": raw.hex(), "behind": behind.hex(), "headerLength": seen.ihl * 4, "totalLength": seen.len,
        "trafficClass": seen.tos, "identification": seen.id, "dontFragment": bool(seen.flags & 2),
        "isFragment": bool(seen.flags & 1) or seen.frag != 0, "timeToLive": seen.ttl, "protocol": seen.proto,
        "source": seen.src, "destination": seen.dst, "checksum": seen.chksum,
    }


def make_ipv4():
    base = {"src": "192.0.2.1", "dst": "203.0.113.9"}
    cases = [
        ipv4_case("header alone", IP(**base, proto=41)),
        ipv4_case("with payload", IP(**base, proto=41, id=0x1234) / Raw(data(33))),
        ipv4_case("bytes behind it", IP(**base, proto=41) / Raw(data(5)), behind=data(7)),
        ipv4_case("UDP", IP(**base) / UDP(sport=434, dport=434) / Raw(data(8))),
        ipv4_case("router alert", IP(**base, proto=41, options=[IPOption_Router_Alert()]) / Raw(data(9))),
        ipv4_case("no-operation options", IP(**base, proto=41, options=[IPOption_NOP()] * 3) / Raw(data(3))),
        ipv4_case("40 bytes of options", IP(**base, proto=1, options=[IPOption_NOP()] * 40) / Raw(data(12))),
        ipv4_case("record route", IP(**base, proto=41, options=[IPOption_RR(routers=["0.0.0.0"] * 3)]) / Raw(data(4))),
        ipv4_case("timestamps", IP(**base, proto=41, options=[IPOption_Timestamp(length=12)]) / Raw(data(4))),
        ipv4_case("don't fragment", IP(**base, proto=41, flags="DF") / Raw(data(4))),
        ipv4_case("first fragment", IP(**base, proto=41, flags="MF") / Raw(data(8))),
        ipv4_case("middle fragment", IP(**base, proto=41, flags="MF", frag=185) / Raw(data(8))),
        ipv4_case("last fragment", IP(**base, proto=41, frag=1) / Raw(data(8))),
        ipv4_case("furthest fragment", IP(**base, proto=41, frag=8191) / Raw(data(8))),
        ipv4_case("reserved flag", IP(**base, proto=41, flags=4) / Raw(data(8))),
    ]
    for index in range(30):
        cases.append(ipv4_case(
            f"random {index}",
            IP(src=str(ipaddress.IPv4Address(random.getrandbits(32))), dst=str(ipaddress.IPv4Address(random.getrandbits(32))),
               tos=random.getrandbits(8), id=random.getrandbits(16), flags=random.choice([0, 2]), ttl=random.getrandbits(8),
               proto=random.getrandbits(8)) / Raw(random.randbytes(random.randrange(40)))))
    return cases


def ipv6_case(name, packet, behind=b""):
    raw = bytes(packet)
    seen = IPv6(raw)
    return {
        "name": name, "packet": raw.hex(), "behind": behind.hex(), "trafficClass": seen.tc, "flowLabel": seen.fl,
        "payloadLength": seen.plen, "nextHeader": seen.nh, "hopLimit": seen.hlim,
        "source": ipaddress.IPv6Address(seen.src).packed.hex(), "destination": ipaddress.IPv6Address(seen.dst).packed.hex(),
    }


def make_ipv6():
    base = {"src": "2001:db8::1", "dst": "2001:db8:1::9"}
    cases = [
        ipv6_case("header alone", IPv6(**base, nh=59)),
        ipv6_case("with payload", IPv6(**base, nh=59) / Raw(data(21))),
        ipv6_case("bytes behind it", IPv6(**base, nh=59) / Raw(data(4)), behind=data(9)),
        ipv6_case("UDP", IPv6(**base, hlim=1) / UDP(sport=5, dport=6) / Raw(data(3))),
        ipv6_case("flow label", IPv6(**base, nh=59, fl=0xFFFFF, tc=0)),
        ipv6_case("traffic class", IPv6(**base, nh=59, fl=0, tc=0xFF)),
    ]
    for index in range(30):
        cases.append(ipv6_case(
            f"random {index}",
            IPv6(src=str(random_ipv6()), dst=str(random_ipv6()), tc=random.getrandbits(8),
                 fl=random.choice([0, random.getrandbits(20)]), nh=random.getrandbits(8), hlim=random.getrandbits(8))
            / Raw(random.randbytes(random.randrange(40)))))
    return cases


def extension(kind, next_header, units=1, fragment=(0, 1)):
    """The bytes of an extension header that holds `units` of 8 bytes."""
    padding = PadN(optdata=bytes(units * 8 - 4))
    if kind == "hop-by-hop":
        return bytes(IPv6ExtHdrHopByHop(nh=next_header, options=[padding], autopad=0))
    if kind == "destination":
        return bytes(IPv6ExtHdrDestOpt(nh=next_header, options=[padding], autopad=0))
    if kind == "routing":
        return bytes(IPv6ExtHdrRouting(nh=next_header, addresses=["2001:db8::5"] * units))
    if kind == "fragment":
        return bytes(IPv6ExtHdrFragment(nh=next_header, offset=fragment[0], m=fragment[1], id=0x12345678))
    if kind == "authentication":
        # RFC 4302, 2.2: in 4 bytes, less 2; scapy counts it only where it encrypts.
        length = 12 + 8 * units - 4
        return bytes(AH(nh=next_header, payloadlen=length // 4 - 2, spi=1, seq=1, icv=bytes(8 * units - 4)))
    if kind == "mobility":
        return bytes(MIP6MH_BU(nh=next_header, seq=units))
    # RFC 7401, 5.1 and RFC 5533, 5.1: next header, length in 8 bytes beyond the first 8.
    expect(kind in ("host-identity", "shim6"), kind)
    return struct.pack("!BB", next_header, units) + bytes(6 + 8 * units)


KINDS = {"hop-by-hop": 0, "routing": 43, "fragment": 44, "authentication": 51, "destination": 60, "mobility": 135,
         "host-identity": 139, "shim6": 140}


def chain(name, kinds, upper, payload, later_fragment=False, dropped=False):
    headers = b""
    after = list(KINDS[kind] for kind in kinds[1:]) + [upper]
    for index, (kind, next_header) in enumerate(zip(kinds, after)):
        last = index == len(kinds) - 1
        headers += extension(kind, next_header, units=1 + index % 3, fragment=(185, 1) if last and later_fragment else (0, 1))
    first = KINDS[kinds[0]] if kinds else upper
    packet = bytes(IPv6(src="2001:db8::1", dst="2001:db8:1::9", nh=first) / Raw(headers + payload))
    return {"name": name, "packet": packet.hex(), "protocol": upper, "offset": 40 + len(headers),
            "isLaterFragment": later_fragment, "isTooLong": dropped}


def make_chains():
    udp = bytes(UDP(sport=1, dport=2) / Raw(data(4)))
    cases = [chain("no extension header", [], 17, udp), chain("nothing follows", [], 59, b"")]
    for kind in KINDS:
        for upper in (6, 17, 50, 58, 59, 253):
            cases.append(chain(f"{kind}, then {upper}", [kind], upper, data(8)))
        cases.append(chain(f"{kind} at the end", [kind], 59, b""))
    cases.append(chain("later fragment", ["fragment"], 58, data(24), later_fragment=True))
    cases.append(chain("later fragment behind options", ["hop-by-hop", "routing", "fragment"], 17, data(8), later_fragment=True))
    cases.append(chain("eight headers", list(KINDS), 17, udp))
    cases.append(chain("eight of a kind", ["destination"] * 8, 17, udp))
    cases.append(chain("nine headers", list(KINDS) + ["destination"], 17, udp, dropped=True))
    cases.append(chain("twenty headers", ["destination"] * 20, 17, udp, dropped=True))
    for index in range(20):
        kinds = [random.choice(list(KINDS)) for _ in range(random.randrange(2, 9))]
        cases.append(chain(f"random {index}: {', '.join(kinds)}", kinds, random.choice([6, 17, 58, 59]), data(random.randrange(20))))
    return cases


def make_udp():
    def case(name, packet, behind=b""):
        raw = bytes(packet)[20:]
        seen = UDP(raw)
        return {"name": name, "packet": raw.hex(), "behind": behind.hex(), "sourcePort": seen.sport,
                "destinationPort": seen.dport, "length": seen.len, "checksum": seen.chksum}

    base = IP(src="192.0.2.1", dst="203.0.113.9")
    return [
        case("no payload", base / UDP(sport=434, dport=434)),
        case("payload", base / UDP(sport=40000, dport=434) / Raw(data(11))),
        case("no checksum", base / UDP(sport=40000, dport=434, chksum=0) / Raw(data(4))),
        case("bytes behind it", base / UDP(sport=65535, dport=0) / Raw(data(2)), behind=data(6)),
    ]


def make_udp_packets():
    """Datagrams as packets, and in pieces for a link."""
    def case(name, length, mtu, ttl=64, number=7, **ports):
        # Not random, so that it changes no vector behind it.
        payload = bytes((index * 7 + 3) % 256 for index in range(length))
        ports = {"sport": 434, "dport": 40000, **ports}
        packet = IP(src="198.51.100.7", dst="203.0.113.1", ttl=ttl, id=number) / UDP(**ports) / Raw(payload)
        pieces = fragment(packet, (mtu - 20) // 8 * 8) if len(packet) > mtu else [packet]
        return {"name": name, "payload": payload.hex(), "sourcePort": ports["sport"], "destinationPort": ports["dport"],
                "timeToLive": ttl, "identification": number, "mtu": mtu, "fragments": [bytes(piece).hex() for piece in pieces]}

    return [
        case("whole", 52, 1500), case("nothing", 0, 68, ttl=255), case("as long as the link carries", 1472, 1500, ttl=1),
        case("a byte more", 1473, 1500), case("many pieces", 500, 68, number=65535), case("odd MTU", 2000, 577),
        # The sum is zero, which is written as its other form.
        case("sum of zero", 2, 1500, sport=434, dport=0x94E1),
    ]


def make_icmpv4():
    def case(name, packet):
        raw = bytes(packet)
        return {"name": name, "packet": raw.hex(), "type": raw[0], "code": raw[1],
                "checksum": int.from_bytes(raw[2:4], "big")}

    quoted = IP(src="192.0.2.1", dst="203.0.113.9", proto=41) / Raw(data(40))
    return [
        case("echo request", ICMP(type=8, id=7, seq=9) / Raw(data(56))),
        case("echo request, odd length", ICMP(type=8, id=7, seq=9) / Raw(data(7))),
        case("echo request of zeroes", ICMP(type=8, id=0, seq=0)),
        case("echo reply", ICMP(type=0, id=1, seq=2) / Raw(data(1))),
        case("fragmentation needed", ICMP(type=3, code=4, nexthopmtu=1400) / quoted),
        case("time exceeded", ICMP(type=11, code=0) / quoted),
    ]


def make_icmpv6():
    def case(name, message, forbids, source="2001:db8::1", destination="2001:db8:1::9"):
        packet = bytes(IPv6(src=source, dst=destination) / message)
        return {"name": name, "packet": packet.hex(), "type": packet[40], "code": packet[41], "forbidsErrors": forbids}

    quoted = IPv6(src="2001:db8:1::9", dst="2001:db8::1") / UDP(sport=1, dport=2) / Raw(data(9))
    return [
        case("echo request", ICMPv6EchoRequest(id=1, seq=2, data=data(17)), False),
        case("echo reply", ICMPv6EchoReply(id=1, seq=2, data=data(16)), False),
        case("neighbour solicitation", ICMPv6ND_NS(tgt="fe80::1"), False, "fe80::2", "ff02::1:ff00:1"),
        case("multicast listener report", ICMPv6MLReport2(), False, "fe80::2", "ff02::16"),
        case("redirect", ICMPv6ND_Redirect(tgt="fe80::1", dst="2001:db8::7"), True),
        case("destination unreachable", ICMPv6DestUnreach(code=4) / quoted, True),
        case("packet too big", ICMPv6PacketTooBig(mtu=1280) / quoted, True),
        case("time exceeded", ICMPv6TimeExceeded() / quoted, True),
    ]


def make_checksums():
    cases = []
    for length in range(201):
        raw = random.randbytes(length)
        cases.append({"bytes": raw.hex(), "checksum": checksum(raw)})
    for length in (1, 2, 3, 31, 32, 33, 63, 64, 65, 200):
        for byte in (0x00, 0xFF):
            raw = bytes([byte]) * length
            cases.append({"bytes": raw.hex(), "checksum": checksum(raw)})
    return cases


def make_wire():
    save("wire", {
        "ipv4": make_ipv4(), "ipv6": make_ipv6(), "chains": make_chains(), "udp": make_udp(), "icmpv4": make_icmpv4(),
        "icmpv6": make_icmpv6(), "checksums": make_checksums(), "udpPackets": make_udp_packets(),
    })


# --- the forwarder --------------------------------------------------------------------------------------------------

ENDPOINT = "192.0.2.1"
OTHER_ENDPOINT = "192.0.2.2"
ERROR_SOURCE = "2001:db8:ffff::1"
CORRESPONDENT = "2001:db8:cccc::5"
BINDINGS = [
    {"id": "plain", "careOfAddress": "203.0.113.9", "prefix": "2001:db8:1::/64", "dscp": "uniform", "ecn": "normal"},
    {"id": "pipe", "careOfAddress": "203.0.113.10", "prefix": "2001:db8:2::/64", "dscp": "pipe", "ecn": "normal"},
    {"id": "compatibility", "careOfAddress": "203.0.113.11", "prefix": "2001:db8:3::/64", "dscp": "uniform",
     "ecn": "compatibility"},
    {"id": "both", "careOfAddress": "203.0.113.12", "prefix": "2001:db8:4::/64", "dscp": "pipe", "ecn": "compatibility"},
    {"id": "large", "careOfAddress": "203.0.113.13", "prefix": "2001:db8:5::/64", "dscp": "uniform", "ecn": "normal",
     "tunnelMTU": 1480},
    {"id": "elsewhere", "careOfAddress": "203.0.113.14", "prefix": "2001:db8:6::/64", "dscp": "uniform", "ecn": "normal",
     "endpoint": OTHER_ENDPOINT},
    {"id": "host", "careOfAddress": "203.0.113.15", "prefix": "2001:db8:7::7/128", "dscp": "uniform", "ecn": "normal"},
]
CARE_OF = {binding["id"]: binding["careOfAddress"] for binding in BINDINGS}
NODE = {"plain": "2001:db8:1::9", "pipe": "2001:db8:2::9", "compatibility": "2001:db8:3::9", "both": "2001:db8:4::9",
        "large": "2001:db8:5::9", "elsewhere": "2001:db8:6::9", "host": "2001:db8:7::7"}


def outer(binding, inner, tos=0, identification=1, ttl=64, **more):
    source = OTHER_ENDPOINT if binding == "elsewhere" else ENDPOINT
    return IP(src=source, dst=CARE_OF[binding], proto=41, tos=tos, id=identification, ttl=ttl, flags=0, **more) / Raw(bytes(inner))


def from_node(binding, inner, **fields):
    destination = OTHER_ENDPOINT if binding == "elsewhere" else ENDPOINT
    fields = {"src": CARE_OF[binding], "dst": destination, "proto": 41, "id": 0xBEEF, "ttl": 57, **fields}
    return bytes(IP(**fields) / Raw(bytes(inner)))


def to_node(binding="plain", upper=None, source=CORRESPONDENT, **fields):
    return IPv6(src=source, dst=NODE[binding], **{"hlim": 64, **fields}) / (upper or UDP(sport=53, dport=4000) / Raw(data(16)))


def of_size(size, binding="plain", **fields):
    return to_node(binding, UDP(sport=1, dport=2) / Raw(data(size - 48)), **fields)


def make_encapsulation():
    cases = []

    def case(name, binding, packet, behind=b"", tos=0, identification=1):
        cases.append({"name": name, "in": (bytes(packet) + behind).hex(), "identification": identification,
                      "out": bytes(outer(binding, packet, tos=tos, identification=identification)).hex()})

    case("UDP", "plain", to_node())
    case("TCP", "plain", to_node(upper=TCP(sport=1, dport=80, flags="S")))
    case("echo request", "plain", to_node(upper=ICMPv6EchoRequest(data=data(56))))
    case("ICMPv6 error", "plain", to_node(upper=ICMPv6DestUnreach() / IPv6(src=NODE["plain"], dst=CORRESPONDENT) / UDP()))
    case("header alone", "plain", IPv6(src=CORRESPONDENT, dst=NODE["plain"], nh=59))
    case("hop limit 1", "plain", to_node(hlim=1))
    case("hop limit 0", "plain", to_node(hlim=0))
    case("hop limit 255", "plain", to_node(hlim=255))
    case("flow label", "plain", to_node(fl=0xABCDE))
    case("hop-by-hop options", "plain", to_node(upper=IPv6ExtHdrHopByHop(options=[RouterAlert()]) / UDP() / Raw(data(3))))
    case("fragment", "plain", to_node(upper=IPv6ExtHdrFragment(nh=17, offset=185, id=77) / Raw(data(64))))
    case("padding behind it", "plain", to_node(), behind=data(13))
    case("largest for 1280", "plain", of_size(1280))
    case("largest for 1280, padding behind it", "plain", of_size(1280), behind=data(300))
    case("largest for 1480", "large", of_size(1480, "large"))
    case("another endpoint", "elsewhere", to_node("elsewhere"))
    case("prefix of one address", "host", to_node("host"))
    case("uniform and normal", "plain", to_node(tc=0xB9), tos=0xB9)
    case("pipe", "pipe", to_node("pipe", tc=0xB9), tos=0x01)
    case("compatibility", "compatibility", to_node("compatibility", tc=0xB9), tos=0xB8)
    case("pipe and compatibility", "both", to_node("both", tc=0xB9), tos=0)
    for identification in (0, 1, 0x1234, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF):
        case(f"identification {identification}", "plain", to_node(), identification=identification)
    return cases


def make_outer_headers():
    """The outer headers that packets of all 256 traffic classes get, by binding: bits of DSCP and ECN that go out."""
    copied = {"plain": 0xFF, "pipe": 0x03, "compatibility": 0xFC, "both": 0x00}
    return {
        binding: [bytes(outer(binding, to_node(binding, tc=value), tos=value & bits, identification=value * 257))[:20].hex()
                  for value in range(256)]
        for binding, bits in copied.items()
    }


def make_times_to_live():
    """The outer TTL is a setting; the inner hop limit is not touched (RFC 4213, 3.3)."""
    packet = to_node(hlim=17)
    return [{"timeToLive": ttl, "in": bytes(packet).hex(), "out": bytes(outer("plain", packet, ttl=ttl)).hex()}
            for ttl in (1, 2, 63, 64, 128, 255)]


def make_congestion():
    """Figure 4 of RFC 6040, by rows of the inner and columns of the outer field; None is a drop."""
    not_ect, ect1, ect0, ce = 0, 1, 2, 3
    columns = (not_ect, ect0, ect1, ce)
    figure = {
        not_ect: (not_ect, not_ect, not_ect, None),
        ect0: (ect0, ect0, ect1, ce),
        ect1: (ect1, ect1, ect1, ce),
        ce: (ce, ce, ce, ce),
    }
    cases = []
    for binding in ("plain", "pipe", "compatibility", "both"):
        for arriving, row in figure.items():
            for tunnel, result in zip(columns, row):
                # Class 26 within, 46 without: a pipe keeps the inner one.
                dscp = 26 if binding in ("pipe", "both") else 46

                def inner(traffic_class):
                    return IPv6(src=NODE[binding], dst=CORRESPONDENT, tc=traffic_class, fl=0x9ABCD, hlim=9) / UDP() / Raw(data(6))

                cases.append({
                    "binding": binding, "inner": arriving, "outer": tunnel,
                    "in": from_node(binding, inner(26 << 2 | arriving), tos=46 << 2 | tunnel).hex(),
                    "out": None if result is None else bytes(inner(dscp << 2 | result)).hex(),
                })
    return cases


def make_decapsulation():
    cases = []

    def case(name, binding, inner, expected=None, behind=b"", inner_behind=b"", **fields):
        """Bytes behind the outer packet, or behind the inner one within it, are no part of either."""
        cases.append({"name": name, "in": (from_node(binding, bytes(inner) + inner_behind, **fields) + behind).hex(),
                      "out": bytes(expected or inner).hex()})

    def inner(binding, upper=None, **fields):
        return IPv6(src=NODE[binding], dst=CORRESPONDENT, **{"hlim": 63, **fields}) / (upper or UDP(sport=9, dport=10) / Raw(data(20)))

    case("UDP", "plain", inner("plain"))
    case("TCP", "plain", inner("plain", TCP(sport=4, dport=5, flags="SA")))
    case("header alone", "plain", IPv6(src=NODE["plain"], dst=CORRESPONDENT, nh=59))
    case("hop limit 1", "plain", inner("plain", hlim=1))
    case("flow label", "plain", inner("plain", fl=0x54321))
    case("outer options", "plain", inner("plain"), options=[IPOption_Router_Alert()])
    case("40 bytes of outer options", "plain", inner("plain"), options=[IPOption_NOP()] * 40)
    case("don't fragment", "plain", inner("plain"), flags="DF")
    case("padding behind the outer packet", "plain", inner("plain"), behind=data(6))
    case("padding behind the inner packet", "plain", inner("plain"), inner_behind=data(11))
    case("both", "plain", inner("plain"), behind=data(3), inner_behind=data(5))
    case("larger than the tunnel MTU", "plain", inner("plain", Raw(data(1460)), nh=59))
    case("another endpoint", "elsewhere", inner("elsewhere"))
    case("prefix of one address", "host", inner("host"))
    case("DSCP taken over", "plain", inner("plain", tc=0x00), inner("plain", tc=0xB8), tos=0xB8)
    case("DSCP taken away", "plain", inner("plain", tc=0xB8), inner("plain", tc=0x00), tos=0x00)
    case("DSCP in a pipe", "pipe", inner("pipe", tc=0xB8), tos=0x28)
    case("DSCP and congestion", "plain", inner("plain", tc=0x2A), inner("plain", tc=0xBB), tos=0xBB)
    case("congestion in a pipe", "pipe", inner("pipe", tc=0x2A, fl=0xFFFFF), inner("pipe", tc=0x2B, fl=0xFFFFF), tos=0xBB)
    case("between nodes", "plain", IPv6(src=NODE["plain"], dst=NODE["pipe"]) / UDP() / Raw(data(2)))
    case("to a group of sites", "plain", IPv6(src=NODE["plain"], dst="ff05::1:3") / UDP() / Raw(data(2)))
    case("to a global group", "plain", IPv6(src=NODE["plain"], dst="ff0e::1") / UDP() / Raw(data(2)))
    return cases


def make_errors():
    cases = []

    def case(name, packet, message, behind=b""):
        """`message` is the ICMPv6 header; the quote fills the packet up to 1280 bytes (RFC 4443, 2.4 c)."""
        raw = bytes(packet)
        reply = IPv6(src=ERROR_SOURCE, dst=packet.src, hlim=64) / message / Raw(raw[:1280 - 48])
        expect(len(bytes(reply)) <= 1280, name)
        cases.append({"name": name, "in": (raw + behind).hex(), "out": bytes(reply).hex(), "isTooBig": isinstance(message, ICMPv6PacketTooBig)})

    case("1281 bytes for 1280", of_size(1281), ICMPv6PacketTooBig(mtu=1280))
    case("1500 bytes for 1280", of_size(1500, tc=0xB9, fl=0x12345), ICMPv6PacketTooBig(mtu=1280))
    case("1281 bytes for 1280, padding behind it", of_size(1281), ICMPv6PacketTooBig(mtu=1280), behind=data(50))
    case("1481 bytes for 1480", of_size(1481, "large"), ICMPv6PacketTooBig(mtu=1480))
    case("9000 bytes for 1280", of_size(9000), ICMPv6PacketTooBig(mtu=1280))
    case("echo request", to_node(upper=ICMPv6EchoRequest(data=data(1400))), ICMPv6PacketTooBig(mtu=1280))
    case("first fragment", to_node(upper=IPv6ExtHdrFragment(nh=58, m=1, offset=0, id=1) / ICMPv6EchoRequest(data=data(1400))),
         ICMPv6PacketTooBig(mtu=1280))
    case("neighbour solicitation is no error", to_node(upper=ICMPv6ND_NS(tgt="fe80::1") / Raw(data(1400))),
         ICMPv6PacketTooBig(mtu=1280))
    unbound = "2001:db8:9::1"
    case("no route", IPv6(src=CORRESPONDENT, dst=unbound) / UDP() / Raw(data(9)), ICMPv6DestUnreach(code=0))
    case("no route, odd length", IPv6(src=CORRESPONDENT, dst=unbound) / UDP() / Raw(data(8)), ICMPv6DestUnreach(code=0))
    case("no route, header alone", IPv6(src=CORRESPONDENT, dst=unbound, nh=59), ICMPv6DestUnreach(code=0))
    case("no route, 1232 bytes", IPv6(src=CORRESPONDENT, dst=unbound) / UDP() / Raw(data(1232 - 48)), ICMPv6DestUnreach(code=0))
    case("no route, 1233 bytes", IPv6(src=CORRESPONDENT, dst=unbound) / UDP() / Raw(data(1233 - 48)), ICMPv6DestUnreach(code=0))
    case("no route, 1500 bytes", IPv6(src=CORRESPONDENT, dst=unbound) / UDP() / Raw(data(1500 - 48)), ICMPv6DestUnreach(code=0))
    case("beside a prefix of one address", IPv6(src=CORRESPONDENT, dst="2001:db8:7::8") / UDP() / Raw(data(9)),
         ICMPv6DestUnreach(code=0))
    return cases


def make_unanswered():
    """Packets that are dropped without an error to their source (RFC 4443, 2.4 e)."""
    big = data(1400)
    quoted = IPv6(src=NODE["plain"], dst=CORRESPONDENT) / UDP() / Raw(big)
    options = IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(4))])
    packets = {
        "an error, destination unreachable": to_node(upper=ICMPv6DestUnreach() / quoted),
        "an error, packet too big": to_node(upper=ICMPv6PacketTooBig() / quoted),
        "an error, time exceeded": to_node(upper=ICMPv6TimeExceeded() / quoted),
        "an error of unknown type": to_node(upper=Raw(b"\x7f\x00\x00\x00" + big), nh=58),
        "an error behind options": to_node(upper=options / ICMPv6DestUnreach() / quoted),
        "an error in a first fragment": to_node(upper=IPv6ExtHdrFragment(nh=58, m=1, id=1) / ICMPv6DestUnreach() / quoted),
        "a redirect": to_node(upper=ICMPv6ND_Redirect(tgt="fe80::1", dst=CORRESPONDENT) / Raw(big)),
        "a later fragment, which may be of an error": to_node(upper=IPv6ExtHdrFragment(nh=58, offset=100, id=1) / Raw(big)),
        "a chain of options that is cut off": to_node(upper=Raw(b"\x3a\xff" + big), nh=60),
        "a chain of options that is too long": to_node(upper=Raw((b"\x3c\x00" + bytes(6)) * 9 + big), nh=60),
        "an unspecified source": to_node(upper=UDP() / Raw(big), source="::"),
        "a multicast source": to_node(upper=UDP() / Raw(big), source="ff02::1"),
        "a loopback source": to_node(upper=UDP() / Raw(big), source="::1"),
        "an IPv4-mapped source": to_node(upper=UDP() / Raw(big), source="::ffff:192.0.2.9"),
    }
    unbound = IPv6(src=CORRESPONDENT, dst="2001:db8:9::1")
    unrouted = {
        "an error to an address that is not bound": unbound / ICMPv6TimeExceeded() / quoted,
        "a redirect to an address that is not bound": unbound / ICMPv6ND_Redirect(tgt="fe80::1", dst=CORRESPONDENT),
        "three bytes of ICMPv6": IPv6(src=CORRESPONDENT, dst="2001:db8:9::1", nh=58) / Raw(b"\x80\x00\x00"),
        "an unspecified source, an address that is not bound": IPv6(src="::", dst="2001:db8:9::1") / UDP(),
        "a multicast source, an address that is not bound": IPv6(src="ff0e::1", dst="2001:db8:9::1") / UDP(),
    }
    return [{"name": name, "in": bytes(packet).hex(), "reason": reason}
            for reason, dropped in (("packet-too-big", packets), ("no-binding", unrouted)) for name, packet in dropped.items()]


def make_echoes():
    cases = []

    def case(name, message, behind=b"", **fields):
        request = IP(**{"src": "203.0.113.77", "dst": ENDPOINT, "id": 99, "ttl": 3, **fields}) / message
        fields = {"tos": fields.get("tos", 0)}
        seen = IP(bytes(request))
        reply = IP(src=seen.dst, dst=seen.src, id=1, ttl=64, **fields) / ICMP(type=0, id=message.id, seq=message.seq)
        reply = reply / Raw(bytes(message)[8:])
        cases.append({"name": name, "in": (bytes(request) + behind).hex(), "out": bytes(reply).hex()})

    case("no data", ICMP(type=8, id=1, seq=2))
    case("no data, all zero", ICMP(type=8, id=0, seq=0))
    case("data of zeroes", ICMP(type=8, id=0, seq=0) / Raw(bytes(56)))
    case("data of ones", ICMP(type=8, id=0xFFFF, seq=0xFFFF) / Raw(b"\xff" * 56))
    case("56 bytes", ICMP(type=8, id=1, seq=2) / Raw(data(56)))
    case("odd length", ICMP(type=8, id=1, seq=2) / Raw(data(57)))
    case("1472 bytes", ICMP(type=8, id=1, seq=2) / Raw(data(1472)))
    case("options", ICMP(type=8, id=1, seq=2) / Raw(data(10)), options=[IPOption_RR(routers=["0.0.0.0"] * 3)])
    case("40 bytes of options", ICMP(type=8, id=1, seq=2) / Raw(data(10)), options=[IPOption_NOP()] * 40)
    case("padding behind it", ICMP(type=8, id=1, seq=2) / Raw(data(10)), behind=data(18))
    case("options and padding", ICMP(type=8, id=1, seq=2) / Raw(data(3)), behind=data(9), options=[IPOption_Router_Alert()])
    case("traffic class", ICMP(type=8, id=1, seq=2), tos=0xB8)
    case("second endpoint", ICMP(type=8, id=1, seq=2), dst=OTHER_ENDPOINT)
    for checksum_of in (0x0000, 0xFFFF, 0xF7FF, 0x0800):
        # A sequence number that gives the request just that checksum.
        for sequence in range(65536):
            request = struct.pack("!BBHHH", 8, 0, 0, 0, sequence)
            if checksum(request) == checksum_of:
                case(f"checksum {checksum_of:#06x}", ICMP(type=8, id=0, seq=sequence))
                break
    return cases


def make_drops():
    """Each reason to drop, and packets that are dropped for it. The side they come from stands with them."""
    cases = []

    def case(reason, side, name, packet, before=()):
        """`before` are packets of the same side that come first, each with the reason for which it is dropped; without
        one it is absorbed."""
        cases.append({"reason": reason, "side": side, "name": name, "in": bytes(packet).hex(),
                      "before": [{"in": bytes(earlier).hex(), "reason": why} for why, earlier in before]})

    inner = IPv6(src=NODE["plain"], dst=CORRESPONDENT) / UDP() / Raw(data(4))
    good = from_node("plain", inner)
    bare = bytes(to_node())

    def resum(raw):
        header = raw[:10] + b"\0\0" + raw[12:]
        length = (raw[0] & 15) * 4
        return header[:10] + struct.pack("!H", checksum(header[:length])) + header[12:]

    for side in ("home", "access"):
        case("empty", side, "no bytes", b"")
    for nibble in (0, 5, 7, 15):
        case("not-ip", "access", f"version {nibble}", bytes([nibble << 4 | 5]) + good[1:])
        case("not-ip", "home", f"version {nibble}", bytes([nibble << 4]) + bare[1:])
    case("ipv6-not-carried", "access", "no tunnel", bare)
    case("ipv6-not-carried", "access", "one byte of IPv6", b"\x60")
    for length in (1, 19):
        case("ipv4-truncated", "access", f"{length} bytes", good[:length])
    case("ipv4-header-length", "access", "16 bytes", resum(b"\x44" + good[1:]))
    case("ipv4-header-length", "access", "past the end", b"\x4f" + good[1:40])
    case("ipv4-total-length", "access", "below the header", resum(good[:2] + b"\x00\x13" + good[4:]))
    case("ipv4-total-length", "access", "past the end", good[:-1])
    case("ipv4-checksum", "access", "one off", good[:10] + struct.pack("!H", struct.unpack("!H", good[10:12])[0] ^ 1) + good[12:])
    for length in (1, 39):
        case("ipv6-truncated", "home", f"{length} bytes", bare[:length])
    case("ipv6-truncated", "access", "39 bytes in the tunnel", from_node("plain", bytes(inner)[:39]))
    case("ipv6-payload-length", "home", "past the end", bare[:-1])
    case("ipv6-payload-length", "access", "past the end of the outer packet", from_node("plain", bytes(inner)[:-1]))
    case("ipv6-payload-length", "access", "within padding only", from_node("plain", bytes(inner)[:-4]) + bytes(4))
    case("no-binding", "home", "an address that is not bound", IPv6(src=CORRESPONDENT, dst="2001:db8:9::1") / UDP())
    case("no-binding", "home", "IPv4", IP(src="198.51.100.1", dst="198.51.100.7") / UDP())
    for scope in (0, 1):
        group = f"ff0{scope}::1"
        case("multicast-not-carried", "home", f"to {group}", IPv6(src=CORRESPONDENT, dst=group) / UDP())
        case("multicast-not-carried", "access", f"from a node to {group}",
             from_node("plain", IPv6(src=NODE["plain"], dst=group) / UDP()))
    for group in ("ff02::1", "ff0e::1", "ff3e::1234", "ff0f::1"):
        case("no-group-member", "home", f"to {group}", IPv6(src=CORRESPONDENT, dst=group) / UDP())
    case("no-group-member", "home", "from a link-local address to ff02::1", IPv6(src="fe80::1", dst="ff02::1") / UDP())
    case("no-group-member", "home", "from no address to ff02::1:ff00:1",
         IPv6(src="::", dst="ff02::1:ff00:1", hlim=255) / ICMPv6ND_NS(tgt="fe80::1"))
    case("link-local", "home", "source", IPv6(src="fe80::1", dst=NODE["plain"]) / UDP())
    case("link-local", "home", "destination", IPv6(src=CORRESPONDENT, dst="fe80::1") / UDP())
    case("link-local", "access", "inner source", from_node("plain", IPv6(src="fe80::1", dst=CORRESPONDENT) / UDP()))
    case("link-local", "home", "to a node of which it is not known", IPv6(src="fe80::1", dst="fe80::2") / UDP())
    case("link-local", "home", "to a global group", IPv6(src="fe80::1", dst="ff0e::1") / UDP())
    case("link-local", "access", "to a global group", from_node("plain", IPv6(src="fe80::1", dst="ff0e::1") / UDP()))
    case("link-local", "access", "from a global address to the link's group",
         from_node("plain", IPv6(src=NODE["plain"], dst="ff02::1") / UDP()))
    case("link-local", "access", "inner destination", from_node("plain", IPv6(src=NODE["plain"], dst="febf::1") / UDP()))
    case("packet-too-big", "home", "1281 bytes", of_size(1281))
    case("not-for-endpoint", "access", "protocol 41 to another", from_node("plain", inner, dst="192.0.2.99"))
    case("not-for-endpoint", "access", "protocol 41 to another binding's endpoint", from_node("plain", inner, dst=OTHER_ENDPOINT))
    case("not-for-endpoint", "access", "UDP to another", IP(src="203.0.113.9", dst="192.0.2.99") / UDP(sport=434, dport=434))
    case("not-for-endpoint", "access", "echo request to another", IP(src="203.0.113.9", dst="192.0.2.99") / ICMP())
    make_fragment_drops(case)
    make_link_drops(case)
    for protocol in (0, 2, 6, 17, 50, 58, 255):
        case("unsupported-protocol", "access", f"protocol {protocol}", IP(src="203.0.113.9", dst=ENDPOINT, proto=protocol) / Raw(data(32)))
    endpoint = IP(src="203.0.113.9", dst=ENDPOINT)
    case("icmpv4-ignored", "access", "echo reply", endpoint / ICMP(type=0))
    case("icmpv4-ignored", "access", "fragmentation needed", endpoint / ICMP(type=3, code=4) / Raw(good))
    case("icmpv4-ignored", "access", "echo request with a code", endpoint / ICMP(type=8, code=1))
    case("icmpv4-malformed", "access", "no message", IP(src="203.0.113.9", dst=ENDPOINT, proto=1))
    case("icmpv4-malformed", "access", "7 bytes", IP(src="203.0.113.9", dst=ENDPOINT, proto=1) / Raw(bytes(ICMP())[:7]))
    case("icmpv4-malformed", "access", "wrong checksum", endpoint / ICMP(type=8, chksum=0x1234))
    for source in ("0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.255.255", "224.0.0.1", "239.1.2.3", "240.0.0.1", "255.255.255.255"):
        case("outer-source-invalid", "access", f"protocol 41 from {source}", from_node("plain", inner, src=source))
    case("outer-source-invalid", "access", "echo request from 224.0.0.1", IP(src="224.0.0.1", dst=ENDPOINT) / ICMP())
    case("inner-version", "access", "IPv4 in protocol 41", from_node("plain", IP(src="198.51.100.7", dst="198.51.100.1") / UDP()))
    case("inner-version", "access", "nothing in the tunnel", from_node("plain", b""))
    case("inner-version", "access", "version 0", from_node("plain", bytes(60)))
    for source in ("::", "::1", "::192.0.2.1", "::ffff:192.0.2.1", "ff02::1", "ff0e::9"):
        case("inner-source-invalid", "access", source, from_node("plain", IPv6(src=source, dst=CORRESPONDENT) / UDP()))
    for source in (CORRESPONDENT, "2001:db8:1:1::9", "2001:db8:7::8", "2001:db8:0:ffff:ffff:ffff:ffff:ffff"):
        case("inner-source-unregistered", "access", source, from_node("plain", IPv6(src=source, dst=CORRESPONDENT) / UDP()))
    case("outer-source-mismatch", "access", "another address", from_node("plain", inner, src="203.0.113.200"))
    case("outer-source-mismatch", "access", "another node's", from_node("pipe", inner))
    case("outer-source-mismatch", "access", "the endpoint's", from_node("plain", inner, src=ENDPOINT))
    case("ecn-not-capable", "access", "congestion on a packet that is not capable", from_node("plain", inner, tos=3))
    return cases


def make_fragment_drops(case):
    """RFC 791, 3.2; RFC 1858; RFC 3128: fragments that can't be of one datagram. Each case has a datagram of its own."""
    identification = 0xF000

    def drop(reason, name, fragment, before=()):
        """Fragments as places in the datagram's payload: first, behind the last, whether others follow. Those
        before it have the reason for which they are dropped in front."""
        nonlocal identification
        identification += 1

        def packet(first, end, more=True, load=None):
            load = load or bytes(index & 0xFF for index in range(first, end))
            return IP(src=CARE_OF["plain"], dst=ENDPOINT, proto=41, id=identification, frag=first // 8,
                      flags="MF" if more else 0) / Raw(load)

        case(reason, "access", name, packet(*fragment), [(why, packet(*earlier)) for why, *earlier in before])

    drop("fragment-length", "no payload", (8, 8))
    drop("fragment-length", "no payload in the last", (8, 8, False))
    for length in (1, 7, 9, 1001):
        drop("fragment-length", f"{length} bytes that others follow", (0, length))
    drop("fragment-length", "the last, past 65,535 bytes", (65_512, 65_516, False))
    drop("fragment-length", "the furthest there can be", (65_528, 65_529, False))
    drop("fragment-length", "past 65,535 bytes, with others behind it", (65_512, 65_520))
    drop("fragment-length", "behind the last", (24, 32), [(None, 16, 20, False)])
    drop("fragment-length", "another last, before the first one", (16, 24, False), [(None, 32, 40, False)])
    drop("fragment-length", "another last, behind the first one", (32, 40, False), [(None, 16, 24, False)])
    drop("fragment-length", "a last before what is there", (8, 16, False), [(None, 32, 40)])
    drop("fragment-length", "a last that ends within another", (24, 28, False), [(None, 0, 32)])
    two = [(None, 0, 80), (None, 160, 240)]
    for name, first, end in (
        ("into the first", 72, 88), ("out of the first", 40, 160), ("into the next", 152, 168), ("within another", 8, 16),
        ("the beginning of another", 160, 168), ("the end of another", 72, 80), ("around another", 80, 320),
        ("over two", 72, 168), ("the first eight bytes anew", 0, 8), ("past the first", 0, 160),
    ):
        drop("fragment-overlap", name, (first, end), two)
    drop("fragment-overlap", "the last, into another", (232, 250, False), two)
    for _, first, end in two:
        drop("fragment-duplicate", f"{first} to {end}", (first, end), two)
    drop("fragment-duplicate", "the last", (240, 243, False), [(None, 240, 243, False)])
    drop("fragment-duplicate", "with other bytes", (0, 80, True, bytes(80)), two)
    drop("fragment-limit", "the 65th", (512, 520), [(None, 8 * index, 8 * index + 8) for index in range(64)])
    for name, spoiler in {
        "overlap": ("fragment-overlap", 72, 88), "another end": ("fragment-length", 160, 168, False),
    }.items():
        for what, fragment in {"what was missing": (80, 160), "the last": (240, 250, False), "what was there": (0, 80)}.items():
            drop("fragment-spoiled", f"{what}, behind an {name}", fragment, [*two, spoiler])
    drop("fragment-spoiled", "the 66th", (520, 528),
         [*((None, 8 * index, 8 * index + 8) for index in range(64)), ("fragment-limit", 512, 520)])


def make_link_drops(case):
    """What belongs to the link that a tunnel is: RFC 4861, 7.1; RFC 2710, 3; RFC 3810, 5."""
    def access(name, inner):
        case(name[0], "access", name[1], from_node("plain", inner))

    link = {"src": "fe80::9", "dst": "fe80::c000:201"}
    for hop_limit in (0, 1, 64, 254):
        access(("neighbor-hop-limit", f"a solicitation of hop limit {hop_limit}"),
               IPv6(**link, hlim=hop_limit) / ICMPv6ND_NS(tgt="fe80::c000:201"))
    for name, message in {
        "a router solicitation": ICMPv6ND_RS(), "a router advertisement": ICMPv6ND_RA(),
        "an advertisement": ICMPv6ND_NA(tgt="fe80::9"), "a redirect": ICMPv6ND_Redirect(tgt="fe80::9", dst="fe80::9"),
    }.items():
        access(("neighbor-hop-limit", name), IPv6(**link, hlim=64) / message)
    access(("neighbor-hop-limit", "a solicitation to a group"),
           IPv6(src="fe80::9", dst="ff02::1:ff00:201", hlim=64) / ICMPv6ND_NS(tgt="fe80::c000:201"))
    access(("neighbor-hop-limit", "behind options"),
           IPv6(**link, hlim=64) / IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(4))]) / ICMPv6ND_NS(tgt="fe80::c000:201"))

    alert = IPv6ExtHdrHopByHop(options=[RouterAlert()])
    report = ICMPv6MLReport2(records=[ICMPv6MLDMultAddrRec(rtype=4, dst="ff3e::1234")])
    listener = {"src": "fe80::9", "dst": "ff02::16"}
    for hop_limit in (0, 2, 64, 255):
        access(("listener-malformed", f"hop limit {hop_limit}"), IPv6(**listener, hlim=hop_limit) / alert / report)
    access(("listener-malformed", "no router alert"), IPv6(**listener, hlim=1) / report)
    access(("listener-malformed", "options without a router alert"),
           IPv6(**listener, hlim=1) / IPv6ExtHdrHopByHop(options=[PadN(optdata=bytes(4))]) / report)
    wrong = report.copy()
    wrong.cksum = 0x1234
    access(("listener-malformed", "a wrong checksum"), IPv6(**listener, hlim=1) / alert / wrong)
    access(("listener-malformed", "three bytes"), IPv6(**listener, hlim=1, nh=0) / IPv6ExtHdrHopByHop(
        nh=58, options=[RouterAlert()]) / Raw(b"\x8f\0\0"))
    for kind in (130, 131, 132):
        access(("listener-malformed", f"type {kind} of hop limit 255"), IPv6(**listener, hlim=255) / alert / {
            130: ICMPv6MLQuery(), 131: ICMPv6MLReport(mladdr="ff3e::1234"), 132: ICMPv6MLDone(mladdr="ff3e::1234")}[kind])


def make_forwarding():
    save("forwarding", {
        "endpoint": ENDPOINT, "otherEndpoint": OTHER_ENDPOINT, "errorSource": ERROR_SOURCE, "bindings": BINDINGS,
        "encapsulation": make_encapsulation(), "outerHeaders": make_outer_headers(),
        "timesToLive": make_times_to_live(), "congestion": make_congestion(), "decapsulation": make_decapsulation(),
        "errors": make_errors(), "unanswered": make_unanswered(), "echoes": make_echoes(), "drops": make_drops(),
    })


if __name__ == "__main__":
    make_addresses()
    make_wire()
    make_forwarding()
