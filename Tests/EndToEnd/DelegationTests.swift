// Prefix delegation as RFC 5454, 3.7.1 has it, with every program a real one: mooring-mn opens the link, a DHCPv6 client
// on it is delegated a prefix by a server at the home agent, mooring-mn registers it, and a host behind the node is reached
// by it until it is delegated no more.

import Foundation
import Glibc
import TestSupport
import Testing
import Wire

extension EndToEnd {
    @Suite(
        "Prefix delegation", .serialized,
        .enabled(if: PrefixDelegation.obstacle == nil, Comment(rawValue: PrefixDelegation.obstacle ?? "")))
    struct DelegationTests {
        private static let linkLocal = "fe80::c000:247"

        @Test(
            "P1 P2 D2 H8 T2 what Kea delegates to dhcpcd on the tunnel's link is registered, used, and gone when released",
            .timeLimit(.minutes(5)))
        func released() async throws {
            try await Topology.run { topology in
                let capture = try await topology.startCapture(
                    at: .networkA, interface: "node", filter: "ip host \(Topology.careOfAddressA)")
                let pair = try await Self.startPair(in: topology)
                try await Self.expectLink(topology)

                let delegation = try await PrefixDelegation.start(in: topology, lifetime: 4000)
                let prefix = try await delegation.delegated()
                try await pair.waitForPrefixes([Topology.nodePrefix, prefix, "\(Self.linkLocal)/255"])
                #expect(try await pair.homeRoutes().contains("\(prefix) "))
                try await Self.expectHost(in: prefix, reachable: true, topology)

                // Link-local traffic, DHCPv6 in it, goes by way of the home address: two outer headers. It was
                // asked for by another request than the first, and so was the prefix.
                let exchange = try await poll(for: "DHCPv6 in the tunnel") {
                    let types = try await capture.decoded(
                        "dhcpv6 and ip.proto == 4 and ip.proto == 41", fields: ["dhcpv6.msgtype"])
                    return types.count >= 4 ? Set(types.map { $0[0] }) : nil
                }
                #expect(exchange.isSuperset(of: ["1", "2", "3", "7"]), "solicit, advertise, request, reply")
                #expect(try await capture.decoded("dhcpv6 and !(ip.proto == 4)") == [])
                let requests = try await capture.decoded("mip.type == 1", fields: ["udp.payload"])
                    .map { $0[0].replacing(":", with: "") }
                let linkLocal = "981201ff" + "fe80000000000000" + "00000000c0000247"
                let delegated = "9812013c" + String(try #require(IPv6Prefix(prefix)).address.high, radix: 16)
                for asked in [linkLocal, delegated] {
                    let asking = requests.map { $0.contains(asked) }
                    #expect(asking.first == false && asking.last == true, "\(asked): \(requests)")
                }
                await capture.end()

                // dhcpcd releases what it has, and ends.
                delegation.client.send(SIGALRM)
                try await pair.waitForPrefixes([Topology.nodePrefix, "\(Self.linkLocal)/255"])
                try await delegation.client.wait()
                try await poll(for: "release; \(delegation.server.output)") {
                    delegation.server.output.contains("DHCP6_RELEASE_PD")
                }
                #expect(!(try await pair.homeRoutes().contains("\(prefix) ")))
                try await Self.expectHost(in: prefix, reachable: false, topology)
                try await pair.expectTraffic()
                await delegation.server.end()
                await pair.node.end()
            }
        }

        @Test("P2 D2 a prefix whose delegation is not renewed is registered no more", .timeLimit(.minutes(5)))
        func expired() async throws {
            try await Topology.run { topology in
                let pair = try await Self.startPair(in: topology)
                let delegation = try await PrefixDelegation.start(in: topology, lifetime: 12)
                let prefix = try await delegation.delegated()
                try await pair.waitForPrefixes([Topology.nodePrefix, prefix, "\(Self.linkLocal)/255"])
                #expect(try await pair.homeRoutes().contains("\(prefix) "))

                await delegation.server.end()
                try await pair.waitForPrefixes([Topology.nodePrefix, "\(Self.linkLocal)/255"], within: .seconds(90))
                #expect(!(try await pair.homeRoutes().contains("\(prefix) ")))
                #expect(delegation.client.errorOutput.contains("expired"), "\(delegation.client.errorOutput)")
                try await pair.expectTraffic()
                await delegation.client.end()
                await pair.node.end()
            }
        }

        /// Both ends, the node registered and its link open.
        private static func startPair(in topology: Topology) async throws -> RegistrationPair {
            let pair = try await RegistrationPair.start(in: topology, "opensLinkLocal = true")
            try await pair.waitForCareOf(Topology.careOfAddressA)
            try await pair.waitForPrefixes([Topology.nodePrefix, "\(linkLocal)/255"])
            return pair
        }

        /// Expects the addresses that RFC 4213, 3.7 says at both ends, and that each reaches the other.
        private static func expectLink(_ topology: Topology) async throws {
            let ends = [(Role.node, linkLocal), (Role.homeAgent, "fe80::c000:201")]
            for (role, address) in ends {
                let addresses = try await topology.ip(role, "-6 address show dev mooring-home scope link")
                #expect(addresses.contains("inet6 \(address)/64 "), "\(role): \(addresses)")
            }
            try await topology.ping(from: .node, to: "\(ends[1].1)%mooring-home")
            try await topology.ping(from: .homeAgent, to: "\(ends[0].1)%mooring-home")
        }

        /// A host of the delegated prefix, on a link of its own behind the node, and whether it and the correspondent
        /// reach each other.
        private static func expectHost(in prefix: String, reachable: Bool, _ topology: Topology) async throws {
            let base = String(prefix.prefix { $0 != "/" })
            let holder = try topology.start(in: .node, ["unshare", "--net", "sleep", "infinity"])
            let namespace = "/proc/\(holder.identifier)"
            try await poll(for: "namespace of the host; \(holder.errorOutput)") {
                try String(contentsOfFile: "\(namespace)/comm", encoding: .utf8) == "sleep\n"
            }
            func atHost(_ command: String) async throws {
                try await topology.run(
                    in: .node,
                    ["nsenter", "--net=\(namespace)/ns/net", "--"] + command.split(separator: " ").map(String.init))
            }
            try await topology.run(in: .node, ["sysctl", "-qw", "net.ipv6.conf.all.forwarding=1"])
            try await topology.ip(.node, "link add host type veth peer name node netns \(holder.identifier)")
            try await topology.ip(.node, "link set host up")
            try await topology.ip(.node, "address add \(base)f:1/64 dev host nodad")
            try await atHost("ip link set node up")
            try await atHost("ip address add \(base)f:2/64 dev node nodad")
            try await atHost("ip route add default via \(base)f:1")
            if reachable {
                try await topology.ping(from: .correspondent, to: "\(base)f:2")
                try await atHost("ping -n -c 5 -i 0.05 -W 10 \(Topology.correspondentAddress)")
            } else {
                try await topology.run(
                    in: .correspondent, ["ping", "-n", "-c", "1", "-W", "1", "\(base)f:2"], status: 1)
            }
            // Its link goes with it.
            await holder.end()
            try await poll(for: "end of the host's link") { !(try await topology.ip(.node, "link")).contains("host@") }
        }
    }
}
