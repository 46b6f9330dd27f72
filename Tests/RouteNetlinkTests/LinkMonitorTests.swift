// What the kernel tells of devices that go down and come up, in a namespace of its own for each test.

import Glibc
import NetworkNamespace
import Testing

@testable import RouteNetlink

@Suite("Monitor of links", .enabled(if: NetworkNamespace.isAvailable, "\(NetworkNamespace.reason)"))
struct LinkMonitorTests {
    @Test("A device that was down for no time at all is told of, by its name alone, and once")
    func linkMonitor() async throws {
        try await RouteSocketTests.namespace { _, _ in
            try NetworkNamespace.shell("ip tuntap add dev other0 mode tun && ip link set other0 up")
            let monitor = try LinkMonitor(devices: ["moor0", "moor9"])
            #expect(monitor.changes() == LinkChanges())
            try NetworkNamespace.shell("ip link set other0 down && ip link set other0 up")
            #expect(monitor.changes() == LinkChanges())
            try NetworkNamespace.shell("ip link set moor0 mtu 1400")
            var expected = LinkChanges()
            expected.isAny = true
            #expect(monitor.changes() == expected)
            try NetworkNamespace.shell("ip link set moor0 down && ip link set moor0 up")
            expected.wasDown = true
            #expect(monitor.changes() == expected)
            #expect(monitor.changes() == LinkChanges())
            // One that comes later, and goes.
            try NetworkNamespace.shell("ip tuntap add dev moor9 mode tun && ip link set moor9 up && ip link del moor9")
            let changes = monitor.changes()
            #expect(changes.wasRemoved && !changes.mayBeMissed)
        }
    }

    @Test("Where more changes come than the socket holds, that is told")
    func linkMonitorOverflow() async throws {
        try await RouteSocketTests.namespace { _, _ in
            let monitor = try LinkMonitor(devices: ["moor0"])
            var size: Int32 = 1
            setsockopt(monitor.descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
            for _ in 0..<20 { try NetworkNamespace.shell("ip link set moor0 down && ip link set moor0 up") }
            #expect(monitor.changes().mayBeMissed)
            #expect(monitor.changes() == LinkChanges())
        }
    }
}
