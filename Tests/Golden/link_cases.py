"""Link types, byte orders and both formats of the inputs."""

import struct

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, CookedLinux, Dot1AD, Dot1Q, Ether, LLC
from scapy.packet import Raw

from golden import (
    MILLISECOND, START, Case, pcapng_block, pcapng_interface, pcapng_option, pcapng_packet, pcapng_section,
    pcapng_simple_packet, vectors,
)

MAC = {"src": "02:00:00:00:00:01", "dst": "45:60:00:00:00:02"}


def is_ipv4(packet):
    return packet[0] >> 4 == 4


def ether_type(packet):
    return 0x0800 if is_ipv4(packet) else 0x86DD


def inner():
    return IPv6(src=vectors.NODE["plain"], dst=vectors.CORRESPONDENT) / UDP(sport=9, dport=10) / Raw(b"from the node")


def simple(name, shows, link_type=101, framing=None, **pcap):
    """One packet each way."""
    case = Case(name, shows, link_type=link_type, framing=framing, **pcap)
    packet = vectors.to_node()
    case.encapsulated(packet, vectors.outer("plain", packet))
    case.decapsulated(vectors.from_node("plain", inner()), inner())
    return case


def one_way(name, shows, side, link_type):
    case = Case(name, shows, link_type=link_type)
    if side == "home":
        packet = vectors.to_node()
        case.encapsulated(packet, vectors.outer("plain", packet))
        case.dropped("home", vectors.from_node("plain", inner()), "not-ip")
    else:
        case.decapsulated(vectors.from_node("plain", inner()), inner())
        case.dropped("access", bytes(vectors.to_node()), "not-ip")
    return case


def cooked(packet):
    return bytes(CookedLinux(pkttype=0, lladdrtype=1, lladdrlen=6, src=b"\2\0\0\0\0\1", proto=ether_type(packet))) + packet


def cooked2(packet):
    return struct.pack("!HHIHBB8s", ether_type(packet), 0, 2, 1, 0, 6, b"\2\0\0\0\0\1") + packet


def family(order, ipv6=10):
    return lambda packet: struct.pack(order + "I", 2 if is_ipv4(packet) else ipv6) + packet


def tagged(*tags):
    def frame(packet):
        layers = Ether(**MAC)
        for kind, number in tags:
            layers = layers / kind(vlan=number)
        layers.lastlayer().type = ether_type(packet)
        return bytes(layers) + packet
    return frame


def untagged(packet):
    """Padded to the 60 bytes that Ethernet has at the least."""
    frame = bytes(Ether(type=ether_type(packet), **MAC)) + packet
    return frame + bytes(max(0, 60 - len(frame)))


def old_tag(packet):
    return bytes(Ether(type=0x9100, **MAC)) + struct.pack("!HHHH", 5, 0x8100, 6, ether_type(packet)) + packet


def make():
    cases = [
        simple("link-raw", "Link type 101, raw IP."),
        simple("link-raw-12", "Link type 12, raw IP on some systems.", 12),
        simple("link-raw-14", "Link type 14, raw IP on OpenBSD.", 14),
        one_way("link-ipv4", "Link type 228, IPv4; what is another version is no IP.", "access", 228),
        one_way("link-ipv6", "Link type 229, IPv6; what is another version is no IP.", "home", 229),
        simple("link-ethernet", "Link type 1, Ethernet, padded.", 1, untagged),
        simple("link-ethernet-vlan", "Ethernet with a tag of 802.1Q.", 1, tagged((Dot1Q, 7))),
        simple("link-ethernet-provider", "Ethernet with a tag of 802.1ad and one of 802.1Q.", 1, tagged((Dot1AD, 7), (Dot1Q, 8))),
        simple("link-ethernet-stacked", "Ethernet with four tags.", 1, tagged(*[(Dot1Q, number) for number in (1, 2, 3, 4)])),
        simple("link-ethernet-old-tag", "Ethernet with stacked tags as they were before 802.1ad, 0x9100.", 1, old_tag),
        simple("link-cooked", "Link type 113, Linux cooked.", 113, cooked),
        simple("link-cooked-2", "Link type 276, Linux cooked, version 2.", 276, cooked2),
        simple("link-null-little", "Link type 0, null, captured on a little-endian Linux.", 0, family("<")),
        simple("link-null-big", "Link type 0, null, captured on a big-endian FreeBSD.", 0, family(">", 28)),
        simple("link-null-macos", "Link type 0, null, captured on macOS.", 0, family("<", 30)),
        simple("link-loopback", "Link type 108, loopback of OpenBSD, always big-endian.", 108, family(">", 24)),
        simple("pcap-big-endian", "A pcap file of the other byte order.", order=">"),
        nanoseconds(), not_ip(), not_ip_cooked(), cut_frames(), pcapng(), pcapng_big_endian(), pcapng_clocks(),
    ]
    return cases


def nanoseconds():
    case = simple("pcap-nanoseconds", "Times in nanoseconds come out as they went in.", nanoseconds=True)
    case.step = 1
    packet = vectors.to_node()
    for _ in range(3):
        case.encapsulated(packet, vectors.outer("plain", packet))
    return case


def not_ip():
    case = Case("link-not-ip", "Ethernet frames that are no IP, or whose packet is of another version than they say.", link_type=1)
    packet = bytes(vectors.to_node())
    ether = bytes(Ether(type=0x86DD, **MAC))
    frames = [
        bytes(Ether(type=0x0806, **MAC) / ARP()), bytes(Ether(type=0x8847, **MAC)) + b"\0\0\x11\x40" + packet,
        bytes(Ether(type=0x0800, **MAC)) + packet, ether + vectors.from_node("plain", inner()),
        bytes(Ether(type=len(packet) + 3, **MAC) / LLC()) + packet, ether + b"\x50" + packet[1:],
        ether[:13], ether[:1], b"", bytes(Ether(type=0x8100, **MAC)), bytes(Ether(type=0x8100, **MAC)) + b"\0\7\x86",
        bytes(Ether(type=0x8100, **MAC)) + b"\0\7\x81\0" * 400, bytes(Ether(type=0x8100, **MAC)) + b"\0\7\x08\x06" + packet,
    ]
    for side in ("home", "access"):
        for frame in frames:
            case.dropped(side, frame, "not-ip")
    case.dropped("home", ether, "empty")
    case.dropped("access", bytes(Ether(type=0x0800, **MAC)), "empty")
    return case


def not_ip_cooked():
    case = Case("link-not-ip-null", "Null frames of other families, or cut off within the family.", link_type=0)
    packet = bytes(vectors.to_node())
    for head in (b"\2\0\0\0", b"\0\0\0\2", b"\x1d\0\0\0", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x0a\0\0\x0a"):
        case.dropped("home", head + packet, "not-ip")
    for length in range(4):
        case.dropped("home", b"\x0a\0\0\0"[:length], "not-ip")
    case.dropped("home", b"\x0a\0\0\0", "empty")
    return case


def cut_frames():
    """Only the beginning was captured; the padding of the last frame alone is missing."""
    case = Case("snapshot-length", "Packets cut by the snapshot length are dropped by what their headers promise.", "T7", link_type=1, framing=untagged)
    packet, outer = bytes(vectors.to_node()), vectors.from_node("plain", inner())
    for length, reason in ((14, "empty"), (15, "ipv6-truncated"), (53, "ipv6-truncated"), (54, "ipv6-payload-length"),
                           (13 + len(packet), "ipv6-payload-length"), (13, "not-ip"), (0, "not-ip")):
        case.dropped("home", packet, reason, captured=length)
    for length, reason in ((14, "empty"), (33, "ipv4-truncated"), (34, "ipv4-total-length"), (13 + len(outer), "ipv4-total-length")):
        case.dropped("access", outer, reason, captured=length)
    small = IPv6(src=vectors.CORRESPONDENT, dst=vectors.NODE["plain"], nh=59)
    case.encapsulated(small, vectors.outer("plain", small))
    time, frame, length = case.inputs["home"].pop()
    case.inputs["home"].append((time, frame[:14 + 40], length))
    return case


def pcapng():
    case = Case("pcapng", "pcapng: interfaces of several link types, blocks to pass over, packets of all three kinds.")
    out = bytes(vectors.to_node())
    unit = START // 1000
    blocks = [
        pcapng_section(), pcapng_interface(1, 65535, pcapng_option(2, b"eth0") + pcapng_option(0, b"")),
        pcapng_interface(101, 262144), pcapng_block(0xBAD, b"unknown"), pcapng_interface(113),
        pcapng_packet(0, unit, untagged(out)), pcapng_packet(1, unit + 1, out, options=pcapng_option(1, b"comment")),
        pcapng_block(4, struct.pack("<HH", 0, 0)), pcapng_packet(2, unit + 2, cooked(out)),
        pcapng_block(2, struct.pack("<HHIIII", 1, 0, (unit + 3) >> 32, (unit + 3) & 0xFFFFFFFF, len(out), len(out)) + out),
        pcapng_simple_packet(untagged(out)),
        # A second section has interfaces of its own.
        pcapng_section(">"), pcapng_interface(101, order=">"), pcapng_packet(0, unit + 4, out, order=">"),
        pcapng_block(5, struct.pack(">III", 0, 0, 0), ">"),
    ]
    case.files["home-in.pcap"] = b"".join(blocks)
    times = [unit, unit + 1, unit + 2, unit + 3, unit + 3, unit + 4]
    case.count_received("home", len(times))
    for number, time in enumerate(times, start=1):
        case.transmits("access", vectors.outer("plain", vectors.to_node(), identification=number), time * 1000)
    return case


def pcapng_big_endian():
    case = Case("pcapng-big-endian", "pcapng of the other byte order, a simple packet cut by the snapshot length.")
    packet = vectors.from_node("plain", inner())
    case.files["access-in.pcap"] = b"".join([
        pcapng_section(">"), pcapng_interface(101, len(packet) - 1, order=">"),
        pcapng_packet(0, START // 1000, packet, order=">"),
        pcapng_block(3, struct.pack(">I", len(packet)) + packet[:-1], ">"),
    ])
    case.count_received("access", 2)
    case.transmits("home", inner(), START)
    case.count_drops("ipv4-total-length")
    return case


def pcapng_clocks():
    case = Case("pcapng-clocks", "Interfaces whose clocks tick in seconds, milliseconds, nanoseconds, 2^-10 seconds, and with an offset.")
    out = bytes(vectors.to_node())
    second = START // 1_000_000_000
    clocks = [(0, second, START), (3, second * 1000 + 1, START + MILLISECOND), (9, START + 2_000_001, START + 2_000_001),
              (0x80 | 10, second * 1024 + 256, START + 250_000_000), (10, (START + 300_000_000) * 10 + 9, START + 300_000_000)]
    blocks = [pcapng_section()]
    blocks += [pcapng_interface(101, options=pcapng_option(9, bytes([resolution]))) for resolution, _, _ in clocks]
    blocks += [pcapng_interface(101, options=pcapng_option(14, struct.pack("<q", second)))]
    blocks += [pcapng_packet(index, units, out) for index, (_, units, _) in enumerate(clocks)]
    blocks += [pcapng_packet(len(clocks), 400_000, out)]
    case.files["home-in.pcap"] = b"".join(blocks)
    case.count_received("home", len(clocks) + 1)
    for number, time in enumerate([time for _, _, time in clocks] + [START + 400 * MILLISECOND], start=1):
        case.transmits("access", vectors.outer("plain", vectors.to_node(), identification=number), time)
    return case
