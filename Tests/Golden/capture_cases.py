"""Captures that others made (Tests/Golden/CAPTURES.md), as they are: the inputs of these cases are not made here.

What is expected was read off with tshark: how many packets there are of which kind, and which rule each meets. The
packets that are decapsulated are scapy's.
"""

from scapy.layers.inet import IP
from scapy.utils import PcapReader

from golden import HERE, Case


def make():
    return [
        counted("ppp__GrePackets", "access", "192.168.2.254",
                "pcapng of seven interfaces: two of PPTP (GRE version 1), two from 127.0.0.1, GRE in GRE to another, "
                "Ethernet in GRE, and IPv6 without a tunnel in a VLAN.",
                {"gre-version": 2, "outer-source-invalid": 2, "not-for-endpoint": 1, "gre-protocol-type": 1,
                 "ipv6-not-carried": 1}),
        counted("tcpdump__dhcpv6-ia-pd", "home", "192.0.2.1",
                "DHCPv6 prefix delegation: two packets to ff02::1:2, two between link-local addresses.",
                {"no-group-member": 2, "link-local": 2}),
        counted("tcpdump__gre-heapoverflow-1", "access", "192.0.2.1",
                "Hostile frames that say 262144 bytes: one of EtherType 0x3030, one of 0x0800 whose packet is of version 0.",
                {"not-ip": 2}),
        counted("zeek__4in4", "access", "5.6.7.8", "One IPv4 in IPv4, protocol 4, to the endpoint, of nobody.",
                {"inner-source-unregistered": 1}),
        six_in_four(), ping6(),
        counted("zeek__6in6-tunnel-change", "access", "192.0.2.1", "Two IPv6 in IPv6, no tunnel of RFC 5454.",
                {"ipv6-not-carried": 2}),
        counted("zeek__Teredo", "access", "192.168.2.16",
                "A host's traffic with Teredo: to it 35 packets of TCP and UDP, one from 0.0.0.0, the rest to others.",
                None),
        counted("zeek__fragmented-1", "access", "164.1.123.61",
                "Three fragments of UDP to the endpoint: one of 18 bytes that others follow, a last one, which waits, and "
                "one that reaches past that.", {"fragment-length": 2}, absorbed=1),
        counted("zeek__gre-pptp", "access", "192.0.2.1", "GRE version 1 in 4in6 within a VLAN: IPv6 on the access side.",
                {"ipv6-not-carried": 2}),
        counted("zeek__gre-sample", "access", "66.59.109.137", "GRE with IPv4 inside, both ways; one is the endpoint's.",
                None, "inner-source-unregistered"),
        counted("zeek__gre-within-gre", "access", "72.205.54.70", "GRE in GRE: 314 packets each way, one is the endpoint's.",
                {"inner-source-unregistered": 314, "not-for-endpoint": 314}),
        counted("zeek__ip6-ext-trunc", "home", "192.0.2.1", "An IPv6 packet whose 20 bytes of payload are missing.",
                {"ipv6-payload-length": 1}),
        counted("zeek__mpls-6in6-6in6-invalid-version-6", "home", "192.0.2.1", "MPLS, whose payload is of version 14.",
                {"not-ip": 1}),
        counted("zeek__tunnel-direct-bypass", "access", "198.51.100.1", "One flow, ten packets in GRE to the endpoint, ten bare.",
                {"inner-source-unregistered": 10, "not-for-endpoint": 10}),
    ]


def case_of(name, side, bindings, shows, rows=""):
    """The case, and the packets of its input."""
    case = Case("capture-" + name.replace("__", "-"), shows, rows, bindings)
    capture = HERE / case.name / f"{side}-in.pcap"
    case.files[capture.name] = capture.read_bytes()
    with PcapReader(str(capture)) as reader:
        packets = list(reader)
    case.count_received(side, len(packets))
    return case, packets


def counted(name, side, endpoint, shows, drops, for_endpoint="unsupported-protocol", absorbed=0):
    """A capture of which nothing is forwarded. Without `drops`, IPv4 packets are told apart by scapy: those from
    0.0.0.0, those for the endpoint, and those for others."""
    case, packets = case_of(name, side, {"endpoint": endpoint, "bindings": []}, shows)
    case.absorbed = absorbed
    if drops is None:
        for packet in packets:
            if packet[IP].src == "0.0.0.0":
                case.count_drops("outer-source-invalid")
            else:
                case.count_drops(for_endpoint if packet[IP].dst == endpoint else "not-for-endpoint")
    else:
        for reason, count in drops.items():
            case.count_drops(reason, count)
    return case


def tunnelled(name, shows, bindings, source):
    """Protocol 41 from `source` is its node's; everything else is from nobody, or for another."""
    case, packets = case_of(name, "access", bindings, shows, "H12, H13, T7")
    for packet in packets:
        if packet[IP].src == source:
            time = packet.time
            nanoseconds = int(time) * 1_000_000_000 + int(round((time - int(time)) * 1_000_000)) * 1000
            case.transmits("home", bytes(packet[IP].payload)[:40 + packet[IP].payload.plen], nanoseconds)
        else:
            case.count_drops(
                "inner-source-unregistered" if packet[IP].dst == bindings["endpoint"] else "not-for-endpoint")
    return case


def binding(identifier, care_of, prefix):
    return {"id": identifier, "careOfAddress": care_of, "encapsulation": "ip-in-ip",
            "prefixes": [{"prefix": prefix, "tunnel": "care-of"}]}


def six_in_four():
    bindings = {"endpoint": "5.6.7.8", "bindings": [binding("dead", "1.2.3.4", "dead::/64")]}
    return tunnelled("zeek__6in4", "One UDP in 6in4, whose sender is bound: it comes out.", bindings, "1.2.3.4")


def ping6():
    bindings = {"endpoint": "10.0.0.2", "bindings": [binding("ping", "10.0.0.1", "2001:db8:0:1::1/128")]}
    return tunnelled("zeek__ping6-in-ipv4", "Ten echo requests and replies in 6in4; the requests' sender is bound, the replies go to another.",
                     bindings, "10.0.0.1")
