"""Sends bytes by TCP in one direction and then in the other, and checks that they arrive as they were sent.

transfer.py serve                  listens on port 4300 of all addresses for one transfer; says "listening" first
transfer.py run ADDRESS COUNT      transfers COUNT bytes there and as many back; exit 1 where they differ
"""
import hashlib
import random
import socket
import sys

PORT = 4300


def data(count, seed):
    """Bytes in which no packet looks like another."""
    return random.Random(seed).randbytes(count)


def receive(connection):
    """All that comes until the other end has no more."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


def serve():
    """Answers with the digest of what came, and as many bytes."""
    with socket.create_server(("::", PORT), family=socket.AF_INET6, dualstack_ipv6=True) as listener:
        print("listening", flush=True)
        connection, _ = listener.accept()
        with connection:
            received = receive(connection)
            connection.sendall(hashlib.sha256(received).digest() + data(len(received), "back"))


def run(address, count):
    """Says what is wrong, if anything is."""
    sent = data(int(count), "there")
    with socket.create_connection((address, PORT), timeout=30) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        answer = receive(connection)
    if answer[:32] != hashlib.sha256(sent).digest():
        sys.exit("the bytes did not arrive as they were sent")
    if answer[32:] != data(int(count), "back"):
        sys.exit("the bytes did not come back as they were sent")


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        serve()
    elif len(sys.argv) == 4 and sys.argv[1] == "run":
        run(*sys.argv[2:])
    else:
        sys.exit(__doc__)
