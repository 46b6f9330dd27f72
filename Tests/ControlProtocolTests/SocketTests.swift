// The socket's file, and who may use it.

import ControlTestServer
import Foundation
import Glibc
import NIOPosix
import TestSupport
import Testing

@testable import ControlProtocol

@Suite("The control socket") struct SocketTests {
    private func status(of path: String) throws -> stat {
        var status = stat()
        try #require(lstat(path, &status) == 0)
        return status
    }

    private func refusal(at path: String) -> String? {
        #expect(throws: ControlSocketError.self) {
            try ControlSocket.listen(at: path, mode: 0o660, group: nil).close()
        }?
        .description
    }

    @Test("Its file has the mode and the group that are asked for, whatever the umask")
    func setsModeAndGroup() async throws {
        // Another group is to be had by root only.
        let group: gid_t = FileOwnership.canGive(toGroup: 4711) ? 4711 : getegid()
        try await TemporaryDirectory.with { directory in
            for mode in [0o660, 0o600, 0o666] as [mode_t] {
                let socket = try ControlSocket.listen(at: directory + "/socket", mode: mode, group: group)
                let file = try status(of: directory + "/socket")
                #expect(file.st_mode == S_IFSOCK | mode)
                #expect(file.st_gid == group)
                socket.removeFile()
                socket.close()
                #expect(access(directory + "/socket", F_OK) != 0)
            }
        }
        #expect(ControlServer.Configuration(path: "").mode == 0o660)
    }

    @Test("A socket that nobody listens at any more is replaced")
    func replacesStale() async throws {
        try await TemporaryDirectory.with { directory in
            let path = directory + "/socket"
            try ControlSocket.listen(at: path, mode: 0o600, group: nil).close()
            let before = try status(of: path)
            let socket = try ControlSocket.listen(at: path, mode: 0o600, group: nil)
            #expect(try status(of: path).st_ctim.tv_nsec != before.st_ctim.tv_nsec)
            _ = try RawConnection(path)
            socket.close()
        }
    }

    @Test("A socket at which another listens is left to it, also when its queue is full")
    func sparesRunning() async throws {
        try await TestServer.run { server in
            #expect(refusal(at: server.path)?.contains("another process answers") == true)
            _ = try RawConnection.greeted(server.path)
        }
        try await TemporaryDirectory.with { directory in
            let socket = try ControlSocket.listen(at: directory + "/socket", mode: 0o600, group: nil)
            // Nobody accepts: 129 connections fill the queue, and the next would have to wait.
            let waiting = try (0..<129).map { _ in try RawConnection(directory + "/socket") }
            #expect(refusal(at: directory + "/socket")?.contains("another process answers") == true)
            withExtendedLifetime(waiting) {}
            socket.close()
        }
    }

    @Test("What is no socket is not touched, nor is what a symbolic link leads to")
    func sparesOtherFiles() async throws {
        try await TemporaryDirectory.with { directory in
            let path = directory + "/path"
            let target = directory + "/target"
            try Data("kept".utf8).write(to: URL(fileURLWithPath: path))
            #expect(refusal(at: path)?.contains("is there and no socket") == true)
            #expect(try String(contentsOfFile: path, encoding: .utf8) == "kept")
            unlink(path)
            // To a stale socket, and to nothing.
            try ControlSocket.listen(at: target, mode: 0o600, group: nil).close()
            for _ in 0..<2 {
                symlink(target, path)
                #expect(refusal(at: path)?.contains("is there and no socket") == true)
                #expect(try status(of: path).st_mode & S_IFMT == S_IFLNK)
                unlink(path)
                unlink(target)
            }
            mkdir(path, 0o700)
            #expect(refusal(at: path)?.contains("is there and no socket") == true)
        }
    }

    @Test("A path that can't be one is refused with the reason")
    func refusesPaths() async throws {
        #expect(refusal(at: "")?.contains("1 to 107 bytes") == true)
        #expect(refusal(at: "/tmp/" + String(repeating: "x", count: 103))?.contains("1 to 107 bytes") == true)
        #expect(refusal(at: "/tmp/a\0b")?.contains("1 to 107 bytes") == true)
        #expect(refusal(at: "/nonexistent/socket")?.contains("directory /nonexistent: No such file") == true)
        #expect(refusal(at: "/dev/null/socket")?.contains("directory /dev/null: Not a directory") == true)
        try await TemporaryDirectory.with { directory in
            let room = 107 - directory.utf8.count - 1
            let longest = directory + "/" + String(repeating: "x", count: room)
            let socket = try ControlSocket.listen(at: longest, mode: 0o600, group: nil)
            _ = try RawConnection(longest)
            socket.removeFile()
            socket.close()
        }
    }

    @Test("The file of another that came in its place is not removed")
    func removesOnlyItsOwn() async throws {
        try await TemporaryDirectory.with { directory in
            let path = directory + "/socket"
            let first = try ControlSocket.listen(at: path, mode: 0o600, group: nil)
            unlink(path)
            let second = try ControlSocket.listen(at: path, mode: 0o600, group: nil)
            first.removeFile()
            _ = try RawConnection(path)
            second.removeFile()
            #expect(access(path, F_OK) != 0)
            first.close()
            second.close()
        }
    }

    @Test("A server whose handler can't be made leaves no file")
    func cleansUp() async throws {
        struct NoHandler: Error {}
        try await TemporaryDirectory.with { directory in
            let path = directory + "/socket"
            await #expect(throws: NoHandler.self) {
                _ = try await ControlServer.start(
                    .init(path: path), on: MultiThreadedEventLoopGroup.singleton.next(), logger: TestServer.quietLogger
                ) { _ in throw NoHandler() }
            }
            #expect(access(path, F_OK) != 0)
        }
    }

    // MARK: Who may

    private func peer(user: UInt32, group: UInt32, supplementary: [UInt32] = []) -> ControlPeer {
        ControlPeer(processID: 1, user: user, group: group, supplementaryGroups: supplementary)
    }

    @Test("Owners, users that are named and members of groups that are named may; nobody else")
    func decides() {
        let access = ControlAccess(users: [1000], groups: [50, 51], owners: [0, 7])
        #expect(access.allows(peer(user: 0, group: 0)))
        #expect(access.allows(peer(user: 7, group: 9)))
        #expect(access.allows(peer(user: 1000, group: 9)))
        #expect(access.allows(peer(user: 9, group: 50)))
        #expect(access.allows(peer(user: 9, group: 9, supplementary: [8, 51])))
        #expect(!access.allows(peer(user: 9, group: 9)))
        // Numbers of groups are no numbers of users.
        #expect(!access.allows(peer(user: 50, group: 1000, supplementary: [7, 0])))
        #expect(ControlAccess().allows(peer(user: 0, group: 0)))
        #expect(ControlAccess().allows(peer(user: geteuid(), group: 4711)))
    }

    @Test("Names of the system's users and groups are found, and numbers are taken as they are")
    func resolvesNames() {
        #expect(ControlAccess.user("root") == 0)
        #expect(ControlAccess.group("root") == 0)
        #expect(ControlAccess.user("4711") == 4711)
        #expect(ControlAccess.group("4711") == 4711)
        #expect(ControlAccess.user("no-such-user") == nil)
        #expect(ControlAccess.group("no-such-group") == nil)
    }

    @Test("The kernel says who is at the other end, this process here")
    func asksKernel() throws {
        var pair: [CInt] = [0, 0]
        try #require(socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0, &pair) == 0)
        defer { for descriptor in pair { close(descriptor) } }
        let peer = try ControlPeer(ofSocket: pair[0])
        #expect(peer.processID == getpid())
        #expect(peer.user == geteuid())
        #expect(peer.group == getegid())
        var groups = [gid_t](repeating: 0, count: Int(getgroups(0, nil)))
        #expect(getgroups(CInt(groups.count), &groups) == CInt(groups.count))
        #expect(Set(peer.supplementaryGroups) == Set(groups))
    }

    @Test("Who may not is told so, whatever it sends; members of the group that is named may")
    func turnsAway() async throws {
        let nobody = ControlAccess(users: [], groups: [], owners: [])
        try await TestServer.run({ $0.access = nobody }) { server in
            for bytes in [[], try frame(request(1) { $0.hello.version = 1 }), [UInt8](repeating: 0xFF, count: 1 << 20)]
            {
                let connection = try RawConnection(server.path)
                try connection.send(bytes)
                let reply: ControlReply = try connection.receive()
                #expect(reply.id == 0)
                #expect(reply.error.code == .notAllowed)
                #expect(reply.error.message.contains("of user \(geteuid()) may not use this socket"))
                #expect(try connection.isAtEnd())
            }
            #expect(try await server.onLoop { $0.requests } == 0)
        }
        let change: (inout ControlServer.Configuration) -> Void = {
            $0.access = nobody
            $0.group = getegid()
        }
        try await TestServer.run(change) { server in _ = try RawConnection.greeted(server.path) }
    }
}
