"""Stands between a daemon and a successor, hands on so many of their messages, and ends the connection then.

between.py LISTEN DAEMON COUNT [stall | wait]

With stall it hands on nothing more, and waits until the daemon ends the connection; with wait, until the successor does.
"""
import array
import os
import select
import socket
import sys

listen, daemon, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
listener.bind(listen)
listener.listen(1)
print("listening", file=sys.stderr, flush=True)
successor, _ = listener.accept()
ahead = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
ahead.connect(daemon)
handed_on = 0
while handed_on < count:
    ready, _, _ = select.select([successor, ahead], [], [], 60)
    if not ready:
        sys.exit("nobody says anything")
    for source in ready:
        if handed_on == count:
            break
        data, descriptors, _, _ = socket.recv_fds(source, 65536, 64)
        if not data:
            sys.exit("the other end is gone")
        target = ahead if source is successor else successor
        target.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
                       if descriptors else [])
        for descriptor in descriptors:
            os.close(descriptor)
        handed_on += 1
if len(sys.argv) > 4:
    print("stalls", file=sys.stderr, flush=True)
    # What it still says, then the end.
    last = ahead if sys.argv[4] == "stall" else successor
    last.settimeout(60)
    while last.recv(65536):
        pass
