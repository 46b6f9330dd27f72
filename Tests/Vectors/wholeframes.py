#!/usr/bin/python3
"""Makes wholeframes.json: super-frames that come out of a tunnel whole, and the tunnel packets that they stand for.

Inner packets are those of superframes.json, by their names. What stands before them is encoded by scapy, for each segment
by itself as on a wire, and for the whole as the kernel leaves it where it joins segments, or has not cut them: that of the
first, with the length of all (inet_gro_complete and inet_gso_segment of Linux). The output is the same on every run.

    apt-get install python3-scapy && Tests/Vectors/superframes.py && Tests/Vectors/wholeframes.py
"""

import json
import pathlib

from scapy.layers.inet import IP
from scapy.layers.l2 import GRE
from scapy.packet import Raw

HERE = pathlib.Path(__file__).resolve().parent
NODE, ENDPOINT = "203.0.113.9", "192.0.2.1"
KEY = 0x00C0FFEE


def headers(kind, is_ipv4, length, number, tos):
    """Those before an inner packet of a length in a tunnel of a kind; the outer identification grows with the number."""
    outer = IP(src=NODE, dst=ENDPOINT, tos=tos, id=(500 + number) & 0xFFFF, flags="DF", ttl=61)
    ethertype = 0x0800 if is_ipv4 else 0x86DD
    if kind == "direct":
        outer.proto = 4 if is_ipv4 else 41
    elif kind == "gre":
        outer /= GRE(proto=ethertype)
    else:
        outer /= GRE(proto=ethertype, key_present=1, key=KEY)
    return bytes(outer / Raw(bytes(length)))[:-length].hex()


cases = []
for item in json.loads((HERE / "superframes.json").read_text())["cases"]:
    frame = bytes.fromhex(item["frame"])
    is_ipv4 = frame[0] >> 4 == 4
    # A packet of 65,535 bytes has no room for more, 600 segments are more than tests have in a batch, and none is sent to a
    # group that way.
    if any(word in item["name"] for word in ["as large as", "more than a batch", "group"]):
        continue
    # The second says something of the class, and that there was congestion.
    for kind, tos in [("direct", 0x00), ("direct", 0x2B), ("gre", 0x2B), ("greWithKey", 0x00)]:
        cases.append(
            {
                "inner": item["name"],
                "tunnel": kind,
                "tos": tos,
                "headers": headers(kind, is_ipv4, len(frame), 0, tos),
                "segmentHeaders": [
                    headers(kind, is_ipv4, len(segment) // 2, number, tos)
                    for number, segment in enumerate(item["segments"])
                ],
            }
        )
(HERE / "wholeframes.json").write_text(json.dumps({"cases": cases}, indent=1) + "\n")
