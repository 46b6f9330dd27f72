"""What is of the link between a mobile node and its home agent, at the node's end: RFC 5454, 3.3.3 and 3.7.1."""

from scapy.layers.dhcp6 import DHCP6_Advertise, DHCP6_Solicit, DHCP6OptClientId, DHCP6OptIA_PD, DHCP6OptIAPrefix, DUID_LL
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6MLDMultAddrRec,
    ICMPv6MLDone,
    ICMPv6MLQuery,
    ICMPv6MLReport,
    ICMPv6MLReport2,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6ND_RS,
    IPv6,
    IPv6ExtHdrHopByHop,
    RouterAlert,
)

from golden import Case, tunnels
from node_cases import HOME_AGENT, Node, bindings

NODE = "fe80::c633:6401"
HOME_DEVICE = "fe80::c000:201"


def make():
    return [traffic(kind) for kind in ("direct", "gre-sequence", "minimal", "udp")] + [not_registered(), at_foreign_agent()]


def mine(name, registered=True):
    """One node; all that it reaches lies behind its home agent."""
    file = bindings([name])
    prefixes = [{"prefix": "::/0", "tunnel": "home-address" if tunnels.is_minimal(name) else "care-of"}]
    if registered:
        prefixes.append({"prefix": "fe80::/10", "tunnel": "home-address"})
    file["bindings"][0].update(prefixes=prefixes)
    return file


def listening(message, source=NODE, destination="ff02::16"):
    return IPv6(src=source, dst=destination, hlim=1) / IPv6ExtHdrHopByHop(options=[RouterAlert()]) / message


class NodeAtAgent(Node):
    """Whose care-of address is a foreign agent's, so that its tunnel has no header but the one from its home address."""

    def to_home_agent(self, name, inner, by_home=False, number=None, flags=None):
        if number is None:
            number = self.case.next_identification(HOME_AGENT)
        tos = tunnels.outer_class(name, inner.tc)
        return IP(src=tunnels.home(name), dst=HOME_AGENT, proto=41, id=number, tos=tos, ttl=64, flags=flags or 0) / inner

    def from_home_agent(self, name, inner, by_home=False, source=HOME_AGENT, sequence=None):
        return IP(src=source, dst=tunnels.home(name), proto=41, id=0xBEEF, ttl=57) / inner


def at_foreign_agent():
    name = "direct"
    file = mine(name)
    file["bindings"][0].update(endpoint=tunnels.home(name), networks=[])
    file["bindings"][0]["prefixes"][1]["tunnel"] = "care-of"
    case = Case("node-link-foreign-agent", "At a mobile node with a foreign agent the tunnel starts at the home address: IPv6, what is of "
                "the link and what it says of groups go to the home agent with no other header, and come so.", "H10, H16, M3, P1, T2, T3",
                file)
    node = NodeAtAgent(case)
    node.out(name, IPv6(src="2001:db8:77::7", dst="2001:db8::1") / UDP())
    node.back(name, IPv6(src="2001:db8::1", dst="2001:db8:77::7") / UDP())
    link_traffic(case, node, name, by_home=False)
    node.drop(name, IPv6(src="2001:db8::1", dst="2001:db8:77::7") / UDP(), "outer-source-mismatch", source="192.0.2.9")
    within = Node(case).from_home_agent(name, IPv6(src="2001:db8::1", dst="2001:db8:77::7") / UDP(), by_home=True)
    within.src, within.dst, within.chksum = HOME_AGENT, tunnels.home(name), None
    case.dropped("access", bytes(within), "not-for-endpoint")
    return case


def traffic(name):
    case = Case(f"node-link-{name}", "At a mobile node with fe80::/10 a DHCPv6 client's messages, router and neighbour discovery, and "
                "what it says of groups go to the home agent by way of the home address, and what comes from there passes.",
                "P1, H16, T2, T3", mine(name))
    node = Node(case)
    link_traffic(case, node, name, by_home=True)
    # By the care-of address nothing of the link passes.
    if name in tunnels.CARE_OF_KINDS:
        node.drop(name, IPv6(src=HOME_DEVICE, dst=NODE) / advertise(), "tunnel-mismatch")
    return case


CLIENT = DHCP6OptClientId(duid=DUID_LL(lladdr="02:00:00:00:00:01"))


def advertise():
    return UDP(sport=547, dport=546) / DHCP6_Advertise(trid=0x5454) / CLIENT / DHCP6OptIA_PD(
        iaid=1, iapdopt=[DHCP6OptIAPrefix(prefix="2001:db8:77::", plen=56)])


def link_traffic(case, node, name, by_home):
    solicit = UDP(sport=546, dport=547) / DHCP6_Solicit(trid=0x5454) / CLIENT / DHCP6OptIA_PD(iaid=1)
    node.out(name, IPv6(src=NODE, dst="ff02::1:2", hlim=1) / solicit, by_home=by_home)
    node.back(name, IPv6(src=HOME_DEVICE, dst=NODE) / advertise(), by_home=by_home)
    node.out(name, IPv6(src=NODE, dst=HOME_DEVICE) / ICMPv6EchoRequest(data=b"there"), by_home=by_home)
    node.back(name, IPv6(src=HOME_DEVICE, dst=NODE) / ICMPv6EchoRequest(data=b"back"), by_home=by_home)
    node.out(name, IPv6(src=NODE, dst="ff02::2", hlim=255) / ICMPv6ND_RS(), by_home=by_home)
    node.back(name, IPv6(src=HOME_DEVICE, dst="ff02::1", hlim=255) / ICMPv6ND_RA(), by_home=by_home)
    # Both versions of Multicast Listener Discovery; a report of the first is sent to the group itself.
    report = ICMPv6MLReport2(records=[ICMPv6MLDMultAddrRec(rtype=4, dst="ff3e::1234")])
    for message in (listening(report), listening(report, source="::"), listening(ICMPv6MLDone(mladdr="ff3e::1234"), destination="ff02::2"),
                    listening(ICMPv6MLReport(mladdr="ff3e::1234"), destination="ff3e::1234")):
        node.out(name, message, by_home=by_home)
    for destination in ("ff02::1", "ff3e::1234"):
        query = listening(ICMPv6MLQuery(mladdr="::" if destination == "ff02::1" else destination), HOME_DEVICE, destination)
        node.back(name, query, by_home=by_home)
    # What the home agent asks of the tunnel's end, the forwarder answers.
    asked = IPv6(src=HOME_DEVICE, dst=NODE, hlim=255) / ICMPv6ND_NS(tgt=end(name))
    case._receive("access", bytes(node.from_home_agent(name, asked, by_home=by_home)))
    case.absorbed += 1
    case.generated["access"] += 1
    answer = IPv6(src=end(name), dst=HOME_DEVICE, hlim=255) / ICMPv6ND_NA(R=1, S=1, O=0, tgt=end(name))
    case._transmit("access", bytes(node.to_home_agent(name, answer, by_home=by_home, number=0, flags="DF")))


def end(name):
    """RFC 4213, 3.7: of the home address, where the tunnel by way of that ends."""
    return "fe80::" + "{:x}{:02x}:{:x}{:02x}".format(*map(int, tunnels.home(name).split(".")))


def not_registered():
    name = "direct"
    case = Case("node-link-not-registered", "At a mobile node without fe80::/10, whose prefixes come by the care-of address, only what "
                "it says of groups goes to the home agent, and only what it is asked of them comes, by way of the home address.",
                "P1, H16", mine(name, registered=False))
    node = Node(case)
    case.dropped("home", bytes(IPv6(src=NODE, dst="ff02::1:2", hlim=1) / UDP(sport=546, dport=547)), "no-group-member")
    case.dropped("home", bytes(IPv6(src=NODE, dst="ff0e::1", hlim=1) / UDP()), "link-local")
    case.dropped("home", bytes(IPv6(src="2001:db8:77::7", dst="ff02::1", hlim=1) / UDP()), "no-group-member")
    report = ICMPv6MLReport2(records=[ICMPv6MLDMultAddrRec(rtype=4, dst="ff3e::1234")])
    node.out(name, listening(report), by_home=True)
    # Not Multicast Listener Discovery: it has gone a hop, or is another message.
    further = listening(report)
    further.hlim = 2
    case.dropped("home", bytes(further), "no-group-member")
    for destination in ("ff02::1", "ff3e::1234"):
        query = listening(ICMPv6MLQuery(mladdr="::" if destination == "ff02::1" else destination), HOME_DEVICE, destination)
        node.back(name, query, by_home=True)
        # By the care-of address it would be a node's, and there is none.
        node.drop(name, query, "inner-source-unregistered")
    node.drop(name, IPv6(src=HOME_DEVICE, dst=NODE) / advertise(), "tunnel-mismatch", by_home=True)
    return case
