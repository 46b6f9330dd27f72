"""Runs of packets of one flow that come at one time, into and out of each kind of tunnel: what a kernel joins into
super-frames. A replay hands them over one by one; the tests join them, and what comes out must be the same."""

import random

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw

from golden import Case, tunnels
from kind_cases import ToNode, bindings

# Those whose headers are alike for all packets: a super-frame may be in them.
CARRYING = ("direct", "gre", "udp", "pipe")


def tcp(head, count, size, last, **fields):
    """Segments of a connection with timestamps; the last has `last` bytes and pushes."""
    data = random.Random(count * size + last).randbytes((count - 1) * size + last)
    packets = []
    for number in range(count):
        flags = "PA" if number == count - 1 else "A"
        transport = TCP(**{"sport": 443, "dport": 50_000, "seq": 0xFFFF_FF00 + number * size & 0xFFFF_FFFF, "ack": 77,
                           "flags": flags, "window": 501, "options": [("NOP", None), ("NOP", None), ("Timestamp", (9, 8))],
                           **fields})
        packets.append(head(number) / transport / Raw(data[number * size:(number + 1) * size]))
    return packets


def udp(head, count, size, last, **fields):
    data = random.Random(count * size + last).randbytes((count - 1) * size + last)
    return [head(number) / UDP(**{"sport": 4433, "dport": 50_001, **fields}) / Raw(data[number * size:(number + 1) * size])
            for number in range(count)]


def by_turns(first, second, run):
    """Both flows in runs of so many packets."""
    packets = []
    while first or second:
        packets += first[:run] + second[:run]
        first, second = first[run:], second[run:]
    return packets


def flows(ipv4, ipv6):
    """What a kernel joins, and what it must not. `ipv4` and `ipv6` make the header of the packet of a number."""
    def fixed(**fields):
        return lambda number: ipv4(number, **{"flags": "DF", "tos": 0x2A, **fields})

    def loose(number):
        return ipv4(0xFF98 + number)

    bursts = [
        tcp(fixed(), 12, 200, 37), udp(loose, 9, 120, 33), udp(fixed(), 70, 24, 24),
        by_turns(tcp(fixed(tos=0), 9, 100, 100), udp(loose, 9, 60, 60), 3),
    ]
    # Another TTL, another class, a number left out, a window that is another.
    broken = tcp(fixed(), 16, 50, 50, sport=444)
    broken[3].ttl -= 1
    broken[6].tos ^= 4
    del broken[9]
    broken[11][TCP].window = 7
    bursts.append(broken)
    # A checksum that is wrong stays so.
    wrong = udp(loose, 8, 70, 70, sport=4434)
    wrong[4][UDP].chksum = 0x1234
    bursts.append(wrong)
    if ipv6:
        reduced = tcp(ipv6, 8, 150, 150, sport=445)
        reduced[0][TCP].flags = "CA"
        ended = tcp(ipv6, 5, 90, 10, sport=446)
        ended[-1][TCP].flags = "FPA"
        bursts += [tcp(ipv6, 12, 200, 200), udp(ipv6, 9, 120, 33), by_turns(reduced, udp(ipv6, 8, 40, 40), 4), ended]
    return bursts


def to_node(name):
    case = Case(f"flows-{name}-encapsulate", f"Runs of packets of TCP and UDP that come at one time, to a node whose binding is {name}.",
                "H9, H10, T8, T9, T10", bindings([name]))
    node = ToNode(case, name)
    case.step = 0

    def ipv4(number, **fields):
        return IP(**{"src": tunnels.CORRESPONDENT, "dst": tunnels.home(name), "id": 100 + number & 0xFFFF, "ttl": 61, **fields})

    def ipv6(by_home):
        return lambda number: IPv6(src=tunnels.CORRESPONDENT6, dst=tunnels.node6(name, by_home), tc=0x2A, fl=0x12345, hlim=61)

    def burst(packets, send):
        case.time += 1_000_000
        for packet in packets:
            send(packet)

    for packets in flows(ipv4, None if tunnels.is_minimal(name) else ipv6(False)):
        burst(packets, node.send)
    for packets in (tcp(ipv6(True), 6, 200, 9), udp(ipv6(True), 6, 200, 9)):
        burst(packets, lambda packet: node.send(packet, by_home=True))
    # Datagrams that are fragmented, and then what is small again.
    large = udp(ipv4, 4, 1400, 1400)
    burst(large, node.send_in_fragments)
    burst(udp(ipv4, 3, 100, 100), node.send)
    if name in CARRYING:
        # More than a packet can have, with headers before it.
        burst(tcp(ipv6(False), 56, 1200, 1200), node.send)
    return case


def from_node(name):
    case = Case(f"flows-{name}-decapsulate", f"Runs of packets of TCP and UDP that come at one time, of a node whose binding is {name}.",
                "H12, T7, T8, T9, T10", bindings([name]))
    case.step = 0
    sequence = 0

    def ipv4(number, **fields):
        return IP(**{"src": tunnels.home(name), "dst": tunnels.CORRESPONDENT, "id": 100 + number & 0xFFFF, "ttl": 63, **fields})

    def ipv6(by_home):
        return lambda number: IPv6(src=tunnels.node6(name, by_home), dst=tunnels.CORRESPONDENT6, tc=0x2A, fl=0x12345, hlim=63)

    def come(packet, by_home=False, tos=None, out=None):
        nonlocal sequence
        class_ = packet.tc if packet.version == 6 else packet.tos
        inner = tunnels.from_home(name, packet, class_) if by_home else packet
        outer = tunnels.tunnelled(
            name, inner, tunnels.care_of(name), tunnels.ENDPOINT, 0xFFF0 + sequence & 0xFFFF, sequence=sequence,
            tos=class_ if tos is None else tos, port=40000, ttl=57, flags=0)
        sequence += 1
        case.decapsulated(bytes(outer), bytes(packet if out is None else out))

    for packets in flows(ipv4, None if tunnels.is_minimal(name) else ipv6(False)):
        case.time += 1_000_000
        for packet in packets:
            come(packet)
    for packets in (tcp(ipv6(True), 6, 200, 9), udp(ipv6(True), 6, 200, 9)):
        case.time += 1_000_000
        for packet in packets:
            come(packet, by_home=True)
    if tunnels.is_minimal(name):
        return case
    # Congestion marked on the way, in the middle of a run.
    dscp = 0x88 if name == "pipe" else 0x28
    for packets in (tcp(ipv6(False), 12, 80, 80, sport=447), udp(ipv6(False), 12, 80, 80, sport=448)):
        case.time += 1_000_000
        for number, packet in enumerate(packets):
            packet.tc = 0x8A
            out = packet.copy()
            is_marked = 4 <= number < 8
            out.tc = dscp | (3 if is_marked else 2)
            come(packet, tos=0x2B if is_marked else 0x2A, out=out)
    if name in CARRYING:
        case.time += 1_000_000
        for packet in tcp(ipv6(False), 56, 1200, 1200):
            come(packet)
    return case


def make():
    return [make(name) for name in tunnels.BINDINGS for make in (to_node, from_node)]
