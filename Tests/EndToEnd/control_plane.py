"""What a home agent and its nodes send, made by scapy, and a home agent's side of the control socket.

control_plane.py answer SOCKET SCHEMA ENDPOINT        answers registrations that are punted, by packets to inject
control_plane.py register CARE-OF ENDPOINT HOME       sends a registration request, and prints the reply that comes
control_plane.py report CARE-OF ENDPOINT HOME GROUP   sends an MLDv2 report through the tunnel of the home address
control_plane.py link CARE-OF ENDPOINT HOME OWN PEER  asks for a neighbour on the tunnel's link, then pings it
control_plane.py multicast INTERFACE GROUP            sends a datagram to a group, out of an interface
control_plane.py listen INTERFACE GROUP               has the kernel join a group, and prints what comes, until it is ended

SCHEMA is the directory of control_pb2, made by protoc.
"""
import logging
import socket
import sys

from control_socket import ControlSocket

PORT = 434
LIFETIME = 600


def answer(path, schema, endpoint):
    """Watches for punted packets and accepts each registration, until it is ended."""
    from scapy.layers.inet import IP, UDP
    from scapy.layers.mobileip import MobileIP, MobileIPRRP, MobileIPRRQ
    control = ControlSocket(path, schema)
    while True:
        reply = control.receive()
        if not reply.HasField("event"):
            print("injected", reply.injected.taken, flush=True)
            continue
        punt = reply.event.punt
        request = IP(punt.packet)
        print("punt", punt.reason, socket.inet_ntoa(punt.outer_source.to_bytes(4, "big")), request.src, request.dst,
              punt.HasField("home_address"), repr(punt.binding), flush=True)
        asked = request[MobileIPRRQ]
        accepted = (
            IP(src=endpoint, dst=request.src) / UDP(sport=PORT, dport=request[UDP].sport) / MobileIP(type=3)
            / MobileIPRRP(code=0, lifetime=asked.lifetime, homeaddr=asked.homeaddr, haaddr=endpoint, id=asked.id))
        control.send(inject={"packets": [{"packet": bytes(accepted), "side": control.messages.SIDE_ACCESS}]})


def register(care_of, endpoint, home):
    """Sends a registration request again and again until there is a reply, and prints what is in it."""
    from scapy.layers.mobileip import MobileIP, MobileIPRRP, MobileIPRRQ
    request = MobileIP(type=1) / MobileIPRRQ(lifetime=LIFETIME, homeaddr=home, haaddr=endpoint, coaddr=care_of, id=7)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as node:
        node.bind((care_of, 0))
        node.connect((endpoint, PORT))
        node.settimeout(0.5)
        print("port", node.getsockname()[1], flush=True)
        while True:
            node.send(bytes(request))
            try:
                reply = MobileIP(node.recv(2048))[MobileIPRRP]
            except TimeoutError:
                continue
            print("reply", reply.code, reply.lifetime, reply.homeaddr, reply.haaddr, reply.id, flush=True)
            return


def report(care_of, endpoint, home, group):
    """Sends a report that a node listens to a group (RFC 3810), the tunnel of the home address in that to the agent."""
    from scapy.layers.inet import IP
    from scapy.layers.inet6 import (
        ICMPv6MLDMultAddrRec, ICMPv6MLReport2, IPv6, IPv6ExtHdrHopByHop, RouterAlert)
    inner = (
        IPv6(src="fe80::cb00:7109", dst="ff02::16", hlim=1) / IPv6ExtHdrHopByHop(options=[RouterAlert(value=0)])
        / ICMPv6MLReport2(records=[ICMPv6MLDMultAddrRec(rtype=4, dst=group)]))
    packet = IP(src=care_of, dst=endpoint) / IP(src=home, dst=endpoint) / inner
    print(bytes(inner).hex(), flush=True)
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        raw.sendto(bytes(packet), (endpoint, 0))


def link(care_of, endpoint, home, own, peer):
    """Solicits a neighbour on the link that the tunnel of the home address is, then sends an echo request to it, again and
    again until each is answered; prints what the answers are."""
    from scapy.layers.inet import IP
    from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest, ICMPv6ND_NA, ICMPv6ND_NS, IPv6
    asked = [(IPv6(src=own, dst=peer, hlim=255) / ICMPv6ND_NS(tgt=peer), ICMPv6ND_NA),
             (IPv6(src=own, dst=peer, hlim=64) / ICMPv6EchoRequest(id=7, data=b"link"), ICMPv6EchoReply)]
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw, \
            socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_IPIP) as tunnel:
        tunnel.settimeout(0.5)
        for question, answer in asked:
            while True:
                raw.sendto(bytes(IP(src=care_of, dst=endpoint) / IP(src=home, dst=endpoint) / question), (endpoint, 0))
                try:
                    packet = IP(tunnel.recv(2048))
                except TimeoutError:
                    continue
                if answer in packet:
                    break
            inner = packet[IPv6]
            print(answer.__name__, packet.src, packet.payload.dst, inner.src, inner.dst, inner.hlim, flush=True)


def multicast(interface, group):
    """Sends a datagram to a group."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender:
        index = socket.if_nametoindex(interface)
        sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 16)
        sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        sender.sendto(group.encode(), (group, 4300))


def listen(interface, group):
    """Joins a group as any program does, and prints the datagrams that come."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as listener:
        listener.bind(("::", 4300))
        index = socket.if_nametoindex(interface).to_bytes(4, sys.byteorder)
        listener.setsockopt(
            socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, socket.inet_pton(socket.AF_INET6, group) + index)
        while True:
            print("got", listener.recv(2048).decode(), flush=True)


if __name__ == "__main__":
    logging.getLogger("scapy.runtime").setLevel(logging.ERROR)
    commands = {function.__name__: function for function in (answer, link, listen, register, report, multicast)}
    if len(sys.argv) < 2 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    commands[sys.argv[1]](*sys.argv[2:])
