"""What a golden case is made of, and how it is written.

A case is a list of packets that go in, each with what is to become of it. Identifications of packets that are made count
from 1 for each destination in the order of the packets, as in a replay; every other byte that is expected is scapy's. Counters are sums of what
was said of each packet, so the equation of the counters is checked here too.
"""

import importlib.util
import json
import pathlib
import shutil
import struct
import sys

from scapy.layers.inet import IP
from scapy.utils import RawPcapWriter

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent

# The vectors of the unit tests are encoded by scapy too; their packets are these cases' packets.
def _module(name, file):
    spec = importlib.util.spec_from_file_location(name, HERE.parent / "Vectors" / file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


vectors = _module("vectors", "make.py")
tunnels = _module("tunnels", "tunnels.py")

RAW = 101
START = 1_700_000_000_000_000_000  # nanoseconds since 1970
MILLISECOND = 1_000_000
IDENTIFICATION = 4  # where it stands in an IPv4 header


def bindings_file(names=None, **more):
    """The bindings of the vectors, all or some of them, as the file that a replay reads."""
    entries = []
    for binding in vectors.BINDINGS:
        if names is None or binding["id"] in names:
            entry = {key: value for key, value in binding.items() if key != "prefix"}
            entries.append({**entry, "encapsulation": "ip-in-ip",
                            "prefixes": [{"prefix": binding["prefix"], "tunnel": "care-of"}]})
    return {"endpoint": vectors.ENDPOINT, "bindings": entries, **more}


def write_pcap(path, frames, link_type=RAW, order="<", nanoseconds=False):
    """`frames`: (time in nanoseconds, bytes captured, bytes on the wire)."""
    writer = RawPcapWriter(str(path), linktype=link_type, endianness=order, nano=nanoseconds, sync=True)
    writer.write_header(None)
    for time, frame, length in frames:
        second, rest = divmod(time, 1_000_000_000)
        fraction = rest if nanoseconds else rest // 1000
        writer.write_packet(frame, sec=second, usec=fraction, caplen=len(frame), wirelen=length)
    writer.close()


def pcapng_block(kind, body, order="<"):
    body += bytes(-len(body) % 4)
    length = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + length + body + length


def pcapng_section(order="<"):
    return pcapng_block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def pcapng_interface(link_type, snapshot_length=0, options=b"", order="<"):
    return pcapng_block(1, struct.pack(order + "HHI", link_type, 0, snapshot_length) + options, order)


def pcapng_option(code, value, order="<"):
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def pcapng_packet(interface, units, frame, length=None, options=b"", order="<"):
    header = struct.pack(order + "IIIII", interface, units >> 32, units & 0xFFFFFFFF, len(frame),
                         len(frame) if length is None else length)
    return pcapng_block(6, header + frame + bytes(-len(frame) % 4) + options, order)


def pcapng_simple_packet(frame, order="<"):
    return pcapng_block(3, struct.pack(order + "I", len(frame)) + frame, order)


class Case:
    """One folder. `framing` turns an IP packet of the inputs into a frame of `link_type`."""

    def __init__(self, name, shows, rows="", bindings=None, link_type=RAW, framing=None, **pcap):
        self.name, self.shows, self.rows = name, shows, rows
        self.bindings = bindings_file() if bindings is None else bindings
        self.link_type, self.framing, self.pcap = link_type, framing or (lambda packet: packet), pcap
        self.inputs = {"home": [], "access": []}
        self.outputs = {"home": [], "access": []}
        self.files = {}  # inputs that are given as they are
        self.received = {"home": 0, "access": 0}
        self.generated = {"home": 0, "access": 0}
        self.punted = 0
        self.absorbed = 0
        self.drops = {}
        self.time = START
        self.step = MILLISECOND
        self.identifications = {}

    # What goes in, and what is to become of it.

    def encapsulated(self, packet, expected):
        """From the home side; `expected` with any identification."""
        self._receive("home", packet)
        outer = IP(bytes(expected))
        outer.id = self.next_identification(outer.dst)
        del outer.chksum
        self._transmit("access", bytes(outer))

    def decapsulated(self, packet, expected):
        self._receive("access", packet)
        self._transmit("home", bytes(expected))

    def dropped(self, side, packet, reason, captured=None):
        self._receive(side, packet, captured)
        self.count_drops(reason)

    def dropped_as(self, entry):
        """An entry of the drops among the vectors, with the packets that come before it."""
        for earlier in entry["before"]:
            packet = bytes.fromhex(earlier["in"])
            if earlier["reason"] is None:
                self.absorbs(entry["side"], packet)
            else:
                self.dropped(entry["side"], packet, earlier["reason"])
        self.dropped(entry["side"], bytes.fromhex(entry["in"]), entry["reason"])

    def joins(self, fragments, expected):
        """Fragments from the access side, of which the last becomes the packet that is expected."""
        for fragment in fragments[:-1]:
            self.absorbs("access", bytes(fragment))
        self.decapsulated(bytes(fragments[-1]), bytes(expected))

    def next_identification(self, destination):
        self.identifications[destination] = self.identifications.get(destination, 0) + 1
        return self.identifications[destination] & 0xFFFF

    def absorbs(self, side, packet):
        self._receive(side, packet)
        self.absorbed += 1

    def punts(self, packet):
        """From the access side, to the control plane."""
        self._receive("access", packet)
        self.punted += 1

    def becomes(self, side, packet, expected, to=None):
        """Several packets, of which the last is the one that came, and the others were made from it."""
        to = to or {"home": "access", "access": "home"}[side]
        self._receive(side, packet)
        self.generated[to] += len(expected) - 1
        for out in expected:
            self._transmit(to, bytes(out))

    def answered(self, packet, reason, error):
        """From the home side; dropped, with an ICMPv6 error to its source."""
        self._receive("home", packet)
        self.count_drops(reason)
        self.generated["home"] += 1
        self._transmit("home", bytes(error))

    def echoed(self, request, expected):
        self._receive("access", request)
        self.absorbed += 1
        self.generated["access"] += 1
        reply = IP(bytes(expected))
        reply.id = self.next_identification(reply.dst)
        del reply.chksum
        self._transmit("access", bytes(reply))

    # For inputs that are given as they are.

    def count_received(self, side, count):
        self.received[side] += count

    def count_drops(self, reason, count=1):
        self.drops[reason] = self.drops.get(reason, 0) + count

    def transmits(self, side, packet, time):
        self.outputs[side].append((time, bytes(packet), len(bytes(packet))))

    def _receive(self, side, packet, captured=None):
        self.time += self.step
        frame = self.framing(bytes(packet))
        self.inputs[side].append((self.time, frame[:captured], len(frame)))
        self.received[side] += 1

    def _transmit(self, side, packet):
        self.outputs[side].append((self.time, packet, len(packet)))

    # Writing.

    def write(self):
        directory = HERE / self.name
        if directory.exists():
            shutil.rmtree(directory)
        directory.mkdir()
        (directory / "bindings.json").write_text(json.dumps(self.bindings, indent=1) + "\n")
        for side, frames in self.inputs.items():
            if frames:
                write_pcap(directory / f"{side}-in.pcap", frames, self.link_type, **self.pcap)
        for name, content in self.files.items():
            (directory / name).write_bytes(content)
        for side, frames in self.outputs.items():
            fine = any(time % 1000 for time, _, _ in frames)
            write_pcap(directory / f"{side}-out.pcap", frames, nanoseconds=fine)
        (directory / "counters.json").write_text(self._counters())
        requirements = f"Requirements: {self.rows}." if self.rows else "Of the program's own behaviour; no requirement."
        (directory / "README").write_text(f"{self.shows}\n{requirements}\n")

    def _counters(self):
        transmitted = {side: len(frames) for side, frames in self.outputs.items()}
        total_in = sum(self.received.values()) + sum(self.generated.values())
        total_out = sum(transmitted.values()) + self.punted + self.absorbed + sum(self.drops.values())
        if total_in != total_out:
            raise SystemExit(f"{self.name}: {total_in} packets came, {total_out} are accounted for")
        return json.dumps({
            "received": self.received, "generated": self.generated, "transmitted": transmitted,
            "punted": self.punted, "absorbed": self.absorbed, "dropped": dict(sorted(self.drops.items())),
        }, indent=1) + "\n"
