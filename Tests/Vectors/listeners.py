#!/usr/bin/python3
"""Makes listeners.json: packets of Multicast Listener Discovery, what nodes say in them, and queries.

All packets are scapy's, checksums too. Nothing is taken from Mooring's own code, and the output is the same on every run.

    apt-get install python3-scapy && Tests/Vectors/listeners.py
"""

import json
import logging
import pathlib

logging.getLogger("scapy.runtime").setLevel(logging.ERROR)

from scapy.layers.inet6 import (
    ICMPv6EchoRequest, ICMPv6MLDMultAddrRec, ICMPv6MLDone, ICMPv6MLQuery2, ICMPv6MLReport, ICMPv6MLReport2, IPv6,
    IPv6ExtHdrHopByHop, Pad1, PadN, RouterAlert)

HERE = pathlib.Path(__file__).resolve().parent
NODE, ROUTER = "fe80::c633:6407", "fe80::c000:201"
GROUP, OTHER = "ff3e::1234", "ff15::db8:5678"
SOURCE, SECOND = "2001:db8:5::1", "2001:db8:5::2"
REPORTS = "ff02::16"


def packet(destination, message, source=NODE, hops=1, options=(RouterAlert(value=0),)):
    options = list(options)
    extension = IPv6ExtHdrHopByHop(options=options) if options else None
    header = IPv6(src=source, dst=destination, hlim=hops)
    return bytes(header / extension / message if extension else header / message)


def record(kind, group, sources=(), auxiliary=b""):
    return ICMPv6MLDMultAddrRec(rtype=kind, dst=group, sources=list(sources), auxdata=auxiliary,
                                auxdata_len=len(auxiliary) // 4)


def report(*records, **rest):
    return packet(REPORTS, ICMPv6MLReport2(records=list(records)), **rest)


def said(*records):
    return [{"group": group, "statement": statement} for group, statement in records]


def messages():
    kinds = [
        ("mode is include, with sources", 1, [SOURCE], "listens"), ("mode is include, without", 1, [], None),
        ("mode is exclude, without sources", 2, [], "listens"), ("mode is exclude, with", 2, [SOURCE], "listens"),
        ("change to include, without sources", 3, [], "leaves"),
        ("change to include, with", 3, [SOURCE, SECOND], "listens"),
        ("change to exclude, without sources", 4, [], "listens"), ("change to exclude, with", 4, [SOURCE], "listens"),
        ("allow new sources", 5, [SOURCE], "listens"), ("allow none", 5, [], None),
        ("block old sources", 6, [SOURCE], "blocks"), ("block none", 6, [], None),
        ("a type of which nothing is known", 7, [SOURCE], None),
    ]
    for name, kind, sources, statement in kinds:
        yield name, report(record(kind, GROUP, sources)), 2, said((GROUP, statement)) if statement else []
    yield "version 1, report", packet(GROUP, ICMPv6MLReport(mladdr=GROUP)), 1, said((GROUP, "listens"))
    yield "version 1, done", packet("ff02::2", ICMPv6MLDone(mladdr=GROUP)), 1, said((GROUP, "leaves"))
    yield "several records, auxiliary data and sources between them", report(
        record(4, GROUP, [SOURCE, SECOND], b"auxiliary data.."), record(3, OTHER), record(9, GROUP, [], b"????"),
        record(6, GROUP, [SOURCE])), 2, said((GROUP, "listens"), (OTHER, "leaves"), (GROUP, "blocks"))
    for group in ["ff15::1", "ff02::16", "ff01::1"]:
        yield f"change to exclude, of {group}", report(record(4, group)), 2, said((group, "listens"))
    yield "no record", report(), 2, []
    yield "padding before the router alert", report(
        record(4, GROUP), options=(Pad1(), PadN(optdata=b"\0\0"), RouterAlert(value=0))), 2, said((GROUP, "listens"))
    yield "bytes behind the last record", packet(
        REPORTS, ICMPv6MLReport2(records_number=1, records=[record(4, GROUP), record(4, OTHER)])), 2, said(
        (GROUP, "listens"))


def changed(data, offset, value):
    return data[:offset] + bytes([value]) + data[offset + 1:]


def refused():
    good = report(record(4, GROUP))
    yield "hop limit 2", report(record(4, GROUP), hops=2), "listenerMalformed"
    yield "no router alert", report(record(4, GROUP), options=(PadN(optdata=b"\0\0\0\0"),)), "listenerMalformed"
    yield "no hop-by-hop options", report(record(4, GROUP), options=()), "listenerMalformed"
    yield "a wrong checksum", changed(good, 50, good[50] ^ 1), "listenerMalformed"
    yield "from the unspecified address", report(record(4, GROUP), source="::"), "listenerSourceInvalid"
    yield "from a global address", report(record(4, GROUP), source="2001:db8:1::1"), "listenerSourceInvalid"
    yield "a group that is none", report(record(4, "2001:db8::1")), "listenerMalformed"
    yield "of version 1, a group that is none", packet(GROUP, ICMPv6MLReport(mladdr="fe80::1")), "listenerMalformed"
    yield "of version 1, cut", packet(GROUP, bytes(ICMPv6MLReport(mladdr=GROUP, cksum=0))[:8]), "listenerMalformed"
    yield "a second record that is not there", packet(
        REPORTS, ICMPv6MLReport2(records_number=2, records=[record(4, GROUP)])), "listenerMalformed"
    yield "sources that are not there", packet(REPORTS, ICMPv6MLReport2(records=[
        ICMPv6MLDMultAddrRec(rtype=4, dst=GROUP, sources_number=2, sources=[SOURCE])])), "listenerMalformed"
    yield "auxiliary data that is not there", packet(REPORTS, ICMPv6MLReport2(records=[
        ICMPv6MLDMultAddrRec(rtype=4, dst=GROUP, auxdata_len=255)])), "listenerMalformed"
    yield "another message", packet(GROUP, ICMPv6EchoRequest()), "listenerMalformed"
    yield "a query", packet("ff02::1", ICMPv6MLQuery2(mladdr="::")), "listenerQueryIgnored"


def interval(code):
    """RFC 3810, 5.1.9."""
    return code if code < 128 else (code & 15 | 16) << ((code >> 4 & 7) + 3)


def queries():
    for group, delay, suppresses, robustness, seconds in [
            (None, 10000, False, 2, 125), (GROUP, 1000, False, 2, 125), (GROUP, 1000, True, 7, 127),
            (None, 32000, False, 3, 128), (None, 10000, False, 2, 129), (None, 10000, False, 2, 1000),
            (None, 10000, False, 2, 3600), (None, 10000, False, 2, 31744)]:
        code = max(code for code in range(256) if interval(code) <= seconds)
        data = packet(group or "ff02::1", ICMPv6MLQuery2(
            mladdr=group or "::", mrd=delay, S=int(suppresses), QRV=robustness, QQIC=code), source=ROUTER)
        yield {"group": group, "source": ROUTER, "maximumResponse": delay, "suppressesProcessing": suppresses,
               "robustness": robustness, "queryInterval": seconds, "bytes": data.hex()}


if __name__ == "__main__":
    vectors = {
        "messages": [{"name": name, "bytes": data.hex(), "version": version, "records": records}
                     for name, data, version, records in messages()],
        "refused": [{"name": name, "bytes": data.hex(), "outcome": outcome} for name, data, outcome in refused()],
        "queries": list(queries())}
    (HERE / "listeners.json").write_text(json.dumps(vectors, indent=1) + "\n")
