"""A mobile node's registrations, made and checked without the project's code: struct and hmac alone.

registrant.py register CARE-OF ENDPOINT HOME SPI KEY LIFETIME [PREFIX[,care-of] | udp-tunnel[,R]...]
    sends requests until there is a reply, and prints it: code, lifetime, home address, home agent, whether its
    authentication is right, then each prefix reply's code and prefix, and udp-CODE:INTERVAL of a UDP Tunnel Reply

RFC 5944, 3.3 to 3.5; RFC 5454, 2.1 to 2.3; RFC 3519, 3.1 and 3.2.
"""
import hashlib
import hmac
import ipaddress
import socket
import struct
import sys
import time

PORT = 434
REQUEST, REPLY = 1, 3
MOBILE_HOME = 32
DUAL_STACK = 152
UDP_TUNNEL_REQUEST, UDP_TUNNEL_REPLY = 144, 44
PREFIX_REQUEST, PREFIX_REPLY, TUNNELING_MODE = 1, 2, 3
CO_LOCATED, REVERSE_TUNNEL = 0x20, 0x02
SINCE_1900 = 2208988800


def identification():
    """The time of day as NTP has it (RFC 5944, 5.7.1)."""
    now = time.time_ns()
    return (now // 10**9 + SINCE_1900) << 32 | (now % 10**9 << 32) // 10**9


def authenticator(key, data):
    return hmac.new(key, data, hashlib.md5).digest()


def signed(message, spi, key):
    """The message with its mobile-home authentication behind it."""
    covered = message + struct.pack("!BBI", MOBILE_HOME, 4 + 16, spi)
    return covered + authenticator(key, covered)


def request(care_of, endpoint, home, lifetime, number, prefixes=()):
    flags = CO_LOCATED | REVERSE_TUNNEL
    message = struct.pack("!BBH4s4s4sQ", REQUEST, flags, lifetime, socket.inet_aton(home), socket.inet_aton(endpoint),
                          socket.inet_aton(care_of), number)
    wants_care_of = False
    for text in prefixes:
        text, _, tunnel = text.partition(",")
        if text == "udp-tunnel":
            message += struct.pack("!BBBBBBH", UDP_TUNNEL_REQUEST, 6, 0, 0, 0x40 if tunnel == "R" else 0, 0, 0)
            continue
        network = ipaddress.IPv6Network(text)
        message += struct.pack("!BBBB", DUAL_STACK, 18, PREFIX_REQUEST, network.prefixlen)
        message += network.network_address.packed
        wants_care_of = wants_care_of or tunnel == "care-of"
    if wants_care_of:
        message += struct.pack("!BBBB", DUAL_STACK, 2, TUNNELING_MODE, 0)
    return message


def describe(reply, spi, key):
    """What a reply says, in words."""
    kind, code, lifetime, home, agent, number = struct.unpack("!BBH4s4sQ", reply[:20])
    if kind != REPLY:
        raise SystemExit(f"no reply: {reply.hex()}")
    words = [str(code), str(lifetime), socket.inet_ntoa(home), socket.inet_ntoa(agent)]
    authentication, prefixes = "unauthenticated", []
    place = 20
    while place < len(reply):
        kind, length = reply[place], reply[place + 1]
        data = reply[place + 2:place + 2 + length]
        if kind == MOBILE_HOME:
            right = authenticator(key, reply[:place + 6])
            good = data[:4] == struct.pack("!I", spi) and hmac.compare_digest(data[4:], right)
            authentication = "authenticated" if good else "wrong-authentication"
        elif kind == DUAL_STACK and data[0] == PREFIX_REPLY:
            prefixes.append(f"{data[1]}:{ipaddress.IPv6Address(data[4:20])}/{data[2]}")
        elif kind == UDP_TUNNEL_REPLY:
            prefixes.append("udp-%d:%d" % struct.unpack("!BHH", data[1:6])[::2])
        place += 2 + length
    return number, " ".join(words + [authentication] + prefixes)


def register(care_of, endpoint, home, spi, key, lifetime, *prefixes):
    spi, key, lifetime = int(spi), bytes.fromhex(key), int(lifetime)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as node:
        node.bind((care_of, 0))
        node.connect((endpoint, PORT))
        node.settimeout(0.5)
        # One that is late answers an earlier request, and says the same.
        sent = set()
        while True:
            number = identification()
            sent.add(number & 0xFFFFFFFF)
            node.send(signed(request(care_of, endpoint, home, lifetime, number, prefixes), spi, key))
            try:
                answer, text = describe(node.recv(4096), spi, key)
            except (TimeoutError, ConnectionRefusedError):
                time.sleep(0.05)
                continue
            if answer & 0xFFFFFFFF in sent:
                print(text, flush=True)
                return


if __name__ == "__main__":
    commands = {function.__name__: function for function in (register,)}
    if len(sys.argv) < 2 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    commands[sys.argv[1]](*sys.argv[2:])
