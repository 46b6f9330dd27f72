// Which of the two families the host is set up for.

import NetworkNamespace
import Testing

@testable import PacketIO

extension SetupPlanTests {
    static let forwarding = "sysctl -n net.ipv4.ip_forward net.ipv6.conf.all.forwarding"

    @Test(
        "Each family is forwarded where it is described, and IPv6 where nothing is",
        arguments: [
            (["10.7.0.1/24"], [], "1\n0\n"), ([], ["10.8.0.0/16"], "1\n0\n"), (["2001:db8:1::1/64"], [], "0\n1\n"),
            (["2001:db8:1::1/64"], ["10.8.0.0/16"], "1\n1\n"), ([], [], "0\n1\n"),
        ])
    func forwardsFamilies(addresses: [String], routes: [String], shown: String) async throws {
        for forwarding in [true, false] {
            try await Self.namespace(Self.devices) {
                // Its tunnels need forwarding by eth0 alone.
                var description = try Kind.sharingHomeAgent.description
                description.homeAddresses = try addresses.map { try #require(.init($0)) }
                description.homeRoutes = try routes.map { try #require(.init($0)) }
                description.forwarding = forwarding
                _ = try Self.apply(try SetupPlan(description))
                #expect(try NetworkNamespace.shell(Self.forwarding) == (forwarding ? shown : "0\n0\n"))
            }
        }
    }

    @Test("Another's IPv4 route is in the way, and the message says how to see it")
    func refusesOthersIPv4Route() async throws {
        try await Self.namespace(Self.devices, "ip route add 10.8.0.0/16 dev eth0") {
            let plan = try SetupPlan(Kind.homeAgent.description)
            #expect {
                try plan.apply { _ in }
            } throws: {
                "\($0)".contains("see `ip route show 10.8.0.0/16 table main`")
            }
            #expect(try NetworkNamespace.json("ip -j route show 10.8.0.0/16").first?["dev"] as? String == "eth0")
        }
    }

    @Test("Devices with several queues are made for them")
    func severalQueues() async throws {
        try await Self.namespace {
            var description = try Kind.allCases[0].description
            description.queues = 2
            let missing = try SetupPlan(description).missing()
            #expect(missing.first?.commands == ["ip tuntap add dev moor0 mode tun multi_queue"])
        }
    }
}
