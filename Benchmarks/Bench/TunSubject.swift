// Who forwards, and what lies beyond: what takes turns in `Bench tun`.

import ArgumentParser

/// What is set up at a time, and has some of the work done.
struct TunSubject: Hashable {
    let forwarder: Forwarder
    let end: End
    /// The kind of mooringd's tunnel.
    var tunnel = Tunnel.ipInIP

    enum Forwarder: Hashable {
        case mooringd(Way)
        case yardstick(IO)
        case peer(TunPeer)
    }

    /// How mooringd moves packets.
    struct Way: Hashable {
        let io: IO
        let offload: Offload
        let workers: Int
    }

    enum IO: String, CaseIterable, ExpressibleByArgument { case ioUring = "io_uring", plain }

    /// What mooringd does with super-frames.
    enum Offload: String, CaseIterable, ExpressibleByArgument {
        case off, split, push
        /// Push, and those that come in tunnels are taken whole.
        case whole

        /// mooringd's `--offload`, and its `--access-offload`.
        var settings: (home: String, access: String) {
            switch self {
            case .off, .push: (rawValue, "off")
            // What no program in the kernel is needed for.
            case .split: ("split", "datagrams")
            case .whole: ("push", "whole")
            }
        }
    }

    /// What the tunnel leads to.
    enum End: String, ExpressibleByArgument {
        /// A node with mooringd.
        case mooringd
        /// A node whose kernel does it, by the program of `TunPeer.tcProgram`: it takes little, so that it is the home
        /// agent that is measured.
        case kernel
        /// A node with what the forwarder is.
        case own
        /// Nothing that answers.
        case sink

        /// What may be asked for.
        static var allValueStrings: [String] { [Self.mooringd, .kernel].map(\.rawValue) }
    }

    /// Of the kinds of tunnel, how IPv6 is carried in each.
    enum Tunnel: String, CaseIterable, ExpressibleByArgument {
        case ipInIP = "ip-in-ip"
        case gre
        /// By way of the home address: it carries IPv4 alone (RFC 5454, 3.3.2).
        case minimal
        case udp

        /// The largest IPv6 packet of which the outer one has 1500 bytes.
        var mtu: Int {
            switch self {
            case .ipInIP: 1480
            case .gre: 1476
            // Of the 20 bytes of the inner IPv4 header that minimal encapsulation leaves, and 12 of its own.
            case .minimal: 1468
            // UDP, and Mobile Tunnel Data (RFC 3519, 3.3).
            case .udp: 1468
            }
        }
    }

    /// Whether this can do that work: what is done to a sink does not depend on who is at the far end.
    func can(_ work: TunWork) -> Bool {
        // Its packets don't fit in packets of 1500 bytes.
        if forwarder == .peer(.wireguardGo), work == .udp1400 { return false }
        return work.isTCP == (end != .sink)
    }

    /// For a table.
    var name: String {
        switch forwarder {
        case .mooringd(let way):
            let workers = way.workers == 1 ? "" : ", \(way.workers) workers"
            let kind = tunnel == .ipInIP ? "" : ", \(tunnel.rawValue)"
            return "mooringd \(way.io.rawValue) \(way.offload.rawValue)\(workers)\(kind)"
        case .yardstick(let io): return "yardstick \(io.rawValue)"
        case .peer(let peer): return peer.rawValue
        }
    }
}
