// Hears of changes to links, IPv4 addresses and IPv4 routes (rtnetlink(7), multicast groups). What changed is not read out
// of the messages: they may be lost where many come (ENOBUFS), so whoever is told looks at what there is now.

import CLinuxNet
import Glibc

/// A socket that tells of changes, closed with its owner.
public struct RouteMonitor: ~Copyable, Sendable {
    private static let changesAtOnce = 1000
    private let descriptor: Int32

    /// Hears of what changes in the calling thread's network namespace from now on.
    public init() throws(RouteError) {
        descriptor = try LinkMonitor.openMonitor(
            flags: 0, groups: RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE)
    }

    deinit {
        close(descriptor)
    }

    /// Waits until something has changed.
    public func waitForChange() throws(RouteError) {
        var chunk = [UInt8](repeating: 0, count: 8192)
        repeat {
            // What is longer is cut; it is not read anyway.
            if recv(descriptor, &chunk, chunk.count, 0) >= 0 || errno == ENOBUFS { break }
            guard errno == EINTR else { throw RouteError(number: errno, doing: "listen for changes of the network") }
        } while true
        // What has come meanwhile is told with it; where changes never end, they are told all the same.
        for _ in 0..<Self.changesAtOnce
        where recv(descriptor, &chunk, chunk.count, Int32(MSG_DONTWAIT)) < 0 && errno != ENOBUFS { break }
    }
}
