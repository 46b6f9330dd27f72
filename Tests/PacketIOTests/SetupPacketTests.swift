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
    /// A way that packets take.
    enum Way: String, CaseIterable, Sendable {
        /// Protocol 41 from the peer to the endpoint, into the access device.
        case tunnelIn
        /// The same, as a fragment other than the first.
        case fragmentIn
        /// What the forwarder writes to the access device, to the peer.
        case tunnelOut
        /// From the correspondent into the home device.
        case homeIn
        /// What the forwarder writes to the home device, to the correspondent.
        case homeOut
        /// An ICMP echo request from the peer to the host's own address, answered by the host.
        case hostAnswers
    }

    struct Host: ~Copyable {
        let eth0: TunDevice
        let lan0: TunDevice
        let home: TunDevice
        /// Nil where the home device serves both sides.
        let access: TunDevice?
        let endpoint: String

        /// - Parameter reversePathFilter: of all devices, those to come included.
        init(_ description: SetupDescription, reversePathFilter: Int = 0) throws {
            try NetworkNamespace.shell(
                """
                sysctl -w net.ipv4.conf.all.rp_filter=\(reversePathFilter) net.ipv4.conf.default.rp_filter=\(reversePathFilter)
                """)
            let eth0 = try TunDevice(name: "eth0")
            let lan0 = try TunDevice(name: "lan0")
            let home = try TunDevice(name: description.homeDevice)
            let access = description.hasOneDevice ? nil : try TunDevice(name: description.accessDevice)
            let endpoint = try #require(description.endpoints.first).description
            try NetworkNamespace.shell(
                """
                ip link set eth0 up && ip addr add 203.0.113.9/24 dev eth0 && ip route add default dev eth0
                ip link set lan0 up && ip addr add 2001:db8:c::1/64 dev lan0 nodad
                """)
            self.eth0 = eth0
            self.lan0 = lan0
            self.home = home
            self.access = access
            self.endpoint = endpoint
        }

        private func accessReceives(_ packet: TestPacket, within milliseconds: Int32) -> Bool {
            let condition = { (received: TestPacket) in received.withoutHops == packet.withoutHops }
            if access == nil { return home.receives(within: milliseconds, where: condition) }
            return access?.receives(within: milliseconds, where: condition) ?? false
        }

        private func accessSends(_ packet: TestPacket) throws {
            if access == nil { return try home.send(packet) }
            try access?.send(packet)
        }

        /// - Parameter milliseconds: how long to wait for it; writing to a TUN device ends when the kernel has passed the
        ///   packet on, so this only guards against surprises.
        func passes(_ way: Way, within milliseconds: Int32) throws -> Bool {
            let peer = "198.51.100.5"
            let inner = try TestPacket.v6(from: "2001:db8:c::5", to: "2001:db8:2::5")
            switch way {
            case .tunnelIn, .fragmentIn:
                let packet = try TestPacket.v4(
                    from: peer, to: endpoint, protocolNumber: 41, payload: inner.bytes,
                    fragment: way == .fragmentIn ? 5 : 0)
                try eth0.send(packet)
                return accessReceives(packet, within: milliseconds)
            case .tunnelOut:
                let packet = try TestPacket.v4(from: endpoint, to: peer, protocolNumber: 41, payload: inner.bytes)
                // A device that is down takes nothing.
                do { try accessSends(packet) } catch { return false }
                return eth0.receives(within: milliseconds) { $0.withoutHops == packet.withoutHops }
            case .homeIn:
                try lan0.send(inner)
                return home.receives(within: milliseconds) { $0.withoutHops == inner.withoutHops }
            case .homeOut:
                let packet = try TestPacket.v6(from: "2001:db8:2::5", to: "2001:db8:c::5")
                do { try home.send(packet) } catch { return false }
                return lan0.receives(within: milliseconds) { $0.withoutHops == packet.withoutHops }
            case .hostAnswers:
                // Identifier 7, sequence 1, 8 bytes; the checksum by Python.
                try eth0.send(
                    TestPacket.v4(
                        from: peer, to: "203.0.113.9", protocolNumber: 1,
                        payload: TestPacket.hex("08004a86000700016d6f6f72696e6721").bytes))
                return eth0.receives(within: milliseconds) {
                    $0.bytes.count == 36 && $0.bytes[9] == 1 && $0.bytes[20] == 0
                }
            }
        }

        func lost(_ ways: [Way] = Way.allCases) throws -> Set<Way> {
            var lost: Set<Way> = []
            for way in ways where try !passes(way, within: 5) {
                // A second look, with patience, so that a slow machine loses nothing.
                if try !passes(way, within: 100) { lost.insert(way) }
            }
            return lost
        }
    }

    static func description(shared: Bool, oneDevice: Bool) throws -> SetupDescription {
        var description = SetupDescription(homeDevice: "moor0", accessDevice: oneDevice ? "moor0" : "moor1")
        description.homeAddresses = [try #require(IPv6InterfaceAddress("2001:db8:1::1/64"))]
        description.homeRoutes = [try #require(IPv6Prefix("2001:db8:2::/48"))]
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
            for way in Way.allCases { #expect(try host.passes(way, within: 5000), "\(way)") }
        }
    }

    /// What is lost when a step is taken back, by the command that takes it back.
    static let needs: [(shared: Bool, command: String, lost: Set<Way>)] = [
        (false, "ip link set moor0 down", [.homeIn, .homeOut]),
        (false, "ip link set moor1 down", [.tunnelIn, .fragmentIn, .tunnelOut]),
        (false, "ip -6 route del 2001:db8:2::/48 dev moor0", [.homeIn]),
        (false, "sysctl -w net.ipv6.conf.moor0.disable_ipv6=1", [.homeIn, .homeOut]),
        (false, "sysctl -w net.ipv6.conf.all.forwarding=0", [.homeIn, .homeOut]),
        (false, "ip route del 192.0.2.1/32 dev moor1", [.tunnelIn, .fragmentIn]),
        (false, "sysctl -w net.ipv4.conf.moor1.forwarding=0", [.tunnelOut]),
        (false, "sysctl -w net.ipv4.conf.eth0.forwarding=0", [.tunnelIn, .fragmentIn]),
        (false, "sysctl -w net.ipv4.ip_forward=0", [.tunnelIn, .fragmentIn, .tunnelOut]),
        (true, "ip route del 203.0.113.9/32 dev moor1 table 434", [.tunnelIn, .fragmentIn, .tunnelOut]),
        (true, "ip rule del pref 0 ipproto 41 lookup 434", [.tunnelIn, .fragmentIn, .tunnelOut]),
        (true, "sysctl -w net.ipv4.conf.moor1.forwarding=0", [.tunnelOut]),
        (true, "sysctl -w net.ipv4.conf.eth0.forwarding=0", [.tunnelIn, .fragmentIn]),
        (
            true,
            "ip rule del pref 0 lookup local && ip rule add pref 0 lookup local && ip rule del pref 0 ipproto 41 && "
                + "ip rule add pref 0 ipproto 41 lookup 434", [.tunnelIn, .fragmentIn, .tunnelOut]
        ),
    ]

    @Test("Each step is needed, and taken again it repairs", arguments: needs)
    func eachStepIsNeeded(need: (shared: Bool, command: String, lost: Set<Way>)) async throws {
        try await NetworkNamespace.run {
            let description = try Self.description(shared: need.shared, oneDevice: false)
            let host = try Host(description)
            let plan = try SetupPlan(description)
            try plan.apply { _ in }
            try NetworkNamespace.shell(need.command)
            #expect(try host.lost() == need.lost)
            // ip_forward=1 is satisfied while eth0 alone does not forward: that is the operator's choice.
            if need.command.contains("eth0.forwarding"), !need.shared { return }
            #expect(try !plan.missing().isEmpty)
            try plan.apply { _ in }
            for way in Way.allCases { #expect(try host.passes(way, within: 5000), "\(way)") }
        }
    }

    @Test("What is not diverted stays the host's: another protocol to a shared endpoint is answered by the host")
    func leavesOtherProtocols() async throws {
        try await NetworkNamespace.run {
            let description = try Self.description(shared: true, oneDevice: false)
            let host = try Host(description)
            try SetupPlan(description).apply { _ in }
            let packet = try TestPacket.v4(from: "198.51.100.5", to: "203.0.113.9", protocolNumber: 4, payload: [1, 2])
            try host.eth0.send(packet)
            // Destination unreachable, of the host's.
            #expect(host.eth0.receives(within: 5000) { $0.bytes[9] == 1 && $0.bytes[20] == 3 })
            #expect(host.access?.receives(within: 20) { _ in true } == false)
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
