"""The control protocol's socket for scripts of others' making: frames and protobuf, by docs/control-protocol.md alone."""
import socket
import sys


class ControlSocket:
    """A connection that has said hello and watches for punted packets. `messages` is the module that protoc made."""

    def __init__(self, path, schema):
        sys.path.insert(0, schema)
        import control_pb2
        self.messages = control_pb2
        self.stream = socket.socket(socket.AF_UNIX)
        self.stream.connect(path)
        self.send(hello={"version": 1})
        self.receive()
        self.send(watch={"punts": True})
        self.receive()
        print("watching", flush=True)

    def send(self, **body):
        message = self.messages.Request(id=1, **body).SerializeToString()
        self.stream.sendall(len(message).to_bytes(4, "big") + message)

    def receive(self):
        length = int.from_bytes(self.stream.recv(4, socket.MSG_WAITALL), "big")
        return self.messages.Reply.FromString(self.stream.recv(length, socket.MSG_WAITALL))
