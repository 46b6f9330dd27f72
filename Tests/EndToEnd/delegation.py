"""DHCPv6 prefix delegation over sockets of the kernel (RFC 3633), the messages made by scapy.

delegation.py serve INTERFACE PREFIX     answers each Solicit that comes to ff02::1:2 with PREFIX, until it is ended
delegation.py ask INTERFACE ADDRESS      solicits from the link-local ADDRESS until there is an answer, and prints it
"""
import logging
import socket
import sys

logging.getLogger("scapy.runtime").setLevel(logging.ERROR)

from scapy.layers.dhcp6 import (
    DHCP6_Advertise,
    DHCP6_Solicit,
    DHCP6OptClientId,
    DHCP6OptIA_PD,
    DHCP6OptIAPrefix,
    DHCP6OptServerId,
    DUID_LL,
)

CLIENT, SERVER = 546, 547
ALL_SERVERS = "ff02::1:2"


def serve(interface, prefix):
    index = socket.if_nametoindex(interface)
    stream = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    stream.bind(("::", SERVER))
    stream.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP,
                      socket.inet_pton(socket.AF_INET6, ALL_SERVERS) + index.to_bytes(4, sys.byteorder))
    print("listening", flush=True)
    address, length = prefix.split("/")
    while True:
        data, source = stream.recvfrom(2048)
        solicit = DHCP6_Solicit(data)
        print("solicit from", source[0].split("%")[0], flush=True)
        advertise = (
            DHCP6_Advertise(trid=solicit.trid) / solicit[DHCP6OptClientId].copy()
            / DHCP6OptServerId(duid=DUID_LL(lladdr="02:00:00:00:00:02"))
            / DHCP6OptIA_PD(iaid=1, iapdopt=[DHCP6OptIAPrefix(prefix=address, plen=int(length))]))
        stream.sendto(bytes(advertise), source)


def ask(interface, address):
    index = socket.if_nametoindex(interface)
    stream = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    stream.bind((address, CLIENT, 0, index))
    stream.settimeout(1)
    solicit = (
        DHCP6_Solicit(trid=0x5454) / DHCP6OptClientId(duid=DUID_LL(lladdr="02:00:00:00:00:01")) / DHCP6OptIA_PD(iaid=1))
    while True:
        stream.sendto(bytes(solicit), (ALL_SERVERS, SERVER, 0, index))
        try:
            data, source = stream.recvfrom(2048)
        except TimeoutError:
            continue
        option = DHCP6_Advertise(data)[DHCP6OptIAPrefix]
        print("delegated", f"{option.prefix}/{option.plen}", "by", source[0].split("%")[0], flush=True)
        return


{"serve": serve, "ask": ask}[sys.argv[1]](*sys.argv[2:])
