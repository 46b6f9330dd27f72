#!/usr/bin/python3
"""Makes homeagent.json: requests to a home agent, and the bytes of its replies.

Fixed parts are scapy's, authenticators Python's hmac's; extensions are written as in mobileip.py. The home agent and the
node are those of Tests/MobileIPTests/TestHomeAgent.swift. Nothing is taken from Mooring's own code.

    apt-get install python3-scapy && Tests/Vectors/homeagent.py
"""

import hashlib
import hmac
import json

from mobileip import (
    CARE_OF, HERE, challenge, gre_key, mobile_network_acknowledgment, mobile_network_request, mobile_node_nai,
    prefix_reply, prefix_request, reply, request, revocation_support, tlv, tunneling_mode, udp_tunnel_reply,
    udp_tunnel_request)

NODE_KEY, FOREIGN_KEY, WRONG_KEY = bytes(range(0x10, 0x20)), bytes(range(0x40, 0x50)), bytes(16)
FOREIGN_AGENT, NAT, PRIVATE = "203.0.113.200", "192.88.99.1", "10.0.0.9"
NOW = 4_000_000_000
TIME = NOW << 32 | 0x1234_5678
CO_LOCATED = 0x20
cases = []


def signed(content, kind, spi, key):
    """RFC 5944, 3.5.2 to 3.5.4: the authenticator covers all before it, type, length and index included."""
    content += tlv(kind, bytes(4) + bytes(16))[:2] + spi.to_bytes(4, "big")
    return content + hmac.new(key, content, hashlib.md5).digest()


def message(fixed, extensions, foreign=(), key=NODE_KEY, foreign_key=None):
    """Fixed part, for the home agent or the node, mobile-home, for or of the foreign agent, foreign-home."""
    content = fixed[0] + b"".join(data for data, _ in extensions)
    content = signed(content, 32, 256, key) + b"".join(data for data, _ in foreign)
    return signed(content, 34, 300, foreign_key) if foreign_key else content


def case(name, asked, answered, source=CARE_OF):
    cases.append({"name": name, "source": source, "port": 5000, "request": asked.hex(), "reply": answered.hex()})


def main():
    def ask(*extensions, flags=CO_LOCATED, **fields):
        return message(request(flags=flags, identification=TIME, **fields), extensions)

    def answer(*extensions, code=0, identification=TIME, **fields):
        return message(reply(code=code, identification=identification, **fields), extensions)

    case("a node's own care-of address", ask(), answer())
    case("a lifetime that is not granted", ask(lifetime=0xFFFF), answer(lifetime=36000))
    case("the end", ask(lifetime=0), answer(lifetime=0))
    case("prefixes", ask(
        prefix_request(64, "2001:db8:1:1::"), prefix_request(48, "2001:db8:2::"), prefix_request(64, "2001:db8:1:1::"),
        prefix_request(255, "fe80::c633:6407"), prefix_request(200, "2001:db8::"), tunneling_mode()), answer(
            prefix_reply(1, 64, "2001:db8:1:1::"), prefix_reply(9, 48, "2001:db8:2::"),
            prefix_reply(0, 255, "fe80::c633:6407"), prefix_reply(8, 200, "2001:db8::")))
    case("prefixes by way of the home address", ask(prefix_request(64, "2001:db8:1:1::")),
         answer(prefix_reply(0, 64, "2001:db8:1:1::")))
    case("an unknown subtype of type 152", ask((tlv(152, bytes([77, 0])), {}), prefix_request(64, "2001:db8:1:1::")),
         answer(prefix_reply(0, 64, "2001:db8:1:1::")))
    case("behind a NAT", ask(udp_tunnel_request(0, 0), prefix_request(64, "2001:db8:1:1::"), tunneling_mode(),
                             care_of=PRIVATE),
         answer(udp_tunnel_reply(0, False, 110), prefix_reply(1, 64, "2001:db8:1:1::")), NAT)
    case("a name", ask(mobile_node_nai(b"mn1@example.net")), answer(mobile_node_nai(b"mn1@example.net")))
    case("a mobile network", ask(mobile_network_request(24, "192.168.1.0"), mobile_network_request(40, "192.168.1.0")),
         answer(mobile_network_acknowledgment(1, 0, 24, "192.168.1.0"),
                mobile_network_acknowledgment(1, 1, 40, "192.168.1.0")))
    case("no mobile network", ask(mobile_network_request(24, "192.168.2.0")),
         answer(mobile_network_acknowledgment(1, 2, 24, "192.168.2.0"), code=147))
    case("another home agent", ask(agent="192.0.2.2"), answer(code=136))
    old = NOW - 8 << 32 | 0x1234_5678
    case("an old time", message(request(flags=CO_LOCATED, identification=old), ()), answer(code=133))
    case("a wrong key", message(request(flags=CO_LOCATED, identification=TIME), (), key=WRONG_KEY), answer(code=131))

    def relay(*foreign, key=FOREIGN_KEY, flags=0):
        return message(request(flags=flags, identification=TIME, care_of=FOREIGN_AGENT), (), foreign, foreign_key=key)

    def back(*foreign, code=0):
        return message(reply(code=code, identification=TIME), (), foreign, foreign_key=FOREIGN_KEY)

    case("through a foreign agent", relay(), back(), FOREIGN_AGENT)
    case("a GRE key, revocation and a challenge", relay(gre_key(7), revocation_support(True, 99), challenge(b"abcd")),
         back(challenge(b"abcd"), gre_key(7), revocation_support(True, NOW)), FOREIGN_AGENT)
    case("a foreign agent that does not sign", relay(key=None), back(code=132), FOREIGN_AGENT)
    (HERE / "homeagent.json").write_text(json.dumps(cases, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
