"""What the forwarder remembers of a tunnel: the MTU of its path (RFC 4213, 3.2.2; RFC 1191), the order of its GRE packets
(RFC 2890, 2.2). And what it knows of a node by its file alone."""

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6, ICMPv6PacketTooBig
from scapy.packet import Raw

from golden import Case, MILLISECOND, tunnels, vectors
from kind_cases import bindings

TEN_MINUTES = 600_000 * MILLISECOND


def make():
    return [path_mtu("direct"), path_mtu("udp"), path_mtu("minimal"), order(), first_number(), implicit(), cut_chain()]


def too_big(mtu, quote):
    return (IPv6(src=vectors.ERROR_SOURCE, dst=tunnels.CORRESPONDENT6, hlim=64) / ICMPv6PacketTooBig(mtu=mtu)
            / Raw(bytes(quote)[:1232]))


def path_mtu(name):
    case = Case(f"path-mtu-{name}", "The tunnel MTU follows what routers say of the path, never below 1280, and for ten minutes; "
                "packets may not be fragmented while the path is wide enough for IPv6.", "T5", None)
    file = bindings([name])
    file["bindings"] = [{**file["bindings"][0], "mtuDiscovery": True}]
    case.bindings = file
    by_home = tunnels.is_minimal(name)
    ends = tunnels.ENDPOINT, tunnels.care_of(name)

    def inner(length):
        return IPv6(src=tunnels.CORRESPONDENT6, dst=tunnels.node6(name, by_home)) / UDP() / tunnels.payload(length - 48)

    def outer(packet, flags):
        if by_home:
            middle = IP(src=ends[0], dst=tunnels.home(name), proto=41, id=case.next_identification(tunnels.care_of(name)), ttl=64, flags=flags)
            return tunnels.minimal_of(name, *ends, middle / packet, keep_source=True)
        return tunnels.tunnelled(name, packet, *ends, case.next_identification(tunnels.care_of(name)), flags=flags)

    def passes(length, flags):
        packet = inner(length)
        out = outer(packet, flags)
        case.becomes("home", bytes(packet), [out])
        return packet, out

    def refused(length, mtu):
        case.answered(bytes(inner(length)), "packet-too-big", too_big(mtu, inner(length)))

    def reported(packet, out, mtu, told, quoted=None):
        case._receive("access", bytes(tunnels.path_error(out, quoted, type=3, code=4, nexthopmtu=mtu)))
        case.absorbed += 1
        overhead = len(bytes(out)) - len(bytes(packet))
        if told is not None:
            case.generated["home"] += 1
            seen = bytes(packet) if quoted is None else bytes(packet)[:quoted - overhead]
            case._transmit("home", bytes(too_big(told, seen)))

    overhead = {"direct": 20, "udp": 32, "minimal": 28}[name]
    refused(1481, 1480)
    sent = passes(1480, "DF")
    reported(*sent, 1400, 1400 - overhead)
    refused(1401 - overhead, 1400 - overhead)
    sent = passes(1400 - overhead, "DF")
    # Wider than before is not believed, though it is told on.
    reported(*sent, 1450, 1450 - overhead)
    refused(1401 - overhead, 1400 - overhead)
    # All that a router has to quote tells nobody's source, but of the path.
    reported(*sent, 1280 + overhead, None, 28)
    refused(1281, 1280)
    sent = passes(1280, "DF")
    reported(*sent, 1279 + overhead, 1280, 200)
    refused(1281, 1280)
    passes(1280, 0)
    case.time += TEN_MINUTES
    passes(1480, "DF")
    return case


def order():
    name = "gre-sequence"
    case = Case("gre-sequence-order", "Early packets wait for those before them, three at the most, and go on behind them; late "
                "ones are dropped.", "T10", bindings([name, "direct"]))

    def packet(number):
        inner = IP(src=tunnels.home(name), dst=tunnels.CORRESPONDENT, id=number) / UDP() / tunnels.payload(20)
        return inner, tunnels.tunnelled(name, inner, tunnels.care_of(name), tunnels.ENDPOINT, 9, sequence=number)

    def goes(number, behind=()):
        inner, out = packet(number)
        case.decapsulated(bytes(out), bytes(inner))
        for other in behind:
            case.generated["home"] += 1
            case._transmit("home", bytes(packet(other)[0]))

    def waits(number):
        case.absorbs("access", bytes(packet(number)[1]))

    goes(0)
    waits(2)
    goes(1, [2])
    case.dropped("access", bytes(packet(1)[1]), "gre-sequence")
    waits(5)
    waits(6)
    case.dropped("access", bytes(packet(5)[1]), "gre-sequence")
    goes(3)
    goes(4, [5, 6])
    # A fourth that would wait: the first of them goes on, and with it what follows.
    waits(12)
    waits(9)
    waits(10)
    case._receive("access", bytes(packet(14)[1]))
    case.absorbed += 1
    case.generated["home"] += 2
    for number in (9, 10):
        case._transmit("home", bytes(packet(number)[0]))
    case.dropped("access", bytes(packet(8)[1]), "gre-sequence")
    goes(11, [12])
    # Time is up for 14 when another tunnel's packet comes; it leaves before that.
    case.time += 100 * MILLISECOND
    inner = IP(src=tunnels.home("direct"), dst=tunnels.CORRESPONDENT) / UDP() / tunnels.payload(20)
    out = tunnels.tunnelled("direct", inner, tunnels.care_of("direct"), tunnels.ENDPOINT, 9)
    case._receive("access", bytes(out))
    case.generated["home"] += 1
    case._transmit("home", bytes(packet(14)[0]))
    case._transmit("home", bytes(inner))
    goes(15)
    return case


def first_number():
    case = Case("gre-sequence-first", "The first number of a tunnel that is heard is taken for what it is: the node's end may be "
                "older than this one. From then on late numbers are dropped.", "T10", bindings(["gre-sequence"]))
    name = "gre-sequence"

    def packet(number):
        inner = tunnels.node_packet(name, id=number & 0xFFFF)
        return bytes(tunnels.from_node(name, inner, sequence=number)), bytes(inner)

    for number in (0x90000000, 0x90000001):
        case.decapsulated(*packet(number))
    for number in (0x90000001, 0x8FFFFFFF, 0x10000002):
        case.dropped("access", packet(number)[0], "gre-sequence")
    case.decapsulated(*packet(0x90000002))
    return case


def implicit():
    case = Case("implicit-prefix", "A prefix that the file binds to the home address is tunnelled there, and accepted from there "
                "alone.", "H17, H10, H12", bindings(["direct"]))
    ends = tunnels.ENDPOINT, tunnels.care_of("direct")
    node = tunnels.node6("direct", True)
    inner = IPv6(src=tunnels.CORRESPONDENT6, dst=node) / UDP() / tunnels.payload(20)
    number = case.next_identification(ends[1])
    middle = IP(src=ends[0], dst=tunnels.home("direct"), proto=41, id=number, ttl=64)
    case.becomes("home", bytes(inner), [tunnels.tunnelled("direct", middle / inner, *ends, number)])
    back = IPv6(src=node, dst=tunnels.CORRESPONDENT6) / UDP() / tunnels.payload(20)
    middle = IP(src=tunnels.home("direct"), dst=ends[0], proto=41, id=7)
    case.decapsulated(bytes(tunnels.tunnelled("direct", middle / back, *ends[::-1], 9)), bytes(back))
    case.dropped("access", bytes(tunnels.tunnelled("direct", back, *ends[::-1], 9)), "tunnel-mismatch")
    return case


def cut_chain():
    case = Case("drop-ipv6-extension-header", "A chain of extension headers that is cut off, where the forwarder has to know what "
                "is behind it.", "T7", bindings(["direct"]))
    middle = IP(src=tunnels.home("direct"), dst=tunnels.ENDPOINT, proto=41, id=7)
    inner = IPv6(src="fe80::7", dst="ff02::16", nh=0, hlim=1) / Raw(b"\x3a\x09" + bytes(6))
    ends = tunnels.care_of("direct"), tunnels.ENDPOINT
    case.dropped("access", bytes(tunnels.tunnelled("direct", middle / inner, *ends, 9)), "ipv6-extension-header")
    return case
