// tayga at the home agent: no tunnel, but what a program in user space does with each packet of a NAT64. The node
// speaks IPv4.

import Foundation
import Wire

struct TaygaTranslator: TunnelSetup {
    private static let device = "nat64"
    /// Of IPv4 addresses that IPv6 sees, the last 32 bits of an address (RFC 6052, 2.2).
    private static let prefix = IPv6Address("2001:db8:64::")!

    func start(in network: Network) throws -> StartedTunnel {
        let directory = network.directory.path
        let configuration = """
            tun-device \(Self.device)
            ipv4-addr \(Network.endpoint)
            ipv6-addr 2001:db8:65::1
            prefix \(Self.prefix)/96
            map 192.0.2.2 2001:db8:c::2
            data-dir \(directory)

            """
        let file = "\(directory)/tayga.conf"
        try configuration.write(toFile: file, atomically: true, encoding: .utf8)
        try network.run(in: "agent", ["tayga", "--config", file, "--mktun"])
        try network.ip("agent", "link set \(Self.device) up")
        try network.ip("agent", "route add 192.0.2.0/24 dev \(Self.device)")
        try network.ip("agent", "route add \(Self.prefix)/96 dev \(Self.device)")
        try network.switchOnForwarding(in: "agent")
        let process = try network.start(in: "agent", ["tayga", "--config", file, "--nodetach"])
        try network.waitUntilAttached(process, "agent", "tayga", to: [Self.device])
        return StartedTunnel(
            forwarder: process, nodeAddress: Self.translated(Network.careOfAddress),
            sinkDestination: Self.translated(Network.sinkAddress))
    }

    private static func translated(_ address: String) -> String {
        IPv6Address(high: prefix.high, low: UInt64(IPv4Address(address)!.rawValue)).description
    }
}
