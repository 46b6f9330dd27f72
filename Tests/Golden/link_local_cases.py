"""What belongs to the link that a tunnel is: RFC 4213, 3.7 and 3.8; RFC 5454, 3.7.1; RFC 4861, 7."""

import struct

from scapy.layers.dhcp6 import (
    DHCP6_Advertise,
    DHCP6_Solicit,
    DHCP6OptClientId,
    DHCP6OptElapsedTime,
    DHCP6OptIA_PD,
    DHCP6OptIAPrefix,
    DHCP6OptOptReq,
    DHCP6OptServerId,
    DUID_LL,
)
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6ND_RS,
    ICMPv6NDOptSrcLLAddr,
    ICMPv6NDOptUnknown,
    IPv6,
    in6_chksum,
)
from scapy.layers.l2 import GRE
from scapy.packet import Raw

from fragment_cases import Sender
from golden import Case, tunnels
from kind_cases import bindings

# RFC 4213, 3.7: the IPv4 address of the interface behind fe80::/96.
TUNNEL_END = "fe80::c000:201"
SOLICITED = "ff02::1:ff00:201"
HOME_DEVICE = "fe80::1"


def make():
    return [prefix_delegation(), with_home_device(), not_registered(), probes(), not_answered(), other_endpoint(),
            of_the_tunnel(), of_registered(), of_several()]


def link_local(name):
    return f"fe80::{tunnels.number_of(name)}"


def registered(names=None):
    """Each node with its link-local address by the home address."""
    file = bindings(names)
    file["bindings"] = [
        {**entry, "prefixes": [*entry["prefixes"], {"prefix": f"{link_local(entry['id'])}/128", "tunnel": "home-address"}]}
        for entry in file["bindings"]]
    return file


class Link(Sender):
    """Both directions of the tunnels of home addresses."""

    def __init__(self, case):
        super().__init__(case)
        self.received = {}

    def from_node(self, name, inner, direct=False):
        if direct:
            return IP(src=tunnels.home(name), dst=tunnels.ENDPOINT, proto=41) / inner
        number = self.received.get(name, 0)
        self.received[name] = number + 1
        return tunnels.from_node(name, tunnels.from_home(name, inner), sequence=number)

    def to_node(self, name, inner, identifications=None, flags=0):
        ends = tunnels.ENDPOINT, tunnels.care_of(name)
        tos = tunnels.outer_class(name, inner.tc)
        number, inner_number = identifications or (self.case.next_identification(tunnels.care_of(name)), None)
        if tunnels.is_minimal(name):
            middle = IP(src=ends[0], dst=tunnels.home(name), proto=41, id=number, tos=tos, ttl=64, flags=flags) / inner
            return tunnels.minimal_of(name, *ends, middle, keep_source=True)
        if inner_number is None:
            inner_number = number
        middle = IP(src=ends[0], dst=tunnels.home(name), proto=41, id=inner_number, tos=tos, ttl=64, flags=flags) / inner
        return tunnels.tunnelled(name, middle, *ends, number, sequence=self.sequence(name), tos=tos, flags=flags)


def prefix_delegation():
    case = Case("link-local-dhcpv6", "A node that has registered its link-local address asks ff02::1:2 for a prefix by the "
                "tunnel of its home address, and gets the server's answer.", "P1, H10", registered())
    link = Link(case)
    for name in tunnels.BINDINGS:
        node = DHCP6OptClientId(duid=DUID_LL(lladdr=f"02:00:00:00:00:0{tunnels.number_of(name)}"))
        solicit = (IPv6(src=link_local(name), dst="ff02::1:2", hlim=1) / UDP(sport=546, dport=547)
                   / DHCP6_Solicit(trid=0x5454) / node / DHCP6OptElapsedTime(elapsedtime=10)
                   / DHCP6OptOptReq(reqopts=[23, 24]) / DHCP6OptIA_PD(iaid=1, T1=0, T2=0))
        for direct in (False, True):
            case.decapsulated(bytes(link.from_node(name, solicit, direct)), bytes(solicit))
        advertise = (IPv6(src=HOME_DEVICE, dst=link_local(name)) / UDP(sport=547, dport=546) / DHCP6_Advertise(trid=0x5454)
                     / node / DHCP6OptServerId(duid=DUID_LL(lladdr="02:00:00:00:00:ff"))
                     / DHCP6OptIA_PD(iaid=1, T1=100, T2=200, iapdopt=[DHCP6OptIAPrefix(prefix="2001:db8:77::", plen=56)]))
        case.becomes("home", bytes(advertise), [link.to_node(name, advertise)])
    return case


def with_home_device():
    case = Case("link-local", "Between the link-local addresses of a node and of the home device packets pass both ways; none "
                "passes between a link-local address and one that is not.", "P1, T2", registered())
    link = Link(case)
    for name in tunnels.BINDINGS:
        own = link_local(name)
        there = IPv6(src=own, dst=HOME_DEVICE, tc=0, hlim=255) / ICMPv6EchoRequest(data=b"there")
        case.decapsulated(bytes(link.from_node(name, there)), bytes(there))
        back = IPv6(src=HOME_DEVICE, dst=own, hlim=255) / ICMPv6EchoRequest(data=b"back")
        case.becomes("home", bytes(back), [link.to_node(name, back)])
        for message in (ICMPv6ND_RS(), ICMPv6ND_NS(tgt=HOME_DEVICE), ICMPv6ND_NA(tgt=own)):
            discovery = IPv6(src=own, dst="ff02::2", hlim=255) / message
            case.decapsulated(bytes(link.from_node(name, discovery)), bytes(discovery))
        advertisement = IPv6(src=HOME_DEVICE, dst=own, hlim=255) / ICMPv6ND_RA()
        case.becomes("home", bytes(advertisement), [link.to_node(name, advertisement)])

        def mixed(source, destination):
            return IPv6(src=source, dst=destination) / UDP() / tunnels.payload()

        for source, destination in ((own, tunnels.CORRESPONDENT6), (own, "ff0e::1"), (tunnels.node6(name, True), HOME_DEVICE),
                                    (tunnels.node6(name, True), "ff02::1:2")):
            case.dropped("access", bytes(tunnels.from_node(
                name, tunnels.from_home(name, mixed(source, destination)))), "link-local")
        for source, destination in ((HOME_DEVICE, tunnels.node6(name, True)), (tunnels.CORRESPONDENT6, own)):
            case.dropped("home", bytes(mixed(source, destination)), "link-local")
    return case


def not_registered():
    case = Case("link-local-not-registered", "A link-local address that no node has registered, or another node, or that comes by "
                "another tunnel than that of the home address, is not served.", "P1, H13, H14", registered(["direct", "udp"]))
    solicit = UDP(sport=546, dport=547) / DHCP6_Solicit(trid=1)
    for inner in (IPv6(src="fe80::99", dst="ff02::1:2") / solicit, IPv6(src="fe80::99", dst=HOME_DEVICE) / UDP()):
        case.dropped("access", bytes(tunnels.from_node("direct", tunnels.from_home("direct", inner))),
                     "inner-source-unregistered")
    inner = IPv6(src=link_local("udp"), dst="ff02::1:2") / solicit
    case.dropped("access", bytes(tunnels.from_node("direct", tunnels.from_home("direct", inner))), "outer-source-mismatch")
    inner = IPv6(src=link_local("direct"), dst="ff02::1:2") / solicit
    case.dropped("access", bytes(tunnels.from_node("direct", inner)), "tunnel-mismatch")
    for source in ("::", "::1", "ff02::1"):
        inner = IPv6(src=source, dst="ff02::1:2") / solicit
        case.dropped("access", bytes(tunnels.from_node("direct", tunnels.from_home("direct", inner))), "inner-source-invalid")
    case.dropped("home", bytes(IPv6(src=HOME_DEVICE, dst="fe80::99") / UDP()), "link-local")
    return case


def solicitation(name, destination=TUNNEL_END, target=TUNNEL_END, **fields):
    return IPv6(src=link_local(name), dst=destination, hlim=255) / ICMPv6ND_NS(tgt=target, **fields)


def answer(name):
    """RFC 4861, 7.2.4: solicited, from a router, without options, since there are no link-layer addresses."""
    return IPv6(src=TUNNEL_END, dst=link_local(name), hlim=255) / ICMPv6ND_NA(R=1, S=1, O=0, tgt=TUNNEL_END)


def probes():
    case = Case("neighbour-solicitation", "Probes of whether the tunnel's end is there are answered, with don't fragment set; no "
                "link-layer address is needed, and one that is there is passed over.", "T2, T3", registered())
    link = Link(case)

    def answered(name, request, direct=False):
        case._receive("access", bytes(link.from_node(name, request, direct)))
        case.absorbed += 1
        case.generated["access"] += 1
        case._transmit("access", bytes(link.to_node(name, answer(name), (0, 0), "DF")))

    for name in tunnels.BINDINGS:
        answered(name, solicitation(name))
        answered(name, solicitation(name), direct=True)
        answered(name, solicitation(name, SOLICITED))
        answered(name, solicitation(name) / ICMPv6NDOptSrcLLAddr(lladdr="02:00:00:00:00:01"))
        answered(name, solicitation(name) / ICMPv6NDOptUnknown(type=14, len=1, data=bytes(6)))
        # What lies behind the packet is no part of it.
        answered(name, Raw(bytes(solicitation(name)) + bytes(9)))
    return case


def not_answered():
    case = Case("neighbour-solicitation-not-answered", "What is no valid solicitation for the tunnel's end is not answered: it goes "
                "to the home side like other packets of the link, or is dropped where its hop limit is not 255.", "T3",
                registered(["direct"]))
    link = Link(case)

    def passes(inner):
        case.decapsulated(bytes(link.from_node("direct", inner)), bytes(inner))

    good = solicitation("direct")

    def changed(place, value):
        """The message with another byte, and a checksum that is right."""
        message = bytearray(bytes(good)[40:])
        message[place] = value
        return with_checksum(bytes(message))

    def with_checksum(message):
        message = message[:2] + b"\0\0" + message[4:]
        header = IPv6(src=good.src, dst=good.dst, hlim=255, nh=58)
        return header / Raw(message[:2] + struct.pack("!H", in6_chksum(58, header, message)) + message[4:])

    plain = bytes(good)[40:]
    if bytes(with_checksum(plain)) != bytes(good):
        raise SystemExit("the checksum is not scapy's")
    passes(solicitation("direct", cksum=0x1234))
    passes(changed(1, 1))
    passes(solicitation("direct", target=HOME_DEVICE))
    passes(solicitation("direct", target="fe80::c000:202"))
    passes(solicitation("direct", target="ff02::1"))
    passes(with_checksum(plain + bytes([1, 0, 2, 0, 0, 0, 0, 1])))
    passes(with_checksum(plain + bytes([1, 2, 2, 0, 0, 0, 0, 1])))
    passes(with_checksum(plain + bytes([1])))
    passes(with_checksum(plain[:23]))
    passes(with_checksum(plain[:8]))
    for kind in (133, 134, 136, 137):
        passes(changed(0, kind))
    for hop_limit in (0, 1, 64, 254):
        wrong = good.copy()
        wrong.hlim = hop_limit
        case.dropped("access", bytes(link.from_node("direct", wrong)), "neighbor-hop-limit")
    return case


def other_endpoint():
    """The link-local address of a tunnel's end is made of the endpoint that the binding has."""
    case = Case("neighbour-solicitation-endpoint", "The tunnel's end is that of the binding's own endpoint.", "T2, T3",
                registered(["direct"]))
    case.bindings["bindings"][0]["endpoint"] = "192.0.2.2"
    end = "fe80::c000:202"
    name = "direct"

    def from_node(inner):
        middle = IP(src=tunnels.home(name), dst="192.0.2.2", proto=41, id=5, ttl=64) / inner
        return tunnels.from_node(name, middle, destination="192.0.2.2")

    case._receive("access", bytes(from_node(solicitation(name, end, end))))
    case.absorbed += 1
    case.generated["access"] += 1
    reply = IPv6(src=end, dst=link_local(name), hlim=255) / ICMPv6ND_NA(R=1, S=1, O=0, tgt=end)
    middle = IP(src="192.0.2.2", dst=tunnels.home(name), proto=41, id=0, ttl=64, flags="DF") / reply
    case._transmit("access", bytes(tunnels.tunnelled(name, middle, "192.0.2.2", tunnels.care_of(name), 0, flags="DF")))
    other = solicitation(name)
    case.decapsulated(bytes(from_node(other)), bytes(other))
    return case


def of_the_tunnel():
    """RFC 4213, 3.7: the ends of a tunnel have link-local addresses made of their IPv4 addresses, which nobody registers."""
    case = Case("neighbour-solicitation-unregistered", "Probes from the link-local address that a node's end of the tunnel has by "
                "itself are answered in the tunnel that they came by, that to the care-of address or that to the home address; "
                "nothing else from there is carried.", "T2, T3", bindings())
    link = Link(case)

    def of(address):
        return "fe80::" + "{:x}{:02x}:{:x}{:02x}".format(*map(int, address.split(".")))

    def ask(source, **fields):
        return IPv6(src=source, dst=TUNNEL_END, hlim=255) / ICMPv6ND_NS(tgt=TUNNEL_END, **fields)

    def reply(source):
        return IPv6(src=TUNNEL_END, dst=source, hlim=255) / ICMPv6ND_NA(R=1, S=1, O=0, tgt=TUNNEL_END)

    def answered(request, out):
        case._receive("access", bytes(request))
        case.absorbed += 1
        case.generated["access"] += 1
        case._transmit("access", bytes(out))

    for name in tunnels.BINDINGS:
        home, care_of = of(tunnels.home(name)), of(tunnels.care_of(name))
        answered(link.from_node(name, ask(home)), link.to_node(name, reply(home), (0, 0), "DF"))
        if name in tunnels.CARE_OF_KINDS:
            number = link.received[name]
            link.received[name] = number + 1
            answered(tunnels.from_node(name, ask(care_of), sequence=number), tunnels.tunnelled(
                name, reply(care_of), tunnels.ENDPOINT, tunnels.care_of(name), 0, sequence=link.sequence(name), flags="DF"))
    # Not from elsewhere, nor in another tunnel than the binding's, nor for another target.
    own = of(tunnels.care_of("direct"))
    reason = "inner-source-unregistered"
    case.dropped("access", bytes(IP(src="203.0.113.250", dst=tunnels.ENDPOINT, proto=41) / ask(own)), reason)
    case.dropped("access", bytes(tunnels.from_node("gre", ask(own), source=tunnels.care_of("direct"))), reason)
    case.dropped("access", bytes(tunnels.from_node("direct", ask(own), destination="192.0.2.2")), "not-for-endpoint")
    case.dropped("access", bytes(tunnels.from_node("udp", ask(own), port=40001)), reason)
    case.dropped("access", bytes(tunnels.from_node("direct", tunnels.from_home("udp", ask(own)))), reason)
    case.dropped("access", bytes(tunnels.from_node("direct", ask(own, cksum=1))), reason)
    case.dropped("access", bytes(tunnels.from_node("direct", IPv6(src=own, dst=TUNNEL_END, hlim=254)
                                                   / ICMPv6ND_NS(tgt=TUNNEL_END))), "neighbor-hop-limit")
    case.dropped("access", bytes(tunnels.from_node("direct", IPv6(src=own, dst=TUNNEL_END, hlim=255)
                                                   / ICMPv6ND_NS(tgt=HOME_DEVICE))), reason)
    case.dropped("access", bytes(tunnels.from_node("direct", IPv6(src=own, dst=TUNNEL_END, hlim=255)
                                                   / ICMPv6EchoRequest())), reason)
    return case


def of_registered():
    case = Case("neighbour-solicitation-registered", "A node that has registered its tunnel's own link-local address is answered in "
                "each of its tunnels, and so is another whose address that would be; who asks from the address that it asks for is "
                "not.", "T2, T3", bindings(["direct", "gre"]))
    own = "fe80::cb00:7101"
    entry = case.bindings["bindings"][1]
    case.bindings["bindings"][1] = {
        **entry, "prefixes": [*entry["prefixes"], {"prefix": f"{own}/128", "tunnel": "home-address"}]}
    request = IPv6(src=own, dst=TUNNEL_END, hlim=255) / ICMPv6ND_NS(tgt=TUNNEL_END)
    reply = IPv6(src=TUNNEL_END, dst=own, hlim=255) / ICMPv6ND_NA(R=1, S=1, O=0, tgt=TUNNEL_END)
    link = Link(case)
    ways = [(tunnels.from_node("direct", request), tunnels.tunnelled(
                "direct", reply, tunnels.ENDPOINT, tunnels.care_of("direct"), 0, flags="DF")),
            (tunnels.from_node("gre", request), tunnels.tunnelled(
                "gre", reply, tunnels.ENDPOINT, tunnels.care_of("gre"), 0, flags="DF")),
            (link.from_node("gre", request), link.to_node("gre", reply, (0, 0), "DF"))]
    for packet, answer_to_it in ways:
        case._receive("access", bytes(packet))
        case.absorbed += 1
        case.generated["access"] += 1
        case._transmit("access", bytes(answer_to_it))
    itself = IPv6(src=TUNNEL_END, dst=TUNNEL_END, hlim=255) / ICMPv6ND_NS(tgt=TUNNEL_END)
    case.dropped("access", bytes(tunnels.from_node("direct", itself)), "inner-source-invalid")
    return case


def of_several():
    case = Case("neighbour-solicitation-several", "Nodes behind one address translator, told apart by their ports and by what stands "
                "inside of UDP, are each answered; one that has no binding is not.", "T3, N1", None)
    inside = [(40001, "ip-in-ip"), (40002, "ip-in-ip"), (40003, "gre")]
    case.bindings = {"endpoint": tunnels.ENDPOINT, "bindings": [
        {"id": f"mn{port}", "careOfAddress": "203.0.113.1", "encapsulation": "udp",
         "udp": {"port": port, "encapsulation": kind},
         "prefixes": [{"prefix": f"2001:db8:{port - 40000}::/64", "tunnel": "care-of"}]} for port, kind in inside]}
    own = "fe80::cb00:7101"
    request = IPv6(src=own, dst=TUNNEL_END, hlim=255) / ICMPv6ND_NS(tgt=TUNNEL_END)
    reply = IPv6(src=TUNNEL_END, dst=own, hlim=255) / ICMPv6ND_NA(R=1, S=1, O=0, tgt=TUNNEL_END)

    def packet(port, kind, inner, to_node):
        outer = (IP(src=tunnels.ENDPOINT, dst="203.0.113.1", id=0, flags="DF", ttl=64) if to_node
                 else IP(src="203.0.113.1", dst=tunnels.ENDPOINT, id=7))
        carried = (41, inner) if kind == "ip-in-ip" else (47, GRE(proto=0x86DD) / inner)
        out = tunnels.in_udp(outer, *carried, None if to_node else port)
        if to_node:
            out[UDP].dport = port
        return bytes(out)

    for port, kind in inside:
        case._receive("access", packet(port, kind, request, False))
        case.absorbed += 1
        case.generated["access"] += 1
        case._transmit("access", packet(port, kind, reply, True))
    for port, kind in ((40004, "ip-in-ip"), (40001, "gre"), (40003, "ip-in-ip")):
        case.dropped("access", packet(port, kind, request, False), "inner-source-unregistered")
    return case
