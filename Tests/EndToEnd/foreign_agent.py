"""Plays a mobile node and its home agent around a foreign agent, with nothing of Mooring's.

foreign_agent.py home-agent ADDRESS HOME-ADDRESS
    answers registrations at ADDRESS and ends the tunnels (RFC 2003) of HOME-ADDRESS, until it is ended; both keys are
    those below
foreign_agent.py solicit DEVICE
    asks for an advertisement, and prints what it says as JSON
foreign_agent.py register HOME-ADDRESS HOME-AGENT CARE-OF FOREIGN-AGENT LIFETIME TTL COUNT
    registers with a reverse tunnel (lifetime 0: ends it) and so many extensions that nobody knows, and prints what the
    reply says as JSON
"""
import fcntl
import hashlib
import hmac
import ipaddress
import json
import os
import select
import socket
import struct
import subprocess
import sys
import time

NODE_KEY, FOREIGN_KEY = bytes(range(0x10, 0x20)), bytes(range(0x40, 0x50))
NODE_SPI, FOREIGN_SPI = 256, 300
TUNNEL = 4
# To be skipped by who does not know it, and not to be changed (RFC 5944, 1.8 and 3.7.2.2).
UNKNOWN = b"\xc8\xfa" + bytes(250)


def packed(address):
    """Of an IPv4 address."""
    return ipaddress.IPv4Address(address).packed


def signed(content, kind, spi, key):
    """RFC 5944, 3.5: the authenticator covers all before it, type, length and index included."""
    content += struct.pack("!BBI", kind, 20, spi)
    return content + hmac.new(key, content, hashlib.md5).digest()


def check(message, end, kind, spi, key):
    """Whether an authentication extension ends there."""
    return end >= 22 and signed(message[:end - 22], kind, spi, key) == message[:end]


def answer(request, home_agent):
    """What the home agent replies, and the care-of address; None where the request is not as it must be."""
    kind, flags, lifetime = struct.unpack("!BBH", request[:4])
    home, agent, care_of, identification = request[4:8], request[8:12], request[12:16], request[16:24]
    signatures = [(34, FOREIGN_SPI, FOREIGN_KEY)] if lifetime else []
    end = len(request)
    for signature in signatures + [(32, NODE_SPI, NODE_KEY)]:
        if not check(request, end, *signature):
            return None
        end -= 22
    # What nobody knows stands where the node put it, and nothing else does.
    extensions = request[24:end]
    if kind != 1 or flags != 0x02 or agent != packed(home_agent) or extensions.replace(UNKNOWN, b""):
        return None
    reply = struct.pack("!BBH", 3, 0, lifetime) + home + agent + identification
    reply = signed(reply + extensions[:len(UNKNOWN)], 32, NODE_SPI, NODE_KEY)
    return signed(reply, 34, FOREIGN_SPI, FOREIGN_KEY), care_of if lifetime else None


def open_tun(name):
    """A TUN device without packet information."""
    device = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(device, 0x400454CA, struct.pack("16sH", name.encode(), 0x1001))
    subprocess.run(["ip", "link", "set", name, "up", "mtu", "1480"], check=True)
    return device


def serve(address, home):
    """The home agent."""
    device = open_tun("tunnel")
    subprocess.run(["ip", "route", "add", f"{home}/32", "dev", "tunnel"], check=True)
    registrations = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    registrations.bind((address, 434))
    tunnel = socket.socket(socket.AF_INET, socket.SOCK_RAW, TUNNEL)
    tunnel.bind((address, 0))
    care_of = None
    print("listening", flush=True)
    while True:
        ready, _, _ = select.select([registrations, tunnel, device], [], [])
        if registrations in ready:
            request, source = registrations.recvfrom(65536)
            answered = answer(request, address)
            if answered:
                reply, care_of = answered
                registrations.sendto(reply, source)
            print("registered" if answered else f"wrong request {request.hex()}", source[0], flush=True)
        if tunnel in ready:
            packet = tunnel.recv(65536)
            inner = packet[(packet[0] & 15) * 4:]
            if packet[12:16] == care_of and inner[12:16] == packed(home):
                os.write(device, inner)
        if device in ready:
            packet = os.read(device, 65536)
            if packet[0] >> 4 == 4 and care_of:
                tunnel.sendto(packet, (str(ipaddress.IPv4Address(care_of)), 0))


def checksum(data):
    """RFC 1071."""
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def solicit(device):
    """The node looks for agents (RFC 5944, 2.2 and 2.1)."""
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
    raw.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
    message = struct.pack("!BBHI", 10, 0, 0, 0)
    raw.sendto(message[:2] + struct.pack("!H", checksum(message)) + message[4:], ("224.0.0.11", 0))
    raw.settimeout(20)
    while True:
        packet = raw.recv(65536)
        message = packet[(packet[0] & 15) * 4:]
        if message[0] == 9:
            break
    _, code, _, routers, words, lifetime = struct.unpack("!BBHBBH", message[:8])
    extension = message[8 + routers * words * 4:]
    kind, length, sequence, registration, flags = struct.unpack("!BBHHH", extension[:8])
    print(json.dumps({
        "ttl": packet[8], "source": socket.inet_ntoa(packet[12:16]), "checksum": checksum(message), "code": code,
        "lifetime": lifetime, "type": kind, "sequence": sequence, "registrationLifetime": registration, "flags": flags,
        "careOf": [socket.inet_ntoa(extension[at:at + 4]) for at in range(8, 2 + length, 4)]}))


def register(home, home_agent, care_of, foreign_agent, lifetime, ttl, count):
    """The node registers."""
    identification = struct.pack("!II", int(time.time()) + 2208988800, int.from_bytes(os.urandom(4), "big"))
    request = struct.pack("!BBH", 1, 0x02, int(lifetime)) + packed(home) + packed(home_agent) + packed(care_of)
    # What stands behind the authentication is the foreign agent's to take off.
    request = signed(request + identification + UNKNOWN * int(count), 32, NODE_SPI, NODE_KEY) + b"\xc8\x01z"
    node = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    node.bind((home, 0))
    node.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, int(ttl))
    node.settimeout(1)
    for _ in range(20):
        # Whoever was just denied is not answered for a second.
        node.sendto(request, (foreign_agent, 434))
        try:
            reply, source = node.recvfrom(65536)
            break
        except TimeoutError:
            pass
    else:
        sys.exit("no reply")
    kind, code, lifetime = struct.unpack("!BBH", reply[:4])
    print(json.dumps({
        "type": kind, "code": code, "lifetime": lifetime, "source": source[0], "port": source[1],
        "matches": reply[4:12] == request[4:12] and reply[12:20] == identification,
        "signed": check(reply, len(reply), 32, NODE_SPI, NODE_KEY) and reply[20:-22] == UNKNOWN[:len(reply) - 42]}))


if __name__ == "__main__":
    PARTS = {"home-agent": (serve, 2), "solicit": (solicit, 1), "register": (register, 7)}
    ARGUMENTS = sys.argv[1:]
    if not ARGUMENTS or ARGUMENTS[0] not in PARTS or len(ARGUMENTS) != PARTS[ARGUMENTS[0]][1] + 1:
        sys.exit(__doc__)
    PARTS[ARGUMENTS[0]][0](*ARGUMENTS[1:])
