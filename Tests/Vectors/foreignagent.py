#!/usr/bin/python3
"""Makes foreignagent.json: requests to a foreign agent and what it relays of them, replies likewise, and its denials.

Fixed parts are scapy's, authenticators Python's hmac's; extensions are written as in mobileip.py. The foreign agent is
that of Tests/MobileIPTests/TestForeignAgent.swift. Nothing is taken from Mooring's own code.

    apt-get install python3-scapy && Tests/Vectors/foreignagent.py
"""

import json

from homeagent import FOREIGN_KEY, NODE_KEY, signed
from mobileip import (
    AGENT, HERE, HOME, IDENTIFICATION, challenge, mobile_node_nai, prefix_reply, prefix_request, reply, request,
    revocation_support, tlv)

CARE_OF = "203.0.113.200"
VISIT_KEY, VISIT_SPI = bytes(range(0x70, 0x80)), 400
NAI = mobile_node_nai(b"mn1@example.net")
UNKNOWN = (tlv(200, b"to be skipped"), {})
UNKNOWN_SUBTYPE = (tlv(152, bytes([77, 0])), {})
PADDING = (bytes(1), {})
ASSOCIATED_HOME = "198.51.100.8"


def joined(extensions):
    return b"".join(data for data, _ in extensions)


def home(fixed, extensions=()):
    """Up to the mobile-home authentication."""
    return signed(fixed[0] + joined(extensions), 32, 256, NODE_KEY)


def ask(*extensions, **fields):
    fields.setdefault("care_of", CARE_OF)
    return home(request(identification=IDENTIFICATION, flags=fields.pop("flags", 0), **fields), extensions)


def answer(*extensions, **fields):
    return home(reply(identification=IDENTIFICATION, **fields), extensions)


def foreign(content):
    return signed(content, 34, 300, FOREIGN_KEY)


def visit(content):
    return signed(content, 33, VISIT_SPI, VISIT_KEY)


def main():
    exchanges, denials = [], []

    def exchange(name, asked, relayed, answered, back, shares=True):
        """A request of the node, what the home agent gets, what that answers, what the node gets."""
        exchanges.append({
            "name": name, "shares": shares, "request": asked.hex(), "relayed": relayed.hex(),
            "reply": answered.hex(), "answer": back.hex()})

    def denial(name, asked, code, lifetime, **fields):
        signer = visit if fields.get("home") == ASSOCIATED_HOME else bytes
        extensions = [NAI] if fields.pop("named", False) else []
        content = reply(identification=IDENTIFICATION, code=code, lifetime=lifetime, **fields)[0] + joined(extensions)
        denials.append({"name": name, "request": asked.hex(), "answer": signer(content).hex()})

    prefixes = (prefix_request(64, "2001:db8:1:1::"), UNKNOWN, PADDING, UNKNOWN_SUBTYPE)
    plain = ask()
    exchange("signed for the home agent", plain, foreign(plain), foreign(answer()), answer())
    exchange("nothing is shared", plain, plain, answer(), answer(), shares=False)
    whole = ask(*prefixes)
    exchange("what is not known stays", whole, foreign(whole),
             foreign(answer(prefix_reply(0, 64, "2001:db8:1:1::"), UNKNOWN)),
             answer(prefix_reply(0, 64, "2001:db8:1:1::"), UNKNOWN))
    exchange("what stands behind goes", plain + joined([challenge(b"abcd"), UNKNOWN]), foreign(plain),
             foreign(answer() + joined([revocation_support(True, 9), UNKNOWN])), answer())
    end = ask(lifetime=0)
    exchange("the end is not signed", end, end, answer(lifetime=0), answer(lifetime=0))
    exchange("the end is signed by the home agent", end, end, foreign(answer(lifetime=0)), answer(lifetime=0))
    named = ask(NAI, home="0.0.0.0")
    exchange("a name without an address", named, foreign(named), foreign(answer(NAI)), answer(NAI))
    visiting = ask(home=ASSOCIATED_HOME)
    exchange("signed by the node, and for it", visit(visiting), foreign(visiting),
             foreign(answer(home=ASSOCIATED_HOME)), visit(answer(home=ASSOCIATED_HOME)))
    rejected = answer(code=131)
    exchange("rejected by the home agent", plain, foreign(plain), foreign(rejected), rejected)

    denial("too long", ask(lifetime=1801), 69, 1800)
    denial("for ever", ask(lifetime=0xFFFF), 69, 1800)
    denial("another care-of address", ask(care_of="203.0.113.77"), 77, 600)
    denial("the agent's own address", ask(agent=CARE_OF), 194, 600, agent=CARE_OF)
    denial("no address, no name", ask(home="0.0.0.0"), 96, 600, home="0.0.0.0")
    denial("no home agent, with a name", ask(NAI, agent="0.0.0.0"), 90, 600, agent="0.0.0.0", named=True)
    denial("a node that does not sign", ask(home=ASSOCIATED_HOME), 67, 600, home=ASSOCIATED_HOME)
    (HERE / "foreignagent.json").write_text(
        json.dumps({"exchanges": exchanges, "denials": denials}, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
