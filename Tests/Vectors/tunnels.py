#!/usr/bin/python3
"""Makes the vectors of the tunnel kinds: tunnels-bindings.json and tunnels.json.

Packets are encoded by scapy, except for the minimal forwarding header, which it does not know: that is written out here
as RFC 2004 draws it. Nothing is taken from Mooring's own code, and the output is the same on every run.

    apt-get install python3-scapy && Tests/Vectors/tunnels.py
"""

import json
import pathlib
import struct

from scapy.layers.dhcp6 import (
    DHCP6_Advertise,
    DHCP6_Solicit,
    DHCP6OptClientId,
    DHCP6OptElapsedTime,
    DHCP6OptIA_PD,
    DHCP6OptIAPrefix,
    DUID_LL,
)
from scapy.layers.inet import (
    ICMP,
    IP,
    UDP,
    IPOption_LSRR,
    IPOption_NOP,
    IPOption_RR,
    IPOption_Router_Alert,
    defragment,
)
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoRequest,
    ICMPv6MLDMultAddrRec,
    ICMPv6MLDone,
    ICMPv6MLReport,
    ICMPv6MLReport2,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6PacketTooBig,
    IPv6,
    IPv6ExtHdrHopByHop,
    RouterAlert,
)
from scapy.layers.l2 import GRE
from scapy.layers.mobileip import MobileIP, MobileIPTunnelData
from scapy.packet import Raw
from scapy.utils import checksum

HERE = pathlib.Path(__file__).resolve().parent
ENDPOINT = "192.0.2.1"
ERROR_SOURCE = "2001:db8:ffff::1"
CORRESPONDENT = "192.0.2.200"
CORRESPONDENT6 = "2001:db8:cccc::5"


def binding(number, name, encapsulation, care_of=True, **more):
    """A binding with a home address, a prefix by the care-of address and one by the home address."""
    prefixes = [{"prefix": f"2001:db8:{number}::/64", "tunnel": "care-of"}] if care_of else []
    prefixes.append({"prefix": f"2001:db8:10{number}::/64", "tunnel": "home-address"})
    return {
        "id": name, "homeAddress": f"198.51.100.{number}", "careOfAddress": f"203.0.113.{number}",
        "encapsulation": encapsulation, "prefixes": prefixes, **more}


BINDINGS = {entry["id"]: entry for entry in [
    binding(1, "direct", "ip-in-ip"),
    binding(2, "gre", "gre"),
    binding(3, "gre-key", "gre", gre={"key": 7, "sequence": False, "checksum": True}),
    binding(4, "gre-sequence", "gre", gre={"key": 0xFFFFFFFF, "sequence": True, "checksum": True}),
    binding(5, "minimal", "minimal", care_of=False),
    binding(6, "udp", "udp", udp={"port": 40000}),
    binding(7, "pipe", "ip-in-ip", dscp="pipe", ecn="compatibility"),
    # The longest headers that there are.
    binding(8, "gre-in-udp", "udp", udp={"port": 40000, "encapsulation": "gre"},
            gre={"key": 1, "sequence": True, "checksum": True}),
    binding(9, "minimal-in-udp", "udp", care_of=False, udp={"port": 40000, "encapsulation": "minimal"}),
]}


def is_minimal(name):
    return name in ("minimal", "minimal-in-udp")


def growth(name):
    """Of IPv4 in minimal encapsulation, in bytes."""
    return 24 if name == "minimal-in-udp" else 12


CARE_OF_KINDS = [name for name in BINDINGS if not is_minimal(name)]


def number_of(name):
    return int(BINDINGS[name]["careOfAddress"].split(".")[3])


def home(name):
    return BINDINGS[name]["homeAddress"]


def care_of(name):
    return BINDINGS[name]["careOfAddress"]


def node6(name, by_home=False):
    return f"2001:db8:{'10' if by_home else ''}{number_of(name)}::9"


def payload(length=12):
    return Raw(bytes((0xA0 + index) & 0xFF for index in range(length)))


def gre(name, inner, sequence, **more):
    options = BINDINGS[name].get("gre", {})
    fields = {"proto": 0x86DD if inner.version == 6 else 0x0800}
    if options.get("checksum"):
        fields["chksum_present"] = 1
    if "key" in options:
        fields.update(key_present=1, key=options["key"])
    if options.get("sequence"):
        fields.update(seqnum_present=1, sequence_number=sequence)
    fields.update(more)
    return GRE(**fields) / inner


def minimal(source, destination, inner, keep_source=False, alter=lambda header: header):
    """RFC 2004, 3: the packet's own header, changed, and a minimal forwarding header."""
    fields = struct.pack("!BBH", inner.proto, 0 if keep_source else 0x80, 0) + bytes(map(int, inner.dst.split(".")))
    if not keep_source:
        fields += bytes(map(int, inner.src.split(".")))
    fields = alter(fields[:2] + struct.pack("!H", checksum(fields)) + fields[4:])
    raw = IP(bytes(inner))
    outer = IP(
        src=source, dst=destination, proto=55, tos=raw.tos, id=raw.id, flags=raw.flags, frag=raw.frag, ttl=raw.ttl,
        options=raw.options)
    return outer / Raw(fields + bytes(raw.payload))


def in_udp(outer, next_header, inner, port):
    """RFC 3519, 3.3: from the endpoint to a node's port without a checksum, or from `port` of a node with one; where it is
    two, from the one to the other without one."""
    sport, dport = port if isinstance(port, tuple) else (434, 40000) if port is None else (port, 434)
    outer.proto = 17
    return outer / UDP(sport=sport, dport=dport, chksum=None if isinstance(port, int) else 0) / MobileIP(type=4) / (
        MobileIPTunnelData(nexthdr=next_header) / inner)


def minimal_of(name, source, destination, inner, keep_source=False, port=None):
    """The same in the tunnel of a binding: with UDP, what stands there goes between the two headers."""
    packet = minimal(source, destination, inner, keep_source)
    if name == "minimal":
        return packet
    header = packet.copy()
    header.remove_payload()
    return IP(bytes(in_udp(header, 55, packet.payload, port)))


def tunnelled(name, inner, source, destination, identification, sequence=0, tos=None, port=None, ttl=64, flags=None):
    """An inner packet in the IPv4 tunnel of a binding."""
    kind = BINDINGS[name]["encapsulation"]
    if is_minimal(name):
        return minimal_of(name, source, destination, inner, port=port)
    class_ = inner.tc if inner.version == 6 else inner.tos
    if flags is None:
        flags = "DF" if inner.version == 4 and "DF" in str(inner.flags) else 0
    outer = IP(
        src=source, dst=destination, id=identification, tos=class_ if tos is None else tos, ttl=ttl, flags=flags)
    protocol = 41 if inner.version == 6 else 4
    if kind == "gre":
        return outer / gre(name, inner, sequence)
    if name == "gre-in-udp":
        return in_udp(outer, 47, gre(name, inner, sequence), port)
    if kind == "udp":
        return in_udp(outer, protocol, inner, port)
    outer.proto = protocol
    return outer / inner


def outer_class(name, inner_class):
    """What the outer header gets: all of it, or with pipe and compatibility nothing."""
    return 0 if name == "pipe" else inner_class


def make_encapsulation():
    cases = []

    def case(name, what, inner, outer):
        cases.append({"name": f"{name}: {what}", "in": bytes(inner).hex(), "out": bytes(outer).hex()})

    for name in BINDINGS:
        for what, fields in {
            "IPv4": {"tos": 0}, "IPv4, EF and ECT(1)": {"tos": 0xB9}, "IPv4, CE, don't fragment": {"tos": 3, "flags": "DF"},
        }.items():
            inner = IP(src=CORRESPONDENT, dst=home(name), id=0x4711, ttl=61, **fields) / UDP() / payload()
            tos = outer_class(name, fields["tos"])
            case(name, what, inner, tunnelled(name, inner, ENDPOINT, care_of(name), 1, tos=tos))
        inner = IP(src=CORRESPONDENT, dst=home(name), id=7, ttl=1, flags="DF") / UDP() / payload(1280 - 28)
        case(name, "IPv4 of the tunnel MTU", inner, tunnelled(name, inner, ENDPOINT, care_of(name), 1))
        inner = IP(src=ENDPOINT, dst=home(name), id=9, ttl=63) / ICMP(type=0, id=5, seq=6)
        case(name, "the home agent's echo reply", inner, tunnelled(name, inner, ENDPOINT, care_of(name), 1))
        if not is_minimal(name):
            inner = IP(src=CORRESPONDENT, dst=home(name), options=[IPOption_NOP()] * 4) / UDP() / payload()
            case(name, "IPv4 with options", inner, tunnelled(name, inner, ENDPOINT, care_of(name), 1))
            inner = IP(src=CORRESPONDENT, dst=home(name), id=3, flags="MF", frag=5) / payload(16)
            case(name, "a fragment", inner, tunnelled(name, inner, ENDPOINT, care_of(name), 1))
    for name in CARE_OF_KINDS:
        for tc in (0, 0xBA):
            inner = IPv6(src=CORRESPONDENT6, dst=node6(name), tc=tc, fl=0x12345, hlim=62) / UDP() / payload()
            tos = outer_class(name, tc)
            case(name, f"IPv6 to the care-of address, class {tc:#x}", inner,
                 tunnelled(name, inner, ENDPOINT, care_of(name), 1, tos=tos))
    for name in BINDINGS:
        for tc in (0, 0xBA):
            inner = IPv6(src=CORRESPONDENT6, dst=node6(name, True), tc=tc, hlim=62) / UDP() / payload()
            tos = outer_class(name, tc)
            if is_minimal(name):
                # One header less: what would be the header to the home address has become the outer one.
                middle = IP(src=ENDPOINT, dst=home(name), proto=41, id=1, tos=tos, ttl=64) / inner
                out = minimal_of(name, ENDPOINT, care_of(name), middle, keep_source=True)
            else:
                middle = IP(src=ENDPOINT, dst=home(name), proto=41, id=1, tos=tos, ttl=64) / inner
                out = tunnelled(name, middle, ENDPOINT, care_of(name), 1, tos=tos)
            case(name, f"IPv6 to the home address, class {tc:#x}", inner, out)
    return cases


def cut(packet, limit):
    """The fragments of a packet as RFC 791, 3.2 makes them: of `limit` bytes at the most, and of the options only those
    with the copied flag in all but the first. The bytes are scapy's."""
    seen = IP(bytes(packet))
    load = bytes(seen.payload)
    copied = [option for option in packet.options if option.copy_flag]
    fragments, start = [], 0
    while start < len(load):
        header = IP(src=seen.src, dst=seen.dst, id=seen.id, tos=seen.tos, ttl=seen.ttl, proto=seen.proto,
                    options=packet.options if start == 0 else copied)
        room = limit - len(bytes(header))
        is_last = len(load) - start <= room
        part = load[start:] if is_last else load[start:start + room // 8 * 8]
        header.frag = seen.frag + start // 8
        header.flags = seen.flags if is_last else seen.flags | 1
        fragments.append(header / Raw(part))
        start += len(part)
    if not packet.options and [bytes(f) for f in fragments] != [bytes(f) for f in IP(bytes(packet)).fragment(limit - 20)]:
        raise SystemExit("scapy cuts otherwise")
    return fragments


def joined(fragments):
    """What scapy makes of fragments."""
    whole = defragment([IP(bytes(fragment)) for fragment in fragments])
    if len(whole) != 1:
        raise SystemExit("the fragments are of more than one packet")
    return bytes(whole[0])


def fragmented(name, inner, sequence=0):
    """What leaves of an IPv4 packet to the node that is larger than the tunnel MTU of 1,280 bytes."""
    if is_minimal(name):
        # Where it is cut, other packets' identifications may be the same (RFC 6864, 4.3).
        whole = IP(bytes(minimal_of(name, ENDPOINT, care_of(name), inner)))
        whole.id, whole.chksum = 1, None
        return cut(whole, 1280 + growth(name))
    return [tunnelled(name, fragment, ENDPOINT, care_of(name), 1 + index, sequence=sequence + index,
                      tos=outer_class(name, fragment.tos))
            for index, fragment in enumerate(cut(inner, 1280))]


def make_fragmentation():
    """RFC 2003, 5.1; RFC 791, 3.2: IPv4 packets past the tunnel MTU whose source lets them be fragmented."""
    cases = []

    def case(name, what, inner):
        out = fragmented(name, inner)
        if is_minimal(name):
            again = joined(out)
            whole = IP(bytes(minimal_of(name, ENDPOINT, care_of(name), inner)))
            whole.id, whole.chksum = 1, None
            if again != bytes(whole):
                raise SystemExit(f"{name}, {what}: the fragments do not make the packet")
        elif not inner.options and not inner.frag and not inner.flags & 1:
            if joined(cut(inner, 1280)) != bytes(inner):
                raise SystemExit(f"{name}, {what}: the fragments do not make the packet")
        cases.append({"name": f"{name}: {what}", "in": bytes(inner).hex(), "out": [bytes(packet).hex() for packet in out]})

    for name in BINDINGS:
        def packet(length, **fields):
            """Of so many bytes without options."""
            return IP(src=CORRESPONDENT, dst=home(name), **{"id": 7, "ttl": 61, **fields}) / UDP() / payload(length - 28)

        # The payload of a fragment of 1,280 bytes is 1,256; of the last it may be up to 1,260.
        sizes = {1281: 2, 1500: 2, 20 + 1256 + 1260: 2, 20 + 1256 + 1261: 3, 4000: 4}
        if is_minimal(name):
            # The 12 bytes of the minimal header are payload of what is cut.
            sizes = {1281: 2, 1500: 2, 4000: 4}
        for length, count in sizes.items():
            case(name, f"{length} bytes", packet(length))
            if len(cases[-1]["out"]) != count:
                raise SystemExit(f"{name}: {length} bytes make {len(cases[-1]['out'])} fragments")
        case(name, "EF and ECT(1)", packet(1300, tos=0xB9))
        if is_minimal(name):
            continue
        case(name, "a first fragment", packet(2000 // 8 * 8 + 4, flags="MF"))
        case(name, "a middle fragment", packet(20 + 1888, flags="MF", frag=236))
        case(name, "a last fragment", packet(1999, frag=236))
        case(name, "the reserved flag", packet(1400, flags=4))
    for what, options in {
        "record route, not copied": [IPOption_RR(routers=["0.0.0.0"] * 3)],
        "router alert, copied": [IPOption_Router_Alert()],
        "some of them copied": [IPOption_NOP(), IPOption_Router_Alert(), IPOption_RR(routers=["0.0.0.0"] * 2), IPOption_NOP(),
                                IPOption_LSRR(routers=["192.0.2.7"])],
        "40 bytes of them, all copied": [IPOption_LSRR(routers=["192.0.2.7"] * 9)],
        "40 bytes of them, none copied": [IPOption_NOP()] * 40,
        "padded behind the copied ones": [IPOption_RR(routers=["0.0.0.0"] * 3), IPOption_LSRR(routers=["192.0.2.7"])],
    }.items():
        for length in (1300, 3000):
            case("gre-sequence", f"options, {what}, {length} bytes of payload",
                 IP(src=CORRESPONDENT, dst=home("gre-sequence"), id=9, options=options) / UDP() / payload(length))
    return cases


def from_node(name, inner, source=None, tos=0, sequence=0, port=40000, destination=ENDPOINT):
    return tunnelled(
        name, inner, source or care_of(name), destination, 0xBEEF, sequence=sequence, tos=tos, port=port, ttl=57, flags=0)


def node_packet(name, tos=0, **fields):
    fields = {"src": home(name), "dst": CORRESPONDENT, "ttl": 63, "id": 99, **fields}
    return IP(tos=tos, **fields) / UDP() / payload()


def node_packet6(name, by_home=False, tc=0, **fields):
    fields = {"src": node6(name, by_home), "dst": CORRESPONDENT6, "hlim": 63, **fields}
    return IPv6(tc=tc, **fields) / UDP() / payload()


def from_home(name, inner, tos=0, source=None):
    return IP(src=source or home(name), dst=ENDPOINT, proto=41, id=5, ttl=64, tos=tos) / inner


def make_decapsulation():
    cases = []

    def case(name, what, packet, inner):
        cases.append({"name": f"{name}: {what}", "in": bytes(packet).hex(), "out": bytes(inner).hex()})

    for name in BINDINGS:
        case(name, "IPv4", from_node(name, node_packet(name)), node_packet(name))
        case(name, "IPv4 and padding", bytes(from_node(name, node_packet(name))) + b"padding", node_packet(name))
        case(name, "IPv6 from the home address", from_node(name, from_home(name, node_packet6(name, True))),
             node_packet6(name, True))
        case(name, "IPv6 from the home address, not in the IPv4 tunnel",
             IP(src=home(name), dst=ENDPOINT, proto=41) / node_packet6(name, True), node_packet6(name, True))
        if is_minimal(name):
            continue
        case(name, "IPv4 with options", from_node(name, node_packet(name, options=[IPOption_NOP()] * 4)),
             node_packet(name, options=[IPOption_NOP()] * 4))
        case(name, "IPv6 from the care-of address", from_node(name, node_packet6(name)), node_packet6(name))
        # RFC 6040, figure 4, and RFC 2983: uniform takes the outer DSCP, pipe the inner.
        dscp = 0x88 if name == "pipe" else 0x28
        case(name, "IPv4, congestion on ECT(0)", from_node(name, node_packet(name, 0x8A), tos=0x2B),
             node_packet(name, dscp | 3))
        case(name, "IPv6, congestion on ECT(1)", from_node(name, node_packet6(name, tc=0x89), tos=0x2B),
             node_packet6(name, tc=dscp | 3))
        case(name, "IPv6 from the home address, congestion before the home address is reached",
             from_node(name, from_home(name, node_packet6(name, True, 0x8A), 0x8A), tos=0x2B),
             node_packet6(name, True, dscp | 3))
        case(name, "IPv6 from the home address, ECT(1) outside", from_node(
            name, from_home(name, node_packet6(name, True, 0x8A), 0x8A), tos=0x29), node_packet6(name, True, dscp | 1))
    # A UDP tunnel packet without a checksum.
    packet = from_node("udp", node_packet("udp"))
    packet[UDP].chksum = 0
    case("udp", "no checksum", packet, node_packet("udp"))
    return cases


def make_listeners():
    """RFC 3810, 5.2; RFC 2710, 3; RFC 5454, 3.3.3: what a node says of its groups, in the tunnel of its home address."""
    alert = IPv6ExtHdrHopByHop(options=[RouterAlert()])
    messages = {
        "an MLDv2 report": IPv6(src="fe80::9", dst="ff02::16", hlim=1) / alert / ICMPv6MLReport2(
            records=[ICMPv6MLDMultAddrRec(rtype=4, dst="ff3e::1234")]),
        "an MLD report": IPv6(src="fe80::9", dst="ff3e::1234", hlim=1) / alert / ICMPv6MLReport(mladdr="ff3e::1234"),
        "an MLD done, from no address": IPv6(src="::", dst="ff02::2", hlim=1) / alert / ICMPv6MLDone(mladdr="ff3e::1234"),
    }
    cases = []
    for name in BINDINGS:
        for what, message in messages.items():
            for how, packet in {
                "in the IPv4 tunnel": from_node(name, from_home(name, message)),
                "by itself, with padding": bytes(IP(src=home(name), dst=ENDPOINT, proto=41) / message) + b"padding",
            }.items():
                cases.append({"name": f"{name}: {what} {how}", "in": bytes(packet).hex(), "out": bytes(message).hex()})
    return cases


def make_link_local():
    """RFC 5454, 3.7.1: DHCPv6 between fe80::9, which each node has registered, and a server on the home device."""
    client, cases = DHCP6OptClientId(duid=DUID_LL(lladdr="02:00:00:00:00:09")), []
    solicit = (IPv6(src="fe80::9", dst="ff02::1:2", hlim=1) / UDP(sport=546, dport=547) / DHCP6_Solicit(trid=0x5454)
               / client / DHCP6OptElapsedTime(elapsedtime=10) / DHCP6OptIA_PD(iaid=1, T1=0, T2=0))
    request = IPv6(src="fe80::9", dst="fe80::1", hlim=255) / ICMPv6EchoRequest(data=b"there")
    advertise = (IPv6(src="fe80::1", dst="fe80::9") / UDP(sport=547, dport=546) / DHCP6_Advertise(trid=0x5454) / client
                 / DHCP6OptIA_PD(iaid=1, iapdopt=[DHCP6OptIAPrefix(prefix="2001:db8:77::", plen=56)]))
    for name in BINDINGS:
        for what, packet in {"a solicit to ff02::1:2": solicit, "an echo request to the home device": request}.items():
            cases.append({"name": f"{name}: {what}", "side": "access", "out": bytes(packet).hex(),
                          "in": bytes(from_node(name, from_home(name, packet))).hex()})
        middle = IP(src=ENDPOINT, dst=home(name), proto=41, id=1, ttl=64) / advertise
        out = (minimal_of(name, ENDPOINT, care_of(name), middle, keep_source=True) if is_minimal(name)
               else tunnelled(name, middle, ENDPOINT, care_of(name), 1))
        cases.append({"name": f"{name}: an advertise", "side": "home", "in": bytes(advertise).hex(), "out": bytes(out).hex()})
    return cases


def make_solicitation():
    """RFC 4861, 7.2.4: a probe of fe80::9 for the end of the tunnel, and the answers of a router and of a host."""
    end = "fe80::c000:201"
    probe = IPv6(src="fe80::9", dst=end, hlim=255) / ICMPv6ND_NS(tgt=end)

    def answer(is_router):
        message = IPv6(src=end, dst="fe80::9", hlim=255) / ICMPv6ND_NA(R=is_router, S=1, O=0, tgt=end)
        middle = IP(src=ENDPOINT, dst=home("direct"), proto=41, id=0, ttl=64, flags="DF") / message
        return bytes(tunnelled("direct", middle, ENDPOINT, care_of("direct"), 0)).hex()

    return {"in": bytes(from_node("direct", from_home("direct", probe))).hex(), "router": answer(1), "host": answer(0)}


def make_drops():
    cases = []

    def case(reason, side, name, packet, before=()):
        """`before` are packets of the same side that come first, each with the reason for which it is dropped; without
        one it is absorbed."""
        cases.append({"reason": reason, "side": side, "name": name, "in": bytes(packet).hex(),
                      "before": [{"in": bytes(earlier).hex(), "reason": why} for why, earlier in before]})

    def raw_gre(header, inner=b""):
        return IP(src=care_of("gre"), dst=ENDPOINT, proto=47) / Raw(header + bytes(inner))

    inner = node_packet("gre")
    for length in (0, 3):
        case("gre-truncated", "access", f"{length} bytes", raw_gre(bytes([0x20, 0, 8, 0])[:length]))
    for flags in (0x20, 0x10, 0x80, 0xB0):
        case("gre-truncated", "access", f"flags {flags:#x} without their fields", raw_gre(bytes([flags, 0, 8, 0])))
    for version in (1, 7):
        case("gre-version", "access", f"version {version}", raw_gre(bytes([0, version, 8, 0]), inner))
    case("gre-routing", "access", "routing present", raw_gre(bytes([0x40, 0, 8, 0]), inner))
    for flags in (0x08, 0x04):
        case("gre-flags", "access", f"flags {flags:#x}", raw_gre(bytes([flags, 0, 8, 0]), inner))
    packet = bytearray(bytes(from_node("gre-key", node_packet("gre-key"))))
    packet[-1] ^= 1
    case("gre-checksum", "access", "a payload that was changed", bytes(packet))
    for protocol in (0x0806, 0x6558, 0x8847, 0x880B):
        case("gre-protocol-type", "access", f"type {protocol:#x}", raw_gre(struct.pack("!HH", 0, protocol), inner))
    outer = IP(src=care_of("gre-key"), dst=ENDPOINT)
    case("gre-key", "access", "another key", outer / gre("gre-key", node_packet("gre-key"), 0, key=8))
    case("gre-key", "access", "no key", outer / GRE(proto=0x800) / node_packet("gre-key"))
    case("gre-key", "access", "a key where there is none",
         IP(src=care_of("gre"), dst=ENDPOINT) / GRE(proto=0x800, key_present=1, key=0) / inner)
    early = from_node("gre-sequence", node_packet("gre-sequence"), sequence=5)
    case("gre-sequence", "access", "a number that waits already", early, before=[(None, early)])
    whole = bytes(from_node("minimal", node_packet("minimal")))

    def cut(length):
        return IP(src=care_of("minimal"), dst=ENDPOINT, proto=55) / Raw(whole[20:20 + length])

    for length in (0, 7, 11):
        case("minimal-truncated", "access", f"{length} bytes", cut(length))
    case("minimal-checksum", "access", "one off", minimal(
        care_of("minimal"), ENDPOINT, node_packet("minimal"),
        alter=lambda header: header[:2] + bytes([header[2] ^ 1]) + header[3:]))
    case("minimal-options", "access", "options in the outer header", minimal(
        care_of("minimal"), ENDPOINT, node_packet("minimal", options=[IPOption_NOP()] * 4)))
    case("minimal-options", "home", "options",
         IP(src=CORRESPONDENT, dst=home("minimal"), options=[IPOption_NOP()] * 4) / UDP())
    for name, fields in {"first": {"flags": "MF"}, "last": {"frag": 9}}.items():
        case("minimal-fragment", "home", name, IP(src=CORRESPONDENT, dst=home("minimal"), **fields) / payload(16))

    udp = from_node("udp", node_packet("udp"))
    wrong = udp.copy()
    wrong[UDP].chksum = 0x1234
    case("udp-checksum", "access", "wrong", wrong)
    for length in (7, 200):
        wrong = udp.copy()
        wrong[UDP].len = length
        case("udp-length", "access", f"length {length}", wrong)
    bare = IP(src=care_of("udp"), dst=ENDPOINT) / UDP(sport=40000, dport=434, chksum=0)
    case("mobile-tunnel-data-truncated", "access", "3 bytes", bare / Raw(b"\4\4\0"))
    for header in (50, 17, 0, 6):
        case("mobile-tunnel-data-next-header", "access", f"next header {header}",
             bare / Raw(bytes([4, header, 0, 0])) / node_packet("udp"))
    for other, header, carried in (("gre-in-udp", 47, gre("gre", node_packet("udp"), 0)), ("udp", 4, node_packet("gre-in-udp"))):
        sender = "udp" if header == 47 else "gre-in-udp"
        case("tunnel-mismatch", "access", f"next header {header} from a node with another",
             in_udp(IP(src=care_of(sender), dst=ENDPOINT), header, carried, 40000))
    case("gre-key", "access", "another key in UDP", in_udp(
        IP(src=care_of("gre-in-udp"), dst=ENDPOINT), 47, gre("gre-in-udp", node_packet("gre-in-udp"), 0, key=2), 40000))
    case("gre-version", "access", "version 1 in UDP", in_udp(
        IP(src=care_of("gre-in-udp"), dst=ENDPOINT), 47, GRE(version=1) / payload(20), 40000))
    case("minimal-checksum", "access", "one off in UDP", in_udp(
        IP(src=care_of("minimal-in-udp"), dst=ENDPOINT), 55, Raw(bytes([17, 0x80, 1, 2]) + bytes(20)), 40000))
    case("udp-port-mismatch", "access", "another port with GRE", from_node(
        "gre-in-udp", node_packet("gre-in-udp"), port=40001))
    case("udp-port-mismatch", "access", "another port with minimal encapsulation", from_node(
        "minimal-in-udp", node_packet("minimal-in-udp"), port=40001))
    case("udp-port-mismatch", "access", "another port", from_node("udp", node_packet("udp"), port=40001))
    case("punt-unattended", "access", "a registration request", bare / Raw(bytes([1]) + bytes(23)))
    case("punt-unattended", "access", "an unknown message", bare / Raw(b"\xff"))
    case("punt-unattended", "access", "no message", bare)
    case("udp-length", "access", "a registration request, length 200",
         IP(src=care_of("udp"), dst=ENDPOINT) / UDP(sport=434, dport=434, len=200) / Raw(bytes([1]) + bytes(23)))
    case("unsupported-protocol", "access", "UDP to another port",
         IP(src=care_of("udp"), dst=ENDPOINT) / UDP(sport=434, dport=435) / Raw(bytes([4, 4, 0, 0])))
    case("unsupported-protocol", "access", "UDP of 7 bytes",
         IP(src=care_of("udp"), dst=ENDPOINT, proto=17) / Raw(bytes(bare[UDP])[:7]))

    case("tunnel-mismatch", "access", "IP-in-IP where GRE is bound",
         IP(src=care_of("gre"), dst=ENDPOINT, proto=4) / node_packet("gre"))
    case("tunnel-mismatch", "access", "GRE where IP-in-IP is bound",
         IP(src=care_of("direct"), dst=ENDPOINT) / GRE(proto=0x800) / node_packet("direct"))
    case("tunnel-mismatch", "access", "UDP where IP-in-IP is bound",
         IP(src=care_of("direct"), dst=ENDPOINT) / UDP(sport=1, dport=434) / MobileIP(type=4)
         / MobileIPTunnelData(nexthdr=4) / node_packet("direct"))
    case("tunnel-mismatch", "access", "IPv6 from the home address where the care-of address is bound",
         from_node("direct", from_home("direct", node_packet6("direct"))))
    case("tunnel-mismatch", "access", "IPv6 from the care-of address where the home address is bound",
         from_node("direct", node_packet6("direct", True)))
    case("tunnel-mismatch", "access", "GRE from the home address, not in the IPv4 tunnel",
         IP(src=home("gre"), dst=ENDPOINT) / GRE(proto=0x86DD) / node_packet6("gre", True))
    case("outer-source-mismatch", "access", "IPv4 from another care-of address",
         from_node("direct", node_packet("direct"), source=care_of("gre")))
    case("outer-source-mismatch", "access", "IPv4 from the home address",
         from_node("direct", node_packet("direct"), source=home("direct")))
    case("outer-source-mismatch", "access", "IPv6 from another's home address, by its own care-of address",
         from_node("direct", from_home("direct", node_packet6("direct", True), source=home("pipe"))))
    case("outer-source-mismatch", "access", "IPv6 from its own home address, by another's care-of address",
         from_node("pipe", from_home("direct", node_packet6("direct", True))))
    case("inner-source-unregistered", "access", "IPv4 of nobody",
         from_node("direct", node_packet("direct", src="198.51.100.99")))
    for source in ("0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255"):
        case("inner-source-invalid", "access", f"IPv4 from {source}",
             from_node("direct", node_packet("direct", src=source)))
    for destination in ("224.0.0.1", "255.255.255.255"):
        case("multicast-not-carried", "access", f"IPv4 to {destination}",
             from_node("direct", node_packet("direct", dst=destination)))
        case("multicast-not-carried", "home", f"IPv4 to {destination}", IP(src=CORRESPONDENT, dst=destination) / UDP())
    case("inner-version", "access", "IPv6 in protocol 4",
         IP(src=care_of("direct"), dst=ENDPOINT, proto=4) / node_packet6("direct"))
    case("inner-version", "access", "IPv4 of protocol 41 from the home address that carries none",
         from_node("direct", from_home("direct", Raw(b"\x45"))))
    def middle(identification, first, end, more=True):
        load = bytes(index & 0xFF for index in range(first, end))
        return from_node("direct", IP(src=home("direct"), dst=ENDPOINT, proto=41, id=identification, frag=first // 8,
                                      flags="MF" if more else 0) / Raw(load))

    case("fragment-length", "access", "from the home address, 9 bytes", middle(1, 0, 9))
    case("fragment-overlap", "access", "from the home address", middle(2, 8, 24), [(None, middle(2, 0, 16))])
    case("fragment-duplicate", "access", "from the home address", middle(3, 8, 24), [(None, middle(3, 8, 24))])
    case("fragment-spoiled", "access", "from the home address", middle(4, 16, 24),
         [(None, middle(4, 0, 16)), ("fragment-overlap", middle(4, 8, 24))])
    case("time-to-live-zero", "access", "TTL 0 in the tunnel", from_node("direct", node_packet("direct", ttl=0)))
    case("time-to-live-zero", "home", "TTL 0", IP(src=CORRESPONDENT, dst=home("direct"), ttl=0) / UDP())
    for source in (care_of("direct"), ENDPOINT):
        case("tunnel-loop", "home", f"from {source}", IP(src=source, dst=home("direct")) / UDP())
    case("tunnel-loop", "home", "ICMP from the care-of address", IP(src=care_of("direct"), dst=home("direct")) / ICMP())
    case("ecn-not-capable", "access", "IPv4, congestion on a packet that is not capable",
         from_node("direct", node_packet("direct"), tos=3))
    case("ecn-not-capable", "access", "congestion on a header from the home address that is not capable",
         from_node("direct", from_home("direct", node_packet6("direct", True, 2), 0), tos=3))
    case("packet-too-big", "home", "IPv4 of 1281 bytes, not to be fragmented",
         IP(src=CORRESPONDENT, dst=home("direct"), flags="DF") / UDP() / payload(1281 - 28))
    case("no-binding", "home", "IPv4 to a home address of nobody", IP(src=CORRESPONDENT, dst="198.51.100.99") / UDP())
    case("not-for-endpoint", "access", "GRE to another", from_node("gre", node_packet("gre"), destination="192.0.2.99"))
    return cases


def make_errors():
    """RFC 1191, 4 and RFC 1812, 4.3.2: to the packet's source, with 548 bytes of it."""
    cases = []

    def case(name, inner, **message):
        quote = bytes(inner)[:576 - 28]
        error = IP(src=ENDPOINT, dst=inner.src, tos=0xC0, id=1, ttl=64) / ICMP(**message) / Raw(quote)
        cases.append({"name": name, "in": bytes(inner).hex(), "out": bytes(error).hex()})

    case("fragmentation needed", IP(src=CORRESPONDENT, dst=home("direct"), flags="DF") / UDP() / payload(1281 - 28),
         type=3, code=4, nexthopmtu=1280)
    case("host unreachable", IP(src=CORRESPONDENT, dst="198.51.100.99") / UDP() / payload(), type=3, code=1)
    case("host unreachable, echo request", IP(src=CORRESPONDENT, dst="198.51.100.99") / ICMP() / payload(), type=3, code=1)
    return cases


def make_unanswered():
    """RFC 1812, 4.3.2.7: what no error is sent about."""
    nobody = {"src": CORRESPONDENT, "dst": "198.51.100.99"}
    return [{"name": name, "in": bytes(packet).hex()} for name, packet in {
        "an error": IP(**nobody) / ICMP(type=3, code=1) / Raw(bytes(28)),
        "a redirect": IP(**nobody) / ICMP(type=5) / Raw(bytes(28)),
        "a later fragment": IP(**nobody, frag=9) / payload(),
        "from a group": IP(src="224.0.0.1", dst="198.51.100.99") / UDP(),
        "from nowhere": IP(src="0.0.0.0", dst="198.51.100.99") / UDP(),
        "from the loopback": IP(src="127.0.0.1", dst="198.51.100.99") / UDP(),
        "no ICMP message": IP(**nobody, proto=1),
    }.items()]


def path_error(packet, quoted=None, source="192.0.2.250", behind=b"", **message):
    """An ICMPv4 error of a router on the path, about a tunnel packet of which it quotes so many bytes."""
    return IP(src=source, dst=ENDPOINT, id=3) / ICMP(**message) / Raw(bytes(packet)[:quoted] + behind)


def in_tunnel(name, inner, by_home=False):
    """What the home agent has sent to the node."""
    if by_home:
        inner = IP(src=ENDPOINT, dst=home(name), proto=41, id=2, ttl=64) / inner
    return tunnelled(name, inner, ENDPOINT, care_of(name), 1)


def make_path_errors():
    """RFC 4213, 3.4 and RFC 2003, 4: what becomes of an ICMPv4 error from the path."""
    cases = []

    def to_ipv6(name, error, inner, **message):
        quote = bytes(inner)[:1280 - 48]
        kind = ICMPv6PacketTooBig(mtu=message["mtu"]) if "mtu" in message else ICMPv6DestUnreach(code=3)
        out = IPv6(src=ERROR_SOURCE, dst=CORRESPONDENT6, hlim=64) / kind / Raw(quote)
        cases.append({"name": name, "in": bytes(error).hex(), "out": bytes(out).hex()})

    def to_ipv4(name, error, inner, **message):
        message = {"type": 3, "code": 1, **message}
        out = IP(src=ENDPOINT, dst=CORRESPONDENT, tos=0xC0, id=1, ttl=64) / ICMP(**message) / Raw(bytes(inner)[:548])
        cases.append({"name": name, "in": bytes(error).hex(), "out": bytes(out).hex()})

    for name in CARE_OF_KINDS:
        inner6 = IPv6(src=CORRESPONDENT6, dst=node6(name)) / UDP() / payload(30)
        to_ipv6(f"{name}: IPv6, host unreachable", path_error(in_tunnel(name, inner6), type=3, code=1), inner6)
        inner = IP(src=CORRESPONDENT, dst=home(name)) / UDP() / payload(30)
        to_ipv4(f"{name}: IPv4, host unreachable", path_error(in_tunnel(name, inner), type=3, code=1), inner)
        inner6 = IPv6(src=CORRESPONDENT6, dst=node6(name, True)) / UDP() / payload(30)
        to_ipv6(f"{name}: IPv6 by the home address, time exceeded",
                path_error(in_tunnel(name, inner6, True), type=11), inner6)
    inner = IP(src=CORRESPONDENT, dst=home("minimal"), id=7, tos=4, ttl=33) / UDP() / payload(30)
    to_ipv4("minimal: IPv4, host unreachable", path_error(in_tunnel("minimal", inner), type=3, code=1), inner)
    to_ipv4("minimal: the IPv4 header and 8 bytes", path_error(in_tunnel("minimal", inner), 20 + 12 + 8, type=3, code=1),
            bytes(inner)[:28])
    to_ipv4("minimal: an MTU of 1200", path_error(in_tunnel("minimal", inner), type=3, code=4, nexthopmtu=1200), inner,
            code=4, nexthopmtu=1200 - 12)
    udp_inner = IP(src=CORRESPONDENT, dst=home("minimal-in-udp"), id=7, tos=4, ttl=33) / UDP() / payload(30)
    to_ipv4("minimal in UDP: IPv4, host unreachable",
            path_error(in_tunnel("minimal-in-udp", udp_inner), type=3, code=1), udp_inner)
    to_ipv4("minimal in UDP: the IPv4 header and 8 bytes, an MTU of 1200",
            path_error(in_tunnel("minimal-in-udp", udp_inner), 20 + 24 + 8, type=3, code=4, nexthopmtu=1200),
            bytes(udp_inner)[:28], code=4, nexthopmtu=1200 - 24)
    for name in ("minimal", "minimal-in-udp"):
        inner6 = IPv6(src=CORRESPONDENT6, dst=node6(name, True)) / UDP() / payload(30)
        to_ipv6(f"{name}: IPv6 by the home address, time exceeded",
                path_error(in_tunnel(name, inner6, True), type=11), inner6)
    inner6 = IPv6(src=CORRESPONDENT6, dst=node6("direct")) / UDP() / payload(1232)
    for code in (0, 2, 6, 9, 10, 13):
        to_ipv6(f"code {code}", path_error(in_tunnel("direct", inner6), 20 + 60, type=3, code=code), bytes(inner6)[:60])
    to_ipv6("1,280 bytes quoted", path_error(in_tunnel("direct", inner6), type=3, code=1), inner6)
    to_ipv6("the IPv6 header alone", path_error(in_tunnel("direct", inner6), 60, type=3, code=1), bytes(inner6)[:40])
    for mtu, told in ((1500, 1480), (1400, 1380), (1300, 1280), (1299, 1280), (576, 1280), (0, 1280)):
        to_ipv6(f"an MTU of {mtu} for IPv6",
                path_error(in_tunnel("direct", inner6), 100, type=3, code=4, nexthopmtu=mtu), bytes(inner6)[:80], mtu=told)
    inner = IP(src=CORRESPONDENT, dst=home("gre-key"), flags="DF") / UDP() / payload(1000)
    # Where a router says 0 it is the largest MTU of RFC 1191, 7.1 that is below the packet's length.
    for mtu, told in ((1000, 1000 - 32), (101, 69), (100, 68), (99, 68), (0, 1006 - 32)):
        to_ipv4(f"an MTU of {mtu} for IPv4 in GRE with key and checksum",
                path_error(in_tunnel("gre-key", inner), 200, type=3, code=4, nexthopmtu=mtu), bytes(inner)[:168],
                code=4, nexthopmtu=told)
    to_ipv4("1,028 bytes of IPv4 quoted", path_error(in_tunnel("gre-key", inner), type=3, code=1), inner)
    to_ipv4("the IPv4 header and 8 bytes", path_error(in_tunnel("gre-key", inner), 32 + 28, type=3, code=1), bytes(inner)[:28])
    short = IPv6(src=CORRESPONDENT6, dst=node6("direct")) / UDP() / payload(4)
    to_ipv6("padding behind the packet", path_error(in_tunnel("direct", short), behind=bytes(40), type=3, code=1), short)
    # RFC 4884, 4.1: the quote is 128 bytes, 32 words, and extensions follow.
    long = IPv6(src=CORRESPONDENT6, dst=node6("direct")) / UDP() / payload(200)
    extended = bytearray(bytes(ICMP(type=11)) + bytes(in_tunnel("direct", long))[:128] + b"\x20\0\0\0\0\x08\1\1\1\2\3\4")
    extended[5], extended[2:4] = 32, b"\0\0"
    extended[2:4] = struct.pack("!H", checksum(bytes(extended)))
    to_ipv6("extensions behind the quote", IP(src="192.0.2.250", dst=ENDPOINT, id=3, proto=1) / Raw(bytes(extended)),
            bytes(long)[:108])
    echo = IPv6(src=CORRESPONDENT6, dst=node6("direct")) / ICMPv6EchoRequest(data=b"12345678")
    to_ipv6("about an echo request", path_error(in_tunnel("direct", echo), type=3, code=1), echo)
    return cases


def make_untold():
    """ICMPv4 errors that nobody is told of: they are dropped."""
    inner6 = IPv6(src=CORRESPONDENT6, dst=node6("direct")) / UDP() / payload(30)
    inner = IP(src=CORRESPONDENT, dst=home("direct")) / UDP() / payload(30)
    good = in_tunnel("direct", inner6)
    unreachable = {"type": 3, "code": 1}
    elsewhere = good.copy()
    elsewhere.dst = care_of("gre")
    another = good.copy()
    another.src = "192.0.2.77"
    minimal_inner = IP(src=CORRESPONDENT, dst=home("minimal")) / UDP() / payload(30)
    own = IPv6(src=CORRESPONDENT6, dst=node6("direct"))
    packets = {
        "a port": path_error(good, type=3, code=3),
        "a source route": path_error(good, type=3, code=5),
        "source quench": path_error(good, type=4),
        "a redirect": path_error(good, type=5),
        "a parameter problem": path_error(good, type=12),
        "nothing quoted": path_error(good, 0, **unreachable),
        "19 bytes quoted": path_error(good, 19, **unreachable),
        "8 bytes of IPv6 quoted": path_error(good, 28, **unreachable),
        "39 bytes of IPv6 quoted": path_error(good, 59, **unreachable),
        "27 bytes of IPv4 quoted": path_error(in_tunnel("direct", inner), 47, **unreachable),
        "to a care-of address that is not the node's": path_error(elsewhere, **unreachable),
        "from an endpoint that is not the binding's": path_error(another, **unreachable),
        "a prefix that is not bound": path_error(
            in_tunnel("direct", IPv6(src=CORRESPONDENT6, dst="2001:db8:99::1") / UDP()), **unreachable),
        "a part of the minimal forwarding header": path_error(in_tunnel("minimal", minimal_inner), 20 + 11, **unreachable),
        "7 bytes behind the minimal forwarding header": path_error(
            in_tunnel("minimal", minimal_inner), 20 + 12 + 7, **unreachable),
        "7 bytes behind the minimal forwarding header in UDP": path_error(in_tunnel(
            "minimal-in-udp", IP(src=CORRESPONDENT, dst=home("minimal-in-udp")) / UDP() / payload(30)), 20 + 24 + 7, **unreachable),
        "a part of a GRE header in UDP": path_error(in_tunnel(
            "gre-in-udp", IP(src=CORRESPONDENT, dst=home("gre-in-udp")) / UDP() / payload(30)), 20 + 12 + 14, **unreachable),
        "no tunnel": path_error(IP(src=ENDPOINT, dst=care_of("direct")) / ICMP() / payload(40), **unreachable),
        "UDP that is no tunnel": path_error(
            IP(src=ENDPOINT, dst=care_of("udp")) / UDP(sport=434, dport=40000) / Raw(b"\1" + bytes(60)), **unreachable),
        "GRE of another payload": path_error(
            IP(src=ENDPOINT, dst=care_of("gre")) / GRE(proto=0x6558) / inner, **unreachable),
        "a later fragment": path_error(
            IP(src=ENDPOINT, dst=care_of("direct"), proto=41, frag=3) / inner6, **unreachable),
        "about an ICMPv6 error": path_error(
            in_tunnel("direct", own / ICMPv6DestUnreach() / payload(48)), **unreachable),
        "about an ICMPv6 message that is not there": path_error(
            in_tunnel("direct", own / ICMPv6DestUnreach() / payload(48)), 60, **unreachable),
        "about an ICMPv4 error": path_error(
            in_tunnel("direct", IP(src=CORRESPONDENT, dst=home("direct")) / ICMP(type=3) / payload(28)), **unreachable),
        "about a packet from a group": path_error(
            in_tunnel("direct", IPv6(src="ff0e::1", dst=node6("direct")) / UDP()), **unreachable),
        "about a packet from a link-local address": path_error(
            in_tunnel("direct", IPv6(src="fe80::1", dst=node6("direct")) / UDP()), **unreachable),
    }
    return [{"name": name, "in": bytes(packet).hex()} for name, packet in packets.items()]


def save(name, content):
    (HERE / f"{name}.json").write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    save("tunnels-bindings", {"endpoint": ENDPOINT, "bindings": list(BINDINGS.values())})
    save("tunnels", {
        "encapsulation": make_encapsulation(), "fragmentation": make_fragmentation(),
        "decapsulation": make_decapsulation(), "drops": make_drops(), "errors": make_errors(),
        "unanswered": make_unanswered(), "pathErrors": make_path_errors(), "untold": make_untold(),
        "listeners": make_listeners(), "solicitation": make_solicitation(),
        "linkLocal": make_link_local(),
    })
