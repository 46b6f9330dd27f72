"""Protocol 41 in both directions, and what the forwarder answers by itself."""

from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import ICMPv6DestUnreach, IPv6
from scapy.packet import Raw

from golden import Case, bindings_file, vectors

ECN_NAMES = ["Not-ECT", "ECT(1)", "ECT(0)", "CE"]


def make():
    cases = [
        encapsulation(), decapsulation(), hop_limits(), traffic_class_out("uniform", "plain", 0xFF, "T8, T9"),
        traffic_class_out("pipe", "pipe", 0x03, "T9"),
        traffic_class_out("compatibility", "compatibility", 0xFC, "T8"), dscp_in(), errors("packet-too-big"),
        errors("no-route"), unanswered(), error_rate(), echo(), identification(), lifetime(), prefixes(),
    ]
    return cases + [congestion(binding) for binding in ("plain", "pipe", "compatibility", "both")]


def each(entries):
    return [(bytes.fromhex(entry["in"]), bytes.fromhex(entry.get("out") or ""), entry) for entry in entries]


def encapsulation():
    case = Case("protocol-41-encapsulate", "IPv6 to a bound prefix goes to the care-of address in protocol 41.", "H9, T1, T4")
    for packet, expected, _ in each(vectors.make_encapsulation()):
        case.encapsulated(packet, expected)
    return case


def decapsulation():
    case = Case("protocol-41-decapsulate", "Protocol 41 from a care-of address is taken off; options and padding go.", "H12, T7")
    for packet, expected, _ in each(vectors.make_decapsulation()):
        case.decapsulated(packet, expected)
    return case


def hop_limits():
    case = Case("hop-limit", "The inner hop limit is left alone both ways, also 0 and 1; the outer TTL is 64.", "T1")
    for hop_limit in (0, 1, 2, 64, 255):
        packet = vectors.to_node(hlim=hop_limit)
        case.encapsulated(packet, vectors.outer("plain", packet, ttl=64))
        inner = IPv6(src=vectors.NODE["plain"], dst=vectors.CORRESPONDENT, hlim=hop_limit) / UDP() / Raw(b"hop")
        case.decapsulated(vectors.from_node("plain", inner, ttl=1), inner)
    return case


def traffic_class_out(name, binding, copied, rows):
    case = Case(f"traffic-class-out-{name}", f"All 256 traffic classes into a tunnel: the bits {copied:#04x} go out.", rows)
    for value in range(256):
        packet = vectors.to_node(binding, tc=value)
        case.encapsulated(packet, vectors.outer(binding, packet, tos=value & copied))
    return case


def dscp_in():
    case = Case("dscp-in", "Out of a tunnel, uniform takes the outer DSCP and pipe keeps the inner one, for all 64 of them.", "T9")
    for value in range(64):
        def inner(binding, dscp):
            return IPv6(src=vectors.NODE[binding], dst=vectors.CORRESPONDENT, tc=dscp << 2) / UDP() / Raw(b"dscp")
        case.decapsulated(vectors.from_node("plain", inner("plain", 63 - value), tos=value << 2), inner("plain", value))
        case.decapsulated(vectors.from_node("pipe", inner("pipe", 63 - value), tos=value << 2), inner("pipe", 63 - value))
    return case


def congestion(binding):
    modes = next(entry for entry in vectors.BINDINGS if entry["id"] == binding)
    case = Case(
        f"ecn-in-{modes['dscp']}-{modes['ecn']}",
        f"All 16 cells of RFC 6040, figure 4, with DSCP {modes['dscp']} and ECN {modes['ecn']}.", "T8, T9")
    cells = [entry for entry in vectors.make_congestion() if entry["binding"] == binding]
    for packet, expected, entry in each(cells):
        if entry["out"] is None:
            case.dropped("access", packet, "ecn-not-capable")
        else:
            case.decapsulated(packet, expected)
    if len(cells) != 16:
        raise SystemExit("figure 4 has 16 cells")
    return case


def errors(name):
    is_too_big = name == "packet-too-big"
    shows = "Packet Too Big with the tunnel MTU" if is_too_big else "Destination Unreachable, no route,"
    case = Case(name, f"{shows} to the source, quoting up to 1280 bytes in all.", "T4" if is_too_big else "")
    for packet, error, entry in each(vectors.make_errors()):
        if entry["isTooBig"] == is_too_big:
            case.answered(packet, "packet-too-big" if is_too_big else "no-binding", error)
    return case


def unanswered():
    case = Case("no-error-about", "Packets about which no ICMPv6 error may be sent (RFC 4443, 2.4 e) are dropped in silence.", "T4")
    for packet, _, entry in each(vectors.make_unanswered()):
        case.dropped("home", packet, entry["reason"])
    return case


def error_rate():
    """100 errors a second, 50 at once; the time is the capture's."""
    case = Case("error-rate", "ICMPv6 errors are limited to 100 a second and 50 at once, on the capture's clock.", "T4")
    packet = IPv6(src=vectors.CORRESPONDENT, dst="2001:db8:9::1") / UDP() / Raw(b"rate")
    error = IPv6(src=vectors.ERROR_SOURCE, dst=vectors.CORRESPONDENT, hlim=64) / ICMPv6DestUnreach(code=0) / Raw(bytes(packet))

    def burst(pause, sent, answered):
        case.time += pause
        case.step = 0
        for index in range(sent):
            if index < answered:
                case.answered(packet, "no-binding", error)
            else:
                case.dropped("home", packet, "no-binding")

    burst(0, 60, 50)
    burst(9_000_000, 1, 0)
    burst(1_000_000, 2, 1)
    burst(200_000_000, 30, 20)
    burst(3_000_000_000, 60, 50)
    return case


def echo():
    case = Case("echo-request", "Echo requests to an endpoint are answered, be it the file's or a binding's own; they count as absorbed, the replies as "
                "generated.")
    for packet, expected, _ in each(vectors.make_echoes()):
        case.echoed(packet, expected)
    request = IP(src="203.0.113.254", dst="192.0.2.3") / ICMP(id=1, seq=3)
    case.dropped("access", bytes(request), "not-for-endpoint")
    return case


def identification():
    """Both directions at one time, so that packets share batches."""
    case = Case("identification", "Outer headers and echo replies take identifications in the order of the packets, for each destination by itself.", "T4")
    case.step = 0
    request = IP(src="203.0.113.77", dst=vectors.ENDPOINT) / ICMP(type=8, id=7, seq=1)
    reply = IP(src=vectors.ENDPOINT, dst="203.0.113.77", ttl=64) / ICMP(type=0, id=7, seq=1)
    packet = vectors.to_node()
    for _ in range(300):
        case.encapsulated(packet, vectors.outer("plain", packet))
    inner = IPv6(src=vectors.NODE["plain"], dst=vectors.CORRESPONDENT) / UDP() / Raw(b"back")
    for _ in range(3):
        case.echoed(request, reply)
        case.decapsulated(vectors.from_node("plain", inner), inner)
    case.time += 1_000_000
    case.encapsulated(packet, vectors.outer("plain", packet))
    return case


def lifetime():
    bindings = bindings_file(["plain", "pipe"])
    bindings["bindings"][0]["lifetime"] = 2
    case = Case("lifetime", "A binding goes when its lifetime has passed, counted from the capture's first packet.", "H5", bindings)
    for pause, is_bound in ((0, True), (1_999_999_000, True), (1_000, False), (5_000_000_000, False)):
        case.step = 0
        case.time += pause
        packet = vectors.to_node()
        if is_bound:
            case.encapsulated(packet, vectors.outer("plain", packet))
        else:
            error = IPv6(src=vectors.ERROR_SOURCE, dst=packet.src, hlim=64) / ICMPv6DestUnreach(code=0) / Raw(bytes(packet))
            case.answered(packet, "no-binding", error)
        other = vectors.to_node("pipe")
        case.encapsulated(other, vectors.outer("pipe", other))
    return case


def prefixes():
    """Two prefixes of one node, a prefix within nobody's, and the ends of a prefix."""
    bindings = bindings_file(["plain"], tunnelMTU=1400)
    bindings["bindings"][0]["prefixes"].append({"prefix": "2001:db8:8::/63", "tunnel": "care-of"})
    case = Case("prefixes", "Each prefix of a node leads to it, up to the last address; the file's tunnelMTU holds.", "H9, T4", bindings)
    for address in ("2001:db8:1::", "2001:db8:1:0:ffff:ffff:ffff:ffff", "2001:db8:8::1", "2001:db8:8:1:ffff:ffff:ffff:ffff"):
        packet = IPv6(src=vectors.CORRESPONDENT, dst=address) / UDP() / Raw(bytes(1400 - 48))
        case.encapsulated(packet, IP(src=vectors.ENDPOINT, dst=vectors.CARE_OF["plain"], proto=41, ttl=64, flags=0) / Raw(bytes(packet)))
    for address in ("2001:db8:0:ffff:ffff:ffff:ffff:ffff", "2001:db8:1:1::", "2001:db8:8:2::"):
        packet = IPv6(src=vectors.CORRESPONDENT, dst=address) / UDP() / Raw(b"no")
        error = IPv6(src=vectors.ERROR_SOURCE, dst=packet.src, hlim=64) / ICMPv6DestUnreach(code=0) / Raw(bytes(packet))
        case.answered(packet, "no-binding", error)
    return case
