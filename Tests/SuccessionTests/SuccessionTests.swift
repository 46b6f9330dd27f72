// Messages with descriptors between two ends of a connection, and what a peer may do wrong.

import CLinuxNet
import Glibc
import TestSupport
import Testing

@testable import Succession

@Suite("Succession") struct SuccessionTests {
    /// Both ends of a connection.
    private func pair() throws -> (a: SuccessionConnection, b: SuccessionConnection, raw: CInt) {
        var ends: [CInt] = [-1, -1]
        guard socketpair(AF_UNIX, CInt(SOCK_SEQPACKET.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
            throw SuccessionError("no pair of sockets")
        }
        return (SuccessionConnection(ends[0]), SuccessionConnection(ends[1]), ends[0])
    }

    @Test("a message comes with its descriptors, which are those that were sent")
    func descriptors() throws {
        let (a, b, _) = try pair()
        let file = try MemoryFile()
        #expect(write(file.descriptor, "table", 5) == 5)
        try a.send(SuccessionMessage(.changes, "text"), [file.descriptor, file.descriptor], within: 5)
        let received = try #require(try b.receive(within: 5))
        #expect(received.message.kind == .changes && received.message.text == "text")
        #expect(received.descriptors.count == 2)
        let descriptor = received.descriptors.takeNext()
        defer { close(descriptor) }
        #expect(received.descriptors.count == 1 && descriptor != file.descriptor)
        var bytes = [UInt8](repeating: 0, count: 8)
        #expect(pread(descriptor, &bytes, 8, 0) == 5 && bytes.starts(with: "table".utf8))
        #expect(fcntl(descriptor, F_GETFD) & FD_CLOEXEC != 0)
    }

    @Test("descriptors that nobody takes are closed")
    func closed() throws {
        let (a, b, _) = try pair()
        var ends: [CInt] = [-1, -1]
        #expect(pipe(&ends) == 0)
        defer { close(ends[0]) }
        try a.send(SuccessionMessage(.offer), [ends[1]], within: 5)
        close(ends[1])
        do {
            let received = try #require(try b.receive(within: 5))
            #expect(received.descriptors.count == 1)
        }
        // The writing end was open in the message alone.
        var byte: UInt8 = 0
        #expect(read(ends[0], &byte, 1) == 0)
    }

    @Test(
        "what is no message is refused",
        arguments: [
            [1], [1, 0, 1], [2, 0, 1, 0], [1, 0, 0, 0], [1, 0, 99, 0], [UInt8](repeating: 1, count: 40_000),
        ])
    func malformed(bytes: [UInt8]) throws {
        let (a, b, raw) = try pair()
        _ = a
        #expect(send(raw, bytes, bytes.count, 0) == bytes.count)
        #expect(throws: SuccessionError.self) { try b.receive(within: 5) }
    }

    @Test("more descriptors than a message has are refused and closed")
    func tooMany() throws {
        let (a, b, _) = try pair()
        let file = try MemoryFile()
        let many = [CInt](repeating: file.descriptor, count: Int(clinuxnet_rights_limit))
        try a.send(SuccessionMessage(.offer), many, within: 5)
        #expect(try b.receive(within: 5)?.descriptors.count == many.count)
        #expect(throws: SuccessionError.self) {
            try a.send(SuccessionMessage(.offer), many + [file.descriptor], within: 5)
        }
    }

    @Test("who does not answer is not waited for for ever, and the end is told")
    func silence() throws {
        var (a, b, _): (SuccessionConnection?, SuccessionConnection, CInt) = try pair()
        _ = a
        #expect(throws: SuccessionError.self) { try b.receive(within: 1) }
        a = nil
        #expect(try b.receive(within: 5) == nil)
        #expect(throws: SuccessionError.self) { try b.send(SuccessionMessage(.done), within: 1) }
    }

    @Test("the socket is for its owner alone, and takes the place of one that was left")
    func listener() async throws {
        try await TemporaryDirectory.with { directory in
            let path = SuccessionListener.path(beside: "\(directory)/socket")
            #expect(throws: SuccessionError.self) { try SuccessionConnection(path: path) }
            for _ in 0..<2 {
                let listener = try SuccessionListener(path: path)
                var status = stat()
                #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
                let client = try SuccessionConnection(path: path)
                let server = try listener.accept()
                #expect(server.peer?.process == getpid() && client.peer?.user == geteuid())
            }
        }
    }
}
