// Who is at the other end of a Unix socket, as the kernel says (unix(7)): SO_PEERCRED gives the process, user and group
// at the time of connect(2), SO_PEERGROUPS the supplementary groups. Nothing of it comes from the peer itself.

import Glibc
import NIOCore

/// The process at the other end of a connection.
public struct ControlPeer: Hashable, Sendable, CustomStringConvertible {
    /// Its process id, as seen from here; 0 where it lies in another process namespace.
    public let processID: Int32
    /// Its effective user.
    public let user: UInt32
    /// Its effective group.
    public let group: UInt32
    /// Its supplementary groups.
    public let supplementaryGroups: [UInt32]

    /// As in "process 4711 of user 1000".
    public var description: String { "process \(processID) of user \(user)" }
}

extension ControlPeer {
    /// Asks the kernel who is at the other end.
    public init(ofSocket socket: CInt) throws(ControlSocketError) {
        // struct ucred, which Glibc shows only with _GNU_SOURCE: pid, uid, gid.
        var credentials = (processID: Int32(0), user: UInt32(0), group: UInt32(0))
        var length = socklen_t(MemoryLayout.size(ofValue: credentials))
        guard getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0 else {
            throw ControlSocketError("SO_PEERCRED: \(errorText())")
        }
        var groups: [UInt32] = []
        length = 0
        // The first call fails with the length that is needed, or has nothing to tell.
        if getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, nil, &length) != 0 {
            guard errno == ERANGE else { throw ControlSocketError("SO_PEERGROUPS: \(errorText())") }
            groups = [UInt32](repeating: 0, count: Int(length) / MemoryLayout<UInt32>.stride)
            guard getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, &groups, &length) == 0 else {
                throw ControlSocketError("SO_PEERGROUPS: \(errorText())")
            }
        }
        self.init(
            processID: credentials.processID, user: credentials.user, group: credentials.group,
            supplementaryGroups: groups)
    }
}

/// Who may use the socket. Its file's mode already keeps most away; this holds also where the mode is wider.
public struct ControlAccess: Hashable, Sendable {
    /// Users, by number.
    public var users: Set<UInt32>
    /// Groups, by number; a peer needs to be in one of them.
    public var groups: Set<UInt32>
    /// Users who may at any rate.
    let owners: Set<UInt32>

    /// Root, the user that this process runs as, and those that are named.
    public init(users: Set<UInt32> = [], groups: Set<UInt32> = []) {
        self.init(users: users, groups: groups, owners: [0, geteuid()])
    }

    init(users: Set<UInt32>, groups: Set<UInt32>, owners: Set<UInt32>) {
        self.users = users
        self.groups = groups
        self.owners = owners
    }

    /// Whether that peer may.
    public func allows(_ peer: ControlPeer) -> Bool {
        owners.contains(peer.user) || users.contains(peer.user) || groups.contains(peer.group)
            || !groups.isDisjoint(with: peer.supplementaryGroups)
    }

    /// The number of a user.
    /// - Parameter text: a name of the system's user database, or a number.
    /// - Returns: nil where there is none of that name.
    public static func user(_ text: String) -> UInt32? {
        if let number = UInt32(text) { return number }
        return getpwnam(text)?.pointee.pw_uid
    }

    /// The number of a group.
    /// - Parameter text: a name of the system's group database, or a number.
    /// - Returns: nil where there is none of that name.
    public static func group(_ text: String) -> UInt32? {
        if let number = UInt32(text) { return number }
        return getgrnam(text)?.pointee.gr_gid
    }
}

/// What the last failed system call says.
func errorText() -> String { String(cString: strerror(errno)) }
