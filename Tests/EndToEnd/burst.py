"""Sends or takes numbered datagrams of one length, many a call, so that a forwarder finds them together.

burst.py send ADDRESS PORT COUNT SIZE     all of them, then ends
burst.py receive PORT COUNT SIZE          until as many came or 30 seconds have passed; prints what came, as JSON

`late` are those that came behind one of a higher number, `damaged` those whose bytes or length are not what was sent.
"""
import ctypes
import json
import random
import socket
import struct
import sys
import time

# Of a call (linux: UIO_MAXIOV is more), and how long to wait between two, so that no queue overflows.
CALL, PAUSE = 64, 0.0005


class Vector(ctypes.Structure):
    """struct iovec."""

    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


class Message(ctypes.Structure):
    """struct mmsghdr (sendmmsg(2)) of a connected socket."""

    _fields_ = [
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("vectors", ctypes.POINTER(Vector)),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
        # To the end of struct msghdr.
        ("padding", ctypes.c_int),
        ("sent", ctypes.c_uint),
    ]


def datagram(number, size):
    return struct.pack("!I", number) + random.Random(number).randbytes(size - 4)


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def send(address, port, count, size):
    library = ctypes.CDLL(None, use_errno=True)
    with socket.socket(family(address), socket.SOCK_DGRAM) as sender:
        sender.connect((address, port))
        for first in range(0, count, CALL):
            packets = [ctypes.create_string_buffer(datagram(n, size), size) for n in range(first, min(first + CALL, count))]
            vectors = [Vector(ctypes.cast(packet, ctypes.c_void_p), size) for packet in packets]
            messages = (Message * len(packets))(*[Message(vectors=ctypes.pointer(v), vector_count=1) for v in vectors])
            done = 0
            while done < len(packets):
                rest = ctypes.byref(messages, done * ctypes.sizeof(Message))
                result = library.sendmmsg(sender.fileno(), rest, len(packets) - done, 0)
                if result < 0:
                    raise OSError(ctypes.get_errno(), "sendmmsg")
                done += result
            time.sleep(PAUSE)


def receive(port, count, size):
    """Whatever family."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as receiver:
        try:
            receiver.setsockopt(socket.SOL_SOCKET, getattr(socket, "SO_RCVBUFFORCE", 33), 1 << 26)
        except PermissionError:
            # Whoever is root of a user namespace alone has as much as the host lets anybody have.
            receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 26)
        receiver.bind(("::", port))
        print("listening", file=sys.stderr, flush=True)
        end = time.monotonic() + 30
        received, late, damaged, highest = 0, 0, 0, -1
        while received < count and (left := end - time.monotonic()) > 0:
            receiver.settimeout(left)
            try:
                data = receiver.recv(65535)
            except TimeoutError:
                break
            received += 1
            number = struct.unpack("!I", data[:4])[0] if len(data) >= 4 else -1
            damaged += number < 0 or data != datagram(number, size)
            late += number < highest
            highest = max(highest, number)
    print(json.dumps({"received": received, "late": late, "damaged": damaged}))


name, *arguments = sys.argv[1:]
if name == "send":
    send(arguments[0], *map(int, arguments[1:]))
else:
    receive(*map(int, arguments))
