// mooring-mn behind a NAT that is nftables', whose mapping goes: to other ports, and to another public address. Inside the
// NAT is network A; its router is the NAT, and the home agent has no route to what is inside. What is seen outside is
// tshark's to say.

import Foundation
import TestSupport
import Testing

extension EndToEnd {
    @Suite("NAT", .serialized)
    struct NATTests {
        private static let firstAddress = "192.0.2.130"
        private static let secondAddress = "192.0.2.200"

        @Test(
            "N1 behind a NAT the tunnel is in UDP, and comes back by itself from other ports and another address",
            .timeLimit(.minutes(5)))
        func mappings() async throws {
            try await Topology.run { topology in
                try await topology.hideNetworkA(behind: "masquerade to :40000-40999")
                let outside = try await topology.startCapture(at: .networkA, interface: "home-agent")
                let inside = try await topology.startCapture(at: .networkA, interface: "node")
                let pair = try await RegistrationPair.start(in: topology)
                try await pair.waitForCareOf(Topology.careOfAddressA)
                try await topology.expectMapping(Self.firstAddress, 40000..<41000, pair)
                try await pair.expectTraffic()
                #expect(try await pair.prefixes() == ["\(Topology.nodePrefix) accepted care-of"])

                // Answered keepalives keep the registration (RFC 3519, 4.9).
                try await poll(for: "answered keepalives; \(pair.node.errorOutput)", within: .seconds(60)) {
                    let answers = try await inside.decoded(
                        "icmp.type == 0 and ip.src == \(Topology.endpoint) and udp.port == 434", fields: ["icmp.seq"])
                    return Set(answers).count >= 2
                }
                #expect(!pair.node.errorOutput.contains("Keepalives were not answered"), "\(pair.node.errorOutput)")

                // Until the node has registered anew, what comes from elsewhere is nobody's (RFC 5454, 3.3.2).
                for (rule, address, ports, reason) in [
                    ("masquerade to :42000-42999", Self.firstAddress, 42000..<43000, "udp-port-mismatch"),
                    (
                        "snat to \(Self.secondAddress):44000-44999", Self.secondAddress, 44000..<45000,
                        "outer-source-mismatch"
                    ),
                ] {
                    let before = try #require(try await topology.counters(.homeAgent).dropped(reason))
                    try await topology.changeNAT(to: rule)
                    try await topology.expectMapping(address, ports, pair)
                    try await pair.expectTraffic()
                    let after = try #require(try await topology.counters(.homeAgent).dropped(reason))
                    #expect(after > before, "keepalives from the new mapping, before it was registered: \(reason)")
                    #expect(try await pair.registeredCareOfAddresses() == [Topology.careOfAddressA])
                }
                let log = pair.node.errorOutput
                #expect(log.components(separatedBy: "Keepalives were not answered").count == 3, "\(log)")
                await pair.node.end()
                await outside.end()
                await inside.end()

                // Nothing but the tunnel's port has come through; IPv6 with next header 41, the request with encapsulation 0.
                let others = try await outside.decoded(
                    "ip.addr == \(Topology.endpoint) and not udp.port == 434", fields: ["ip.src", "ip.dst", "ip.proto"])
                #expect(others.isEmpty, "\(others)")
                let carried = try await inside.decoded("mip.nattt.nexthdr and ipv6", fields: ["mip.nattt.nexthdr"])
                #expect(Set(carried) == [["41"]])
                let asked = try await inside.decoded(
                    "mip.type == 1", fields: ["mip.ext.utrq.encaptype", "mip.ext.utrq.r"])
                #expect(asked.count >= 3 && Set(asked.map { $0[0] }) == ["0"], "\(asked)")
                let answered = try await inside.decoded("mip.type == 3 and mip.life > 0", fields: ["mip.ext.utrp.code"])
                #expect(!answered.isEmpty && Set(answered) == [["0"]], "\(answered)")
            }
        }

        @Test(
            "N1 a tunnel in UDP through a foreign agent (R) is declined, and one behind a NAT without R is not",
            .timeLimit(.minutes(3)))
        func registrationThroughAgent() async throws {
            try await Topology.run { topology in
                try await topology.hideNetworkA(behind: "masquerade to :40000-40999")
                try await topology.startMooringd(.homeAgent)
                let agent = try await topology.startHomeAgent("udp-tunnel = { keepalive-interval = 77 }")
                let key = "0102030405060708090a0b0c0d0e0f10"
                let start = "0 600 \(Topology.nodeIPv4Address) \(Topology.endpoint) authenticated"
                // The home agent would have to wait for a keepalive to know the end (RFC 3519, 4.6).
                #expect(try await topology.register(key, ["udp-tunnel,R"]) == "\(start) udp-64:0\n")
                #expect(try await topology.tunnelEnd() == "\(Topology.careOfAddressA)")
                #expect(try await topology.register(key, ["udp-tunnel"]) == "\(start) udp-0:77\n")
                #expect(try await topology.tunnelEnd().hasPrefix("\(Self.firstAddress) 40"))
                #expect(try await topology.register(key, []) == "\(start)\n")
                #expect(try await topology.tunnelEnd() == "\(Topology.careOfAddressA)")
                await agent.end()
            }
        }
    }
}

extension Topology {
    /// Has network A's router be a NAT for what is behind it.
    fileprivate func hideNetworkA(behind rule: String) async throws {
        try await ip(.homeAgent, "route del 203.0.113.0/24")
        try await ip(.homeAgent, "route add 192.0.2.200 via 192.0.2.130")
        try await run(in: .networkA, ["nft", "add table ip nat"])
        try await run(
            in: .networkA, ["nft", "add chain ip nat out { type nat hook postrouting priority srcnat; }"])
        try await setRule(rule)
    }

    private func setRule(_ rule: String) async throws {
        try await run(in: .networkA, ["nft", "add rule ip nat out oifname home-agent meta l4proto udp \(rule)"])
        // Were anything but UDP to go out, it would be seen.
        try await run(in: .networkA, ["nft", "add rule ip nat out oifname home-agent masquerade"])
    }

    /// Another mapping from now on, also of what had one.
    fileprivate func changeNAT(to rule: String) async throws {
        try await run(in: .networkA, ["nft", "flush chain ip nat out"])
        try await setRule(rule)
        try await run(in: .networkA, ["/usr/bin/python3", Self.script("forget_connections.py")])
    }

    /// Waits until the tunnel leads to a port of the range at the address.
    fileprivate func expectMapping(_ address: String, _ ports: Range<Int>, _ pair: RegistrationPair) async throws {
        try await poll(for: "tunnel to \(address); \(pair.node.errorOutput)", within: .seconds(120)) {
            let end = try await self.tunnelEnd("ha.socket").split(separator: " ")
            return end.count == 2 && end[0] == address && ports.contains(Int(end[1]) ?? 0)
        }
    }

    /// Where the one registration's tunnel leads: an address, and a port where it is in UDP.
    fileprivate func tunnelEnd(_ socket: String = "ha.sock") async throws -> String {
        struct List: Decodable {
            struct Registration: Decodable {
                let tunnelEnd: String
                let udpPort: UInt16?
            }
            let registrations: [Registration]
        }
        let json = try await run(
            in: .homeAgent,
            [
                Repository.path(of: "mooring"), "registration", "list", "--json", "--home-agent-socket",
                "\(directory.path)/\(socket)",
            ])
        return try JSONDecoder().decode(List.self, from: Data(json.utf8)).registrations.map {
            ([$0.tunnelEnd] + ($0.udpPort.map { ["\($0)"] } ?? [])).joined(separator: " ")
        }.joined(separator: ", ")
    }
}
