"""IPv4 packets that are larger than the tunnel they go into: RFC 2003, 5.1 and RFC 791, 3.2."""

from scapy.layers.inet import ICMP, IP, UDP, IPOption_LSRR, IPOption_RR
from scapy.packet import Raw

from golden import Case, tunnels
from kind_cases import bindings


def make():
    return [edges(), options(), largest(), not_allowed(), of_fragments()]


class Sender:
    """Sends to nodes, and knows which identifications and sequence numbers come next."""

    def __init__(self, case, limit=1280):
        self.case, self.limit, self.sequences = case, limit, {}

    def sequence(self, name):
        number = self.sequences.get(name, 0)
        self.sequences[name] = number + 1
        return number

    def one(self, name, inner):
        ends = tunnels.ENDPOINT, tunnels.care_of(name)
        if tunnels.is_minimal(name):
            return tunnels.minimal_of(name, *ends, inner)
        return tunnels.tunnelled(name, inner, *ends, self.case.next_identification(tunnels.care_of(name)), sequence=self.sequence(name),
                                 tos=tunnels.outer_class(name, inner.tos))

    def send(self, name, inner):
        """Whole where it fits, and else in fragments."""
        if len(bytes(inner)) <= self.limit:
            out = [self.one(name, inner)]
        elif tunnels.is_minimal(name):
            whole = IP(bytes(self.one(name, inner)))
            whole.id, whole.chksum = self.case.next_identification(tunnels.care_of(name)), None
            out = tunnels.cut(whole, self.limit + tunnels.growth(name))
        else:
            out = [self.one(name, fragment) for fragment in tunnels.cut(inner, self.limit)]
        self.case.becomes("home", bytes(inner), out)
        return out


def packet(name, length, **fields):
    """Of so many bytes in all, without options."""
    return (IP(src=tunnels.CORRESPONDENT, dst=tunnels.home(name), **{"id": length & 0xFFFF, "ttl": 62, **fields})
            / UDP(sport=1, dport=2) / tunnels.payload(length - 28))


def edges():
    case = Case("fragments-out", "IPv4 past the tunnel MTU goes into each kind of tunnel in fragments, cut at the last "
                "eight bytes that fit; minimal encapsulation cuts the outer packet.", "T10", bindings())
    sender = Sender(case)
    for name in tunnels.BINDINGS:
        for length in (1279, 1280, 1281, 1287, 1288, 1289, 20 + 1256 + 1260, 20 + 1256 + 1261, 20 + 2 * 1256 + 1260, 5000):
            inner = packet(name, length, tos=0xB9)
            out = sender.send(name, inner)
            if tunnels.is_minimal(name) and len(out) > 1 and tunnels.joined(out)[20:] != bytes(sender.one(name, inner))[20:]:
                raise SystemExit("the fragments do not make the packet")
    return case


def options():
    case = Case("fragments-out-options", "Options with the copied flag stand in every fragment, the others in the first.", "T10",
                bindings(["direct", "udp"]))
    sender = Sender(case)
    route, record = IPOption_LSRR(routers=["192.0.2.7", "192.0.2.8"]), IPOption_RR(routers=["0.0.0.0"] * 3)
    for name in ("direct", "udp"):
        for options in ([route], [record], [record, route], [route, record]):
            for length in (1200, 1253, 1300, 2600):
                sender.send(name, IP(src=tunnels.CORRESPONDENT, dst=tunnels.home(name), id=4, options=options)
                            / UDP() / tunnels.payload(length))
    return case


def largest():
    case = Case("fragments-out-largest", "The largest IPv4 packets: 65,535 bytes, and 65,523 where the minimal header, which "
                "comes before they are cut, has to fit beside them.", "T10", bindings(["direct", "gre-sequence", "minimal"]))
    sender = Sender(case)
    for name in ("direct", "gre-sequence"):
        inner = packet(name, 65_535)
        if tunnels.joined(tunnels.cut(inner, 1280)) != bytes(inner):
            raise SystemExit("the fragments do not make the packet")
        sender.send(name, inner)
    sender.send("minimal", packet("minimal", 65_523))
    for length in (65_524, 65_535):
        case.dropped("home", bytes(packet("minimal", length)), "packet-too-big")
    return case


def not_allowed():
    """One error a second, so that the limit of their rate is not met."""
    case = Case("fragments-out-not-allowed", "With don't fragment set the source is told the tunnel MTU instead, but not about "
                "an error or a later fragment.", "T10, T4", bindings())
    case.step = 1_000_000_000
    for name in tunnels.BINDINGS:
        for length in (1281, 9000):
            inner = packet(name, length, flags="DF")
            error = IP(src=tunnels.ENDPOINT, dst=inner.src, tos=0xC0, id=case.next_identification(inner.src), ttl=64)
            error = error / ICMP(type=3, code=4, nexthopmtu=1280) / Raw(bytes(inner)[:548])
            case.answered(bytes(inner), "packet-too-big", error)
    later = IP(src=tunnels.CORRESPONDENT, dst=tunnels.home("direct"), flags="DF", frag=9) / tunnels.payload(1400)
    case.dropped("home", bytes(later), "packet-too-big")
    about = IP(src=tunnels.CORRESPONDENT, dst=tunnels.home("direct"), flags="DF") / ICMP(type=3, code=1) / Raw(bytes(1400))
    case.dropped("home", bytes(about), "packet-too-big")
    return case


def of_fragments():
    case = Case("fragments-out-of-fragments", "Fragments are cut again: offsets go on, and only the end of the last one is the "
                "end.", "T10", bindings())
    sender = Sender(case)
    for name in tunnels.BINDINGS:
        if tunnels.is_minimal(name):
            continue
        whole = packet(name, 6000, id=77)
        arrived = [piece for fragment in IP(bytes(whole)).fragment(1976) for piece in tunnels.cut(fragment, 1280)]
        if tunnels.joined(arrived) != bytes(whole):
            raise SystemExit("the fragments do not make the packet")
        for fragment in IP(bytes(whole)).fragment(1976):
            sender.send(name, IP(bytes(fragment)))
    return case
