"""Multicast to the members of groups (RFC 5454, 3.3.2 and 3.3.3), from nodes, and what nodes say of the groups they listen
to (RFC 2710; RFC 3810)."""

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6MLDMultAddrRec,
    ICMPv6MLDone,
    ICMPv6MLReport,
    ICMPv6MLReport2,
    ICMPv6PacketTooBig,
    IPv6,
    IPv6ExtHdrHopByHop,
    RouterAlert,
)
from scapy.packet import Raw

from fragment_cases import Sender
from golden import Case, tunnels, vectors
from kind_cases import bindings

GROUP = "ff3e::1234"


def make():
    return [members(), order(), too_big(), many(), of_the_link(), from_nodes(), listeners(), not_listeners()]


def with_groups(groups, names=None, **settings):
    """The bindings, with other settings for some, and groups by their members."""
    file = bindings(names)
    file["bindings"] = [{**entry, **settings.get(entry["id"], {})} for entry in file["bindings"]]
    return {**file, "groups": [{"group": group, "members": ids} for group, ids in groups.items()]}


class Multicaster(Sender):
    """Sends to groups."""

    def copy(self, name, inner):
        """What a member gets: by the care-of address where one of its prefixes does, and else by the home address."""
        ends = tunnels.ENDPOINT, tunnels.care_of(name)
        tos = tunnels.outer_class(name, inner.tc)
        number = self.case.next_identification(tunnels.care_of(name))
        if name in tunnels.CARE_OF_KINDS:
            return tunnels.tunnelled(name, inner, *ends, number, sequence=self.sequence(name), tos=tos)
        middle = IP(src=ends[0], dst=tunnels.home(name), proto=41, id=number, tos=tos, ttl=64) / inner
        return tunnels.minimal_of(name, *ends, middle, keep_source=True)

    def send_to(self, members, inner, too_small=(), mtu=None):
        """Members whose tunnel is `too_small` get none, and the source is told the MTU of the first of them."""
        case = self.case
        case._receive("home", bytes(inner))
        case.generated["access"] += len(members) - 1
        told = False
        for name in members:
            if name in too_small:
                if not told:
                    error = IPv6(src=vectors.ERROR_SOURCE, dst=inner.src, hlim=64) / ICMPv6PacketTooBig(mtu=mtu(name))
                    case.generated["home"] += 1
                    case._transmit("home", bytes(error / Raw(bytes(inner)[:1232])))
                    told = True
                case.count_drops("packet-too-big")
            else:
                case._transmit("access", bytes(self.copy(name, inner)))


def multicast(group=GROUP, length=20, **fields):
    return IPv6(dst=group, **{"src": tunnels.CORRESPONDENT6, "hlim": 9, **fields}) / UDP() / tunnels.payload(length)


def members():
    case = Case("multicast", "A packet to a group goes to each of its members in the order of the file, by its own kind of "
                "tunnel and with its own DSCP and ECN; other groups' members get none.", "H15", None)
    all_kinds = ["gre-sequence", "minimal", "direct", "udp", "pipe", "gre-key", "gre"]
    case.bindings = with_groups({GROUP: all_kinds, "ff0e::1": ["udp"], "ff05::2": ["pipe", "minimal"], "ff3e::99": []})
    sender = Multicaster(case)
    for tc in (0, 0xB9, 3):
        sender.send_to(all_kinds, multicast(tc=tc))
        sender.send_to(["udp"], multicast("ff0e::1", tc=tc))
        sender.send_to(["pipe", "minimal"], multicast("ff05::2", tc=tc))
        for group in ("ff3e::99", "ff3e::1235", "ff0e::2", "ff02::1"):
            case.dropped("home", bytes(multicast(group, tc=tc)), "no-group-member")
    sender.send_to(all_kinds, multicast(length=1280 - 48))
    return case


def order():
    case = Case("multicast-order", "Members get their copies in the order in which the file names them, whatever the order of "
                "the bindings.", "H15", None)
    groups = {f"ff3e::{number}": names for number, names in enumerate([
        ["direct", "gre", "udp"], ["udp", "gre", "direct"], ["gre", "udp"], ["minimal"], ["pipe", "direct"],
    ], 1)}
    case.bindings = with_groups(groups)
    sender = Multicaster(case)
    for group, names in groups.items():
        sender.send_to(names, multicast(group))
    return case


def too_big():
    case = Case("multicast-too-big", "A member whose tunnel MTU is too small gets no copy, and the source is told once; the "
                "others get theirs.", "H15, T4", None)
    names = ["gre", "direct", "udp"]
    for_small = {"direct": {"tunnelMTU": 1400}}
    case.bindings = with_groups({GROUP: names, "ff3e::2": names[::-1], "ff3e::3": ["gre"]}, names, **for_small)
    sender = Multicaster(case)
    for length, too_small in ((1280, ()), (1281, ("gre", "udp")), (1400, ("gre", "udp")), (1401, ("gre", "udp", "direct"))):
        def mtu(name):
            return 1400 if name == "direct" else 1280

        sender.send_to(names, multicast(length=length - 48), too_small, mtu)
        sender.send_to(names[::-1], multicast("ff3e::2", length=length - 48), too_small, mtu)
        sender.send_to(["gre"], multicast("ff3e::3", length=length - 48), too_small, mtu)
    return case


def many():
    """More copies than a batch has room for, and packets behind them."""
    case = Case("multicast-many", "A group of 700 members: all of them get a copy, before what comes behind it.", "H15", None)
    ids = [f"mn{number}" for number in range(700)]
    entries = [{"id": name, "careOfAddress": f"203.0.{112 + number // 250}.{number % 250 + 1}",
                "prefixes": [{"prefix": f"2001:db8:1:{number:x}::/64", "tunnel": "care-of"}]}
               for number, name in enumerate(ids)]
    case.bindings = {"endpoint": tunnels.ENDPOINT, "bindings": entries, "groups": [{"group": GROUP, "members": ids}]}
    case.step = 0
    for number in range(3):
        inner = multicast(tc=number, length=4)
        case.becomes("home", bytes(inner), [
            IP(src=tunnels.ENDPOINT, dst=entry["careOfAddress"], proto=41, id=case.next_identification(entry["careOfAddress"]), tos=number, ttl=64)
            / inner for entry in entries])
        single = IPv6(src=tunnels.CORRESPONDENT6, dst="2001:db8:1:5::1") / UDP() / tunnels.payload(number)
        case.becomes("home", bytes(single), [
            IP(src=tunnels.ENDPOINT, dst="203.0.112.6", proto=41, id=case.next_identification("203.0.112.6"), ttl=64) / single])
    return case


def of_the_link():
    case = Case("multicast-of-the-link", "Packets to groups of the link go to members too, from link-local addresses also; to "
                "wider groups these may not.", "H15, P1", None)
    case.bindings = with_groups({"ff02::1": ["direct", "minimal"], GROUP: ["direct"]})
    sender = Multicaster(case)
    for source in ("fe80::1", "::", tunnels.CORRESPONDENT6):
        sender.send_to(["direct", "minimal"], multicast("ff02::1", src=source))
    case.dropped("home", bytes(multicast(src="fe80::1")), "link-local")
    for group in ("ff00::1", "ff01::1", "ff11::1"):
        case.dropped("home", bytes(multicast(group)), "multicast-not-carried")
    return case


def from_nodes():
    case = Case("multicast-from-nodes", "What a node sends to a group goes to the home side, if its source is the node's; it is "
                "not sent back to members.", "H15, H12, H13", None)
    case.bindings = with_groups({GROUP: ["direct", "udp"]})
    for name in tunnels.BINDINGS:
        sequence = 0
        for group in (GROUP, "ff05::1:3", "ff0e::77"):
            by_home = tunnels.node_packet6(name, True, dst=group)
            case.decapsulated(bytes(tunnels.from_node(name, tunnels.from_home(name, by_home), sequence=sequence)), bytes(by_home))
            sequence += 1
            if tunnels.is_minimal(name):
                continue
            inner = tunnels.node_packet6(name, dst=group)
            case.decapsulated(bytes(tunnels.from_node(name, inner, sequence=sequence)), bytes(inner))
            sequence += 1
    stranger = tunnels.node_packet6("direct", src="2001:db8:99::1", dst=GROUP)
    case.dropped("access", bytes(tunnels.from_node("direct", stranger)), "inner-source-unregistered")
    case.dropped("access", bytes(tunnels.from_node("direct", tunnels.node_packet6("udp", dst=GROUP))), "outer-source-mismatch")
    return case


def listener_messages():
    """MLD and MLDv2 as nodes send them."""
    alert = IPv6ExtHdrHopByHop(options=[RouterAlert()])
    for source in ("fe80::9", "::"):
        link = {"src": source, "hlim": 1}
        for kind in (1, 2, 3, 4, 5, 6):
            record = ICMPv6MLDMultAddrRec(rtype=kind, dst=GROUP, sources=["2001:db8::1"])
            yield IPv6(dst="ff02::16", **link) / alert / ICMPv6MLReport2(records=[record])
        records = [ICMPv6MLDMultAddrRec(rtype=4, dst=f"ff3e::{number}") for number in range(50)]
        yield IPv6(dst="ff02::16", **link) / alert / ICMPv6MLReport2(records=records)
        yield IPv6(dst=GROUP, **link) / alert / ICMPv6MLReport(mladdr=GROUP)
        yield IPv6(dst="ff02::2", **link) / alert / ICMPv6MLDone(mladdr=GROUP)


def listeners():
    case = Case("listener-messages", "MLD in the tunnel of the home address, within the IPv4 tunnel or by itself, is for the "
                "control plane, from any node and whatever its prefixes.", "H16", bindings())
    sequence = 0
    for message in listener_messages():
        for name in tunnels.BINDINGS:
            case.punts(bytes(tunnels.from_node(name, tunnels.from_home(name, message), sequence=sequence)))
            case.punts(bytes(IP(src=tunnels.home(name), dst=tunnels.ENDPOINT, proto=41) / message))
        sequence += 1
    return case


def not_listeners():
    case = Case("listener-messages-elsewhere", "MLD in another tunnel, of nobody, or of an address that is not of the link, is "
                "not for the control plane.", "H16, H13, H14", bindings())
    message = next(iter(listener_messages()))
    for name in tunnels.CARE_OF_KINDS:
        case.dropped("access", bytes(tunnels.from_node(name, message)), "inner-source-unregistered")
    nobody = IP(src="198.51.100.99", dst=tunnels.ENDPOINT, proto=41) / message
    case.dropped("access", bytes(nobody), "inner-source-unregistered")
    case.dropped("access", bytes(tunnels.from_node("direct", nobody)), "inner-source-unregistered")
    case.dropped("access", bytes(tunnels.from_node("direct", tunnels.from_home("udp", message))), "outer-source-mismatch")
    case.dropped("access", bytes(tunnels.from_node("direct", tunnels.from_home("direct", message), destination="192.0.2.99")),
                 "not-for-endpoint")
    # From a global address it is a packet like others, and of the link's groups no packet comes from there.
    case.dropped("access", bytes(tunnels.from_node("direct", tunnels.from_home(
        "direct", anew(message, tunnels.node6("direct", True))))), "link-local")
    # Another ICMPv6 message with the same options is none.
    other = IPv6(src="fe80::9", dst="ff02::1", hlim=1) / IPv6ExtHdrHopByHop(options=[RouterAlert()]) / ICMPv6EchoRequest()
    case.dropped("access", bytes(tunnels.from_node("direct", tunnels.from_home("direct", other))), "inner-source-unregistered")
    return case


def anew(message, source):
    message = message.copy()
    message.src = source
    return message
