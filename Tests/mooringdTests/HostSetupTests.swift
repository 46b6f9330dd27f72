// The host's settings while devices go down and come up, against the kernel, in a namespace of their own.

import NetworkNamespace
import PacketIO
import RouteNetlink
import Testing
import Wire

@testable import mooringd

@Suite("Set-up of the host", .enabled(if: NetworkNamespace.isAvailable, "\(NetworkNamespace.reason)"))
struct HostSetupTests {
    /// What was told of it.
    private final class Told {
        var lines: [String] = []
        var warnings: [String] = []

        func take() -> (lines: [String], warnings: [String]) {
            defer { (lines, warnings) = ([], []) }
            return (lines, warnings)
        }
    }

    private static func host(
        applies: Bool = true, _ body: @escaping @Sendable (HostSetup, Told) throws -> Void
    ) async throws {
        try await NetworkNamespace.run {
            try NetworkNamespace.shell("ip tuntap add dev moor0 mode tun && ip tuntap add dev moor1 mode tun")
            var description = SetupDescription(homeDevice: "moor0", accessDevice: "moor1")
            description.homeAddresses = [try #require(.init("2001:db8:1::1/64"))]
            description.homeRoutes = [try #require(.init("2001:db8:2::/48"))]
            description.endpoints = [try #require(IPv4Address("192.0.2.1"))]
            let plan = try SetupPlan(description)
            if !applies { try plan.apply { _ in } }
            let told = Told()
            let setup = HostSetup(
                plan, applies: applies, log: { told.lines.append($0) }, warn: { told.warnings.append($0) })
            try setup.apply()
            _ = told.take()
            try body(setup, told)
            #expect(try plan.missing() == [] || !applies)
        }
    }

    @Test("a device that was down for no time at all is set up again, once", arguments: ["moor0", "moor1"])
    func shortOutage(device: String) async throws {
        try await Self.host { setup, told in
            // That they were down before the set-up is not told.
            for isLookDue in [false, true] { setup.watchDevices(isLookDue: isLookDue) }
            #expect(told.take() == ([], []))
            try NetworkNamespace.shell("ip link set \(device) down && ip link set \(device) up")
            setup.watchDevices(isLookDue: false)
            let (lines, warnings) = told.take()
            #expect(lines.first == "the devices are up again" && lines.dropFirst().allSatisfy { $0.hasPrefix("set: ") })
            #expect(lines.count > 1 && warnings.isEmpty, "\(lines)")
            for isLookDue in [false, true] { setup.watchDevices(isLookDue: isLookDue) }
            #expect(told.take() == ([], []))
        }
    }

    @Test("a device that is down is told of once, and set up again when it is up")
    func longOutage() async throws {
        try await Self.host { setup, told in
            try NetworkNamespace.shell("ip link set moor1 down")
            for _ in 0..<3 { setup.watchDevices(isLookDue: true) }
            let (lines, warnings) = told.take()
            #expect(lines.isEmpty && warnings.count == 1 && warnings[0].hasPrefix("a device is down"))
            try NetworkNamespace.shell("ip link set moor1 up")
            setup.watchDevices(isLookDue: false)
            #expect(told.take().lines.count { $0 == "the devices are up again" } == 1)
        }
    }

    @Test("what can't be made again is told once, and tried until it can be")
    func failure() async throws {
        try await Self.host { setup, told in
            // A route of somebody else's is in the way.
            try NetworkNamespace.shell(
                "ip tuntap add dev other mode tun && ip link set other up && ip link set moor1 down && "
                    + "ip route add 192.0.2.1 dev other && ip link set moor1 up")
            for _ in 0..<3 { setup.watchDevices(isLookDue: true) }
            let (lines, warnings) = told.take()
            #expect(lines == ["the devices are up again"] && warnings.count == 1, "\(lines) \(warnings)")
            #expect(warnings.first?.contains("192.0.2.1") == true)
            try NetworkNamespace.shell("ip route del 192.0.2.1 dev other")
            setup.watchDevices(isLookDue: false)
            #expect(told.take() == ([], []))
            setup.watchDevices(isLookDue: true)
            #expect(told.take().lines.count == 1)
        }
    }

    @Test("where an operator makes the settings, those that are missing after an outage are told")
    func toldOnly() async throws {
        try await Self.host(applies: false) { setup, told in
            try NetworkNamespace.shell("ip link set moor1 down && ip link set moor1 up")
            setup.watchDevices(isLookDue: false)
            let (lines, warnings) = told.take()
            #expect(lines == ["the devices are up again"])
            #expect(warnings.count == 1 && warnings[0].contains("192.0.2.1"), "\(warnings)")
        }
    }
}
