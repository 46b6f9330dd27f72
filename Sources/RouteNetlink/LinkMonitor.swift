// Tells what became of some devices, however short it was: the kernel drops the routes and IPv6 addresses of a device that
// is set down, and they do not come back with it. Unlike `RouteMonitor` it reads what the kernel tells of each change
// (rtnetlink(7), RTM_NEWLINK and RTM_DELLINK), since a device that is up again looks as if nothing had been.

import CLinuxNet
import Glibc

/// What became of devices since they were asked about last.
public struct LinkChanges: Sendable, Hashable {
    /// Whether anything was told of one.
    public var isAny = false
    /// Whether one was down, for however short a time.
    public var wasDown = false
    /// Whether one was removed.
    public var wasRemoved = false
    /// Whether something may not have been told: too many changes came at a time (ENOBUFS), or one can't be read.
    public var mayBeMissed = false

    /// Nothing.
    public init() {}
}

/// A socket that tells of changes to devices of those names, closed with its owner. Needs no privilege.
public struct LinkMonitor: ~Copyable, Sendable {
    /// Datagrams that are read at a time; the rest is told the next time.
    private static let datagramsAtOnce = 1000

    /// Readable where there may be changes.
    public let descriptor: Int32
    private let devices: Set<String>

    /// Hears of what becomes of the devices in the calling thread's network namespace from now on. They need not be there.
    public init(devices: Set<String>) throws(RouteError) {
        self.devices = devices
        descriptor = try Self.openMonitor(flags: Int32(SOCK_NONBLOCK.rawValue), groups: RTMGRP_LINK)
    }

    deinit {
        close(descriptor)
    }

    /// A socket to which the kernel tells changes of those groups (RTMGRP_…, linux/rtnetlink.h).
    /// - Parameter flags: of socket(2), beside SOCK_CLOEXEC.
    static func openMonitor(flags: Int32, groups: Int32) throws(RouteError) -> Int32 {
        let doing = "listen for changes of the network"
        return try RouteSocket.openNetlink(flags: flags, groups: groups, opening: doing, binding: doing)
    }

    /// What has become of them since the last time. Does not wait.
    public func changes() -> LinkChanges {
        var changes = LinkChanges()
        // Longer than what the kernel tells of a device.
        var buffer = [UInt8](repeating: 0, count: 32_768)
        for _ in 0..<Self.datagramsAtOnce {
            var sender = sockaddr_nl()
            var senderLength = socklen_t(MemoryLayout<sockaddr_nl>.size)
            let received = withUnsafeMutablePointer(to: &sender) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { sender in
                    recvfrom(descriptor, &buffer, buffer.count, Int32(MSG_TRUNC), sender, &senderLength)
                }
            }
            if received < 0 {
                if errno == EINTR { continue }
                if errno == EAGAIN { break }
                changes.mayBeMissed = true
                // Of what came after those that were lost some may be there.
                if errno == ENOBUFS { continue }
                break
            }
            // Port 0 is the kernel; other processes may send to a netlink socket too.
            guard sender.nl_pid == 0 else { continue }
            do throws(RouteError) {
                guard received <= buffer.count else { throw .malformed("a datagram of \(received) bytes") }
                for message in try NetlinkMessage.parse(buffer[..<received]) { try note(message, in: &changes) }
            } catch {
                changes.mayBeMissed = true
            }
        }
        if changes.mayBeMissed { changes.isAny = true }
        return changes
    }

    private func note(_ message: NetlinkMessage, in changes: inout LinkChanges) throws(RouteError) {
        guard message.type == RTM_NEWLINK || message.type == RTM_DELLINK else { return }
        let (header, attributes) = try message.content(ifinfomsg.self)
        guard let name = attributes.text(Int(IFLA_IFNAME)), devices.contains(name) else { return }
        // A bridge tells of its ports under their names too: they stay where they were.
        guard header.ifi_family == UInt8(AF_UNSPEC) else { return }
        changes.isAny = true
        if message.type == RTM_DELLINK { changes.wasRemoved = true }
        if header.ifi_flags & UInt32(IFF_UP) == 0 { changes.wasDown = true }
    }
}
