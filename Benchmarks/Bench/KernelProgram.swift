// The tunnel that the kernel makes by itself (Benchmarks/Peers/tunnel.bpf.c): compiled when a benchmark begins, loaded
// by bpftool, attached by tc, and told its bindings by bpftool.

import Foundation
import Wire

/// The compiled program.
struct KernelProgram {
    private let object: String

    /// A way through the tunnel: what has an address in the prefix lies behind the other end.
    struct Way {
        var prefix: IPv6Prefix
        var near: IPv4Address
        var far: IPv4Address
    }

    /// The largest IPv6 packet of which the outer one has 1500 bytes.
    static let mtu = TunSubject.Tunnel.ipInIP.mtu

    /// Compiles it with Swift's own clang, which knows the kernel's instructions, or another.
    /// - Throws: `TunUnavailable` where something for it is missing, or this kernel does not take it.
    init(_ network: Network) throws {
        if let absence = TunPeer.tcProgram.absence { throw TunUnavailable(absence) }
        object = network.directory.appendingPathComponent("tunnel.o").path
        let source = OptimisedBuild.root.appendingPathComponent("Benchmarks/Peers/tunnel.bpf.c").path
        let command = """
            clang=$(dirname "$(readlink -f "$(command -v swift)")")/clang
            [ -x "$clang" ] || clang=clang
            exec "$clang" -O2 -g -Wall -Werror -target bpf -I"/usr/include/$(uname -m)-linux-gnu" -c "$1" -o "$2"
            """
        do { try network.run(["sh", "-ec", command, "sh", source, object]) } catch {
            throw TunUnavailable("\(source) can't be compiled: it needs a clang that knows the kernel's instructions")
        }
        do { try attach(to: "node", in: network, role: "agent", ways: []) } catch {
            throw TunUnavailable("\(source) can't be loaded, which needs Linux 6.3 and root; see above")
        }
    }

    /// Attaches it to a device of a namespace, both ways.
    func attach(to device: String, in network: Network, role: String, ways: [Way]) throws {
        // Its files are seen by this shell alone, and go with it; the device's hooks keep programs and bindings.
        let command = """
            mount -t bpf bpf /sys/fs/bpf
            bpftool prog loadall "$1" /sys/fs/bpf/programs pinmaps /sys/fs/bpf/maps
            tc qdisc add dev "$2" clsact
            tc filter add dev "$2" egress bpf direct-action pinned /sys/fs/bpf/programs/encapsulate
            tc filter add dev "$2" ingress bpf direct-action pinned /sys/fs/bpf/programs/decapsulate
            shift 2
            while [ $# -gt 0 ]; do
                # Bytes are words of their own.
                bpftool map update pinned /sys/fs/bpf/maps/bindings key hex $1 value hex $2
                shift 2
            done
            """
        let bindings = ways.flatMap { way in
            // The key begins with the length in the processor's order, which is little-endian wherever this runs.
            [
                Self.hexadecimal([UInt8(way.prefix.length), 0, 0, 0] + Self.bytes(way.prefix.address)),
                Self.hexadecimal(Self.bytes(way.near) + Self.bytes(way.far)),
            ]
        }
        try network.run(in: role, ["sh", "-ec", command, "sh", object, device] + bindings)
    }

    /// Has the node's end of the tunnel made by it.
    func startNode(in network: Network) throws {
        try network.forwardFromNode(mtu: Self.mtu)
        try attach(
            to: "agent", in: network, role: "node",
            ways: [
                Way(
                    prefix: IPv6Prefix("2000::/3")!, near: IPv4Address(Network.careOfAddress)!,
                    far: IPv4Address(Network.endpoint)!)
            ])
    }

    private static func bytes(_ address: IPv4Address) -> [UInt8] {
        withUnsafeBytes(of: address.rawValue.bigEndian, Array.init)
    }

    private static func bytes(_ address: IPv6Address) -> [UInt8] {
        withUnsafeBytes(of: (address.high.bigEndian, address.low.bigEndian), Array.init)
    }

    private static func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.map { String(format: "%02x", $0) }.joined(separator: " ")
    }
}
