// The host that set-ups are tried on, and what can be seen of it.

import Glibc
import NetworkNamespace
import PacketIO
import Testing

extension SetupPlanTests {
    static let devices = "ip tuntap add dev moor0 mode tun && ip tuntap add dev moor.1 mode tun"

    /// The host's own interface, TUN as well: 203.0.113.9/24. The kernel would give it a link-local address some time
    /// after it is up.
    static let host = """
        ip tuntap add dev eth0 mode tun && sysctl -qw net.ipv6.conf.eth0.addr_gen_mode=1 && ip link set eth0 up \
        && ip addr add 203.0.113.9/24 dev eth0
        """

    static func namespace<Value: Sendable>(
        _ preparation: String..., body: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        try await NetworkNamespace.run {
            for command in [host] + preparation { try NetworkNamespace.shell(command) }
            return try body()
        }
    }

    /// All that a set-up could change, without what differs from one moment to the next.
    static func snapshot() throws -> String {
        try awaitLocalRoutes()
        return try NetworkNamespace.shell(
            """
            ip -j link show | sed 's/"link_netnsid":[0-9]*//'; ip -j addr show; ip -j -4 route show table all
            ip -j -6 route show table all; ip rule show; ip -6 rule show
            sysctl -a 2>/dev/null | grep -E '^net.ipv[46].(conf|ip_forward)' | grep -v stable_secret
            """)
    }

    /// Waits until the kernel has made the local route of each IPv6 address, which it does some time after it was added.
    private static func awaitLocalRoutes() throws {
        let addresses = try NetworkNamespace.shell(
            "ip -6 -o addr show scope global | sed 's,.* inet6 \\([^/ ]*\\).*,\\1,'")
        for address in addresses.split(separator: "\n") {
            var attempts = 0
            while try !NetworkNamespace.shell("ip -6 route show table local").contains("local \(address) ") {
                attempts += 1
                try #require(attempts < 1_000, "no local route to \(address)")
                usleep(10_000)
            }
        }
    }

    /// Where two snapshots part, for people.
    static func difference(_ before: String, _ after: String) -> String {
        let shared = zip(before, after).prefix { $0 == $1 }.count
        return
            "…\(before.dropFirst(max(0, shared - 200)).prefix(300))… became …\(after.dropFirst(max(0, shared - 200)).prefix(300))…"
    }

    static func apply(_ plan: SetupPlan) throws -> [String] {
        var lines: [String] = []
        try plan.apply { lines.append($0) }
        return lines
    }
}
