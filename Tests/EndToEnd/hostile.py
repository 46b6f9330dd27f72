"""Registrations that nobody should send, made without the project's code, and what comes back.

hostile.py cases CARE-OF ENDPOINT HOME SPI KEY
    sends each case once, and prints its name and the codes of the replies to it, or `silent`
hostile.py prefixes CARE-OF ENDPOINT HOME SPI KEY PREFIX COUNT
    asks for so many prefixes at once, beginning with PREFIX, and prints how many replies there were of each code, and
    the accepted prefixes
hostile.py flood CARE-OF ENDPOINT HOME SPI KEY COUNT wrong|right
    sends so many requests as fast as it goes, with a random authenticator or the right one, and prints which codes came

What has no answer is known by the answer to a right request behind it, since requests are answered in their order.
"""
import ipaddress
import os
import select
import socket
import struct
import sys

from registrant import (
    DUAL_STACK, MOBILE_HOME, PORT, PREFIX_REPLY, PREFIX_REQUEST, REPLY, TUNNELING_MODE, identification, request,
    signed)

HEADER = 24
HOUR = 3600 << 32


class Node:
    def __init__(self, care_of, endpoint, home, spi, key):
        self.care_of, self.endpoint, self.home = care_of, endpoint, home
        self.spi, self.key = int(spi), bytes.fromhex(key)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.socket.bind((care_of, 0))
        self.socket.connect((endpoint, PORT))
        self.socket.settimeout(2)

    def message(self, number=None, prefixes=(), home=None):
        number = identification() if number is None else number
        return request(self.care_of, self.endpoint, home or self.home, 600, number, prefixes)

    def right(self, number=None):
        return signed(self.message(number), self.spi, self.key)

    def replies(self):
        """All replies until a right request, sent now and again where it is lost, is answered; that reply is left out."""
        asked, found = set(), []
        while True:
            number = identification()
            asked.add(number & 0xFFFFFFFF)
            self.socket.send(self.right(number))
            try:
                while True:
                    reply = self.socket.recv(65535)
                    if struct.unpack("!Q", reply[12:20])[0] & 0xFFFFFFFF in asked:
                        return found
                    found.append(reply)
            except TimeoutError:
                pass

    def drain(self, codes):
        """What has come so far, without waiting."""
        while select.select([self.socket], [], [], 0)[0]:
            codes.add(self.socket.recv(65535)[1])


def cases(*arguments):
    node = Node(*arguments)
    key, spi = node.key, node.spi
    node.replies()

    def attempt(name, *datagrams):
        for datagram in datagrams:
            node.socket.send(datagram)
        codes = [str(reply[1]) for reply in node.replies()]
        print(name, len(datagrams), ",".join(codes) or "silent", flush=True)

    def with_extension(kind, data):
        return signed(node.message() + bytes([kind, len(data)]) + data, spi, key)

    attempt("wrong-key", signed(node.message(), spi, bytes(16)))
    attempt("unknown-spi", signed(node.message(), spi + 1, key))
    attempt("other-data", node.right()[:4] + socket.inet_aton("192.0.2.99") + node.right()[8:])
    short = signed(node.message(), spi, key)[:-8]
    attempt("short-authenticator", short[:HEADER + 1] + bytes([4 + 8]) + short[HEADER + 2:])
    attempt("unsigned", node.message())
    attempt("unknown-node", signed(node.message(home="192.0.2.99"), spi, key))
    attempt("old", node.right(identification() - HOUR))
    attempt("future", node.right(identification() + HOUR))
    once = node.right()
    attempt("reused", once, once)
    # The replies so far were to later identifications.
    attempt("replayed", once)
    whole = signed(node.message(prefixes=["2001:db8:1:1::/64"]), spi, key)
    boundaries = {HEADER, HEADER + 20}
    attempt("cut-header", *(whole[:length] for length in range(1, HEADER)))
    attempt("cut-extension", *(whole[:length] for length in range(HEADER, len(whole)) if length not in boundaries))
    attempt("cut-between", *(whole[:length] for length in sorted(boundaries)))
    attempt("not-skippable", with_extension(100, b"1234"))
    attempt("skippable", with_extension(200, b"1234"))
    attempt("too-many", signed(node.message() + bytes([DUAL_STACK, 2, TUNNELING_MODE, 0]) * 4200, spi, key))
    reply = struct.pack("!BBH4s4sQ", REPLY, 0, 600, socket.inet_aton(node.home), socket.inet_aton(node.endpoint),
                        identification())
    attempt("reply", signed(reply, spi, key))
    attempt("other-type", bytes([77]) + node.right()[1:])


def prefixes(*arguments):
    *arguments, first, count = arguments
    node = Node(*arguments)
    network = ipaddress.IPv6Network(first)
    message = node.message()
    for number in range(int(count)):
        address = int(network.network_address) + (number << (128 - network.prefixlen))
        message += struct.pack("!BBBB", DUAL_STACK, 18, PREFIX_REQUEST, network.prefixlen) + address.to_bytes(16, "big")
    for _ in range(10):
        # The identification stands in the last 8 bytes of the fixed part; each attempt has a new one.
        fresh = message[:HEADER - 8] + struct.pack("!Q", identification()) + message[HEADER:]
        node.socket.send(signed(fresh, node.spi, node.key))
        answers = node.replies()
        if answers:
            break
    else:
        raise SystemExit("no reply")
    reply, codes, accepted, place = answers[0], {}, [], 20
    seen = set()
    while place < len(reply):
        kind, length = reply[place:place + 2]
        data = reply[place + 2:place + 2 + length]
        if kind == DUAL_STACK and data[0] == PREFIX_REPLY:
            codes[data[1]] = codes.get(data[1], 0) + 1
            seen.add(data[2:20])
            if data[1] < 8:
                accepted.append(f"{ipaddress.IPv6Address(data[4:20])}/{data[2]}")
        place += 2 + length
    total = " ".join(f"{code}:{number}" for code, number in sorted(codes.items()))
    print(reply[1], total, f"distinct:{len(seen)}", *accepted, flush=True)


def flood(*arguments):
    *arguments, count, kind = arguments
    node = Node(*arguments)
    codes = set()
    for _ in range(int(count)):
        message = node.message()
        if kind == "wrong":
            message += struct.pack("!BBI", MOBILE_HOME, 4 + 16, node.spi) + os.urandom(16)
        else:
            message = signed(message, node.spi, node.key)
        node.socket.send(message)
        node.drain(codes)
    codes |= {reply[1] for reply in node.replies()}
    print(*sorted(codes), flush=True)


if __name__ == "__main__":
    commands = {function.__name__: function for function in (cases, prefixes, flood)}
    if len(sys.argv) < 2 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    commands[sys.argv[1]](*sys.argv[2:])
