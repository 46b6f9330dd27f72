"""Fragments of tunnel packets: RFC 791, 3.2; RFC 4213, 3.6; RFC 1858.

Fragments are cut by scapy. Each datagram has an identification of its own, where the case does not say otherwise.
"""

import random

from scapy.layers.inet import ICMP, IP, UDP, IPOption_NOP, IPOption_Router_Alert
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw

from golden import Case, tunnels
from kind_cases import bindings

SECOND = 1_000_000_000


def make():
    return [whole(), orders(), interleaved(), from_home(), of_fragments(), options(), age(), too_many(), largest(),
            small(), hostile(), not_tunnels(), for_others()]


class Sender:
    """A node whose datagrams have identifications and sequence numbers of their own."""

    def __init__(self, case):
        self.case, self.identification, self.sequences = case, 0x100, {}

    def next_identification(self):
        self.identification += 1
        return self.identification

    def sequence(self, name):
        number = self.sequences.get(name, 0)
        self.sequences[name] = number + 1
        return number

    def outer(self, name, inner, **fields):
        packet = IP(bytes(tunnels.from_node(name, inner, sequence=self.sequence(name), **fields)))
        # Minimal encapsulation keeps that of the packet itself.
        return packet if tunnels.is_minimal(name) else anew(packet, id=self.next_identification())

    def fragments(self, name, inner, size=1000, **fields):
        return self.outer(name, inner, **fields).fragment(size)


def anew(packet, **fields):
    """A packet with other header fields."""
    packet = packet.copy()
    for name, value in fields.items():
        setattr(packet, name, value)
    del packet.chksum
    return IP(bytes(packet))


def large(name, length=3000, **fields):
    fields = {"src": tunnels.home(name), "dst": tunnels.CORRESPONDENT, "ttl": 63, "id": 99, **fields}
    return IP(**fields) / UDP(sport=1, dport=2) / tunnels.payload(length)


def large6(name, by_home=False, length=3000, **fields):
    fields = {"src": tunnels.node6(name, by_home), "dst": tunnels.CORRESPONDENT6, "hlim": 63, **fields}
    return IPv6(**fields) / UDP(sport=3, dport=4) / tunnels.payload(length)


def whole():
    case = Case("fragments-in", "Fragments of each kind of tunnel, in order, in reverse, and in two pieces only.",
                "T7, T10, H12, N1", bindings())
    sender = Sender(case)
    for name in tunnels.BINDINGS:
        inners = [large(name), tunnels.from_home(name, large6(name, True))]
        expected = [inners[0], large6(name, True)]
        if not tunnels.is_minimal(name):
            inners.append(large6(name))
            expected.append(large6(name))
        for inner, out in zip(inners, expected):
            case.joins(sender.fragments(name, inner), out)
            case.joins(sender.fragments(name, inner)[::-1], out)
            case.joins(sender.fragments(name, inner, 2000), out)
        direct = IP(src=tunnels.home(name), dst=tunnels.ENDPOINT, proto=41, id=sender.next_identification())
        case.joins(IP(bytes(direct / large6(name, True))).fragment(1400), large6(name, True))
    return case


def orders():
    case = Case("fragments-in-any-order", "A datagram of ten fragments in 40 orders.", "T7", bindings(["direct"]))
    sender, shuffled = Sender(case), random.Random(5454)
    for number in range(40):
        inner = large("direct", 2000, id=number)
        fragments = sender.fragments("direct", inner, 208)
        shuffled.shuffle(fragments)
        case.joins(fragments, inner)
    return case


def interleaved():
    case = Case("fragments-in-interleaved", "Fragments of many datagrams by turns; and of two nodes, two protocols and two "
                "destinations that use one identification.", "T7", bindings())
    sender = Sender(case)
    datagrams = []
    for number in range(50):
        inner = large("direct", 1500 + number, id=number)
        datagrams.append((sender.fragments("direct", inner, 600), inner))
    for place in range(2):
        for fragments, _ in datagrams:
            case.absorbs("access", bytes(fragments[place]))
    for fragments, inner in datagrams:
        if len(fragments) != 3:
            raise SystemExit("each datagram has three fragments")
        case.decapsulated(bytes(fragments[2]), bytes(inner))
    alike = []
    for name, inner in (("direct", large("direct")), ("pipe", large("pipe")), ("direct", large6("direct"))):
        alike.append((anew(sender.outer(name, inner), id=0x5454).fragment(1000), inner))
    for place in range(3):
        for fragments, _ in alike:
            case.absorbs("access", bytes(fragments[place]))
    for fragments, inner in alike:
        case.decapsulated(bytes(fragments[3]), bytes(inner))
    return case


def from_home():
    """GRE with sequence numbers is left out: fragments of a packet in it have one each."""
    case = Case("fragments-in-from-home", "Fragments of the packet from the home address, each in a tunnel packet of its own; "
                "the fragments of two nodes are told apart by the tunnel, whatever their headers say.", "T7, H10, H12",
                bindings())
    sender = Sender(case)
    for name in tunnels.BINDINGS:
        if name in ("gre-sequence", "gre-in-udp"):
            continue
        inner = large6(name, True)
        middle = anew(IP(bytes(tunnels.from_home(name, inner))), id=7)
        # Minimal encapsulation carries no fragments.
        if not tunnels.is_minimal(name):
            fragments = [sender.outer(name, fragment) for fragment in middle.fragment(1000)]
            case.joins(fragments, inner)
            case.joins(fragments[::-1], inner)
    # A node that forges another's home address has fragments of its own.
    forged = anew(IP(bytes(tunnels.from_home("direct", large6("direct", True)))), id=9).fragment(2000)
    case.absorbs("access", bytes(sender.outer("pipe", forged[0])))
    case.absorbs("access", bytes(sender.outer("direct", forged[0])))
    case.decapsulated(bytes(sender.outer("direct", forged[1])), bytes(large6("direct", True)))
    case.dropped("access", bytes(sender.outer("pipe", forged[1])), "outer-source-mismatch")
    return case


def of_fragments():
    case = Case("fragments-in-of-fragments", "Tunnel packets in fragments that carry fragments from the home address.", "T7",
                bindings(["direct", "gre"]))
    sender = Sender(case)
    for name in ("direct", "gre"):
        inner = large6(name, True, 4000)
        middle = anew(IP(bytes(tunnels.from_home(name, inner))), id=11).fragment(2000)
        pieces = [piece for fragment in middle for piece in sender.fragments(name, fragment, 800)]
        case.joins(pieces, inner)
    return case


def options():
    case = Case("fragments-in-options", "The datagram has the header of its first fragment, with its options, whenever that "
                "comes; later ones may have others.", "T7", bindings())
    sender = Sender(case)
    for options in ([IPOption_NOP()] * 4, [IPOption_Router_Alert()], [IPOption_NOP()] * 40):
        for name in ("direct", "gre", "udp"):
            for order in (1, -1):
                inner = large(name)
                outer = IP(bytes(tunnels.from_node(name, inner)))
                outer = IP(src=outer.src, dst=outer.dst, proto=outer.proto, id=sender.next_identification(), options=options,
                           tos=outer.tos, ttl=outer.ttl) / Raw(bytes(outer.payload))
                first, *later = outer.fragment(1000)
                later = [IP(src=f.src, dst=f.dst, proto=f.proto, id=f.id, flags=f.flags, frag=f.frag) / Raw(bytes(f.payload))
                         for f in later]
                case.joins([first, *later][::order], inner)
    outer = IP(bytes(tunnels.from_node("minimal", large("minimal"))))
    outer = IP(src=outer.src, dst=outer.dst, proto=55, id=sender.next_identification(), options=[IPOption_NOP()] * 4) / Raw(
        bytes(outer.payload))
    *before, last = outer.fragment(1000)
    for fragment in before:
        case.absorbs("access", bytes(fragment))
    case.dropped("access", bytes(last), "minimal-options")
    return case


def age():
    case = Case("fragments-in-age", "Fragments wait for 30 seconds from the first that came, on the capture's clock.", "T7",
                bindings(["direct"]), nanoseconds=True)
    case.step = 0
    sender = Sender(case)
    for pauses, is_joined in (
        ((29 * SECOND + 999_999_999,), True), ((30 * SECOND,), False), ((3600 * SECOND,), False),
        ((15 * SECOND, 14 * SECOND), True), ((15 * SECOND, 15 * SECOND), False),
    ):
        inner = large("direct", 500 * (len(pauses) + 1) - 100)
        fragments = sender.fragments("direct", inner, 512)
        case.absorbs("access", bytes(fragments[0]))
        for pause, fragment in zip(pauses, fragments[1:], strict=True):
            case.time += pause
            if is_joined and fragment is fragments[-1]:
                case.decapsulated(bytes(fragment), bytes(inner))
            else:
                case.absorbs("access", bytes(fragment))
        case.time += 60 * SECOND
    # What is forgotten is forgotten for good: all of it can come again, also with other lengths.
    inner = large("direct", 900)
    fragments = sender.fragments("direct", inner, 512)
    overlapping = anew(fragments[0], frag=1)
    case.absorbs("access", bytes(fragments[0]))
    case.dropped("access", bytes(overlapping), "fragment-overlap")
    case.dropped("access", bytes(fragments[1]), "fragment-spoiled")
    case.time += 29 * SECOND
    case.dropped("access", bytes(fragments[1]), "fragment-spoiled")
    case.time += SECOND
    case.joins(fragments, inner)
    return case


def too_many():
    case = Case("fragments-in-too-many", "1,024 datagrams wait at a time; one more takes the place of the one that began first.",
                "T7", bindings(["direct"]))
    case.step = 1000
    sender = Sender(case)
    inner = large("direct", 20)
    datagrams = [sender.fragments("direct", inner, 40) for _ in range(1026)]
    for fragments in datagrams[:1024]:
        case.absorbs("access", bytes(fragments[1]))
    # A whole one makes room without harm to others.
    case.decapsulated(bytes(datagrams[5][0]), bytes(inner))
    for fragments in datagrams[1024:]:
        case.absorbs("access", bytes(fragments[1]))
    for number in (1, 2, 4, 6, 1023, 1024, 1025):
        case.decapsulated(bytes(datagrams[number][0]), bytes(inner))
    # The first one is forgotten, and begins anew.
    case.absorbs("access", bytes(datagrams[0][0]))
    return case


def largest():
    case = Case("fragments-in-largest", "65,535 bytes are put together in 45 fragments; what would be more is dropped, and so "
                "are the first fragment's options if it is by these.", "T7", bindings(["direct"]))
    sender = Sender(case)
    inner = large("direct", 65_535 - 20 - 28)
    case.joins(sender.fragments("direct", inner, 1480), inner)
    fragments = sender.fragments("direct", inner, 1480)
    first = IP(src=fragments[0].src, dst=fragments[0].dst, proto=4, id=fragments[0].id, flags="MF",
               options=[IPOption_Router_Alert()]) / Raw(bytes(fragments[0].payload))
    for fragment in fragments[1:]:
        case.absorbs("access", bytes(fragment))
    case.dropped("access", bytes(first), "fragment-length")
    case.dropped("access", bytes(fragments[0]), "fragment-spoiled")
    return case


def small():
    case = Case("fragments-in-small", "64 fragments of eight bytes are the most; the header of the packet inside may be in many.",
                "T7", bindings(["direct", "gre-key"]))
    sender = Sender(case)
    for name, length in (("direct", 64 * 8 - 28), ("direct", 63 * 8 + 1 - 28), ("gre-key", 1), ("direct", 0)):
        inner = large(name, length)
        case.joins(sender.fragments(name, inner, 8), inner)
    inner = large("direct", 64 * 8 + 1 - 28)
    fragments = sender.fragments("direct", inner, 8)
    for fragment in fragments[:64]:
        case.absorbs("access", bytes(fragment))
    case.dropped("access", bytes(fragments[64]), "fragment-limit")
    return case


def hostile():
    case = Case("fragments-in-hostile", "What others did to reassembly: teardrops, a first fragment over the first, tiny ones, "
                "the ping of death. Packets beside them are not harmed.", "T7", bindings(["direct"]))
    sender = Sender(case)
    inner = large("direct", 500)

    def piece(identification, start, length, more):
        return IP(src=tunnels.care_of("direct"), dst=tunnels.ENDPOINT, proto=4, id=identification, frag=start // 8,
                  flags="MF" if more else 0) / Raw(bytes(inner)[start:start + length].ljust(length, b"\0"))

    # Each: pieces, and why each is dropped; "held", or "out" where it makes the packet whole.
    attacks = [
        [((0, 32, True), "held"), ((24, 4, False), "fragment-length"), ((32, 8, True), "fragment-spoiled")],
        [((0, 32, True), "held"), ((24, 16, False), "fragment-overlap"), ((32, 496, False), "fragment-spoiled")],
        [((0, 64, True), "held"), ((0, 32, True), "fragment-overlap"), ((64, 464, False), "fragment-spoiled")],
        [((0, 64, True), "held"), ((8, 8, True), "fragment-overlap"), ((64, 464, False), "fragment-spoiled")],
        [((65_504, 12, False), "fragment-length"), ((0, 65_504, True), "held")],
        # A packet that is no fragment has nothing to do with fragments of its identification.
        [((65_528, 1000, False), "fragment-length"), ((8, 8, True), "held"), ((0, 528, False), "out")],
        # Whole, but less than the packet inside says; what comes then is of a new datagram.
        [((0, 64, True), "held"), ((64, 8, False), "ipv4-total-length"), ((64, 464, False), "held")],
    ]
    for number, attack in enumerate(attacks):
        before = sender.fragments("direct", inner, 304)
        case.absorbs("access", bytes(before[0]))
        for fields, outcome in attack:
            fragment = bytes(piece(0xA000 + number, *fields))
            if outcome == "held":
                case.absorbs("access", fragment)
            elif outcome == "out":
                case.decapsulated(fragment, bytes(inner))
            else:
                case.dropped("access", fragment, outcome)
        case.decapsulated(bytes(before[1]), bytes(inner))
    return case


def not_tunnels():
    case = Case("fragments-in-for-the-endpoint", "Echo requests and registrations to the endpoint may come in fragments too.", "T7",
                bindings(["direct"]))
    request = IP(src="203.0.113.77", dst=tunnels.ENDPOINT, id=5, ttl=9) / ICMP(type=8, id=1, seq=2) / tunnels.payload(3000)
    reply = IP(src=tunnels.ENDPOINT, dst="203.0.113.77", ttl=64) / ICMP(type=0, id=1, seq=2) / tunnels.payload(3000)
    *before, last = IP(bytes(request)).fragment(1000)
    for fragment in before:
        case.absorbs("access", bytes(fragment))
    case.echoed(bytes(last), reply)
    registration = IP(src="203.0.113.77", dst=tunnels.ENDPOINT, id=6) / UDP(sport=434, dport=434) / Raw(b"\1" + bytes(1999))
    *before, last = IP(bytes(registration)).fragment(1000)
    for fragment in before:
        case.absorbs("access", bytes(fragment))
    case.punts(bytes(last))
    return case


def for_others():
    case = Case("fragments-in-for-others", "What was put together meets the same rules as what came whole.", "T7, H13, H14",
                bindings())
    sender = Sender(case)

    def dropped(fragments, reason):
        for fragment in fragments[:-1]:
            case.absorbs("access", bytes(fragment))
        case.dropped("access", bytes(fragments[-1]), reason)

    dropped(sender.fragments("direct", large("direct"), destination="192.0.2.99"), "not-for-endpoint")
    dropped(sender.fragments("direct", large("direct"), source="203.0.113.99"), "outer-source-mismatch")
    dropped(sender.fragments("direct", large("direct", src="198.51.100.99")), "inner-source-unregistered")
    dropped(sender.fragments("gre-key", large("direct")), "outer-source-mismatch")
    dropped(sender.fragments("udp", large("udp"), port=40001), "udp-port-mismatch")
    broken = sender.fragments("gre-key", large("gre-key"))
    broken[1] = anew(broken[1])
    broken[1][Raw].load = b"\xff" + bytes(broken[1][Raw].load)[1:]
    broken[1] = anew(broken[1])
    dropped(broken, "gre-checksum")
    return case
