"""Sends numbered UDP packets at a steady pace, or tells what came of them.

numbered.py send ADDRESS PORT INTERVAL-MICROSECONDS    until SIGTERM; then prints how many were sent
numbered.py receive PORT                               until SIGTERM; then prints what came, as JSON

`gap` is the longest time between two packets, in milliseconds, by the kernel's clock at their reception.
"""
import json
import signal
import socket
import struct
import sys
import time

# More than any test sends: who is forgotten ends by himself.
LIMIT = 2_000_000
running = True


def stop(*_):
    global running
    running = False


def send(address, port, interval):
    """In bursts of as many as are due, since nobody sleeps for microseconds only."""
    interval = int(interval) * 1000
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sent = 0
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        sender.connect((address, int(port)))
        start = time.monotonic_ns()
        while running and sent < LIMIT:
            due = (time.monotonic_ns() - start) // interval + 1
            while sent < due:
                try:
                    sender.send(struct.pack("!Q", sent))
                except ConnectionRefusedError:
                    continue
                sent += 1
            time.sleep(max(start + sent * interval - time.monotonic_ns(), 0) / 1e9)
    print(sent)


def receive(port):
    """Whatever family."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as receiver:
        try:
            receiver.setsockopt(socket.SOL_SOCKET, getattr(socket, "SO_RCVBUFFORCE", 33), 1 << 26)
        except PermissionError:
            # Whoever is root of a user namespace alone has as much as the host lets anybody have.
            receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 26)
        receiver.setsockopt(socket.SOL_SOCKET, 35, 1)  # SO_TIMESTAMPNS
        receiver.bind(("::", int(port)))
        receiver.settimeout(0.1)
        print("listening", file=sys.stderr, flush=True)
        count, late, twice, gap, last, highest = 0, 0, 0, 0, None, -1
        seen = bytearray(LIMIT)
        quiet = 0
        while running or quiet < 5:
            try:
                data, ancillary, _, _ = receiver.recvmsg(16, 64)
            except TimeoutError:
                quiet += 1
                continue
            quiet = 0
            (number,) = struct.unpack("!Q", data)
            seconds, nanoseconds = struct.unpack("qq", ancillary[0][2][:16])
            now = seconds * 1_000_000_000 + nanoseconds
            if last is not None:
                gap = max(gap, now - last)
            last = now
            count += 1
            twice += seen[number]
            seen[number] = 1
            if number < highest:
                late += 1
            highest = max(highest, number)
    print(json.dumps({
        "received": count, "last": highest, "missing": highest + 1 - sum(seen), "late": late, "twice": twice,
        "gap": gap / 1e6,
    }))


signal.signal(signal.SIGTERM, stop)
{"send": send, "receive": receive}[sys.argv[1]](*sys.argv[2:])
