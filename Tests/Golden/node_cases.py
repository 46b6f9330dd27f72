"""The mobile node's end of a tunnel (RFC 5454, 3.5): what the home agent's end does, mirrored."""

from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import IPv6

from golden import Case, tunnels
from network_cases import host, network

HOME_AGENT = tunnels.ENDPOINT


def make():
    return [encapsulate(), decapsulate(), drops(), default_routes(), path_errors()]


def port(name):
    """The node's: that of Mobile IP unless another is named."""
    return 434 if name == "udp" else 40000


def binding(name):
    entry = {**tunnels.BINDINGS[name], "role": "mobile-node", "careOfAddress": HOME_AGENT, "endpoint": tunnels.care_of(name),
             "networks": [network(name)]}
    if name == "udp":
        del entry["udp"]
    return entry


def bindings(names=None):
    return {"endpoint": "203.0.113.200", "bindings": [binding(name) for name in names or tunnels.BINDINGS]}


class Node:
    """Both directions of the node's tunnels, as scapy makes them."""

    def __init__(self, case):
        self.case, self.sent, self.received = case, {}, {}

    def to_home_agent(self, name, inner, by_home=False, number=None, flags=None):
        ends = tunnels.care_of(name), HOME_AGENT
        ports = port(name), 434
        tos = tunnels.outer_class(name, inner.tc if inner.version == 6 else inner.tos)
        if tunnels.is_minimal(name) and not by_home:
            return tunnels.minimal_of(name, *ends, inner, port=ports)
        if number is None:
            number = self.case.next_identification(HOME_AGENT)
        if by_home:
            inner = IP(src=tunnels.home(name), dst=HOME_AGENT, proto=41, id=number, tos=tos, ttl=64, flags=flags or 0) / inner
        if tunnels.is_minimal(name):
            # Unlike that of the home agent, the header's source is another than the outer one.
            return tunnels.minimal_of(name, *ends, inner, port=ports)
        sequence = self.sent.get(name, 0)
        self.sent[name] = sequence + 1
        return tunnels.tunnelled(name, inner, *ends, number, sequence=sequence, tos=tos, port=ports, flags=flags)

    def from_home_agent(self, name, inner, by_home=False, source=HOME_AGENT, middle=(), sequence=None, ports=None):
        ends = source, tunnels.care_of(name)
        ports = ports or (434, port(name))
        if sequence is None:
            sequence = self.received.get(name, 0)
            self.received[name] = sequence + 1
        if by_home:
            middle_ends = middle or (HOME_AGENT, tunnels.home(name))
            inner = IP(src=middle_ends[0], dst=middle_ends[1], proto=41, id=3, ttl=64) / inner
        if tunnels.is_minimal(name):
            return tunnels.minimal_of(name, *ends, inner, keep_source=by_home and not middle, port=ports)
        return tunnels.tunnelled(name, inner, *ends, 0xBEEF, sequence=sequence, tos=0, port=ports, ttl=57, flags=0)

    def out(self, name, inner, by_home=False):
        self.case.becomes("home", bytes(inner), [self.to_home_agent(name, inner, by_home)])

    def back(self, name, inner, by_home=False):
        self.case.decapsulated(bytes(self.from_home_agent(name, inner, by_home)), bytes(inner))

    def drop(self, name, inner, reason, by_home=False, **more):
        self.case.dropped("access", bytes(self.from_home_agent(name, inner, by_home, sequence=99, **more)), reason)


def to_correspondent(name, **fields):
    return IP(src=tunnels.home(name), dst=host(name), id=7, ttl=64, **fields) / UDP() / tunnels.payload()


def from_correspondent(name, **fields):
    return IP(**{"src": host(name), "dst": tunnels.home(name), "id": 8, "ttl": 61, **fields}) / UDP() / tunnels.payload()


def to_correspondent6(name, by_home=False, **fields):
    return IPv6(src="2001:db8:77::7", dst=tunnels.node6(name, by_home), **fields) / UDP() / tunnels.payload()


def from_correspondent6(name, by_home=False, **fields):
    return IPv6(**{"src": tunnels.node6(name, by_home), "dst": "2001:db8:77::7", **fields}) / UDP() / tunnels.payload()


def encapsulate():
    case = Case("node-encapsulate", "At the mobile node, what is behind the home agent goes into the tunnel from the care-of address "
                "to the home agent, by way of the home address with a header from that address before it; UDP is to port 434.",
                "H9, H10, M3, N1, T10", bindings())
    node = Node(case)
    for name in tunnels.BINDINGS:
        for tos in (0, 0xBA):
            node.out(name, to_correspondent(name, tos=tos))
            node.out(name, to_correspondent6(name, True, tc=tos), by_home=True)
            if name in tunnels.CARE_OF_KINDS:
                node.out(name, to_correspondent6(name, tc=tos))
    return case


def decapsulate():
    case = Case("node-decapsulate", "At the mobile node, what comes from the home agent's address by the binding's tunnel passes, by "
                "way of the home address from that address to the home address; UDP is from port 434.",
                "H9, H10, M3, N1, T10", bindings())
    node = Node(case)
    for name in tunnels.BINDINGS:
        node.back(name, from_correspondent(name))
        node.back(name, from_correspondent6(name, True), by_home=True)
        if name in tunnels.CARE_OF_KINDS:
            node.back(name, from_correspondent6(name))
    return case


def drops():
    case = Case("node-drops", "At the mobile node, what comes from elsewhere than the home agent, to another address, by another tunnel "
                "than the binding's, or between other addresses by way of the home address, is dropped.", "H12, H14, N1", bindings())
    node = Node(case)
    for name in tunnels.BINDINGS:
        # A port that a node has chosen is known by the home agent that packets come from.
        reason = "unsupported-protocol" if name.endswith("in-udp") else "outer-source-mismatch"
        for by_home, inner in ((False, from_correspondent(name)), (True, from_correspondent6(name, True))):
            node.drop(name, inner, reason, by_home, source="203.0.113.250",
                      **({"middle": (HOME_AGENT, tunnels.home(name))} if by_home and tunnels.is_minimal(name) else {}))
        elsewhere = IP(bytes(node.from_home_agent(name, from_correspondent(name), sequence=99)))
        elsewhere.dst, elsewhere.chksum = "203.0.113.250", None
        if not tunnels.is_minimal(name):
            case.dropped("access", bytes(elsewhere), "not-for-endpoint")
        inner6 = from_correspondent6(name, True)
        # To another's home address it is nobody's by way of the home address.
        other = "gre" if name == "direct" else "direct"
        node.drop(name, inner6, "not-for-endpoint", True, middle=(HOME_AGENT, tunnels.home(other)))
        node.drop(name, inner6, "not-for-endpoint", True, middle=(HOME_AGENT, tunnels.care_of(name)))
        # From another address than the home agent's it is IPv4 as any other.
        node.drop(name, inner6, "inner-source-unregistered", True, middle=("192.0.2.9", tunnels.home(name)))
        if name in tunnels.CARE_OF_KINDS:
            node.drop(name, inner6, "tunnel-mismatch")
            node.drop(name, from_correspondent6(name), "tunnel-mismatch", True)
    for name, ports in (("udp", (434, 435)), ("udp", (433, 434)), ("gre-in-udp", (40000, 434)), ("minimal-in-udp", (434, 434))):
        node.drop(name, from_correspondent(name), "udp-port-mismatch", ports=ports)
    # From the node's own addresses nothing comes by the tunnel.
    node.drop("direct", from_correspondent("direct", src=tunnels.home("direct")), "inner-source-unregistered")
    # Its own home address is not behind the tunnel.
    own = IP(src=host("direct"), dst=tunnels.home("direct"), id=3) / ICMP(type=3) / tunnels.payload()
    case.dropped("home", bytes(own), "no-binding")
    for message in (UDP(), ICMP(type=0)):
        loop = IP(src=tunnels.care_of("direct"), dst=host("direct"), id=3) / message / tunnels.payload()
        case.dropped("home", bytes(loop), "tunnel-loop")
    return case


def default_routes():
    file = bindings(["gre-sequence"])
    file["bindings"][0].update(networks=["0.0.0.0/0"], prefixes=[{"prefix": "::/0", "tunnel": "home-address"}])
    case = Case("node-default", "With 0.0.0.0/0 and ::/0 all unicast addresses lie behind the home agent, itself among them.", "M3",
                file)
    node = Node(case)
    name = "gre-sequence"
    for address in ("1.0.0.0", "192.0.2.1", "192.0.2.200", "223.255.255.255", "10.77.0.1"):
        node.out(name, IP(src=tunnels.home(name), dst=address, id=7) / UDP() / tunnels.payload())
        node.back(name, IP(src=address, dst=tunnels.home(name), id=7) / UDP() / tunnels.payload())
    for address in ("2001:db8::1", "::ffff", "64:ff9b::1"):
        node.out(name, IPv6(src="2001:db8:77::7", dst=address) / UDP() / tunnels.payload(), by_home=True)
    for address in ("2001:db8::1", "64:ff9b::1"):
        node.back(name, IPv6(src=address, dst="2001:db8:77::7") / UDP() / tunnels.payload(), by_home=True)
    for address in ("224.0.0.1", "255.255.255.255", "127.0.0.1", "0.0.0.0"):
        case.dropped("home", bytes(IP(src=tunnels.home(name), dst=address, id=7) / UDP()), "multicast-not-carried")
    # Multicast beyond the link goes as all else does.
    node.out(name, IPv6(src="2001:db8:77::7", dst="ff0e::1") / UDP() / tunnels.payload(), by_home=True)
    node.back(name, IPv6(src="2001:db8::1", dst="ff0e::1") / UDP() / tunnels.payload(), by_home=True)
    return case


def path_errors():
    """RFC 4213, 3.4 and RFC 2003, 4 at the other end."""
    file = {**bindings(), "endpoint": tunnels.care_of("direct")}
    case = Case("node-path-errors", "Errors of routers about tunnel packets of the mobile node are told to those whose packets they "
                "were.", "T6", file)
    node = Node(case)
    error_count = 0
    for name in tunnels.BINDINGS:
        for inner, by_home in ((to_correspondent(name), False), (to_correspondent6(name, True, hlim=63), True)):
            quoted = node.to_home_agent(name, inner, by_home, number=1)
            error = IP(src="192.0.2.250", dst=tunnels.care_of(name), id=3) / ICMP(type=3, code=1) / quoted
            case._receive("access", bytes(error))
            case.absorbed += 1
            case.generated["home"] += 1
            if inner.version == 6:
                told = IPv6(src=tunnels.ERROR_SOURCE, dst=inner.src, hlim=64) / tunnels.ICMPv6DestUnreach(code=3) / inner
            else:
                error_count += 1
                told = IP(src=file["endpoint"], dst=inner.src, tos=0xC0, ttl=64,
                          id=case.next_identification(inner.src)) / ICMP(type=3, code=1) / inner
            case._transmit("home", bytes(told))
    return case
