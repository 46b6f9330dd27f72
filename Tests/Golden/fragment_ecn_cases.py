"""What becomes of the ECN fields of fragments: RFC 3168, 5.3; RFC 6040, 4.2."""

from scapy.layers.inet import IP

from golden import Case, tunnels
from kind_cases import bindings
from reassembly_cases import Sender, anew, large, large6


def make():
    return [congestion(), congestion_from_home()]


def joined_field(fields):
    """RFC 3168, 5.3. The first fragment's where there is no congestion, and none where some are not capable."""
    if 3 in fields:
        return None if 0 in fields else 3
    return 0 if 0 in fields else fields[0]


# RFC 6040, figure 4, for an inner field of ECT(0).
OUT_OF_TUNNEL = {0: 2, 1: 1, 2: 2, 3: 3}


def congestion():
    case = Case("fragments-in-ecn", "Congestion of any fragment is the datagram's; where some fragments are not ECN-capable "
                "it is dropped, and without congestion it counts as not capable.", "T7, T8", bindings(["direct"]))
    sender = Sender(case)
    for first in range(4):
        for second in range(4):
            for third in range(4):
                inner = large("direct", 1500, tos=0x28 | 2)
                fragments = sender.fragments("direct", inner, 600, tos=0x28)
                marked = [anew(f, tos=0x28 | field) for f, field in zip(fragments, (first, second, third), strict=True)]
                field = joined_field((first, second, third))
                if field is None:
                    for fragment in marked[:2]:
                        case.absorbs("access", bytes(fragment))
                    case.dropped("access", bytes(marked[2]), "ecn-not-capable")
                    case.dropped("access", bytes(marked[0]), "fragment-spoiled")
                else:
                    case.joins(marked, large("direct", 1500, tos=0x28 | OUT_OF_TUNNEL[field]))
    return case


def congestion_from_home():
    case = Case("fragments-in-ecn-from-home", "The same of fragments from the home address, which have a tunnel header each: "
                "congestion that any of these saw counts too.", "T7, T8", bindings(["direct"]))
    sender = Sender(case)

    def send(fields, outers, expected):
        inner = large6("direct", True, 1500, tc=2)
        middle = anew(IP(bytes(tunnels.from_home("direct", inner, tos=2))), id=sender.next_identification()).fragment(600)
        pieces = [sender.outer("direct", anew(f, tos=field), tos=tos)
                  for f, field, tos in zip(middle, fields, outers, strict=True)]
        if expected is None:
            for piece in pieces[:-1]:
                case.absorbs("access", bytes(piece))
            case.dropped("access", bytes(pieces[-1]), "ecn-not-capable")
        else:
            case.joins(pieces, large6("direct", True, 1500, tc=expected))

    for place in range(3):
        fields = [3 if index == place else 2 for index in range(3)]
        send(fields, [2, 2, 2], 3)
        send([2, 2, 2], fields, 3)
    send([2, 2, 2], [2, 2, 2], 2)
    send([2, 2, 2], [0, 0, 0], 2)
    send([3, 0, 2], [0, 0, 0], None)
    return case
