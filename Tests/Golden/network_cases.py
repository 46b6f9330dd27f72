"""IPv4 networks of mobile routers (RFC 5177): what is sent to them, and from them."""

from scapy.layers.inet import ICMP, IP, UDP

from golden import Case, tunnels
from fragment_cases import Sender
from kind_cases import bindings


def make():
    return [to_networks(), from_networks(), longest()]


def network(name):
    return f"10.{tunnels.number_of(name)}.0.0/16"


def host(name, rest="1.2"):
    return f"10.{tunnels.number_of(name)}.{rest}"


def with_networks():
    """Every kind of tunnel, each with a network."""
    file = bindings()
    file["bindings"] = [{**entry, "networks": [network(entry["id"])]} for entry in file["bindings"]]
    return file


def unreachable(packet, source=tunnels.ENDPOINT):
    header = IP(src=source, dst=packet.src, tos=0xC0, ttl=64)
    return header / ICMP(type=3, code=1) / packet


def to_networks():
    case = Case("networks-encapsulate", "IPv4 to a network of a mobile router goes into its tunnel, whatever its kind; larger "
                "than that in fragments.", "T10", with_networks())
    sender = Sender(case)
    for name in tunnels.BINDINGS:
        for address in (host(name, "0.0"), host(name), host(name, "255.255"), tunnels.home(name)):
            sender.send(name, IP(src=tunnels.CORRESPONDENT, dst=address, id=9, tos=0xB9, ttl=62) / UDP() / tunnels.payload())
        sender.send(name, IP(src=tunnels.CORRESPONDENT, dst=host(name), id=9, ttl=62) / UDP() / tunnels.payload(1400))
    return case


def from_networks():
    case = Case("networks-decapsulate", "IPv4 from a network of a mobile router passes out of its tunnel; from another's, or from "
                "what is in no network, it is dropped as a security exception.", "H13, H14, T10", with_networks())
    for name in tunnels.BINDINGS:
        for number, address in enumerate((host(name, "0.0"), host(name), host(name, "255.255"), tunnels.home(name))):
            inner = tunnels.node_packet(name, src=address)
            case.decapsulated(bytes(tunnels.from_node(name, inner, sequence=number)), bytes(inner))
        other = "gre" if name == "direct" else "direct"
        stolen = tunnels.node_packet(name, src=host(other))
        case.dropped("access", bytes(tunnels.from_node(name, stolen, sequence=90)), "outer-source-mismatch")
        nobodys = tunnels.node_packet(name, src="10.99.0.1")
        case.dropped("access", bytes(tunnels.from_node(name, nobodys, sequence=91)), "inner-source-unregistered")
    return case


def longest():
    """A network in a network of the same node, and another node's home address in it."""
    def entry(number, **more):
        return {"id": f"mn{number}", "careOfAddress": f"203.0.113.{number}", "encapsulation": "ip-in-ip", "prefixes": [], **more}

    file = {"endpoint": tunnels.ENDPOINT, "bindings": [
        entry(1, networks=["10.1.0.0/16", "10.1.5.0/24", "10.3.0.0/17"]),
        entry(2, homeAddress="10.1.5.9"),
        entry(3, networks=["10.3.128.0/17"]),
        entry(4, networks=["192.0.0.0/9"], homeAddress="203.0.113.200")]}
    case = Case("networks-longest", "The longest network counts, and a home address before all networks; what is in none is "
                "answered.", "", file)
    for address, number in {"10.1.0.1": 1, "10.1.5.8": 1, "10.1.5.9": 2, "10.1.5.10": 1, "10.3.127.255": 1, "10.3.128.0": 3,
                            "192.127.255.255": 4, "203.0.113.200": 4, "192.0.2.77": 4}.items():
        packet = IP(src=tunnels.CORRESPONDENT, dst=address, id=9) / UDP() / tunnels.payload()
        case.encapsulated(packet, IP(src=tunnels.ENDPOINT, dst=f"203.0.113.{number}", ttl=64, proto=4, flags=0) / packet)
        back = IP(src=address, dst=tunnels.CORRESPONDENT, id=8) / UDP() / tunnels.payload()
        case.decapsulated(bytes(IP(src=f"203.0.113.{number}", dst=tunnels.ENDPOINT, proto=4) / back), bytes(back))
    for address in ("10.0.255.255", "10.2.0.0", "10.4.0.0", "192.128.0.0"):
        packet = IP(src=tunnels.CORRESPONDENT, dst=address, id=9) / UDP() / tunnels.payload()
        error = unreachable(packet)
        error.id = case.next_identification(tunnels.CORRESPONDENT)
        case.answered(packet, "no-binding", error)
    return case
