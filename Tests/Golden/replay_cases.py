"""What a replay does with two inputs, with times, and with packets that are too large for it."""

from scapy.layers.inet import UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw

from golden import Case, START, vectors


def make():
    return [equal_times(), interleaved(), backwards(), no_packets(), sizes()]


def inner(text):
    return IPv6(src=vectors.NODE["plain"], dst=vectors.CORRESPONDENT) / UDP() / Raw(text)


def equal_times():
    """A burst to the limit of errors tells in which order the packets were taken."""
    case = Case("times-equal", "Of packets of one time, those of the home side come first, each side in its order.", "T4")
    case.step = 0
    for round_number in range(5):
        case.time = START + round_number * 1000
        for number in range(40):
            packet = vectors.to_node(upper=UDP(sport=round_number, dport=number) / Raw(b"there"))
            case.encapsulated(packet, vectors.outer("plain", packet))
        for number in range(40):
            packet = inner(bytes([round_number, number]))
            case.decapsulated(vectors.from_node("plain", packet), packet)
    return case


def interleaved():
    case = Case("times-interleaved", "Two inputs are merged by their times: what is first is forwarded first.", "T4")
    for number in range(20):
        case.time = START + number * 1_000_000
        if number % 3 == 0:
            packet = inner(bytes([number]))
            case.decapsulated(vectors.from_node("plain", packet), packet)
        else:
            packet = vectors.to_node(upper=UDP(dport=number) / Raw(b"merged"))
            case.encapsulated(packet, vectors.outer("plain", packet))
    return case


def backwards():
    case = Case("times-backwards", "Where the times of a file run backwards, its order counts and its times are kept.")
    case.step = 0
    for time in (5, 3, 4, 1, 9, 2):
        case.time = START + time * 1_000_000
        packet = vectors.to_node(upper=UDP(dport=time) / Raw(b"back"))
        case.encapsulated(packet, vectors.outer("plain", packet))
    return case


def no_packets():
    case = Case("no-packets", "Inputs without packets give outputs without packets.")
    case.files["home-in.pcap"] = bytes.fromhex("d4c3b2a1020004000000000000000000ffff000065000000")
    case.files["access-in.pcap"] = case.files["home-in.pcap"]
    return case


def sizes():
    """65575 bytes are the most that an IPv6 header can tell of itself and its payload."""
    case = Case("sizes", "The largest packets that headers can tell are taken in; larger frames count as receive-failed.", "T4")
    from scapy.layers.inet6 import ICMPv6PacketTooBig
    for length in (1280, 65_535, 65_575):
        packet = vectors.of_size(length)
        if length == 1280:
            case.encapsulated(packet, vectors.outer("plain", packet))
        else:
            error = IPv6(src=vectors.ERROR_SOURCE, dst=packet.src, hlim=64) / ICMPv6PacketTooBig(mtu=1280) / Raw(bytes(packet)[:1232])
            case.answered(packet, "packet-too-big", error)
    largest = IPv6(src=vectors.NODE["plain"], dst=vectors.CORRESPONDENT) / UDP() / Raw(bytes(65_535 - 20 - 48))
    case.decapsulated(vectors.from_node("plain", largest), largest)
    for side in ("home", "access"):
        case.dropped(side, bytes(vectors.to_node()) + bytes(65_600), "receive-failed")
        case.dropped(side, b"\x60" + bytes(262_143), "receive-failed")
    return case
