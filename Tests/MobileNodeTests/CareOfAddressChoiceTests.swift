import NetworkNamespace
import RouteNetlink
import Testing
import Wire

@testable import MobileNode

@Suite(
    "The care-of address of a host", .enabled(if: NetworkNamespace.isAvailable, "\(NetworkNamespace.reason)"))
struct CareOfAddressChoiceTests {
    /// Each is a host, a preference of interfaces, and what comes of it.
    static let hosts: [(commands: String, interfaces: [String], expected: String?)] = [
        ("ip addr add 203.0.113.9/24 dev a && ip route add default via 203.0.113.1", [], "203.0.113.9 on a"),
        // Without a way to the home agent there is none.
        ("ip addr add 203.0.113.9/24 dev a", [], nil),
        // The smaller metric, unless another interface is preferred.
        (two, [], "198.51.100.9 on b"), (two, ["a"], "203.0.113.9 on a"), (two, ["a", "b"], "203.0.113.9 on a"),
        (two, ["c"], nil),
        // A route of its own is better than a default.
        (two + " && ip route add 192.0.2.0/24 via 203.0.113.1", [], "203.0.113.9 on a"),
        // A link that is down is no way.
        (two + " && ip link set dev b down", [], "203.0.113.9 on a"),
        // The address on the next hop's network.
        (
            "ip addr add 10.0.0.1/24 dev a && ip addr add 203.0.113.9/24 dev a && "
                + "ip route add default via 203.0.113.1", [], "203.0.113.9 on a"
        ),
        // A link-local address is not reached from elsewhere.
        ("ip addr add 169.254.1.1/16 dev a && ip route add default dev a", [], nil),
        // The tunnel is no way to its own end.
        ("ip addr add 203.0.113.9/32 dev tunnel && ip route add default dev tunnel", [], nil),
    ]
    static let two =
        "ip addr add 203.0.113.9/24 dev a && ip addr add 198.51.100.9/24 dev b && "
        + "ip route add default via 203.0.113.1 metric 20 && ip route add default via 198.51.100.1 metric 10"

    @Test("is the one by which the home agent is reached", arguments: hosts.indices)
    func choice(index: Int) async throws {
        let (commands, interfaces, expected) = Self.hosts[index]
        let found = try await NetworkNamespace.run {
            for name in ["a", "b", "tunnel"] {
                try NetworkNamespace.shell(
                    "ip link add dev \(name) type veth peer name \(name)-peer && ip link set dev \(name)-peer up && "
                        + "ip link set dev \(name) up")
            }
            try NetworkNamespace.shell(commands)
            var socket = try RouteSocket()
            return CareOfAddressChoice.best(
                of: try HostNetwork.look(&socket), to: IPv4Address("192.0.2.1"), interfaces: interfaces,
                excluding: ["tunnel"])
        }
        #expect(found.map { "\($0.address) on \($0.interface)" } == expected, "\(commands)")
    }
}
