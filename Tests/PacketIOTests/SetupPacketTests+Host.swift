// The host that packets pass, and the ways they take through it.

import NetworkNamespace
import RouteNetlink
import Testing
import Wire

@testable import PacketIO

extension SetupPacketTests {
    /// A way that packets take.
    enum Way: Hashable, CaseIterable, Sendable {
        /// A tunnel packet from the peer to the endpoint, into the access device.
        case tunnelIn(TunnelProtocol)
        /// The same, as a fragment other than the first, in which no port is to be seen.
        case fragmentIn(TunnelProtocol)
        /// What the forwarder writes to the access device, to the peer.
        case tunnelOut(TunnelProtocol)
        /// From the correspondent into the home device.
        case homeIn(AddressFamily)
        /// The same, to the network of the home device's own IPv4 address.
        case homeNetworkIn
        /// What the forwarder writes to the home device, to the correspondent.
        case homeOut(AddressFamily)
        /// The forwarder's ICMPv4 error from the endpoint, by the home device to the correspondent.
        case errorOut
        /// An ICMP echo request from the peer to the host's own address, answered by the host.
        case hostAnswers

        static var allCases: [Way] {
            TunnelProtocol.allCases.flatMap { [.tunnelIn($0), .tunnelOut($0)] } + fragments
                + AddressFamily.allCases.flatMap { [.homeIn($0), .homeOut($0)] } + [
                    .homeNetworkIn, .errorOut, .hostAnswers,
                ]
        }

        static let fragments = TunnelProtocol.allCases.filter { $0.destinationPort == nil }.map { Way.fragmentIn($0) }
        static let tunnelsIn = Set(TunnelProtocol.allCases.map { Way.tunnelIn($0) } + fragments)
        static let tunnelsOut = Set(TunnelProtocol.allCases.map { Way.tunnelOut($0) })
        /// What the host must forward IPv4 for, beside tunnels.
        static let homeIPv4: Set<Way> = [.homeIn(.v4), .homeOut(.v4), .homeNetworkIn, .errorOut]
    }

    struct Host: ~Copyable {
        static let peer = "198.51.100.5"

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
                ip link set lan0 up && ip addr add 2001:db8:c::1/64 dev lan0 nodad && ip addr add 10.3.0.1/24 dev lan0
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
            switch way {
            case .tunnelIn(let tunnel), .fragmentIn(let tunnel):
                let packet = try TestPacket.v4(
                    from: Self.peer, to: endpoint, protocolNumber: tunnel.number, payload: tunnel.payload(isIn: true),
                    fragment: way == .fragmentIn(tunnel) ? 5 : 0)
                try eth0.send(packet)
                return accessReceives(packet, within: milliseconds)
            case .tunnelOut(let tunnel):
                let packet = try TestPacket.v4(
                    from: endpoint, to: Self.peer, protocolNumber: tunnel.number, payload: tunnel.payload(isIn: false))
                // A device that is down takes nothing.
                do { try accessSends(packet) } catch { return false }
                return eth0.receives(within: milliseconds) { $0.withoutHops == packet.withoutHops }
            case .homeIn(.v6): return try lan0Passes(.v6(from: "2001:db8:c::5", to: "2001:db8:2::5"), milliseconds)
            case .homeIn(.v4): return try lan0Passes(.v4(from: "10.3.0.5", to: "10.8.0.5"), milliseconds)
            case .homeNetworkIn: return try lan0Passes(.v4(from: "10.3.0.5", to: "10.7.0.5"), milliseconds)
            case .homeOut(.v6): return try homePasses(.v6(from: "2001:db8:2::5", to: "2001:db8:c::5"), milliseconds)
            case .homeOut(.v4): return try homePasses(.v4(from: "10.8.0.5", to: "10.3.0.5"), milliseconds)
            case .errorOut: return try homePasses(.unreachable(from: endpoint, to: "10.3.0.5"), milliseconds)
            case .hostAnswers:
                // Identifier 7, sequence 1, 8 bytes; the checksum by Python.
                try eth0.send(
                    TestPacket.v4(
                        from: Self.peer, to: "203.0.113.9", protocolNumber: 1,
                        payload: TestPacket.hex("08004a86000700016d6f6f72696e6721").bytes))
                return eth0.receives(within: milliseconds) {
                    $0.bytes.count == 36 && $0.bytes[9] == 1 && $0.bytes[20] == 0
                }
            }
        }

        private func lan0Passes(_ packet: TestPacket, _ milliseconds: Int32) throws -> Bool {
            try lan0.send(packet)
            return home.receives(within: milliseconds) { $0.withoutHops == packet.withoutHops }
        }

        private func homePasses(_ packet: TestPacket, _ milliseconds: Int32) throws -> Bool {
            do { try home.send(packet) } catch { return false }
            return lan0.receives(within: milliseconds) { $0.withoutHops == packet.withoutHops }
        }

        func lost(_ ways: [Way] = Way.allCases) throws -> Set<Way> {
            var lost: Set<Way> = []
            for way in ways where try !passes(way, within: 5) {
                // A second look, with patience, so that a slow machine loses nothing.
                if try !passes(way, within: 100) { lost.insert(way) }
            }
            return lost
        }

        /// Expects that everything passes.
        func expectAllPass() throws {
            for way in Way.allCases { #expect(try passes(way, within: 5000), "\(way)") }
        }
    }
}

extension TunnelProtocol {
    /// What follows the IPv4 header of such a packet, by RFC 4213, 2003, 2784, 2004 and 3519; the packets inside are no
    /// whole ones. `isIn`: from behind an address translator, to the forwarder's port; else back.
    fileprivate func payload(isIn: Bool) -> [UInt8] {
        switch self {
        case .ipv6: [0x60, 0, 0, 0, 0, 0, 59, 64] + [UInt8](repeating: 1, count: 32)
        case .ipv4: [0x45, 0, 0, 20, 0, 0, 0, 0, 64, 59, 0, 0, 10, 8, 0, 5, 10, 3, 0, 5]
        case .gre: [0, 0, 0x86, 0xDD, 0x60, 0, 0, 0]
        case .minimal: [6, 0, 0, 0, 10, 8, 0, 5]
        // Ports 40000 and 434, length 16, no checksum.
        case .udp:
            (isIn ? [0x9C, 0x40, 0x01, 0xB2] : [0x01, 0xB2, 0x9C, 0x40]) + [0, 16, 0, 0, 4, 41, 0, 0, 1, 2, 3, 4]
        }
    }
}
