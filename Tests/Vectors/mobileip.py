#!/usr/bin/python3
"""Makes mobileip.json: messages of Mobile IPv4, what each says, and authenticators.

The fixed parts of registrations are encoded by scapy, authenticators and checksums are those of Python's hmac, hashlib
and scapy. What scapy does not know, extensions, revocations and advertisements, is written out here as the RFCs draw
it. Nothing is taken from Mooring's own code, and the output is the same on every run.

    apt-get install python3-scapy && Tests/Vectors/mobileip.py
"""

import hashlib
import hmac
import ipaddress
import json
import pathlib
import struct

from scapy.layers.mobileip import MobileIP, MobileIPRRP, MobileIPRRQ
from scapy.utils import checksum

HERE = pathlib.Path(__file__).resolve().parent
HOME, AGENT, CARE_OF = "198.51.100.7", "192.0.2.1", "203.0.113.9"
IDENTIFICATION = 0xE9D1_5F00_8123_4567
KEY = bytes(range(0x10, 0x20))
OTHER_KEY = bytes(range(0xF0, 0x100))


def address(text):
    return ipaddress.ip_address(text).packed


# --- extensions: the bytes, and what they say ----------------------------------------------------------------------


def tlv(kind, data):
    """RFC 5944, 1.9."""
    return struct.pack("!BB", kind, len(data)) + data


def long_format(kind, subtype, data):
    """RFC 5944, 1.10."""
    return struct.pack("!BBH", kind, subtype, len(data)) + data


def authentication(kind, spi, authenticator):
    """RFC 5944, 3.5.2 to 3.5.4."""
    return tlv(kind, struct.pack("!I", spi) + authenticator), {
        "kind": "authentication", "type": kind, "number": spi, "bytes": authenticator.hex()}


def generalized_authentication(subtype, spi, authenticator):
    """RFC 4721, 5."""
    return long_format(36, subtype, struct.pack("!I", spi) + authenticator), {
        "kind": "generalizedAuthentication", "subtype": subtype, "number": spi, "bytes": authenticator.hex()}


def udp_tunnel_request(flags, encapsulation, reserved1=0, reserved2=0):
    """RFC 3519, 3.1."""
    return tlv(144, struct.pack("!BBBBH", 0, reserved1, flags | reserved2, encapsulation, 0)), {
        "kind": "udpTunnelRequest", "flags": [flags & 0x80 != 0, flags & 0x40 != 0], "code": encapsulation}


def udp_tunnel_reply(code, forced, keepalive, reserved=0):
    """RFC 3519, 3.2."""
    return tlv(44, struct.pack("!BBHH", 0, code, (0x8000 if forced else 0) | reserved, keepalive)), {
        "kind": "udpTunnelReply", "code": code, "flags": [forced], "number": keepalive}


def gre_key(key):
    """RFC 6245, 5."""
    return long_format(48, 0, struct.pack("!I", key)), {"kind": "greKey", "number": key}


def delivery_style():
    """RFC 3024, 3.3."""
    return tlv(130, b""), {"kind": "encapsulatingDeliveryStyle"}


def mobile_node_nai(name):
    """RFC 2794, 2."""
    return tlv(131, name), {"kind": "mobileNodeNAI", "bytes": name.hex()}


def challenge(value):
    """RFC 4721, 4."""
    return tlv(132, value), {"kind": "challenge", "bytes": value.hex()}


def carried_nai(subtype, name):
    """RFC 3846, 3."""
    return tlv(136, bytes([subtype]) + name), {"kind": "carriedNAI", "subtype": subtype, "bytes": name.hex()}


def revocation_support(inform, timestamp, reserved=0, more=b""):
    """RFC 3543, 3.2."""
    return tlv(137, struct.pack("!HI", (0x8000 if inform else 0) | reserved, timestamp) + more), {
        "kind": "revocationSupport", "flags": [inform], "number": timestamp}


def dynamic_home_agent(subtype, agent):
    """RFC 4433, 3.4."""
    return long_format(139, subtype, address(agent)), {
        "kind": "dynamicHomeAgent", "subtype": subtype, "address": agent}


def masked(prefix, length):
    """The prefix without the bits past its length."""
    value = ipaddress.ip_address(prefix)
    if length > value.max_prefixlen:
        return str(value)
    return str(ipaddress.ip_network((value, length), strict=False).network_address)


def mobile_network_request(length, prefix):
    """RFC 5177, 4.1."""
    return tlv(148, bytes([0, length]) + address(prefix)), {
        "kind": "mobileNetworkRequest", "length": length, "address": masked(prefix, length)}


def mobile_network_acknowledgment(subtype, code, length, prefix, reserved=0):
    """RFC 5177, 4.2."""
    return tlv(148, bytes([subtype, code, length, reserved]) + address(prefix)), {
        "kind": "mobileNetworkAcknowledgment", "subtype": subtype, "code": code, "length": length,
        "address": masked(prefix, length)}


def prefix_request(length, prefix):
    """RFC 5454, 2.1."""
    return tlv(152, bytes([1, length]) + address(prefix)), {
        "kind": "ipv6PrefixRequest", "length": length, "address": masked(prefix, length)}


def prefix_reply(code, length, prefix, reserved=0):
    """RFC 5454, 2.2."""
    return tlv(152, bytes([2, code, length, reserved]) + address(prefix)), {
        "kind": "ipv6PrefixReply", "code": code, "length": length, "address": masked(prefix, length)}


def tunneling_mode(reserved=0):
    """RFC 5454, 2.3."""
    return tlv(152, bytes([3, reserved])), {"kind": "ipv6TunnelingMode"}


def skipped(content):
    return content, {"kind": "skipped"}


PADDING = (b"\0", {"kind": "padding"})


# --- messages --------------------------------------------------------------------------------------------------------

messages, malformed, signed, advertisements = [], [], [], []


def request(flags=0x22, lifetime=600, home=HOME, agent=AGENT, care_of=CARE_OF, identification=IDENTIFICATION):
    fixed = bytes(MobileIP(type=1) / MobileIPRRQ(
        flags=flags, lifetime=lifetime, homeaddr=home, haaddr=agent, coaddr=care_of, id=identification))
    return fixed, {"flags": flags & 0xFA, "lifetime": lifetime, "addresses": [home, agent, care_of],
                   "identification": identification}


def reply(code=0, lifetime=600, home=HOME, agent=AGENT, identification=IDENTIFICATION):
    fixed = bytes(MobileIP(type=3) / MobileIPRRP(
        code=code, lifetime=lifetime, homeaddr=home, haaddr=agent, id=identification))
    return fixed, {"code": code, "lifetime": lifetime, "addresses": [home, agent], "identification": identification}


def revocation(flags, identifier, reserved1=0, reserved2=0):
    """RFC 3543, 3.3."""
    fixed = struct.pack("!BBH", 7, reserved1, flags | reserved2) + address(HOME) + address(AGENT) + address(CARE_OF)
    return fixed + struct.pack("!I", identifier), {
        "flags": flags, "addresses": [HOME, AGENT, CARE_OF], "identification": identifier}


def acknowledgment(flags, identifier, reserved1=0, reserved2=0):
    """RFC 3543, 3.4."""
    fixed = struct.pack("!BBH", 15, reserved1, flags | reserved2) + address(HOME) + struct.pack("!I", identifier)
    return fixed, {"flags": flags, "addresses": [HOME], "identification": identifier}


def message(name, fixed, *extensions, written=None):
    """A message that is read. `written` is the same message as its own writer has it, where that differs."""
    content, fields = fixed
    kept, authentications, skips, ends = [], [], {}, [len(content)]
    for data, says in extensions:
        if says["kind"] == "skipped":
            skips[str(data[0])] = skips.get(str(data[0]), 0) + 1
        elif says["kind"] != "padding":
            if says["kind"] == "authentication":
                authentications.append({"type": says["type"], "index": len(kept), "covered": len(content) + 6})
            kept.append(says)
        content += data
        ends.append(len(content))
    messages.append({
        "name": name, "type": content[0], "bytes": content.hex(), "fields": fields, "extensions": kept,
        "skipped": skips, "authentications": authentications, "ends": ends,
        "reserved": content[0] == 1 and content[1] & 5 != 0,
        "written": written(*[extension for extension in extensions]).hex() if written else content.hex()})


def joined(fixed, *extensions):
    return fixed[0] + b"".join(data for data, _ in extensions)


def make_messages():
    auth = authentication(32, 256, bytes(range(16)))
    foreign_home = authentication(34, 0xFFFF_FFFF, bytes(range(32)))
    message("a request", request(), auth)
    message("a request without extensions", request())
    for bit in (0x80, 0x40, 0x20, 0x10, 0x08, 0x02):
        message(f"flag {bit:#x}", request(flags=bit), auth)
    for bit in (0x04, 0x01):
        message(f"reserved bit {bit:#x}", request(flags=bit), auth, written=lambda *e: joined(request(flags=0), *e))
    message("for ever", request(lifetime=0xFFFF), auth)
    message("the end of all bindings", request(lifetime=0, care_of=HOME, flags=0), auth)
    message("no home address", request(home="0.0.0.0", agent="255.255.255.255", identification=0xFFFF_FFFF_FFFF_FFFF),
            mobile_node_nai(b"node@example.net"), dynamic_home_agent(1, AGENT), auth)
    for code in (0, 1, 64, 128, 133, 194, 255):
        message(f"a reply of code {code}", reply(code=code), auth)
    message("a reply that sends elsewhere", reply(code=143, lifetime=0), dynamic_home_agent(2, "192.0.2.77"), auth)

    # RFC 5454.
    lengths = [0, 1, 7, 8, 47, 48, 63, 64, 65, 127, 128]
    ones = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
    message("a prefix request", request(), prefix_request(64, "2001:db8:1::"), auth)
    message("a prefix request and the tunneling mode", request(), prefix_request(48, "2001:db8:2::"),
            tunneling_mode(), auth)
    message("prefixes of all kinds of lengths", request(), *[
        prefix_request(length, masked(ones, length)) for length in lengths], auth)
    message("prefixes whose other bits are set", request(), *[prefix_request(length, ones) for length in lengths], auth,
            written=lambda *e: joined(request(), *[prefix_request(n, masked(ones, n)) for n in lengths], auth))
    message("replies to prefixes whose other bits are set", reply(), *[
        prefix_reply(0, length, ones) for length in lengths], auth,
        written=lambda *e: joined(reply(), *[prefix_reply(0, n, masked(ones, n)) for n in lengths], auth))
    message("a link-local address", request(), prefix_request(255, "fe80::1"), auth)
    message("a link-local address is accepted", reply(), prefix_reply(0, 255, "fe80::1"), auth)
    message("lengths that mean nothing", request(), prefix_request(129, ones), prefix_request(254, "2001:db8::"),
            prefix_request(255, "2001:db8::"), auth)
    for code in (0, 1, 2, 7, 8, 9, 10, 255):
        message(f"a prefix reply of code {code}", reply(), prefix_reply(code, 64, "2001:db8:1::"), auth)
    message("reserved bytes of type 152", reply(), prefix_reply(1, 64, "2001:db8:1::", 0xFF), tunneling_mode(0xFF),
            auth,
            written=lambda *e: joined(reply(), prefix_reply(1, 64, "2001:db8:1::"), tunneling_mode(), auth))
    kept = [prefix_request(64, "2001:db8:1::"), prefix_request(56, "2001:db8:2::"), auth]
    message("subtypes and lengths of type 152 that are not known", request(),
            skipped(tlv(152, b"")), kept[0], skipped(tlv(152, bytes([0, 0]))),
            skipped(tlv(152, bytes([4]) + bytes(17))),
            skipped(tlv(152, bytes([255, 0]))), skipped(tlv(152, bytes([1]) + bytes(16))),
            skipped(tlv(152, bytes([1]) + bytes(18))), skipped(tlv(152, bytes([2]) + bytes(18))),
            skipped(tlv(152, bytes([2]) + bytes(20))), skipped(tlv(152, bytes([3]))),
            skipped(tlv(152, bytes([3]) + bytes(2))), kept[1], skipped(tlv(152, bytes(255))), kept[2],
            written=lambda *e: joined(request(), *kept))
    message("an extension behind the authentication", request(), kept[0], auth, kept[1], tunneling_mode())
    message("two hundred prefixes", request(), *[prefix_request(64, f"2001:db8:{n:x}::") for n in range(200)], auth)
    message("two tunneling modes", request(), tunneling_mode(), tunneling_mode(), auth)

    # What others add.
    message("relayed by a foreign agent", request(flags=0), mobile_node_nai(b"n"), auth, gre_key(0),
            revocation_support(True, 0x0102_0304), foreign_home)
    message("with a challenge", request(flags=0x02), challenge(bytes(range(8))), auth,
            generalized_authentication(1, 2, bytes(16)), delivery_style(), authentication(33, 257, bytes(16)))
    message("through a NAT", request(), udp_tunnel_request(0x80, 0), auth)
    message("through a NAT and a foreign agent", request(), udp_tunnel_request(0x40, 47), auth)
    message("reserved bits of a UDP tunnel request", request(), udp_tunnel_request(0xC0, 55, 0xFF, 0x3F), auth,
            written=lambda *e: joined(request(), udp_tunnel_request(0xC0, 55), auth))
    for code in (0, 1, 63, 64, 255):
        message(f"a UDP tunnel reply of code {code}", reply(), udp_tunnel_reply(code, code == 1, 110), auth)
    message("reserved bits of a UDP tunnel reply", reply(), udp_tunnel_reply(0, False, 0, 0x7FFF), auth,
            written=lambda *e: joined(reply(), udp_tunnel_reply(0, False, 0), auth))
    message("a GRE key", reply(), auth, gre_key(0xFEDC_BA98), foreign_home)
    message("mobile networks", request(), mobile_network_request(24, "198.51.100.0"), mobile_network_request(
        0, "0.0.0.0"), mobile_network_request(32, "203.0.113.1"), mobile_network_request(33, "203.0.113.1"), auth)
    message("mobile networks are acknowledged", reply(), mobile_network_acknowledgment(1, 0, 24, "198.51.100.0"),
            mobile_network_acknowledgment(2, 0, 16, "198.51.0.0"), mobile_network_acknowledgment(
                1, 3, 32, "203.0.113.1"), auth)
    message("other bits of mobile networks", reply(), mobile_network_request(20, "255.255.255.255"),
            mobile_network_acknowledgment(1, 2, 12, "255.255.255.255", 0xFF), auth,
            written=lambda *e: joined(reply(), mobile_network_request(20, "255.255.240.0"),
                                      mobile_network_acknowledgment(1, 2, 12, "255.240.0.0"), auth))
    message("names", reply(), mobile_node_nai(bytes(range(1, 255))), carried_nai(1, b"ha@example.net"),
            carried_nai(2, bytes(254)), carried_nai(77, b"x"), auth)
    message("a revocation support extension that has grown", reply(), revocation_support(
        False, 5, 0x7FFF, b"more"), auth, written=lambda *e: joined(reply(), revocation_support(False, 5), auth))
    message("authenticators of all lengths", request(), authentication(32, 1, b""), authentication(33, 2, bytes(251)),
            generalized_authentication(9, 3, bytes(400)))
    message("skippable extensions that are not known, and known ones of wrong lengths", request(), *[
        skipped(tlv(kind, bytes(kind - 127))) for kind in (128, 129, 133, 134, 135, 138, 140, 145, 151, 153, 200, 254)],
        skipped(tlv(255, b"")), skipped(tlv(255, b"")), skipped(tlv(130, b"x")), skipped(tlv(131, b"")),
        skipped(tlv(131, bytes(255))), skipped(tlv(132, b"")), skipped(tlv(136, b"")), skipped(tlv(136, b"\1")),
        skipped(tlv(137, bytes(5))), skipped(tlv(144, bytes(5))), skipped(tlv(144, bytes(7))),
        skipped(tlv(144, b"\1" + bytes(5))), skipped(tlv(144, bytes(4) + b"\1\0")), skipped(tlv(144, bytes(5) + b"\1")),
        skipped(tlv(148, b"")), skipped(tlv(148, bytes(5))), skipped(tlv(148, bytes(8))),
        skipped(tlv(148, b"\1" + bytes(5))), skipped(tlv(148, b"\2" + bytes(8))), skipped(tlv(148, b"\3" + bytes(7))),
        skipped(tlv(139, bytes(3))), skipped(tlv(139, b"\0")), auth, written=lambda *e: joined(request(), auth))
    message("padding", request(), PADDING, prefix_request(64, "2001:db8:1::"), PADDING, PADDING, auth, PADDING,
            written=lambda *e: joined(request(), prefix_request(64, "2001:db8:1::"), auth))

    for flags in (0, 0x8000, 0x4000, 0xC000):
        message(f"a revocation with {flags:#x}", revocation(flags, 0x0A0B_0C0D), foreign_home)
    message("reserved bits of a revocation", revocation(0, 1, 0xFF, 0x3FFF), auth,
            written=lambda *e: joined(revocation(0, 1), *e))
    for flags in (0, 0x8000):
        message(f"a revocation's acknowledgment with {flags:#x}", acknowledgment(flags, 0x0A0B_0C0D), foreign_home)
    message("reserved bits of an acknowledgment", acknowledgment(0, 1, 0xFF, 0x7FFF), auth,
            written=lambda *e: joined(acknowledgment(0, 1), *e))


def make_malformed():
    fixed = request()[0]
    for name, content, reason in [
        ("nothing", b"", "message-empty"), ("no message", b"\0" + fixed[1:], "message-type-unknown"),
        ("tunnelled data", b"\4\4\0\0", "message-type-unknown"), ("a type alone", b"\1", "message-truncated"),
        ("an authentication that is too short", fixed + tlv(32, bytes(3)), "extension-length"),
        ("a foreign one that is too short", fixed + tlv(34, b""), "extension-length"),
        ("a generalized one that is too short", fixed + long_format(36, 1, bytes(19)), "extension-length"),
        ("a generalized one past the end", fixed + long_format(36, 1, bytes(40))[:-1], "extension-truncated"),
        ("a GRE key of two bytes", fixed + long_format(48, 0, bytes(2)), "extension-length"),
        ("another kind of key", fixed + long_format(48, 1, bytes(4)), "extension-unrecognized"),
        ("a key past the end", fixed + long_format(48, 0, bytes(4))[:-1], "extension-truncated"),
        ("a UDP tunnel reply of five bytes", fixed + tlv(44, bytes(5)), "extension-length"),
        ("another kind of UDP tunnel reply", fixed + tlv(44, b"\1" + bytes(5)), "extension-unrecognized"),
        ("a type alone behind", fixed + b"\xff", "extension-truncated"),
        ("a known type alone behind", fixed + b"\x20", "extension-truncated"),
        ("a skippable one past the end", fixed + b"\xff\x01", "extension-truncated"),
    ] + [(f"type {kind}", fixed + tlv(kind, bytes(8)), "extension-unrecognized")
         for kind in range(1, 128) if kind not in (32, 33, 34, 36, 44, 48)]:
        malformed.append({"name": name, "bytes": content.hex(), "reason": reason})


# --- authentication --------------------------------------------------------------------------------------------------


def mac(algorithm, key, data):
    if algorithm == "keyed-md5":
        return hashlib.md5(key + data + key).digest()
    return hmac.new(key, data, {"hmac-md5": "md5", "hmac-sha-256": "sha256"}[algorithm]).digest()


def sign(name, algorithm, key, spi, kind, before, added=()):
    """`before` is a message, `added` are extensions behind it that are signed with it."""
    content = before + b"".join(data for data, _ in added)
    length = 32 if algorithm == "hmac-sha-256" else 16
    content += struct.pack("!BBI", kind, 4 + length, spi)
    content += mac(algorithm, key, content)
    signed.append({
        "name": name, "algorithm": algorithm, "key": key.hex(), "spi": spi, "type": kind, "before": before.hex(),
        "added": [says for _, says in added], "bytes": content.hex()})
    return content


def make_signed():
    asked = joined(request(), prefix_request(64, "2001:db8:1::"), tunneling_mode())
    for algorithm in ("hmac-md5", "hmac-sha-256", "keyed-md5"):
        sign(f"a request by {algorithm}", algorithm, KEY, 256, 32, asked)
        sign(f"a long key by {algorithm}", algorithm, bytes(range(200)), 0xFFFF_FFFF, 32, asked)
    once = sign("a request on its way", "hmac-md5", KEY, 300, 32, asked)
    sign("relayed by a foreign agent", "hmac-md5", OTHER_KEY, 1000, 34, once,
         [gre_key(7), revocation_support(False, 9)])
    sign("with padding and skipped extensions", "hmac-md5", KEY, 256, 32, joined(
        request(), PADDING, skipped(tlv(200, b"xyz")), prefix_request(64, "2001:db8:1::"), PADDING))
    sign("a reply", "hmac-md5", KEY, 256, 32, joined(reply(), prefix_reply(1, 64, "2001:db8:1::")))
    sign("a revocation", "hmac-md5", KEY, 256, 34, joined(revocation(0x8000, 77)))
    sign("an acknowledgment", "hmac-md5", KEY, 256, 34, joined(acknowledgment(0, 77)))


def make_authenticators():
    """The test cases of RFC 2202, 2 and RFC 4231, 4 that are not shortened, as these RFCs print them."""
    cases = [
        ("hmac-md5", b"\x0b" * 16, b"Hi There", "9294727a3638bb1c13f48ef8158bfc9d"),
        ("hmac-md5", b"Jefe", b"what do ya want for nothing?", "750c783e6ab0b503eaa86e310a5db738"),
        ("hmac-md5", b"\xaa" * 16, b"\xdd" * 50, "56be34521d144c88dbb8c733f0e8b3f6"),
        ("hmac-md5", bytes(range(1, 26)), b"\xcd" * 50, "697eaf0aca3a3aea3a75164746ffaa79"),
        ("hmac-md5", b"\x0c" * 16, b"Test With Truncation", "56461ef2342edc00f9bab995690efd4c"),
        ("hmac-md5", b"\xaa" * 80, b"Test Using Larger Than Block-Size Key - Hash Key First",
         "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd"),
        ("hmac-md5", b"\xaa" * 80, b"Test Using Larger Than Block-Size Key and Larger Than One Block-Size Data",
         "6f630fad67cda0ee1fb1f562db3aa53e"),
        ("hmac-sha-256", b"\x0b" * 20, b"Hi There",
         "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
        ("hmac-sha-256", b"Jefe", b"what do ya want for nothing?",
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        ("hmac-sha-256", b"\xaa" * 20, b"\xdd" * 50,
         "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
        ("hmac-sha-256", bytes(range(1, 26)), b"\xcd" * 50,
         "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"),
        ("hmac-sha-256", b"\xaa" * 131, b"Test Using Larger Than Block-Size Key - Hash Key First",
         "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"),
        ("hmac-sha-256", b"\xaa" * 131,
         b"This is a test using a larger than block-size key and a larger than block-size data. The key needs to be "
         b"hashed before being used by the HMAC algorithm.",
         "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"),
    ]
    for algorithm, key, data, expected in cases:
        if mac(algorithm, key, data).hex() != expected:
            raise SystemExit(f"mobileip.py: {algorithm} of {data!r}")
    cases.append(("keyed-md5", KEY, b"Hi There", mac("keyed-md5", KEY, b"Hi There").hex()))
    return [{"algorithm": a, "key": key.hex(), "data": data.hex(), "authenticator": e} for a, key, data, e in cases]


# --- agent discovery -------------------------------------------------------------------------------------------------


def icmp(content):
    return content[:2] + struct.pack("!H", checksum(content[:2] + b"\0\0" + content[4:])) + content[4:]


def advertisement(code=0, lifetime=1800, routers=((AGENT, 0),), words=2):
    """RFC 1256, 3."""
    content = struct.pack("!BBHBBH", 9, code, 0, len(routers), words, lifetime)
    for router, preference in routers:
        content += address(router) + struct.pack("!i", preference) + bytes(4 * (words - 2))
    return content, {"common": code == 0, "lifetime": lifetime, "routers": [r for r, _ in routers],
                     "preferences": [p for _, p in routers]}


def mobility_agent(flags=0x2100, sequence=7, lifetime=600, care_of=(), reserved=0):
    """RFC 5944, 2.1.1."""
    data = struct.pack("!HHH", sequence, lifetime, flags | reserved) + b"".join(address(a) for a in care_of)
    return tlv(16, data), {"sequence": sequence, "registrationLifetime": lifetime, "flags": flags,
                           "careOf": list(care_of)}


def advertise(name, header, agent, *more, written=None, prefixes=None, says=None, skips=None):
    content = header[0] + agent[0] + b"".join(more)
    advertisements.append({
        "name": name, "bytes": icmp(content).hex(), "fields": header[1] | agent[1], "prefixLengths": prefixes,
        "challenge": says, "skipped": skips or {}, "written": icmp(written or content).hex()})


def make_advertisements():
    advertise("a home agent", advertisement(), mobility_agent())
    for bit in (0x8000, 0x4000, 0x2000, 0x1000, 0x0800, 0x0400, 0x0100, 0x0080, 0x0040, 0x0020):
        advertise(f"flag {bit:#x}", advertisement(), mobility_agent(bit))
    header, agent = advertisement(), mobility_agent(0x2000)
    advertise("reserved bits", header, mobility_agent(0x2000, reserved=0x021F), written=header[0] + agent[0])
    advertise("no router for others, for ever", advertisement(16, 0, ()), mobility_agent(lifetime=0xFFFF, sequence=0))
    advertise("a foreign agent", advertisement(routers=((AGENT, -1), (CARE_OF, 2**31 - 1), (HOME, -2**31))),
              mobility_agent(0x9100, care_of=(CARE_OF, AGENT)), tlv(19, bytes([24, 0, 32])), tlv(24, b"abcd"),
              b"\0", prefixes=[24, 0, 32], says=b"abcd".hex())
    advertise("62 care-of addresses", header, mobility_agent(0x1000, care_of=[f"10.0.0.{n}" for n in range(62)]))
    advertise("255 routers", advertisement(routers=[(f"10.0.1.{n}", n) for n in range(255)]), agent,
              tlv(19, bytes(range(255))), b"\0", prefixes=list(range(255)))
    advertise("longer entries and an unknown extension", advertisement(words=3), agent, tlv(200, b"abc"), b"\0",
              tlv(19, b""), prefixes=[], skips={"200": 1}, written=header[0] + agent[0] + tlv(19, b""))
    second = mobility_agent(0x1000, 9)[0]
    advertise("all extensions twice", header, agent, tlv(19, b"\x18"), tlv(24, b"ab"), second, tlv(19, b"\x19"),
              tlv(24, b"cd"), prefixes=[24], says=b"ab".hex(),
              written=header[0] + agent[0] + tlv(19, b"\x18") + tlv(24, b"ab") + b"\0")

    wrong = icmp(header[0] + agent[0])
    return [{"name": name, "bytes": content.hex(), "reason": reason} for name, content, reason in [
        ("seven bytes", wrong[:7], "icmp-truncated"), ("a wrong checksum", wrong[:-1] + b"\xff", "icmp-checksum"),
        ("an echo request", icmp(b"\x08" + bytes(7)), "icmp-type"),
        ("another code", icmp(advertisement(1)[0] + agent[0]), "icmp-code"),
        ("entries of a word", icmp(struct.pack("!BBHBBH", 9, 0, 0, 1, 1, 0) + bytes(4) + agent[0]), "router-addresses"),
        ("more routers than there is room", icmp(struct.pack("!BBHBBH", 9, 0, 0, 9, 2, 0) + bytes(64)),
         "icmp-truncated"),
        ("no agent", icmp(header[0]), "not-agent-advertisement"),
        ("padding alone", icmp(header[0] + b"\0"), "not-agent-advertisement"),
        ("an agent's extension of five bytes", icmp(header[0] + tlv(16, bytes(5))), "extension-length"),
        ("half a care-of address", icmp(header[0] + tlv(16, bytes(8))), "extension-length"),
        ("an empty challenge", icmp(header[0] + agent[0] + tlv(24, b"")), "extension-length"),
        ("an extension past the end", icmp(header[0] + agent[0] + b"\xff\x01"), "extension-truncated"),
        ("a type alone", icmp(header[0] + agent[0] + b"\xff"), "extension-truncated"),
        ("an unknown extension", icmp(header[0] + agent[0] + tlv(17, b"")), "extension-unrecognized"),
    ]]


if __name__ == "__main__":
    make_messages()
    make_malformed()
    make_signed()
    content = {
        "messages": messages, "malformed": malformed, "signed": signed, "authenticators": make_authenticators(),
        "malformedAdvertisements": make_advertisements(), "advertisements": advertisements,
        "solicitation": icmp(b"\x0a" + bytes(7)).hex(), "solicitationReserved": icmp(b"\x0a\0\0\0abcdefgh").hex(),
    }
    (HERE / "mobileip.json").write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
