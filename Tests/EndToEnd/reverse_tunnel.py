"""Sends what comes out of a node's reverse tunnel, or seems to; every address is the caller's. Packets are scapy's.

reverse_tunnel.py COUNT INNER-DESTINATION INNER-SOURCE OUTER-DESTINATION OUTER-SOURCE...

Inside is a UDP datagram to port 4300; of several outer sources the first is the outermost, and all headers have the one
destination.
"""
import logging
import socket
import sys

logging.getLogger("scapy.runtime").setLevel(logging.ERROR)

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6


def main(count, inner_destination, inner_source, endpoint, *sources):
    header = IPv6 if ":" in inner_source else IP
    packet = header(src=inner_source, dst=inner_destination) / UDP(sport=4300, dport=4300) / b"reverse!"
    for source in reversed(sources):
        packet = IP(src=source, dst=endpoint) / packet
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        for _ in range(int(count)):
            raw.sendto(bytes(packet), (endpoint, 0))


if __name__ == "__main__":
    if len(sys.argv) < 6:
        sys.exit(__doc__)
    main(*sys.argv[1:])
