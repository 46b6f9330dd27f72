"""A home agent that knows RFC 5944 and RFC 5454 by their texts alone, at the control socket of a mooringd.

home_agent.py SOCKET SCHEMA ENDPOINT KEY

Watches for punted registrations. Those whose HMAC-MD5 by KEY (hexadecimal) holds are accepted: the binding is put or
removed, and the reply injected. IPv6 comes by the care-of address where the request says so; a tunnel in UDP where it is
forced. SCHEMA is the directory of control_pb2, made by protoc. Prints a line for each.
"""
import hashlib
import hmac
import socket
import struct
import sys

from control_socket import ControlSocket

PORT = 434
TUNNELING_MODE = bytes([152, 2, 3, 0])
UDP_TUNNEL_REPLY = bytes([44, 6, 0, 0, 0x80, 0, 0, 30])
ENCAPSULATIONS = {0x00: "IP_IN_IP", 0x08: "GRE", 0x10: "MINIMAL"}


def address(packed):
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def extensions(data):
    """Type, whole bytes, and where they begin; all that a mobile node sends has the short format."""
    offset = 24
    while offset < len(data):
        length = 2 + data[offset + 1]
        yield data[offset], data[offset:offset + length], offset
        offset += length


def is_authentic(message, key):
    for kind, value, offset in extensions(message):
        if kind == 32:
            return hmac.compare_digest(hmac.new(key, message[:offset + 6], hashlib.md5).digest(), value[6:])
    return False


def forces_udp(message):
    return any(kind == 144 and value[4] & 0x80 for kind, value, _ in extensions(message))


def reply_to(message, endpoint, key):
    """The reply's bytes, and the prefixes that it accepts."""
    asked = [value for kind, value, _ in extensions(message) if kind == 152 and value[2] == 1]
    # Minimal encapsulation can't carry IPv6 (RFC 5454, 3.3.2).
    wishes_care_of = any(value == TUNNELING_MODE for _, value, _ in extensions(message))
    code = 1 if wishes_care_of and not message[1] & 0x10 else 0
    reply = struct.pack("!BB", 3, 0) + message[2:4] + message[4:8] + socket.inet_aton(endpoint) + message[16:24]
    if forces_udp(message):
        reply += UDP_TUNNEL_REPLY
    for value in asked:
        reply += bytes([152, 20, 2, code, value[3], 0]) + value[4:20]
    reply += struct.pack("!BBI", 32, 20, 256)
    return reply + hmac.new(key, reply, hashlib.md5).digest(), code, [(value[3], value[4:20]) for value in asked]


def packet(endpoint, destination, port, payload):
    """The reply in UDP and IPv4, from their headers on; the UDP checksum is left out."""
    header = struct.pack("!BBHHHBBH", 0x45, 0, 28 + len(payload), 0, 0, 64, 17, 0)
    header += socket.inet_aton(endpoint) + socket.inet_aton(destination)
    header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
    return header + struct.pack("!HHHH", PORT, port, 8 + len(payload), 0) + payload


def binding(message, port, code, prefixes):
    """What mooringd is to be told of a registration."""
    inner = "ENCAPSULATION_" + ENCAPSULATIONS[message[1] & 0x18]
    udp = {"encapsulation": "ENCAPSULATION_UDP", "udp_encapsulation": inner, "udp_port": port}
    tunnel = "PREFIX_TUNNEL_CARE_OF" if code == 1 else "PREFIX_TUNNEL_HOME_ADDRESS"
    return {
        "id": address(message[4:8]), "home_address": int.from_bytes(message[4:8], "big"),
        "care_of_address": int.from_bytes(message[12:16], "big"), "lifetime": int.from_bytes(message[2:4], "big"),
        "prefixes": [{"address": value, "length": length, "tunnel": tunnel} for length, value in prefixes],
        **(udp if forces_udp(message) else {"encapsulation": inner})}


def main(path, schema, endpoint, key):
    key = bytes.fromhex(key)
    control = ControlSocket(path, schema)
    while True:
        reply = control.receive()
        if not reply.HasField("event"):
            if reply.HasField("error"):
                print("refused", reply.error.message, flush=True)
            continue
        data = bytes(reply.event.punt.packet)
        if not data or data[9] != 17:
            continue
        source, port = address(data[12:16]), struct.unpack("!H", data[20:22])[0]
        message = data[28:]
        if not is_authentic(message, key):
            print("unauthentic", source, flush=True)
            continue
        lifetime = struct.unpack("!H", message[2:4])[0]
        home, care_of = address(message[4:8]), address(message[12:16])
        answer, code, prefixes = reply_to(message, endpoint, key)
        if lifetime == 0:
            control.send(remove_bindings={"ids": [home]})
        else:
            control.send(put_bindings={"bindings": [binding(message, port, code, prefixes)]})
        control.send(inject={"packets": [
            {"packet": packet(endpoint, source, port, answer), "side": control.messages.SIDE_ACCESS}]})
        print("registered" if lifetime else "deregistered", home, care_of, source, lifetime, len(prefixes), flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])
