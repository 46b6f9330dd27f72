// Other forwarders, beside which `Bench tun` sets mooringd.

import ArgumentParser
import Foundation

/// A forwarder that is not ours.
enum TunPeer: String, CaseIterable, ExpressibleByArgument {
    /// The kernel, without a tunnel: what the network itself can do.
    case kernelForwarding = "kernel-forwarding"
    /// A tunnel within the kernel, by a program of ours on its devices' TC hooks, at both ends
    /// (Benchmarks/Peers/tunnel.bpf.c).
    case tcProgram = "tc-program"
    /// A tunnel of another user-space forwarder, which encrypts, at both ends.
    case wireguardGo = "wireguard-go"
    /// A user-space translator from IPv6 to IPv4, at one end.
    case tayga

    /// Programs that it needs, and the package of Debian that has each.
    private var needs: [(program: String, package: String)] {
        switch self {
        case .kernelForwarding: []
        case .tcProgram: [("tc", "iproute2"), ("bpftool", "bpftool")]
        case .wireguardGo: [("wireguard-go", "wireguard-go"), ("wg", "wireguard-tools")]
        case .tayga: [("tayga", "tayga")]
        }
    }

    /// Why it can't be measured here, and what mends that; nil where it can.
    var absence: String? {
        let missing = needs.filter { Self.path(of: $0.program) == nil }
        guard !missing.isEmpty else { return nil }
        return "\(missing.map(\.program).joined(separator: " and ")) not there: apt-get install "
            + missing.map(\.package).joined(separator: " ")
    }

    /// Where a program lies, as root would find it.
    private static func path(of program: String) -> String? {
        let directories = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map(String.init)
        return (directories + ["/usr/local/sbin", "/usr/sbin", "/sbin"]).map { "\($0)/\(program)" }
            .first { FileManager.default.isExecutableFile(atPath: $0) }
    }
}
