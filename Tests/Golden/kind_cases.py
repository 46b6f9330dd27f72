"""A case for each kind of tunnel and direction, for each reason that concerns them, and for errors from the path."""

import json

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6

from golden import Case, tunnels

ROWS = {
    "inner-source-unregistered": "H13", "outer-source-mismatch": "H14, H12", "inner-source-invalid": "T7",
    "inner-version": "T7", "ecn-not-capable": "T8", "tunnel-mismatch": "H12", "fragment-length": "T7",
    "fragment-overlap": "T7", "fragment-duplicate": "T7", "fragment-spoiled": "T7",
    "udp-port-mismatch": "N1", "mobile-tunnel-data-next-header": "N1", "udp-checksum": "N1",
}
# What an error to the source goes with is in the case of these errors.
ANSWERED = {"no-binding", "packet-too-big"}
# In a replay somebody takes what is for the control plane.
PUNTED = "punt-unattended"


def bindings(names=None):
    chosen = [entry for name, entry in tunnels.BINDINGS.items() if names is None or name in names]
    return {"endpoint": tunnels.ENDPOINT, "bindings": chosen}


class ToNode:
    """Packets to a node, into its tunnel."""

    def __init__(self, case, name):
        self.case, self.name = case, name
        self.sequence = 0
        self.ends = tunnels.ENDPOINT, tunnels.care_of(name)

    def send(self, inner, by_home=False):
        name, case = self.name, self.case
        class_ = tunnels.outer_class(name, inner.tc if inner.version == 6 else inner.tos)
        if tunnels.is_minimal(name) and by_home:
            middle = IP(src=tunnels.ENDPOINT, dst=tunnels.home(name), proto=41, id=self._number(), tos=class_, ttl=64) / inner
            out = tunnels.minimal_of(name, *self.ends, middle, keep_source=True)
        elif tunnels.is_minimal(name):
            out = tunnels.minimal_of(name, *self.ends, inner)
        else:
            number = self._number()
            if by_home:
                middle = IP(src=tunnels.ENDPOINT, dst=tunnels.home(name), proto=41, id=number, tos=class_, ttl=64) / inner
            out = tunnels.tunnelled(
                name, middle if by_home else inner, *self.ends, number, sequence=self.sequence, tos=class_)
        self.sequence += 1
        case.becomes("home", bytes(inner), [out])

    def send_in_fragments(self, inner):
        name, case = self.name, self.case
        class_ = tunnels.outer_class(name, inner.tos)
        if tunnels.is_minimal(name):
            whole = IP(bytes(tunnels.minimal_of(name, *self.ends, inner)))
            whole.id, whole.chksum = self._number(), None
            case.becomes("home", bytes(inner), tunnels.cut(whole, 1280 + tunnels.growth(name)))
            return
        out = []
        for fragment in tunnels.cut(inner, 1280):
            out.append(tunnels.tunnelled(name, fragment, *self.ends, self._number(), sequence=self.sequence, tos=class_))
            self.sequence += 1
        case.becomes("home", bytes(inner), out)

    def _number(self):
        return self.case.next_identification(tunnels.care_of(self.name))


def encapsulate(name):
    case = Case(f"{name}-encapsulate", f"Packets to a node whose binding is {json.dumps(tunnels.BINDINGS[name])}.",
                "H9, H10, T8, T9, T10, N1", bindings([name]))
    node = ToNode(case, name)
    send, send_in_fragments = node.send, node.send_in_fragments

    for tos in (0, 0xB9, 0x03):
        for flags in (0, "DF"):
            send(IP(src=tunnels.CORRESPONDENT, dst=tunnels.home(name), id=77, tos=tos, flags=flags, ttl=61)
                 / UDP() / tunnels.payload(tos + 5))
    for length in (0, 1, 1280 - 28):
        send(IP(src=tunnels.CORRESPONDENT, dst=tunnels.home(name), id=78) / UDP() / tunnels.payload(length))
    send_in_fragments(IP(src=tunnels.CORRESPONDENT, dst=tunnels.home(name), id=78) / UDP() / tunnels.payload(1500 - 28))
    for tc in (0, 0xBA):
        if not tunnels.is_minimal(name):
            send(IPv6(src=tunnels.CORRESPONDENT6, dst=tunnels.node6(name), tc=tc) / UDP() / tunnels.payload(9))
        send(IPv6(src=tunnels.CORRESPONDENT6, dst=tunnels.node6(name, True), tc=tc) / UDP() / tunnels.payload(10), True)
    return case


def decapsulate(name):
    case = Case(f"{name}-decapsulate", f"Packets of a node whose binding is {json.dumps(tunnels.BINDINGS[name])}.",
                "H12, T8, T9, T10, N1", bindings([name]))
    sequence = 0
    dscp = 0x88 if name == "pipe" else 0x28

    def come(inner, out, **outer):
        nonlocal sequence
        case.decapsulated(bytes(tunnels.from_node(name, inner, sequence=sequence, **outer)), bytes(out))
        sequence += 1

    packet, packet6, by_home = tunnels.node_packet, tunnels.node_packet6, tunnels.from_home
    come(packet(name), packet(name))
    come(by_home(name, packet6(name, True)), packet6(name, True))
    case.decapsulated(bytes(IP(src=tunnels.home(name), dst=tunnels.ENDPOINT, proto=41) / packet6(name, True)),
                      bytes(packet6(name, True)))
    if tunnels.is_minimal(name):
        return case
    come(packet6(name), packet6(name))
    come(packet(name, 0x8A), packet(name, dscp | 3), tos=0x2B)
    come(packet6(name, tc=0x89), packet6(name, tc=dscp | 3), tos=0x2B)
    come(by_home(name, packet6(name, True, 0x8A), 0x8A), packet6(name, True, dscp | 3), tos=0x2B)
    return case


def drops():
    by_reason = {}
    for entry in tunnels.make_drops():
        # The packet before that of gre-sequence waits and goes on later: gre-sequence-order has such.
        if entry["reason"] not in (*ANSWERED, PUNTED, "gre-sequence"):
            by_reason.setdefault(entry["reason"], []).append(entry)
    cases = []
    for reason, entries in by_reason.items():
        names = "; ".join(dict.fromkeys(entry["name"] for entry in entries))
        case = Case(f"drop-tunnel-{reason}", f"Dropped as {reason}: {names}.", ROWS.get(reason, ""), bindings())
        for entry in entries:
            case.dropped_as(entry)
        cases.append(case)
    return cases


def registrations():
    case = Case("punt-mobile-ip", "UDP to port 434 of the endpoint that is no tunnel data is for the control plane.", "",
                bindings())
    for entry in tunnels.make_drops():
        if entry["reason"] == PUNTED:
            case.punts(bytes.fromhex(entry["in"]))
    return case


def errors():
    """One error a second, so that the limit of their rate is not met."""
    answered = Case("ipv4-errors", "IPv4 that can't go into a tunnel, and is answered with ICMPv4.", "T10", bindings())
    answered.step = 1_000_000_000
    for entry in tunnels.make_errors():
        error = IP(bytes.fromhex(entry["out"]))
        error.id = answered.next_identification(error.dst)
        del error.chksum
        reason = "packet-too-big" if entry["name"] == "fragmentation needed" else "no-binding"
        answered.answered(bytes.fromhex(entry["in"]), reason, error)
    told = Case("path-errors", "ICMPv4 errors from the path, told to the sources of the packets inside.", "T6", bindings())
    told.step = 1_000_000_000
    for entry in tunnels.make_path_errors():
        told._receive("access", bytes.fromhex(entry["in"]))
        told.absorbed += 1
        told.generated["home"] += 1
        out = bytes.fromhex(entry["out"])
        if out[0] >> 4 == 4:
            error = IP(out)
            error.id = told.next_identification(error.dst)
            del error.chksum
            out = bytes(error)
        told._transmit("home", out)
    untold = Case("path-errors-untold", "ICMPv4 errors from the path that nobody is told of.", "T6", bindings())
    for entry in tunnels.make_untold():
        untold.dropped("access", bytes.fromhex(entry["in"]), "icmpv4-ignored")
    return [answered, told, untold]


def make():
    cases = []
    for name in tunnels.BINDINGS:
        cases += [encapsulate(name), decapsulate(name)]
    return cases + drops() + [registrations()] + errors()
