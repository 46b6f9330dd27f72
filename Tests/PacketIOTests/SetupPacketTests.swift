// What each step is for, told by real packets: with all steps they arrive, without one of them some are lost, or some
// arrive that no one wants. All devices are TUN devices of one namespace; eth0 stands for the access network's
// interface, lan0 for the home network's.
//
//     peer ── eth0 ── kernel ── access ── (the forwarder) ── home ── kernel ── lan0 ── correspondent

import NetworkNamespace
import RouteNetlink
import Testing
import Wire

@testable import PacketIO

@Suite("Setup with packets", .enabled(if: NetworkNamespace.isAvailable, "\(NetworkNamespace.reason)"))
struct SetupPacketTests {
    static func description(shared: Bool, oneDevice: Bool) throws -> SetupDescription {
        var description = SetupDescription(homeDevice: "moor0", accessDevice: oneDevice ? "moor0" : "moor1")
        description.homeAddresses = try ["2001:db8:1::1/64", "10.7.0.1/24"].map { try #require(.init($0)) }
        description.homeRoutes = try ["2001:db8:2::/48", "10.7.0.0/24", "10.8.0.0/16"].map { try #require(.init($0)) }
        description.endpoints = [try #require(IPv4Address(shared ? "203.0.113.9" : "192.0.2.1"))]
        description.sharesEndpoint = shared
        return description
    }

    @Test(
        "With all steps taken everything passes, however strict the reverse-path filter",
        arguments: [false, true].flatMap { shared in [false, true].map { (shared, $0) } }, [0, 1, 2])
    func allPass(shape: (shared: Bool, oneDevice: Bool), reversePathFilter: Int) async throws {
        try await NetworkNamespace.run {
            let description = try Self.description(shared: shape.shared, oneDevice: shape.oneDevice)
            let host = try Host(description, reversePathFilter: reversePathFilter)
            #expect(try host.lost() == Set(Way.allCases).subtracting([.hostAnswers]))
            try SetupPlan(description).apply { _ in }
            try host.expectAllPass()
        }
    }

    /// A step that is taken back.
    struct Need: Sendable, CustomTestStringConvertible {
        var shared: Bool
        /// The command that takes it back.
        var command: String
        /// What is lost without it.
        var lost: Set<Way>
        var reversePathFilter = 0

        init(_ shared: Bool, _ command: String, _ lost: Set<Way>, reversePathFilter: Int = 0) {
            (self.shared, self.command, self.lost) = (shared, command, lost)
            self.reversePathFilter = reversePathFilter
        }

        var testDescription: String { "\(shared ? "shared" : "own"), rp_filter \(reversePathFilter): \(command)" }
    }

    static let tunnels = Way.tunnelsIn.union(Way.tunnelsOut)
    static let home: Set<Way> = [.homeIn(.v6), .homeOut(.v6)]

    static let needs: [Need] =
        [
            Need(false, "ip link set moor0 down", home.union(Way.homeIPv4)),
            Need(false, "ip link set moor1 down", tunnels),
            Need(false, "ip -6 route del 2001:db8:2::/48 dev moor0", [.homeIn(.v6)]),
            Need(false, "ip route del 10.8.0.0/16 dev moor0", [.homeIn(.v4)]),
            // With a device's last IPv4 address the kernel drops its IPv4 routes.
            Need(false, "ip addr del 10.7.0.1/24 dev moor0", Way.homeIPv4),
            Need(false, "ip route del 10.7.0.0/24 dev moor0", [.homeNetworkIn]),
            Need(false, "sysctl -w net.ipv6.conf.moor0.disable_ipv6=1", home),
            Need(false, "sysctl -w net.ipv6.conf.all.forwarding=0", home),
            Need(false, "ip route del 192.0.2.1/32 dev moor1", Way.tunnelsIn),
            Need(false, "sysctl -w net.ipv4.conf.moor0.forwarding=0", [.homeOut(.v4), .errorOut]),
            Need(false, "sysctl -w net.ipv4.conf.moor1.forwarding=0", Way.tunnelsOut),
            Need(false, "sysctl -w net.ipv4.conf.eth0.forwarding=0", Way.tunnelsIn),
            Need(false, "sysctl -w net.ipv4.ip_forward=0", tunnels.union(Way.homeIPv4)),
            Need(false, "sysctl -w net.ipv4.conf.moor0.rp_filter=0", [.errorOut], reversePathFilter: 1),
            Need(true, "ip route del 203.0.113.9/32 dev moor1 table 434", tunnels),
            Need(true, "sysctl -w net.ipv4.conf.moor1.forwarding=0", Way.tunnelsOut),
            Need(true, "sysctl -w net.ipv4.conf.eth0.forwarding=0", Way.tunnelsIn),
            Need(true, "sysctl -w net.ipv4.ip_forward=0", tunnels.union(Way.homeIPv4)),
            Need(true, "sysctl -w net.ipv4.conf.moor0.accept_local=0", [.errorOut]),
            Need(true, "sysctl -w net.ipv4.conf.moor0.rp_filter=0", [.errorOut], reversePathFilter: 1),
            Need(
                true,
                "ip rule del pref 0 lookup local && ip rule add pref 0 lookup local && ip rule del pref 0 ipproto 41 && "
                    + "ip rule add pref 0 ipproto 41 lookup 434", Set(ways(of: .ipv6))),
        ]
        + TunnelProtocol.allCases.map { tunnel in
            let port = tunnel.destinationPort.map { " dport \($0)" } ?? ""
            return Need(true, "ip rule del pref 0 ipproto \(tunnel.number)\(port) lookup 434", Set(ways(of: tunnel)))
        }

    static func ways(of tunnel: TunnelProtocol) -> [Way] {
        [.tunnelIn(tunnel), .tunnelOut(tunnel)] + Way.fragments.filter { $0 == .fragmentIn(tunnel) }
    }

    @Test("Each step is needed, and taken again it repairs", arguments: needs)
    func eachStepIsNeeded(need: Need) async throws {
        try await NetworkNamespace.run {
            let description = try Self.description(shared: need.shared, oneDevice: false)
            let host = try Host(description, reversePathFilter: need.reversePathFilter)
            let plan = try SetupPlan(description)
            try plan.apply { _ in }
            try NetworkNamespace.shell(need.command)
            #expect(try host.lost() == need.lost)
            // ip_forward=1 is satisfied while eth0 alone does not forward: that is the operator's choice.
            if need.command.contains("eth0.forwarding"), !need.shared { return }
            #expect(try !plan.missing().isEmpty)
            try plan.apply { _ in }
            try host.expectAllPass()
        }
    }

    @Test("What is not diverted stays the host's, which answers it", arguments: [97, 17, 4])
    func leavesOtherProtocols(number: UInt8) async throws {
        try await NetworkNamespace.run {
            var description = try Self.description(shared: true, oneDevice: false)
            description.diverted = [.ipv6, .gre, .minimal, .udp]
            let host = try Host(description)
            try SetupPlan(description).apply { _ in }
            // To port 435, where it is UDP.
            let packet = try TestPacket.v4(
                from: "198.51.100.5", to: "203.0.113.9", protocolNumber: number, payload: [0, 9, 1, 0xB3, 0, 8, 0, 0])
            try host.eth0.send(packet)
            // Destination unreachable, of the host's.
            #expect(host.eth0.receives(within: 5000) { $0.bytes[9] == 1 && $0.bytes[20] == 3 })
            #expect(host.access?.receives(within: 20) { _ in true } == false)
        }
    }

    @Test("A fragment of UDP, whose port the kernel's rules do not see, stays the host's", arguments: [0x2000, 5])
    func leavesFragmentsOfUDP(fragment: UInt16) async throws {
        try await NetworkNamespace.run {
            let description = try Self.description(shared: true, oneDevice: false)
            let host = try Host(description)
            try SetupPlan(description).apply { _ in }
            // From port 40000 to 434.
            let packet = try TestPacket.v4(
                from: Host.peer, to: "203.0.113.9", protocolNumber: 17,
                payload: [0x9C, 0x40, 1, 0xB2, 0, 16, 0, 0, 4, 41, 0, 0, 1, 2, 3, 4], fragment: fragment)
            try host.eth0.send(packet)
            #expect(host.access?.receives(within: 50) { $0.withoutHops == packet.withoutHops } == false)
            #expect(try host.passes(.tunnelIn(.udp), within: 5000))
        }
    }

    @Test(
        "Only what is to be diverted is, and what an earlier run diverted beside it is the host's again",
        arguments: TunnelProtocol.allCases)
    func divertsOne(tunnel: TunnelProtocol) async throws {
        try await NetworkNamespace.run {
            var description = try Self.description(shared: true, oneDevice: false)
            let host = try Host(description)
            try SetupPlan(description).apply { _ in }
            description.diverted = [tunnel]
            try SetupPlan(description).apply { _ in }
            #expect(try host.lost() == Self.tunnels.subtracting(Self.ways(of: tunnel)))
        }
    }

    @Test(
        "A node that forwards nothing hears what the tunnel brings for its home address, the forwarder's errors included",
        arguments: [0, 1, 2])
    func nodeHears(reversePathFilter: Int) async throws {
        try await NetworkNamespace.run {
            var description = try Self.description(shared: true, oneDevice: false)
            description.homeAddresses = try ["2001:db8:1::1/64", "10.7.0.1/32"].map { try #require(.init($0)) }
            description.forwarding = false
            let host = try Host(description, reversePathFilter: reversePathFilter)
            try SetupPlan(description).apply { _ in }
            #expect(
                try NetworkNamespace.shell("sysctl -n net.ipv4.ip_forward net.ipv4.conf.moor0.forwarding") == "0\n0\n")
            // An echo request as above.
            try host.home.send(
                .v4(
                    from: "10.8.0.5", to: "10.7.0.1", protocolNumber: 1,
                    payload: TestPacket.hex("08004a86000700016d6f6f72696e6721").bytes))
            #expect(host.home.receives(within: 5000) { $0.bytes.count == 36 && $0.bytes[9] == 1 && $0.bytes[20] == 0 })

            // Names and numbers stand in two lines.
            let heard = """
                awk '/^Icmp:/ { for (i = 2; i <= NF; i++) if ($i == "InDestUnreachs") n = i; value = $n }
                    END { print value }' /proc/net/snmp
                """
            let error = try TestPacket.unreachable(from: "203.0.113.9", to: "10.7.0.1")
            try host.home.send(error)
            #expect(try NetworkNamespace.shell(heard) == "1\n")
            try NetworkNamespace.shell("sysctl -w net.ipv4.conf.moor0.accept_local=0")
            try host.home.send(error)
            #expect(try NetworkNamespace.shell(heard) == "1\n")
        }
    }

    @Test(
        "Without an IPv4 address of the home device, errors are lost to the reverse-path filter, and that is told of",
        arguments: [0, 1, 2])
    func errorsWithoutAddress(reversePathFilter: Int) async throws {
        try await NetworkNamespace.run {
            var description = try Self.description(shared: false, oneDevice: false)
            description.homeAddresses = [try #require(.init("2001:db8:1::1/64"))]
            let host = try Host(description, reversePathFilter: reversePathFilter)
            let plan = try SetupPlan(description)
            try plan.apply { _ in }
            let isLost = reversePathFilter > 0
            #expect(try host.lost() == (isLost ? [.errorOut] : []))
            #expect(try plan.warnings().contains { $0.contains("give it one (--home-address)") } == isLost)
        }
    }

    @Test("Protocol 41 to another host, by way of this one, is none of the diversion's business")
    func passesOthersTunnels() async throws {
        try await NetworkNamespace.run {
            let description = try Self.description(shared: true, oneDevice: false)
            let host = try Host(description)
            try SetupPlan(description).apply { _ in }
            try NetworkNamespace.shell("sysctl -w net.ipv4.ip_forward=1; ip route add 10.0.0.0/8 dev lan0")
            let packet = try TestPacket.v4(from: "198.51.100.5", to: "10.1.2.3", protocolNumber: 41, payload: [1, 2])
            try host.eth0.send(packet)
            #expect(host.lan0.receives(within: 5000) { $0.withoutHops == packet.withoutHops })
        }
    }

    @Test("A router advertisement from within the tunnel is not heard", arguments: [true, false])
    func ignoresAdvertisements(isSetUp: Bool) async throws {
        try await NetworkNamespace.run {
            var description = try Self.description(shared: true, oneDevice: false)
            description.forwarding = false
            let host = try Host(description)
            if isSetUp {
                try SetupPlan(description).apply { _ in }
            } else {
                // The reason for the step.
                try NetworkNamespace.shell("ip link set moor0 up")
            }
            try RouterAdvertisement.send(on: host.home)
            let routes = try NetworkNamespace.shell("ip -6 route show default")
            #expect(routes.isEmpty == isSetUp)
        }
    }

    @Test("No device gets an address by itself, and the access device hears nothing of IPv6")
    func keepsQuiet() async throws {
        try await NetworkNamespace.run {
            let description = try Self.description(shared: false, oneDevice: false)
            let host = try Host(description)
            try SetupPlan(description).apply { _ in }
            #expect(try NetworkNamespace.shell("ip -o -6 addr show scope link | grep moor; true") == "")
            // lan0 was left as the kernel makes devices, and reports its multicast groups by now or soon (RFC 3810).
            #expect(host.lan0.receives(within: 30_000) { $0.bytes[0] >> 4 == 6 })
            #expect(host.access?.receives(within: 0) { $0.bytes[0] >> 4 == 6 } == false)
        }
    }

    @Test(
        "A queue of 4096 packets takes a burst that the kernel's own 500 drops", arguments: [(4096, 4000), (500, 500)])
    func queuesABurst(length: UInt32, taken: Int) async throws {
        try await NetworkNamespace.run {
            var description = try Self.description(shared: false, oneDevice: false)
            description.transmitQueueLength = length
            let host = try Host(description)
            try SetupPlan(description).apply { _ in }
            let packet = try TestPacket.v6(from: "2001:db8:c::5", to: "2001:db8:2::5")
            while host.home.receives(within: 0, where: { _ in true }) {}
            for _ in 0..<4000 { try host.lan0.send(packet) }
            var count = 0
            while host.home.receives(within: 100, where: { $0.withoutHops == packet.withoutHops }) { count += 1 }
            // A report of a multicast group may take a place in the queue.
            #expect((taken - 4...taken).contains(count), "\(count)")
        }
    }
}
